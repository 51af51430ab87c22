//! The normals that a network reads: a scan's own, else estimated.

use super::voxel::VoxelGrid;
use crate::Result;

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
