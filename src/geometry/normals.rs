//! The normals that a network reads: a scan's own, else estimated.

use super::{
    center_shift::center_shift,
    voxel::{VoxelGrid, voxelize},
};
use crate::{Device, Result};

/// What stands for a normal that is missing or unusable.
pub const UP: [f32; 3] = [0.0, 0.0, 1.0];

/// Whether a scan's normal says anything: it is finite and not zero. Its length is left as it is.
pub fn is_usable(normal: &[f32; 3]) -> bool {
    normal.iter().all(|v| v.is_finite()) && *normal != [0.0; 3]
}

/// `[v, 3]`: normals estimated on the voxels' device, for a room whose lowest point lies on z = 0 and whose middle over
/// x = y = 0 (see [`super::center_shift::center_shift`]).
pub async fn estimated(voxels: &VoxelGrid) -> Result<Vec<[f32; 3]>> {
    // Rooms are scanned from inside: surfaces face the middle of the scene, at half its height.
    let height = f64::from(voxels.lattice.last[2]) * voxels.lattice.size;
    let words: Vec<f32> = voxels.normals([0.0, 0.0, height as f32 / 2.0])?.to_vec().await?;
    Ok(words.as_chunks::<3>().0.to_vec())
}

/// `[n, 3]`: the normal of every point's voxel, estimated on the CPU. `positions` must be finite.
pub async fn of_points(positions: &[[f32; 3]], grid_size: f64) -> Result<Vec<[f32; 3]>> {
    let mut positions = positions.to_vec();
    center_shift(&mut positions, true);
    let voxels = voxelize(&Device::cpu(), &positions, grid_size).await?;
    let of_voxels = estimated(&voxels).await?;
    let cells: Vec<u32> = voxels.cell_of_point.to_vec().await?;
    Ok(cells.into_iter().map(|cell| of_voxels[cell as usize]).collect())
}
