// cell_coords: the cells that raster keys name, one per run.
//   1 keys [n] (high word, low word), sorted   2 starts [cells + 1]   3 grid [cells, 3] i32   4 batch [cells]
#import dispatch
#import key64

struct Params {
    cells: u32,
    depth: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> grid: array<i32>;
@group(0) @binding(4) var<storage, read_write> batch: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let cell = flat_group(group, groups) * 256u + local;
    if cell >= params.cells {
        return;
    }
    let key = keys[starts[cell]];
    let mask = (1u << params.depth) - 1u;
    grid[3u * cell] = i32(key_shr(key, 2u * params.depth) & mask);
    grid[3u * cell + 1u] = i32(key_shr(key, params.depth) & mask);
    grid[3u * cell + 2u] = i32(key.y & mask);
    batch[cell] = key_shr(key, 3u * params.depth);
}
