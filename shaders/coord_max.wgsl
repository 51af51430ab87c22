// coord_max: the largest of the coordinates that each workgroup sees; negative ones count as huge.
//   1 grid [total] i32   2 largest [groups]
#import dispatch

struct Params {
    total: u32,
    groups: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grid: array<i32>;
@group(0) @binding(2) var<storage, read_write> largest: array<u32>;

var<workgroup> partial_max: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let flat = flat_group(group, groups);
    var found = 0u;
    for (var i = flat * 256u + local; i < params.total; i += params.groups * 256u) {
        found = max(found, u32(grid[i]));
    }
    partial_max[local] = found;
    for (var width = 128u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if local < width {
            partial_max[local] = max(partial_max[local], partial_max[local + width]);
        }
    }
    if local == 0u && flat < params.groups {
        largest[flat] = partial_max[0];
    }
}
