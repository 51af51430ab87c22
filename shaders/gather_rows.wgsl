// gather_rows: out[i, column + j] = x[index[i], j]; with ADD, base[i, j] + x[index[i], j]
//   1 index [rows]   2 x [m, columns]   3 out [rows, stride]   4 base [rows, columns] (ADD)
// One invocation per element. A dispatch sees the rows [lo, hi) of the whole x and writes only what it sees.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    lo: u32,
    hi: u32,
    index_base: u32,
    stride: u32,
    column: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
#ifdef ADD
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> base: array<f32>;
#else
// Words of any type: integers must not pass through a float, which may flush or canonicalise them.
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;
#endif

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.rows * params.columns {
        return;
    }
    let row = i / params.columns;
    let source = index[params.index_base + row];
    if source < params.lo || source >= params.hi {
        return;
    }
    var value = x[(source - params.lo) * params.columns + i % params.columns];
#ifdef ADD
    value += base[i];
#endif
    out[row * params.stride + params.column + i % params.columns] = value;
}
