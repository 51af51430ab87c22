//! Kernels.
mod gather_rows;

pub mod cell_coords;
pub mod coord_max;
pub mod invert_permutation;
pub mod knn_normals;
pub mod neighbor_table;
pub mod radix_sort;
pub mod scan;
pub mod serialize;
pub mod unique;
pub mod voxel_key;

pub(crate) mod expect;
pub(crate) mod key64;
#[cfg(test)]
pub(crate) mod testing;
