//! The CPU twin: one head of windows that share keys.
//!
//! Queries lie in the lanes of two vectors, keys are broadcast, as in the forward's twin. Scores, the gradients of
//! weights and those of queries are sums over channels or keys, with a query to a lane; the gradients of keys and values
//! are sums over the queries of a block, with a channel to a lane. All five are products of broadcast rows.

use super::Window;
use crate::kernels::{math::exp2, product::add_products};
use pulp::{Simd, WithSimd};

/// Vectors of queries that one broadcast key serves.
const VECTORS: usize = 2;
/// Keys whose gradients of weights are kept at a time: with 32 queries, 16 KiB.
const KEY_BLOCK: usize = 128;
/// Keys, of one vector of channels each, that are summed at a time.
const SUMMED_KEYS: usize = 8;
/// Stands below any score, and far enough from the end of the range to be subtracted from.
const NO_SCORE: f32 = -1e30;

/// Buffers of one thread, reused from task to task.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[d][key]`
    keys: Vec<f32>,
    /// `[d][query]`, times scale and log2 e
    queries: Vec<f32>,
    /// `[d][query]`
    gradients: Vec<f32>,
    /// `[tile of channels][query][channel]`
    query_rows: Vec<f32>,
    /// `[tile of channels][query][channel]`
    gradient_rows: Vec<f32>,
    /// `dO · O`, `[query]`
    delta: Vec<f32>,
    /// Scores, then weights, `[key][query]`
    weights: Vec<f32>,
    /// Gradients of weights, then of scores, `[key][query]`
    slopes: Vec<f32>,
    /// `[d][query]`
    query_sums: Vec<f32>,
    /// `[tile of channels][key of any window][channel]`
    key_sums: Vec<f32>,
    /// `[tile of channels][key of any window][channel]`
    value_sums: Vec<f32>,
}

/// One head of a chain of windows.
pub(super) struct Task<'a> {
    /// `[n, 3, heads, d]`
    pub(super) qkv: &'a [f32],
    /// `[n, heads, d]`
    pub(super) attended: &'a [f32],
    /// `[n, heads, d]`
    pub(super) gradient: &'a [f32],
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) scale: f32,
    /// Point at every rank.
    pub(super) order: &'a [u32],
    /// Each but the first may reach back to the one before it.
    pub(super) windows: &'a [Window],
    pub(super) scratch: &'a mut Scratch,
    /// `[rank, 3, d]`
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A tile's sums, twice its length in vectors, are to stay in registers with a few operands beside them.
        if S::REGISTER_COUNT >= 32 { self.run::<S, 8>(simd) } else { self.run::<S, 4>(simd) }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        let d = self.attended.len() / self.order.len() / self.heads;
        let ranks = self.out.len() / (3 * d);
        let tiled = ranks * d.next_multiple_of(S::F32_LANES);
        for sums in [&mut self.scratch.key_sums, &mut self.scratch.value_sums] {
            sums.clear();
            sums.resize(tiled, 0.0);
        }
        for window in self.windows {
            let key_count = window.key_count as usize;
            let mut keys = std::mem::take(&mut self.scratch.keys);
            keys.resize((d * key_count).max(keys.len()), 0.0);
            for key in 0..key_count {
                for (c, k) in self.part(window.key_start + key as u32, 1, d).iter().enumerate() {
                    keys[c * key_count + key] = *k;
                }
            }
            self.scratch.keys = keys;
            for first in (0..window.query_count as usize).step_by(VECTORS * S::F32_LANES) {
                let count = (VECTORS * S::F32_LANES).min(window.query_count as usize - first);
                self.block::<S, ROWS>(simd, window, first, count, d);
            }
        }
        let Self { scale, scratch, out, .. } = self;
        let lanes = S::F32_LANES;
        for (rank, out) in out.chunks_exact_mut(3 * d).enumerate() {
            for c in 0..d {
                let at = (c / lanes * ranks + rank) * lanes + c % lanes;
                out[d + c] = scratch.key_sums[at] * scale;
                out[2 * d + c] = scratch.value_sums[at];
            }
        }
    }

    /// The query (part 0), key (1) or value (2) at a rank.
    #[inline(always)]
    fn part(&self, rank: u32, part: usize, d: usize) -> &[f32] {
        let point = self.order[rank as usize] as usize;
        &self.qkv[((point * 3 + part) * self.heads + self.head) * d..][..d]
    }

    /// Adds what `count` queries from the window's `first` on give, all of it with the gradients of the queries, and
    /// to the sums of the keys.
    #[inline(always)]
    fn block<S: Simd, const ROWS: usize>(&mut self, simd: S, window: &Window, first: usize, count: usize, d: usize) {
        let lanes = VECTORS * S::F32_LANES;
        let (key_count, ranks) = (window.key_count as usize, self.out.len() / (3 * d));
        // The chain's first window reaches back to no other.
        let base = self.windows[0].query_start;
        let first_rank = window.query_start + first as u32;
        let mut scratch = std::mem::take(self.scratch);
        self.pack::<S>(&mut scratch, first_rank, count, d);
        let Scratch {
            keys,
            queries,
            gradients,
            query_rows,
            gradient_rows,
            delta,
            weights,
            slopes,
            query_sums,
            key_sums,
            value_sums,
        } = &mut scratch;
        let queries = pairs::<S>(queries);
        let gradients = pairs::<S>(gradients);
        let delta = pairs::<S>(delta)[0];

        weights.clear();
        weights.resize(key_count * lanes, 0.0);
        let weights = pairs_mut::<S>(weights);
        let key = |key: usize| self.part(window.key_start + key as u32, 1, d);
        add_products::<S, ROWS, VECTORS>(simd, key, queries, weights);
        let mut largest = [simd.splat_f32s(NO_SCORE); VECTORS];
        let mut total = [simd.splat_f32s(0.0); VECTORS];
        for score in weights.iter() {
            for v in 0..VECTORS {
                largest[v] = simd.max_f32s(largest[v], score[v]);
            }
        }
        for score in weights.iter_mut() {
            for v in 0..VECTORS {
                score[v] = exp2(simd, simd.sub_f32s(score[v], largest[v]));
                total[v] = simd.add_f32s(total[v], score[v]);
            }
        }
        let factor = total.map(|total| simd.div_f32s(simd.splat_f32s(1.0), total));

        query_sums.clear();
        query_sums.resize(d * lanes, 0.0);
        let query_sums = pairs_mut::<S>(query_sums);
        for first_key in (0..key_count).step_by(KEY_BLOCK) {
            let block = KEY_BLOCK.min(key_count - first_key);
            let weights = &mut weights[first_key..first_key + block];
            slopes.clear();
            slopes.resize(block * lanes, 0.0);
            let slopes = pairs_mut::<S>(slopes);
            let value = |key: usize| self.part(window.key_start + (first_key + key) as u32, 2, d);
            add_products::<S, ROWS, VECTORS>(simd, value, gradients, slopes);
            for (slope, weight) in slopes.iter_mut().zip(weights.iter_mut()) {
                for v in 0..VECTORS {
                    weight[v] = simd.mul_f32s(weight[v], factor[v]);
                    slope[v] = simd.mul_f32s(weight[v], simd.sub_f32s(slope[v], delta[v]));
                }
            }
            let across = |c: usize| &keys[c * key_count + first_key..][..block];
            add_products::<S, ROWS, VECTORS>(simd, across, slopes, query_sums);

            let rank = (window.key_start - base) as usize + first_key;
            for (rows, by, sums) in
                [(&*slopes, &*query_rows, &mut *key_sums), (&*weights, &*gradient_rows, &mut *value_sums)]
            {
                let rows: &[f32] = bytemuck::cast_slice(rows.as_flattened());
                let (by, sums) = (S::as_simd_f32s(by).0.as_chunks().0, S::as_mut_simd_f32s(sums).0.as_chunks_mut().0);
                for (by, sums) in by.chunks_exact(lanes).zip(sums.chunks_exact_mut(ranks)) {
                    let row = |key: usize| &rows[key * lanes..][..count];
                    add_products::<S, SUMMED_KEYS, 1>(simd, row, &by[..count], &mut sums[rank..rank + block]);
                }
            }
        }

        let query_sums: &[f32] = bytemuck::cast_slice(query_sums.as_flattened());
        for lane in 0..count {
            let out = &mut self.out[((first_rank - base) as usize + lane) * 3 * d..][..d];
            let sums = query_sums[lane..].iter().step_by(lanes);
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * self.scale);
        }
        *self.scratch = scratch;
    }

    /// Lays out what a block's products read of its queries; lanes without one are zero.
    #[inline(always)]
    fn pack<S: Simd>(&self, scratch: &mut Scratch, first_rank: u32, count: usize, d: usize) {
        let lanes = VECTORS * S::F32_LANES;
        let Scratch { queries, gradients, query_rows, gradient_rows, delta, .. } = scratch;
        let tiled = lanes * d.next_multiple_of(S::F32_LANES);
        for (buffer, len) in [
            (&mut *queries, d * lanes),
            (&mut *gradients, d * lanes),
            (&mut *query_rows, tiled),
            (&mut *gradient_rows, tiled),
            (&mut *delta, lanes),
        ] {
            buffer.clear();
            buffer.resize(len, 0.0);
        }
        // In powers of two from here on: exp(s) = 2^(s log2 e).
        let scale = self.scale * std::f32::consts::LOG2_E;
        for lane in 0..count {
            let rank = first_rank + lane as u32;
            let at = (self.order[rank as usize] as usize * self.heads + self.head) * d;
            let (attended, gradient) = (&self.attended[at..at + d], &self.gradient[at..at + d]);
            for (c, q) in self.part(rank, 0, d).iter().enumerate() {
                let place = (c / S::F32_LANES * lanes + lane) * S::F32_LANES + c % S::F32_LANES;
                queries[c * lanes + lane] = q * scale;
                gradients[c * lanes + lane] = gradient[c];
                query_rows[place] = *q;
                gradient_rows[place] = gradient[c];
                delta[lane] += gradient[c] * attended[c];
            }
        }
    }
}

#[inline(always)]
fn pairs<S: Simd>(buffer: &[f32]) -> &[[S::f32s; VECTORS]] {
    S::as_simd_f32s(buffer).0.as_chunks().0
}

#[inline(always)]
fn pairs_mut<S: Simd>(buffer: &mut [f32]) -> &mut [[S::f32s; VECTORS]] {
    S::as_mut_simd_f32s(buffer).0.as_chunks_mut().0
}
