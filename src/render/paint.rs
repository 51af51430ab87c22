//! What colour a point has in a picture.

use crate::LabelSet;

/// Points without a class.
const NO_CLASS: [u8; 3] = [205, 205, 205];
/// Points whose label is wrong.
const WRONG: [u8; 3] = [214, 32, 39];
/// Low to high: dark violet over teal to yellow, readable without colour.
const HEIGHTS: [[f32; 3]; 5] =
    [[68.0, 1.0, 84.0], [59.0, 82.0, 139.0], [33.0, 145.0, 140.0], [94.0, 201.0, 98.0], [253.0, 231.0, 37.0]];
/// Points that have no colour of their own.
const PLAIN: [u8; 3] = [170, 170, 170];

/// The scan's own colours `[n, 3]` from 0 to 255; grey for `n` points without.
pub fn rgb(colors: Option<&[[f32; 3]]>, n: usize) -> Vec<[u8; 3]> {
    match colors {
        Some(colors) => colors.iter().map(|color| color.map(|v| v.clamp(0.0, 255.0) as u8)).collect(),
        None => vec![PLAIN; n],
    }
}

/// The classes' colours, light grey for labels outside the set.
pub fn labels(labels: &[i32], set: &LabelSet) -> Vec<[u8; 3]> {
    labels.iter().map(|label| set.class(*label).map_or(NO_CLASS, |class| class.color)).collect()
}

/// Red where the prediction differs from the truth, and a pale grey of the scan's own brightness where it does not or
/// the truth is to be ignored.
pub fn errors(truth: &[i32], prediction: &[i32], rgb: &[[u8; 3]]) -> Vec<[u8; 3]> {
    let points = truth.iter().zip(prediction).zip(rgb);
    points
        .map(|((truth, prediction), rgb)| {
            if *truth >= 0 && truth != prediction {
                return WRONG;
            }
            let brightness: u32 = rgb.iter().map(|v| u32::from(*v)).sum::<u32>() / 3;
            [(150 + brightness * 90 / 255) as u8; 3]
        })
        .collect()
}

/// From the lowest point to the highest.
pub fn heights(positions: &[[f32; 3]]) -> Vec<[u8; 3]> {
    let finite = || positions.iter().map(|p| p[2]).filter(|z| z.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let color = |z: f32| {
        let share = ((z - low) / (high - low).max(1e-6)).clamp(0.0, 1.0) * (HEIGHTS.len() - 1) as f32;
        let step = (share as usize).min(HEIGHTS.len() - 2);
        let mix = |a: usize| HEIGHTS[step][a] + (HEIGHTS[step + 1][a] - HEIGHTS[step][a]) * (share - step as f32);
        std::array::from_fn(|a| mix(a) as u8)
    };
    positions.iter().map(|p| color(p[2])).collect()
}

/// Normals as colours: red, green and blue from -1 to 1 along x, y and z.
pub fn normals(normals: &[[f32; 3]]) -> Vec<[u8; 3]> {
    let color = |normal: &[f32; 3]| {
        let length = normal.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 0.0 && length.is_finite() { normal.map(|v| (127.5 + 127.5 * v / length) as u8) } else { PLAIN }
    };
    normals.iter().map(color).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_colours_and_errors_are_red() {
        let set = LabelSet::rooms();
        assert_eq!(labels(&[0, -1, 99], &set), [set.classes[0].color, NO_CLASS, NO_CLASS]);
        let grey = [[100; 3]; 4];
        let painted = errors(&[1, 1, -1, 2], &[1, 2, 2, -1], &grey);
        assert_eq!((painted[1], painted[3]), (WRONG, WRONG));
        assert!(painted[0] == painted[2] && painted[0][0] == painted[0][2]);
    }

    #[test]
    fn heights_run_from_dark_to_light_and_normals_to_their_axes() {
        let painted = heights(&[[0.0, 0.0, -1.0], [0.0, 0.0, 3.0], [0.0, 0.0, f32::NAN]]);
        assert_eq!(painted[..2], [[68, 1, 84], [253, 231, 37]]);
        assert_eq!(normals(&[[0.0, 0.0, 2.0], [-1.0, 0.0, 0.0], [0.0; 3]]), [[127, 127, 255], [0, 127, 127], PLAIN]);
        assert_eq!(rgb(Some(&[[300.0, -5.0, 7.9]]), 1), [[255, 0, 7]]);
        assert_eq!(rgb(None, 2).len(), 2);
    }
}
