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
        dispatch::row_chunks,
        gpu::{Bind, Dispatch, Gpu},
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
        Device::Cpu(_) => cpu(x.host(), &widened(weight), columns, epilogue, out.host_mut()),
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
            work: work_per_row * chunk.len() as u64,
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
