// Sum over the 256 invocations of a workgroup, by a fixed tree. Call it by all of them; each gets the sum.
var<workgroup> block_sums: array<f32, 256>;

fn block_sum(local: u32, value: f32) -> f32 {
    // A sum before this one may still be being read.
    workgroupBarrier();
    block_sums[local] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            block_sums[local] += block_sums[local + half];
        }
    }
    workgroupBarrier();
    return block_sums[0];
}
