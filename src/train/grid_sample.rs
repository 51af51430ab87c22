//! The cells of a grid and the points in them, on the host, where batches are made.
//!
//! The same cells in the same order as [`crate::geometry::voxel::voxelize`] gives on a device: `floor(x / size)` in f64
//! of the f32 coordinate, less the smallest of each axis; ascending x, then y, then z. (The reference's are in the order
//! of a hash; the network's answer does not depend on it, since curves are sorted and cells are unique.)

use crate::{Result, kernels::voxel_key::Lattice};

/// The occupied cells of a scene.
pub(super) struct Cells {
    /// `[v, 3]`, ascending.
    pub(super) grid_coord: Vec<[i32; 3]>,
    /// `[n]`: the points, cell by cell, in input order within each.
    pub(super) members: Vec<u32>,
    /// `[v + 1]`: where in `members` each cell's begin.
    pub(super) starts: Vec<usize>,
}

impl Cells {
    /// Sorts finite points into cells of `size`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for more than 65,535 cells along an axis.
    pub(super) fn of(coord: &[[f32; 3]], size: f64) -> Result<Self> {
        let lattice = Lattice::covering(coord, size)?;
        // And the point, so that equal cells keep the input's order.
        let mut keys: Vec<(u64, u32)> = coord.iter().map(|p| lattice.key(p)).zip(0..).collect();
        keys.sort_unstable();
        let mut cells = Self {
            grid_coord: Vec::new(),
            members: keys.iter().map(|(_, point)| *point).collect(),
            starts: Vec::new(),
        };
        for (place, (key, _)) in keys.iter().enumerate() {
            if place == 0 || keys[place - 1].0 != *key {
                cells.grid_coord.push([key >> 32, key >> 16, *key].map(|bits| (bits & 0xffff) as i32));
                cells.starts.push(place);
            }
        }
        cells.starts.push(keys.len());
        Ok(cells)
    }

    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.grid_coord.len()
    }

    /// The points of a cell, in input order.
    pub(super) fn members_of(&self, cell: usize) -> &[u32] {
        &self.members[self.starts[cell]..self.starts[cell + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Device,
        geometry::{center_shift::center_shift, voxel::voxelize},
        kernels::testing::get,
        train::augment::testing::scene,
    };

    #[test]
    fn cells_are_those_of_the_device() {
        // 10 cm, so that cells hold several points; 1 mm steps, so that coordinates lie on the borders of cells.
        for (n, size) in [(0, 0.02), (1, 0.02), (5000, 0.1), (3000, 0.02)] {
            let mut coord = scene(n).coord;
            coord.as_flattened_mut().iter_mut().for_each(|v| *v = (*v * 1000.0).round() / 1000.0);
            center_shift(&mut coord, true);
            let cells = Cells::of(&coord, size).unwrap();
            let voxels = pollster::block_on(voxelize(&Device::cpu(), &coord, size)).unwrap();
            assert_eq!(cells.grid_coord.as_flattened(), get::<i32>(&voxels.grid_coord));
            assert_eq!(cells.members, get::<u32>(&voxels.members));
            assert_eq!(cells.starts, get::<u32>(&voxels.starts).into_iter().map(|s| s as usize).collect::<Vec<_>>());
            for cell in 0..cells.len() {
                let of_cell = get::<u32>(&voxels.cell_of_point);
                assert!(cells.members_of(cell).iter().all(|point| of_cell[*point as usize] == cell as u32));
            }
        }
    }

    #[test]
    fn a_scene_that_is_too_wide_is_refused() {
        let error = Cells::of(&[[0.0; 3], [2000.0, 0.0, 0.0]], 0.02).err().unwrap().to_string();
        assert!(error.contains("at most 65535 can be addressed"), "{error}");
    }
}
