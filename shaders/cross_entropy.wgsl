// cross_entropy: the weighted mean over the labelled rows of -log softmax(logits[i, :])[labels[i]], and its gradient
//   1 logits [rows, columns]   2 labels [rows]   3 class_weights [columns]
//   4 parts [groups of all dispatches, 2]: the weighted sum and the sum of weights of 256 rows (rows)
//   5 inverse [1]: 1 / the sum of all weights (slopes)   6 gradient [rows, columns] (slopes)
// One invocation per row: `rows` sums, `slopes` computes the softmax again, which costs less than keeping it.
#import dispatch
#import block_sum
#import row_softmax

struct Params {
    rows: u32,
    columns: u32,
    has_weights: u32,
    // The dispatch's first part.
    first_part: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> class_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> inverse: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<f32>;

// The row's class; a row that is ignored has none below `columns`, since a negative label wraps.
fn class_of(row: u32) -> u32 {
    return u32(labels[row]);
}

fn weight_of(class_index: u32) -> f32 {
    if class_index >= params.columns {
        return 0.0;
    }
    if params.has_weights == 1u {
        return class_weights[class_index];
    }
    return 1.0;
}

@compute @workgroup_size(256)
fn rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = flat_group(group, groups);
    let row = block * 256u + local;
    var weight = 0.0;
    var loss = 0.0;
    if row < params.rows {
        let class_index = class_of(row);
        weight = weight_of(class_index);
        if weight != 0.0 {
            loss = weight * surprise(row_softmax(row * params.columns, params.columns), class_index);
        }
    }
    let loss_sum = block_sum(local, loss);
    let weight_sum = block_sum(local, weight);
    if local == 0u && block * 256u < params.rows {
        parts[params.first_part + block] = vec2(loss_sum, weight_sum);
    }
}

@compute @workgroup_size(256)
fn slopes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 256u + local;
    if row >= params.rows {
        return;
    }
    let first = row * params.columns;
    let class_index = class_of(row);
    let scale = weight_of(class_index) * inverse[0];
    let softmax = row_softmax(first, params.columns);
    for (var c = 0u; c < params.columns; c++) {
        gradient[first + c] = scale * (probability(softmax, c) - f32(c == class_index));
    }
}
