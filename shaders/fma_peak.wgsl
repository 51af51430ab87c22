// fma_peak: out[i] = sum over 12 chains c of x[c] after 8 * rounds steps of x = fma(x, a, b), from x[c] = i % 97 / 8 + c
//   1 out [n]
// Nothing but fused multiply-adds in registers: 12 independent chains hide the latency of one, and the steps of a
// round are written out so that the loop weighs nothing.
#import dispatch

struct Params {
    n: u32,
    rounds: u32,
    a: f32,
    b: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

fn four(x: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return fma(fma(fma(fma(x, a, b), a, b), a, b), a, b);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    let a = vec4(params.a);
    let b = vec4(params.b);
    var x = vec4(f32(i % 97u) * 0.125) + vec4(0.0, 1.0, 2.0, 3.0);
    var y = x + vec4(4.0);
    var z = x + vec4(8.0);
    for (var round = 0u; round < params.rounds; round++) {
        x = four(x, a, b);
        y = four(y, a, b);
        z = four(z, a, b);
        x = four(x, a, b);
        y = four(y, a, b);
        z = four(z, a, b);
    }
    if i < params.n {
        let sum = x + y + z;
        out[i] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}
