//! `linear`: `out[n, o] = act(x[n, i] · weight[o, i]ᵀ + bias[o]) + residual[n, o]`, torch's `nn.Linear` with its
//! neighbours fused.
//!
//! The weight is f32, or f16 or bf16 packed two to a word and widened where it is read; sums are in f32.
//! For the backward pass nothing is saved but the operands.

use super::{
    Activation, ensure,
    gemm::{Strides, Write, gemm},
    math::vectorised,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{Variant, linear as table, params},
    },
};
use half::{bf16, f16};
use rayon::prelude::*;
use std::borrow::Cow;

params!(linear { rows: u32, columns: u32, inner: u32, activation: u32, has_bias: u32, has_residual: u32 });

/// What follows the product.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to every row, `[o]`.
    pub bias: Option<&'a Tensor>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Added after the activation, `[n, o]`.
    pub residual: Option<&'a Tensor>,
}

/// The side of the block of outputs that one workgroup computes.
pub(super) const BLOCK: usize = 64;

/// `x` `[n, i]`, `weight` `[o, i]` → `[n, o]`.
pub fn linear(x: &Tensor, weight: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
    let (rows, inner, columns) = (x.rows(), x.columns(), weight.rows());
    ensure!("linear", weight.columns() == inner, "x {:?} against weight {:?}", x.shape(), weight.shape());
    ensure!("linear", x.dtype() == DType::F32, "x is {:?}, expected F32", x.dtype());
    for (name, tensor, expected) in [("bias", epilogue.bias, columns), ("residual", epilogue.residual, rows * columns)]
    {
        let fits = tensor.is_none_or(|t| t.len() == expected && t.dtype() == DType::F32);
        ensure!("linear", fits, "{name} {tensor:?}, expected {expected} of F32");
    }
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let more = [epilogue.bias, epilogue.residual].into_iter().flatten().map(|t| bytes_of(&[t])).sum::<u64>();
            let work = Work::Flops(2 * (rows * inner * columns) as u64);
            device.run("linear", work, bytes_of(&[x, weight, &out]) + more, || {
                cpu(x.host(), &widened(weight), columns, epilogue, out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, weight, epilogue, &out)?,
    }
    Ok(out)
}

/// The permutation for a weight: its type, and whether four inner elements can be read at once.
pub(super) fn variant(weight: DType, inner: usize, table: [&'static Variant; 6]) -> &'static Variant {
    let kind = match weight {
        DType::F16 => 2,
        DType::BF16 => 4,
        _ => 0,
    };
    table[kind + usize::from(inner.is_multiple_of(4))]
}

fn gpu(gpu: &Gpu, x: &Tensor, weight: &Tensor, epilogue: Epilogue<'_>, out: &Tensor) -> Result<()> {
    let (rows, inner, columns) = (x.rows(), x.columns(), out.columns());
    let all = [&table::F32, &table::F32_VEC4, &table::F16, &table::F16_VEC4, &table::BF16, &table::BF16_VEC4];
    let work_per_row = 2 * (inner * columns) as u64;
    for chunk in row_chunks(rows, x.row_bytes().max(out.row_bytes()), work_per_row, gpu.max_binding()) {
        let params = Params {
            rows: chunk.len() as u32,
            columns: columns as u32,
            inner: inner as u32,
            activation: epilogue.activation.code(),
            has_bias: u32::from(epilogue.bias.is_some()),
            has_residual: u32::from(epilogue.residual.is_some()),
        };
        gpu.dispatch(&Dispatch {
            variant: variant(weight.dtype(), inner, all),
            entry: "main",
            bind: &[
                Bind::rows(x, chunk.clone()),
                Bind::all(weight),
                // What is absent is not read: any buffer fills its place.
                Bind::all(epilogue.bias.unwrap_or(weight)),
                epilogue.residual.map_or(Bind::all(weight), |residual| Bind::rows(residual, chunk.clone())),
                Bind::rows(out, chunk.clone()),
            ],
            params: bytemuck::bytes_of(&params),
            groups: (chunk.len().div_ceil(BLOCK) * columns.div_ceil(BLOCK)) as u32,
            work: Work::Flops(work_per_row * chunk.len() as u64),
        })?;
    }
    Ok(())
}

/// A weight in f32, widened where it is packed.
pub(super) fn widened(weight: &Tensor) -> Cow<'_, [f32]> {
    match weight.dtype() {
        DType::F16 => Cow::Owned(weight.host::<f16>().iter().map(|w| w.to_f32()).collect()),
        DType::BF16 => Cow::Owned(weight.host::<bf16>().iter().map(|w| w.to_f32()).collect()),
        _ => Cow::Borrowed(weight.host()),
    }
}

/// Rows of a block that a thread multiplies and finishes while it is in its cache.
const CPU_ROWS: usize = 512;

fn cpu(x: &[f32], weight: &[f32], columns: usize, epilogue: Epilogue<'_>, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / columns;
    let inner = weight.len() / columns;
    let bias = epilogue.bias.map(Tensor::host::<f32>);
    let residual = epilogue.residual.map(Tensor::host::<f32>);
    let finish = |first_row: usize, block: &mut [f32]| {
        vectorised(|| {
            for (i, row) in block.chunks_exact_mut(columns).enumerate() {
                if let Some(bias) = bias {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
                epilogue.activation.apply(row);
                if let Some(residual) = residual {
                    let at = (first_row + i) * columns;
                    row.iter_mut().zip(&residual[at..at + columns]).for_each(|(y, r)| *y += r);
                }
            }
        });
    };
    let product = |x: &[f32], block: &mut [f32], parallel| {
        let shape = [block.len() / columns, columns, inner];
        let right = (weight, Strides::transposed(inner));
        gemm(shape, block, columns, Write::Set, (x, Strides::rows(inner)), right, 1.0, parallel);
    };
    if rows < CPU_ROWS {
        // Too few rows to share out by rows: the product shares its own blocks.
        product(x, out, true);
        let share = rows.div_ceil(rayon::current_num_threads()).max(1);
        out.par_chunks_mut(share * columns).enumerate().for_each(|(i, block)| finish(i * share, block));
        return;
    }
    out.par_chunks_mut(CPU_ROWS * columns).enumerate().for_each(|(i, block)| {
        let first = i * CPU_ROWS;
        product(&x[first * inner..first * inner + block.len() / columns * inner], block, false);
        finish(first, block);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, put},
    };

    /// The formula in f64, element by element.
    fn naive(x: &[f32], weight: &[f32], bias: &[f32], [n, i, o]: [usize; 3]) -> Vec<f64> {
        let dot = |r: usize, c: usize| -> f64 {
            (0..i).map(|k| f64::from(x[r * i + k]) * f64::from(weight[c * i + k])).sum::<f64>() + f64::from(bias[c])
        };
        (0..n * o).map(|at| dot(at / o, at % o)).collect()
    }

    #[test]
    fn every_size_and_epilogue_agrees_with_the_formula() {
        let shapes = [[0, 16, 16], [1, 9, 48], [15, 3, 7], [1025, 48, 144], [600, 20, 65], [70, 512, 20]];
        for (seed, [n, i, o]) in shapes.into_iter().enumerate() {
            let mut noise = Noise::new(seed as u64);
            let (x, weight, bias) = (noise.floats(n * i), noise.floats(o * i), noise.floats(o));
            let residual = noise.floats(n * o);
            // What must be bound whole: the weight, and 64 rows.
            let binding = (4 * (o * i).max(64 * i.max(o))) as u64;
            // Sums of up to 512 products below 1: f32 loses up to 512 half units in the last place of their sizes.
            let plain = agree_split(3e-5, binding, |device| {
                let bias = put(device, &[o], &bias);
                let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
                linear(&put(device, &[n, i], &x), &put(device, &[o, i], &weight), epilogue).unwrap()
            });
            let expected = naive(&x, &weight, &bias, [n, i, o]);
            assert!(plain.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 3e-5));
            let fused = agree_split(3e-5, binding, |device| {
                let (bias, residual) = (put(device, &[o], &bias), put(device, &[n, o], &residual));
                let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Relu, residual: Some(&residual) };
                linear(&put(device, &[n, i], &x), &put(device, &[o, i], &weight), epilogue).unwrap()
            });
            let unfused = plain.iter().zip(&residual).map(|(y, r)| y.max(0.0) + r);
            assert!(fused.iter().zip(unfused).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn packed_weights_are_widened_exactly() {
        for [n, i, o] in [[33, 16, 24], [5, 9, 3]] {
            let mut noise = Noise::new(7);
            let x = noise.floats(n * i);
            let weight = noise.floats(o * i);
            let halves: Vec<f16> = weight.iter().map(|w| f16::from_f32(*w)).collect();
            let brains: Vec<bf16> = weight.iter().map(|w| bf16::from_f32(*w)).collect();
            let packed: [(DType, &[u8], Vec<f32>); 2] = [
                (DType::F16, bytemuck::cast_slice(&halves), halves.iter().map(|h| h.to_f32()).collect()),
                (DType::BF16, bytemuck::cast_slice(&brains), brains.iter().map(|h| h.to_f32()).collect()),
            ];
            for (dtype, bytes, wide) in packed {
                let from_packed = agree(1e-5, |device| {
                    let weight = Tensor::from_bytes(device, &[o, i], dtype, bytes).unwrap();
                    linear(&put(device, &[n, i], &x), &weight, Epilogue::default()).unwrap()
                });
                let from_wide = agree(1e-5, |device| {
                    linear(&put(device, &[n, i], &x), &put(device, &[o, i], &wide), Epilogue::default()).unwrap()
                });
                assert_eq!(from_packed, from_wide);
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // 65,537 blocks of 64 rows.
        let n = 65_536 * 64 + 1;
        let x: Vec<f32> = (0..n).map(|i| (i % 1000) as f32).collect();
        agree(0.0, |device| {
            linear(&put(device, &[n, 1], &x), &put(device, &[1, 1], &[2.0f32]), Epilogue::default()).unwrap()
        });
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let device = Device::cpu();
        let (x, weight) = (put(&device, &[2, 3], &[0.0f32; 6]), put(&device, &[4, 2], &[0.0f32; 8]));
        let error = linear(&x, &weight, Epilogue::default()).unwrap_err().to_string();
        assert_eq!(error, "kernel linear: x [2, 3] against weight [4, 2]");
    }
}
