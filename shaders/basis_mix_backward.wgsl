// basis_mix_backward: with h = sum over k of gate[patch(i), k] * t[i, k, j] and g = act'(h) * dy,
//   dt[i, k, j] = gate[patch(i), k] * g[i, j], shares[i, k] = sum over j of g[i, j] * t[i, k, j]
//   1 t [rows, bases, columns]   2 gate [patches, bases]   3 inverse [.., n], a row of it from `inverse_base`
//   4 patch_of_rank [n]   5 dy [rows, columns]   6 dt [rows, bases, columns]   7 shares [rows, bases]
// A patch's gate has the sum of its points' shares as its gradient, which `segment_sum` adds up.
// Sixteen invocations share a row, sixteen rows a workgroup; h is recomputed once for every four bases.
#import dispatch
#import activation_slope
#import row_sum

struct Params {
    rows: u32,
    columns: u32,
    bases: u32,
    inverse_base: u32,
    activation: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> inverse: array<u32>;
@group(0) @binding(4) var<storage, read> patch_of_rank: array<u32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> dt: array<f32>;
@group(0) @binding(7) var<storage, read_write> shares: array<f32>;

// act'(h) * dy of one element, its gates being those from `first_gate`.
fn mixed_gradient(row: u32, column: u32, first_gate: u32) -> f32 {
    var h = 0.0;
    for (var k = 0u; k < params.bases; k++) {
        h += gate[first_gate + k] * t[(row * params.bases + k) * params.columns + column];
    }
    return slope(h, params.activation) * dy[row * params.columns + column];
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 16u + local / 16u;
    // Rows past the end take part in the barriers with no columns.
    let in_range = row < params.rows;
    let columns = select(0u, params.columns, in_range);
    var first_gate = 0u;
    if in_range {
        first_gate = patch_of_rank[inverse[params.inverse_base + row]] * params.bases;
    }
    for (var base = 0u; base < params.bases; base += 4u) {
        let several = min(params.bases - base, 4u);
        var sums = vec4(0.0);
        for (var column = local % 16u; column < columns; column += 16u) {
            let gradient = mixed_gradient(row, column, first_gate);
            for (var k = 0u; k < several; k++) {
                let at = (row * params.bases + base + k) * params.columns + column;
                sums[k] += gradient * t[at];
                dt[at] = gate[first_gate + base + k] * gradient;
            }
        }
        for (var k = 0u; k < several; k++) {
            let share = row_sum(sums[k], local);
            if in_range && local % 16u == 0u {
                shares[row * params.bases + base + k] = share;
            }
        }
    }
}
