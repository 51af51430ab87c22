// slice_columns: out[i, j] = x[i, column + j]
//   1 x [rows, stride]   2 out [rows, columns]
// One invocation per element of the output.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    stride: u32,
    column: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i < params.rows * params.columns {
        out[i] = x[i / params.columns * params.stride + params.column + i % params.columns];
    }
}
