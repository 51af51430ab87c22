// adamw: one step of AdamW over the elements of one parameter, as torch.optim.AdamW computes it
//   1 parameter [n]   2 gradient [n]   3 first [n]   4 second [n]   5 squares [1]: the sum of squares of all gradients
//   6 parameter_out [n]   7 first_out [n]   8 second_out [n]
// The host folds learning rate, betas and bias corrections into a few factors, in f64.
#import dispatch

struct Params {
    n: u32,
    has_clip: u32,
    max_norm: f32,
    // 1 - learning rate * weight decay
    decay: f32,
    // 1 - beta1
    fresh1: f32,
    beta2: f32,
    // 1 - beta2
    fresh2: f32,
    // learning rate / (1 - beta1 ^ step)
    step_size: f32,
    // sqrt(1 - beta2 ^ step)
    root_correction: f32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameter: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> first: array<f32>;
@group(0) @binding(4) var<storage, read> second: array<f32>;
@group(0) @binding(5) var<storage, read> squares: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameter_out: array<f32>;
@group(0) @binding(7) var<storage, read_write> first_out: array<f32>;
@group(0) @binding(8) var<storage, read_write> second_out: array<f32>;

// What gradients are multiplied by so that their global norm is at most max_norm (torch's clip_grad_norm_).
fn clip_factor() -> f32 {
    if params.has_clip == 0u {
        return 1.0;
    }
    return min(1.0, params.max_norm / (sqrt(squares[0]) + 1e-6));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_group(group, groups) * 256u + local;
    if i >= params.n {
        return;
    }
    let slope = clip_factor() * gradient[i];
    let mean = first[i] + params.fresh1 * (slope - first[i]);
    let square = params.beta2 * second[i] + params.fresh2 * slope * slope;
    let spread = sqrt(square) / params.root_correction + params.eps;
    parameter_out[i] = params.decay * parameter[i] - params.step_size * mean / spread;
    first_out[i] = mean;
    second_out[i] = square;
}
