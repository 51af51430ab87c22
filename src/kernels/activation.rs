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

    /// Its derivative in every lane of a vector.
    #[inline(always)]
    pub(super) fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        match self {
            Self::None => simd.splat_f32s(1.0),
            Self::Gelu => math::gelu_slope(simd, x),
            Self::Relu => {
                let zero = simd.splat_f32s(0.0);
                simd.select_f32s(simd.less_than_f32s(zero, x), simd.splat_f32s(1.0), zero)
            }
        }
    }

    /// Multiplies every element of `gradient` by the derivative at its place in `x`.
    pub(super) fn apply_slope(self, gradient: &mut [f32], x: &[f32]) {
        if self != Self::None {
            Arch::new().dispatch(ApplySlope { activation: self, gradient, x });
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

struct ApplySlope<'a> {
    activation: Activation,
    gradient: &'a mut [f32],
    x: &'a [f32],
}

impl WithSimd for ApplySlope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (gradients, last_gradient) = S::as_mut_simd_f32s(self.gradient);
        let (vectors, last) = S::as_simd_f32s(self.x);
        for (gradient, x) in gradients.iter_mut().zip(vectors) {
            *gradient = simd.mul_f32s(*gradient, self.activation.slope(simd, *x));
        }
        let slope = self.activation.slope(simd, simd.partial_load_f32s(last));
        let gradient = simd.mul_f32s(simd.partial_load_f32s(last_gradient), slope);
        simd.partial_store_f32s(last_gradient, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_the_central_differences_of_the_activation() {
        // In f32 the rounding of a difference over 2^-7 is some 1e-5, and the truncation, a sixth of the third
        // derivative times the square of the step, as much; ReLU's kink lies between two of the points.
        let step = 1.0 / 128.0;
        let x: Vec<f32> = (-500..500).map(|i| (i as f32 + 0.5) / 50.0).collect();
        for activation in [Activation::None, Activation::Gelu, Activation::Relu] {
            let at = |offset: f32| {
                let mut y: Vec<f32> = x.iter().map(|x| x + offset).collect();
                activation.apply(&mut y);
                y
            };
            let mut slope = vec![1.0f32; x.len()];
            activation.apply_slope(&mut slope, &x);
            for (i, (above, below)) in at(step).iter().zip(at(-step)).enumerate() {
                let difference = (above - below) / (2.0 * step);
                assert!((slope[i] - difference).abs() < 1e-4, "{activation:?} at {}: {} {difference}", x[i], slope[i]);
            }
        }
    }

    #[test]
    fn slopes_are_finite_far_out_and_relu_is_flat_at_zero() {
        let x = [-1e30f32, -20.0, 0.0, 20.0, 1e30];
        for (activation, expected) in
            [(Activation::Gelu, [0.0, 0.0, 0.5, 1.0, 1.0]), (Activation::Relu, [0.0, 0.0, 0.0, 1.0, 1.0])]
        {
            let mut slope = [1.0f32; 5];
            activation.apply_slope(&mut slope, &x);
            assert!(slope.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-6), "{activation:?}: {slope:?}");
        }
    }
}
