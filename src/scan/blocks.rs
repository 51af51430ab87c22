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

/// A scan turned so that a direction of it becomes +z ([`PointCloud::upright`]), and scaled.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    /// The scan as it lies.
    pub scan: &'a dyn Blocks,
    /// Its direction that is up.
    pub up: Up,
    /// What its coordinates are multiplied by: 0.001 makes metres of millimetres.
    pub scale: f64,
}

impl Blocks for Placed<'_> {
    fn len(&self) -> usize {
        self.scan.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &PointCloud) -> Result<()>) -> Result<()> {
        self.scan.visit(&mut |first, block| {
            let mut placed = block.upright(self.up);
            // Blocks keep one origin, so they are scaled about it.
            placed.origin = placed.origin.map(|value| value * self.scale);
            for value in placed.positions.as_flattened_mut() {
                *value = (f64::from(*value) * self.scale) as f32;
            }
            each(first, &placed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_turned_and_scaled() {
        let cloud = PointCloud { positions: vec![[1000.0, 2000.0, 500.0]], ..PointCloud::default() };
        let mut seen = Vec::new();
        let placed = Placed { scan: &cloud, up: Up::PlusY, scale: 0.001 };
        placed
            .visit(&mut |first, block| {
                seen.push((first, block.positions.clone()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [(0, vec![cloud.upright(Up::PlusY).positions[0].map(|v| v / 1000.0)])]);
        assert_eq!((placed.len(), placed.is_empty()), (1, false));
    }
}
