// layer_norm: out[i, :] = act((x[i, :] - mean) / sqrt(variance + eps) * gamma + beta) + residual[i, :]
//   1 x [rows, columns]   2 gamma [columns]   3 beta [columns]   4 residual [rows, columns]   5 out [rows, columns]
// Sixteen invocations share a row, sixteen rows a workgroup. Mean and variance are summed in two passes, in a fixed
// order: the lane's stride first, then a tree over the lanes.
#import dispatch
#import activation

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

var<workgroup> lane_sums: array<f32, 256>;

// The sum over a row's sixteen lanes, known to each of them.
fn row_sum(value: f32, local: u32) -> f32 {
    lane_sums[local] = value;
    workgroupBarrier();
    for (var step = 8u; step > 0u; step >>= 1u) {
        if local % 16u < step {
            lane_sums[local] += lane_sums[local + step];
        }
        workgroupBarrier();
    }
    let sum = lane_sums[local / 16u * 16u];
    workgroupBarrier();
    return sum;
}

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

    var sum = 0.0;
    for (var c = lane; c < columns; c += 16u) {
        sum += x[first + c];
    }
    let mean = row_sum(sum, local) / f32(params.columns);
    var squares = 0.0;
    for (var c = lane; c < columns; c += 16u) {
        let centred = x[first + c] - mean;
        squares += centred * centred;
    }
    let scale = 1.0 / sqrt(row_sum(squares, local) / f32(params.columns) + params.eps);
    for (var c = lane; c < columns; c += 16u) {
        var value = activate((x[first + c] - mean) * scale * gamma[c] + beta[c], params.activation);
        if params.has_residual == 1u {
            value += residual[first + c];
        }
        out[first + c] = value;
    }
}
