// low_rank_delta: out[i, o] = act(y[i, o] + scale * sum over r of a[patch(i), o, r] * z[i, r])
//   1 y [rows, columns]   2 z [rows, rank]   3 a [patches, columns, rank]   4 inverse [.., n], a row of it from
//   `inverse_base`   5 patch_of_rank [n]   6 out [rows, columns]
// patch(i) = patch_of_rank[inverse[i]]. The delta A_p B is never built: z = B x is `linear`'s.
// With `one_patch` (static LoRA) every point uses a[0] and bindings 4 and 5 are not read.
#import dispatch
#import activation

struct Params {
    rows: u32,
    columns: u32,
    rank: u32,
    inverse_base: u32,
    activation: u32,
    one_patch: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> inverse: array<u32>;
@group(0) @binding(5) var<storage, read> patch_of_rank: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

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
    var patch_index = 0u;
    if params.one_patch == 0u {
        patch_index = patch_of_rank[inverse[params.inverse_base + row]];
    }
    let first = (patch_index * params.columns + i % params.columns) * params.rank;
    var sum = 0.0;
    for (var r = 0u; r < params.rank; r++) {
        sum += a[first + r] * z[row * params.rank + r];
    }
    out[i] = activate(y[i] + params.scale * sum, params.activation);
}
