// segment_max: out[s, j] = max over r in [starts[s], starts[s + 1]) of x[members[r], j]
//   1 x [m, columns]   2 members [m]   3 starts [segments + 1]   4 out [segments, columns]
// One invocation per output. A dispatch sees the rows [lo, hi) of the whole x, and the segments from `segment_base`;
// a later one goes on from what the first wrote. The backward pass finds the row again by comparing with `out`.
#import dispatch

struct Params {
    segments: u32,
    columns: u32,
    segment_base: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> members: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.segments * params.columns {
        return;
    }
    let segment = params.segment_base + i / params.columns;
    // The lowest finite float: WGSL promises nothing of infinities.
    var largest = -3.4028234e38;
    if params.accumulate == 1u {
        largest = out[i];
    }
    for (var r = starts[segment]; r < starts[segment + 1u]; r++) {
        let row = members[r];
        if row >= params.lo && row < params.hi {
            largest = max(largest, x[(row - params.lo) * params.columns + i % params.columns]);
        }
    }
    out[i] = largest;
}
