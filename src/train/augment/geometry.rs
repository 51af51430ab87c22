//! Turns, scales, flips and jitters a scan. Normals turn and flip with it.

use super::noise::normal;
use crate::{
    extent::extent,
    synth::dice::{Dice, sin_cos},
    train::LabelledScan,
};

/// What a scan is turned about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    X,
    Y,
    Z,
}

/// The middle of the bounding box.
pub(super) fn middle(coord: &[[f32; 3]]) -> [f32; 3] {
    let Some((low, high)) = extent(coord.iter().copied()) else { return [0.0; 3] };
    std::array::from_fn(|a| f32::midpoint(low[a], high[a]))
}

/// Turns coordinates about an axis through `centre`, and normals with them, by `angle` radians, anticlockwise seen from
/// the axis's tip.
pub(super) fn rotate(scan: &mut LabelledScan, axis: Axis, angle: f32, centre: [f32; 3]) {
    // The plane's axes, in the order in which a quarter turn takes the first to the second.
    let (u, v) = match axis {
        Axis::X => (1, 2),
        Axis::Y => (2, 0),
        Axis::Z => (0, 1),
    };
    let (sin, cos) = sin_cos(angle);
    let turn = |p: &mut [f32; 3], centre: [f32; 3]| {
        let (a, b) = (p[u] - centre[u], p[v] - centre[v]);
        p[u] = cos * a - sin * b + centre[u];
        p[v] = sin * a + cos * b + centre[v];
    };
    scan.coord.iter_mut().for_each(|p| turn(p, centre));
    scan.normal.iter_mut().for_each(|n| turn(n, [0.0; 3]));
}

/// Multiplies all coordinates; normals stay.
pub(super) fn scale(coord: &mut [[f32; 3]], factor: f32) {
    coord.as_flattened_mut().iter_mut().for_each(|v| *v *= factor);
}

/// Mirrors coordinates and normals along an axis.
pub(super) fn flip(scan: &mut LabelledScan, axis: usize) {
    scan.coord.iter_mut().chain(&mut scan.normal).for_each(|p| p[axis] = -p[axis]);
}

/// Adds normal noise of deviation `sigma` (metres) to every coordinate, at most `clip` either way.
pub(super) fn jitter(coord: &mut [[f32; 3]], sigma: f32, clip: f32, dice: &mut Dice) {
    coord.as_flattened_mut().iter_mut().for_each(|v| *v += (sigma * normal(dice)).clamp(-clip, clip));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::augment::testing::scene;
    use std::f32::consts::{FRAC_PI_2, PI};

    fn close(a: [f32; 3], b: [f32; 3], tolerance: f32) -> bool {
        (0..3).all(|i| (a[i] - b[i]).abs() <= tolerance)
    }

    #[test]
    fn a_quarter_turn_takes_each_axis_to_the_next() {
        let (x, y, z) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]);
        for (axis, expected) in [
            (Axis::X, [x, z, [0.0, -1.0, 0.0]]),
            (Axis::Y, [[0.0, 0.0, -1.0], y, x]),
            (Axis::Z, [y, [-1.0, 0.0, 0.0], z]),
        ] {
            let mut scan = LabelledScan { coord: vec![x, y, z], normal: vec![x, y, z], ..LabelledScan::default() };
            rotate(&mut scan, axis, FRAC_PI_2, [0.0; 3]);
            // The quarter turn is rounded to f32.
            for i in 0..3 {
                assert!(
                    close(scan.coord[i], expected[i], 1e-7) && close(scan.normal[i], expected[i], 1e-7),
                    "{axis:?}"
                );
            }
        }
    }

    #[test]
    fn a_turn_keeps_its_centre_heights_above_it_and_all_distances() {
        let scan = scene(200);
        let centre = middle(&scan.coord);
        for (axis, index) in [(Axis::X, 0), (Axis::Y, 1), (Axis::Z, 2)] {
            let mut turned = scan.clone();
            turned.coord.push(centre);
            rotate(&mut turned, axis, 0.7, centre);
            assert_eq!(turned.coord.pop(), Some(centre));
            let distance = |s: &LabelledScan, i: usize, j: usize| {
                (0..3).map(|a| (s.coord[i][a] - s.coord[j][a]).powi(2)).sum::<f32>().sqrt()
            };
            for i in 1..200 {
                assert_eq!(turned.coord[i][index], scan.coord[i][index]);
                // Rounding of coordinates up to 8 m.
                assert!((distance(&turned, i, i - 1) - distance(&scan, i, i - 1)).abs() < 5e-6);
                let length = |n: [f32; 3]| n.iter().map(|v| v * v).sum::<f32>();
                assert!((length(turned.normal[i]) - length(scan.normal[i])).abs() < 1e-6);
            }
            rotate(&mut turned, axis, -0.7, centre);
            for i in 0..200 {
                assert!(close(turned.coord[i], scan.coord[i], 2e-6) && close(turned.normal[i], scan.normal[i], 2e-7));
            }
        }
    }

    #[test]
    fn both_flips_are_half_a_turn() {
        let scan = scene(50);
        let mut flipped = scan.clone();
        flip(&mut flipped, 0);
        assert!((0..50).all(|i| flipped.coord[i] == [-scan.coord[i][0], scan.coord[i][1], scan.coord[i][2]]));
        assert!((0..50).all(|i| flipped.normal[i] == [-scan.normal[i][0], scan.normal[i][1], scan.normal[i][2]]));
        flip(&mut flipped, 1);
        let mut turned = scan.clone();
        rotate(&mut turned, Axis::Z, PI, [0.0; 3]);
        for i in 0..50 {
            // Half a turn is rounded to f32: 9e-8 of 8 m.
            assert!(close(flipped.coord[i], turned.coord[i], 2e-6) && close(flipped.normal[i], turned.normal[i], 2e-7));
        }
    }

    #[test]
    fn scaling_is_about_the_origin() {
        let mut coord = [[1.0, -2.0, 0.5], [0.0; 3]];
        scale(&mut coord, 1.5);
        assert_eq!(coord, [[1.5, -3.0, 0.75], [0.0; 3]]);
    }

    #[test]
    fn jitter_has_its_deviation_and_its_clip() {
        let mut coord = vec![[0.0; 3]; 30_000];
        jitter(&mut coord, 0.005, 0.02, &mut Dice::new(1, 1));
        let values = coord.as_flattened();
        let deviation = (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        // Five standard errors: 5 * 0.005 / sqrt(2 * 90000).
        assert!((deviation - 0.005).abs() < 6e-5, "{deviation}");
        assert!(values.iter().all(|v| v.abs() <= 0.02));
        let mut coord = vec![[0.0; 3]; 1000];
        jitter(&mut coord, 1.0, 0.02, &mut Dice::new(1, 1));
        // A deviation of 50 clips: all but 1.6 % are at the clip.
        let clipped = coord.as_flattened().iter().filter(|v| v.abs() == 0.02).count();
        assert!(clipped > 2850 && coord.as_flattened().iter().all(|v| v.abs() <= 0.02), "{clipped}");
    }
}
