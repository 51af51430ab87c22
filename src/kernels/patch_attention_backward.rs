//! `patch_attention_backward`: the gradient of [`patch_attention`](super::patch_attention) with respect to `qkv`. With
//! the scores `s[i, j] = scale · q[i] · k[j]` and the weights `p[i, j] = softmax_j(s[i, j])` of a head,
//!
//! ```text
//! dS[i, j] = p[i, j] (dO[i] · v[j] - dO[i] · O[i])
//! dq[i] = scale Σ_j dS[i, j] k[j]     dk[j] = scale Σ_i dS[i, j] q[i]     dv[j] = Σ_i p[i, j] dO[i]
//! ```
//!
//! The forward saves its operand and its result; weights are computed again. A rank is a query of one window, but a
//! key of every window that reaches back to it: its gradients sum over them in the windows' order.

mod twin;

use self::twin::{Scratch, Task};
use super::{
    ensure,
    gather_rows::{gather_seen, gather_span},
    patch_attention::{MAX_GPU_HEAD_DIM, Window},
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::MAX_WORK,
        gpu::Gpu,
        shader_table::{Variant, params, patch_attention_backward as table},
    },
};
use pulp::Arch;
use std::ops::Range;

params!(patch_attention_backward {
    heads: u32,
    head_dim: u32,
    order_base: u32,
    blocks: u32,
    scale: f32,
    serialized: u32,
    rank_base: u32,
    first_window: u32,
    end_window: u32,
    windows: u32,
});

/// Queries, or keys, of a workgroup.
const RANKS_PER_GROUP: usize = 64;

/// What [`super::patch_attention::patch_attention`] was called with.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// `[n, 3c]`
    pub qkv: &'a Tensor,
    /// Heads that the channels are divided into.
    pub heads: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// Point at every rank, `[r, n]` u32.
    pub orders: &'a Tensor,
    /// Rank of every point, `[r, n]` u32.
    pub inverses: &'a Tensor,
    /// The order in use.
    pub row: usize,
    /// Windows that cover every rank once, in order, and whose keys end with their queries.
    pub windows: &'a [Window],
    /// The windows on the device, `[w, 4]`.
    pub table: &'a Tensor,
}

impl Attention<'_> {
    fn check(&self, attended: &Tensor, gradient: &Tensor) -> Result<()> {
        let Self { qkv, heads, orders, inverses, row, windows, table, .. } = *self;
        let (rows, channels) = (qkv.rows(), qkv.columns() / 3);
        let divides = heads > 0 && qkv.columns().is_multiple_of(3 * heads) && qkv.dtype() == DType::F32;
        ensure!("patch_attention_backward", divides, "qkv {qkv:?} for {heads} heads");
        for (name, tensor) in [("attended", attended), ("gradient", gradient)] {
            let fits = tensor.shape() == [rows, channels] && tensor.dtype() == DType::F32;
            ensure!("patch_attention_backward", fits, "{name} {tensor:?} for qkv {qkv:?}");
        }
        let fits = (row + 1) * rows <= orders.len() && orders.shape() == inverses.shape();
        ensure!("patch_attention_backward", fits, "row {row} of orders {orders:?}, inverses {inverses:?} for {qkv:?}");
        let listed = table.len() == windows.len() * 4;
        ensure!("patch_attention_backward", listed, "table {table:?} of {} windows", windows.len());
        let (mut query, mut key) = (0, 0);
        for window in windows {
            let Window { query_start, query_count, key_start, key_count } = *window;
            let end = u64::from(query_start) + u64::from(query_count);
            let follows = query == u64::from(query_start) && key <= key_start && key_start <= query_start;
            let whole = u64::from(key_start) + u64::from(key_count) == end;
            ensure!("patch_attention_backward", follows && whole, "{window:?} after rank {query}, key {key}");
            (query, key) = (end, key_start);
        }
        ensure!("patch_attention_backward", query == rows as u64, "windows of {query} ranks for qkv {qkv:?}");
        Ok(())
    }

    fn head_dim(&self) -> usize {
        self.qkv.columns() / 3 / self.heads
    }
}

/// `attended` `[n, c]`, what the forward gave, and its `gradient` `[n, c]` → the gradient of qkv, `[n, 3c]`.
pub fn patch_attention_backward(attention: &Attention<'_>, attended: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    attention.check(attended, gradient)?;
    let Attention { qkv, orders, inverses, row, windows, .. } = *attention;
    let rows = qkv.rows();
    match qkv.device() {
        Device::Cpu(device) => {
            let mut out = Tensor::uninit(qkv.device(), qkv.shape(), DType::F32)?;
            let mut ranked = Tensor::uninit(qkv.device(), qkv.shape(), DType::F32)?;
            let [order, inverse] = [orders, inverses].map(|t| &t.host::<u32>()[row * rows..][..rows]);
            let work = Work::Flops(windows.iter().map(|window| 5 * product(window, qkv.columns() / 3)).sum());
            device.run("patch_attention_backward", work, bytes_of(&[qkv, attended, gradient, &out]), || {
                let operands = [qkv, attended, gradient].map(Tensor::host);
                cpu(attention, operands, order, inverse, ranked.host_mut(), out.host_mut());
            });
            Ok(out)
        }
        Device::Gpu(gpu) => {
            ensure!(
                "patch_attention_backward",
                attention.head_dim() <= MAX_GPU_HEAD_DIM,
                "head dimension {}; at most {MAX_GPU_HEAD_DIM} on a GPU, train this model with `--device cpu`",
                attention.head_dim()
            );
            if qkv.byte_range(0..rows).end > gpu.max_binding() {
                return in_spans(gpu, attention, attended, gradient);
            }
            let out = Tensor::uninit(qkv.device(), qkv.shape(), DType::F32)?;
            record(gpu, attention, attended, gradient, Place::Ordered(row * rows), &out)?;
            Ok(out)
        }
    }
}

/// Operations of one of the products between the queries and the keys of a window, over all heads.
fn product(window: &Window, channels: usize) -> u64 {
    2 * u64::from(window.query_count) * u64::from(window.key_count) * channels as u64
}

/// Windows that share keys: each but the first reaches back to the one before it.
fn chains(windows: &[Window]) -> impl Iterator<Item = &[Window]> {
    windows.chunk_by(|_, next| next.key_start < next.query_start)
}

/// Ranks that windows cover.
fn ranks_of(windows: &[Window]) -> Range<usize> {
    let end = windows.last().map_or(0, |last| last.query_start + last.query_count);
    windows.first().map_or(0, |first| first.query_start) as usize..end as usize
}

/// Where ranks lie in the operands.
#[derive(Clone, Copy)]
enum Place {
    /// Where the order says, whose row starts here.
    Ordered(usize),
    /// In serialized order themselves, from this rank on.
    Serialized(usize),
}

/// Dispatches both passes, each over as many windows at a time as [`MAX_WORK`] allows.
fn record(
    gpu: &Gpu,
    attention: &Attention<'_>,
    attended: &Tensor,
    gradient: &Tensor,
    place: Place,
    out: &Tensor,
) -> Result<()> {
    let Attention { qkv, heads, scale, orders, windows, table, .. } = *attention;
    let (channels, head_dim) = (attended.columns(), attention.head_dim());
    let statistics = Tensor::uninit(qkv.device(), &[qkv.rows(), heads * 3], DType::F32)?;
    let (order, order_base, serialized, rank_base) = match place {
        Place::Ordered(base) => (orders, base, false, 0),
        Place::Serialized(base) => (table, 0, true, base),
    };
    for (entry, products) in [("queries", 3), ("keys", 4)] {
        let work = |window: &Window| products * product(window, channels);
        let mut first = 0;
        while first < windows.len() {
            let mut total = work(&windows[first]);
            let mut end = first + 1;
            while end < windows.len() && total + work(&windows[end]) <= MAX_WORK {
                total += work(&windows[end]);
                end += 1;
            }
            let blocks = windows[first..end].iter().map(|w| (w.query_count as usize).div_ceil(RANKS_PER_GROUP)).max();
            let blocks = blocks.unwrap_or(0);
            let params = Params {
                heads: heads as u32,
                head_dim: head_dim as u32,
                order_base: order_base as u32,
                blocks: blocks as u32,
                scale,
                serialized: u32::from(serialized),
                rank_base: rank_base as u32,
                first_window: first as u32,
                end_window: end as u32,
                windows: windows.len() as u32,
            };
            let mut bind = vec![Bind::all(qkv), Bind::all(order), Bind::all(table)];
            bind.extend((entry == "queries").then(|| Bind::all(attended)));
            bind.extend([Bind::all(gradient), Bind::all(&statistics), Bind::all(out)]);
            gpu.dispatch(&Dispatch {
                variant: variant(head_dim),
                entry,
                bind: &bind,
                params: bytemuck::bytes_of(&params),
                groups: ((end - first) * blocks * heads) as u32,
                work: Work::Flops(total),
            })?;
            first = end;
        }
    }
    Ok(())
}

fn variant(head_dim: usize) -> &'static Variant {
    match head_dim {
        8 => &table::D8,
        16 => &table::D16,
        32 => &table::D32,
        64 => &table::D64,
        128 => &table::D128,
        0..8 => &table::PADDED_D8,
        9..16 => &table::PADDED_D16,
        17..32 => &table::PADDED_D32,
        33..64 => &table::PADDED_D64,
        _ => &table::PADDED_D128,
    }
}

/// For a `qkv` larger than one binding: spans of windows that share no key with others are gathered into serialized
/// order, and their gradients brought back to the points' order.
fn in_spans(gpu: &Gpu, attention: &Attention<'_>, attended: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let Attention { qkv, orders, inverses, row, windows, .. } = *attention;
    let (device, row_base) = (qkv.device(), row * qkv.rows());
    let span_rows = (gpu.max_binding() / qkv.row_bytes() as u64) as usize;
    let out = Tensor::uninit(device, qkv.shape(), DType::F32)?;
    let mut rest = windows;
    while !rest.is_empty() {
        let mut count = 0;
        for chain in chains(rest) {
            let ranks = ranks_of(&rest[..count + chain.len()]).len();
            if count > 0 && ranks > span_rows {
                break;
            }
            ensure!(
                "patch_attention_backward",
                ranks <= span_rows,
                "windows of {ranks} points pass the binding limit of {} bytes",
                gpu.max_binding()
            );
            count += chain.len();
        }
        let (span, after) = rest.split_at(count);
        rest = after;
        let ranks = ranks_of(span);
        let gathered = |tensor| gather_span(orders, row_base + ranks.start..row_base + ranks.end, tensor);
        let (qkv, attended, gradient) = (gathered(qkv)?, gathered(attended)?, gathered(gradient)?);
        let table = Tensor::from_slice(device, &[span.len(), 4], bytemuck::cast_slice::<Window, u32>(span))?;
        let spanned = Tensor::uninit(device, qkv.shape(), DType::F32)?;
        let attention = Attention { qkv: &qkv, windows: span, table: &table, ..*attention };
        record(gpu, &attention, &attended, &gradient, Place::Serialized(ranks.start), &spanned)?;
        gather_seen(gpu, inverses, row_base, &spanned, ranks.start, &out)?;
    }
    Ok(out)
}

/// Head by head and chain of windows by chain, see [`twin`]. What each gives is contiguous in serialized order, `ranked`
/// `[head, rank, 3, d]`, and brought back to the points' order at the end.
fn cpu(
    attention: &Attention<'_>,
    [qkv, attended, gradient]: [&[f32]; 3],
    order: &[u32],
    inverse: &[u32],
    ranked: &mut [f32],
    out: &mut [f32],
) {
    let Attention { heads, scale, windows, .. } = *attention;
    if out.is_empty() {
        return;
    }
    let (rows, d) = (order.len(), attention.head_dim());
    let mut tasks = Vec::with_capacity(heads * windows.len());
    let mut rest = &mut *ranked;
    for head in 0..heads {
        for windows in chains(windows) {
            let (part, tail) = rest.split_at_mut(ranks_of(windows).len() * 3 * d);
            rest = tail;
            tasks.push((head, windows, part));
        }
    }
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (head, windows, out)| {
        Arch::new().dispatch(Task { qkv, attended, gradient, heads, head, scale, order, windows, scratch, out });
    });
    out.par_chunks_exact_mut(3 * heads * d).zip(inverse).for_each(|(out, rank)| {
        for (place, out) in out.chunks_exact_mut(d).enumerate() {
            let (part, head) = (place / heads, place % heads);
            out.copy_from_slice(&ranked[((head * rows + *rank as usize) * 3 + part) * d..][..d]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        differences::{check_gradient, weighted_sum},
        patch_attention::patch_attention,
        testing::{Noise, cpu, devices, get, put},
    };

    struct Case {
        n: usize,
        heads: usize,
        d: usize,
        scale: f32,
        windows: Vec<Window>,
        order: Vec<u32>,
        inverse: Vec<u32>,
        qkv: Vec<f32>,
        gradient: Vec<f32>,
    }

    impl Case {
        /// One scene of n points in patches of k, in a random order.
        fn new(n: usize, k: usize, heads: usize, d: usize) -> Self {
            let mut noise = Noise::new((n + d) as u64);
            let mut order: Vec<u32> = (0..n as u32).collect();
            for i in (1..n).rev() {
                order.swap(i, noise.below(i + 1));
            }
            let mut inverse = vec![0; n];
            order.iter().enumerate().for_each(|(rank, point)| inverse[*point as usize] = rank as u32);
            let size = k.min(n).max(1);
            let window = |start: usize| Window {
                query_start: start as u32,
                query_count: size.min(n - start) as u32,
                key_start: start.min(n - size) as u32,
                key_count: size as u32,
            };
            Self {
                n,
                heads,
                d,
                scale: 1.0 / (d as f32).sqrt(),
                windows: (0..n).step_by(size).map(window).collect(),
                order,
                inverse,
                qkv: noise.floats(n * 3 * heads * d).iter().map(|v| v * 2.0).collect(),
                gradient: noise.floats(n * heads * d),
            }
        }

        /// The forward and, of what it gave, the backward.
        fn on(&self, device: &Device, qkv: &[f32]) -> (Tensor, Tensor) {
            let (n, channels) = (self.n, self.heads * self.d);
            // A second row, so that the row's offset matters.
            let rows = |row: &[u32]| [&vec![0; n], row].concat();
            let windows = bytemuck::cast_slice::<Window, u32>(&self.windows);
            let table = put(device, &[self.windows.len(), 4], windows);
            let [orders, inverses] = [&self.order, &self.inverse].map(|row| put(device, &[2, n], &rows(row)));
            let qkv = put(device, &[n, 3 * channels], qkv);
            let (heads, scale, windows) = (self.heads, self.scale, &self.windows[..]);
            let attended = patch_attention(&qkv, heads, scale, &orders, &inverses, 1, windows, &table).unwrap();
            let attention = Attention {
                qkv: &qkv,
                heads,
                scale,
                orders: &orders,
                inverses: &inverses,
                row: 1,
                windows,
                table: &table,
            };
            let gradient = put(device, &[n, channels], &self.gradient);
            let out = patch_attention_backward(&attention, &attended, &gradient).unwrap();
            (attended, out)
        }

        /// The formula in f64.
        fn naive(&self) -> Vec<f64> {
            let (d, c) = (self.d, self.heads * self.d);
            let mut out = vec![0.0; self.qkv.len()];
            let at = |point: u32, part: usize, head: usize, i: usize| point as usize * 3 * c + part * c + head * d + i;
            for window in &self.windows {
                let of = |start: u32, count: u32| &self.order[start as usize..(start + count) as usize];
                let keys = of(window.key_start, window.key_count);
                for query in of(window.query_start, window.query_count) {
                    for head in 0..self.heads {
                        let element = |point: u32, part: usize, i: usize| f64::from(self.qkv[at(point, part, head, i)]);
                        let gradient = |i: usize| f64::from(self.gradient[*query as usize * c + head * d + i]);
                        let dot = |f: &dyn Fn(usize) -> f64| (0..d).map(f).sum::<f64>();
                        let scale = f64::from(self.scale);
                        let weight = |key: u32| (scale * dot(&|i| element(*query, 0, i) * element(key, 1, i))).exp();
                        let total: f64 = keys.iter().map(|key| weight(*key)).sum();
                        let pulls = |key: u32| dot(&|i| gradient(i) * element(key, 2, i));
                        let delta: f64 = keys.iter().map(|key| weight(*key) / total * pulls(*key)).sum();
                        for key in keys {
                            let p = weight(*key) / total;
                            let slope = p * (pulls(*key) - delta);
                            for i in 0..d {
                                out[at(*query, 0, head, i)] += scale * slope * element(*key, 1, i);
                                out[at(*key, 1, head, i)] += scale * slope * element(*query, 0, i);
                                out[at(*key, 2, head, i)] += p * gradient(i);
                            }
                        }
                    }
                }
            }
            out
        }
    }

    #[test]
    fn every_size_and_head_dimension_agrees_with_the_formula() {
        let cases = [
            (0, 16, 1, 16),
            (1, 16, 2, 8),
            (15, 64, 3, 16),
            (130, 48, 2, 6),
            (300, 130, 1, 64),
            (1025, 256, 3, 16),
            (70, 33, 2, 32),
            (40, 16, 1, 100),
        ];
        for (n, k, heads, d) in cases {
            let case = Case::new(n, k, heads, d);
            // Two windows that share keys, and 64 rows to align by.
            let binding = (12 * heads * d * (2 * k).max(64)) as u64;
            // Sums over a window, and a softmax of scores up to some ten.
            let result = agree_split(2e-5, binding, |device| case.on(device, &case.qkv).1);
            for (at, (actual, expected)) in result.iter().zip(case.naive()).enumerate() {
                let close = (f64::from(*actual) - expected).abs() < 2e-5 * (1.0 + expected.abs());
                assert!(close, "n {n}, d {d}, element {at}: {actual} against {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        // The last window has four queries and eight keys, four of them those of the window before.
        let case = Case::new(20, 8, 2, 4);
        let gradient = get::<f32>(&case.on(&cpu(), &case.qkv).1);
        // A loss of order 10 is rounded by 1e-6, which is 1e-4 over a step of 1e-2.
        check_gradient(&case.qkv, &gradient, 1e-2, 1e-3, |qkv| {
            weighted_sum(&get::<f32>(&case.on(&cpu(), qkv).0), &case.gradient)
        });
    }

    #[test]
    fn scores_far_apart_leave_a_gradient_for_the_value_alone() {
        // Scores of ±4000: the softmax is flat, and all the weight is on point 40.
        let mut case = Case::new(64, 64, 1, 8);
        case.scale = 1.0;
        case.qkv.fill(0.0);
        for point in 0..64 {
            case.qkv[point * 24] = 200.0;
            case.qkv[point * 24 + 8] = if point == 40 { 20.0 } else { -20.0 };
            case.qkv[point * 24 + 16] = point as f32;
        }
        let result = agree_split(1e-5, 16 << 10, |device| case.on(device, &case.qkv).1);
        for (at, value) in result.iter().enumerate() {
            let expected: f32 =
                if at / 24 == 40 && at % 24 >= 16 { case.gradient.iter().skip(at % 8).step_by(8).sum() } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "element {at}: {value} against {expected}");
        }
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let case = Case::new(1025, 256, 3, 16);
        for device in devices() {
            let run = || get::<f32>(&case.on(&device, &case.qkv).1);
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // Windows of one point: its weight is one, and what flows back is the gradient of its value alone.
        let case = Case::new(65_537, 1, 1, 8);
        let result = agree_split(1e-6, 3 << 20, |device| case.on(device, &case.qkv).1);
        for (point, row) in result.chunks(24).enumerate() {
            assert!(row[..16].iter().all(|v| v.abs() < 1e-5));
            assert!(row[16..].iter().zip(&case.gradient[point * 8..]).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn windows_that_miss_a_rank_are_refused() {
        let device = cpu();
        let window = Window { query_start: 0, query_count: 2, key_start: 0, key_count: 2 };
        let (qkv, order) = (put(&device, &[3, 6], &[0.0f32; 18]), put(&device, &[1, 3], &[0u32, 1, 2]));
        let o = put(&device, &[3, 2], &[0.0f32; 6]);
        let table = put(&device, &[1, 4], &[0u32, 2, 0, 2]);
        let attention = Attention {
            qkv: &qkv,
            heads: 1,
            scale: 1.0,
            orders: &order,
            inverses: &order,
            row: 0,
            windows: &[window],
            table: &table,
        };
        let error = patch_attention_backward(&attention, &o, &o).unwrap_err().to_string();
        assert!(error.contains("windows of 2 ranks"), "{error}");
        assert!(patch_attention_backward(&attention, &qkv, &o).is_err());
    }
}
