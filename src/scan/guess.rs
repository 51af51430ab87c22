//! Guesses at what a scan file does not say: its up axis and its unit.

use serde::{Deserialize, Serialize};

use super::PointCloud;

/// A likely answer and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// For example `+z` or `metres`.
    pub answer: String,
    /// In a few words.
    pub reason: String,
}

/// Slabs that each axis is cut into.
const SLABS: usize = 50;
/// Of them, the lowest ones among which a floor is looked for.
const LOW_SLABS: usize = 12;

/// An axis is a room's low one when its extent is less than this share of the z extent.
const LOW_ROOM: f32 = 0.8;
/// How many times fuller than z's another axis's slab must be.
const CLEARLY: f32 = 2.0;

/// The up axis: `+z`, as most scanners write it, unless another direction has a much fuller thin slab near its low
/// end, as a floor gives it. `None` without finite points.
pub(crate) fn guess_up(cloud: &PointCloud) -> Option<Guess> {
    let (low, high) = cloud.bounds()?;
    let mut slabs = [[0usize; SLABS]; 3];
    let mut count = 0usize;
    for position in cloud.positions.iter().filter(|position| position.iter().all(|value| value.is_finite())) {
        for axis in 0..3 {
            // Halved, because the extent of finite points need not be finite.
            let share = (position[axis] / 2.0 - low[axis] / 2.0) / (high[axis] / 2.0 - low[axis] / 2.0);
            let slab = if share > 0.0 { (share * SLABS as f32) as usize } else { 0 };
            slabs[axis][slab.min(SLABS - 1)] += 1;
        }
        count += 1;
    }
    let fullest = |mut slabs: [usize; SLABS], flipped: bool| {
        if flipped {
            slabs.reverse();
        }
        slabs[..LOW_SLABS].iter().copied().max().unwrap_or(0) as f32 / count as f32
    };
    let extent: [f32; 3] = std::array::from_fn(|axis| high[axis] / 2.0 - low[axis] / 2.0);
    let z_share = fullest(slabs[2], false);
    let mut best = ("+z", z_share);
    // A scan of one wall has its fullest slab on that wall, so another axis must also be the low one of a room.
    for (axis, flipped, name) in [(1, false, "+y"), (1, true, "-y"), (0, false, "+x"), (0, true, "-x"), (2, true, "-z")]
    {
        let share = fullest(slabs[axis], flipped);
        let is_low = axis == 2 || extent[axis] < LOW_ROOM * extent[2];
        if is_low && share > CLEARLY * z_share && share > best.1 {
            best = (name, share);
        }
    }
    let (name, share) = best;
    let reason = if name == "+z" && share < 0.1 {
        "by convention; no axis stands out".to_owned()
    } else {
        format!("{:.0} % of the points lie in one thin slab near its low end", share * 100.0)
    };
    Some(Guess { answer: name.to_owned(), reason })
}

/// The unit, by the largest extent.
pub(crate) fn guess_units(extent: [f64; 3]) -> Guess {
    let largest = extent.into_iter().fold(0.0, f64::max);
    let (answer, reason) = if (800.0..100_000.0).contains(&largest) {
        ("millimetres", format!("{largest:.0} m would be large for an indoor scan"))
    } else if largest >= 100_000.0 {
        ("unknown", format!("an extent of {largest:.0} fits no indoor scan"))
    } else if largest < 0.5 {
        ("metres", format!("an object, {largest:.3} m large"))
    } else {
        ("metres", format!("{largest:.1} m is plausible for a scan"))
    };
    Guess { answer: answer.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A floor of 4 m × 4 m and one wall, `up` being the axis that points up.
    fn corner(up: usize, sign: f32) -> PointCloud {
        let mut positions = Vec::new();
        for i in 0..40 {
            for j in 0..40 {
                let (a, b) = (i as f32 / 10.0, j as f32 / 10.0);
                for (u, v, w) in [(a, b, 0.0), (a, 0.0, b * 0.6)] {
                    let mut position = [0.0; 3];
                    position[(up + 1) % 3] = u;
                    position[(up + 2) % 3] = v;
                    position[up] = sign * w;
                    positions.push(position);
                }
            }
        }
        PointCloud { positions, ..PointCloud::default() }
    }

    #[test]
    fn the_floor_tells_the_up_axis() {
        for (up, sign, name) in [(2, 1.0, "+z"), (1, 1.0, "+y"), (1, -1.0, "-y")] {
            assert_eq!(guess_up(&corner(up, sign)).unwrap().answer, name);
        }
        assert_eq!(guess_up(&PointCloud::default()), None);
    }

    #[test]
    fn huge_coordinates_and_single_points_do_not_trip_the_guess() {
        let positions = vec![[f32::MAX; 3], [f32::MIN; 3]];
        assert!(guess_up(&PointCloud { positions, ..PointCloud::default() }).is_some());
        let one = PointCloud { positions: vec![[1.0, 2.0, 3.0]], ..PointCloud::default() };
        assert_eq!(guess_up(&one).unwrap().answer, "+z");
    }

    #[test]
    fn a_room_in_millimetres_is_noticed() {
        assert_eq!(guess_units([4200.0, 3600.0, 2500.0]).answer, "millimetres");
        assert_eq!(guess_units([4.2, 3.6, 2.5]).answer, "metres");
    }
}
