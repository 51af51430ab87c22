// patch_attention_backward: with s[i, j] = scale * q[i] . k[j] and p[i, j] = softmax of s over the keys j of the window
// that i is a query of, head by head,
//   dS[i, j] = p[i, j] * (dO[i] . v[j] - dO[i] . O[i])
//   dq[i] = scale * sum over j of dS[i, j] k[j]   dk[j] = scale * sum over i of dS[i, j] q[i]
//   dv[j] = sum over i of p[i, j] dO[i]
//   1 qkv [n, 3 * heads * d] as [3][head][d]   2 order [.., n], a row of it from `order_base`   3 windows [w, 4]
//   4 attended O [n, heads * d]   5 gradient dO [n, heads * d]   6 statistics [n, heads, 3], by rank
//   7 out [n, 3 * heads * d], as qkv
// `queries` gives dq, one query of one head to an invocation, under the forward's online softmax, and keeps per query
// the largest score, one over the sum of weights, and dO . O. `keys` then gives dk and dv, one key to an invocation:
// those of its own window's queries, then those of the windows after it that reach back to it. No two invocations
// write to one place, and every sum has one order.
// Windows and operands are as in patch_attention, variants too.
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
    first_window: u32,
    end_window: u32,
    windows: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> windows: array<vec4<u32>>;
#ifdef VEC4
@group(0) @binding(4) var<storage, read> attended: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read> attended: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
#endif
@group(0) @binding(6) var<storage, read_write> statistics: array<f32>;

// Keys and values in `queries`; queries and their gradients in `keys`.
var<workgroup> left_tile: array<vec4<f32>, TILE * QUADS>;
var<workgroup> right_tile: array<vec4<f32>, TILE * QUADS>;
var<workgroup> statistics_tile: array<vec3<f32>, TILE>;

// What a workgroup works on: 64 ranks, from the first of which an invocation is `local` away, and their window.
struct Block {
    head: u32,
    first: u32,
    index: u32,
    window: vec4<u32>,
    // Whether there is anything to do.
    any: bool,
}

fn block_of(flat: u32) -> Block {
    let first = flat / params.heads % params.blocks * 64u;
    let index = params.first_window + flat / (params.heads * params.blocks);
    var window = vec4(0u);
    if index < params.end_window {
        window = windows[index];
    }
    return Block(flat % params.heads, first, index, window, first < window.y);
}

fn attended_quad(row: u32, head: u32, quad: u32) -> vec4<f32> {
    let first = (row * params.heads + head) * params.head_dim;
#ifdef VEC4
    return attended[first / 4u + quad];
#else
    var loaded = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        if quad * 4u + i < params.head_dim {
            loaded[i] = attended[first + quad * 4u + i];
        }
    }
    return loaded;
#endif
}

fn gradient_quad(row: u32, head: u32, quad: u32) -> vec4<f32> {
    let first = (row * params.heads + head) * params.head_dim;
#ifdef VEC4
    return gradient[first / 4u + quad];
#else
    var loaded = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        if quad * 4u + i < params.head_dim {
            loaded[i] = gradient[first + quad * 4u + i];
        }
    }
    return loaded;
#endif
}

fn write_quad(row: u32, part: u32, head: u32, quad: u32, value: vec4<f32>) {
    let first = ((row * 3u + part) * params.heads + head) * params.head_dim;
#ifdef VEC4
    out[first / 4u + quad] = value;
#else
    for (var i = 0u; i < 4u; i++) {
        if quad * 4u + i < params.head_dim {
            out[first + quad * 4u + i] = value[i];
        }
    }
#endif
}

fn statistics_at(rank: u32, head: u32) -> u32 {
    return ((rank - params.rank_base) * params.heads + head) * 3u;
}

@compute @workgroup_size(64)
fn queries(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = block_of(flat_group(group, groups));
    let head = block.head;
    let in_range = block.first + local < block.window.y;
    let rank = block.window.x + block.first + local;
    // A block without queries has no keys to walk over.
    let key_count = select(0u, block.window.w, block.any);

    var q: array<vec4<f32>, QUADS>;
    var g: array<vec4<f32>, QUADS>;
    var sums: array<vec4<f32>, QUADS>;
    var delta = 0.0;
    for (var c = 0u; c < QUADS; c++) {
        q[c] = vec4(0.0);
        g[c] = vec4(0.0);
        sums[c] = vec4(0.0);
        if in_range {
            let row = row_of(rank);
            q[c] = head_quad(row, 0u, head, c) * params.scale;
            g[c] = gradient_quad(row, head, c);
            delta += dot(g[c], attended_quad(row, head, c));
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
                let row = row_of(block.window.z + key);
                k = head_quad(row, 1u, head, i % QUADS);
                v = head_quad(row, 2u, head, i % QUADS);
            }
            left_tile[i] = k;
            right_tile[i] = v;
        }
        workgroupBarrier();
        let staged = min(TILE, key_count - first);
        for (var j = 0u; j < staged; j += 4u) {
            var scores = vec4(NO_SCORE);
            var products = vec4(0.0);
            for (var i = 0u; i < 4u; i++) {
                if first + j + i < key_count {
                    var score = 0.0;
                    var product = 0.0;
                    for (var c = 0u; c < QUADS; c++) {
                        score += dot(q[c], left_tile[(j + i) * QUADS + c]);
                        product += dot(g[c], right_tile[(j + i) * QUADS + c]);
                    }
                    scores[i] = score;
                    products[i] = product;
                }
            }
            let highest = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
            let rescale = exp(largest - highest);
            let weights = exp(scores - vec4(highest));
            let slopes = weights * (products - vec4(delta));
            total = total * rescale + dot(weights, vec4(1.0));
            for (var c = 0u; c < QUADS; c++) {
                let at = j * QUADS + c;
                sums[c] = sums[c] * rescale + slopes.x * left_tile[at] + slopes.y * left_tile[at + QUADS]
                    + slopes.z * left_tile[at + 2u * QUADS] + slopes.w * left_tile[at + 3u * QUADS];
            }
            largest = highest;
        }
        workgroupBarrier();
    }

    if in_range {
        let at = statistics_at(rank, head);
        statistics[at] = largest;
        statistics[at + 1u] = 1.0 / total;
        statistics[at + 2u] = delta;
        let row = row_of(rank);
        for (var c = 0u; c < QUADS; c++) {
            write_quad(row, 0u, head, c, sums[c] * (params.scale / total));
        }
    }
}

@compute @workgroup_size(64)
fn keys(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = block_of(flat_group(group, groups));
    let head = block.head;
    // Every rank is a query of one window, and a key of that window and of those that reach back to it.
    let in_range = block.first + local < block.window.y;
    let rank = block.window.x + block.first + local;
    let end_rank = block.window.x + block.window.y;
    let end_window = select(0u, params.windows, block.any);

    var k: array<vec4<f32>, QUADS>;
    var v: array<vec4<f32>, QUADS>;
    var key_sums: array<vec4<f32>, QUADS>;
    var value_sums: array<vec4<f32>, QUADS>;
    for (var c = 0u; c < QUADS; c++) {
        k[c] = vec4(0.0);
        v[c] = vec4(0.0);
        key_sums[c] = vec4(0.0);
        value_sums[c] = vec4(0.0);
        if in_range {
            let row = row_of(rank);
            k[c] = head_quad(row, 1u, head, c) * params.scale;
            v[c] = head_quad(row, 2u, head, c);
        }
    }

    for (var index = block.index; index < end_window; index++) {
        let window = windows[index];
        if window.z >= end_rank {
            break;
        }
        let is_key = in_range && rank >= window.z;
        for (var first = 0u; first < window.y; first += TILE) {
            for (var i = local; i < TILE * QUADS; i += 64u) {
                let query = first + i / QUADS;
                var q = vec4(0.0);
                var g = vec4(0.0);
                if query < window.y {
                    let row = row_of(window.x + query);
                    q = head_quad(row, 0u, head, i % QUADS);
                    g = gradient_quad(row, head, i % QUADS);
                }
                left_tile[i] = q;
                right_tile[i] = g;
            }
            for (var i = local; i < TILE; i += 64u) {
                if first + i < window.y {
                    let at = statistics_at(window.x + first + i, head);
                    statistics_tile[i] = vec3(statistics[at], statistics[at + 1u], statistics[at + 2u]);
                }
            }
            workgroupBarrier();
            if is_key {
                let staged = min(TILE, window.y - first);
                for (var j = 0u; j < staged; j++) {
                    var score = 0.0;
                    var product = 0.0;
                    for (var c = 0u; c < QUADS; c++) {
                        score += dot(k[c], left_tile[j * QUADS + c]);
                        product += dot(v[c], right_tile[j * QUADS + c]);
                    }
                    let of_query = statistics_tile[j];
                    let weight = exp(score - of_query.x) * of_query.y;
                    let slope = weight * (product - of_query.z);
                    for (var c = 0u; c < QUADS; c++) {
                        key_sums[c] += slope * left_tile[j * QUADS + c];
                        value_sums[c] += weight * right_tile[j * QUADS + c];
                    }
                }
            }
            workgroupBarrier();
        }
    }

    if in_range {
        let row = row_of(rank);
        for (var c = 0u; c < QUADS; c++) {
            write_quad(row, 1u, head, c, key_sums[c] * params.scale);
            write_quad(row, 2u, head, c, value_sums[c]);
        }
    }
}
