//! `subm_conv`: the submanifold 3³ convolution of the network's position encoding (spconv's `SubMConv3d`),
//! `out[p, :] = bias + Σ_o weight[:, o, :] · x[neighbors[p, o], :]` over the 27 offsets o = 9a + 3b + c of
//! (a - 1, b - 1, c - 1). Outputs exist only at input voxels, absent neighbours contribute nothing.

use super::{
    ensure,
    linear::whole_quads,
    neighbor_table::ABSENT,
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
        shader_table::{Variant, params, subm_conv as table},
    },
};
use pulp::{Arch, Simd, WithSimd};
use std::{array, ops::Range};

params!(subm_conv { rows: u32, columns: u32, inner: u32, lo: u32, hi: u32, accumulate: u32, has_order: u32 });

/// Offsets of a 3³ neighbourhood.
pub const OFFSETS: usize = 27;

/// `x` `[n, i]`, `weight` `[o, 3, 3, 3, i]`, `bias` `[o]`, `neighbors` `[n, 27]` u32 → `[n, o]`. A GPU takes the points
/// by `order` `[n]`, which should bring together those that have the same neighbours; results do not depend on it.
pub fn subm_conv(
    x: &Tensor,
    weight: &Weight,
    bias: &Tensor,
    neighbors: &Tensor,
    order: Option<&Tensor>,
) -> Result<Tensor> {
    check(x, weight, bias, neighbors, order)?;
    let mut out = Tensor::uninit(x.device(), &[x.rows(), weight.outputs()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let work = Work::Flops((x.rows() * flops(weight)) as u64);
            device.run("subm_conv", work, bytes_of(&[x, weight.tensor(), bias, neighbors, &out]), || {
                cpu(x.host(), weight, bias.host(), neighbors.host(), out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, weight, bias, neighbors, order, &out)?,
    }
    Ok(out)
}

/// An error unless the operands fit together.
pub(super) fn check(
    x: &Tensor,
    weight: &Weight,
    bias: &Tensor,
    neighbors: &Tensor,
    order: Option<&Tensor>,
) -> Result<()> {
    let (rows, columns) = (x.rows(), weight.outputs());
    let fits = weight.inner() == x.columns() && weight.taps() == OFFSETS;
    ensure!("subm_conv", fits && x.dtype() == DType::F32, "x {x:?} against {weight:?}");
    let order_fits = order.is_none_or(|order| order.shape() == [rows] && order.dtype() == DType::U32);
    ensure!("subm_conv", order_fits, "order {order:?} for {rows} points");
    ensure!("subm_conv", bias.len() == columns && bias.dtype() == DType::F32, "bias {bias:?} for weight {weight:?}");
    let table_fits = neighbors.shape() == [rows, OFFSETS] && neighbors.dtype() == DType::U32;
    ensure!("subm_conv", table_fits, "neighbors {neighbors:?} for x {x:?}");
    Ok(())
}

/// Floating-point operations per point, an upper bound: scans are surfaces, a third of the offsets is usual.
pub(super) fn flops(weight: &Weight) -> usize {
    2 * OFFSETS * weight.inner() * weight.outputs()
}

/// The permutation for an adapter, a weight and a shape.
pub(crate) fn variant(gpu: &Gpu, weight: &Weight) -> &'static Variant {
    use table::{
        BROADCAST_BF16, BROADCAST_BF16_VEC4, BROADCAST_F16, BROADCAST_F16_VEC4, BROADCAST_F32, BROADCAST_F32_VEC4,
        TILE_BF16, TILE_BF16_VEC4, TILE_F16, TILE_F16_VEC4, TILE_F32, TILE_F32_VEC4,
    };
    let [tile, broadcast] = match (weight.dtype(), whole_quads(weight.inner(), weight.outputs())) {
        (DType::F16, false) => [&TILE_F16, &BROADCAST_F16],
        (DType::F16, true) => [&TILE_F16_VEC4, &BROADCAST_F16_VEC4],
        (DType::BF16, false) => [&TILE_BF16, &BROADCAST_BF16],
        (DType::BF16, true) => [&TILE_BF16_VEC4, &BROADCAST_BF16_VEC4],
        (_, false) => [&TILE_F32, &BROADCAST_F32],
        (_, true) => [&TILE_F32_VEC4, &BROADCAST_F32_VEC4],
    };
    if gpu.broadcasts() { broadcast } else { tile }
}

/// Points that a workgroup computes.
const BLOCK_ROWS: usize = 64;

fn gpu(
    gpu: &Gpu,
    x: &Tensor,
    weight: &Weight,
    bias: &Tensor,
    neighbors: &Tensor,
    order: Option<&Tensor>,
    out: &Tensor,
) -> Result<()> {
    let (inner, columns, limit) = (x.columns(), out.columns(), gpu.max_binding());
    let work_per_row = flops(weight) as u64;
    let widest = out.row_bytes().max(neighbors.row_bytes());
    // In another order than their own, points may be anywhere: neighbours and outputs are bound whole, and a dispatch
    // takes a range of the order. Where they do not fit a binding, the points are taken as they come.
    let order = order.filter(|_| (widest * x.rows()) as u64 <= limit);
    let block_columns = if gpu.broadcasts() { 16 } else { 64 };
    for (pass, seen) in row_chunks(x.rows(), x.row_bytes(), 1, limit).enumerate() {
        for rows in row_chunks(x.rows(), widest, work_per_row, limit) {
            let params = Params {
                rows: rows.len() as u32,
                columns: columns as u32,
                inner: inner as u32,
                lo: seen.start as u32,
                hi: seen.end as u32,
                accumulate: u32::from(pass > 0),
                has_order: u32::from(order.is_some()),
            };
            let of_points = |tensor| match order {
                Some(_) => Bind::all(tensor),
                None => Bind::rows(tensor, rows.clone()),
            };
            gpu.dispatch(&Dispatch {
                variant: variant(gpu, weight),
                entry: "main",
                bind: &[
                    Bind::rows(x, seen.clone()),
                    Bind::all(weight.tensor()),
                    Bind::all(bias),
                    of_points(neighbors),
                    of_points(out),
                    order.map_or(Bind::all(bias), |order| Bind::rows(order, rows.clone())),
                ],
                params: bytemuck::bytes_of(&params),
                groups: (rows.len().div_ceil(BLOCK_ROWS) * columns.div_ceil(block_columns)) as u32,
                work: Work::Flops(work_per_row * rows.len() as u64),
            })?;
        }
    }
    Ok(())
}

/// Points of a block whose outputs stay in a thread's cache over the offsets.
pub(super) const CPU_ROWS: usize = 256;
/// Up to this many points, threads share out the columns, and each reads its part of the weight only.
pub(super) const FEW_ROWS: usize = 192;

fn cpu(x: &[f32], weight: &Weight, bias: &[f32], neighbors: &[u32], out: &mut [f32]) {
    let columns = bias.len();
    if out.is_empty() {
        return;
    }
    in_blocks(out, columns, FEW_ROWS, CPU_ROWS, |first, tiles, out| {
        points(x, weight, bias, neighbors, first, tiles, out);
    });
}

/// A block of points from `first` on, of the columns of some tiles.
pub(super) fn points(
    x: &[f32],
    weight: &Weight,
    bias: &[f32],
    neighbors: &[u32],
    first: usize,
    tiles: Range<usize>,
    out: &mut [f32],
) {
    let columns = columns_of(&tiles, bias.len());
    let count = out.len() / columns.len();
    out.chunks_exact_mut(columns.len()).for_each(|row| row.copy_from_slice(&bias[columns.clone()]));
    let pairs = Pairs::new(&neighbors[first * OFFSETS..][..count * OFFSETS]);
    Arch::new().dispatch(Block { x, weight, pairs: &pairs, range: tiles, columns, out });
}

/// The neighbours that the points of a block have, offset by offset.
struct Pairs {
    /// Point of the block, and the row of x that is its neighbour.
    pairs: Vec<(u32, u32)>,
    /// Where each offset's pairs end.
    ends: [usize; OFFSETS],
}

impl Pairs {
    fn new(neighbors: &[u32]) -> Self {
        let (mut pairs, mut ends) = (Vec::with_capacity(neighbors.len() / 2), [0; OFFSETS]);
        for (offset, end) in ends.iter_mut().enumerate() {
            let sources = neighbors[offset..].iter().step_by(OFFSETS).enumerate();
            pairs.extend(sources.filter(|(_, s)| **s != ABSENT).map(|(point, source)| (point as u32, *source)));
            *end = pairs.len();
        }
        Self { pairs, ends }
    }

    #[inline(always)]
    fn at(&self, offset: usize) -> &[(u32, u32)] {
        let start = if offset == 0 { 0 } else { self.ends[offset - 1] };
        &self.pairs[start..self.ends[offset]]
    }
}

/// A block of points times some tiles of the weight, added to `out`.
struct Block<'a> {
    x: &'a [f32],
    weight: &'a Weight,
    pairs: &'a Pairs,
    range: Range<usize>,
    /// Columns that `out` holds.
    columns: Range<usize>,
    out: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (outputs, inner) = (self.weight.outputs(), self.weight.inner());
        for tile in self.range.clone() {
            for offset in 0..OFFSETS {
                let weights = Tiles::tap(self.weight.tensor().host(), offset, outputs, inner).tile::<S>(tile);
                with_tile(simd, &weights, inner, &mut AtOffset { offset, block: &mut self });
            }
        }
    }
}

struct AtOffset<'a, 'b> {
    offset: usize,
    block: &'a mut Block<'b>,
}

impl<S: Simd> TileWork<S> for AtOffset<'_, '_> {
    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize>(&mut self, simd: S, column: usize, weights: &[[S::f32s; WIDTH]]) {
        let Block { x, pairs, columns, out, .. } = &mut *self.block;
        let (inner, stride, first_column) = (weights.len(), columns.len(), column - columns.start);
        for group in pairs.at(self.offset).chunks(ROWS) {
            // The last pair is multiplied again where a group is not full.
            let pair = |r: usize| group[r.min(group.len() - 1)];
            let rows = array::from_fn(|r| &x[pair(r).1 as usize * inner..][..inner]);
            let place = |r: usize| pair(r).0 as usize * stride..(pair(r).0 as usize + 1) * stride;
            let mut sums: [[S::f32s; WIDTH]; ROWS] = array::from_fn(|r| {
                let out = &out[place(r)];
                array::from_fn(|v| load(simd, out, first_column + v * S::F32_LANES))
            });
            multiply::<S, ROWS, WIDTH>(simd, rows, weights, &mut sums);
            for (r, sums) in sums.iter().enumerate().take(group.len()) {
                let out = &mut out[place(r)];
                for v in 0..WIDTH {
                    store(simd, out, first_column + v * S::F32_LANES, sums[v]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, cpu as cpu_device, get, neighbors, put},
    };

    /// The offset of the voxel itself.
    const CENTRE: usize = 13;

    #[test]
    fn an_order_goes_together_with_splitting_by_rows_of_x_and_by_work() {
        // x is wider than outputs and table, which are bound whole: 128 KiB hold 512 of its rows. At 512 channels a
        // dispatch is to take no more than 1,408 points; few have neighbours, so that the test does not take as long.
        for ([n, i, o], near, binding) in [([1025, 64, 16], 400, 128 << 10), ([1500, 512, 512], 3, 64 << 20)] {
            let mut noise = Noise::new(n as u64);
            // Weights of a size that leaves sums near 1.
            let weight: Vec<f32> = noise.floats(o * OFFSETS * i).iter().map(|w| w / (i as f32).sqrt()).collect();
            let (x, bias) = (noise.floats(n * i), noise.floats(o));
            let mut neighbors = neighbors(n, &mut noise);
            neighbors[near * OFFSETS..].chunks_exact_mut(OFFSETS).for_each(|row| {
                let own = row[CENTRE];
                row.fill(ABSENT);
                row[CENTRE] = own;
            });
            let mut order: Vec<u32> = (0..n as u32).collect();
            (1..n).rev().for_each(|at| order.swap(at, noise.below(at + 1)));
            // Up to 27 · 512 products of a sum near 1, in another order.
            let run = |device: &Device, ordered: bool| {
                let weight = Weight::from_slice(device, o, OFFSETS, &weight).unwrap();
                let (x, bias) = (put(device, &[n, i], &x), put(device, &[o], &bias));
                let (neighbors, order) = (put(device, &[n, OFFSETS], &neighbors), put(device, &[n], &order));
                subm_conv(&x, &weight, &bias, &neighbors, ordered.then_some(&order)).unwrap()
            };
            let ordered = agree_split(2e-4, binding, |device| run(device, true));
            // The twin takes no order: what it gives is what an order must not change.
            assert_eq!(ordered, get::<f32>(&run(&cpu_device(), false)));
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            for (i, o) in [(16, 16), (9, 5), (48, 80)] {
                let mut noise = Noise::new((n * 100 + i) as u64);
                let (x, weight, bias) = (noise.floats(n * i), noise.floats(o * OFFSETS * i), noise.floats(o));
                let neighbors = neighbors(n, &mut noise);
                let (order, has_order): (Vec<u32>, _) = ((0..n as u32).rev().collect(), i != 9);
                // Sums of up to 1,300 products below 1.
                let result = agree_split(3e-5, (weight.len() * 4).max(16 << 10) as u64, |device| {
                    let weight = Weight::from_slice(device, o, OFFSETS, &weight).unwrap();
                    let (x, bias) = (put(device, &[n, i], &x), put(device, &[o], &bias));
                    let (neighbors, order) = (put(device, &[n, OFFSETS], &neighbors), put(device, &[n], &order));
                    subm_conv(&x, &weight, &bias, &neighbors, has_order.then_some(&order)).unwrap()
                });
                for (at, y) in result.iter().enumerate().step_by(11) {
                    let (p, c) = (at / o, at % o);
                    let mut expected = f64::from(bias[c]);
                    for offset in 0..OFFSETS {
                        let source = neighbors[p * OFFSETS + offset];
                        if source != ABSENT {
                            for k in 0..i {
                                let w = weight[(c * OFFSETS + offset) * i + k];
                                expected += f64::from(w) * f64::from(x[source as usize * i + k]);
                            }
                        }
                    }
                    assert!((f64::from(*y) - expected).abs() < 3e-5, "n {n}: {y} against {expected}");
                }
            }
        }
    }
}
