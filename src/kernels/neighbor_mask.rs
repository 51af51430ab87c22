//! `neighbor_mask`: which of its 27 neighbours a point has, as a sortable key.
//!
//! table `[n, 27]` → keys `[1, n, 2]`: (0, bit `o` set where entry `o` is not [`ABSENT`]). Sorting by it brings together
//! points with the same neighbours, so that a workgroup of [`super::subm_conv`] can skip what none of its points has.

use super::{
    ELEMENTS_PER_GROUP,
    expect::{
        self,
        Size::{Any, Is},
    },
    groups_for,
    neighbor_table::ABSENT,
    radix_sort::radix_sort,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{neighbor_mask as table, params},
    },
};

params!(neighbor_mask { n: u32 });

/// Bits of a key that differ.
const BITS: u32 = 27;

/// Keys `[1, n, 2]` of a table `[n, 27]`, see [`super::neighbor_table::neighbor_table`].
pub fn neighbor_mask(neighbors: &Tensor) -> Result<Tensor> {
    let device = neighbors.device();
    expect::operand("neighbor_mask", "neighbors", neighbors, device, DType::U32, &[Any, Is(27)])?;
    let n = neighbors.rows();
    let mut keys = Tensor::uninit(device, &[n, 2], DType::U32)?;
    match device {
        Device::Cpu(cpu) => cpu.run("neighbor_mask", Work::Other(0), bytes_of(&[neighbors, &keys]), || {
            let rows = neighbors.host::<u32>().chunks_exact(27);
            for (key, row) in keys.host_mut::<u32>().chunks_exact_mut(2).zip(rows) {
                let bits = row.iter().enumerate().map(|(offset, entry)| u32::from(*entry != ABSENT) << offset);
                key.copy_from_slice(&[0, bits.sum()]);
            }
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(n, neighbors.row_bytes(), 27, gpu.max_binding()) {
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(neighbors, rows.clone()), Bind::rows(&keys, rows.clone())],
                    params: bytemuck::bytes_of(&Params { n: rows.len() as u32 }),
                    groups: groups_for(rows.len(), ELEMENTS_PER_GROUP),
                    work: Work::Other(rows.len() as u64 * 27),
                })?;
            }
        }
    }
    keys.reshaped(&[1, n, 2])
}

/// The order `[n]` u32 in which [`super::subm_conv`] should take the points of a table `[n, 27]`, where it gains by one: on
/// a GPU, whose workgroups skip what none of their points has.
pub fn neighbor_order(neighbors: &Tensor) -> Result<Option<Tensor>> {
    match neighbors.device() {
        Device::Cpu(_) => Ok(None),
        Device::Gpu(_) => {
            let sorted = radix_sort(&neighbor_mask(neighbors)?, BITS)?;
            sorted.order.reshaped(&[neighbors.rows()]).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{Noise, SIZES, devices, get, gpu_with, put};

    #[test]
    fn every_present_neighbour_is_a_bit() {
        for n in SIZES {
            let mut noise = Noise::new(n as u64);
            let table: Vec<u32> = (0..n * 27).map(|i| if noise.below(2) == 0 { ABSENT } else { i as u32 }).collect();
            let splitting = gpu_with(|options| options.max_binding = Some(64 * 27 * 4));
            for device in devices().into_iter().chain(splitting) {
                let keys: Vec<u32> = get(&neighbor_mask(&put(&device, &[n, 27], &table)).unwrap());
                for (key, row) in keys.chunks_exact(2).zip(table.chunks_exact(27)) {
                    assert_eq!(key[0], 0);
                    assert!((0..27).all(|offset| (key[1] >> offset & 1 == 1) == (row[offset] != ABSENT)));
                }
            }
        }
    }
}
