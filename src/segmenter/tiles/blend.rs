//! What overlapping tiles say of the voxels that they share: the weighted sum of their rows, in the order of the tiles.

use std::collections::HashMap;

/// Sums of voxels of which not all tiles have spoken.
pub(super) struct Blend {
    /// Values per row.
    width: usize,
    /// Where in `sums` a voxel's row stands.
    place: HashMap<u64, usize>,
    sums: Vec<f32>,
    free: Vec<usize>,
}

impl Blend {
    pub(super) fn new(width: usize) -> Self {
        Self { width, place: HashMap::new(), sums: Vec::new(), free: Vec::new() }
    }

    /// Adds what a tile says of a voxel; with the `last` tile's word `row` becomes the sum, which is forgotten here.
    pub(super) fn add(&mut self, voxel: u64, row: &mut [f32], weight: f32, last: bool) {
        let place = *self.place.entry(voxel).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.sums.resize(self.sums.len() + self.width, 0.0);
                self.sums.len() / self.width - 1
            })
        });
        let sums = &mut self.sums[place * self.width..][..self.width];
        sums.iter_mut().zip(row.iter()).for_each(|(sum, value)| *sum += weight * value);
        if last {
            row.copy_from_slice(sums);
            sums.fill(0.0);
            self.place.remove(&voxel);
            self.free.push(place);
        }
    }

    /// Voxels that wait for a tile.
    pub(super) fn waiting(&self) -> usize {
        self.place.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_by_voxel_and_forgotten_with_the_last() {
        let mut blend = Blend::new(2);
        blend.add(7, &mut [1.0, 0.0], 0.25, false);
        blend.add(9, &mut [0.5, 0.5], 0.5, false);
        let mut row = [0.0, 1.0];
        blend.add(7, &mut row, 0.75, true);
        assert_eq!((row, blend.waiting()), ([0.25, 0.75], 1));
        // The place is used again, from zero.
        let mut row = [0.5, 0.5];
        blend.add(8, &mut row, 1.0, true);
        assert_eq!((row, blend.sums.len()), ([0.5, 0.5], 4));
    }
}
