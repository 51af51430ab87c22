//! What the network sees of a scan: one point per voxel.

use super::{LabelledScan, Recipe};
use crate::{Result, model::weights::Feature};

/// One scene as the network sees it: `n` voxels in ascending order of their cells (x, then y, then z), every cell once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// `[n, 3]`, not negative.
    pub grid_coord: Vec<[i32; 3]>,
    /// `[n, c]`, in the order of the model's features.
    pub features: Vec<f32>,
    /// `[n]`: class ids, -1 to ignore.
    pub labels: Vec<i32>,
}

/// Several scenes: what one training step reads. `n` voxels of `b` scenes, each in the order of [`Sample`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// `[n, 3]`, not negative; every cell once per scene.
    pub grid_coord: Vec<[i32; 3]>,
    /// `[n]`: the scene of every voxel, ascending.
    pub batch: Vec<u32>,
    /// `[b]`: where each scene ends.
    pub offsets: Vec<usize>,
    /// `[n, c]`.
    pub features: Vec<f32>,
    /// `[n]`: class ids, -1 to ignore.
    pub labels: Vec<i32>,
}

/// A whole scan without augmentation, and the way back to its points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WholeSample {
    /// The voxels; each has what its first point has, as when the segmenter labels the scan.
    pub sample: Sample,
    /// `[points of the scan]`: the voxel of every point.
    pub inverse: Vec<u32>,
}

impl Sample {
    /// An augmented sample of a scan: the same for the same `seed` and `stream`.
    pub fn augmented(scan: &LabelledScan, recipe: &Recipe, features: &[Feature], seed: u64, stream: u64) -> Result<Self> {
        todo!()
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl WholeSample {
    /// All voxels of a scan, centred and otherwise as it is. For validation.
    pub fn of(scan: &LabelledScan, features: &[Feature], grid_size: f64) -> Result<Self> {
        todo!()
    }
}

impl Batch {
    /// Joins samples, one scene each.
    pub fn of(samples: &[Sample]) -> Self {
        todo!()
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
