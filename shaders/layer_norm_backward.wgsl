// layer_norm_backward: gradients of act(u * gamma + beta), where u = (x - mean) * scale is the normalised row.
//   1 x [rows, columns]   2 gamma [columns]   3 beta [columns]   4 dy [rows, columns]
//   5 dx [rows, columns] (main)   6 partial_sums [blocks, 2, columns] (partials, join)   7 out [2, columns] (join)
// With dh = act'(h) * dy and g = dh * gamma, dx = scale * (g - mean of g - u * mean of g u). Nothing is saved by the
// forward: u is recomputed. `main` has sixteen invocations to a row, as the forward has.
// dgamma = sum of dh * u and dbeta = sum of dh, over the rows: `partials` sums blocks of 64 rows, `join` the blocks.
#import dispatch
#import activation_slope
#import row_statistics
#import lane_tree

struct Params {
    rows: u32,
    columns: u32,
    activation: u32,
    block_base: u32,
    blocks: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

// The normalised value of element `at` in column `c`, and the gradient of what the activation takes.
fn unit_and_gradient(at: u32, c: u32, statistics: vec2<f32>) -> vec2<f32> {
    let unit = (x[at] - statistics.x) * statistics.y;
    return vec2(unit, dy[at] * slope(unit * gamma[c] + beta[c], params.activation));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 16u + local / 16u;
    let columns = select(0u, params.columns, row < params.rows);
    let first = row * params.columns;
    let statistics = row_statistics(first, columns, local);

    var sum = 0.0;
    var sum_unit = 0.0;
    for (var c = local % 16u; c < columns; c += 16u) {
        let pair = unit_and_gradient(first + c, c, statistics);
        sum += pair.y * gamma[c];
        sum_unit += pair.y * gamma[c] * pair.x;
    }
    let mean = row_sum(sum, local) / f32(params.columns);
    let mean_unit = row_sum(sum_unit, local) / f32(params.columns);
    for (var c = local % 16u; c < columns; c += 16u) {
        let pair = unit_and_gradient(first + c, c, statistics);
        dx[first + c] = statistics.y * (pair.y * gamma[c] - mean - pair.x * mean_unit);
    }
}

var<workgroup> block_statistics: array<vec2<f32>, 64>;

@compute @workgroup_size(256)
fn partials(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = flat_group(group, groups);
    for (var step = 0u; step < 64u; step += 16u) {
        let row = block * 64u + step + local / 16u;
        let statistics = row_statistics(row * params.columns, select(0u, params.columns, row < params.rows), local);
        if local % 16u == 0u {
            block_statistics[step + local / 16u] = statistics;
        }
    }
    workgroupBarrier();
    let rows = min(params.rows - min(block * 64u, params.rows), 64u);
    // Four lanes of 64 columns.
    for (var base = 0u; base < params.columns; base += 64u) {
        let c = base + local % 64u;
        var dgamma = 0.0;
        var dbeta = 0.0;
        if c < params.columns {
            for (var row = local / 64u; row < rows; row += 4u) {
                let pair = unit_and_gradient((block * 64u + row) * params.columns + c, c, block_statistics[row]);
                dgamma += pair.y * pair.x;
                dbeta += pair.y;
            }
        }
        dgamma = lane_tree(dgamma, local, 64u);
        dbeta = lane_tree(dbeta, local, 64u);
        if local < 64u && c < params.columns && rows > 0u {
            let at = (params.block_base + block) * 2u * params.columns + c;
            partial_sums[at] = dgamma;
            partial_sums[at + params.columns] = dbeta;
        }
    }
}

@compute @workgroup_size(256)
fn join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let columns = 2u * params.columns;
    let column = flat_group(group, groups) * 16u + local % 16u;
    var sum = 0.0;
    if column < columns {
        for (var block = local / 16u; block < params.blocks; block += 16u) {
            sum += partial_sums[block * columns + column];
        }
    }
    sum = lane_tree(sum, local, 16u);
    if local < 16u && column < columns {
        out[column] = sum;
    }
}
