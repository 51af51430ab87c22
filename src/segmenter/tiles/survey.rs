//! What lies where in a scene, seen from above: how many points and voxels a tile would hold, before any is made.

use std::collections::HashMap;

use super::layout::BLOCK;
use crate::kernels::voxel_key::Lattice;

/// Words of 64 cells in the map of a cube of `BLOCK` cells an edge.
const WORDS: usize = (BLOCK * BLOCK * BLOCK / 64) as usize;

/// The points and voxels of every column of blocks.
pub(super) struct Survey {
    lattice: Lattice,
    /// Columns along x and y.
    columns: [usize; 2],
    /// Of every column, x first.
    points: Vec<u64>,
    voxels: Vec<u64>,
    /// Which cells of a cube hold points. Only of cubes with points, which are few: scans are surfaces.
    occupied: HashMap<[u32; 3], Cells>,
}

/// Some cells of a cube.
enum Cells {
    /// In ascending order.
    Few(Vec<u16>),
    /// One bit each.
    Many(Box<[u64; WORDS]>),
}

impl Cells {
    /// Cells from which on a list is longer than the bits.
    const MANY: usize = WORDS * 8 / 2;

    /// Adds a cell; whether it is new.
    fn insert(&mut self, cell: u16) -> bool {
        match self {
            Self::Few(cells) => {
                let Err(place) = cells.binary_search(&cell) else { return false };
                cells.insert(place, cell);
                if cells.len() > Self::MANY {
                    let mut bits = Box::new([0; WORDS]);
                    for cell in cells {
                        bits[usize::from(*cell) / 64] |= 1 << (*cell % 64);
                    }
                    *self = Self::Many(bits);
                }
                true
            }
            Self::Many(bits) => {
                let (word, mask) = (&mut bits[usize::from(cell) / 64], 1 << (cell % 64));
                let is_new = *word & mask == 0;
                *word |= mask;
                is_new
            }
        }
    }
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) points: u64,
    pub(super) voxels: u64,
}

impl Survey {
    pub(super) fn new(lattice: Lattice) -> Self {
        let columns = [0, 1].map(|axis| lattice.last[axis] as usize / BLOCK as usize + 1);
        let count = columns[0] * columns[1];
        Self { lattice, columns, points: vec![0; count], voxels: vec![0; count], occupied: HashMap::new() }
    }

    /// Counts a point that the lattice covers; one beyond it counts where it ends.
    pub(super) fn add(&mut self, position: [f32; 3]) {
        let lattice = &self.lattice;
        let cell: [u32; 3] = std::array::from_fn(|axis| lattice.cell(axis, position[axis]).min(lattice.last[axis]));
        let cube = cell.map(|c| c / BLOCK);
        let [x, y, z] = cell.map(|c| (c % BLOCK) as u16);
        let within = (x * BLOCK as u16 + y) * BLOCK as u16 + z;
        let column = cube[1] as usize * self.columns[0] + cube[0] as usize;
        self.points[column] += 1;
        let cells = self.occupied.entry(cube).or_insert_with(|| Cells::Few(Vec::new()));
        self.voxels[column] += u64::from(cells.insert(within));
    }

    /// What each column holds, its cells along x and y with it; the maps of cells are let go.
    pub(super) fn finish(mut self) -> Columns {
        self.occupied = HashMap::new();
        let across = self.columns[0] + 1;
        let mut sums = vec![Load::default(); across * (self.columns[1] + 1)];
        for y in 0..self.columns[1] {
            let mut row = Load::default();
            for x in 0..self.columns[0] {
                let column = y * self.columns[0] + x;
                row = row.plus(Load { points: self.points[column], voxels: self.voxels[column] });
                sums[(y + 1) * across + x + 1] = sums[y * across + x + 1].plus(row);
            }
        }
        Columns { across, sums }
    }
}

/// The sums over all columns before each, in x and y, so that a rectangle costs four of them.
pub(super) struct Columns {
    across: usize,
    sums: Vec<Load>,
}

impl Columns {
    /// What a rectangle of cells holds, widened to whole columns.
    pub(super) fn within(&self, cells: &[std::ops::Range<u32>; 2]) -> Load {
        let [x, y] = cells.clone().map(|cells| (cells.start / BLOCK) as usize..cells.end.div_ceil(BLOCK) as usize);
        let sum = |x: usize, y: usize| self.sums[y * self.across + x];
        sum(x.end, y.end).plus(sum(x.start, y.start)).minus(sum(x.start, y.end)).minus(sum(x.end, y.start))
    }
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self { points: self.points + other.points, voxels: self.voxels + other.voxels }
    }

    fn minus(self, other: Self) -> Self {
        Self { points: self.points - other.points, voxels: self.voxels - other.voxels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Noise;
    use std::collections::BTreeSet;

    #[test]
    fn a_rectangle_holds_the_points_and_voxels_of_its_columns() {
        let mut noise = Noise::new(3);
        let points: Vec<[f32; 3]> =
            (0..4000).map(|_| [noise.float() * 2.0, noise.float() * 1.5, noise.float() * 0.3]).collect();
        let lattice = Lattice::covering(&points, 0.02).unwrap();
        let mut survey = Survey::new(lattice);
        for point in &points {
            survey.add(*point);
        }
        let columns = survey.finish();
        let end = [0, 1].map(|axis| lattice.last[axis] + 1);
        for cells in [[0..end[0], 0..end[1]], [16..64, 32..48], [17..63, 33..47], [0..1, 0..1], [48..end[0], 0..16]] {
            let wide = cells.clone().map(|cells| cells.start / BLOCK * BLOCK..cells.end.next_multiple_of(BLOCK));
            let inside = |p: &&[f32; 3]| (0..2).all(|axis| wide[axis].contains(&lattice.cell(axis, p[axis])));
            let expected: Vec<&[f32; 3]> = points.iter().filter(inside).collect();
            let voxels: BTreeSet<u64> = expected.iter().map(|p| lattice.key(p)).collect();
            let load = Load { points: expected.len() as u64, voxels: voxels.len() as u64 };
            assert_eq!(columns.within(&cells), load, "{cells:?}");
        }
    }
}
