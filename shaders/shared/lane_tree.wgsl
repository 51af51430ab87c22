// A sum over the invocations of a workgroup of 256 that are `width` apart: local, local + width, local + 2 width, …,
// joined by a tree, always in the same order. `width` is a power of two.

var<workgroup> lane_sums: array<f32, 256>;

fn lane_tree(value: f32, local: u32, width: u32) -> f32 {
    lane_sums[local] = value;
    workgroupBarrier();
    for (var step = 128u; step >= width; step >>= 1u) {
        if local < step {
            lane_sums[local] += lane_sums[local + step];
        }
        workgroupBarrier();
    }
    let sum = lane_sums[local % width];
    workgroupBarrier();
    return sum;
}
