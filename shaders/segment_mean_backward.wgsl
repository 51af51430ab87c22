// segment_mean_backward: dx[members[r], j] = sum over the segments s that contain r of dy[s, j] / divisor[s]
//   1 dy [.., columns], the segments [segment_lo, segment_hi) of all   2 members [.., m], a row of it from `member_base`
//   3 bounds: start = bounds[s * stride], end = bounds[s * stride + 1]   4 divisor [segments]   5 dx [rows, columns]
// Starts and ends ascend, so that the segments that contain a place follow one another; the first is found by halving.
// With stride 1 `bounds` is a CSR pointer, and without a divisor the number of members is taken.
// Sixteen invocations share a place r, sixteen places a workgroup. The members are a permutation: every row of dx is
// written by one place, those of [lo, hi) in this dispatch. A later one adds the share of later segments.
#import dispatch

struct Params {
    places: u32,
    columns: u32,
    member_base: u32,
    stride: u32,
    segment_lo: u32,
    segment_hi: u32,
    lo: u32,
    hi: u32,
    has_divisor: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> members: array<u32>;
@group(0) @binding(3) var<storage, read> bounds: array<u32>;
@group(0) @binding(4) var<storage, read> divisor: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// The first segment of this dispatch that ends after `place`.
fn first_ending_after(place: u32) -> u32 {
    var low = params.segment_lo;
    var high = params.segment_hi;
    while low < high {
        let middle = (low + high) / 2u;
        if bounds[middle * params.stride + 1u] > place {
            high = middle;
        } else {
            low = middle + 1u;
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
    let place = flat_group(group, groups) * 16u + local / 16u;
    if place >= params.places {
        return;
    }
    let row = members[params.member_base + place];
    if row < params.lo || row >= params.hi {
        return;
    }
    let first = first_ending_after(place);
    for (var column = local % 16u; column < params.columns; column += 16u) {
        var sum = 0.0;
        for (var s = first; s < params.segment_hi; s++) {
            let start = bounds[s * params.stride];
            if start > place {
                break;
            }
            var divide_by = f32(bounds[s * params.stride + 1u] - start);
            if params.has_divisor == 1u {
                divide_by = divisor[s];
            }
            sum += dy[(s - params.segment_lo) * params.columns + column] / divide_by;
        }
        let at = (row - params.lo) * params.columns + column;
        if params.accumulate == 1u {
            sum += dx[at];
        }
        dx[at] = sum;
    }
}
