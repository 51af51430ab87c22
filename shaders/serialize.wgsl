// serialize: code[k, i] = batch[i] << 3 depth | curve k of the cell grid[i] / stride.
//   1 grid [n, 3] i32   2 batch [n]   3 codes [r, n] (high word, low word)
// One invocation per code.
#import dispatch
#import key64
#import raster

struct Params {
    n: u32,
    rows: u32,
    depth: u32,
    stride: u32,
    // Four bits per row: 0 z, 1 z-trans, 2 hilbert, 3 hilbert-trans, 4 raster.
    curves: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grid: array<i32>;
@group(0) @binding(2) var<storage, read> batch: array<u32>;
@group(0) @binding(3) var<storage, read_write> codes: array<vec2<u32>>;

// The lowest ten bits, two places apart.
fn spread(value: u32) -> u32 {
    var v = value & 0x3ffu;
    v = (v | (v << 16u)) & 0x030000ffu;
    v = (v | (v << 8u)) & 0x0300f00fu;
    v = (v | (v << 4u)) & 0x030c30c3u;
    v = (v | (v << 2u)) & 0x09249249u;
    return v;
}

fn interleave_ten(cell: vec3<u32>) -> u32 {
    return (spread(cell.x) << 2u) | (spread(cell.y) << 1u) | spread(cell.z);
}

// Bit i of x, y, z goes to bits 3i + 2, 3i + 1, 3i.
fn z_order(cell: vec3<u32>) -> vec2<u32> {
    let low = interleave_ten(cell);
    let high = interleave_ten(cell >> vec3(10u));
    return vec2(high >> 2u, low | (high << 30u));
}

// Skilling, "Programming the Hilbert curve", 2004: undo the excess work from the top bit down, then the code is
// the Gray code of the interleaved bits.
fn hilbert(cell: vec3<u32>, depth: u32) -> vec2<u32> {
    var x = array<u32, 3>(cell.x, cell.y, cell.z);
    for (var bit = depth; bit > 0u; bit -= 1u) {
        let q = 1u << (bit - 1u);
        let below = q - 1u;
        for (var axis = 0u; axis < 3u; axis += 1u) {
            if (x[axis] & q) != 0u {
                x[0] ^= below;
            } else {
                let swapped = (x[0] ^ x[axis]) & below;
                x[0] ^= swapped;
                x[axis] ^= swapped;
            }
        }
    }
    // Gray to binary: each bit is the parity of those from it upwards.
    var code = z_order(vec3(x[0], x[1], x[2]));
    for (var step = 1u; step < 32u; step *= 2u) {
        code ^= code >> vec2(step);
    }
    if (code.x & 1u) != 0u {
        code.y = ~code.y;
    }
    return code;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * 256u + local;
    if at >= params.rows * params.n {
        return;
    }
    let i = at % params.n;
    let curve = (params.curves >> (4u * (at / params.n))) & 15u;
    let cell = vec3(u32(grid[3u * i]), u32(grid[3u * i + 1u]), u32(grid[3u * i + 2u])) / params.stride;
    var code: vec2<u32>;
    switch curve {
        case 0u: { code = z_order(cell); }
        case 1u: { code = z_order(cell.yxz); }
        case 2u: { code = hilbert(cell, params.depth); }
        case 3u: { code = hilbert(cell.yxz, params.depth); }
        default: { code = raster_key(0u, cell, params.depth); }
    }
    codes[at] = code | key_shl(batch[i], 3u * params.depth);
}
