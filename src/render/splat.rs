//! Points as discs, the nearest one at every pixel.

use super::camera::Camera;
use crate::parallel::prelude::*;
use std::collections::HashMap;

/// A pixel without a point.
pub(super) const NOTHING: u32 = u32::MAX;

/// Points looked at to learn how dense a scan is.
const SAMPLES: usize = 200;
/// A disc's diameter in distances to the nearest neighbour: scattered points leave gaps of more than one.
const DISTANCES: f32 = 2.4;
/// Side of the cells whose points are counted, in usual diameters.
const CELL: f32 = 4.0;
/// How many usual diameters a disc may have where points are sparse.
const LARGEST: f32 = 2.4;
/// Fewer points in a cell are strays or something thin, and make no surface whose gaps could be closed.
const SURFACE: u32 = 10;

/// The point at every pixel, and its depth.
pub(super) struct Raster {
    /// Pixels in a row, rows.
    pub(super) size: (usize, usize),
    pub(super) points: Vec<u32>,
    /// Metres, infinite without a point.
    pub(super) depth: Vec<f32>,
}

impl Raster {
    /// Draws discs of `diameters` `[drawn]` in metres, at least of `least` pixels and at most of `most`. Of two points as
    /// near, the first is seen.
    pub(super) fn draw(
        positions: &[[f32; 3]],
        drawn: &[u32],
        camera: &Camera,
        size: (usize, usize),
        diameters: &[f32],
        (least, most): (f32, f32),
    ) -> Self {
        let mut raster =
            Self { size, points: vec![NOTHING; size.0 * size.1], depth: vec![f32::INFINITY; size.0 * size.1] };
        for (point, diameter) in drawn.iter().zip(diameters) {
            let radius = (diameter * camera.scale).clamp(least, most) / 2.0;
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

/// The diameter of every drawn point's disc in metres: `usual`, and more where a scan is sparser than usual, as far walls
/// are. Points are counted in cells, of which a surface fills about a square.
pub(super) fn local_sizes(positions: &[[f32; 3]], drawn: &[u32], usual: f32) -> Vec<f32> {
    let side = CELL * usual;
    let cell = |i: &u32| positions[*i as usize].map(|v| (v / side).floor() as i64);
    let mut counts: HashMap<[i64; 3], u32> = HashMap::new();
    for i in drawn {
        *counts.entry(cell(i)).or_default() += 1;
    }
    let around = [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
    let size = |i: &u32| {
        let [x, y, z] = cell(i);
        // A surface may only touch a point's own cell; it fills one of those around.
        let count = around
            .iter()
            .filter_map(|[dx, dy, dz]| {
                counts.get(&[x.saturating_add(*dx), y.saturating_add(*dy), z.saturating_add(*dz)])
            })
            .max();
        let Some(count) = count.filter(|count| **count >= SURFACE) else { return usual };
        let distance = side / (*count as f32).sqrt();
        (distance * DISTANCES / 2.0).clamp(usual, usual * LARGEST)
    };
    drawn.par_iter().map(size).collect()
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

    #[test]
    fn where_a_scan_is_sparse_its_points_are_larger() {
        // A square metre of points a centimetre apart, and beside it one with a ninth of them.
        let dense = (0..10_000).map(|i| [(i % 100) as f32 * 0.01, (i / 100) as f32 * 0.01, 0.0]);
        let sparse = (0..1_089).map(|i| [2.0 + (i % 33) as f32 * 0.03, (i / 33) as f32 * 0.03, 0.0]);
        let positions: Vec<[f32; 3]> = dense.chain(sparse).collect();
        let drawn: Vec<u32> = (0..positions.len() as u32).collect();
        let usual = fitting_size(&positions, &drawn);
        let sizes = local_sizes(&positions, &drawn, usual);
        let middle = |side: &[f32]| {
            let mut sorted = side.to_vec();
            sorted.sort_by(f32::total_cmp);
            sorted[sorted.len() / 2]
        };
        assert_eq!(middle(&sizes[..10_000]), usual);
        assert!(middle(&sizes[10_000..]) >= 0.03, "{} closes no gaps", middle(&sizes[10_000..]));
    }
}
