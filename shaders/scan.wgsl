// scan: out[i] = x[0] + … + x[i - 1], out[n] = the sum of all.
//   1 x [n]   2 out [n + 1]   3 sums [blocks] (blocks)   4 offsets [blocks + 1], the scan of `sums` (add)
// `blocks` scans each block of 256 by itself, `add` moves it by the sum of the blocks before it.
#import dispatch
#import block_scan

struct Params {
    n: u32,
    blocks: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<u32>;
@group(0) @binding(4) var<storage, read> offsets: array<u32>;

@compute @workgroup_size(256)
fn blocks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = flat_group(group, groups);
    let i = block * 256u + local;
    var value = 0u;
    if i < params.n {
        value = x[i];
    }
    let inclusive = block_scan(local, value);
    if i < params.n {
        out[i] = inclusive - value;
    }
    if local == 255u && block < params.blocks {
        sums[block] = inclusive;
        if params.blocks == 1u {
            out[params.n] = inclusive;
        }
    }
}

@compute @workgroup_size(256)
fn add(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i < params.n {
        out[i] += offsets[i / 256u];
    } else if i == params.n {
        out[i] = offsets[params.blocks];
    }
}
