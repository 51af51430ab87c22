//! A scan with the class of every point: what training and evaluation read.

use crate::{LabelSet, PointCloud, Result};
use std::path::Path;

/// A scan with the class of every point, ready to be augmented or evaluated.
///
/// Only points with finite coordinates; every column has `n` rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledScan {
    /// File or folder name without its extension.
    pub name: String,
    /// `[n, 3]`, metres, z up.
    pub coord: Vec<[f32; 3]>,
    /// `[n, 3]`, red, green, blue in `0..=255`; neutral grey where the scan has none.
    pub color: Vec<[f32; 3]>,
    /// `[n, 3]`: the scan's own, those of its faces, or estimated from neighbours.
    pub normal: Vec<[f32; 3]>,
    /// `[n]`: class ids, -1 for points to ignore.
    pub segment: Vec<i32>,
}

impl LabelledScan {
    /// A cloud whose labels are ids of `labels` or -1; `path` is what errors call it. `grid_size` (metres) is that of the
    /// voxels from which missing normals are estimated.
    ///
    /// # Errors
    /// [`crate::Error::Scan`] for a cloud without labels, with labels outside the set, or without a finite point.
    pub async fn from_cloud(path: &Path, cloud: PointCloud, labels: &LabelSet, grid_size: f64) -> Result<Self> {
        todo!()
    }

    /// Reads a scan file, or a folder of `.npy` columns as Pointcept's preprocessing writes it.
    ///
    /// # Errors
    /// As [`Self::from_cloud`] and [`crate::scan::read`]; [`crate::Error::Scan`] for columns that do not fit together.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read(path: &Path, labels: &LabelSet, grid_size: f64) -> Result<Self> {
        todo!()
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.coord.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.coord.is_empty()
    }

    /// Points of every class, `[classes]`; those to ignore are not counted.
    pub fn class_points(&self, classes: usize) -> Vec<u64> {
        todo!()
    }
}
