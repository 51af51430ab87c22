//! Voxels: the cells of a regular grid that hold points.

use crate::{
    Device, Error, Result,
    device::Tensor,
    kernels::{
        cell_coords::cell_coords,
        knn_normals::knn_normals,
        neighbor_table::neighbor_table,
        radix_sort::radix_sort,
        serialize::{Curve, serialize},
        unique::unique,
        voxel_key::{Lattice, voxel_key},
    },
};

use super::pyramid::depth_of;

/// The occupied cells of a scene, in lexicographic order of (x, y, z), and the points in them.
#[derive(Clone, Debug)]
pub struct VoxelGrid {
    /// `[v, 3]` i32, from 0.
    pub grid_coord: Tensor,
    /// `[v]` u32: all 0, the batch index of a single scene.
    pub batch: Tensor,
    /// `[v]` u32: the voxel's representative, its first point in input order.
    pub first: Tensor,
    /// `[n]` u32: the voxel of every point.
    pub cell_of_point: Tensor,
    /// `[n]` u32: the points, voxel by voxel, in input order within each.
    pub members: Tensor,
    /// `[v + 1]` u32: where in `members` each voxel's begin.
    pub starts: Tensor,
    /// `[n, 3]` f32: the points themselves.
    pub positions: Tensor,
    /// Size and place of the cells.
    pub lattice: Lattice,
    /// Bits per axis that serialization needs.
    pub depth: u32,
}

impl VoxelGrid {
    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.first.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[v, 27]` u32: see [`neighbor_table`].
    pub fn neighbors(&self) -> Result<Tensor> {
        let v = self.len();
        let keys = serialize(&self.grid_coord, &self.batch, self.depth, 1, &[Curve::Raster])?;
        // Voxels are in order already, which makes the sort an identity.
        let sorted = radix_sort(&keys, 0)?;
        let (keys, order) = (sorted.keys.reshaped(&[v, 2])?, sorted.order.reshaped(&[v])?);
        neighbor_table(&keys, &order, &self.grid_coord, &self.batch, self.depth)
    }

    /// `[v, 3]` f32: normals estimated from the points around each voxel, towards `viewpoint`.
    pub fn normals(&self, viewpoint: [f32; 3]) -> Result<Tensor> {
        let neighbors = self.neighbors()?;
        knn_normals(&self.positions, &self.members, &self.starts, &neighbors, self.lattice.size as f32, viewpoint)
    }
}

/// Sorts `positions` into cells of `grid_size`, as the reference's `GridSample` does with f64 division.
pub async fn voxelize(device: &Device, positions: &[[f32; 3]], grid_size: f64) -> Result<VoxelGrid> {
    if let Some(i) = positions.iter().position(|p| !p.iter().all(|v| v.is_finite())) {
        return Err(Error::Argument {
            what: format!("point {i}"),
            problem: format!("{:?} is not a place", positions[i]),
            advice: "Leave points with NaN or infinite coordinates out".into(),
        });
    }
    voxelize_on(device, positions, Lattice::covering(positions, grid_size)?).await
}

/// [`voxelize`] of a part of a scene, on the grid that covers the whole of it: a voxel has the coordinates and the place on
/// the curves that it has there.
pub async fn voxelize_on(device: &Device, positions: &[[f32; 3]], lattice: Lattice) -> Result<VoxelGrid> {
    let n = positions.len();
    let depth = depth_of(lattice.last.into_iter().max().unwrap_or(0));
    let positions = Tensor::from_slice(device, &[n, 3], positions.as_flattened())?;

    let grid = voxel_key(&positions, &lattice)?;
    let one_scene = Tensor::from_slice(device, &[n], &vec![0u32; n])?;
    let keys = serialize(&grid, &one_scene, depth, 1, &[Curve::Raster])?;
    drop((grid, one_scene));
    let sorted = radix_sort(&keys, 3 * depth)?;
    drop(keys);
    let (keys, members) = (sorted.keys.reshaped(&[n, 2])?, sorted.order.reshaped(&[n])?);
    let cells = unique(&keys, &members, &[n]).await?;
    let (grid_coord, batch) = cell_coords(&keys, &cells.starts, depth)?;
    Ok(VoxelGrid {
        grid_coord,
        batch,
        first: cells.first,
        cell_of_point: cells.cluster,
        members,
        starts: cells.starts,
        positions,
        lattice,
        depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{Noise, devices, get};
    use pollster::block_on;
    use std::collections::BTreeMap;

    #[test]
    fn every_point_is_in_its_voxel_and_voxels_are_in_order() {
        for device in devices() {
            for (n, offset) in [(0, 0.0), (1, 5.0), (15, -3.0), (5000, 0.0), (1025, 2000.0)] {
                let mut noise = Noise::new(n as u64);
                let points: Vec<[f32; 3]> = (0..n).map(|_| [0; 3].map(|_: i32| noise.float() * 0.2 + offset)).collect();
                let voxels = block_on(voxelize(&device, &points, 0.02)).unwrap();

                let cell = |p: &[f32; 3]| p.map(|v| (f64::from(v) / 0.02).floor() as i64);
                let low: [i64; 3] = std::array::from_fn(|a| points.iter().map(|p| cell(p)[a]).min().unwrap_or(0));
                let mut expected: BTreeMap<[i64; 3], Vec<u32>> = BTreeMap::new();
                for (i, p) in points.iter().enumerate() {
                    let g = cell(p);
                    expected.entry(std::array::from_fn(|a| g[a] - low[a])).or_default().push(i as u32);
                }

                assert_eq!(voxels.len(), expected.len(), "{device:?}");
                let grid: Vec<i64> = get::<i32>(&voxels.grid_coord).into_iter().map(i64::from).collect();
                assert_eq!(grid, expected.keys().flatten().copied().collect::<Vec<_>>());
                assert_eq!(get::<u32>(&voxels.first), expected.values().map(|m| m[0]).collect::<Vec<_>>());
                assert_eq!(get::<u32>(&voxels.members), expected.values().flatten().copied().collect::<Vec<_>>());
                let starts = get::<u32>(&voxels.starts);
                let cell_of_point = get::<u32>(&voxels.cell_of_point);
                assert_eq!(starts[expected.len()] as usize, n);
                for (c, members) in expected.values().enumerate() {
                    assert_eq!((starts[c + 1] - starts[c]) as usize, members.len());
                    assert!(members.iter().all(|i| cell_of_point[*i as usize] == c as u32));
                }
                assert_eq!(get::<u32>(&voxels.batch), vec![0; expected.len()]);
            }
        }
    }

    #[test]
    fn all_points_in_one_voxel_are_one_voxel() {
        for device in devices() {
            let voxels = block_on(voxelize(&device, &[[0.001, 0.002, 0.003]; 300], 0.02)).unwrap();
            assert_eq!((voxels.len(), voxels.depth), (1, 1));
            assert_eq!(get::<u32>(&voxels.starts), [0, 300]);
        }
    }

    #[test]
    fn a_point_that_is_nowhere_is_named() {
        let points = [[0.0; 3], [0.0, f32::NAN, 0.0]];
        let error = block_on(voxelize(&Device::cpu(), &points, 0.02)).unwrap_err();
        assert!(error.to_string().starts_with("point 1:"), "{error}");
    }
}
