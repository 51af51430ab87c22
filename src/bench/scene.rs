//! The scene of a measurement: generated rooms, at the voxel size that gives an exact number of voxels.

use glam::Vec3;

use crate::{
    Device, Result,
    device::Tensor,
    geometry::{center_shift::center_shift, voxel::voxelize},
    kernels::neighbor_table::ABSENT,
    model::{config::Config, weights::Feature, weights::ModelInfo},
    synth::{Options, Room, RoomKind, ScannerOptions, scan},
};

/// Edge of the finest voxels in metres: the published models'.
const FINEST: f64 = 0.02;
/// A room is one voxel of this edge.
const COARSEST: f64 = 16.0;
/// Halvings, on a scale of ratios, of the sizes to choose from: the last changes the number of voxels by less than one
/// in a thousand.
const STEPS: usize = 14;
/// From room to room, metres: more than the longest room with its alcove.
const PITCH: f32 = 9.0;

/// A point of a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// Metres.
    position: [f32; 3],
    /// 0 to 1.
    color: [f32; 3],
    normal: [f32; 3],
}

/// A voxel and its first point.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Voxel {
    /// Cell of the grid.
    cell: [i32; 3],
    point: Point,
}

/// A generated scene of an exact number of voxels, in the order in which voxelizing gives them.
///
/// Whole rooms as a depth camera sees them, as few as have that many voxels of 2 cm, in voxels of the largest size that
/// still gives as many; of those left over, the ones farthest from the middle of the first room's floor go. So a number
/// says how finely one looks, and not how much of a room one looks at. One number gives one scene, on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    voxels: Vec<Voxel>,
}

impl Scene {
    /// The scene of `count` voxels, at least 1.
    pub fn of(count: usize) -> Result<Self> {
        let (mut points, middle) = room(0);
        let mut finest = voxels_of(&points, FINEST)?.len();
        for index in 1.. {
            // Rooms are counted one by one, all of them together only where that may be enough: a grid that begins
            // elsewhere counts a few more or less.
            if finest >= count && voxels_of(&points, FINEST)?.len() >= count {
                break;
            }
            let (more, _) = room(index);
            finest += voxels_of(&more, FINEST)?.len();
            points.extend(more);
        }
        // The number of voxels falls with their size, but for a few: any size at which enough remain will do.
        let (mut enough, mut too_large) = (FINEST, COARSEST);
        for _ in 0..STEPS {
            let size = (enough * too_large).sqrt();
            if voxels_of(&points, size)?.len() >= count { enough = size } else { too_large = size }
        }
        let mut voxels = voxels_of(&points, enough)?;
        let distance = |voxel: &Voxel| (Vec3::from(voxel.point.position) - middle).length_squared().to_bits();
        voxels.sort_by_cached_key(|voxel| (distance(voxel), voxel.cell));
        voxels.truncate(count);
        voxels.sort_by_key(|voxel| voxel.cell);
        let low: [i32; 3] = std::array::from_fn(|axis| voxels.iter().map(|voxel| voxel.cell[axis]).min().unwrap_or(0));
        for voxel in &mut voxels {
            (0..3).for_each(|axis| voxel.cell[axis] -= low[axis]);
        }
        let mut positions: Vec<[f32; 3]> = voxels.iter().map(|voxel| voxel.point.position).collect();
        center_shift(&mut positions, true);
        voxels.iter_mut().zip(positions).for_each(|(voxel, position)| voxel.point.position = position);
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
        self.voxels.iter().map(|voxel| voxel.point.position)
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
                Feature::Coord => voxel.point.position,
                Feature::Color => voxel.point.color,
                Feature::Normal => voxel.point.normal,
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

/// The points of room `index` where it stands, and the middle of its floor, metres.
fn room(index: u64) -> (Vec<Point>, Vec3) {
    let options = Options { kind: Some(RoomKind::Living), ..Options::default() };
    let room = Room::generate(&options, index);
    let cloud = scan(&room, &ScannerOptions::default(), index);
    let [x, y] = place(index).map(|rooms| rooms as f32 * PITCH);
    let of = |point: usize| Point {
        position: (Vec3::from(cloud.positions[point]) + Vec3::new(x, y, 0.0)).to_array(),
        color: cloud.colors.as_ref().map_or([0.5; 3], |colors| colors[point].map(|v| v / 255.0)),
        normal: cloud.normals.as_ref().map_or([0.0, 0.0, 1.0], |normals| normals[point]),
    };
    let (min, max) = room.bounds();
    let middle = Vec3::new(f32::midpoint(min[0], max[0]), f32::midpoint(min[1], max[1]), 0.0);
    ((0..cloud.len()).map(of).collect(), middle)
}

/// The voxels of `size` metres.
fn voxels_of(points: &[Point], size: f64) -> Result<Vec<Voxel>> {
    let positions: Vec<[f32; 3]> = points.iter().map(|point| point.position).collect();
    // On the CPU wherever the measurement is made, so that it is the same scene.
    let voxels = pollster::block_on(voxelize(&Device::cpu(), &positions, size))?;
    let (cells, first): (&[i32], &[u32]) = (voxels.grid_coord.host(), voxels.first.host());
    let of = |(cell, first): (&[i32; 3], &u32)| Voxel { cell: *cell, point: points[*first as usize] };
    Ok(cells.as_chunks::<3>().0.iter().zip(first).map(of).collect())
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
