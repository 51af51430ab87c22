//! Functions of the CPU twins, over vectors of any width.

use pulp::Simd;

/// 2^x in every lane, within 2 ulp for x up to 0; 2^-100 stands for everything below it, so that products with it stay
/// normal numbers.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 + 127 leaves the biased exponent of 2^round(x) in the low bits.
    let round = simd.splat_f32s(12_582_912.0 + 127.0);
    // In this order x86 lets a NaN through.
    let x = simd.max_f32s(simd.splat_f32s(-100.0), x);
    let biased = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(biased, round));
    // 2^r on [-1/2, 1/2], within 1.1e-7: of least relative error among those that are 1 at 0 and rise by ln 2.
    let coefficients = [1.330_060_5e-3, 9.669_691e-3, 5.550_558_5e-2, 2.402_228_3e-1, std::f32::consts::LN_2, 1.0];
    let p = polynomial(simd, r, &coefficients);
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(biased), simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(exponent))
}

/// erf in every lane, as in `shaders/shared/activation.wgsl`.
#[inline(always)]
pub(super) fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-4.0)), simd.splat_f32s(4.0));
    let s = simd.mul_f32s(x, x);
    let p = polynomial(
        simd,
        s,
        &[
            -2.726_142_3e-10,
            2.770_681_4e-8,
            -2.101_024e-6,
            -5.692_506_4e-5,
            -7.349_906_3e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ],
    );
    let q = polynomial(simd, s, &[-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2]);
    simd.div_f32s(simd.mul_f32s(x, p), q)
}

/// x Φ(x), the exact GELU, in every lane.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
    simd.mul_add_e_f32s(half, erf(simd, simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// Φ(x) + x φ(x), the derivative of [`gelu`], in every lane.
#[inline(always)]
pub(super) fn gelu_slope<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.splat_f32s(0.5);
    let below =
        simd.mul_add_e_f32s(half, erf(simd, simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2))), half);
    // Past 16 the second term is zero, and its square must not overflow.
    let near = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-16.0)), simd.splat_f32s(16.0));
    let exponent = simd.mul_f32s(simd.mul_f32s(near, near), simd.splat_f32s(-0.5 * std::f32::consts::LOG2_E));
    // 1 / sqrt(2 pi)
    let bell = simd.mul_f32s(exp2(simd, exponent), simd.splat_f32s(0.398_942_3));
    simd.mul_add_e_f32s(near, bell, below)
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut p = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        p = simd.mul_add_e_f32s(p, x, simd.splat_f32s(*coefficient));
    }
    p
}

/// Runs `work` with the widest vector instructions of this machine: the loops in it are compiled once for each.
#[inline(always)]
pub(super) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    // Detection reads CPUID once and caches the answer.
    pulp::Arch::new().dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::WithSimd;

    struct Exp2<'a>(&'a mut [f32]);

    impl WithSimd for Exp2<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            // A length that every vector divides.
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = exp2(simd, *x);
            }
        }
    }

    #[test]
    fn exp2_is_within_two_ulp_of_the_double_precision_value() {
        let x: Vec<f32> = (-1_008_000..16).map(|i| i as f32 * 1e-4).collect();
        let mut y = x.clone();
        pulp::Arch::new().dispatch(Exp2(&mut y));
        for (x, y) in x.iter().zip(&y).filter(|(x, _)| **x >= -100.0) {
            let exact = f64::from(*x).exp2();
            let relative = ((f64::from(*y) - exact) / exact).abs();
            assert!(relative < 2.5e-7, "exp2({x}): {relative}");
        }
        assert!(y[0] < 1e-30 && y[0].is_normal());
    }

    #[test]
    fn erf_matches_values_computed_elsewhere() {
        // math.erf of CPython 3.11.
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_89),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (1.5, 0.966_105_146_475_310_8),
            (2.0, 0.995_322_265_018_952_7),
            (3.0, 0.999_977_909_503_001_4),
            (4.5, 0.999_999_999_803_383_9),
        ];
        for (x, expected) in table {
            let erf = |x| erf(pulp::Scalar::new(), x);
            assert!((f64::from(erf(x)) - expected).abs() < 4e-7, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }
}
