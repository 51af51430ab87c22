// Inclusive prefix sum over the 256 invocations of a workgroup. Call it once, by all of them; afterwards
// `partial_sums[255]` is the total.
var<workgroup> partial_sums: array<u32, 256>;

fn block_scan(local: u32, value: u32) -> u32 {
    partial_sums[local] = value;
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        var sum = partial_sums[local];
        if local >= step {
            sum += partial_sums[local - step];
        }
        workgroupBarrier();
        partial_sums[local] = sum;
    }
    workgroupBarrier();
    return partial_sums[local];
}
