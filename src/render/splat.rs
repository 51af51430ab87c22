//! Points as discs, the nearest one at every pixel.

use super::camera::Camera;
use rayon::prelude::*;

/// A pixel without a point.
pub(super) const NOTHING: u32 = u32::MAX;

/// Points looked at to learn how dense a scan is.
const SAMPLES: usize = 200;
/// A disc's diameter in distances to the nearest neighbour: scattered points leave gaps of more than one.
const DISTANCES: f32 = 2.4;

/// The point at every pixel, and its depth.
pub(super) struct Raster {
    /// Pixels in a row, rows.
    pub(super) size: (usize, usize),
    pub(super) points: Vec<u32>,
    /// Metres, infinite without a point.
    pub(super) depth: Vec<f32>,
}

impl Raster {
    /// Draws discs of a diameter in pixels. Of two points as near, the first is seen.
    pub(super) fn draw(
        positions: &[[f32; 3]],
        drawn: &[u32],
        camera: &Camera,
        size: (usize, usize),
        diameter: f32,
    ) -> Self {
        let mut raster =
            Self { size, points: vec![NOTHING; size.0 * size.1], depth: vec![f32::INFINITY; size.0 * size.1] };
        let radius = diameter / 2.0;
        for point in drawn {
            let (x, y, depth) = camera.project(positions[*point as usize]);
            let rows = covered(y, radius, size.1);
            for row in rows {
                let from_middle = row as f32 + 0.5 - y;
                let half = (radius * radius - from_middle * from_middle).max(0.0).sqrt();
                for column in covered(x, half, size.0) {
                    let pixel = row * size.0 + column;
                    if depth < raster.depth[pixel] {
                        raster.depth[pixel] = depth;
                        raster.points[pixel] = *point;
                    }
                }
            }
        }
        raster
    }
}

/// The pixels of which `middle ± half` covers the centre.
fn covered(middle: f32, half: f32, count: usize) -> std::ops::Range<usize> {
    let low = (middle - half - 0.5).ceil().max(0.0) as usize;
    let high = ((middle + half - 0.5).floor() + 1.0).clamp(0.0, count as f32) as usize;
    low..high.max(low)
}

/// A diameter in metres that closes the gaps between points: by the median distance to the nearest neighbour of some.
pub(super) fn fitting_size(positions: &[[f32; 3]], drawn: &[u32]) -> f32 {
    let step = drawn.len().div_ceil(SAMPLES).max(1);
    let samples: Vec<u32> = drawn.iter().copied().step_by(step).collect();
    let nearest = |sample: &u32| {
        let p = positions[*sample as usize];
        let squared = |i: &u32| {
            let q = positions[*i as usize];
            let d = [q[0] - p[0], q[1] - p[1], q[2] - p[2]];
            d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
        };
        // Doubled points are no neighbours.
        drawn.iter().map(squared).filter(|d| *d > 1e-10).fold(f32::INFINITY, f32::min).sqrt()
    };
    let mut distances: Vec<f32> = samples.par_iter().map(nearest).filter(|d| d.is_finite()).collect();
    if distances.is_empty() {
        return 0.01;
    }
    let middle = distances.len() / 2;
    *distances.select_nth_unstable_by(middle, f32::total_cmp).1 * DISTANCES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_covered_by_their_centres() {
        assert_eq!(covered(2.0, 1.0, 10), 1..3);
        assert_eq!(covered(2.5, 1.0, 10), 1..4);
        assert_eq!((covered(-5.0, 1.0, 10).len(), covered(50.0, 1.0, 10).len()), (0, 0));
        assert_eq!(covered(0.0, 3.0, 2), 0..2);
    }

    #[test]
    fn sparse_points_are_drawn_larger() {
        let line = |step: f32| -> Vec<[f32; 3]> { (0..1000).map(|i| [i as f32 * step, 0.0, 0.0]).collect() };
        let all: Vec<u32> = (0..1000).collect();
        for step in [0.01, 0.05] {
            let size = fitting_size(&line(step), &all);
            assert!((size / (DISTANCES * step) - 1.0).abs() < 0.01, "{size}");
        }
        assert!(fitting_size(&[[0.0; 3]], &[0]) > 0.0);
    }
}
