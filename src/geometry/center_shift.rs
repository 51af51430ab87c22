//! The reference's `CenterShift`: moves a scene over the origin.

use crate::extent::extent;

/// Moves `positions` so that the middle of their bounding box lies over x = y = 0 and, with `shift_z`, its lowest
/// point on z = 0. Returns what was subtracted.
///
/// All of it in f32, as numpy computes on f32 coordinates: the middle is `(min + max) / 2`.
pub fn center_shift(positions: &mut [[f32; 3]], shift_z: bool) -> [f32; 3] {
    let Some((min, max)) = extent(positions.iter().copied()) else { return [0.0; 3] };
    let shift = shift_of(min, max, shift_z);
    for position in positions {
        for (coordinate, shift) in position.iter_mut().zip(shift) {
            *coordinate -= shift;
        }
    }
    shift
}

/// What [`center_shift`] subtracts from positions with the corners `min` and `max`.
pub fn shift_of(min: [f32; 3], max: [f32; 3], shift_z: bool) -> [f32; 3] {
    [middle(min[0], max[0]), middle(min[1], max[1]), if shift_z { min[2] } else { 0.0 }]
}

/// numpy's rounding: of the sum, then of its half. `f32::midpoint` rounds once.
#[allow(clippy::manual_midpoint)]
fn middle(min: f32, max: f32) -> f32 {
    (min + max) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_box_goes_to_the_origin() {
        let scene = [[1.0, -2.0, 0.5], [3.0, 4.0, 2.0], [1.5, 0.0, 0.75]];
        let mut shifted = scene;
        assert_eq!(center_shift(&mut shifted, true), [2.0, 1.0, 0.5]);
        assert_eq!(shifted, [[-1.0, -3.0, 0.0], [1.0, 3.0, 1.5], [-0.5, -1.0, 0.25]]);
        shifted = scene;
        assert_eq!(center_shift(&mut shifted, false), [2.0, 1.0, 0.0]);
        assert_eq!(shifted[1], [1.0, 3.0, 2.0]);
        assert_eq!(center_shift(&mut [], true), [0.0; 3]);
    }

    #[test]
    fn the_sum_is_rounded_before_it_is_halved() {
        // 2^24 + 1 is no f32: the sum rounds to 2^24, half of which is 2^23.
        let mut scene = [[16_777_215.0, 0.0, 0.0], [2.0, 0.0, 0.0]];
        assert_eq!(center_shift(&mut scene, false)[0], 8_388_608.0);
    }
}
