//! What the network says of every voxel, beyond its label: probabilities, and the features that its head reads.

use std::cmp::Ordering;

use crate::parallel::prelude::*;

/// The probabilities and features of a scene's voxels, and the voxel of every point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// `[points]`: the voxel of every input point; [`Self::NO_VOXEL`] where the coordinates are not finite.
    pub voxel_of_point: Vec<u32>,
    /// Classes of the model.
    pub classes: usize,
    /// `[voxels, classes]`: softmax probabilities.
    pub probabilities: Vec<f32>,
    /// Channels of the features.
    pub channels: usize,
    /// `[voxels, channels]`.
    pub features: Vec<f32>,
}

/// Voxels that principal components are computed of: more say the same.
const SAMPLED: usize = 8192;
/// Rounds of the subspace iteration. An angle to the true subspace shrinks by the ratio of the fourth to the third
/// eigenvalue in each: colours settle long before.
const ROUNDS: usize = 24;
/// Share of the voxels at either end of a component that its colours do not stretch to.
const TAIL: f64 = 0.02;

impl Details {
    /// The voxel of a point that has none.
    pub const NO_VOXEL: u32 = u32::MAX;

    /// The `most` likely classes of a point, best first, of equals the lower id; empty for a point without a voxel.
    pub fn top(&self, point: usize, most: usize) -> Vec<(u32, f32)> {
        let Some(row) = self.voxel(point).map(|voxel| row(&self.probabilities, self.classes, voxel)) else {
            return Vec::new();
        };
        let mut classes: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        classes.truncate(most);
        classes
    }

    /// The features of a point's voxel, `[channels]`; `None` for a point without one.
    pub fn features_of(&self, point: usize) -> Option<&[f32]> {
        self.voxel(point).map(|voxel| row(&self.features, self.channels, voxel))
    }

    /// The cosine of every point's features with those of one, `[points]`, -1 to 1; 0 for points without a voxel.
    pub fn similar_to(&self, point: usize) -> Vec<f32> {
        self.similar_to_all(&[point])
    }

    /// The cosine of every point's features with the mean of those of some, `[points]`, -1 to 1; 0 for points without a
    /// voxel.
    pub fn similar_to_all(&self, points: &[usize]) -> Vec<f32> {
        let mut wanted = vec![0.0; self.channels];
        for voxel in points.iter().filter_map(|point| self.voxel(*point)) {
            let features = row(&self.features, self.channels, voxel);
            wanted.iter_mut().zip(features).for_each(|(sum, x)| *sum += x);
        }
        let length = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>().sqrt();
        let own = length(&wanted);
        let cosine = |features: &[f32]| {
            let product: f32 = features.iter().zip(&wanted).map(|(a, b)| a * b).sum();
            let lengths = own * length(features);
            if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) } else { 0.0 }
        };
        let of_voxel: Vec<f32> = self.features.par_chunks_exact(self.channels.max(1)).map(cosine).collect();
        self.of_points(&of_voxel, 0.0)
    }

    /// A colour of every point by the first three principal components of the features, `[points, 3]`: what looks alike to
    /// the network has colours alike. Grey for points without a voxel.
    pub fn principal_colors(&self) -> Vec<[u8; 3]> {
        let axes = self.principal_axes();
        let mean = self.mean();
        let project = |features: &[f32]| -> [f64; 3] {
            std::array::from_fn(|k| {
                features.iter().zip(&mean).zip(&axes[k]).map(|((x, mean), axis)| (f64::from(*x) - mean) * axis).sum()
            })
        };
        let projected: Vec<[f64; 3]> = self.features.par_chunks_exact(self.channels.max(1)).map(project).collect();
        let ranges: [[f64; 2]; 3] = std::array::from_fn(|k| {
            let mut values: Vec<f64> = projected.iter().map(|p| p[k]).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values.get((share * values.len() as f64) as usize).copied().unwrap_or(0.0);
            [at(TAIL), at(1.0 - TAIL)]
        });
        let color = |p: &[f64; 3]| -> [u8; 3] {
            std::array::from_fn(|k| {
                let [low, high] = ranges[k];
                let share = if high > low { ((p[k] - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 };
                (255.0 * share).round() as u8
            })
        };
        let of_voxel: Vec<[u8; 3]> = projected.iter().map(color).collect();
        self.of_points(&of_voxel, [128; 3])
    }

    /// The first three principal axes, orthonormal, by subspace iteration on evenly spread voxels. Each axis points where
    /// its largest component is positive. Missing axes, of features with fewer than three channels, are zero.
    fn principal_axes(&self) -> [Vec<f64>; 3] {
        let channels = self.channels;
        let voxels = self.features.len() / channels.max(1);
        let stride = voxels.div_ceil(SAMPLED).max(1);
        let mean = self.mean();
        let sampled: Vec<Vec<f64>> = (0..voxels)
            .step_by(stride)
            .map(|voxel| {
                row(&self.features, channels, voxel).iter().zip(&mean).map(|(x, m)| f64::from(*x) - m).collect()
            })
            .collect();
        // Three starts that no symmetry of the features is orthogonal to.
        let mut axes: [Vec<f64>; 3] =
            std::array::from_fn(|k| (0..channels).map(|c| 1.0 + ((c * (2 * k + 3)) % 7) as f64).collect());
        orthonormalize(&mut axes);
        for _ in 0..ROUNDS {
            axes = std::array::from_fn(|k| {
                let mut next = vec![0.0; channels];
                for x in &sampled {
                    let along = dot(x, &axes[k]);
                    next.iter_mut().zip(x).for_each(|(next, x)| *next += along * x);
                }
                next
            });
            orthonormalize(&mut axes);
        }
        for axis in &mut axes {
            let largest = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
            if largest.partial_cmp(&0.0) == Some(Ordering::Less) {
                for v in axis.iter_mut() {
                    *v = -*v;
                }
            }
        }
        axes
    }

    fn mean(&self) -> Vec<f64> {
        let voxels = (self.features.len() / self.channels.max(1)).max(1) as f64;
        let mut mean = vec![0.0; self.channels];
        for features in self.features.chunks_exact(self.channels.max(1)) {
            mean.iter_mut().zip(features).for_each(|(mean, x)| *mean += f64::from(*x) / voxels);
        }
        mean
    }

    fn voxel(&self, point: usize) -> Option<usize> {
        self.voxel_of_point.get(point).filter(|voxel| **voxel != Self::NO_VOXEL).map(|voxel| *voxel as usize)
    }

    fn of_points<T: Copy>(&self, of_voxel: &[T], missing: T) -> Vec<T> {
        self.voxel_of_point.iter().map(|voxel| of_voxel.get(*voxel as usize).copied().unwrap_or(missing)).collect()
    }
}

fn row(values: &[f32], columns: usize, row: usize) -> &[f32] {
    &values[row * columns..(row + 1) * columns]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram and Schmidt; what is left of a vector that the ones before it span becomes zero.
fn orthonormalize(axes: &mut [Vec<f64>; 3]) {
    for k in 0..3 {
        let (before, rest) = axes.split_at_mut(k);
        let axis = &mut rest[0];
        let whole = dot(axis, axis).sqrt();
        // Twice: once leaves rounding that grows where little is left.
        for _ in 0..2 {
            for other in &*before {
                let along = dot(axis, other);
                axis.iter_mut().zip(other).for_each(|(v, other)| *v -= along * other);
            }
        }
        let length = dot(axis, axis).sqrt();
        let scale = if length > 1e-9 * whole { 1.0 / length } else { 0.0 };
        for v in axis.iter_mut() {
            *v *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Noise;

    /// Features that vary most along one direction, less along another, least along a third.
    fn details(voxels: usize, channels: usize) -> (Details, [Vec<f64>; 3]) {
        let mut noise = Noise::new(3);
        let mut axes: [Vec<f64>; 3] =
            std::array::from_fn(|k| (0..channels).map(|c| if c % 3 == k { 1.0 } else { 0.1 * c as f64 }).collect());
        orthonormalize(&mut axes);
        let mut features = Vec::new();
        for _ in 0..voxels {
            let along: [f64; 3] = std::array::from_fn(|k| f64::from(noise.float()) * [9.0, 4.0, 2.0][k]);
            features.extend((0..channels).map(|c| (5.0 + (0..3).map(|k| along[k] * axes[k][c]).sum::<f64>()) as f32));
        }
        let voxel_of_point = (0..voxels as u32).rev().chain([Details::NO_VOXEL]).collect();
        let probabilities = (0..voxels).flat_map(|voxel| [0.2, 0.5, if voxel == 0 { 0.5 } else { 0.3 }]).collect();
        (Details { voxel_of_point, classes: 3, probabilities, channels, features }, axes)
    }

    #[test]
    fn principal_axes_are_those_the_features_were_made_of() {
        for (voxels, channels) in [(4000, 8), (20_000, 5)] {
            let (details, expected) = details(voxels, channels);
            for (axis, expected) in details.principal_axes().iter().zip(&expected) {
                // Uniform samples of three axes are uncorrelated to a few times 1/√4000.
                assert!(dot(axis, expected).abs() > 0.99, "{axis:?} {expected:?}");
            }
        }
    }

    #[test]
    fn few_channels_and_no_voxels_have_colors_too() {
        let (two, _) = details(50, 2);
        assert_eq!(two.principal_colors().len(), 51);
        assert_eq!(two.principal_colors()[50], [128; 3]);
        assert!(Details::default().principal_colors().is_empty());
        let constant = Details {
            voxel_of_point: vec![0, 1],
            classes: 1,
            probabilities: vec![1.0; 2],
            channels: 4,
            features: vec![3.0; 8],
        };
        assert_eq!(constant.principal_colors(), [[128; 3]; 2]);
    }

    #[test]
    fn a_point_is_most_like_itself_and_unlike_its_opposite() {
        let features = vec![1.0, 2.0, 2.0, -1.0, -2.0, -2.0, 2.0, -1.0, 0.0, 0.0, 0.0, 0.0];
        let details = Details {
            voxel_of_point: vec![2, 0, 1, Details::NO_VOXEL, 3],
            channels: 3,
            features,
            ..Details::default()
        };
        // Rounding of lengths and products.
        let expected = [0.0, 1.0, -1.0, 0.0, 0.0];
        let similar = details.similar_to(1);
        assert!(similar.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{similar:?}");
        assert_eq!(details.similar_to(3), [0.0; 5]);
        assert_eq!(details.features_of(1), Some(&[1.0, 2.0, 2.0][..]));
        assert_eq!((details.features_of(3), details.features_of(5)), (None, None));
    }

    #[test]
    fn the_likeliest_classes_come_first_and_of_equals_the_lower() {
        let (details, _) = details(2, 3);
        assert_eq!(details.top(0, 2), [(1, 0.5), (2, 0.3)]);
        assert_eq!(details.top(1, 9), [(1, 0.5), (2, 0.5), (0, 0.2)]);
        assert!(details.top(2, 3).is_empty() && details.top(99, 3).is_empty());
    }
}
