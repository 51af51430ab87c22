//! Test-time views: a scene turned, scaled or mirrored, and cut into fragments that hold one point of every voxel.
//!
//! The reference looks at a scene from 13 views: turned about z by 0, 90, 180 and 270 degrees, at scale 1, 0.95 and 1.05,
//! and once mirrored in x and y. In each it sorts the points into voxels, and makes as many fragments as the fullest
//! voxel has points: fragment i takes of every voxel the member `i % count`. So every fragment covers all voxels, and
//! every point is in at least one. The reference's members come in the order of an unstable sort; here it is that of
//! the input.
//!
//! Source: Pointcept's `RandomRotateTargetAngle`, `RandomScale`, `RandomFlip` and `GridSample` in mode `test`. Its
//! rotations make f64 coordinates of f32 ones, its mirror leaves them f32; both are followed to the bit.

use crate::parallel::prelude::*;
use crate::{Error, Result};

/// Cells per axis: coordinates plus one must fit 16 bits.
const MAX_CELLS: f64 = 65_535.0;

/// One way to look at a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TestView {
    /// Turned about z by quarters of a circle, counterclockwise seen from above, then scaled about the origin.
    Turned {
        /// 0 to 3.
        quarters: usize,
        /// A factor of all three axes.
        scale: f64,
    },
    /// x and y negated.
    Mirrored,
}

/// Cosine and sine of 0, 90, 180 and 270 degrees as numpy has them: not quite 0 where 0 is due. They are written out
/// because mathematical libraries differ.
const QUARTERS: [(f64, f64); 4] = [
    (1.0, 0.0),
    (6.123_233_995_736_766e-17, 1.0),
    (-1.0, 1.224_646_799_147_353_2e-16),
    (-1.836_970_198_721_029_7e-16, -1.0),
];

/// A scene as one view has it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// `[n, 3]`, metres.
    coordinates: Vec<[f64; 3]>,
    /// Whether the reference has them in f32.
    is_single: bool,
}

/// The occupied voxels of a view, in lexicographic order, and the points in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// `[v, 3]`, from 0.
    pub grid_coord: Vec<[i32; 3]>,
    /// `[n]`: the points, voxel by voxel, in input order within each.
    members: Vec<u32>,
    /// `[v + 1]`: where in `members` each voxel's begin.
    starts: Vec<u32>,
}

impl TestView {
    /// The reference's views, in its order.
    pub const ALL: [Self; 13] = {
        let mut all = [Self::Mirrored; 13];
        let scales = [1.0, 0.95, 1.05];
        let mut i = 0;
        while i < 12 {
            all[i] = Self::Turned { quarters: i % 4, scale: scales[i / 4] };
            i += 1;
        }
        all
    };

    /// Places points `[n, 3]` as this view has them.
    pub fn place(self, positions: &[[f32; 3]]) -> Placed {
        let coordinates = positions.par_iter().map(|position| {
            let turned = self.turn(position.map(f64::from));
            match self {
                Self::Turned { scale, .. } => turned.map(|v| v * scale),
                Self::Mirrored => turned,
            }
        });
        Placed { coordinates: coordinates.collect(), is_single: self == Self::Mirrored }
    }

    /// A normal as this view has it; it keeps its length.
    pub fn normal(self, normal: [f32; 3]) -> [f32; 3] {
        self.turn(normal.map(f64::from)).map(|v| v as f32)
    }

    fn turn(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Turned { quarters, .. } => {
                let (cos, sin) = QUARTERS[quarters % 4];
                [x * cos - y * sin, x * sin + y * cos, z]
            }
            Self::Mirrored => [-x, -y, z],
        }
    }
}

impl Placed {
    /// The grid cell `[n, 3]` of every point, from 0.
    ///
    /// # Errors
    /// [`Error::Argument`] if the scene is wider than 65,535 cells.
    pub fn cells(&self, grid_size: f64) -> Result<Vec<[i32; 3]>> {
        let cell = |point: &[f64; 3]| point.map(|v| (v / grid_size).floor());
        let Some(first) = self.coordinates.first().map(cell) else { return Ok(Vec::new()) };
        let (low, high) = self.coordinates.iter().map(cell).fold((first, first), |(low, high), cell| {
            (std::array::from_fn(|a| low[a].min(cell[a])), std::array::from_fn(|a| high[a].max(cell[a])))
        });
        for axis in 0..3 {
            let cells = high[axis] - low[axis] + 1.0;
            if cells > MAX_CELLS || cells.is_nan() {
                return Err(Error::Argument {
                    what: "grid size".into(),
                    problem: format!(
                        "the scene, turned and scaled for testing, is {cells} cells of {grid_size} wide in {}, at most \
                         {MAX_CELLS} can be addressed",
                        ['x', 'y', 'z'][axis]
                    ),
                    advice: "Scale it if its unit is not the metre (`segment --scale 0.001` for millimetres), use a coarser --grid, cut the scene, or remove stray points".into(),
                });
            }
        }
        let relative = |point: &[f64; 3]| {
            let cell = cell(point);
            std::array::from_fn(|a| (cell[a] - low[a]) as i32)
        };
        Ok(self.coordinates.par_iter().map(relative).collect())
    }

    /// The voxels of `grid_size` and their members.
    ///
    /// # Errors
    /// As [`Self::cells`].
    pub fn fragments(&self, grid_size: f64) -> Result<Fragments> {
        let cells = self.cells(grid_size)?;
        let key = |cell: &[i32; 3]| cell.iter().fold(0u64, |key, v| key << 16 | *v as u64);
        let mut sorted: Vec<(u64, u32)> =
            cells.par_iter().zip(0..cells.len() as u32).map(|(cell, point)| (key(cell), point)).collect();
        // The point makes every pair unique, and members stand in input order.
        sorted.par_sort_unstable();
        let mut fragments = Fragments { grid_coord: Vec::new(), members: Vec::new(), starts: Vec::new() };
        let mut last = None;
        for (place, (key, point)) in sorted.iter().enumerate() {
            if last != Some(*key) {
                last = Some(*key);
                fragments.starts.push(place as u32);
                fragments.grid_coord.push(cells[*point as usize]);
            }
        }
        fragments.starts.push(sorted.len() as u32);
        fragments.members = sorted.into_iter().map(|(_, point)| point).collect();
        Ok(fragments)
    }

    /// The coordinates of `points`, the middle of their bounding box moved over x = y = 0: what the network sees of a
    /// fragment.
    pub fn centred(&self, points: &[u32]) -> Vec<[f32; 3]> {
        let of = |point: &u32| self.coordinates[*point as usize];
        let Some(first) = points.first().map(of) else { return Vec::new() };
        let (min, max) = points.iter().map(of).fold((first, first), |(min, max), p| {
            (std::array::from_fn(|a| min[a].min(p[a])), std::array::from_fn(|a| max[a].max(p[a])))
        });
        // f64 has bits enough that rounding its result is the sum, half or difference of f32.
        let round = |v: f64| if self.is_single { f64::from(v as f32) } else { v };
        // Of the sum, then of its half, as numpy rounds.
        #[allow(clippy::manual_midpoint)]
        let middle = |a: usize| round(round(min[a] + max[a]) / 2.0);
        let shift = [middle(0), middle(1), 0.0];
        points.iter().map(|p| std::array::from_fn(|a| round(of(p)[a] - shift[a]) as f32)).collect()
    }
}

impl Fragments {
    /// How many there are: the points of the fullest voxel.
    pub fn count(&self) -> usize {
        self.starts.windows(2).map(|ends| (ends[1] - ends[0]) as usize).max().unwrap_or(0)
    }

    /// The points of a fragment, `[v]`, one per voxel.
    pub fn points(&self, fragment: usize) -> Vec<u32> {
        let member = |ends: &[u32]| self.members[ends[0] as usize + fragment % (ends[1] - ends[0]) as usize];
        self.starts.windows(2).map(member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Noise;

    #[test]
    fn there_are_the_reference_s_thirteen_views() {
        assert_eq!(TestView::ALL[0], TestView::Turned { quarters: 0, scale: 1.0 });
        assert_eq!(TestView::ALL[5], TestView::Turned { quarters: 1, scale: 0.95 });
        assert_eq!(TestView::ALL[11], TestView::Turned { quarters: 3, scale: 1.05 });
        assert_eq!(TestView::ALL[12], TestView::Mirrored);
    }

    #[test]
    fn quarters_turn_counterclockwise_and_four_are_none() {
        // Exact but for the cosines that are not quite 0, 2e-16 of a metre.
        let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
        let x = [1.0, 0.0, 0.5];
        let expected = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [-1.0, 0.0, 0.5], [0.0, -1.0, 0.5]];
        for (quarters, expected) in expected.into_iter().enumerate() {
            assert!(near(TestView::Turned { quarters, scale: 1.05 }.normal(x), expected), "{quarters}");
        }
        assert!(near(TestView::Mirrored.normal(x), [-1.0, 0.0, 0.5]));
    }

    #[test]
    fn fragments_cover_every_voxel_and_every_point() {
        let mut noise = Noise::new(7);
        let positions: Vec<[f32; 3]> = (0..3000).map(|_| [0; 3].map(|_: i32| noise.float() * 0.1)).collect();
        for view in TestView::ALL {
            let placed = view.place(&positions);
            let (cells, fragments) = (placed.cells(0.02).unwrap(), placed.fragments(0.02).unwrap());
            assert!(fragments.grid_coord.is_sorted() && fragments.count() > 1);
            let mut seen = vec![0; positions.len()];
            for fragment in 0..fragments.count() {
                let points = fragments.points(fragment);
                assert!(points.iter().map(|p| cells[*p as usize]).eq(fragments.grid_coord.iter().copied()));
                for point in points {
                    seen[point as usize] += 1;
                }
            }
            assert!(seen.iter().all(|times| *times > 0));
            let first = fragments.points(0);
            let first_of_cell = |cell: [i32; 3]| cells.iter().position(|other| *other == cell).unwrap() as u32;
            assert!(fragments.grid_coord.iter().zip(&first).all(|(cell, point)| first_of_cell(*cell) == *point));
        }
    }

    #[test]
    fn no_points_are_no_fragments_and_a_scene_too_wide_is_refused() {
        let placed = TestView::Mirrored.place(&[]);
        assert_eq!((placed.fragments(0.02).unwrap().count(), placed.centred(&[])), (0, Vec::new()));
        let wide = TestView::ALL[8].place(&[[0.0; 3], [1300.0, 0.0, 0.0]]);
        let error = wide.fragments(0.02).unwrap_err().to_string();
        assert!(error.contains("--grid") && error.contains("wide in x"), "{error}");
    }
}
