// layer_norm: out[i, :] = act((x[i, :] - mean) / sqrt(variance + eps) * gamma + beta) + residual[i, :]
//   1 x [rows, columns]   2 gamma [columns]   3 beta [columns]   4 residual [rows, columns]   5 out [rows, columns]
// Sixteen invocations share a row, sixteen rows a workgroup. Mean and variance are summed one after the other, in a fixed
// order: the lane's stride first, then a tree over the lanes. With VEC4, columns are a multiple of four and at most 512:
// a lane keeps its part of the row in registers, and x is read once.
#import dispatch
#import activation
#ifdef VEC4
#import row_sum
#else
#import row_statistics
#endif

struct Params {
    rows: u32,
    columns: u32,
    activation: u32,
    has_residual: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#ifdef VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#endif

#ifdef VEC4
fn loaded(first: u32, quad: u32, quads: u32) -> vec4<f32> {
    if quad < quads {
        return x[first + quad];
    }
    return vec4(0.0);
}

// A quad's distance from the mean; nothing where there is none.
fn centred(loaded: vec4<f32>, mean: f32, quad: u32, quads: u32) -> vec4<f32> {
    return select(vec4(0.0), loaded - vec4(mean), quad < quads);
}

fn finish(first: u32, quad: u32, quads: u32, unit: vec4<f32>) {
    if quad >= quads {
        return;
    }
    var value = activate_quad(unit * gamma[quad] + beta[quad], params.activation);
    if params.has_residual == 1u {
        value += residual[first + quad];
    }
    out[first + quad] = value;
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
    let quads = select(0u, params.columns / 4u, row < params.rows);
    let first = row * quads;

    let x0 = loaded(first, lane, quads);
    let x1 = loaded(first, lane + 16u, quads);
    let x2 = loaded(first, lane + 32u, quads);
    let x3 = loaded(first, lane + 48u, quads);
    let x4 = loaded(first, lane + 64u, quads);
    let x5 = loaded(first, lane + 80u, quads);
    let x6 = loaded(first, lane + 96u, quads);
    let x7 = loaded(first, lane + 112u, quads);
    let sums = ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7));
    let mean = row_sum((sums.x + sums.y) + (sums.z + sums.w), local) / f32(params.columns);
    let c0 = centred(x0, mean, lane, quads);
    let c1 = centred(x1, mean, lane + 16u, quads);
    let c2 = centred(x2, mean, lane + 32u, quads);
    let c3 = centred(x3, mean, lane + 48u, quads);
    let c4 = centred(x4, mean, lane + 64u, quads);
    let c5 = centred(x5, mean, lane + 80u, quads);
    let c6 = centred(x6, mean, lane + 96u, quads);
    let c7 = centred(x7, mean, lane + 112u, quads);
    let squares = ((c0 * c0 + c1 * c1) + (c2 * c2 + c3 * c3)) + ((c4 * c4 + c5 * c5) + (c6 * c6 + c7 * c7));
    let total = row_sum((squares.x + squares.y) + (squares.z + squares.w), local);
    let scale = 1.0 / sqrt(total / f32(params.columns) + params.eps);
    finish(first, lane, quads, c0 * scale);
    finish(first, lane + 16u, quads, c1 * scale);
    finish(first, lane + 32u, quads, c2 * scale);
    finish(first, lane + 48u, quads, c3 * scale);
    finish(first, lane + 64u, quads, c4 * scale);
    finish(first, lane + 80u, quads, c5 * scale);
    finish(first, lane + 96u, quads, c6 * scale);
    finish(first, lane + 112u, quads, c7 * scale);
}
#else
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
#endif
