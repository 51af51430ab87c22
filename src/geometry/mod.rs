//! Geometry of a scene: voxels, and the pyramid of stages that every forward pass over it shares. No weights here.

pub mod center_shift;
pub mod normals;
pub mod patches;
pub mod pyramid;
pub mod test_view;
pub mod voxel;
pub mod windows;

#[cfg(test)]
mod golden_tests;
