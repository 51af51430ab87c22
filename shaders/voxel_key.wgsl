// voxel_key: grid coordinate = number of thresholds that the coordinate reaches.
//   1 x [n, 3] f32, as bits   2 thresholds, ascending, of x, then y, then z, as ordered integers   3 grid [n, 3] i32
// Bits of floats are compared as integers: exact whatever a driver does to denormals or divisions. One invocation
// per coordinate.
#import dispatch

struct Params {
    n: u32,
    // Where in `thresholds` those of y and z begin, and where all end.
    y: u32,
    z: u32,
    end: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read_write> grid: array<i32>;

// An integer that orders as the float does; -0 comes just before +0.
fn ordered(bits: u32) -> u32 {
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= 3u * params.n {
        return;
    }
    let axis = i % 3u;
    let begin = select(select(params.z, params.y, axis == 1u), 0u, axis == 0u);
    let end = select(select(params.end, params.z, axis == 1u), params.y, axis == 0u);
    let value = ordered(x[i]);
    var low = begin;
    var high = end;
    while low < high {
        let middle = (low + high) / 2u;
        if thresholds[middle] <= value {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    grid[i] = i32(low - begin);
}
