// drop_path: out[i, :] = residual[i, :] + (keep(i) ? scale * x[i, :] : 0)
//   1 x [rows, columns]   2 residual [rows, columns]   3 out [rows, columns]
// keep(i) compares 24 bits of a hash of (seed, step, branch, row) with `threshold`. The scale is 1 / probability.
// One invocation per element.
#import dispatch

struct Params {
    rows: u32,
    columns: u32,
    row_base: u32,
    seed: u32,
    step: u32,
    branch: u32,
    threshold: u32,
    has_residual: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// PCG4D (Jarzynski and Olano, Hash Functions for GPU Rendering, 2020); the CPU twin is `kernels::drop_path::hash`.
fn hash(counter: vec4<u32>) -> u32 {
    var v = counter * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v ^= v >> vec4(16u);
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v.w;
}

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
    let row = params.row_base + i / params.columns;
    let kept = (hash(vec4(params.seed, params.step, params.branch, row)) >> 8u) < params.threshold;
    var value = select(0.0, params.scale * x[i], kept);
    if params.has_residual == 1u {
        value += residual[i];
    }
    out[i] = value;
}
