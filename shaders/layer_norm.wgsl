// layer_norm: out[i, :] = act((x[i, :] - mean) / sqrt(variance + eps) * gamma + beta) + residual[i, :]
//   1 x [rows, columns]   2 gamma [columns]   3 beta [columns]   4 residual [rows, columns]   5 out [rows, columns]
// Sixteen invocations share a row, sixteen rows a workgroup.
#import dispatch
#import activation
#import row_statistics

struct Params {
    rows: u32,
    columns: u32,
    activation: u32,
    has_residual: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 16u + local / 16u;
    let lane = local % 16u;
    // Rows past the end take part in the barriers with no columns.
    let columns = select(0u, params.columns, row < params.rows);
    let first = row * params.columns;
    let statistics = row_statistics(first, columns, local);
    for (var c = lane; c < columns; c += 16u) {
        var value = activate((x[first + c] - statistics.x) * statistics.y * gamma[c] + beta[c], params.activation);
        if params.has_residual == 1u {
            value += residual[first + c];
        }
        out[first + c] = value;
    }
}
