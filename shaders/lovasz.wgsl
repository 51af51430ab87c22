// lovasz: the Lovász extension of the Jaccard loss, per class over the points in descending order of their errors
//   1 logits [rows, columns] (errors, slopes)   2 labels [rows] (errors)
//   3 keys_out [classes, n, 2] (errors)   4 keys [classes, n, 2], sorted (flags, steps)   5 flags_out [classes, n] (flags)
//   6 order [classes, n]   7 found [classes * n + 1], the scan of the flags   8 parts [classes * blocks, 2] (steps)
//   9 gradient [rows, columns]: d loss / d probability (steps), then d loss / d logit (slopes)
//   10 inverse [1]: 1 / the number of classes present (slopes)
// A key is (1 for a point of the class, else 0; ONE - the error's bits): errors are at least 0, so their bits order them.
#import dispatch
#import block_sum
#import row_softmax

// The bits of 1.0, the largest error.
const ONE = 0x3f800000u;
// The key of an ignored point, after those of all others.
const IGNORED = 0x3fffffffu;
const ITEMS = 4u;

struct Params {
    // The rows that the dispatch sees, and the first of them.
    rows: u32,
    first_row: u32,
    columns: u32,
    // The classes that the dispatch computes, and the first of them.
    classes: u32,
    first_class: u32,
    // All points.
    n: u32,
    // Blocks of 1024 points per class.
    blocks: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> keys_out: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> flags_out: array<u32>;
@group(0) @binding(6) var<storage, read> order: array<u32>;
@group(0) @binding(7) var<storage, read> found: array<u32>;
@group(0) @binding(8) var<storage, read_write> parts: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(10) var<storage, read> inverse: array<f32>;

// One invocation per point: its errors |[own class] - probability| as keys.
@compute @workgroup_size(64)
fn errors(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 64u + local;
    if row >= params.rows {
        return;
    }
    let softmax = row_softmax(row * params.columns, params.columns);
    // A negative label wraps: no class at all, as one that is too large.
    let own = u32(labels[row]);
    for (var c = 0u; c < params.classes; c++) {
        let class_index = params.first_class + c;
        let p = probability(softmax, class_index);
        // A division that is not correctly rounded may pass 1.
        let error = clamp(select(p, 1.0 - p, class_index == own), 0.0, 1.0);
        let key = select(IGNORED, ONE - bitcast<u32>(error), own < params.columns);
        keys_out[c * params.n + params.first_row + row] = vec2(u32(class_index == own), key);
    }
}

// One invocation per key: whether the point belongs to the class.
@compute @workgroup_size(256)
fn flags(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i < params.classes * params.n {
        flags_out[i] = keys[i].x;
    }
}

// How much the Jaccard loss 1 - intersection / union of a class of `size` points grows with the point of rank `before`,
// `own` points of the class having been found up to it, itself included. It is the difference of the two
// losses in closed form, which does not cancel.
fn jaccard_step(size: u32, own: u32, before: u32, is_own: bool) -> f32 {
    let union_size = f32(size + before + 1u - own);
    if is_own {
        return 1.0 / union_size;
    }
    return f32(size - own) / union_size / (union_size - 1.0);
}

// A workgroup per 1024 ranks of one class: their share of the loss, and d loss / d probability.
@compute @workgroup_size(256)
fn steps(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let task = flat_group(group, groups);
    let class_index = task / params.blocks;
    let block = task % params.blocks;
    let first = class_index * params.n;
    var loss = 0.0;
    var size = 0u;
    if class_index < params.classes {
        let earlier = found[first];
        size = found[first + params.n] - earlier;
        for (var item = 0u; item < ITEMS; item++) {
            let rank = (block * ITEMS + item) * 256u + local;
            if rank >= params.n {
                break;
            }
            let key = keys[first + rank];
            let is_own = key.x == 1u;
            var slope = 0.0;
            // A class that no point has is left out of the mean.
            if key.y != IGNORED && size > 0u {
                let error = bitcast<f32>(ONE - key.y);
                let step = jaccard_step(size, found[first + rank + 1u] - earlier, rank, is_own);
                loss += step * error;
                // Where the error is 0 its absolute value has no slope.
                slope = select(0.0, select(step, -step, is_own), error > 0.0);
            }
            // A dispatch writes only the rows it sees.
            let row = order[first + rank] - params.first_row;
            if row < params.rows {
                gradient[row * params.columns + params.first_class + class_index] = slope;
            }
        }
    }
    let sum = block_sum(local, loss);
    if local == 0u && class_index < params.classes {
        parts[params.first_class * params.blocks + task] = vec2(sum, f32(block == 0u && size > 0u));
    }
}

// One invocation per row: through the softmax, dx_j = p_j (d_j - sum over k of d_k p_k), over the classes' number.
@compute @workgroup_size(64)
fn slopes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 64u + local;
    if row >= params.rows {
        return;
    }
    let first = row * params.columns;
    let softmax = row_softmax(first, params.columns);
    var mean = 0.0;
    for (var c = 0u; c < params.columns; c++) {
        mean += gradient[first + c] * probability(softmax, c);
    }
    for (var c = 0u; c < params.columns; c++) {
        gradient[first + c] = inverse[0] * probability(softmax, c) * (gradient[first + c] - mean);
    }
}
