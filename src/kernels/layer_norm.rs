//! `layer_norm`: `out[i, :] = act((x[i, :] - mean) / sqrt(variance + eps) · gamma + beta) + residual[i, :]`, over the
//! channels, with the biased variance; every normalisation of the network has eps 1e-5.

use super::{Activation, ensure, groups_for, math::vectorised};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{Variant, layer_norm as table, params},
    },
};

params!(layer_norm { rows: u32, columns: u32, activation: u32, has_residual: u32, eps: f32 });

/// The network's epsilon.
pub(super) const EPS: f32 = 1e-5;
/// Floating-point operations per element.
pub(super) const FLOPS: usize = 8;
pub(super) const ROWS_PER_GROUP: usize = 16;
/// Rows of one task of the twin.
pub(super) const CPU_ROWS: usize = 256;

/// The parameters of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[c]`
    pub gamma: &'a Tensor,
    /// `[c]`
    pub beta: &'a Tensor,
}

impl Norm<'_> {
    /// `norm(x) + residual`, see [`layer_norm`].
    pub(super) fn of(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        layer_norm(x, self.gamma, self.beta, Activation::None, residual)
    }

    /// Whether they are those of so many channels.
    pub(super) fn fits(&self, columns: usize) -> bool {
        [self.gamma, self.beta].iter().all(|tensor| tensor.len() == columns && tensor.dtype() == DType::F32)
    }

    /// The rest of a normalisation on the CPU, of rows that are standardised, with the bits of [`layer_norm`].
    pub(super) fn scale_and_shift(&self, x: &[f32], out: &mut [f32]) {
        let (gamma, beta): (&[f32], &[f32]) = (self.gamma.host(), self.beta.host());
        let columns = gamma.len();
        vectorised(|| {
            for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                for c in 0..columns {
                    out[c] = x[c] * gamma[c] + beta[c];
                }
            }
        });
    }

    /// All of it on the CPU, for a block of rows.
    pub(super) fn rows(&self, x: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        block(x, self.gamma.host(), self.beta.host(), Activation::None, residual, out);
    }
}

/// `x` `[n, c]`, `gamma` and `beta` `[c]`, `residual` `[n, c]` → `[n, c]`.
pub fn layer_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    activation: Activation,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let (rows, columns) = (x.rows(), x.columns());
    for (name, tensor) in [("gamma", gamma), ("beta", beta)] {
        let fits = tensor.len() == columns && tensor.dtype() == DType::F32;
        ensure!("layer_norm", fits, "{name} {tensor:?} for x {:?}", x.shape());
    }
    ensure!("layer_norm", residual.is_none_or(|r| r.len() == x.len()), "residual {residual:?} for x {:?}", x.shape());
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let bytes = bytes_of(&[x, gamma, beta, &out]) + residual.map_or(0, |residual| bytes_of(&[residual]));
            device.run("layer_norm", work(rows, columns), bytes, || {
                cpu(x.host(), gamma.host(), beta.host(), activation, residual.map(Tensor::host), out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, gamma, beta, activation, residual, &out)?,
    }
    Ok(out)
}

fn work(rows: usize, columns: usize) -> Work {
    Work::Flops((FLOPS * rows * columns) as u64)
}

/// The permutation for rows of `columns`: one that keeps them in registers, where they fit.
pub(crate) fn variant(columns: usize) -> &'static Variant {
    if columns.is_multiple_of(4) && columns <= 512 { &table::VEC4 } else { &table::PLAIN }
}

fn gpu(
    gpu: &Gpu,
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    activation: Activation,
    residual: Option<&Tensor>,
    out: &Tensor,
) -> Result<()> {
    for chunk in row_chunks(x.rows(), x.row_bytes(), 1, gpu.max_binding()) {
        let params = Params {
            rows: chunk.len() as u32,
            columns: x.columns() as u32,
            activation: activation.code(),
            has_residual: u32::from(residual.is_some()),
            eps: EPS,
        };
        gpu.dispatch(&Dispatch {
            variant: variant(x.columns()),
            entry: "main",
            bind: &[
                Bind::rows(x, chunk.clone()),
                Bind::all(gamma),
                Bind::all(beta),
                residual.map_or(Bind::all(gamma), |residual| Bind::rows(residual, chunk.clone())),
                Bind::rows(out, chunk.clone()),
            ],
            params: bytemuck::bytes_of(&params),
            groups: groups_for(chunk.len(), ROWS_PER_GROUP),
            work: work(chunk.len(), x.columns()),
        })?;
    }
    Ok(())
}

fn cpu(x: &[f32], gamma: &[f32], beta: &[f32], activation: Activation, residual: Option<&[f32]>, out: &mut [f32]) {
    let columns = gamma.len();
    if columns == 0 {
        return;
    }
    out.par_chunks_mut(CPU_ROWS * columns).enumerate().for_each(|(i, out)| {
        let place = i * CPU_ROWS * columns..i * CPU_ROWS * columns + out.len();
        let residual = residual.map(|residual| &residual[place.clone()]);
        block(&x[place], gamma, beta, activation, residual, out);
    });
}

fn block(x: &[f32], gamma: &[f32], beta: &[f32], activation: Activation, residual: Option<&[f32]>, out: &mut [f32]) {
    let columns = gamma.len();
    vectorised(|| {
        for (r, (row, x)) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).enumerate() {
            let (mean, scale) = statistics(x);
            for c in 0..columns {
                row[c] = (x[c] - mean) * scale * gamma[c] + beta[c];
            }
            activation.apply(row);
            if let Some(residual) = residual {
                row.iter_mut().zip(&residual[r * columns..]).for_each(|(y, r)| *y += r);
            }
        }
    });
}

/// `(x - mean) / sqrt(variance + eps)` of rows of `columns`: what several normalisations of the same rows share.
pub(super) fn standardise(x: &[f32], columns: usize, out: &mut [f32]) {
    vectorised(|| {
        for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            let (mean, scale) = statistics(x);
            for c in 0..columns {
                out[c] = (x[c] - mean) * scale;
            }
        }
    });
}

/// The mean of a row, and one over the square root of its variance.
#[inline(always)]
fn statistics(x: &[f32]) -> (f32, f32) {
    let mean = sum(x, |v| v) / x.len() as f32;
    let variance = sum(x, |v| (v - mean) * (v - mean)) / x.len() as f32;
    (mean, 1.0 / (variance + EPS).sqrt())
}

/// A sum in sixteen lanes, which vectorises and loses less than one running sum.
#[inline(always)]
pub(super) fn sum(x: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = x.chunks_exact(16);
    for (lane, v) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = term(*v);
    }
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += term(*v);
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, SIZES, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            for c in [1, 16, 48, 130, 512, 516] {
                let mut noise = Noise::new((n * 1000 + c) as u64);
                let (x, gamma, beta) = (noise.floats(n * c), noise.floats(c), noise.floats(c));
                let residual = noise.floats(n * c);
                let normed = agree_split(2e-5, 64 * 4 * c.max(64) as u64, |device| {
                    let [gamma, beta] = [put(device, &[c], &gamma), put(device, &[c], &beta)];
                    let residual = put(device, &[n, c], &residual);
                    layer_norm(&put(device, &[n, c], &x), &gamma, &beta, Activation::None, Some(&residual)).unwrap()
                });
                for (at, y) in normed.iter().enumerate().step_by(7) {
                    let row: Vec<f64> = x[at / c * c..][..c].iter().map(|v| f64::from(*v)).collect();
                    let mean = row.iter().sum::<f64>() / c as f64;
                    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
                    let unit = (row[at % c] - mean) / (variance + 1e-5).sqrt();
                    let expected = unit * f64::from(gamma[at % c]) + f64::from(beta[at % c] + residual[at]);
                    assert!((f64::from(*y) - expected).abs() < 2e-5, "n {n}, c {c}: {y} against {expected}");
                }
            }
        }
    }

    #[test]
    fn gelu_follows_the_normalisation() {
        let x = Noise::new(1).floats(64);
        let run = |device: &Device, activation| {
            let [gamma, beta] = [put(device, &[16], &[2.0f32; 16]), put(device, &[16], &[0.5f32; 16])];
            layer_norm(&put(device, &[4, 16], &x), &gamma, &beta, activation, None).unwrap()
        };
        let plain = agree(1e-5, |device| run(device, Activation::None));
        let gelu = agree(1e-5, |device| run(device, Activation::Gelu));
        assert!(
            plain
                .iter()
                .zip(&gelu)
                .all(|(x, y)| (crate::kernels::math::gelu(pulp::Scalar::new(), *x) - y).abs() < 1e-6)
        );
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // Sixteen rows to a group. A row of one element is its own mean: what is left is beta, exactly.
        let n = 65_536 * 16 + 1;
        let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
        agree(0.0, |device| {
            let [gamma, beta] = [put(device, &[1], &[2.0f32]), put(device, &[1], &[0.25f32])];
            let x = put(device, &[n, 1], &x);
            layer_norm(&x, &gamma, &beta, Activation::None, Some(&x)).unwrap()
        });
    }
}
