//! Normal noise that is the same on every platform.

use crate::synth::dice::Dice;

/// Normal, mean 0 and deviation 1, within ±6: twelve uniform values of 16 bits summed, which needs no logarithm and no
/// cosine. Its tails are a little thin: beyond three deviations lie 0.2 % of the values, not 0.27 %.
pub(super) fn normal(dice: &mut Dice) -> f32 {
    const LANES: u64 = 0x0000_ffff_0000_ffff;
    let mut pairs = 0;
    for _ in 0..3 {
        let bits = dice.bits();
        pairs += (bits & LANES) + (bits >> 16 & LANES);
    }
    let sum = (pairs & 0xffff_ffff) + (pairs >> 32);
    // Each of the twelve has mean 65535 / 2 and variance (65536² - 1) / 12.
    (sum as f32 - 12.0 * 32_767.5) / 65_536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_moments_of_a_normal_distribution() {
        let mut dice = Dice::new(3, 4);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(normal(&mut dice))).collect();
        let moment = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>() / values.len() as f64;
        // Five standard errors: 1, sqrt(2), sqrt(15), sqrt(96) over sqrt(100000). The fourth moment of the sum is 2.9.
        assert!(moment(1).abs() < 0.016, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.022, "{}", moment(2));
        assert!(moment(3).abs() < 0.06, "{}", moment(3));
        assert!((moment(4) - 2.9).abs() < 0.16, "{}", moment(4));
        let within = values.iter().filter(|v| v.abs() < 1.0).count() as f64 / values.len() as f64;
        // 68.3 % of a normal distribution; the sum differs by 0.3 %, five standard errors are 0.7 %.
        assert!((within - 0.683).abs() < 0.01, "{within}");
    }
}
