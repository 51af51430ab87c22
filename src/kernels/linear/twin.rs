//! The CPU twin: a block of rows times a weight, with the epilogue applied while the sums are in registers.
//!
//! The kernels that fuse a product with their neighbours ([`crate::kernels::mlp`], [`crate::kernels::basis_mix`],
//! [`crate::kernels::low_rank_delta`]) are made of the same pieces.

use super::Epilogue;
use crate::{
    device::Tensor,
    kernels::{
        Activation,
        low_rank_delta::LowRank,
        product::{TileWork, Tiles, columns_of, in_blocks, load, multiply, store, with_tile},
        weight::Weight,
    },
};
use pulp::{Arch, Simd, WithSimd};
use std::{array, ops::Range};

/// Elements of x in a block of rows, a quarter of a second-level cache or half of a small one.
const CPU_BLOCK: usize = 1 << 16;
/// Up to this many rows, threads share out the columns, and each reads its part of the weight only.
pub(in crate::kernels) const FEW_ROWS: usize = 64;

pub(super) fn cpu(x: &[f32], weight: &Weight, epilogue: Epilogue<'_>, out: &mut [f32]) {
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
        let operand = Operand { x, inner, order: None };
        Arch::new().dispatch(Block { operand, tiles, range, first_row, finish: &finish, columns, out });
    };
    in_blocks(out, columns, FEW_ROWS, cpu_block(inner), run);
}

/// Rows of a block of x: they stay in a thread's second-level cache while the weight streams by.
pub(in crate::kernels) fn cpu_block(inner: usize) -> usize {
    (CPU_BLOCK / inner.max(1)).clamp(64, 1024).next_multiple_of(8)
}

/// The first rows of `operand`, as many as `out` `[n, o]` holds, times all of a weight.
pub(in crate::kernels) fn multiply_rows(operand: Operand<'_>, tiles: Tiles<'_>, finish: &Finish<'_>, out: &mut [f32]) {
    let range = 0..Tiles::count(finish.columns);
    let columns = columns_of(&range, finish.columns);
    Arch::new().dispatch(Block { operand, tiles, range, first_row: 0, finish, columns, out });
}

/// Applies an epilogue to sums `[n, o]` that lie in memory; `first_row` is the first of them to the epilogue.
pub(in crate::kernels) fn finish_rows(first_row: usize, sums: &[f32], finish: &Finish<'_>, out: &mut [f32]) {
    Arch::new().dispatch(Finishing { first_row, sums, finish, out });
}

/// The rows of a product, as they lie or in an order.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Operand<'a> {
    pub(in crate::kernels) x: &'a [f32],
    pub(in crate::kernels) inner: usize,
    pub(in crate::kernels) order: Option<&'a [u32]>,
}

impl<'a> Operand<'a> {
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f32] {
        let at = self.order.map_or(row, |order| order[row] as usize);
        &self.x[at * self.inner..][..self.inner]
    }
}

/// A block of rows times some tiles of the weight.
struct Block<'a> {
    operand: Operand<'a>,
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
        let inner = self.operand.inner;
        if inner == 0 {
            // Nothing to add up: what follows the product is all there is.
            self.empty(simd);
        }
        for tile in self.range.clone() {
            with_tile(simd, &self.tiles.tile::<S>(tile), inner, &mut self);
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
            let x = array::from_fn(|r| self.operand.row(self.first_row + first + r.min(count - 1)));
            let mut sums = [[simd.splat_f32s(0.0); WIDTH]; ROWS];
            multiply::<S, ROWS, WIDTH>(simd, x, weights, &mut sums);
            for (r, sums) in sums.iter_mut().enumerate().take(count) {
                self.write(simd, first + r, column, sums);
            }
        }
    }
}

/// The epilogue, applied to sums while they are in registers.
#[derive(Default)]
pub(in crate::kernels) struct Finish<'a> {
    pub(in crate::kernels) columns: usize,
    pub(in crate::kernels) bias: Option<&'a [f32]>,
    /// With its `a` as `[patch, rank, columns]`.
    pub(in crate::kernels) delta: Option<(LowRank<'a>, &'a [f32])>,
    pub(in crate::kernels) activation: Activation,
    pub(in crate::kernels) residual: Option<&'a [f32]>,
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

struct Finishing<'a> {
    first_row: usize,
    sums: &'a [f32],
    finish: &'a Finish<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Finishing<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { first_row, sums, finish, out } = self;
        let columns = finish.columns.max(1);
        for (r, (sums, out)) in sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns)).enumerate() {
            for column in (0..columns).step_by(S::F32_LANES) {
                let mut vector = [load(simd, sums, column)];
                finish.apply(simd, first_row + r, column, &mut vector);
                store(simd, out, column, vector[0]);
            }
        }
    }
}
