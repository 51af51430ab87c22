//! Fewer points: a random share of them, or those around one of them.

use crate::synth::dice::Dice;

/// The rows that stay when `ratio` of `count` are dropped, ascending: `⌊count · (1 - ratio)⌋` of them, but at least one.
pub(super) fn remaining(count: usize, ratio: f64, dice: &mut Dice) -> Vec<u32> {
    let mut wanted = ((count as f64 * (1.0 - ratio)) as usize).max(count.min(1));
    let mut kept = Vec::with_capacity(wanted);
    // Knuth's selection sampling: every subset of that size is equally likely, and the order stays.
    for row in 0..count {
        if dice.below(count - row) < wanted {
            kept.push(row as u32);
            wanted -= 1;
        }
    }
    kept
}

/// The rows of the `limit` points nearest to a random one of them, ascending; `None` if there are no more than that. Of
/// points as far away as the last, those with lower rows stay.
pub(in crate::train) fn sphere(coord: &[[f32; 3]], limit: usize, dice: &mut Dice) -> Option<Vec<u32>> {
    if coord.len() <= limit || limit == 0 {
        return None;
    }
    let centre = coord[dice.below(coord.len())];
    let square = |p: &[f32; 3]| {
        let [x, y, z] = std::array::from_fn(|a| p[a] - centre[a]);
        x * x + y * y + z * z
    };
    // Floats that are not negative are in the order of their bits.
    let mut rows: Vec<(u32, u32)> = (0..).zip(coord).map(|(row, p)| (square(p).to_bits(), row)).collect();
    rows.select_nth_unstable(limit - 1);
    rows.truncate(limit);
    let mut rows: Vec<u32> = rows.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::augment::testing::scene;

    #[test]
    fn the_asked_for_number_stays_and_every_row_as_often() {
        let mut times = [0u32; 20];
        for seed in 0..4000 {
            let rows = remaining(20, 0.2, &mut Dice::new(seed, 0));
            assert!(rows.len() == 16 && rows.is_sorted_by(|a, b| a < b));
            for row in rows {
                times[row as usize] += 1;
            }
        }
        // 3200 expected; five standard errors are 5 * sqrt(4000 * 0.8 * 0.2).
        assert!(times.iter().all(|times| times.abs_diff(3200) < 127), "{times:?}");
        let mut dice = Dice::new(0, 0);
        assert_eq!(remaining(3, 0.99, &mut dice).len(), 1);
        assert!(remaining(0, 0.2, &mut dice).is_empty());
        assert_eq!(remaining(3, 0.0, &mut dice), [0, 1, 2]);
    }

    #[test]
    fn the_nearest_stay() {
        let scan = scene(3000);
        let rows = sphere(&scan.coord, 700, &mut Dice::new(8, 8)).unwrap();
        assert!(rows.len() == 700 && rows.is_sorted_by(|a, b| a < b));
        // Some point that stays is the centre: all that stay are nearer to it than all that go.
        let square =
            |i: usize, j: usize| -> f32 { (0..3).map(|a| (scan.coord[i][a] - scan.coord[j][a]).powi(2)).sum() };
        let is_centre = |centre: usize| {
            let inside = rows.iter().map(|row| square(*row as usize, centre)).fold(0.0, f32::max);
            let gone = (0..3000).filter(|i| rows.binary_search(&(*i as u32)).is_err());
            gone.map(|i| square(i, centre)).fold(f32::INFINITY, f32::min) >= inside
        };
        assert!(rows.iter().any(|row| is_centre(*row as usize)));
        assert_ne!(sphere(&scan.coord, 700, &mut Dice::new(9, 8)).unwrap(), rows);
    }

    #[test]
    fn few_points_stay_all_and_equal_distances_go_by_row() {
        let coord = [[0.0; 3]; 5];
        assert_eq!(sphere(&coord, 5, &mut Dice::new(0, 0)), None);
        assert_eq!(sphere(&coord, 3, &mut Dice::new(0, 0)), Some(vec![0, 1, 2]));
    }
}
