// neighbor_mask: keys[p] = (0, one bit for each of the 27 neighbours that p has), sortable by radix_sort
//   1 neighbors [n, 27]   2 keys [n, 2]
#import dispatch

struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> neighbors: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<vec2<u32>>;

const ABSENT: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let point = flat_group(group, groups) * 256u + local;
    if point >= params.n {
        return;
    }
    var mask = 0u;
    for (var offset = 0u; offset < 27u; offset++) {
        mask |= u32(neighbors[point * 27u + offset] != ABSENT) << offset;
    }
    keys[point] = vec2(0u, mask);
}
