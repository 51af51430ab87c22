// basis_mix: out[i, j] = act(sum over k of gate[patch(i), k] * t[i, k, j])
//   1 t [rows, bases, columns]   2 gate [patches, bases]   3 inverse [.., n], a row of it from `inverse_base`
//   4 patch_of_rank [n]   5 out [rows, columns]
// t holds every basis applied to the row (W_k u + b_k), one `linear` with the bases stacked.
#import dispatch
#import activation

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
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.rows * params.columns {
        return;
    }
    let row = i / params.columns;
    let patch_index = patch_of_rank[inverse[params.inverse_base + row]];
    var sum = 0.0;
    for (var k = 0u; k < params.bases; k++) {
        sum += gate[patch_index * params.bases + k] * t[(row * params.bases + k) * params.columns + i % params.columns];
    }
    out[i] = activate(sum, params.activation);
}
