//! Activations that kernels apply in their epilogue.

use super::math;
use pulp::{Arch, Simd, WithSimd};

/// Applied to a kernel's output before the residual is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// x
    #[default]
    None,
    /// x Φ(x), through erf.
    Gelu,
    /// max(x, 0)
    Relu,
}

impl Activation {
    /// Its code in `shaders/shared/activation.wgsl`.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Gelu => 1,
            Self::Relu => 2,
        }
    }

    /// Applies it to a vector.
    #[inline(always)]
    pub(super) fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        match self {
            Self::None => x,
            Self::Gelu => math::gelu(simd, x),
            Self::Relu => simd.max_f32s(x, simd.splat_f32s(0.0)),
        }
    }

    /// Applies it to every element.
    pub(super) fn apply(self, row: &mut [f32]) {
        if self != Self::None {
            Arch::new().dispatch(Apply { activation: self, row });
        }
    }
}

struct Apply<'a> {
    activation: Activation,
    row: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, rest) = S::as_mut_simd_f32s(self.row);
        for x in vectors {
            *x = self.activation.vector(simd, *x);
        }
        let last = self.activation.vector(simd, simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, last);
    }
}
