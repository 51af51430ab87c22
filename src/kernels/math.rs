//! Functions of the CPU twins: scalar ones, written so that loops over them vectorise, and one over vectors.

use pulp::Simd;

/// exp, within 2 ulp on [-87, 88] and clamped outside (Cephes' `expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5.000_000_3e-1;
    let e = p * r * r + r + 1.0;
    // 2^n by the exponent bits; n is an integer in [-126, 127].
    e * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// 2^x in every lane, within 2 ulp for x up to 0; 2^-100 stands for everything below it, so that products with it stay
/// normal numbers.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 + 127 leaves the biased exponent of 2^round(x) in the low bits.
    let round = simd.splat_f32s(12_582_912.0 + 127.0);
    let x = simd.max_f32s(x, simd.splat_f32s(-100.0));
    let biased = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(biased, round));
    // 2^r on [-1/2, 1/2], within 1e-7: the polynomial of least relative error that is 1 at 0.
    let coefficients = [1.326_472_7e-3, 9.671_513e-3, 5.550_733_6e-2, 2.402_224_2e-1, 6.931_47e-1, 1.0];
    let mut p = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(*coefficient));
    }
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(biased), simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(exponent))
}

/// erf as in `shaders/shared/activation.wgsl`.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    p = p * s + 2.770_681_4e-8;
    p = p * s - 2.101_024e-6;
    p = p * s - 5.692_506_4e-5;
    p = p * s - 7.349_906_3e-4;
    p = p * s - 2.954_6e-3;
    p = p * s - 1.609_603_3e-2;
    let mut q = -1.456_607_2e-5;
    q = q * s - 2.133_740_6e-4;
    q = q * s - 1.682_827e-3;
    q = q * s - 7.373_329_2e-3;
    q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// x Φ(x), the exact GELU.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
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

    #[test]
    fn exp_is_within_two_ulp_of_the_double_precision_value() {
        for i in -8_700_000..=8_800_000 {
            let x = i as f32 * 1e-5;
            let exact = f64::from(x).exp();
            let relative = ((f64::from(exp(x)) - exact) / exact).abs();
            assert!(relative < 2.5e-7, "exp({x}): {relative}");
        }
        assert!(exp(-1e30) < 1e-37);
    }

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
            assert!((f64::from(erf(x)) - expected).abs() < 4e-7, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }
}
