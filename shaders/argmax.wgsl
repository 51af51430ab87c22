// argmax: label[i] = the column of the largest x[i, :], the first of equals; confidence[i] = its softmax probability
//   1 x [rows, columns]   2 label [rows]   3 confidence [rows]
// One invocation per row.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> label: array<u32>;
@group(0) @binding(3) var<storage, read_write> confidence: array<f32>;

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
    var best = 0u;
    for (var c = 1u; c < params.columns; c++) {
        if x[first + c] > x[first + best] {
            best = c;
        }
    }
    var total = 0.0;
    for (var c = 0u; c < params.columns; c++) {
        total += exp(x[first + c] - x[first + best]);
    }
    label[row] = best;
    confidence[row] = 1.0 / total;
}
