// Activations, by the codes of `kernels::Activation`. Where one element is wanted, the compiler drops the other three.

// erf as a rational function of x on [-4, 4], within 4e-7 of the true value (Eigen's generic_fast_erf_float);
// the CPU twin is `kernels::math::erf`.
fn erf(value: vec4<f32>) -> vec4<f32> {
    let x = clamp(value, vec4(-4.0), vec4(4.0));
    let s = x * x;
    var p = vec4(-2.72614225801306e-10);
    p = p * s + 2.77068142495902e-08;
    p = p * s - 2.10102402082508e-06;
    p = p * s - 5.69250639462346e-05;
    p = p * s - 7.34990630326855e-04;
    p = p * s - 2.95459980854025e-03;
    p = p * s - 1.60960333262415e-02;
    var q = vec4(-1.45660718464996e-05);
    q = q * s - 2.13374055278905e-04;
    q = q * s - 1.68282697438203e-03;
    q = q * s - 7.37332916720468e-03;
    q = q * s - 1.42647390514189e-02;
    return x * p / q;
}

fn activate_quad(x: vec4<f32>, code: u32) -> vec4<f32> {
    switch code {
        case 1u: { return 0.5 * x * (1.0 + erf(x * 0.70710678118654752)); }
        case 2u: { return max(x, vec4(0.0)); }
        default: { return x; }
    }
}

fn activate(x: f32, code: u32) -> f32 {
    return activate_quad(vec4(x), code).x;
}
