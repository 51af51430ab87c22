// segment_sum: out[s, j] = sum over r in [starts[s], starts[s + 1]) of x[members[r], column + j]
//   1 x [m, stride]   2 members [.., m], a row of it from `member_base`   3 starts [.. + 1]   4 out [segments, columns]
// `lanes` invocations, a power of two, stride over the members of one output's segment, then a tree joins them: one
// where segments are short (pooling cells), many where they are long (patches).
// A dispatch sees the rows [lo, hi) of the whole x, and the segments from `segment_base`; a later one adds its share to
// what the first wrote.
#import dispatch
#import lane_tree

struct Params {
    segments: u32,
    columns: u32,
    segment_base: u32,
    member_base: u32,
    stride: u32,
    column: u32,
    lo: u32,
    hi: u32,
    lanes: u32,
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
    let width = 256u / params.lanes;
    let i = flat_group(group, groups) * width + local % width;
    let in_range = i < params.segments * params.columns;
    var sum = 0.0;
    if in_range {
        let segment = params.segment_base + i / params.columns;
        let column = params.column + i % params.columns;
        for (var r = starts[segment] + local / width; r < starts[segment + 1u]; r += params.lanes) {
            let row = members[params.member_base + r];
            if row >= params.lo && row < params.hi {
                sum += x[(row - params.lo) * params.stride + column];
            }
        }
    }
    sum = lane_tree(sum, local, width);
    if in_range && local < width {
        if params.accumulate == 1u {
            sum += out[i];
        }
        out[i] = sum;
    }
}
