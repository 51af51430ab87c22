// neighbor_table: the points in the 27 cells around each point, by search in the sorted raster keys.
//   1 keys [n] (high word, low word)   2 order [n]   3 grid [rows, 3] i32   4 batch [rows]   5 table [rows, 27]
// One invocation per point and (dx, dy): z is the lowest digit of a key, so the three cells of a run follow each
// other in the sorted keys.
#import dispatch
#import key64
#import raster

const ABSENT = 0xffffffffu;

struct Params {
    n: u32,
    rows: u32,
    depth: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> grid: array<i32>;
@group(0) @binding(4) var<storage, read> batch: array<u32>;
@group(0) @binding(5) var<storage, read_write> table: array<u32>;

// The first place from `begin` on whose key is not less than `key`.
fn lower_bound(begin: u32, key: vec2<u32>) -> u32 {
    var low = begin;
    var high = params.n;
    while low < high {
        let middle = (low + high) / 2u;
        if key_less(keys[middle], key) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * 256u + local;
    if at >= params.rows * 9u {
        return;
    }
    let row = at / 9u;
    let run = at % 9u;
    let side = i32(1u << params.depth);
    let x = grid[3u * row] + i32(run / 3u) - 1;
    let y = grid[3u * row + 1u] + i32(run % 3u) - 1;
    let inside = x >= 0 && x < side && y >= 0 && y < side;
    var place = 0u;
    var searched = false;
    for (var c = 0u; c < 3u; c += 1u) {
        let z = grid[3u * row + 2u] + i32(c) - 1;
        var neighbor = ABSENT;
        if inside && z >= 0 && z < side {
            let key = raster_key(batch[row], vec3(u32(x), u32(y), u32(z)), params.depth);
            // From one cell of a run to the next is one step, unless a cell holds several points.
            if searched && place < params.n && key_less(keys[place], key) {
                place += 1u;
            }
            if !searched || (place < params.n && key_less(keys[place], key)) {
                place = lower_bound(place, key);
                searched = true;
            }
            if place < params.n && key_equal(keys[place], key) {
                neighbor = order[place];
            }
        }
        table[at * 3u + c] = neighbor;
    }
}
