//! `low_rank_delta`: adds the generated weight delta of a patch to a linear layer's output (PointTPA's DPP, and LoRA):
//! `out[i, o] = act(y[i, o] + scale · Σ_r a[patch(i), o, r] z[i, r])` with `z = B x` and `scale = alpha / rank`.
//!
//! The full delta `A_p B` is never built.

use super::{
    Activation, ELEMENTS_PER_GROUP, ensure, groups_for,
    linear::{Finish, finish_rows},
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{low_rank_delta as table, params},
    },
};

params!(low_rank_delta {
    rows: u32,
    columns: u32,
    rank: u32,
    inverse_base: u32,
    activation: u32,
    one_patch: u32,
    scale: f32,
});

/// Which patch a point belongs to: `patch_of_rank[inverse[row][point]]`.
#[derive(Clone, Copy)]
pub struct PatchOf<'a> {
    /// Rank of every point in each serialized order, `[r, n]` u32.
    pub inverse: &'a Tensor,
    /// The order in use, a row of `inverse`.
    pub row: usize,
    /// Patch of every rank, `[n]` u32.
    pub patch_of_rank: &'a Tensor,
}

impl PatchOf<'_> {
    /// Whether it covers `rows` points.
    pub(super) fn fits(&self, rows: usize) -> bool {
        (self.row + 1) * rows <= self.inverse.len() && self.patch_of_rank.len() == rows
    }

    /// The patch of one point, on the CPU.
    #[inline(always)]
    pub(super) fn of(&self, point: usize) -> usize {
        let rank = self.inverse.host::<u32>()[self.row * self.patch_of_rank.len() + point];
        self.patch_of_rank.host::<u32>()[rank as usize] as usize
    }
}

/// A weight delta of low rank, one per patch.
#[derive(Clone, Copy)]
pub struct LowRank<'a> {
    /// `B x`, `[n, r]`.
    pub z: &'a Tensor,
    /// `A` of every patch, `[p, o, r]`.
    pub a: &'a Tensor,
    /// The patch of every point; without them, all points use `a[0]`.
    pub patches: Option<PatchOf<'a>>,
    /// alpha / rank.
    pub scale: f32,
}

impl LowRank<'_> {
    /// An error unless it fits `rows` points and `columns` channels.
    pub(super) fn check(&self, rows: usize, columns: usize) -> Result<()> {
        let Self { z, a, patches, .. } = self;
        let fits = z.rows() == rows && a.columns() == columns * z.columns() && patches.is_none_or(|p| p.fits(rows));
        ensure!("low_rank_delta", fits, "z {z:?}, a {a:?} for {rows} points of {columns} channels");
        Ok(())
    }

    /// Bytes of its operands.
    pub(super) fn bytes(&self) -> u64 {
        let places = self.patches.map_or(0, |patches| 2 * bytes_of(&[patches.patch_of_rank]));
        bytes_of(&[self.z, self.a]) + places
    }

    /// `a` as `[p, r, o]` on the CPU: vectors run along the channels.
    pub(super) fn across(&self) -> Vec<f32> {
        let rank = self.z.columns();
        let size = self.a.columns();
        let mut across = vec![0.0; self.a.len()];
        if size > 0 {
            let columns = size / rank;
            let patches = across.par_chunks_exact_mut(size).zip(self.a.host::<f32>().par_chunks_exact(size));
            patches.for_each(|(across, a)| {
                for (r, across) in across.chunks_exact_mut(columns).enumerate() {
                    across.iter_mut().zip(a[r..].iter().step_by(rank)).for_each(|(across, a)| *across = *a);
                }
            });
        }
        across
    }

    /// The terms of a point's delta on the CPU: an element of z, and the row of `across` `[p, r, o]` it weighs.
    #[inline(always)]
    pub(super) fn terms<'t>(
        &'t self,
        point: usize,
        across: &'t [f32],
        columns: usize,
    ) -> impl Iterator<Item = (f32, &'t [f32])> {
        let rank = self.z.columns();
        let patch = self.patches.as_ref().map_or(0, |patches| patches.of(point));
        let a = &across[patch * rank * columns..][..rank * columns];
        self.z.host::<f32>()[point * rank..][..rank].iter().copied().zip(a.chunks_exact(columns.max(1)))
    }
}

/// `y` `[n, o]` plus `delta` → `[n, o]`.
pub fn low_rank_delta(y: &Tensor, delta: LowRank<'_>, activation: Activation) -> Result<Tensor> {
    let (rows, columns) = (y.rows(), y.columns());
    delta.check(rows, columns)?;
    let mut out = Tensor::uninit(y.device(), y.shape(), DType::F32)?;
    match y.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(2 * (y.len() * delta.z.columns()) as u64);
            device.run("low_rank_delta", work, bytes_of(&[y, &out]) + delta.bytes(), || {
                cpu(y, delta, activation, out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, y, delta, activation, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, y: &Tensor, delta: LowRank<'_>, activation: Activation, out: &Tensor) -> Result<()> {
    let LowRank { z, a, patches, scale } = delta;
    let (columns, rank) = (y.columns(), z.columns());
    let work_per_row = (2 * columns * rank) as u64;
    for rows in row_chunks(y.rows(), y.row_bytes().max(z.row_bytes()), work_per_row, gpu.max_binding()) {
        let params = Params {
            rows: rows.len() as u32,
            columns: columns as u32,
            rank: rank as u32,
            inverse_base: patches.map_or(0, |p| p.row * y.rows() + rows.start) as u32,
            activation: activation.code(),
            one_patch: u32::from(patches.is_none()),
            scale,
        };
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[
                Bind::rows(y, rows.clone()),
                Bind::rows(z, rows.clone()),
                Bind::rows(out, rows.clone()),
                Bind::all(a),
                Bind::all(patches.map_or(a, |p| p.inverse)),
                Bind::all(patches.map_or(a, |p| p.patch_of_rank)),
            ],
            params: bytemuck::bytes_of(&params),
            groups: groups_for(rows.len() * columns.div_ceil(4), ELEMENTS_PER_GROUP),
            work: Work::Flops(work_per_row * rows.len() as u64),
        })?;
    }
    Ok(())
}

/// Rows of one task of the twin.
const CPU_ROWS: usize = 256;

fn cpu(y: &Tensor, delta: LowRank<'_>, activation: Activation, out: &mut [f32]) {
    let columns = y.columns();
    if columns == 0 {
        return;
    }
    let (y, across) = (y.host::<f32>(), delta.across());
    let finish = Finish { columns, delta: Some((delta, &across)), activation, ..Finish::default() };
    let blocks = out.par_chunks_mut(CPU_ROWS * columns).zip(y.par_chunks(CPU_ROWS * columns)).enumerate();
    blocks.for_each(|(i, (out, y))| finish_rows(i * CPU_ROWS, y, &finish, out));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, SIZES, devices, get, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            let (o, rank, patches, scale) = (21, 3, 5, 1.5);
            let mut noise = Noise::new(n as u64);
            let (y, z, a) = (noise.floats(n * o), noise.floats(n * rank), noise.floats(patches * o * rank));
            let inverse: Vec<u32> = (0..2 * n).map(|i| ((i * 7) % n.max(1)) as u32).collect();
            let patch_of_rank: Vec<u32> = (0..n).map(|_| noise.below(patches) as u32).collect();
            for one_patch in [false, true] {
                let result = agree(1e-6, |device| {
                    let (inverse, patch_of_rank) = (put(device, &[2, n], &inverse), put(device, &[n], &patch_of_rank));
                    let place = PatchOf { inverse: &inverse, row: 1, patch_of_rank: &patch_of_rank };
                    let (y, z) = (put(device, &[n, o], &y), put(device, &[n, rank], &z));
                    let a = put(device, &[patches, o, rank], &a);
                    let patches = (!one_patch).then_some(place);
                    low_rank_delta(&y, LowRank { z: &z, a: &a, patches, scale }, Activation::Relu).unwrap()
                });
                for (at, out) in result.iter().enumerate() {
                    let patch = if one_patch { 0 } else { patch_of_rank[inverse[n + at / o] as usize] as usize };
                    let row = &a[(patch * o + at % o) * rank..][..rank];
                    let delta: f32 = row.iter().zip(&z[at / o * rank..]).map(|(a, z)| a * z).sum();
                    assert!((out - (y[at] + scale * delta).max(0.0)).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 1;
        let y: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
        for device in devices() {
            let (y_device, z) = (put(&device, &[n, 1], &y), put(&device, &[n, 1], &y));
            let a = put(&device, &[1, 1], &[2.0f32]);
            let result =
                low_rank_delta(&y_device, LowRank { z: &z, a: &a, patches: None, scale: 0.5 }, Activation::None)
                    .unwrap();
            assert!(get::<f32>(&result).iter().zip(&y).all(|(out, y)| *out == y * 2.0));
        }
    }
}
