//! Scans that are visited block by block, so that they need not be in memory.

use super::{PointCloud, Up};
use crate::Result;

/// The points of a scan, block by block, as often as they are asked for.
pub trait Blocks {
    /// Points in all.
    fn len(&self) -> usize;

    /// Whether there is no point.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands out all points in their order: the number of each block's first, and the block. All blocks have the same columns
    /// and the same origin.
    ///
    /// # Errors
    ///
    /// What goes wrong while reading, and what `each` returns.
    fn visit(&self, each: &mut dyn FnMut(usize, &PointCloud) -> Result<()>) -> Result<()>;
}

/// A cloud is its one block.
impl Blocks for PointCloud {
    fn len(&self) -> usize {
        self.positions.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &PointCloud) -> Result<()>) -> Result<()> {
        each(0, self)
    }
}

/// A scan turned so that a direction of it becomes +z; see [`PointCloud::upright`].
#[derive(Clone, Copy)]
pub struct Upright<'a> {
    /// The scan as it lies.
    pub scan: &'a dyn Blocks,
    /// Its direction that is up.
    pub up: Up,
}

impl Blocks for Upright<'_> {
    fn len(&self) -> usize {
        self.scan.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &PointCloud) -> Result<()>) -> Result<()> {
        self.scan.visit(&mut |first, block| each(first, &block.upright(self.up)))
    }
}
