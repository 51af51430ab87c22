//! Sums of outer products, for the CPU twins of gradients with respect to weights.
//!
//! Rows are read where they lie: an element of one operand's row is broadcast to vectors of the other's. Sums run over
//! the pairs of rows in order, and stay in registers for all of them.

use super::product::{load, store};
use pulp::{Simd, WithSimd};
use std::{array, ops::Range};

/// `out[o, i] += Σ y[a, o] · x[b, i]` over pairs (a, b) of rows.
pub(super) struct OuterSum<'a> {
    pub(super) y: &'a [f32],
    pub(super) y_columns: usize,
    pub(super) x: &'a [f32],
    pub(super) x_columns: usize,
    pub(super) pairs: &'a [(u32, u32)],
    /// The columns of y that `out` holds, a row each.
    pub(super) outputs: Range<usize>,
    pub(super) out: &'a mut [f32],
    /// Elements from one row of `out` to the next.
    pub(super) stride: usize,
}

impl WithSimd for OuterSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let mut column = 0;
        while column < self.x_columns {
            let vectors = (self.x_columns - column).div_ceil(lanes).min(3);
            // As many sums as registers hold, with the vectors of x and one element of y beside them.
            match (vectors, S::REGISTER_COUNT >= 32) {
                (3, true) => self.tile::<S, 8, 3>(simd, column),
                (3, false) => self.tile::<S, 4, 3>(simd, column),
                (2, true) => self.tile::<S, 8, 2>(simd, column),
                (2, false) => self.tile::<S, 4, 2>(simd, column),
                (_, _) => self.tile::<S, 8, 1>(simd, column),
            }
            column += vectors * lanes;
        }
    }
}

impl OuterSum<'_> {
    /// `WIDTH` vectors of columns of x from `column` on, for all outputs.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const WIDTH: usize>(&mut self, simd: S, column: usize) {
        let Self { y, y_columns, x, x_columns, pairs, ref outputs, ref mut out, stride } = *self;
        for first in outputs.clone().step_by(ROWS) {
            let count = ROWS.min(outputs.end - first);
            let place =
                |r: usize| (first - outputs.start + r) * stride..(first - outputs.start + r) * stride + x_columns;
            let mut sums = [[simd.splat_f32s(0.0); WIDTH]; ROWS];
            for r in 0..count {
                sums[r] = array::from_fn(|v| load(simd, &out[place(r)], column + v * S::F32_LANES));
            }
            for (a, b) in pairs {
                let from = &y[*a as usize * y_columns + first..(*a as usize + 1) * y_columns];
                let x = &x[*b as usize * x_columns..][..x_columns];
                let x: [_; WIDTH] = array::from_fn(|v| load(simd, x, column + v * S::F32_LANES));
                // Where a group is not full, the other sums are not kept.
                let mut few = [0.0; ROWS];
                let elements = from.first_chunk::<ROWS>().unwrap_or_else(|| {
                    few[..from.len()].copy_from_slice(from);
                    &few
                });
                for r in 0..ROWS {
                    let y = simd.splat_f32s(elements[r]);
                    for v in 0..WIDTH {
                        sums[r][v] = simd.mul_add_e_f32s(y, x[v], sums[r][v]);
                    }
                }
            }
            for r in 0..count {
                let out = &mut out[place(r)];
                for v in 0..WIDTH {
                    store(simd, out, column + v * S::F32_LANES, sums[r][v]);
                }
            }
        }
    }
}
