//! Elastic distortion: bends a scene by smooth noise.
//!
//! Normal noise on the nodes of a grid of `granularity`, which covers the scene with one node to spare on either side, is
//! smoothed twice along each axis by the mean of three neighbours (beyond the grid is 0), and every point moves by
//! `magnitude` times its trilinear interpolation. Normals stay, as in the reference.
//!
//! Source: the reference's `ElasticDistortion`, after Simard et al. 2003.

use super::{Wave, noise::normal};
use crate::{extent::extent, synth::dice::Dice};

/// Nodes along an axis. A scene with more (25 m at the reference's 0.2 m) repeats the noise: a room as wide as that does
/// not look alike at both ends, and memory and time stay bounded.
const MAX_NODES: usize = 128;

/// How often the noise is smoothed along each axis.
const PASSES: usize = 2;

/// Moves points by noise.
pub(super) fn distort(coord: &mut [[f32; 3]], wave: Wave, dice: &mut Dice) {
    let Some((low, high)) = extent(coord.iter().copied()) else { return };
    let inverse = 1.0 / wave.granularity as f32;
    let field = Field::random(std::array::from_fn(|a| ((high[a] - low[a]) * inverse) as usize + 3), dice);
    for p in coord {
        // Node 0 lies one granularity below the lowest point.
        let at = std::array::from_fn(|a| (p[a] - low[a]) * inverse + 1.0);
        let noise = field.at(at);
        for a in 0..3 {
            p[a] += wave.magnitude as f32 * noise[a];
        }
    }
}

/// Smooth noise on a grid.
struct Field {
    /// Nodes along x, y, z.
    nodes: [usize; 3],
    /// `[x, y, z, 3]`.
    values: Vec<[f32; 3]>,
}

impl Field {
    fn random(nodes: [usize; 3], dice: &mut Dice) -> Self {
        let nodes = nodes.map(|count| count.min(MAX_NODES));
        let values = (0..nodes.iter().product()).map(|_| std::array::from_fn(|_| normal(dice))).collect();
        let mut field = Self { nodes, values };
        for _ in 0..PASSES {
            for axis in 0..3 {
                field.smooth(axis);
            }
        }
        field
    }

    /// Replaces every value by the mean of itself and its two neighbours along an axis.
    fn smooth(&mut self, axis: usize) {
        let stride: usize = self.nodes[axis + 1..].iter().product();
        let old = self.values.clone();
        for (place, value) in self.values.iter_mut().enumerate() {
            let along = place / stride % self.nodes[axis];
            let before = if along > 0 { old[place - stride] } else { [0.0; 3] };
            let after = if along + 1 < self.nodes[axis] { old[place + stride] } else { [0.0; 3] };
            for c in 0..3 {
                value[c] = (before[c] + old[place][c] + after[c]) * (1.0 / 3.0);
            }
        }
    }

    /// Trilinear interpolation at a place in units of nodes, not negative. The field repeats beyond its last node.
    fn at(&self, place: [f32; 3]) -> [f32; 3] {
        let [_, ny, nz] = self.nodes;
        let base = place.map(f32::floor);
        // Of each axis: the nodes below and above, and their weights.
        let ends: [[(usize, f32); 2]; 3] = std::array::from_fn(|a| {
            let (node, above) = (base[a] as usize, place[a] - base[a]);
            [(node % self.nodes[a], 1.0 - above), ((node + 1) % self.nodes[a], above)]
        });
        let mut sum = [0.0; 3];
        for (x, wx) in ends[0] {
            for (y, wy) in ends[1] {
                for (z, wz) in ends[2] {
                    let value = self.values[(x * ny + y) * nz + z];
                    for c in 0..3 {
                        sum[c] += wx * wy * wz * value[c];
                    }
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::augment::testing::scene;

    #[test]
    fn smoothing_spreads_a_spike_over_five_nodes_and_loses_what_leaves() {
        let mut field = Field { nodes: [1, 7, 1], values: vec![[0.0; 3]; 7] };
        field.values[3] = [9.0, 18.0, 0.0];
        field.smooth(1);
        assert_eq!(field.values.iter().map(|v| v[0]).collect::<Vec<_>>(), [0.0, 0.0, 3.0, 3.0, 3.0, 0.0, 0.0]);
        field.smooth(1);
        assert_eq!(field.values.iter().map(|v| v[1]).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0, 4.0, 2.0, 0.0]);
        // An axis with one node has nothing around it.
        field.smooth(0);
        assert_eq!(field.values[3], [1.0, 2.0, 0.0]);
    }

    #[test]
    fn interpolation_is_linear_between_nodes() {
        // The value at a node is a linear function of its place, so it is that function everywhere.
        let of = |x: f32, y: f32, z: f32| [x + 10.0 * y + 100.0 * z, 1.0, -x];
        let nodes = [3, 4, 5];
        let values = (0..60).map(|i| of((i / 20) as f32, (i / 5 % 4) as f32, (i % 5) as f32)).collect();
        let field = Field { nodes, values };
        for place in [[0.0, 0.0, 0.0], [1.25, 2.5, 3.75], [1.0, 2.0, 3.0], [1.999, 0.1, 3.5]] {
            let (actual, expected) = (field.at(place), of(place[0], place[1], place[2]));
            // Rounding of sums up to 400.
            assert!((0..3).all(|c| (actual[c] - expected[c]).abs() < 1e-4), "{place:?}: {actual:?}");
        }
    }

    #[test]
    fn neighbours_move_together_and_by_what_the_magnitude_says() {
        let scan = scene(4000);
        let wave = Wave { granularity: 0.2, magnitude: 0.4 };
        let mut bent = scan.coord.clone();
        distort(&mut bent, wave, &mut Dice::new(5, 6));
        let moved: Vec<[f32; 3]> =
            bent.iter().zip(&scan.coord).map(|(b, p)| std::array::from_fn(|a| b[a] - p[a])).collect();
        let square = |v: &[f32; 3]| v.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let mean = (moved.iter().map(square).sum::<f64>() / (3.0 * moved.len() as f64)).sqrt();
        // Per axis the smoothed noise has variance 19/81 of the noise's (weights 1 2 3 2 1 over 9), so over three axes a
        // deviation of (19/81)^1.5 = 0.114 at the nodes, less between them and near the border: 0.4 times it is 0.045.
        assert!((0.015..0.046).contains(&mean), "{mean}");
        // The noise between neighbouring nodes differs by a few of its deviations at most, over 0.2 m.
        for (i, j) in (0..4000).map(|i| (i, (i + 1) % 4000)) {
            let apart: [f32; 3] = std::array::from_fn(|a| scan.coord[i][a] - scan.coord[j][a]);
            let change: [f32; 3] = std::array::from_fn(|a| moved[i][a] - moved[j][a]);
            assert!(square(&change).sqrt() <= 1.5 * square(&apart).sqrt() + 1e-5, "{apart:?} {change:?}");
        }
        let mut still = scan.coord.clone();
        distort(&mut still, Wave { magnitude: 0.0, ..wave }, &mut Dice::new(5, 6));
        assert_eq!(still, scan.coord);
    }

    #[test]
    fn a_scene_of_a_kilometre_takes_no_more_memory_than_a_hall() {
        let mut coord = [[0.0; 3], [1000.0, 1000.0, 1000.0], [25.4, 0.0, 0.0]];
        distort(&mut coord, Wave { granularity: 0.2, magnitude: 0.4 }, &mut Dice::new(1, 1));
        // Six deviations of the unsmoothed noise bound any interpolation of it.
        assert!((coord[1][0] - 1000.0).abs() < 2.4 && coord[0] != [0.0; 3]);
        distort(&mut [], Wave { granularity: 0.2, magnitude: 0.4 }, &mut Dice::new(1, 1));
    }
}
