//! `coord_max`: the largest grid coordinate over all axes and points.
//!
//! grid `[n, 3]` → max, from which the serialization depth follows. A negative coordinate counts as its two's
//! complement, 2³¹ or more, so that it is noticed.

use super::expect::{self, Size::Any, Size::Is};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{coord_max as shader, params},
    },
};

params!(coord_max { total: u32, groups: u32 });

/// Workgroups, each of which strides over the coordinates; the host takes the largest of theirs.
const GROUPS: usize = 256;

/// The largest coordinate of grid `[n, 3]`; 0 of none.
pub async fn coord_max(grid: &Tensor) -> Result<u32> {
    expect::operand("coord_max", "grid", grid, grid.device(), DType::I32, &[Any, Is(3)])?;
    match grid.device() {
        Device::Cpu(cpu) => cpu.run("coord_max", Work::Other(0), bytes_of(&[grid]), || {
            Ok(grid.host::<i32>().iter().map(|v| *v as u32).max().unwrap_or(0))
        }),
        Device::Gpu(gpu) => record(gpu, grid).await,
    }
}

async fn record(gpu: &Gpu, grid: &Tensor) -> Result<u32> {
    expect::one_binding("coord_max", "the grid", grid.len() * 4, gpu.max_binding())?;
    let groups = grid.len().div_ceil(256).min(GROUPS);
    let largest = Tensor::uninit(grid.device(), &[groups], DType::U32)?;
    gpu.dispatch(&Dispatch {
        variant: &shader::PLAIN,
        entry: "",
        bind: &[Bind::all(grid), Bind::all(&largest)],
        params: bytemuck::bytes_of(&Params { total: grid.len() as u32, groups: groups as u32 }),
        groups: groups as u32,
        work: Work::Other(grid.len() as u64 * 4),
    })?;
    Ok(largest.to_vec::<u32>().await?.into_iter().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, devices, put};
    use super::*;
    use pollster::block_on;

    #[test]
    fn the_largest_is_found_wherever_it_is() {
        for device in devices() {
            // 30,000 points are more than the groups cover in one stride.
            for n in SIZES.into_iter().chain([30_000]) {
                let mut noise = Noise::new(n as u64);
                let mut grid: Vec<i32> = (0..3 * n).map(|_| noise.below(500) as i32).collect();
                assert_eq!(
                    block_on(coord_max(&put(&device, &[n, 3], &grid))).unwrap(),
                    grid.iter().copied().max().unwrap_or(0) as u32
                );
                for at in [0, n, 3 * n - usize::from(n > 0)] {
                    if let Some(place) = grid.get_mut(at) {
                        *place = 600 + at as i32;
                        assert_eq!(block_on(coord_max(&put(&device, &[n, 3], &grid))).unwrap(), 600 + at as u32);
                    }
                }
            }
            assert_eq!(block_on(coord_max(&put(&device, &[1, 3], &[3, -1, 2]))).unwrap(), u32::MAX);
        }
    }
}
