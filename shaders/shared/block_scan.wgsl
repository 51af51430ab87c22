// Inclusive prefix sum over the 256 invocations of a workgroup. Call it once, by all of them; afterwards
// `partial[255]` is the total.
var<workgroup> partial: array<u32, 256>;

fn block_scan(local: u32, value: u32) -> u32 {
    partial[local] = value;
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        var sum = partial[local];
        if local >= step {
            sum += partial[local - step];
        }
        workgroupBarrier();
        partial[local] = sum;
    }
    workgroupBarrier();
    return partial[local];
}
