//! Changes the colours of a scan, 0 to 255.

use super::noise::normal;
use crate::{PointCloud, extent::extent, synth::dice::Dice};

/// Blends colours with themselves stretched, channel by channel, to the full range. A channel of one value stays.
pub(super) fn stretch(color: &mut [[f32; 3]], share: f32) {
    let Some((low, high)) = extent(color.iter().copied()) else { return };
    for channel in (0..3).filter(|c| high[*c] > low[*c]) {
        let factor = 255.0 / (high[channel] - low[channel]);
        for value in color.iter_mut().map(|color| &mut color[channel]) {
            *value = (1.0 - share) * *value + share * (*value - low[channel]) * factor;
        }
    }
}

/// Adds the same to all colours: per channel up to `share` of 255 either way.
pub(super) fn shift(color: &mut [[f32; 3]], share: f32, dice: &mut Dice) {
    let by: [f32; 3] = std::array::from_fn(|_| dice.between(-1.0, 1.0) * share * 255.0);
    for color in color {
        *color = std::array::from_fn(|c| (color[c] + by[c]).clamp(0.0, 255.0));
    }
}

/// Adds normal noise to every channel of every colour, of deviation `share` of 255.
pub(super) fn jitter(color: &mut [[f32; 3]], share: f32, dice: &mut Dice) {
    for value in color.as_flattened_mut() {
        *value = (*value + share * 255.0 * normal(dice)).clamp(0.0, 255.0);
    }
}

/// Makes all colours the neutral grey that stands for missing ones, so that a model learns to do without.
pub(super) fn drop(color: &mut [[f32; 3]]) {
    color.fill(PointCloud::NEUTRAL_GREY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretching_blends_with_the_full_range() {
        // Red spans 100 to 150: stretched, 120 becomes 102; green is constant; blue is full already.
        let colors = [[100.0, 7.0, 0.0], [150.0, 7.0, 255.0], [120.0, 7.0, 100.0]];
        let mut full = colors;
        stretch(&mut full, 1.0);
        let expected = [[0.0, 7.0, 0.0], [255.0, 7.0, 255.0], [102.0, 7.0, 100.0]];
        let mut half = colors;
        stretch(&mut half, 0.5);
        for (i, j) in (0..9).map(|k| (k / 3, k % 3)) {
            // Rounding of values up to 255.
            assert!((full[i][j] - expected[i][j]).abs() < 1e-4);
            assert!((half[i][j] - f32::midpoint(expected[i][j], colors[i][j])).abs() < 1e-4);
        }
        stretch(&mut [], 1.0);
    }

    #[test]
    fn a_shift_is_one_for_all_within_its_share_and_the_range() {
        let mut largest = 0.0f32;
        for seed in 0..100 {
            let mut colors = [[100.0, 128.0, 150.0], [120.0, 140.0, 160.0], [0.0, 255.0, 1.0]];
            shift(&mut colors, 0.05, &mut Dice::new(seed, 0));
            let by: [f32; 3] = std::array::from_fn(|c| colors[0][c] - [100.0, 128.0, 150.0][c]);
            for c in 0..3 {
                assert!(by[c].abs() <= 12.75 + 1e-4);
                assert!((colors[1][c] - [120.0, 140.0, 160.0][c] - by[c]).abs() < 1e-4);
                assert!((0.0..=255.0).contains(&colors[2][c]));
                largest = largest.max(by[c].abs());
            }
        }
        assert!(largest > 11.0, "{largest}");
    }

    #[test]
    fn jitter_has_its_deviation_and_stays_in_range() {
        let mut colors = vec![[127.5; 3]; 20_000];
        jitter(&mut colors, 0.05, &mut Dice::new(2, 2));
        let square = |v: &f32| (f64::from(*v) - 127.5).powi(2);
        let deviation = (colors.as_flattened().iter().map(square).sum::<f64>() / 60_000.0).sqrt();
        // Five standard errors of 12.75: 5 * 12.75 / sqrt(120000).
        assert!((deviation - 12.75).abs() < 0.19, "{deviation}");
        let mut black = vec![[0.0, 255.0, 0.0]; 1000];
        jitter(&mut black, 0.05, &mut Dice::new(2, 2));
        assert!(black.as_flattened().iter().all(|v| (0.0..=255.0).contains(v)));
    }

    #[test]
    fn dropped_colours_are_those_of_a_scan_without() {
        let mut colors = [[1.0, 2.0, 3.0]; 2];
        drop(&mut colors);
        assert_eq!(colors, [PointCloud::NEUTRAL_GREY; 2]);
    }
}
