//! The CPU twin: attention of one head over one window, its scores never leaving the first-level cache.
//!
//! Queries lie in the lanes of two vectors, keys are broadcast: no reduction across lanes is needed, and any head
//! dimension takes the same path. Keys are walked in blocks under an online softmax, as on the GPU.

use super::Window;
use crate::kernels::math::exp2;
use pulp::{Simd, WithSimd};

/// Vectors of queries that one broadcast key serves.
const VECTORS: usize = 2;
/// Keys whose scores are kept at a time: with 32 queries, 16 KiB.
const KEY_BLOCK: usize = 128;
/// Stands below any score, and far enough from the end of the range to be subtracted from.
const NO_SCORE: f32 = -1e30;

/// Buffers of one thread, reused from task to task.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[tile of keys][d][key]`
    keys: Vec<f32>,
    /// `[tile of channels][key][channel]`
    values: Vec<f32>,
    /// `[d][query]`
    queries: Vec<f32>,
    /// `[key][query]`
    scores: Vec<f32>,
    /// `[channel][query]`
    sums: Vec<f32>,
}

/// One head of one window.
pub(super) struct Task<'a> {
    /// `[n, 3, heads, d]`
    pub(super) qkv: &'a [f32],
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) scale: f32,
    /// Point at every rank.
    pub(super) order: &'a [u32],
    pub(super) window: &'a Window,
    pub(super) scratch: &'a mut Scratch,
    /// `[query, d]`
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A tile's sums, twice its length in vectors, are to stay in registers with a few operands beside them.
        if S::REGISTER_COUNT >= 32 { self.attend::<S, 8>(simd) } else { self.attend::<S, 4>(simd) }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn attend<S: Simd, const TILE: usize>(self, simd: S) {
        let Self { qkv, heads, head, scale, order, window, scratch, out } = self;
        let Scratch { keys, values, queries, scores, sums } = scratch;
        let row_length = qkv.len() / order.len();
        let d = row_length / (3 * heads);
        let row = |rank: u32, part: usize| {
            let at = order[rank as usize] as usize * row_length + (part * heads + head) * d;
            &qkv[at..at + d]
        };
        let key_count = window.key_count as usize;
        let key_ranks = window.key_start..window.key_start + window.key_count;
        pack_across::<TILE>(keys, d, key_ranks.clone().map(|rank| row(rank, 1)));
        pack_along::<TILE>(values, d, key_count, key_ranks.map(|rank| row(rank, 2)));
        let (keys, values) = (keys.as_chunks::<TILE>().0, values.as_chunks::<TILE>().0);

        let lanes = VECTORS * S::F32_LANES;
        let tiles = d.div_ceil(TILE);
        scores.resize(KEY_BLOCK * lanes, 0.0);
        let scores = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<VECTORS>().0;
        for (first, out) in (0..window.query_count).step_by(lanes).zip(out.chunks_mut(lanes * d)) {
            let count = out.len() / d;
            queries.clear();
            queries.resize(d * lanes, 0.0);
            for lane in 0..count {
                for (c, q) in row(window.query_start + first + lane as u32, 0).iter().enumerate() {
                    // In powers of two from here on: exp(s) = 2^(s log2 e).
                    queries[c * lanes + lane] = q * scale * std::f32::consts::LOG2_E;
                }
            }
            let queries = S::as_simd_f32s(queries).0.as_chunks::<VECTORS>().0;
            sums.clear();
            sums.resize(tiles * TILE * lanes, 0.0);
            let sums = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<VECTORS>().0;

            let mut largest = [simd.splat_f32s(NO_SCORE); VECTORS];
            let mut total = [simd.splat_f32s(0.0); VECTORS];
            for first_key in (0..key_count).step_by(KEY_BLOCK) {
                let count = KEY_BLOCK.min(key_count - first_key);
                let block = &keys[first_key / TILE * d..][..count.div_ceil(TILE) * d];
                for (keys, scores) in block.chunks_exact(d).zip(scores.chunks_exact_mut(TILE)) {
                    multiply_tile(simd, queries, keys, scores);
                }
                let scores = &mut scores[..count];
                let before = largest;
                for score in scores.iter() {
                    for v in 0..VECTORS {
                        // In this order a NaN stays out of the maximum, and in the weights.
                        largest[v] = simd.max_f32s(score[v], largest[v]);
                    }
                }
                let mut rescale = largest;
                for v in 0..VECTORS {
                    rescale[v] = exp2(simd, simd.sub_f32s(before[v], largest[v]));
                    total[v] = simd.mul_f32s(total[v], rescale[v]);
                }
                for score in scores.iter_mut() {
                    for v in 0..VECTORS {
                        score[v] = exp2(simd, simd.sub_f32s(score[v], largest[v]));
                        total[v] = simd.add_f32s(total[v], score[v]);
                    }
                }
                for (tile, sums) in sums.chunks_exact_mut(TILE).enumerate() {
                    let values = &values[tile * key_count + first_key..][..count];
                    accumulate_tile(simd, scores, values, &rescale, sums);
                }
            }
            let factor = total.map(|total| simd.div_f32s(simd.splat_f32s(1.0), total));
            for sum in sums.iter_mut() {
                for v in 0..VECTORS {
                    sum[v] = simd.mul_f32s(sum[v], factor[v]);
                }
            }
            let sums: &[f32] = bytemuck::cast_slice(sums.as_flattened());
            for (lane, out) in out.chunks_exact_mut(d).enumerate() {
                out.iter_mut().zip(sums[lane..].iter().step_by(lanes)).for_each(|(out, sum)| *out = *sum);
            }
        }
    }
}

/// Rows of `d` as `[tile of rows][d][row]`, the last tile filled up with zeros.
#[inline(always)]
fn pack_across<'a, const TILE: usize>(into: &mut Vec<f32>, d: usize, rows: impl ExactSizeIterator<Item = &'a [f32]>) {
    into.clear();
    into.resize(rows.len().div_ceil(TILE) * TILE * d, 0.0);
    for (i, row) in rows.enumerate() {
        let tile = &mut into[i / TILE * TILE * d..][..TILE * d];
        for (c, v) in row.iter().enumerate() {
            tile[c * TILE + i % TILE] = *v;
        }
    }
}

/// Rows of `d` as `[tile of d][row][d]`, the last tile filled up with zeros.
#[inline(always)]
fn pack_along<'a, const TILE: usize>(
    into: &mut Vec<f32>,
    d: usize,
    count: usize,
    rows: impl Iterator<Item = &'a [f32]>,
) {
    into.clear();
    into.resize(d.div_ceil(TILE) * TILE * count, 0.0);
    for (i, row) in rows.enumerate() {
        for (tile, part) in row.chunks(TILE).enumerate() {
            into[(tile * count + i) * TILE..][..part.len()].copy_from_slice(part);
        }
    }
}

/// `scores[t] = Σ_c queries[c] · keys[c][t]`
#[inline(always)]
fn multiply_tile<S: Simd, const TILE: usize>(
    simd: S,
    queries: &[[S::f32s; VECTORS]],
    keys: &[[f32; TILE]],
    scores: &mut [[S::f32s; VECTORS]],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; TILE];
    for (query, key) in queries.iter().zip(keys) {
        for t in 0..TILE {
            let key = simd.splat_f32s(key[t]);
            for v in 0..VECTORS {
                sums[t][v] = simd.mul_add_e_f32s(query[v], key, sums[t][v]);
            }
        }
    }
    scores.copy_from_slice(&sums);
}

/// `sums[t] = sums[t] · rescale + Σ_j weights[j] · values[j][t]`
#[inline(always)]
fn accumulate_tile<S: Simd, const TILE: usize>(
    simd: S,
    weights: &[[S::f32s; VECTORS]],
    values: &[[f32; TILE]],
    rescale: &[S::f32s; VECTORS],
    sums: &mut [[S::f32s; VECTORS]],
) {
    let mut tile = [[simd.splat_f32s(0.0); VECTORS]; TILE];
    for (weight, value) in weights.iter().zip(values) {
        for t in 0..TILE {
            let value = simd.splat_f32s(value[t]);
            for v in 0..VECTORS {
                tile[t][v] = simd.mul_add_e_f32s(weight[v], value, tile[t][v]);
            }
        }
    }
    for (sum, tile) in sums.iter_mut().zip(&tile) {
        for v in 0..VECTORS {
            sum[v] = simd.mul_add_e_f32s(sum[v], rescale[v], tile[v]);
        }
    }
}
