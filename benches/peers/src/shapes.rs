//! What is compared: shapes and their operands.

use std::fmt::{Display, Formatter};

use rand_pcg::{Pcg64, rand_core::Rng};

/// The products: two of PTv3's first stage, one of its fourth, and a square one that everybody publishes.
pub(crate) const PRODUCTS: [Product; 4] = [
    Product { rows: 8192, inner: 144, outputs: 48 },
    Product { rows: 8192, inner: 192, outputs: 48 },
    Product { rows: 2048, inner: 1536, outputs: 384 },
    Product { rows: 512, inner: 512, outputs: 512 },
];

/// Attention of the first stage, over 8,192 voxels.
pub(crate) const ATTENTION: Attention = Attention { windows: 8, patch: 1024, heads: 3, head_dim: 16 };

/// `x` `[rows, inner]` times `weight` `[outputs, inner]` transposed.
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) outputs: usize,
}

pub(crate) struct ProductOperands {
    /// `[rows, inner]`
    pub(crate) x: Vec<f32>,
    /// `[outputs, inner]`, as PyTorch keeps it.
    pub(crate) weight: Vec<f32>,
}

impl Product {
    pub(crate) fn flops(&self) -> u64 {
        2 * (self.rows * self.inner * self.outputs) as u64
    }

    pub(crate) fn operands(&self) -> ProductOperands {
        ProductOperands { x: noise(self.rows * self.inner, 1), weight: noise(self.outputs * self.inner, 2) }
    }
}

impl Display for Product {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.rows, self.inner, self.outputs)
    }
}

/// Softmax attention inside windows of `patch` points each.
pub(crate) struct Attention {
    pub(crate) windows: usize,
    pub(crate) patch: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
}

pub(crate) struct AttentionOperands {
    /// `[points, 3, heads, head_dim]`
    pub(crate) qkv: Vec<f32>,
    /// The point at each rank; windows are runs of ranks.
    pub(crate) order: Vec<u32>,
}

impl Attention {
    pub(crate) fn points(&self) -> usize {
        self.windows * self.patch
    }

    pub(crate) fn channels(&self) -> usize {
        self.heads * self.head_dim
    }

    pub(crate) fn scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    /// Of the two products; the softmax is not counted.
    pub(crate) fn flops(&self) -> u64 {
        4 * (self.points() * self.patch * self.channels()) as u64
    }

    pub(crate) fn operands(&self) -> AttentionOperands {
        let points = self.points();
        // A multiplier prime to the number of points gives a permutation that scatters what lies together.
        let order = (0..points).map(|rank| (rank * 5 % points) as u32).collect();
        AttentionOperands { qkv: noise(points * 3 * self.channels(), 3), order }
    }
}

impl Display for Attention {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} windows × {} heads × {} × {}", self.windows, self.heads, self.patch, self.head_dim)
    }
}

/// Numbers in -1..1, the same every time.
fn noise(len: usize, stream: u128) -> Vec<f32> {
    let mut random = Pcg64::new(0, stream);
    (0..len).map(|_| random.next_u32() as f32 / (u32::MAX / 2) as f32 - 1.0).collect()
}
