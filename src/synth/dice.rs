//! Random choices that come out the same on every platform.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A seeded source of choices. Built on raw generator output alone, so that neither the platform nor a new
/// version of a distribution changes a scene.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Pcg64);

impl Dice {
    /// Independent choices for every pair of `seed` and `stream`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        // Odd multipliers spread neighbouring seeds and streams over the generator's state.
        let state = u128::from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(seed);
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&state.to_le_bytes());
        bytes[16..24].copy_from_slice(&stream.wrapping_mul(0xd134_2543_de82_ef95).to_le_bytes());
        let mut generator = Pcg64::from_seed(bytes);
        for _ in 0..4 {
            generator.next_u64();
        }
        Self(generator)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// In `0..1`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// In `low..high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// In `0..count`; 0 for a count of 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        // The bias of a modulo over 64 bits is far below anything a scene shows.
        (self.0.next_u64() % (count as u64).max(1)) as usize
    }

    /// In `low..=high`.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of a fixed list.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[self.below(N)]
    }

    /// Roughly normal, mean 0 and deviation 1, within ±3.47: four uniform values summed, which needs no logarithm.
    pub(crate) fn normal(&mut self) -> f32 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        (sum - 2.0) * 1.732_050_8
    }
}

/// Sine and cosine of an angle in radians. A system's own differ in the last bit, which would make scenes differ
/// between platforms; this series in doubles is made of exact steps.
pub(crate) fn sin_cos(angle: f32) -> (f32, f32) {
    let angle = f64::from(angle);
    let quarter = (angle / std::f64::consts::FRAC_PI_2).round();
    let x = angle - quarter * std::f64::consts::FRAC_PI_2;
    let x2 = x * x;
    let sin = x * (1.0 - x2 / 6.0 * (1.0 - x2 / 20.0 * (1.0 - x2 / 42.0 * (1.0 - x2 / 72.0 * (1.0 - x2 / 110.0)))));
    let cos = 1.0 - x2 / 2.0 * (1.0 - x2 / 12.0 * (1.0 - x2 / 30.0 * (1.0 - x2 / 56.0 * (1.0 - x2 / 90.0))));
    let (sin, cos) = match quarter.rem_euclid(4.0) as u8 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    };
    (sin as f32, cos as f32)
}

/// A value in `0..1` for a lattice point: the same for the same three numbers.
pub(crate) fn lattice(x: i32, y: i32, salt: u32) -> f32 {
    let mut bits = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841) ^ salt;
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^= bits >> 12;
    bits = bits.wrapping_mul(0x297a_2d39);
    bits ^= bits >> 15;
    (bits >> 8) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_agrees_with_the_system_to_six_digits() {
        for step in -1000..1000 {
            let angle = step as f32 * 0.0137;
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 1e-6 && (cos - angle.cos()).abs() < 1e-6, "{angle}");
        }
    }

    #[test]
    fn normal_values_have_mean_zero_and_deviation_one() {
        let mut dice = Dice::new(1, 2);
        let values: Vec<f32> = (0..10_000).map(|_| dice.normal()).collect();
        let mean = values.iter().sum::<f32>() / 1e4;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 1e4;
        // Five standard errors of each.
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
    }
}
