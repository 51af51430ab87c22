// low_rank_delta: out[i, o] = act(y[i, o] + scale * sum over r of a[patch(i), o, r] * z[i, r])
//   1 y [rows, columns]   4 z [rows, rank]   5 out [rows, columns]   6 a [patches, columns, rank]
//   7 inverse [.., n], a row of it from `inverse_base`   8 patch_of_rank [n]
// patch(i) = patch_of_rank[inverse[i]]. The delta A_p B is never built: z = B x is `linear`'s, whose bindings these are.
// With `one_patch` (static LoRA) every point uses a[0] and bindings 7 and 8 are not read.
// One invocation is four channels of a point.
#import dispatch
#import activation
#import delta_quad

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
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    let quads = (params.columns + 3u) / 4u;
    if i >= params.rows * quads {
        return;
    }
    let row = i / quads;
    let column = i % quads * 4u;
    let delta = delta_quad(row, column);
    for (var k = 0u; k < min(4u, params.columns - column); k++) {
        let at = row * params.columns + column + k;
        out[at] = activate(y[at] + delta[k], params.activation);
    }
}
