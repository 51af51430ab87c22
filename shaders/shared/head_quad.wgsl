// Heads of rows at binding 1, qkv [.., 3 * heads * d] as [3][head][d], and where the rows lie. The host's `params`
// name the heads, the head dimension, where the row of `order` (binding 2) starts, and whether the operands are in
// serialized order themselves, from `rank_base` on. Without VEC4 a head is filled up with zeros to HEAD_DIM.

#ifdef VEC4
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
#endif
@group(0) @binding(2) var<storage, read> order: array<u32>;

const QUADS: u32 = HEAD_DIM / 4u;
// The score of a key that is not there: exp of it is zero beside any real score.
const NO_SCORE: f32 = -1e30;

// Elements 4*quad.. of the query (part 0), key (1) or value (2) of a row.
fn head_quad(row: u32, part: u32, head: u32, quad: u32) -> vec4<f32> {
    let first = ((row * 3u + part) * params.heads + head) * params.head_dim;
#ifdef VEC4
    return qkv[first / 4u + quad];
#else
    var loaded = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        if quad * 4u + i < params.head_dim {
            loaded[i] = qkv[first + quad * 4u + i];
        }
    }
    return loaded;
#endif
}

// Row of the operands that holds a rank.
fn row_of(rank: u32) -> u32 {
    if params.serialized == 1u {
        return rank - params.rank_base;
    }
    return order[params.order_base + rank];
}
