//! Matrix products of the CPU twins: rows times a weight in tiles, with whatever follows done in registers.
//!
//! A tile of outputs is a few rows by three vectors of columns. Weights are laid out for it when they are loaded
//! ([`super::weight`]), elements of the rows are broadcast from where they lie: nothing is packed or copied per
//! product, and the rows may be anywhere, which is what a sparse convolution wants. Sums run over the inner dimension
//! in order, so they depend neither on the number of threads nor on how rows are grouped.

use crate::parallel::prelude::*;
use pulp::{Arch, Simd, WithSimd};
use std::{array, ops::Range};

/// Most vectors of columns in a tile. The channels of the base configuration are multiples of 48, three of the widest.
const VECTORS: usize = 3;

/// Lanes of this machine's vectors.
fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}

/// Elements of a weight in tiles.
pub(super) fn tiled_len(outputs: usize, taps: usize, inner: usize) -> usize {
    taps * inner * outputs.next_multiple_of(lanes())
}

/// The vectors of columns of tile `index`: as few tiles as [`VECTORS`] allows, whose widths differ by one at most.
#[inline(always)]
fn tile_vectors(index: usize, outputs: usize, lanes: usize) -> Range<usize> {
    let vectors = outputs.div_ceil(lanes);
    let tiles = vectors.div_ceil(VECTORS).max(1);
    index * vectors / tiles..(index + 1) * vectors / tiles
}

/// Lays out `matrix` `[outputs, taps, inner]` as `[tap][tile][inner][column]`, filled up with zeros to whole vectors.
pub(super) fn tile_weight(matrix: &[f32], outputs: usize, taps: usize, inner: usize, tiles: &mut [f32]) {
    if tiles.is_empty() {
        return;
    }
    let lanes = lanes();
    let padded = outputs.next_multiple_of(lanes);
    tiles.par_chunks_mut(inner * padded).enumerate().for_each(|(tap, weights)| {
        for tile in 0..Tiles::count(outputs) {
            let vectors = tile_vectors(tile, outputs, lanes);
            let (first, width) = (vectors.start * lanes, vectors.len() * lanes);
            let tile = &mut weights[first * inner..][..width * inner];
            for column in 0..width {
                let output = first + column;
                let row = (output < outputs).then(|| &matrix[(output * taps + tap) * inner..][..inner]);
                for k in 0..inner {
                    tile[k * width + column] = row.map_or(0.0, |row| row[k]);
                }
            }
        }
    });
}

/// One tap of a weight in tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a> {
    weights: &'a [f32],
    outputs: usize,
    inner: usize,
}

/// A tile of a [`Tiles`]: its first column, and its weights, `[inner][width]`.
pub(super) struct Tile<'a> {
    pub(super) column: usize,
    pub(super) weights: &'a [f32],
}

impl<'a> Tiles<'a> {
    /// Tap `tap` of a weight.
    pub(super) fn tap(weight: &'a [f32], tap: usize, outputs: usize, inner: usize) -> Self {
        let len = tiled_len(outputs, 1, inner);
        Self { weights: &weight[tap * len..][..len], outputs, inner }
    }

    /// Number of tiles.
    pub(super) fn count(outputs: usize) -> usize {
        outputs.div_ceil(VECTORS * lanes())
    }

    /// Tile `index`.
    #[inline(always)]
    pub(super) fn tile<S: Simd>(self, index: usize) -> Tile<'a> {
        let vectors = tile_vectors(index, self.outputs, S::F32_LANES);
        let (column, width) = (vectors.start * S::F32_LANES, vectors.len() * S::F32_LANES);
        Tile { column, weights: &self.weights[column * self.inner..][..width * self.inner] }
    }
}

/// Columns that tiles `range` of a weight cover.
pub(super) fn columns_of(range: &Range<usize>, outputs: usize) -> Range<usize> {
    let lanes = lanes();
    let first = |tile| tile_vectors(tile, outputs, lanes).start * lanes;
    first(range.start)..first(range.end).min(outputs)
}

/// Shares out `out`, rows of `columns`, to the threads: `run` gets the first row of a block, the tiles to compute, and
/// the block's rows of those columns. Up to `few_rows` rows are shared out by columns, so that each thread reads its
/// part of the weight only; more are in blocks of up to `block` rows.
pub(super) fn in_blocks(
    out: &mut [f32],
    columns: usize,
    few_rows: usize,
    block: usize,
    run: impl Fn(usize, Range<usize>, &mut [f32]) + Sync,
) {
    let (rows, threads, tiles) = (out.len() / columns, crate::parallel::current_num_threads(), Tiles::count(columns));
    if rows > few_rows || tiles == 1 {
        // As many blocks for one thread as for another, of about the same size.
        let blocks = rows.div_ceil(block).next_multiple_of(threads);
        let block = rows.div_ceil(blocks).next_multiple_of(8);
        out.par_chunks_mut(block * columns).enumerate().for_each(|(i, out)| run(i * block, 0..tiles, out));
        return;
    }
    let share = tiles.div_ceil(threads);
    let parts: Vec<(Range<usize>, Vec<f32>)> = (0..tiles)
        .into_par_iter()
        .step_by(share)
        .map(|first| {
            let range = first..tiles.min(first + share);
            let columns = columns_of(&range, columns);
            let mut part = vec![0.0; rows * columns.len()];
            run(0, range, &mut part);
            (columns, part)
        })
        .collect();
    for (range, part) in parts {
        for (out, part) in out.chunks_exact_mut(columns).zip(part.chunks_exact(range.len())) {
            out[range.clone()].copy_from_slice(part);
        }
    }
}

/// What is done with one tile of columns: called with the vectors it is wide as a constant.
pub(super) trait TileWork<S: Simd> {
    /// `ROWS` rows are to be multiplied at a time.
    fn run<const ROWS: usize, const WIDTH: usize>(&mut self, simd: S, column: usize, weights: &[[S::f32s; WIDTH]]);
}

/// Runs `work` on a tile, with as many rows at a time as registers hold.
#[inline(always)]
pub(super) fn with_tile<S: Simd>(simd: S, tile: &Tile<'_>, inner: usize, work: &mut impl TileWork<S>) {
    let vectors = S::as_simd_f32s(tile.weights).0;
    if inner == 0 {
        return;
    }
    match (vectors.len() / inner, S::REGISTER_COUNT >= 32) {
        (3, true) => work.run::<8, 3>(simd, tile.column, vectors.as_chunks().0),
        (3, false) => work.run::<4, 3>(simd, tile.column, vectors.as_chunks().0),
        (2, true) => work.run::<8, 2>(simd, tile.column, vectors.as_chunks().0),
        (2, false) => work.run::<4, 2>(simd, tile.column, vectors.as_chunks().0),
        (_, true) => work.run::<8, 1>(simd, tile.column, vectors.as_chunks().0),
        (_, false) => work.run::<4, 1>(simd, tile.column, vectors.as_chunks().0),
    }
}

/// `sums[r] += Σ_k x[r][k] · weights[k]`
#[inline(always)]
pub(super) fn multiply<S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    x: [&[f32]; ROWS],
    weights: &[[S::f32s; WIDTH]],
    sums: &mut [[S::f32s; WIDTH]; ROWS],
) {
    // Equal lengths, and a copy of the sums that nothing else can see, keep the loop free of checks and of stores.
    let x = x.map(|row| &row[..weights.len()]);
    let mut tile = *sums;
    for (k, weight) in weights.iter().enumerate() {
        for r in 0..ROWS {
            let x = simd.splat_f32s(x[r][k]);
            for v in 0..WIDTH {
                tile[r][v] = simd.mul_add_e_f32s(x, weight[v], tile[r][v]);
            }
        }
    }
    *sums = tile;
}

/// `sums[r] += Σ_k row(r)[k] · by[k]`, `ROWS` rows at a time.
#[inline(always)]
pub(super) fn add_products<'a, S: Simd, const ROWS: usize, const WIDTH: usize>(
    simd: S,
    row: impl Fn(usize) -> &'a [f32],
    by: &[[S::f32s; WIDTH]],
    sums: &mut [[S::f32s; WIDTH]],
) {
    for (first, sums) in (0..).step_by(ROWS).zip(sums.chunks_mut(ROWS)) {
        // The last row is multiplied again where a group is not full.
        let last = sums.len() - 1;
        let rows = array::from_fn(|r| row(first + r.min(last)));
        let mut tile: [[S::f32s; WIDTH]; ROWS] = array::from_fn(|r| sums[r.min(last)]);
        multiply::<S, ROWS, WIDTH>(simd, rows, by, &mut tile);
        sums.copy_from_slice(&tile[..=last]);
    }
}

/// The vector that starts at `at`, zeros past the end.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, from: &[f32], at: usize) -> S::f32s {
    if let Some(whole) = from.get(at..at + S::F32_LANES) {
        S::as_simd_f32s(whole).0[0]
    } else {
        simd.partial_load_f32s(from.get(at..).unwrap_or_default())
    }
}

/// Writes the elements of a vector that lie before the end.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, to: &mut [f32], at: usize, vector: S::f32s) {
    if let Some(whole) = to.get_mut(at..at + S::F32_LANES) {
        S::as_mut_simd_f32s(whole).0[0] = vector;
    } else if let Some(rest) = to.get_mut(at..) {
        simd.partial_store_f32s(rest, vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_its_place_in_a_tile() {
        for (outputs, taps, inner) in [(1, 1, 1), (20, 1, 5), (48, 27, 3), (130, 2, 7), (0, 1, 4), (4, 1, 0)] {
            let matrix: Vec<f32> = (0..outputs * taps * inner).map(|i| i as f32 + 1.0).collect();
            let mut tiles = vec![f32::NAN; tiled_len(outputs, taps, inner)];
            tile_weight(&matrix, outputs, taps, inner, &mut tiles);
            let mut found: Vec<f32> = tiles.iter().copied().filter(|w| *w != 0.0).collect();
            found.sort_by(f32::total_cmp);
            assert_eq!(found, matrix);
            if taps * inner > 0 && outputs > 0 {
                // Output 0 of the last tap, inner element 0, leads that tap's tiles.
                let tap = Tiles::tap(&tiles, taps - 1, outputs, inner);
                assert_eq!(tap.weights[0], ((taps - 1) * inner + 1) as f32);
            }
        }
    }
}
