//! Reproducible random operands: what tests and self-checks feed to kernels.

use super::{neighbor_table::ABSENT, subm_conv::OFFSETS};

/// A reproducible stream of random numbers (splitmix64).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Uniform in `-1..1`.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// `n` numbers uniform in `-1..1`.
    pub(crate) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    /// `0..n` in a random order.
    pub(crate) fn order(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// A random symmetric neighbour table `[n, 27]`: every point has itself in the middle, others where chance puts them.
pub(crate) fn neighbors(n: usize, noise: &mut Noise) -> Vec<u32> {
    let (offsets, centre) = (OFFSETS, OFFSETS / 2);
    let mut table = vec![ABSENT; n * offsets];
    for point in 0..n {
        table[point * offsets + centre] = point as u32;
        for offset in 0..centre {
            let other = noise.below(n);
            if noise.below(3) == 0 && table[other * offsets + offsets - 1 - offset] == ABSENT {
                table[point * offsets + offset] = other as u32;
                table[other * offsets + offsets - 1 - offset] = point as u32;
            }
        }
    }
    table
}
