//! A folder of labelled scans.

use super::LabelledScan;
use crate::{LabelSet, Result};
use std::{path::Path, sync::Arc};

/// Which part of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `train/`.
    Train,
    /// `val/`.
    Val,
}

/// How scans are read.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetOptions {
    /// The classes that labels stand for.
    pub labels: LabelSet,
    /// Edge in metres of the voxels that missing normals are estimated from: the model's grid.
    pub grid_size: f64,
    /// Bytes of scans that are kept in memory; the others are read again every time.
    pub cache_bytes: usize,
}

impl DatasetOptions {
    /// With a cache of 1 GiB.
    pub fn new(labels: LabelSet, grid_size: f64) -> Self {
        Self { labels, grid_size, cache_bytes: 1 << 30 }
    }
}

/// The labelled scans of a folder, in the order of their names.
#[derive(Debug)]
pub struct Dataset {}

impl Dataset {
    /// The scans of `dir/train` or `dir/val`: files that [`crate::scan::read`] knows, and folders of `.npy` columns. All
    /// of them are read once, so that a bad one is found before training begins.
    pub fn open(dir: &Path, split: Split, options: DatasetOptions) -> Result<Self> {
        todo!()
    }

    /// What `pointtpa eval` reads: the scans of `dir/val`, or where there is no such folder those of `dir` itself that
    /// have labels; the others are named in [`Self::warnings`].
    pub fn open_for_evaluation(dir: &Path, options: DatasetOptions) -> Result<Self> {
        todo!()
    }

    /// Scans that are in memory already.
    pub fn from_scans(scans: Vec<LabelledScan>, labels: LabelSet) -> Result<Self> {
        todo!()
    }

    /// Number of scans, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// The name of a scan.
    pub fn name(&self, index: usize) -> &str {
        todo!()
    }

    /// The file or folder of a scan; `None` for those of [`Self::from_scans`].
    pub fn path(&self, index: usize) -> Option<&Path> {
        todo!()
    }

    /// A scan, from the cache or read again.
    pub fn scan(&self, index: usize) -> Result<Arc<LabelledScan>> {
        todo!()
    }

    /// The classes.
    pub fn labels(&self) -> &LabelSet {
        todo!()
    }

    /// Points of every class over all scans, `[classes]`.
    pub fn class_points(&self) -> &[u64] {
        todo!()
    }

    /// Points over all scans, those to ignore included.
    pub fn points(&self) -> u64 {
        todo!()
    }

    /// Ids of the classes that no scan has a point of.
    pub fn classes_without_points(&self) -> Vec<u32> {
        todo!()
    }

    /// What a user should know: classes without points, scans without labels, files that are no scans.
    pub fn warnings(&self) -> &[String] {
        todo!()
    }
}
