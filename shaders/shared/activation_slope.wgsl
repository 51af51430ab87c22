// Derivatives of the activations at their argument, by the codes of `kernels::Activation`.
#import activation

fn slope_quad(x: vec4<f32>, code: u32) -> vec4<f32> {
    switch code {
        case 1u: {
            // Φ(x) + x φ(x); past 16 the second term is zero, and its square must not overflow.
            let near = clamp(x, vec4(-16.0), vec4(16.0));
            let bell = 0.39894228040143268 * exp(-0.5 * near * near);
            return 0.5 * (1.0 + erf(x * 0.70710678118654752)) + near * bell;
        }
        case 2u: { return select(vec4(0.0), vec4(1.0), x > vec4(0.0)); }
        default: { return vec4(1.0); }
    }
}

fn slope(x: f32, code: u32) -> f32 {
    return slope_quad(vec4(x), code).x;
}
