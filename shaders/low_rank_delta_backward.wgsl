// low_rank_delta_backward: of the delta scale * sum over r of a[patch(i), o, r] * z[i, r], whose gradient is dy,
//   dz[i, r] = scale * sum over o of a[patch(i), o, r] * dy[i, o]
//   da[p, o, r] = scale * sum over the points i of patch p of dy[i, o] * z[i, r]
//   1 dy [rows, columns]   2 z [rows, rank]   3 a [patches, columns, rank]   4 inverse [.., n]   5 patch_of_rank [n]
//   6 order [.., n]   7 dz [rows, rank], da [patches, columns, rank]
// `points` gives dz, an element to an invocation; with `one_patch` every point is of patch 0, and bindings 4 and 5 are
// not read. `patches` gives da, 256 elements of a patch to a workgroup: its points are those of the ranks where
// patch_of_rank, which is sorted, says so, and are summed in that order. A dispatch of it sees the points [lo, hi) of
// the whole dy and z; a later one adds to what the first wrote.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    rank: u32,
    // Where the row of inverse or order starts.
    base: u32,
    points: u32,
    patches: u32,
    one_patch: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> inverse: array<u32>;
@group(0) @binding(5) var<storage, read> patch_of_rank: array<u32>;
@group(0) @binding(6) var<storage, read> order: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn points(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.rows * params.rank {
        return;
    }
    let row = i / params.rank;
    var patch_index = 0u;
    if params.one_patch == 0u {
        patch_index = patch_of_rank[inverse[params.base + row]];
    }
    let first = patch_index * params.columns * params.rank + i % params.rank;
    var sum = 0.0;
    for (var o = 0u; o < params.columns; o++) {
        sum += a[first + o * params.rank] * dy[row * params.columns + o];
    }
    out[i] = params.scale * sum;
}

// The first rank whose patch is not before `patch_index`.
fn first_rank_of(patch_index: u32) -> u32 {
    var low = 0u;
    var high = params.points;
    while low < high {
        let middle = (low + high) / 2u;
        if patch_of_rank[middle] < patch_index {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(256)
fn patches(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let size = params.columns * params.rank;
    let blocks = (size + 255u) / 256u;
    let flat = flat_group(group, groups);
    let patch_index = flat / blocks;
    let element = flat % blocks * 256u + local;
    if patch_index >= params.patches || element >= size {
        return;
    }
    let column = element / params.rank;
    let r = element % params.rank;
    let end = first_rank_of(patch_index + 1u);
    var sum = 0.0;
    for (var rank = first_rank_of(patch_index); rank < end; rank++) {
        let point = order[params.base + rank];
        if point >= params.lo && point < params.hi {
            let row = point - params.lo;
            sum += dy[row * params.columns + column] * z[row * params.rank + r];
        }
    }
    var value = params.scale * sum;
    let at = patch_index * size + element;
    if params.accumulate == 1u {
        value += out[at];
    }
    out[at] = value;
}
