// invert_permutation: inverse[k, order[k, i]] = i.
//   1 order [r, n]   2 inverse [r, n]
#import dispatch

struct Params {
    n: u32,
    total: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * 256u + local;
    if at >= params.total {
        return;
    }
    let i = at % params.n;
    inverse[at - i + order[at]] = i;
}
