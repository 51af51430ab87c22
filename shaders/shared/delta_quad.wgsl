// The low-rank delta of a point, scale * A_p z, in the channels from `column` (four of them, a multiple of four).
// The host's `params` name the rank, the row of `inverse` and the scale.
@group(0) @binding(4) var<storage, read> z: array<f32>;
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read> inverse: array<u32>;
@group(0) @binding(8) var<storage, read> patch_of_rank: array<u32>;

fn delta_quad(row: u32, column: u32) -> vec4<f32> {
    var patch_index = 0u;
    if params.one_patch == 0u {
        patch_index = patch_of_rank[inverse[params.inverse_base + row]];
    }
    let first = (patch_index * params.columns + column) * params.rank;
    var sums = vec4(0.0);
    for (var r = 0u; r < params.rank; r++) {
        let at = first + r;
        let weights = vec4(a[at], a[at + params.rank], a[at + 2u * params.rank], a[at + 3u * params.rank]);
        sums += z[row * params.rank + r] * weights;
    }
    return params.scale * sums;
}
