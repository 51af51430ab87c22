// softmax: out[i, :] = softmax(x[i, :] * scale)
//   1 x [rows, columns]   2 out [rows, columns]
// One invocation per row: rows are short (gates, class logits).
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
    var largest = x[first] * params.scale;
    for (var c = 1u; c < params.columns; c++) {
        largest = max(largest, x[first + c] * params.scale);
    }
    var total = 0.0;
    for (var c = 0u; c < params.columns; c++) {
        let weight = exp(x[first + c] * params.scale - largest);
        out[first + c] = weight;
        total += weight;
    }
    for (var c = 0u; c < params.columns; c++) {
        out[first + c] /= total;
    }
}
