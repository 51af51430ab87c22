// The softmax of a row of logits at binding 1. The CPU twin is `kernels::loss::softmax`.
@group(0) @binding(1) var<storage, read> logits: array<f32>;

struct RowSoftmax {
    // Index of the row's first logit.
    first: u32,
    largest: f32,
    // The sum of exp(logit - largest).
    total: f32,
}

fn row_softmax(first: u32, columns: u32) -> RowSoftmax {
    var largest = logits[first];
    for (var c = 1u; c < columns; c++) {
        largest = max(largest, logits[first + c]);
    }
    var total = 0.0;
    for (var c = 0u; c < columns; c++) {
        total += exp(logits[first + c] - largest);
    }
    return RowSoftmax(first, largest, total);
}

fn probability(row: RowSoftmax, column: u32) -> f32 {
    return exp(logits[row.first + column] - row.largest) / row.total;
}

// -log(probability), without the detour over a probability that may be 0.
fn surprise(row: RowSoftmax, column: u32) -> f32 {
    return log(row.total) - (logits[row.first + column] - row.largest);
}
