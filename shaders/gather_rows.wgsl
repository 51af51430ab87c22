// gather_rows: out[i] = x[index[i]], or base[i] + x[index[i]] with ADD.
//   1 index [n] u32   2 x [m, c]   3 out [n, c]   4 base [n, c] (ADD)
// One invocation per four... element of `out`.
#import dispatch

struct Params {
    n: u32,
    c: u32,
    // Rows of x that this dispatch sees: [lo, hi). Rows outside are left as they are.
    lo: u32,
    hi: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.n * params.c {
        return;
    }
    let row = i / params.c;
    let source = index[row];
    if source < params.lo || source >= params.hi {
        return;
    }
    out[i] = x[(source - params.lo) * params.c + i % params.c];
}
