// softmax_backward: dx[i, :] = scale * y[i, :] * (dy[i, :] - sum over j of y[i, j] * dy[i, j])
//   1 y [rows, columns], the softmax's output   2 dy [rows, columns]   3 dx [rows, columns]
// One invocation per row: rows are short (gates, class logits).
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 64u + local;
    if row >= params.rows {
        return;
    }
    let first = row * params.columns;
    var dot = 0.0;
    for (var c = 0u; c < params.columns; c++) {
        dot += y[first + c] * dy[first + c];
    }
    for (var c = 0u; c < params.columns; c++) {
        dx[first + c] = params.scale * y[first + c] * (dy[first + c] - dot);
    }
}
