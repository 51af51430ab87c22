//! `patch_attention`: softmax attention inside the windows of a serialized order,
//! `out[i, h] = Σ_j softmax_j(scale · q[i, h] · k[j, h]) v[j, h]`, scale usually 1/√d, over the keys j of the window that i is a query of.
//!
//! `qkv` `[n, 3c]` is laid out `[3][head][d]`, as the reference's `qkv` layer leaves it. Windows are ranges of ranks;
//! a window's keys may begin before its queries (the flash rule of the reference: the last window of a scene
//! always spans a whole patch). Accumulation is in f32.

mod twin;

use self::twin::{Scratch, Task};
use super::{
    ensure,
    gather_rows::{gather_seen, gather_span},
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::MAX_WORK,
        gpu::Gpu,
        shader_table::{Variant, params, patch_attention as table},
    },
};
use pulp::Arch;

params!(patch_attention {
    heads: u32,
    head_dim: u32,
    order_base: u32,
    blocks: u32,
    scale: f32,
    serialized: u32,
    rank_base: u32,
    query_base: u32,
    windows: u32,
});

/// Ranks of the serialized order that attend to each other.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Window {
    /// First rank whose output this window computes.
    pub query_start: u32,
    /// Number of such ranks.
    pub query_count: u32,
    /// First rank attended to; not after `query_start`.
    pub key_start: u32,
    /// Number of ranks attended to.
    pub key_count: u32,
}

/// Queries of a workgroup.
const QUERIES_PER_GROUP: usize = 64;
/// The largest head dimension with a GPU variant; published configurations have 16.
pub const MAX_GPU_HEAD_DIM: usize = 128;

/// `qkv` `[n, 3c]`, `orders` and `inverses` `[r, n]` u32 of which `row` is used, windows that cover every rank once,
/// in order → `[n, c]`.
pub fn patch_attention(
    qkv: &Tensor,
    heads: usize,
    scale: f32,
    orders: &Tensor,
    inverses: &Tensor,
    row: usize,
    windows: &[Window],
    table: &Tensor,
) -> Result<Tensor> {
    let rows = qkv.rows();
    let divides = heads > 0 && qkv.columns().is_multiple_of(3 * heads);
    ensure!("patch_attention", divides, "qkv {qkv:?} for {heads} heads");
    let fits = (row + 1) * rows <= orders.len() && orders.shape() == inverses.shape();
    ensure!("patch_attention", fits, "row {row} of orders {orders:?}, inverses {inverses:?} for qkv {qkv:?}");
    ensure!("patch_attention", table.len() == windows.len() * 4, "table {table:?} of {} windows", windows.len());
    let channels = qkv.columns() / 3;
    let head_dim = channels / heads;
    match qkv.device() {
        Device::Cpu(device) => {
            let mut out = Tensor::uninit(qkv.device(), &[rows, channels], DType::F32)?;
            let mut ranked = Tensor::uninit(qkv.device(), &[rows, channels], DType::F32)?;
            let [order, inverse] = [orders, inverses].map(|t| &t.host::<u32>()[row * rows..][..rows]);
            let work = Work::Flops(windows.iter().map(|window| flops(window, channels)).sum());
            // An order and its inverse, and what is written in serialized order first.
            let places = 2 * (rows * size_of::<u32>()) as u64;
            device.run("patch_attention", work, bytes_of(&[qkv, table, &ranked, &out]) + places, || {
                cpu(qkv.host(), heads, scale, order, inverse, windows, ranked.host_mut(), out.host_mut());
            });
            Ok(out)
        }
        Device::Gpu(gpu) => {
            ensure!(
                "patch_attention",
                head_dim <= MAX_GPU_HEAD_DIM,
                "head dimension {head_dim}; at most {MAX_GPU_HEAD_DIM} on a GPU, run this model with `--device cpu`"
            );
            let limit = gpu.max_binding();
            if qkv.byte_range(0..rows).end > limit {
                return in_spans(gpu, qkv, heads, scale, orders, inverses, row, windows);
            }
            let out = Tensor::uninit(qkv.device(), &[rows, channels], DType::F32)?;
            let place = Place { order: Some((orders, row * rows)), key_base: 0, query_base: 0 };
            attend(gpu, qkv, heads, scale, windows, table, place, &out)?;
            Ok(out)
        }
    }
}

/// Operations of the two products of a window, over all heads.
fn flops(window: &Window, channels: usize) -> u64 {
    4 * u64::from(window.query_count) * u64::from(window.key_count) * channels as u64
}

/// Where ranks lie in the operands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The order and where its row starts; `None` where the operands are in serialized order themselves.
    order: Option<(&'a Tensor, usize)>,
    /// The rank of row 0 of `qkv`.
    key_base: usize,
    /// The rank of row 0 of `out`.
    query_base: usize,
}

/// Dispatches over windows, as many at a time as [`MAX_WORK`] allows.
fn attend(
    gpu: &Gpu,
    qkv: &Tensor,
    heads: usize,
    scale: f32,
    windows: &[Window],
    table: &Tensor,
    place: Place<'_>,
    out: &Tensor,
) -> Result<()> {
    let head_dim = out.columns() / heads;
    let mut first = 0;
    while first < windows.len() {
        let work = |window: &Window| flops(window, out.columns());
        let mut total = work(&windows[first]);
        let mut end = first + 1;
        // Rows of the table are 16 bytes: cuts at multiples of 16 keep its ranges aligned.
        while end < windows.len() && (total < MAX_WORK || end % 16 != 0) {
            total += work(&windows[end]);
            end += 1;
        }
        let blocks = windows[first..end].iter().map(|w| (w.query_count as usize).div_ceil(QUERIES_PER_GROUP)).max();
        let blocks = blocks.unwrap_or(0);
        let params = Params {
            heads: heads as u32,
            head_dim: head_dim as u32,
            order_base: place.order.map_or(0, |(_, base)| base) as u32,
            blocks: blocks as u32,
            scale,
            serialized: u32::from(place.order.is_none()),
            rank_base: place.key_base as u32,
            query_base: place.query_base as u32,
            windows: (end - first) as u32,
        };
        gpu.dispatch(&Dispatch {
            variant: variant(gpu, head_dim),
            entry: "main",
            bind: &[
                Bind::all(qkv),
                Bind::all(place.order.map_or(table, |(order, _)| order)),
                Bind::rows(table, first..end),
                Bind::all(out),
            ],
            params: bytemuck::bytes_of(&params),
            groups: ((end - first) * blocks * heads) as u32,
            work: Work::Flops(total),
        })?;
        first = end;
    }
    Ok(())
}

/// The permutation for an adapter and a head dimension of at most [`MAX_GPU_HEAD_DIM`].
pub(crate) fn variant(gpu: &Gpu, head_dim: usize) -> &'static Variant {
    match head_dim {
        16 if gpu.broadcasts() => &table::BROADCAST_D16,
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

/// For a `qkv` larger than one binding: spans of windows are gathered into serialized order, attended to there, and
/// brought back to the points' order.
fn in_spans(
    gpu: &Gpu,
    qkv: &Tensor,
    heads: usize,
    scale: f32,
    orders: &Tensor,
    inverses: &Tensor,
    row: usize,
    windows: &[Window],
) -> Result<Tensor> {
    let (device, rows, channels) = (qkv.device(), qkv.rows(), qkv.columns() / 3);
    let span_rows = (gpu.max_binding() / qkv.row_bytes() as u64) as usize;
    let out = Tensor::uninit(device, &[rows, channels], DType::F32)?;
    let mut first = 0;
    while first < windows.len() {
        let key_base = windows[first].key_start as usize;
        let end_of = |w: &Window| (w.query_start + w.query_count).max(w.key_start + w.key_count) as usize;
        let mut end = first + 1;
        while end < windows.len() && end_of(&windows[end]) - key_base <= span_rows {
            end += 1;
        }
        let span = &windows[first..end];
        let last_rank = span.iter().map(end_of).max().unwrap_or(key_base);
        ensure!(
            "patch_attention",
            last_rank - key_base <= span_rows,
            "a window of {} points passes the binding limit of {} bytes",
            last_rank - key_base,
            gpu.max_binding()
        );
        let queries = span.iter().map(|w| w.query_count as usize).sum();
        let gathered = gather_span(orders, row * rows + key_base..row * rows + last_rank, qkv)?;
        let table = Tensor::from_slice(device, &[span.len(), 4], bytemuck::cast_slice::<Window, u32>(span))?;
        let query_base = windows[first].query_start as usize;
        let attended = Tensor::uninit(device, &[queries, channels], DType::F32)?;
        attend(gpu, &gathered, heads, scale, span, &table, Place { order: None, key_base, query_base }, &attended)?;
        gather_seen(gpu, inverses, row * rows, &attended, query_base, &out)?;
        first = end;
    }
    Ok(out)
}

/// Head by head and window by window, see [`twin`]. Each head's result is contiguous in serialized order, `ranked`
/// `[head, rank, d]`, and brought back to the points' order at the end.
fn cpu(
    qkv: &[f32],
    heads: usize,
    scale: f32,
    order: &[u32],
    inverse: &[u32],
    windows: &[Window],
    ranked: &mut [f32],
    out: &mut [f32],
) {
    let rows = order.len();
    if out.is_empty() {
        return;
    }
    let channels = out.len() / rows;
    let d = channels / heads;
    let mut tasks = Vec::with_capacity(heads * windows.len());
    let mut rest = &mut *ranked;
    for head in 0..heads {
        for window in windows {
            let (part, tail) = rest.split_at_mut(window.query_count as usize * d);
            rest = tail;
            tasks.push((head, window, part));
        }
    }
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (head, window, out)| {
        Arch::new().dispatch(Task { qkv, heads, head, scale, order, window, scratch, out });
    });
    out.par_chunks_exact_mut(channels).zip(inverse).for_each(|(out, rank)| {
        for (head, out) in out.chunks_exact_mut(d).enumerate() {
            out.copy_from_slice(&ranked[(head * rows + *rank as usize) * d..][..d]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, devices, get, put},
    };

    /// One scene of n ranks cut into patches of k, the last reaching back to a whole patch.
    fn windows(n: usize, k: usize) -> Vec<Window> {
        let size = k.min(n).max(1);
        (0..n)
            .step_by(size)
            .map(|start| Window {
                query_start: start as u32,
                query_count: size.min(n - start) as u32,
                key_start: start.min(n - size) as u32,
                key_count: size as u32,
            })
            .collect()
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
            let mut noise = Noise::new((n + d) as u64);
            let c = heads * d;
            let qkv: Vec<f32> = noise.floats(n * 3 * c).iter().map(|v| v * 2.0).collect();
            let mut order: Vec<u32> = (0..n as u32).collect();
            for i in (1..n).rev() {
                order.swap(i, noise.below(i + 1));
            }
            let mut inverse = vec![0; n];
            order.iter().enumerate().for_each(|(rank, point)| inverse[*point as usize] = rank as u32);
            // A second row, so that the row's offset matters.
            let rows = |row: &[u32]| [&vec![0; n], row].concat();
            let windows = windows(n, k);
            let scale = 1.0 / (d as f32).sqrt();
            // A last window that reaches back, and 64 rows to align by.
            let binding = (12 * c * (2 * k).max(64)) as u64;
            let result = agree_split(2e-5, binding, |device| {
                let table = put(device, &[windows.len(), 4], bytemuck::cast_slice::<Window, u32>(&windows));
                let [orders, inverses] = [put(device, &[2, n], &rows(&order)), put(device, &[2, n], &rows(&inverse))];
                let qkv = put(device, &[n, 3 * c], &qkv);
                patch_attention(&qkv, heads, scale, &orders, &inverses, 1, &windows, &table).unwrap()
            });
            for at in (0..n * c).step_by(13) {
                let (point, head, channel) = (at / c, at % c / d, at % d);
                let element = |point: u32, part: usize, i: usize| {
                    f64::from(qkv[point as usize * 3 * c + part * c + head * d + i])
                };
                let rank = inverse[point];
                let of_rank = |w: &&Window| (w.query_start..w.query_start + w.query_count).contains(&rank);
                let window = windows.iter().find(of_rank).unwrap();
                let keys = &order[window.key_start as usize..(window.key_start + window.key_count) as usize];
                let score = |key: &u32| {
                    (0..d).map(|i| element(point as u32, 0, i) * element(*key, 1, i)).sum::<f64>() * f64::from(scale)
                };
                let weights: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
                let total: f64 = weights.iter().sum();
                let expected: f64 =
                    keys.iter().zip(&weights).map(|(key, w)| w / total * element(*key, 2, channel)).sum();
                assert!((f64::from(result[at]) - expected).abs() < 1e-5, "n {n}, d {d}: {} {expected}", result[at]);
            }
        }
    }

    #[test]
    fn a_query_that_is_not_a_number_stays_one_and_alone() {
        let (n, d) = (40, 16);
        let mut qkv = Noise::new(3).floats(n * 3 * d);
        qkv[7 * 3 * d] = f32::NAN;
        let ranks: Vec<u32> = (0..n as u32).collect();
        let (device, windows) = (Device::cpu(), windows(n, n));
        let table = put(&device, &[1, 4], bytemuck::cast_slice::<Window, u32>(&windows));
        let order = put(&device, &[1, n], &ranks);
        let qkv = put(&device, &[n, 3 * d], &qkv);
        let out: Vec<f32> = get(&patch_attention(&qkv, 1, 0.25, &order, &order, 0, &windows, &table).unwrap());
        assert!(out.chunks_exact(d).enumerate().all(|(i, row)| row.iter().all(|v| v.is_nan() == (i == 7))));
    }

    #[test]
    fn scores_far_apart_leave_the_nearest_key() {
        // Scores of ±4000: exp would overflow without the running maximum.
        let (n, d) = (64, 8);
        let mut qkv = vec![0.0f32; n * 3 * d];
        for point in 0..n {
            qkv[point * 3 * d] = 200.0;
            qkv[point * 3 * d + d] = if point == 40 { 20.0 } else { -20.0 };
            qkv[point * 3 * d + 2 * d] = point as f32;
        }
        let ranks: Vec<u32> = (0..n as u32).collect();
        let windows = windows(n, n);
        let result = agree(1e-6, |device| {
            let table = put(device, &[1, 4], bytemuck::cast_slice::<Window, u32>(&windows));
            let order = put(device, &[1, n], &ranks);
            patch_attention(&put(device, &[n, 3 * d], &qkv), 1, 1.0, &order, &order, 0, &windows, &table).unwrap()
        });
        assert!(result.iter().step_by(d).all(|v| *v == 40.0));
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // Windows of one point: everyone attends to itself alone and gets its own value.
        let (n, d) = (65_537, 8);
        let mut noise = Noise::new(5);
        let qkv: Vec<f32> = (0..n * 3 * d).map(|_| noise.float()).collect();
        let ranks: Vec<u32> = (0..n as u32).rev().collect();
        let windows = windows(n, 1);
        for device in devices() {
            let table = put(&device, &[n, 4], bytemuck::cast_slice::<Window, u32>(&windows));
            let order = put(&device, &[1, n], &ranks);
            let qkv_device = put(&device, &[n, 3 * d], &qkv);
            let result = patch_attention(&qkv_device, 1, 1.0, &order, &order, 0, &windows, &table).unwrap();
            let values = qkv.chunks_exact(3 * d).flat_map(|row| &row[2 * d..]);
            assert!(get::<f32>(&result).iter().eq(values));
        }
    }
}
