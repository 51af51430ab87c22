//! `voxel_key`: the grid cell of every point.
//!
//! positions `[n, 3]` → grid `[n, 3]`: `floor(x / size)`, less the smallest such integer of each axis. The division
//! is f64's of the f32 coordinate, as numpy 2 divides by an f64 grid size.
//!
//! Source: the reference's `GridSample`. A GPU has no f64, and on coordinates rounded to millimetres one index in
//! forty would differ by the rounding of an f32 division. So the host finds, in f64, the smallest f32 of every cell,
//! and the shader counts how many of these thresholds a coordinate reaches: exact, by integer comparisons alone.

use super::expect::{self, Size::Any, Size::Is};
use crate::parallel::prelude::*;
use crate::{
    Error, Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, voxel_key as shader},
    },
    extent::extent,
};

params!(voxel_key { n: u32, y: u32, z: u32, end: u32 });

/// Cells per axis: coordinates plus one must fit 16 bits.
const MAX_CELLS: f64 = 65_535.0;

/// The grid that covers a set of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lattice {
    /// Edge of a cell.
    pub size: f64,
    /// Index of the first cell of each axis, counted from the origin.
    pub low: [f64; 3],
    /// The largest grid coordinate of each axis.
    pub last: [u32; 3],
}

impl Lattice {
    /// The grid of cells of `size` that covers `positions`, which must be finite.
    pub fn covering(positions: &[[f32; 3]], size: f64) -> Result<Self> {
        if !(size.is_finite() && size > 0.0) {
            return Err(Error::Argument {
                what: "grid size".into(),
                problem: format!("{size} is not a positive length"),
                advice: "Use the model's grid size, 0.02 for indoor scans in metres".into(),
            });
        }
        let mut lattice = Self { size, low: [0.0; 3], last: [0; 3] };
        // Division and floor keep the order, so the extremes of the cells are the cells of the extremes.
        let Some((min, max)) = extent(positions.iter().copied()) else { return Ok(lattice) };
        for axis in 0..3 {
            let low = cell(min[axis], size);
            let cells = cell(max[axis], size) - low + 1.0;
            // Infinities that cancel make a NaN.
            if cells > MAX_CELLS || cells.is_nan() {
                return Err(Error::Argument {
                    what: "grid size".into(),
                    problem: format!(
                        "the scene's {} extent of {} (from {} to {}) is {cells} cells of {size}, at most {MAX_CELLS} \
                         can be addressed",
                        ['x', 'y', 'z'][axis],
                        f64::from(max[axis]) - f64::from(min[axis]),
                        min[axis],
                        max[axis],
                    ),
                    advice: "Scale it if its unit is not the metre (`segment --scale 0.001` for millimetres), use a coarser --grid, cut the scene, or remove stray points".into(),
                });
            }
            (lattice.low[axis], lattice.last[axis]) = (low, cells as u32 - 1);
        }
        Ok(lattice)
    }

    /// The grid coordinate along `axis` of a coordinate that the grid covers.
    pub(crate) fn cell(&self, axis: usize, x: f32) -> u32 {
        (cell(x, self.size) - self.low[axis]) as u32
    }

    /// A number per cell, ascending by x, then y, then z: 16 bits an axis.
    pub(crate) fn key(&self, position: &[f32; 3]) -> u64 {
        (0..3).fold(0, |key, axis| key << 16 | u64::from(self.cell(axis, position[axis]) & 0xffff))
    }

    /// For one axis, the smallest f32 of every cell but the first, as ordered integers.
    fn thresholds(&self, axis: usize) -> impl Iterator<Item = u32> {
        let (size, low) = (self.size, self.low[axis]);
        (1..=self.last[axis]).map(move |step| {
            let index = low + f64::from(step);
            let reaches = |key: u32| cell(from_ordered(key), size) >= index;
            // The product is within a step or two of the threshold.
            let mut key = to_ordered((index * size) as f32);
            while reaches(key - 1) {
                key -= 1;
            }
            while !reaches(key) {
                key += 1;
            }
            key
        })
    }
}

/// floor(x / size) in f64.
fn cell(x: f32, size: f64) -> f64 {
    (f64::from(x) / size).floor()
}

/// An integer that orders as the float does; -0 comes just before +0.
fn to_ordered(x: f32) -> u32 {
    let bits = x.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn from_ordered(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// Grid coordinates `[n, 3]` of positions `[n, 3]` that `lattice` covers.
pub fn voxel_key(positions: &Tensor, lattice: &Lattice) -> Result<Tensor> {
    expect::operand("voxel_key", "positions", positions, positions.device(), DType::F32, &[Any, Is(3)])?;
    match positions.device() {
        Device::Cpu(cpu) => cpu.run("voxel_key", Work::Other(0), bytes_of(&[positions]), || twin(positions, lattice)),
        Device::Gpu(gpu) => record(gpu, positions, lattice),
    }
}

fn record(gpu: &Gpu, positions: &Tensor, lattice: &Lattice) -> Result<Tensor> {
    let thresholds: Vec<u32> = (0..3).flat_map(|axis| lattice.thresholds(axis)).collect();
    let table = Tensor::from_slice(positions.device(), &[thresholds.len()], &thresholds)?;
    let out = Tensor::uninit(positions.device(), positions.shape(), DType::I32)?;
    for rows in row_chunks(positions.rows(), 12, 64, gpu.max_binding()) {
        let params = Params {
            n: rows.len() as u32,
            y: lattice.last[0],
            z: lattice.last[0] + lattice.last[1],
            end: thresholds.len() as u32,
        };
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry: "",
            bind: &[Bind::rows(positions, rows.clone()), Bind::all(&table), Bind::rows(&out, rows.clone())],
            params: bytemuck::bytes_of(&params),
            groups: (3 * rows.len()).div_ceil(256) as u32,
            work: Work::Other(rows.len() as u64 * 3 * 80),
        })?;
    }
    Ok(out)
}

fn twin(positions: &Tensor, lattice: &Lattice) -> Result<Tensor> {
    let mut out = Tensor::uninit(positions.device(), positions.shape(), DType::I32)?;
    out.host_mut::<i32>().par_iter_mut().zip(positions.host::<f32>()).enumerate().for_each(|(i, (grid, x))| {
        *grid = lattice.cell(i % 3, *x) as i32;
    });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, cpu, devices, get, gpu, gpu_with, put};
    use super::*;

    fn flat(positions: &[[f32; 3]]) -> &[f32] {
        bytemuck::cast_slice(positions)
    }

    fn cells(device: &Device, positions: &[[f32; 3]], size: f64) -> Vec<i32> {
        let lattice = Lattice::covering(positions, size).unwrap();
        get(&voxel_key(&put(device, &[positions.len(), 3], flat(positions)), &lattice).unwrap())
    }

    #[test]
    fn hand_worked_cells() {
        // 0.06f32 = 0.0599999986…, in f64 just below three cells of 0.02; 0.04f32 lies just below two.
        let positions = [[-0.01, 0.0, 0.06], [0.0, -0.0, 0.04], [0.02, 0.05, -0.02], [0.019, -1e-40, 0.0]];
        for device in devices() {
            assert_eq!(cells(&device, &positions, 0.02), [0, 1, 3, 1, 1, 2, 1, 3, 0, 1, 0, 1], "{device:?}");
        }
    }

    #[test]
    fn the_shader_equals_its_twin() {
        let Some(gpu) = gpu() else { return };
        let tiny = gpu_with(|options| options.max_binding = Some(4096)).expect("the adapter opened before");
        for n in SIZES {
            let mut noise = Noise::new(n as u64);
            // Exact multiples of the grid rounded to f32, millimetres, anything, denormals; near and 2 km away.
            let mut kinds: Vec<Vec<[f32; 3]>> = Vec::new();
            for offset in [0.0f64, 2000.0, -2000.0] {
                let mut cloud = |coordinate: &dyn Fn(&mut Noise) -> f64| -> Vec<[f32; 3]> {
                    (0..n).map(|_| std::array::from_fn(|_| (coordinate(&mut noise) + offset) as f32)).collect()
                };
                kinds.push(cloud(&|noise| (noise.below(600) as f64 - 300.0) * 0.02));
                kinds.push(cloud(&|noise| (noise.below(6000) as f64 - 3000.0) * 0.001));
                kinds.push(cloud(&|noise| f64::from(noise.float()) * 5.0));
                kinds.push(cloud(&|noise| f64::from(noise.float()) * 1e-39));
            }
            for positions in &kinds {
                let expected = cells(&cpu(), positions, 0.02);
                assert_eq!(cells(&gpu, positions, 0.02), expected);
            }
            // 20 cells of 0.5 need few thresholds, which fit the small binding; 1025 points do not.
            let positions: Vec<[f32; 3]> = (0..n).map(|_| std::array::from_fn(|_| noise.float() * 5.0)).collect();
            assert_eq!(cells(&tiny, &positions, 0.5), cells(&cpu(), &positions, 0.5));
        }
    }

    #[test]
    fn every_neighbour_of_a_threshold_falls_on_its_side() {
        let mut positions = Vec::new();
        for k in -2000i32..2000 {
            let x = (f64::from(k) * 0.02) as f32;
            for near in [x.next_down(), x, x.next_up()] {
                positions.push([near, near + 7.0, -near]);
            }
        }
        let expected = cells(&cpu(), &positions, 0.02);
        for device in devices() {
            assert_eq!(cells(&device, &positions, 0.02), expected);
        }
        // The twin against the formula itself.
        let low = (f64::from((-40.0f32).next_down()) / 0.02).floor();
        for (i, p) in positions.iter().enumerate() {
            assert_eq!(f64::from(expected[3 * i]), (f64::from(p[0]) / 0.02).floor() - low);
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        let Some(gpu) = gpu() else { return };
        let n = 65_536 * 256 / 3 + 1;
        let positions: Vec<[f32; 3]> = (0..n).map(|i| [i as f32 * 1e-5, 1.0, -(i as f32) * 1e-5]).collect();
        assert_eq!(cells(&gpu, &positions, 0.02), cells(&cpu(), &positions, 0.02));
    }

    #[test]
    fn too_many_cells_and_no_cells_are_refused() {
        let far = [[0.0, 0.0, 0.0], [1310.71, 0.0, 0.0]];
        let error = Lattice::covering(&far, 0.02).unwrap_err().to_string();
        assert!(error.contains("x extent of 1310.7") && error.contains("--grid"), "{error}");
        assert!(Lattice::covering(&[[0.0; 3], [1310.69, 0.0, 0.0]], 0.02).is_ok());
        for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Lattice::covering(&far, size).is_err());
        }
        assert!(Lattice::covering(&[[-3e38, 0.0, 0.0], [3e38, 0.0, 0.0]], 1e-300).is_err());
    }
}
