// sum_squares: the sum of squares of many tensors, in two entry points
//   1 x [n] (squares)   2 parts [groups of all dispatches], the sums of 4096 elements each (squares: written)
//   3 sums [count], those parts (total)   4 out [1] (total)
// An invocation sums its stride, then a fixed tree joins the sums of the workgroup. `total` is one workgroup.
#import dispatch
#import block_sum

const ITEMS = 16u;

struct Params {
    // Elements of x (squares), or of sums (total).
    n: u32,
    // The dispatch's first part.
    first_part: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn squares(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = flat_group(group, groups);
    var sum = 0.0;
    for (var item = 0u; item < ITEMS; item++) {
        let i = (block * ITEMS + item) * 256u + local;
        if i < params.n {
            sum += x[i] * x[i];
        }
    }
    let total = block_sum(local, sum);
    if local == 0u && block * ITEMS * 256u < params.n {
        parts[params.first_part + block] = total;
    }
}

@compute @workgroup_size(256)
fn total(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < params.n; i += 256u) {
        sum += sums[i];
    }
    let whole = block_sum(local, sum);
    if local == 0u {
        out[0] = whole;
    }
}
