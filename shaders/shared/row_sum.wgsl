// The sum over the sixteen neighbouring invocations that share a row, known to each of them; a workgroup of 256 holds
// sixteen rows. A tree, always in the same order.

var<workgroup> row_sums: array<f32, 256>;

fn row_sum(value: f32, local: u32) -> f32 {
    row_sums[local] = value;
    workgroupBarrier();
    for (var step = 8u; step > 0u; step >>= 1u) {
        if local % 16u < step {
            row_sums[local] += row_sums[local + step];
        }
        workgroupBarrier();
    }
    let sum = row_sums[local / 16u * 16u];
    workgroupBarrier();
    return sum;
}
