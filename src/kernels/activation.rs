//! `activation`: `out[i] = act(x[i])`; the activations that kernels apply in their epilogue, alone.
//!
//! In inference an activation never takes a pass of its own. While gradients are wanted, its input is kept for
//! [`activation_backward`](super::activation_backward), and so it is applied to a copy.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for, math};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{activation as table, params},
    },
};
use pulp::{Arch, Simd, WithSimd};

params!(activation { n: u32, activation: u32 });

/// Operations of an element, the error function's polynomials included.
pub(super) const FLOPS: usize = 40;
/// Elements of one task of the twin.
pub(super) const CPU_ELEMENTS: usize = 1 << 14;

/// `x` of any shape → the activation of every element.
pub fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    ensure!("activation", x.dtype() == DType::F32, "x is {:?}, expected F32", x.dtype());
    if activation == Activation::None {
        return Ok(x.clone());
    }
    let mut out = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    let work = |n: usize| Work::Flops((FLOPS * n) as u64);
    match x.device() {
        Device::Cpu(device) => device.run("activation", work(x.len()), bytes_of(&[x, &out]), || {
            let blocks = out.host_mut::<f32>().par_chunks_mut(CPU_ELEMENTS);
            blocks.zip(x.host::<f32>().par_chunks(CPU_ELEMENTS)).for_each(|(out, x)| {
                out.copy_from_slice(x);
                activation.apply(out);
            });
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(x.rows(), x.row_bytes(), (FLOPS * x.columns()) as u64, gpu.max_binding()) {
                let n = rows.len() * x.columns();
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(x, rows.clone()), Bind::rows(&out, rows)],
                    params: bytemuck::bytes_of(&Params { n: n as u32, activation: activation.code() }),
                    groups: groups_for(n, ELEMENTS_PER_GROUP),
                    work: work(n),
                })?;
            }
        }
    }
    Ok(out)
}

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
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, SIZES, put},
    };

    #[test]
    fn every_size_agrees_with_the_epilogue_past_one_dimension_of_groups() {
        for n in SIZES.into_iter().chain([65_536 * 256 + 3]) {
            let x: Vec<f32> = Noise::new(n as u64).floats(n).iter().map(|v| v * 4.0).collect();
            for kind in [Activation::None, Activation::Gelu, Activation::Relu] {
                // The error function is the same polynomial on both sides; quotients differ by rounding.
                let y = agree(2e-6, |device| activation(&put(device, &[n], &x), kind).unwrap());
                let mut expected = x.clone();
                kind.apply(&mut expected);
                assert_eq!(y, expected);
            }
        }
    }

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
