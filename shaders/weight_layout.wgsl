// weight_layout: a matrix [outputs, taps, inner] as kernels read it, see shared/weight.wgsl
//   1 matrix [outputs * taps * inner]   2 out [taps][rows][columns]
// As it is, out[t][k][o] = matrix[o][t][k]; TRANSPOSED, out[t][o][k] = matrix[o][taps - 1 - t][k]. Rows and columns are
// filled up with zeros to multiples of four. One invocation per element of out.
#import dispatch

struct Params {
    outputs: u32,
    taps: u32,
    inner: u32,
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.taps * params.rows * params.columns {
        return;
    }
    let column = i % params.columns;
    let row = i / params.columns % params.rows;
    let place = i / (params.columns * params.rows);
#ifdef TRANSPOSED
    let output = row;
    let k = column;
    let tap = params.taps - 1u - place;
#else
    let output = column;
    let k = row;
    let tap = place;
#endif
    var value = 0.0;
    if output < params.outputs && k < params.inner {
        value = matrix[(output * params.taps + tap) * params.inner + k];
    }
    out[i] = value;
}
