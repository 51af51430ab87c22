// weighted_mean: mean[0] = (sum of parts[:, 0]) / (sum of parts[:, 1]), inverse[0] = 1 / (sum of parts[:, 1]);
// both 0 where that sum is 0
//   1 parts [count, 2]   2 mean [1]   3 inverse [1]
// One workgroup: an invocation sums its stride, then a fixed tree joins the sums.
#import block_sum

struct Params {
    count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> inverse: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sums = vec2(0.0);
    for (var i = local; i < params.count; i += 256u) {
        sums += parts[i];
    }
    let sum = block_sum(local, sums.x);
    let weight = block_sum(local, sums.y);
    if local == 0u {
        if weight == 0.0 {
            mean[0] = 0.0;
            inverse[0] = 0.0;
        } else {
            mean[0] = sum / weight;
            inverse[0] = 1.0 / weight;
        }
    }
}
