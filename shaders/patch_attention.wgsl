// patch_attention: out[i, h] = sum over the window's keys j of softmax_j(q[i, h] . k[j, h] * scale) v[j, h]
//   1 qkv [n, 3 * heads * d] as [3][head][d]   2 order [.., n], a row of it from `order_base`   3 windows [w, 4]
//   4 out [n, heads * d]
// A window is (query_start, query_count, key_start, key_count) in ranks of the serialized order. One invocation is
// one query of one head, a workgroup 64 queries; TILE keys and values at a time are staged in workgroup memory, and
// the softmax is kept online: scores are never stored.
// Variants without VEC4 take any head dimension up to HEAD_DIM and fill up with zeros.
// With `serialized`, qkv holds the ranks from `rank_base` on and out those from `query_base` on, in serialized order,
// and `order` is not read.
#import dispatch
#import head_quad

struct Params {
    heads: u32,
    head_dim: u32,
    order_base: u32,
    blocks: u32,
    scale: f32,
    serialized: u32,
    rank_base: u32,
    query_base: u32,
    windows: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> windows: array<vec4<u32>>;
#ifdef VEC4
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#endif

#ifdef BROADCAST
#else
var<workgroup> keys: array<vec4<f32>, TILE * QUADS>;
var<workgroup> values: array<vec4<f32>, TILE * QUADS>;
#endif

#ifdef BROADCAST
// What a query has gathered of the keys so far: its largest score, the sum of its weights, and its weighted values.
struct Query {
    q: mat4x4<f32>,
    o: mat4x4<f32>,
    largest: f32,
    total: f32,
}

fn load_query(rank: u32, head: u32) -> Query {
    let row = row_of(rank);
    let q = mat4x4(
        head_quad(row, 0u, head, 0u), head_quad(row, 0u, head, 1u),
        head_quad(row, 0u, head, 2u), head_quad(row, 0u, head, 3u)
    );
    return Query(params.scale * q, mat4x4<f32>(), NO_SCORE, 0.0);
}

fn score_of(q: mat4x4<f32>, k: mat4x4<f32>) -> f32 {
    let products = q[0] * k[0] + q[1] * k[1] + q[2] * k[2] + q[3] * k[3];
    return (products.x + products.y) + (products.z + products.w);
}

// Four keys and their values, `there` or not.
fn attend(
    query: ptr<function, Query>, there: vec4<bool>,
    k0: mat4x4<f32>, k1: mat4x4<f32>, k2: mat4x4<f32>, k3: mat4x4<f32>,
    v0: mat4x4<f32>, v1: mat4x4<f32>, v2: mat4x4<f32>, v3: mat4x4<f32>,
) {
    let q = (*query).q;
    let found = vec4(score_of(q, k0), score_of(q, k1), score_of(q, k2), score_of(q, k3));
    let scores = select(vec4(NO_SCORE), found, there);
    let highest = max((*query).largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let rescale = exp((*query).largest - highest);
    // A missing key weighs exp(-1e30 - ..) = 0.
    let weights = exp(scores - vec4(highest));
    (*query).total = (*query).total * rescale + (weights.x + weights.y) + (weights.z + weights.w);
    (*query).o = (*query).o * rescale + v0 * weights.x + v1 * weights.y + v2 * weights.z + v3 * weights.w;
    (*query).largest = highest;
}

fn head_of(row: u32, part: u32, head: u32) -> mat4x4<f32> {
    return mat4x4(
        head_quad(row, part, head, 0u), head_quad(row, part, head, 1u),
        head_quad(row, part, head, 2u), head_quad(row, part, head, 3u)
    );
}

fn write_query(query: Query, rank: u32, head: u32, last: u32) {
    if rank > last {
        return;
    }
    var row = rank - params.query_base;
    if params.serialized == 0u {
        row = order[params.order_base + rank];
    }
    let at = (row * params.heads + head) * 4u;
    out[at] = query.o[0] / query.total;
    out[at + 1u] = query.o[1] / query.total;
    out[at + 2u] = query.o[2] / query.total;
    out[at + 3u] = query.o[3] / query.total;
}

// An adapter that is a program on a CPU: an invocation is 8 queries, whose keys and values are loads that the whole
// workgroup shares.
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let flat = flat_group(group, groups);
    let head = flat % params.heads;
    let block = flat / params.heads % params.blocks;
    let window_index = flat / (params.heads * params.blocks);
    if window_index >= params.windows {
        return;
    }
    let window = windows[window_index];
    if block * 64u >= window.y {
        return;
    }
    let last = window.x + window.y - 1u;
    let rank = window.x + block * 64u + local;
    var q0 = load_query(min(rank, last), head);
    var q1 = load_query(min(rank + 8u, last), head);
    var q2 = load_query(min(rank + 16u, last), head);
    var q3 = load_query(min(rank + 24u, last), head);
    var q4 = load_query(min(rank + 32u, last), head);
    var q5 = load_query(min(rank + 40u, last), head);
    var q6 = load_query(min(rank + 48u, last), head);
    var q7 = load_query(min(rank + 56u, last), head);

    let last_key = window.w - 1u;
    for (var key = 0u; key < window.w; key += 4u) {
        let r0 = row_of(window.z + min(key, last_key));
        let r1 = row_of(window.z + min(key + 1u, last_key));
        let r2 = row_of(window.z + min(key + 2u, last_key));
        let r3 = row_of(window.z + min(key + 3u, last_key));
        let k0 = head_of(r0, 1u, head);
        let k1 = head_of(r1, 1u, head);
        let k2 = head_of(r2, 1u, head);
        let k3 = head_of(r3, 1u, head);
        let there = vec4(key) + vec4(0u, 1u, 2u, 3u) <= vec4(last_key);
        let v0 = head_of(r0, 2u, head);
        let v1 = head_of(r1, 2u, head);
        let v2 = head_of(r2, 2u, head);
        let v3 = head_of(r3, 2u, head);
        attend(&q0, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q1, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q2, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q3, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q4, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q5, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q6, there, k0, k1, k2, k3, v0, v1, v2, v3);
        attend(&q7, there, k0, k1, k2, k3, v0, v1, v2, v3);
    }

    write_query(q0, rank, head, last);
    write_query(q1, rank + 8u, head, last);
    write_query(q2, rank + 16u, head, last);
    write_query(q3, rank + 24u, head, last);
    write_query(q4, rank + 32u, head, last);
    write_query(q5, rank + 40u, head, last);
    write_query(q6, rank + 48u, head, last);
    write_query(q7, rank + 56u, head, last);
}
#else
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
#endif
