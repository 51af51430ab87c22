// Mean and reciprocal standard deviation of a row of `x`, known to the sixteen invocations that share it. They are
// summed in two passes, in a fixed order: the lane's stride first, then a tree over the lanes.
#import row_sum

// A row past the end takes part in the barriers with no columns: its `columns` is 0, and its result means nothing.
fn row_statistics(first: u32, columns: u32, local: u32) -> vec2<f32> {
    let lane = local % 16u;
    var sum = 0.0;
    for (var c = lane; c < columns; c += 16u) {
        sum += x[first + c];
    }
    let mean = row_sum(sum, local) / f32(params.columns);
    var squares = 0.0;
    for (var c = lane; c < columns; c += 16u) {
        let centred = x[first + c] - mean;
        squares += centred * centred;
    }
    return vec2(mean, 1.0 / sqrt(row_sum(squares, local) / f32(params.columns) + params.eps));
}
