//! What the network sees of a scan: one point per voxel.

use super::{LabelledScan, Recipe, augment::crop, grid_sample::Cells};
use crate::{Result, geometry::center_shift::center_shift, model::weights::Feature, synth::dice::Dice};
use std::cmp::Ordering;

/// One scene as the network sees it: `n` voxels in ascending order of their cells (x, then y, then z), every cell once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// `[n, 3]`, not negative. After a crop it need not begin at 0, as in the reference.
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
    /// An augmented sample of a scan: the same for the same `seed` and `stream`. Every voxel has what a random one of
    /// its points has.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for a scan of more than 65,535 voxels along an axis.
    pub fn augmented(
        scan: &LabelledScan,
        recipe: &Recipe,
        features: &[Feature],
        seed: u64,
        stream: u64,
    ) -> Result<Self> {
        let mut dice = Dice::new(seed, stream);
        let scan = recipe.augment(scan, &mut dice);
        let Cells { mut grid_coord, members, starts } = Cells::of(&scan.coord, recipe.grid_size)?;
        let mut rows: Vec<u32> =
            starts.windows(2).map(|cell| members[cell[0] + dice.below(cell[1] - cell[0])]).collect();
        if let Some(limit) = recipe.max_points {
            let coord: Vec<[f32; 3]> = rows.iter().map(|row| scan.coord[*row as usize]).collect();
            if let Some(kept) = crop::sphere(&coord, limit, &mut dice) {
                grid_coord = kept.iter().map(|cell| grid_coord[*cell as usize]).collect();
                rows = kept.iter().map(|cell| rows[*cell as usize]).collect();
            }
        }
        Ok(Self::of_rows(&scan, grid_coord, &rows, features))
    }

    /// The points `rows` of a scan, one per cell, centred in x and y.
    fn of_rows(scan: &LabelledScan, grid_coord: Vec<[i32; 3]>, rows: &[u32], kinds: &[Feature]) -> Self {
        let mut coord: Vec<[f32; 3]> = rows.iter().map(|row| scan.coord[*row as usize]).collect();
        center_shift(&mut coord, false);
        let mut features = Vec::with_capacity(rows.len() * kinds.len() * Feature::CHANNELS);
        for (coord, row) in coord.iter().zip(rows) {
            for kind in kinds {
                features.extend(match kind {
                    Feature::Coord => *coord,
                    Feature::Color => scan.color[*row as usize].map(|v| v / 255.0),
                    Feature::Normal => scan.normal[*row as usize],
                });
            }
        }
        Self { grid_coord, features, labels: rows.iter().map(|row| scan.segment[*row as usize]).collect() }
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Both in one scene, each on its own grid, as the reference's `mix_prob` merges them. Where both have a voxel, that
    /// of `self` stays: the reference keeps both, and what its kernels then do with two points in a cell is not defined.
    #[must_use]
    pub fn mixed(&self, other: &Self) -> Self {
        // Features of an empty sample say nothing about the number of channels; the other's do.
        let channels = |of: &Self| of.features.len() / of.len().max(1);
        let channels = channels(self).max(channels(other));
        let mut mixed = Self::default();
        let (mut i, mut j) = (0, 0);
        while i < self.len() || j < other.len() {
            let order = match (self.grid_coord.get(i), other.grid_coord.get(j)) {
                (Some(a), Some(b)) => a.cmp(b),
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
            };
            let (from, row) = if order.is_le() { (self, i) } else { (other, j) };
            mixed.grid_coord.push(from.grid_coord[row]);
            mixed.features.extend(&from.features[row * channels..(row + 1) * channels]);
            mixed.labels.push(from.labels[row]);
            i += usize::from(order.is_le());
            j += usize::from(order.is_ge());
        }
        mixed
    }
}

impl WholeSample {
    /// All voxels of a scan, centred and otherwise as it is: what the segmenter's network sees of it.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for a scan of more than 65,535 voxels along an axis, or no length for a grid.
    pub fn of(scan: &LabelledScan, features: &[Feature], grid_size: f64) -> Result<Self> {
        let scan = Recipe::none().augment(scan, &mut Dice::new(0, 0));
        let cells = Cells::of(&scan.coord, grid_size)?;
        let mut inverse = vec![0; scan.len()];
        let mut rows = Vec::with_capacity(cells.len());
        for cell in 0..cells.len() {
            let members = cells.members_of(cell);
            rows.push(members[0]);
            for point in members {
                inverse[*point as usize] = cell as u32;
            }
        }
        Ok(Self { sample: Sample::of_rows(&scan, cells.grid_coord, &rows, features), inverse })
    }
}

impl Batch {
    /// Joins samples, one scene each.
    pub fn of(samples: &[Sample]) -> Self {
        let mut all = Self::default();
        for (scene, sample) in (0..).zip(samples) {
            all.grid_coord.extend(&sample.grid_coord);
            all.features.extend(&sample.features);
            all.labels.extend(&sample.labels);
            all.batch.resize(all.labels.len(), scene);
            all.offsets.push(all.labels.len());
        }
        all
    }

    /// Joins samples after merging neighbours: the first with the second, the third with the fourth; an odd last one
    /// stays alone.
    pub fn mixed(samples: &[Sample]) -> Self {
        let merged = |pair: &[Sample]| pair[1..].iter().fold(pair[0].clone(), |first, second| first.mixed(second));
        Self::of(&samples.chunks(2).map(merged).collect::<Vec<_>>())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::augment::testing::scene;
    use Feature::{Color, Coord, Normal};

    const ALL: [Feature; 3] = [Coord, Color, Normal];

    #[test]
    fn a_whole_sample_has_every_voxels_first_point_and_the_way_back() {
        // Three points in the 1 m cells 0, 1 and 0 of x, centred to -1, 1 and -0.9 m: cells -1, 1 and -1.
        let scan = LabelledScan {
            name: "hand".into(),
            coord: vec![[4.0, 2.0, 1.0], [6.0, 2.0, 1.5], [4.1, 2.0, 1.25]],
            color: vec![[255.0, 0.0, 51.0], [0.0, 102.0, 0.0], [1.0; 3]],
            normal: vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            segment: vec![3, -1, 2],
        };
        let whole = WholeSample::of(&scan, &[Color, Coord], 1.0).unwrap();
        assert_eq!(whole.sample.grid_coord, [[0, 0, 0], [2, 0, 0]]);
        assert_eq!(whole.sample.features, [1.0, 0.0, 0.2, -1.0, 0.0, 0.0, 0.0, 0.4, 0.0, 1.0, 0.0, 0.5]);
        assert_eq!(whole.sample.labels, [3, -1]);
        assert_eq!(whole.inverse, [0, 1, 0]);
        let normals = WholeSample::of(&scan, &[Normal], 1.0).unwrap();
        assert_eq!(normals.sample.features, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(WholeSample::of(&scan, &ALL, 0.0).is_err());
    }

    #[test]
    fn a_training_sample_takes_any_point_of_a_voxel_as_often() {
        let n = 30;
        let scan = LabelledScan {
            name: "one cell".into(),
            coord: vec![[0.0; 3]; n],
            color: vec![[0.0; 3]; n],
            normal: vec![[0.0; 3]; n],
            segment: (0..n as i32).collect(),
        };
        let mut times = vec![0u32; n];
        for stream in 0..6000 {
            let sample = Sample::augmented(&scan, &Recipe::none(), &ALL, 1, stream).unwrap();
            assert_eq!(sample.grid_coord, [[0; 3]]);
            times[sample.labels[0] as usize] += 1;
        }
        // 200 expected; five standard errors are 5 * sqrt(200).
        assert!(times.iter().all(|times| times.abs_diff(200) < 71), "{times:?}");
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_numbers_with_unique_ascending_cells() {
        let (scan, recipe) = (scene(5000), Recipe { max_points: Some(1500), ..Recipe::reference() });
        let of = |seed, stream| Sample::augmented(&scan, &recipe, &ALL, seed, stream).unwrap();
        let sample = of(5, 6);
        assert_eq!(sample, of(5, 6));
        assert_ne!(sample, of(5, 7));
        assert_ne!(sample, of(6, 6));
        assert_eq!((sample.len(), sample.features.len()), (1500, 1500 * 9));
        assert!(sample.grid_coord.is_sorted_by(|a, b| a < b) && sample.grid_coord.iter().flatten().all(|c| *c >= 0));
        // The crop is centred again in x and y: its extremes are as far from 0.
        for axis in [0, 1] {
            let column = || sample.features.iter().skip(axis).step_by(9).copied();
            let (low, high) = (column().fold(f32::INFINITY, f32::min), column().fold(f32::NEG_INFINITY, f32::max));
            assert!((low + high).abs() < 1e-5, "{low} {high}");
        }
    }

    #[test]
    fn features_follow_their_points_through_crop_and_choice() {
        // The label says which point it was.
        let mut scan = scene(2000);
        scan.segment = (0..2000).collect();
        let recipe = Recipe { max_points: Some(500), grid_size: 0.1, ..Recipe::none() };
        let sample = Sample::augmented(&scan, &recipe, &[Color, Normal], 1, 1).unwrap();
        for (row, label) in sample.features.chunks(6).zip(&sample.labels) {
            let (color, normal) = (scan.color[*label as usize], scan.normal[*label as usize]);
            assert_eq!(row, [color.map(|v| v / 255.0), normal].as_flattened());
        }
    }

    fn hand(cells: &[[i32; 3]], first: i32) -> Sample {
        let labels: Vec<i32> = (first..).take(cells.len()).collect();
        let features = labels.iter().flat_map(|label| [*label as f32, 0.5]).collect();
        Sample { grid_coord: cells.to_vec(), features, labels }
    }

    #[test]
    fn mixing_keeps_the_order_and_the_first_of_two_in_a_cell() {
        let a = hand(&[[0, 0, 1], [0, 2, 0], [5, 0, 0]], 10);
        let b = hand(&[[0, 0, 0], [0, 2, 0], [3, 9, 9], [6, 0, 0]], 20);
        let mixed = a.mixed(&b);
        assert_eq!(mixed.grid_coord, [[0, 0, 0], [0, 0, 1], [0, 2, 0], [3, 9, 9], [5, 0, 0], [6, 0, 0]]);
        assert_eq!(mixed.labels, [20, 10, 11, 22, 12, 23]);
        assert_eq!(mixed.features[..4], [20.0, 0.5, 10.0, 0.5]);
        assert_eq!(mixed.features.len(), 12);
        assert_eq!(a.mixed(&Sample::default()), a);
        assert_eq!(Sample::default().mixed(&b), b);
    }

    #[test]
    fn a_batch_says_where_its_scenes_end() {
        let samples = [hand(&[[0, 0, 1], [0, 2, 0]], 0), hand(&[[1, 1, 1]], 5), hand(&[[0, 0, 0], [4, 4, 4]], 8)];
        let batch = Batch::of(&samples);
        assert_eq!((batch.offsets.as_slice(), batch.batch.as_slice()), (&[2, 3, 5][..], &[0, 0, 1, 2, 2][..]));
        assert_eq!(batch.labels, [0, 1, 5, 8, 9]);
        // Two and an odd one.
        let mixed = Batch::mixed(&samples);
        assert_eq!((mixed.offsets.as_slice(), mixed.batch.as_slice()), (&[3, 5][..], &[0, 0, 0, 1, 1][..]));
        assert_eq!(mixed.labels, [0, 1, 5, 8, 9]);
        assert_eq!(Batch::mixed(&samples[..1]), Batch::of(&samples[..1]));
        assert!(Batch::of(&[]).is_empty());
    }
}
