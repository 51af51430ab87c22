// column_sum: out[b, j] = sum of x[r, j] over the 64 rows r of block b
//   1 x [rows, columns]   2 out [.., columns], blocks from `first_block`
// One invocation sums one column of one block, row by row; the host repeats it until one block is left.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    first_block: u32,
    blocks: u32,
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
    if i >= params.blocks * params.columns {
        return;
    }
    let first = i / params.columns * 64u;
    let column = i % params.columns;
    var sum = 0.0;
    for (var row = first; row < min(first + 64u, params.rows); row++) {
        sum += x[row * params.columns + column];
    }
    out[params.first_block * params.columns + i] = sum;
}
