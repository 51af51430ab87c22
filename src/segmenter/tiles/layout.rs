//! How a scene is cut into tiles: rectangles seen from above, each with a margin that it shares with its neighbours.
//!
//! ```text
//!  x:   0        cut 1       cut 2       end          all in cells of the scene's lattice
//!       |----------|-----------|-----------|
//!       [ tile 0   +m]
//!               [m-  tile 1    +m]
//!  weight of tile 1:  0 ╱‾‾‾‾‾‾‾‾‾╲ 0                 a ramp of 2 m about each cut; neighbours' weights add up to 1
//! ```

use std::ops::Range;

/// Cells along the edge of a block, of which tiles are made: what pools into one cell of the coarsest stage stays together.
pub(super) const BLOCK: u32 = 16;

/// The tiles of a scene, row by row: x first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Along x and y.
    axes: [Axis; 2],
}

/// The cuts along one axis.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    /// Where tiles begin, and where the last ends.
    cuts: Vec<u32>,
    margin: u32,
}

impl Layout {
    /// Tiles of about `edge` cells and margins of at most `margin` cells, of a scene of `cells` cells along x and y.
    pub(super) fn new(cells: [u32; 2], edge: u32, margin: u32) -> Self {
        Self { axes: cells.map(|cells| Axis::new(cells, edge, margin)) }
    }

    /// Number of tiles.
    pub(super) fn len(&self) -> usize {
        self.axes.iter().map(Axis::len).product()
    }

    /// The cells of a tile along x and y, margins included.
    pub(super) fn cells(&self, tile: usize) -> [Range<u32>; 2] {
        let at = [tile % self.axes[0].len(), tile / self.axes[0].len()];
        [0, 1].map(|axis| self.axes[axis].cells(at[axis]))
    }

    /// The tiles that a cell is in, in ascending order.
    pub(super) fn covering(&self, cell: [u32; 2]) -> impl Iterator<Item = usize> {
        let [columns, rows] = [0, 1].map(|axis| self.axes[axis].covering(cell[axis]));
        let across = self.axes[0].len();
        rows.flat_map(move |row| columns.clone().map(move |column| row * across + column))
    }

    /// What a tile's answer counts for in a cell, above 0 to 1; those of all tiles that the cell is in add up to 1.
    pub(super) fn weight(&self, tile: usize, cell: [u32; 2]) -> f32 {
        let at = [tile % self.axes[0].len(), tile / self.axes[0].len()];
        self.axes[0].weight(at[0], cell[0]) * self.axes[1].weight(at[1], cell[1])
    }
}

impl Axis {
    fn new(cells: u32, edge: u32, margin: u32) -> Self {
        // What is left over of the last block is part of the one before: a sliver would be a tile without a margin.
        let blocks = u64::from((cells / BLOCK).max(1));
        let tiles = u64::from(cells).div_ceil(u64::from(edge.max(BLOCK))).clamp(1, blocks);
        // Tiles of one size, to a block, rather than a sliver at the end.
        let mut cuts: Vec<u32> = (0..tiles).map(|i| (i * blocks / tiles) as u32 * BLOCK).collect();
        cuts.push(cells.max(1));
        let narrowest = cuts.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(0);
        // Ramps about neighbouring cuts may meet, and must not overlap.
        Self { cuts, margin: margin.min(narrowest / 2) }
    }

    fn len(&self) -> usize {
        self.cuts.len() - 1
    }

    fn cells(&self, tile: usize) -> Range<u32> {
        let end = self.cuts[self.len()];
        self.cuts[tile].saturating_sub(self.margin)..(self.cuts[tile + 1] + self.margin).min(end)
    }

    fn covering(&self, cell: u32) -> Range<usize> {
        // A tile begins a margin before its cut, and ends one behind the next.
        let begun = self.cuts[..self.len()].partition_point(|cut| cut.saturating_sub(self.margin) <= cell);
        let ended = self.cuts[1..self.len()].partition_point(|cut| cut + self.margin <= cell);
        ended..begun
    }

    fn weight(&self, tile: usize, cell: u32) -> f32 {
        let (ramp, middle) = ((2 * self.margin) as f32, cell as f32 + 0.5);
        let since = |cut: u32| (middle - (cut as f32 - self.margin as f32)) / ramp;
        let rising = if tile == 0 || ramp == 0.0 { 1.0 } else { since(self.cuts[tile]).min(1.0) };
        let last = tile + 1 == self.len() || ramp == 0.0;
        let falling = if last { 1.0 } else { (1.0 - since(self.cuts[tile + 1])).min(1.0) };
        rising.min(falling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scene_narrower_than_a_tile_is_one_tile_without_margins() {
        let layout = Layout::new([90, 33], 160, 20);
        assert_eq!((layout.len(), layout.cells(0)), (1, [0..90, 0..33]));
        assert_eq!(layout.weight(0, [0, 32]), 1.0);
    }

    #[test]
    fn tiles_are_alike_and_share_their_margins() {
        let layout = Layout::new([300, 40], 100, 10);
        assert_eq!(layout.len(), 3);
        let cells: Vec<Range<u32>> = (0..3).map(|tile| layout.cells(tile)[0].clone()).collect();
        assert_eq!(cells, [0..106, 86..202, 182..300]);
        assert_eq!(layout.covering([90, 0]).collect::<Vec<_>>(), [0, 1]);
        // Just before the cut at 96 the tile that ends there counts for a little more.
        assert_eq!((layout.weight(0, [95, 0]), layout.weight(1, [95, 0])), (0.525, 0.475));
    }

    proptest! {
        #[test]
        fn every_cell_is_in_the_tiles_that_say_so_and_weights_add_up_to_one(
            cells in [1u32..500, 1u32..500], edge in 1u32..300, margin in 0u32..60, at in [0u32..500, 0u32..500],
        ) {
            let layout = Layout::new(cells, edge, margin);
            let cell = [at[0] % cells[0], at[1] % cells[1]];
            let covering: Vec<usize> = layout.covering(cell).collect();
            let holds = |tile: &usize| layout.cells(*tile).iter().zip(cell).all(|(cells, cell)| cells.contains(&cell));
            let holding: Vec<usize> = (0..layout.len()).filter(holds).collect();
            prop_assert_eq!(&covering, &holding);
            prop_assert!(!covering.is_empty());
            prop_assert!(layout.axes.iter().all(|axis| axis.len() == 1 || axis.margin >= margin.min(BLOCK / 2)));
            let weights: Vec<f32> = covering.iter().map(|tile| layout.weight(*tile, cell)).collect();
            prop_assert!(weights.iter().all(|weight| *weight > 0.0));
            prop_assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{:?}", weights);
        }
    }
}
