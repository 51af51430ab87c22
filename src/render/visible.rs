//! Which points of a room are worth drawing: not its ceiling, and not walls seen from behind.

use super::camera::dot;
use crate::extent::extent;

/// Metres of one step of the search for a ceiling.
const STEP: f32 = 0.05;
/// A layer of two steps with this share of all points is a ceiling.
const DENSE: f64 = 0.03;
/// Metres over the lowest point below which nothing is a ceiling.
const LOWEST_CEILING: f32 = 1.8;
/// Metres under a ceiling that go with it: lamps, cornices, noise.
const UNDER: f32 = 0.1;
/// Share of the outermost points that face the room's middle if normals are turned inwards at all.
const TURNED_INWARDS: f64 = 0.75;

/// The points to draw for a viewer in that direction.
pub(super) fn visible(
    positions: &[[f32; 3]],
    normals: Option<&[[f32; 3]]>,
    towards_viewer: [f32; 3],
    cut_ceiling: bool,
) -> Vec<u32> {
    let is_finite = |i: &u32| positions[*i as usize].iter().all(|v| v.is_finite());
    let mut drawn: Vec<u32> = (0..positions.len() as u32).filter(is_finite).collect();
    let normals = normals.filter(|normals| face_inwards(positions, &drawn, normals));
    if cut_ceiling && let Some(height) = ceiling(positions, &drawn) {
        drawn.retain(|i| positions[*i as usize][2] < height - UNDER);
    }
    if let Some(normals) = normals {
        drawn.retain(|i| {
            let facing = dot(normals[*i as usize], towards_viewer);
            // A normal that says nothing hides nothing.
            facing >= 0.0 || facing.is_nan()
        });
    }
    drawn
}

/// The lower end in z of the highest dense layer.
fn ceiling(positions: &[[f32; 3]], drawn: &[u32]) -> Option<f32> {
    let height = |i: &u32| positions[*i as usize][2];
    let low = drawn.iter().map(height).min_by(f32::total_cmp)?;
    let high = drawn.iter().map(height).max_by(f32::total_cmp)?;
    let steps = (high - low) / STEP;
    // Higher than any building, or no height at all.
    if !steps.is_finite() || steps > 100_000.0 {
        return None;
    }
    let steps = steps as usize + 1;
    let mut layers = vec![0u64; steps + 1];
    for i in drawn {
        layers[((height(i) - low) / STEP) as usize] += 1;
    }
    let least = (drawn.len() as f64 * DENSE) as u64 + 1;
    let first = (LOWEST_CEILING / STEP) as usize;
    let dense = (first..steps).rev().find(|step| layers[*step] + layers[step + 1] >= least)?;
    Some(low + dense as f32 * STEP)
}

/// Whether the normals of the outermost points, which are walls if anything is, face the middle.
fn face_inwards(positions: &[[f32; 3]], drawn: &[u32], normals: &[[f32; 3]]) -> bool {
    let Some((low, high)) = extent(drawn.iter().map(|i| positions[*i as usize])) else { return false };
    let (mut outer, mut inwards) = (0u64, 0u64);
    for i in drawn {
        let (position, normal) = (positions[*i as usize], normals[*i as usize]);
        for axis in 0..2 {
            let share = (position[axis] - low[axis]) / (high[axis] - low[axis]).max(1e-6);
            // A wall's normal is along the axis; that of a floor says nothing of insides.
            if !(0.1..=0.9).contains(&share) && normal[axis].abs() > 0.5 {
                outer += 1;
                inwards += u64::from((share < 0.5) == (normal[axis] > 0.0));
            }
        }
    }
    outer > 0 && inwards as f64 >= TURNED_INWARDS * outer as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A floor, a ceiling at 2.5 m, and a lamp under it.
    fn room() -> Vec<[f32; 3]> {
        let flat = |z: f32| (0..400).map(move |i| [(i % 20) as f32 * 0.2, (i / 20) as f32 * 0.2, z]);
        flat(0.0).chain(flat(2.5)).chain([[2.0, 2.0, 2.45], [2.0, 2.0, 1.0]]).collect()
    }

    #[test]
    fn the_ceiling_is_cut_only_if_there_is_one_and_it_is_wanted() {
        let seen = |positions: &[[f32; 3]], cut| visible(positions, None, [0.0, 0.0, 1.0], cut).len();
        assert_eq!((seen(&room(), true), seen(&room(), false)), (401, 802));
        let table: Vec<[f32; 3]> = room().into_iter().filter(|p| p[2] < 2.0).collect();
        assert_eq!(seen(&table, true), 401);
    }

    #[test]
    fn normals_that_face_outwards_hide_nothing() {
        // A wall on either side, as seen along x.
        let wall = |x: f32, n: f32| (0..100).map(move |i| ([x, i as f32 * 0.04, 1.0], [n, 0.0, 0.0]));
        let count = |turn: f32| {
            let (positions, normals): (Vec<_>, Vec<_>) = wall(0.0, turn).chain(wall(4.0, -turn)).unzip();
            visible(&positions, Some(&normals), [1.0, 0.0, 0.0], false).len()
        };
        assert_eq!((count(1.0), count(-1.0)), (100, 200));
    }
}
