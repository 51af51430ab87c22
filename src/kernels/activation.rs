//! Activations that kernels apply in their epilogue.

use super::math;

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

    /// Applies it to every element.
    #[inline(always)]
    pub(super) fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Gelu => row.iter_mut().for_each(|x| *x = math::gelu(*x)),
            Self::Relu => row.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
    }
}
