//! The scene of a measurement: generated rooms, cut to an exact number of voxels.

use crate::{
    Device, Result,
    device::Tensor,
    geometry::{center_shift::center_shift, voxel::voxelize},
    kernels::neighbor_table::ABSENT,
    model::{config::Config, weights::Feature, weights::ModelInfo},
    synth::{Options, Room, RoomKind, ScannerOptions, scan},
};

/// Edge of a voxel in metres: the published models'.
const GRID_SIZE: f64 = 0.02;
/// From room to room, in voxels: more than the longest room with its alcove.
const PITCH: i32 = 450;

/// One voxel with what its first point holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Voxel {
    /// Cell of the grid.
    cell: [i32; 3],
    /// Metres.
    position: [f32; 3],
    /// 0 to 1.
    color: [f32; 3],
    normal: [f32; 3],
}

/// A generated scene of an exact number of voxels, in the order in which voxelizing gives them.
///
/// Rooms as a depth camera sees them, at 2 cm, and of these the voxels nearest to the middle of the first room's floor,
/// as the reference's `SphereCrop` takes those nearest to a point. One number gives one scene, on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    voxels: Vec<Voxel>,
}

impl Scene {
    /// The scene of `count` voxels, at least 1.
    pub fn of(count: usize) -> Result<Self> {
        let (mut voxels, middle) = room(0)?;
        for index in 1.. {
            if voxels.len() >= count {
                break;
            }
            let (mut more, _) = room(index)?;
            let at = place(index);
            for voxel in &mut more {
                for axis in 0..2 {
                    voxel.cell[axis] += PITCH * at[axis];
                    voxel.position[axis] += PITCH as f32 * GRID_SIZE as f32 * at[axis] as f32;
                }
            }
            voxels.append(&mut more);
        }
        let distance =
            |voxel: &Voxel| -> i64 { (0..3).map(|axis| i64::from(voxel.cell[axis] - middle[axis]).pow(2)).sum() };
        voxels.sort_by_cached_key(|voxel| (distance(voxel), voxel.cell));
        voxels.truncate(count);
        voxels.sort_by_key(|voxel| voxel.cell);
        let low: [i32; 3] = std::array::from_fn(|axis| voxels.iter().map(|voxel| voxel.cell[axis]).min().unwrap_or(0));
        for voxel in &mut voxels {
            (0..3).for_each(|axis| voxel.cell[axis] -= low[axis]);
        }
        let mut positions: Vec<[f32; 3]> = voxels.iter().map(|voxel| voxel.position).collect();
        center_shift(&mut positions, true);
        voxels.iter_mut().zip(positions).for_each(|(voxel, position)| voxel.position = position);
        Ok(Self { voxels })
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.voxels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.voxels.is_empty()
    }

    /// A point of every voxel, metres.
    pub(super) fn positions(&self) -> impl Iterator<Item = [f32; 3]> {
        self.voxels.iter().map(|voxel| voxel.position)
    }

    /// Brings the scene to a device, with the features that a model reads.
    pub(super) fn upload(&self, device: &Device, config: &Config, info: &ModelInfo) -> Result<Uploaded> {
        let n = self.len();
        let cells: Vec<i32> = self.voxels.iter().flat_map(|voxel| voxel.cell).collect();
        let channels = config.backbone.in_channels;
        // A model that does not say what it reads gets numbers of the same size.
        let all = [Feature::Coord, Feature::Color, Feature::Normal];
        let kinds = if info.features.is_empty() { &all[..] } else { &info.features };
        let of = |voxel: &Voxel| {
            let numbers = kinds.iter().flat_map(move |kind| match kind {
                Feature::Coord => voxel.position,
                Feature::Color => voxel.color,
                Feature::Normal => voxel.normal,
            });
            numbers.collect::<Vec<_>>().into_iter().cycle().take(channels)
        };
        let features: Vec<f32> = self.voxels.iter().flat_map(of).collect();
        Ok(Uploaded {
            grid_coord: Tensor::from_slice(device, &[n, 3], &cells)?,
            batch: Tensor::from_slice(device, &[n], &vec![0u32; n])?,
            features: Tensor::from_slice(device, &[n, channels], &features)?,
        })
    }
}

/// A scene on a device.
pub(super) struct Uploaded {
    /// `[n, 3]` i32.
    pub(super) grid_coord: Tensor,
    /// `[n]` u32, all 0.
    pub(super) batch: Tensor,
    /// `[n, channels]`.
    pub(super) features: Tensor,
}

/// The voxels of room `index`, and the cell in the middle of its floor.
fn room(index: u64) -> Result<(Vec<Voxel>, [i32; 3])> {
    let options = Options { kind: Some(RoomKind::Living), ..Options::default() };
    let room = Room::generate(&options, index);
    let cloud = scan(&room, &ScannerOptions::default(), index);
    // On the CPU wherever the measurement is made, so that it is the same scene.
    let voxels = pollster::block_on(voxelize(&Device::cpu(), &cloud.positions, GRID_SIZE))?;
    let cells: &[i32] = voxels.grid_coord.host();
    let low = voxels.lattice.low.map(|low| low as i32);
    let first: &[u32] = voxels.first.host();
    let of = |(cell, first): (&[i32; 3], &u32)| {
        let point = *first as usize;
        Voxel {
            cell: std::array::from_fn(|axis| cell[axis] + low[axis]),
            position: cloud.positions[point],
            color: cloud.colors.as_ref().map_or([0.5; 3], |colors| colors[point].map(|v| v / 255.0)),
            normal: cloud.normals.as_ref().map_or([0.0, 0.0, 1.0], |normals| normals[point]),
        }
    };
    let (min, max) = room.bounds();
    let middle: [i32; 3] =
        std::array::from_fn(
            |axis| {
                if axis == 2 { 0 } else { (f64::from(min[axis] + max[axis]) / 2.0 / GRID_SIZE) as i32 }
            },
        );
    Ok((cells.as_chunks::<3>().0.iter().zip(first).map(of).collect(), middle))
}

/// Where room `index` stands, in rooms along x and y: the rooms fill a growing square from its corner.
fn place(index: u64) -> [i32; 2] {
    let side = index.isqrt();
    let rest = index - side * side;
    let at = if rest <= side { [side, rest] } else { [2 * side - rest, side] };
    at.map(|v| v as i32)
}

/// Of the 27 entries per voxel of a neighbour table, how many name a neighbour.
pub(super) fn neighbors_present(table: &[u32]) -> u64 {
    table.iter().filter(|entry| **entry != ABSENT).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        neighbor_table::neighbor_table,
        radix_sort::radix_sort,
        serialize::{Curve, serialize},
        testing::get,
    };
    use std::collections::HashSet;

    #[test]
    fn a_scene_has_exactly_the_voxels_asked_for_and_looks_like_a_scan() {
        let device = Device::cpu();
        // A surface one voxel thick has 9 of the 27 neighbours, one that the camera's noise spreads over two layers 18.
        for (count, sparse, dense) in [(1, 1.0, 1.0), (2000, 9.0, 18.0), (30_000, 9.0, 18.0), (150_000, 9.0, 18.0)] {
            let scene = Scene::of(count).unwrap();
            let cells: HashSet<[i32; 3]> = scene.voxels.iter().map(|voxel| voxel.cell).collect();
            assert_eq!((scene.len(), cells.len()), (count, count));
            assert!(cells.iter().flatten().all(|v| *v >= 0));
            assert!(scene.voxels.is_sorted_by_key(|voxel| voxel.cell));
            assert_eq!(Scene::of(count).unwrap(), scene, "one number, one scene");

            let flat: Vec<i32> = scene.voxels.iter().flat_map(|voxel| voxel.cell).collect();
            let grid = Tensor::from_slice(&device, &[count, 3], &flat).unwrap();
            let batch = Tensor::from_slice(&device, &[count], &vec![0u32; count]).unwrap();
            let sorted = radix_sort(&serialize(&grid, &batch, 13, 1, &[Curve::Raster]).unwrap(), 39).unwrap();
            let keys = sorted.keys.reshaped(&[count, 2]).unwrap();
            let order = sorted.order.reshaped(&[count]).unwrap();
            let table = get::<u32>(&neighbor_table(&keys, &order, &grid, &batch, 13).unwrap());
            let mean = neighbors_present(&table) as f64 / count as f64;
            assert!((sparse..=dense).contains(&mean), "{count} voxels have {mean} neighbours each");
        }
    }

    #[test]
    fn rooms_stand_side_by_side() {
        let places: HashSet<[i32; 2]> = (0..100).map(place).collect();
        assert_eq!(places.len(), 100);
        assert!(places.iter().flatten().all(|v| (0..10).contains(v)));
    }
}
