//! `linear`: `out[n, o] = act(x[n, i] · weight[o, i]ᵀ + bias[o] + delta[n, o]) + residual[n, o]`, torch's `nn.Linear` with
//! its neighbours fused.
//!
//! The weight is f32, or f16 or bf16 packed two to a word and widened where it is read; sums are in f32. The delta is
//! that of [`low_rank_delta`]. For the backward pass nothing is saved but the operands.

use super::{
    Activation, ensure,
    low_rank_delta::{LowRank, low_rank_delta},
    product::{TileWork, Tiles, columns_of, in_blocks, load, multiply, store, with_tile},
    weight::Weight,
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
use pulp::{Arch, Simd, WithSimd};
use std::{array, ops::Range};

params!(linear { rows: u32, columns: u32, inner: u32, activation: u32, has_bias: u32, has_residual: u32 });

/// What follows the product.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to every row, `[o]`.
    pub bias: Option<&'a Tensor>,
    /// A weight delta of low rank, one per patch.
    pub delta: Option<LowRank<'a>>,
    /// Applied after the bias and the delta.
    pub activation: Activation,
    /// Added after the activation, `[n, o]`; not together with both a delta and an activation.
    pub residual: Option<&'a Tensor>,
}

/// The side of the block of outputs that one workgroup computes.
pub(super) const BLOCK: usize = 64;

/// `x` `[n, i]`, `weight` `[o, i]` → `[n, o]`.
pub fn linear(x: &Tensor, weight: &Weight, epilogue: Epilogue<'_>) -> Result<Tensor> {
    let (rows, inner, columns) = (x.rows(), x.columns(), weight.outputs());
    ensure!("linear", weight.inner() == inner && weight.taps() == 1, "x {:?} against {weight:?}", x.shape());
    ensure!("linear", x.dtype() == DType::F32, "x is {:?}, expected F32", x.dtype());
    for (name, tensor, expected) in [("bias", epilogue.bias, columns), ("residual", epilogue.residual, rows * columns)]
    {
        let fits = tensor.is_none_or(|t| t.len() == expected && t.dtype() == DType::F32);
        ensure!("linear", fits, "{name} {tensor:?}, expected {expected} of F32");
    }
    if let Some(delta) = &epilogue.delta {
        delta.check(rows, columns)?;
        let alone = epilogue.residual.is_none() || epilogue.activation == Activation::None;
        ensure!("linear", alone, "a delta before {:?} and a residual", epilogue.activation);
    }
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let more = [epilogue.bias, epilogue.residual].into_iter().flatten().map(|t| bytes_of(&[t])).sum::<u64>();
            let rank = epilogue.delta.map_or(0, |delta| delta.z.columns());
            let work = Work::Flops(2 * (rows * (inner + rank) * columns) as u64);
            device.run("linear", work, bytes_of(&[x, weight.tensor(), &out]) + more, || {
                cpu(x.host(), weight, epilogue, out.host_mut());
            });
        }
        Device::Gpu(device) => match epilogue.delta {
            Some(delta) => {
                gpu(device, x, weight, Epilogue { delta: None, activation: Activation::None, ..epilogue }, &out)?;
                return low_rank_delta(&out, delta, epilogue.activation);
            }
            None => gpu(device, x, weight, epilogue, &out)?,
        },
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

fn gpu(gpu: &Gpu, x: &Tensor, weight: &Weight, epilogue: Epilogue<'_>, out: &Tensor) -> Result<()> {
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
                Bind::all(weight.tensor()),
                // What is absent is not read: any buffer fills its place.
                Bind::all(epilogue.bias.unwrap_or(weight.tensor())),
                epilogue.residual.map_or(Bind::all(weight.tensor()), |residual| Bind::rows(residual, chunk.clone())),
                Bind::rows(out, chunk.clone()),
            ],
            params: bytemuck::bytes_of(&params),
            groups: (chunk.len().div_ceil(BLOCK) * columns.div_ceil(BLOCK)) as u32,
            work: Work::Flops(work_per_row * chunk.len() as u64),
        })?;
    }
    Ok(())
}

/// Elements of `x` in a block of rows: they stay in a thread's second-level cache while the weight streams by.
const CPU_BLOCK: usize = 1 << 16;
/// Up to this many rows, threads share out the columns, and each reads its part of the weight only.
const FEW_ROWS: usize = 64;

fn cpu(x: &[f32], weight: &Weight, epilogue: Epilogue<'_>, out: &mut [f32]) {
    let (columns, inner) = (weight.outputs(), weight.inner());
    if out.is_empty() {
        return;
    }
    let across = epilogue.delta.map(|delta| delta.across());
    let finish = Finish {
        columns,
        bias: epilogue.bias.map(Tensor::host),
        delta: epilogue.delta.zip(across.as_deref()),
        activation: epilogue.activation,
        residual: epilogue.residual.map(Tensor::host),
    };
    let tiles = Tiles::tap(weight.tensor().host(), 0, columns, inner);
    let run = |first_row: usize, range: Range<usize>, out: &mut [f32]| {
        let columns = columns_of(&range, columns);
        let x = &x[first_row * inner..];
        Arch::new().dispatch(Block { x, inner, tiles, range, first_row, finish: &finish, columns, out });
    };
    let block = (CPU_BLOCK / inner.max(1)).clamp(64, 1024).next_multiple_of(8);
    in_blocks(out, columns, FEW_ROWS, block, run);
}

/// A block of rows times some tiles of the weight.
struct Block<'a> {
    /// From the block's first row on.
    x: &'a [f32],
    inner: usize,
    tiles: Tiles<'a>,
    range: Range<usize>,
    first_row: usize,
    finish: &'a Finish<'a>,
    /// Columns that `out` holds.
    columns: Range<usize>,
    out: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if self.inner == 0 {
            // Nothing to add up: what follows the product is all there is.
            self.empty(simd);
        }
        for tile in self.range.clone() {
            with_tile(simd, &self.tiles.tile::<S>(tile), self.inner, &mut self);
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn empty<S: Simd>(&mut self, simd: S) {
        for column in self.columns.clone().step_by(S::F32_LANES) {
            for row in 0..self.out.len() / self.columns.len() {
                self.write(simd, row, column, &mut [simd.splat_f32s(0.0)]);
            }
        }
    }

    #[inline(always)]
    fn write<S: Simd, const WIDTH: usize>(&mut self, simd: S, row: usize, column: usize, sums: &mut [S::f32s; WIDTH]) {
        self.finish.apply(simd, self.first_row + row, column, sums);
        let stride = self.columns.len();
        let out = &mut self.out[row * stride..][..stride];
        for v in 0..WIDTH {
            store(simd, out, column - self.columns.start + v * S::F32_LANES, sums[v]);
        }
    }
}

impl<S: Simd> TileWork<S> for Block<'_> {
    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize>(&mut self, simd: S, column: usize, weights: &[[S::f32s; WIDTH]]) {
        let rows = self.out.len() / self.columns.len();
        for first in (0..rows).step_by(ROWS) {
            let count = ROWS.min(rows - first);
            // The last rows are multiplied again where a group is not full.
            let x = array::from_fn(|r| &self.x[(first + r.min(count - 1)) * self.inner..][..self.inner]);
            let mut sums = [[simd.splat_f32s(0.0); WIDTH]; ROWS];
            multiply::<S, ROWS, WIDTH>(simd, x, weights, &mut sums);
            for (r, sums) in sums.iter_mut().enumerate().take(count) {
                self.write(simd, first + r, column, sums);
            }
        }
    }
}

/// The epilogue, applied to sums while they are in registers.
struct Finish<'a> {
    columns: usize,
    bias: Option<&'a [f32]>,
    /// With its `a` as `[patch, rank, columns]`.
    delta: Option<(LowRank<'a>, &'a [f32])>,
    activation: Activation,
    residual: Option<&'a [f32]>,
}

impl Finish<'_> {
    #[inline(always)]
    fn apply<S: Simd, const WIDTH: usize>(&self, simd: S, row: usize, column: usize, sums: &mut [S::f32s; WIDTH]) {
        let at = |v: usize| column + v * S::F32_LANES;
        if let Some(bias) = self.bias {
            for v in 0..WIDTH {
                sums[v] = simd.add_f32s(sums[v], load(simd, bias, at(v)));
            }
        }
        if let Some((delta, across)) = &self.delta {
            for (z, a) in delta.terms(row, across, self.columns) {
                let z = simd.splat_f32s(delta.scale * z);
                for v in 0..WIDTH {
                    sums[v] = simd.mul_add_e_f32s(z, load(simd, a, at(v)), sums[v]);
                }
            }
        }
        for v in 0..WIDTH {
            sums[v] = self.activation.vector(simd, sums[v]);
        }
        if let Some(residual) = self.residual {
            let residual = &residual[row * self.columns..][..self.columns];
            for v in 0..WIDTH {
                sums[v] = simd.add_f32s(sums[v], load(simd, residual, at(v)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, put},
    };
    use half::{bf16, f16};

    fn weigh(device: &Device, shape: [usize; 2], weight: &[f32]) -> Weight {
        Weight::new(&put(device, &shape, weight), 1).unwrap()
    }

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
                linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &weight), epilogue).unwrap()
            });
            let expected = naive(&x, &weight, &bias, [n, i, o]);
            assert!(plain.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 3e-5));
            let fused = agree_split(3e-5, binding, |device| {
                let (bias, residual) = (put(device, &[o], &bias), put(device, &[n, o], &residual));
                let epilogue = Epilogue {
                    bias: Some(&bias),
                    activation: Activation::Relu,
                    residual: Some(&residual),
                    delta: None,
                };
                linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &weight), epilogue).unwrap()
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
                    linear(&put(device, &[n, i], &x), &Weight::new(&weight, 1).unwrap(), Epilogue::default()).unwrap()
                });
                let from_wide = agree(1e-5, |device| {
                    linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &wide), Epilogue::default()).unwrap()
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
            linear(&put(device, &[n, 1], &x), &weigh(device, [1, 1], &[2.0f32]), Epilogue::default()).unwrap()
        });
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let device = Device::cpu();
        let (x, weight) = (put(&device, &[2, 3], &[0.0f32; 6]), put(&device, &[4, 2], &[0.0f32; 8]));
        let error = linear(&x, &Weight::new(&weight, 1).unwrap(), Epilogue::default()).unwrap_err().to_string();
        assert_eq!(error, "kernel linear: x [2, 3] against Weight [4, 1 x 2] F32");
    }
}
