// unique: runs of equal keys in a sorted list.
//   1 keys [n] (high word, low word)   2 starts_cell [n] (mark)
//   3 positions [n + 1], the scan of `starts_cell`   4 order [n]   5 cluster [n]   6 starts [cells + 1]   7 first [cells]
// `mark` flags the first key of every run. After the scan, positions[i + 1] - 1 is the run of key i, and `emit`
// writes it down.
#import dispatch
#import key64

struct Params {
    n: u32,
    cells: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> starts_cell: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> cluster: array<u32>;
@group(0) @binding(6) var<storage, read_write> starts: array<u32>;
@group(0) @binding(7) var<storage, read_write> first: array<u32>;

@compute @workgroup_size(256)
fn mark(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.n {
        return;
    }
    var starts_here = true;
    if i > 0u {
        starts_here = !key_equal(keys[i], keys[i - 1u]);
    }
    starts_cell[i] = select(0u, 1u, starts_here);
}

@compute @workgroup_size(256)
fn emit(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i == params.n {
        starts[params.cells] = params.n;
    }
    if i >= params.n {
        return;
    }
    let cell = positions[i + 1u] - 1u;
    let point = order[i];
    cluster[point] = cell;
    if positions[i] == cell {
        starts[cell] = i;
        first[cell] = point;
    }
}
