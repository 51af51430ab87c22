// The low-rank delta of a point, scale * A_p z, in the channels from `column` (four of them, a multiple of four; those
// past the last repeat it). The host's `params` name the columns, the rank, the row of `inverse` and the scale.
@group(0) @binding(4) var<storage, read> z: array<f32>;
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read> inverse: array<u32>;
@group(0) @binding(8) var<storage, read> patch_of_rank: array<u32>;

fn delta_quad(row: u32, column: u32) -> vec4<f32> {
    var patch_index = 0u;
    if params.one_patch == 0u {
        patch_index = patch_of_rank[inverse[params.inverse_base + row]];
    }
    let columns = min(vec4(column) + vec4(0u, 1u, 2u, 3u), vec4(params.columns - 1u));
    let first = (vec4(patch_index * params.columns) + columns) * params.rank;
    var sums = vec4(0.0);
    for (var r = 0u; r < params.rank; r++) {
        let weights = vec4(a[first.x + r], a[first.y + r], a[first.z + r], a[first.w + r]);
        sums += z[row * params.rank + r] * weights;
    }
    return params.scale * sums;
}
