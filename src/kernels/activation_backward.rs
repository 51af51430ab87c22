//! `activation_backward`: `dx[i] = dy[i] · act'(x[i])` of an [`Activation`] whose input was x. The exact GELU's derivative
//! is Φ(x) + x φ(x); that of ReLU is taken as 0 at 0, as torch does.

use super::{
    Activation, ELEMENTS_PER_GROUP,
    activation::{CPU_ELEMENTS, FLOPS},
    ensure, groups_for,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{activation_backward as table, params},
    },
};

params!(activation_backward { n: u32, activation: u32 });

/// `x` and `dy` of one shape → dx.
pub fn activation_backward(activation: Activation, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let floats = x.dtype() == DType::F32 && dy.dtype() == DType::F32;
    ensure!("activation_backward", floats && x.shape() == dy.shape(), "x {x:?}, dy {dy:?}");
    if activation == Activation::None {
        return Ok(dy.clone());
    }
    let mut out = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let work = Work::Flops((FLOPS * x.len()) as u64);
            device.run("activation_backward", work, bytes_of(&[x, dy, &out]), || {
                let operands = x.host::<f32>().par_chunks(CPU_ELEMENTS).zip(dy.host::<f32>().par_chunks(CPU_ELEMENTS));
                out.host_mut::<f32>().par_chunks_mut(CPU_ELEMENTS).zip(operands).for_each(|(out, (x, dy))| {
                    out.copy_from_slice(dy);
                    activation.apply_slope(out, x);
                });
            });
        }
        Device::Gpu(device) => gpu(device, activation, x, dy, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, activation: Activation, x: &Tensor, dy: &Tensor, out: &Tensor) -> Result<()> {
    for rows in row_chunks(x.rows(), x.row_bytes(), (FLOPS * x.columns()) as u64, gpu.max_binding()) {
        let n = rows.len() * x.columns();
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[Bind::rows(x, rows.clone()), Bind::rows(dy, rows.clone()), Bind::rows(out, rows)],
            params: bytemuck::bytes_of(&Params { n: n as u32, activation: activation.code() }),
            groups: groups_for(n, ELEMENTS_PER_GROUP),
            work: Work::Flops((FLOPS * n) as u64),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, SIZES, cpu, put},
    };

    /// The derivative in f64; GELU's by a difference of x Φ(x), with erf by its series.
    fn derivative(activation: Activation, x: f64) -> f64 {
        let gelu = |x: f64| {
            let t = x * std::f64::consts::FRAC_1_SQRT_2;
            let (mut term, mut sum) = (t, t);
            for k in 1..120 {
                term *= -t * t / f64::from(k);
                sum += term / f64::from(2 * k + 1);
            }
            0.5 * x * (1.0 + sum * std::f64::consts::FRAC_2_SQRT_PI)
        };
        match activation {
            Activation::None => 1.0,
            // Truncated by the third derivative, below 2, times a sixth of the step squared.
            Activation::Gelu => (gelu(x + 1e-4) - gelu(x - 1e-4)) / 2e-4,
            Activation::Relu => f64::from(u8::from(x > 0.0)),
        }
    }

    #[test]
    fn every_size_agrees_with_the_difference_of_the_formula() {
        for activation in [Activation::None, Activation::Gelu, Activation::Relu] {
            for n in SIZES {
                let c = 7;
                let mut noise = Noise::new(n as u64);
                let x: Vec<f32> = noise.floats(n * c).iter().map(|v| v * 4.0).collect();
                let dy = noise.floats(n * c);
                let dx = agree(2e-6, |device| {
                    activation_backward(activation, &put(device, &[n, c], &x), &put(device, &[n, c], &dy)).unwrap()
                });
                for ((dx, x), dy) in dx.iter().zip(&x).zip(&dy) {
                    let expected = f64::from(*dy) * derivative(activation, f64::from(*x));
                    assert!((f64::from(*dx) - expected).abs() < 2e-6, "{activation:?} at {x}: {dx} against {expected}");
                }
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 3;
        let x: Vec<f32> = (0..n).map(|i| (i % 3) as f32 - 1.0).collect();
        let dx = agree_split(0.0, 1 << 20, |device| {
            let x = put(device, &[n], &x);
            activation_backward(Activation::Relu, &x, &x).unwrap()
        });
        assert!(dx.iter().zip(&x).all(|(dx, x)| *dx == x.max(0.0)));
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let (x, dy) = (put(&device, &[2], &[0.0f32; 2]), put(&device, &[3], &[0.0f32; 3]));
        assert!(activation_backward(Activation::Gelu, &x, &dy).is_err());
    }
}
