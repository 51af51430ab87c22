//! The points of every tile.

use crate::{PointCloud, Result};

/// Points sorted into tiles, with their numbers in the scene. A point may be in several tiles.
pub(super) trait Buckets {
    /// Puts row `row` of `block`, which is point `point` of the scene, into a tile.
    fn put(&mut self, tile: usize, point: u32, block: &PointCloud, row: usize) -> Result<()>;

    /// The points of a tile, in the order in which they came, with their numbers; only once.
    fn take(&mut self, tile: usize) -> Result<(Vec<u32>, PointCloud)>;
}

/// Tiles of a scene in memory: the numbers are enough.
pub(super) struct Picked<'a> {
    cloud: &'a PointCloud,
    of_tile: Vec<Vec<u32>>,
}

impl<'a> Picked<'a> {
    pub(super) fn new(cloud: &'a PointCloud, tiles: usize) -> Self {
        Self { cloud, of_tile: vec![Vec::new(); tiles] }
    }
}

impl Buckets for Picked<'_> {
    fn put(&mut self, tile: usize, point: u32, _: &PointCloud, _: usize) -> Result<()> {
        self.of_tile[tile].push(point);
        Ok(())
    }

    fn take(&mut self, tile: usize) -> Result<(Vec<u32>, PointCloud)> {
        let points = std::mem::take(&mut self.of_tile[tile]);
        let pick = |column: &Vec<[f32; 3]>| points.iter().map(|point| column[*point as usize]).collect();
        let cloud = PointCloud {
            positions: pick(&self.cloud.positions),
            origin: self.cloud.origin,
            colors: self.cloud.colors.as_ref().map(pick),
            normals: self.cloud.normals.as_ref().map(pick),
            labels: None,
        };
        Ok((points, cloud))
    }
}
