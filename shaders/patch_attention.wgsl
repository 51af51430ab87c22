// patch_attention: out[i, h] = sum over the window's keys j of softmax_j(q[i, h] . k[j, h] * scale) v[j, h]
//   1 qkv [n, 3 * heads * d] as [3][head][d]   2 order [.., n], a row of it from `order_base`   3 windows [w, 4]
//   4 out [n, heads * d]
// A window is (query_start, query_count, key_start, key_count) in ranks of the serialized order. One invocation is
// one query of one head, a workgroup 64 queries; TILE keys and values at a time are staged in workgroup memory, and
// the softmax is kept online: scores are never stored.
// Variants without VEC4 take any head dimension up to HEAD_DIM and fill up with zeros.
// With `serialized`, qkv and out hold ranks [rank_base, ..) in serialized order and `order` is not read.
#import dispatch

struct Params {
    heads: u32,
    head_dim: u32,
    order_base: u32,
    blocks: u32,
    scale: f32,
    serialized: u32,
    key_base: u32,
    query_base: u32,
    windows: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
#ifdef VEC4
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
#endif
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> windows: array<vec4<u32>>;
#ifdef VEC4
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#endif

const QUADS: u32 = HEAD_DIM / 4u;
// The score of a key that is not there: exp of it is zero beside any real score.
const NO_SCORE: f32 = -1e30;

var<workgroup> keys: array<vec4<f32>, TILE * QUADS>;
var<workgroup> values: array<vec4<f32>, TILE * QUADS>;

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

// Row of qkv that holds a rank.
fn row_of(rank: u32) -> u32 {
    if params.serialized == 1u {
        return rank - params.key_base;
    }
    return order[params.order_base + rank];
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let flat = flat_group(group, groups);
    let head = flat % params.heads;
    let block = flat / params.heads % params.blocks;
    let window_index = flat / (params.heads * params.blocks);
    var window = vec4(0u);
    if window_index < params.windows {
        window = windows[window_index];
    }
    let query = block * 64u + local;
    let in_range = query < window.y;
    // A block without queries has no keys to walk over.
    let key_count = select(0u, window.w, block * 64u < window.y);

    var q: array<vec4<f32>, QUADS>;
    var o: array<vec4<f32>, QUADS>;
    let rank = window.x + query;
    for (var c = 0u; c < QUADS; c++) {
        q[c] = vec4(0.0);
        o[c] = vec4(0.0);
        if in_range {
            q[c] = head_quad(row_of(rank), 0u, head, c) * params.scale;
        }
    }

    var largest = NO_SCORE;
    var total = 0.0;
    for (var first = 0u; first < key_count; first += TILE) {
        for (var i = local; i < TILE * QUADS; i += 64u) {
            let key = first + i / QUADS;
            var k = vec4(0.0);
            var v = vec4(0.0);
            if key < key_count {
                let row = row_of(window.z + key);
                k = head_quad(row, 1u, head, i % QUADS);
                v = head_quad(row, 2u, head, i % QUADS);
            }
            keys[i] = k;
            values[i] = v;
        }
        workgroupBarrier();
        // Four keys at a time: one new maximum and one rescaling for the four.
        for (var j = 0u; j < TILE; j += 4u) {
            var scores = vec4(NO_SCORE);
            for (var i = 0u; i < 4u; i++) {
                if first + j + i < key_count {
                    var score = 0.0;
                    for (var c = 0u; c < QUADS; c++) {
                        score += dot(q[c], keys[(j + i) * QUADS + c]);
                    }
                    scores[i] = score;
                }
            }
            let highest = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
            let rescale = exp(largest - highest);
            // A missing key weighs exp(-1e30 - ..) = 0.
            let weights = exp(scores - vec4(highest));
            total = total * rescale + dot(weights, vec4(1.0));
            for (var c = 0u; c < QUADS; c++) {
                let at = j * QUADS + c;
                o[c] = o[c] * rescale + weights.x * values[at] + weights.y * values[at + QUADS]
                    + weights.z * values[at + 2u * QUADS] + weights.w * values[at + 3u * QUADS];
            }
            largest = highest;
        }
        workgroupBarrier();
    }

    if in_range {
        var row = rank - params.query_base;
        if params.serialized == 0u {
            row = order[params.order_base + rank];
        }
        let target_first = (row * params.heads + head) * params.head_dim;
        for (var c = 0u; c < QUADS; c++) {
            let mean = o[c] / total;
#ifdef VEC4
            out[target_first / 4u + c] = mean;
#else
            for (var i = 0u; i < 4u; i++) {
                if c * 4u + i < params.head_dim {
                    out[target_first + c * 4u + i] = mean[i];
                }
            }
#endif
        }
    }
}
