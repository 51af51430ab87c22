// segment_mean: out[s, j] = (sum over r in [start, end) of x[members[r], j]) / divisor[s]
//   1 x [m, columns]   2 members [.., m], a row of it from `member_base`   3 bounds: start = bounds[s * stride],
//   end = bounds[s * stride + 1]   4 divisor [segments]   5 out [segments, columns]
// With stride 1 `bounds` is a CSR pointer, with stride 2 a list of ranges that may overlap (SNG patches). Without a
// divisor the number of members is taken, and a segment of none gives zero.
// A workgroup sums 16 columns of one segment: 16 lanes stride over its members, then a fixed tree joins them.
// A dispatch sees the rows [lo, hi) of the whole x; a later one adds its share to what the first wrote.
#import dispatch
#import lane_tree

struct Params {
    segments: u32,
    columns: u32,
    member_base: u32,
    stride: u32,
    lo: u32,
    hi: u32,
    has_divisor: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> members: array<u32>;
@group(0) @binding(3) var<storage, read> bounds: array<u32>;
@group(0) @binding(4) var<storage, read> divisor: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let blocks = (params.columns + 15u) / 16u;
    let flat = flat_group(group, groups);
    let segment = flat / blocks;
    let column = flat % blocks * 16u + local % 16u;
    let lane = local / 16u;
    let in_range = segment < params.segments && column < params.columns;

    var sum = 0.0;
    var count = 0u;
    if in_range {
        let start = bounds[segment * params.stride];
        let end = bounds[segment * params.stride + 1u];
        count = end - start;
        for (var r = start + lane; r < end; r += 16u) {
            let row = members[params.member_base + r];
            if row >= params.lo && row < params.hi {
                sum += x[(row - params.lo) * params.columns + column];
            }
        }
    }
    sum = lane_tree(sum, local, 16u);
    if in_range && lane == 0u {
        var divide_by = f32(max(count, 1u));
        if params.has_divisor == 1u {
            divide_by = divisor[segment];
        }
        var mean = sum / divide_by;
        let at = segment * params.columns + column;
        if params.accumulate == 1u {
            mean += out[at];
        }
        out[at] = mean;
    }
}
