// segment_max_backward: dx[members[r], j] = dy[s, j] where r is the first of segment s whose row holds out[s, j], else 0
//   1 x [m, columns] (find)   2 members [m]   3 starts [.. + 1]   4 out [segments, columns] (find)
//   5 first [segments, columns] (find, main)   6 dy [segments, columns] (main)   7 dx [m, columns] (main)
// One invocation per segment and channel. `find` writes the place in `members` of the first row that reaches the
// maximum, `main` writes every member's gradient. A dispatch sees the rows [lo, hi) of the whole x or dx, and the
// segments from `segment_base`; a later `find` keeps what comes first.
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
@group(0) @binding(4) var<storage, read> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> first: array<u32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn find(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.segments * params.columns {
        return;
    }
    let segment = params.segment_base + i / params.columns;
    // Past every place.
    var found = 0xffffffffu;
    if params.accumulate == 1u {
        found = first[i];
    }
    let end = min(found, starts[segment + 1u]);
    for (var r = starts[segment]; r < end; r++) {
        let row = members[r];
        if row >= params.lo && row < params.hi && x[(row - params.lo) * params.columns + i % params.columns] == out[i] {
            found = r;
            break;
        }
    }
    first[i] = found;
}

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
    for (var r = starts[segment]; r < starts[segment + 1u]; r++) {
        let row = members[r];
        if row >= params.lo && row < params.hi {
            dx[(row - params.lo) * params.columns + i % params.columns] = select(0.0, dy[i], r == first[i]);
        }
    }
}
