//! `cell_coords`: grid coordinates and batch index of every cell, out of its raster key.
//!
//! sorted raster keys `[n, 2]`, starts `[cells + 1]` → grid `[cells, 3]`, batch `[cells]`. With keys of
//! `grid / stride` these are the points of the next stage (the reference's `GridPooling`).

use super::{
    expect::{self, Size::Any, Size::Is},
    key64,
    serialize::MAX_DEPTH,
};
use crate::{
    Error, Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{cell_coords as shader, params},
    },
};

params!(cell_coords { cells: u32, depth: u32 });

/// Grid coordinates `[cells, 3]` and batch indices `[cells]` of the runs that begin at `starts` in raster keys of
/// `depth` bits per axis.
pub fn cell_coords(keys: &Tensor, starts: &Tensor, depth: u32) -> Result<(Tensor, Tensor)> {
    let device = keys.device();
    expect::operand("cell_coords", "keys", keys, device, DType::U32, &[Any, Is(2)])?;
    expect::operand("cell_coords", "starts", starts, device, DType::U32, &[Any])?;
    if depth > MAX_DEPTH || starts.is_empty() {
        return Err(Error::Shape {
            kernel: "cell_coords",
            problem: format!("depth {depth} is at most {MAX_DEPTH}, and {starts:?} holds at least an end"),
        });
    }
    let cells = starts.rows() - 1;
    let mut grid = Tensor::uninit(device, &[cells, 3], DType::I32)?;
    let mut batch = Tensor::uninit(device, &[cells], DType::U32)?;
    match device {
        Device::Cpu(cpu) => cpu.run("cell_coords", Work::Other(0), bytes_of(&[starts, &grid, &batch]), || {
            twin(keys, starts, depth, grid.host_mut(), batch.host_mut());
        }),
        Device::Gpu(gpu) => record(gpu, keys, starts, depth, &grid, &batch)?,
    }
    Ok((grid, batch))
}

fn record(gpu: &Gpu, keys: &Tensor, starts: &Tensor, depth: u32, grid: &Tensor, batch: &Tensor) -> Result<()> {
    let cells = batch.rows();
    expect::one_binding("cell_coords", "the array of cells", (cells * 12).max(keys.len() * 4), gpu.max_binding())?;
    gpu.dispatch(&Dispatch {
        variant: &shader::PLAIN,
        entry: "",
        bind: &[Bind::all(keys), Bind::all(starts), Bind::all(grid), Bind::all(batch)],
        params: bytemuck::bytes_of(&Params { cells: cells as u32, depth }),
        groups: cells.div_ceil(256) as u32,
        work: Work::Other(cells as u64 * 28),
    })
}

fn twin(keys: &Tensor, starts: &Tensor, depth: u32, grid: &mut [i32], batch: &mut [u32]) {
    let keys = key64::keys(keys);
    let mask = (1u64 << depth) - 1;
    for (cell, start) in starts.host::<u32>()[..batch.len()].iter().enumerate() {
        let key = key64::join(keys[*start as usize]);
        for axis in 0..3 {
            grid[3 * cell + axis] = (key >> (depth * (2 - axis as u32)) & mask) as i32;
        }
        batch[cell] = (key >> (3 * depth)) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        serialize::{Curve, serialize},
        testing::{Noise, SIZES, devices, get, gpu, put},
    };
    use super::*;

    #[test]
    fn a_cell_s_coordinates_are_those_its_key_was_made_of() {
        for device in devices() {
            for n in SIZES {
                let mut noise = Noise::new(n as u64);
                for depth in [1, 8, 11, 16] {
                    let grid: Vec<i32> = (0..3 * n).map(|_| noise.below(1 << depth) as i32).collect();
                    let batch: Vec<u32> = (0..n).map(|_| noise.below(30_000) as u32).collect();
                    let starts: Vec<u32> = (0..=n as u32).collect();
                    let (g, b) = (put(&device, &[n, 3], &grid), put(&device, &[n], &batch));
                    let keys = serialize(&g, &b, depth, 1, &[Curve::Raster]).unwrap().reshaped(&[n, 2]).unwrap();
                    let cells = cell_coords(&keys, &put(&device, &[n + 1], &starts), depth).unwrap();
                    assert_eq!((get::<i32>(&cells.0), get::<u32>(&cells.1)), (grid, batch));
                }
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        // Eleven million cells fill a portable binding with 43,691 groups; beyond, a native one is needed.
        let Some(gpu) = gpu() else { return };
        let (n, cells) = (1000, 65_536 * 256 + 1);
        let keys: Vec<u32> = (0..n).flat_map(|i| [0, i]).collect();
        let starts: Vec<u32> = (0..=cells as u32).map(|c| c % n).collect();
        let (keys, starts) = (put(&gpu, &[n as usize, 2], &keys), put(&gpu, &[cells + 1], &starts));
        let Ok((grid, _)) = cell_coords(&keys, &starts, 10) else {
            eprintln!("skipped: the adapter binds less than {} bytes", cells * 12);
            return;
        };
        let grid = get::<i32>(&grid);
        assert!(grid.chunks(3).enumerate().all(|(c, g)| g == [0, 0, (c % n as usize) as i32]));
    }
}
