//! Differences between a recorded and a computed tensor.

use super::Comparison;
use crate::{Result, model::tensor_file::HostTensor};

pub(super) fn compare_integers(name: &str, computed: &[i64], recorded: &HostTensor) -> Result<Comparison> {
    let recorded = recorded.to_i64()?;
    let differences = computed.iter().zip(&recorded).map(|(a, b)| a.abs_diff(*b) as f64);
    Ok(comparison(name, computed.len(), recorded.len(), differences, 0.0))
}

pub(super) fn compare_floats(
    name: &str,
    computed: &[f32],
    recorded: &HostTensor,
    tolerance: f64,
) -> Result<Comparison> {
    let recorded = recorded.to_f64()?;
    let differences = computed.iter().zip(&recorded).map(|(a, b)| {
        let difference = (f64::from(*a) - b).abs();
        // A NaN must not pass for a small difference, and JSON has no infinity.
        if difference.is_finite() { difference } else { f64::MAX }
    });
    Ok(comparison(name, computed.len(), recorded.len(), differences, tolerance))
}

fn comparison(
    name: &str,
    computed: usize,
    recorded: usize,
    differences: impl Iterator<Item = f64>,
    tolerance: f64,
) -> Comparison {
    let (mut max_abs, mut sum) = (0.0f64, 0.0);
    for difference in differences {
        max_abs = max_abs.max(difference);
        sum += difference;
    }
    Comparison {
        name: name.to_owned(),
        count: recorded,
        max_abs,
        mean_abs: (sum / recorded.max(1) as f64).min(f64::MAX),
        tolerance,
        holds: computed == recorded && max_abs <= tolerance,
    }
}

/// Share of rows with the same largest column, 0 to 1.
pub(super) fn argmax_agreement(logits: &[f32], recorded: &HostTensor) -> Result<f64> {
    let columns = recorded.shape.last().copied().unwrap_or(1).max(1);
    let recorded = recorded.to_f64()?;
    let computed: Vec<f64> = logits.iter().map(|v| f64::from(*v)).collect();
    let best = |row: &[f64]| (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let rows = computed.chunks_exact(columns).zip(recorded.chunks_exact(columns));
    let same = rows.filter(|(a, b)| best(a) == best(b)).count();
    Ok(same as f64 / (recorded.len() / columns).max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_a_missing_element_and_a_nan_are_all_seen() {
        let recorded = HostTensor::from_f32("t", &[3], &[1.0, 2.0, 3.0]);
        let check = |computed: &[f32]| compare_floats("t", computed, &recorded, 0.1).unwrap();
        let close = check(&[1.0, 2.0, 3.05]);
        assert!(close.holds && (close.max_abs - 0.05).abs() < 1e-6 && (close.mean_abs - 0.05 / 3.0).abs() < 1e-6);
        assert!(!check(&[1.0, 2.0, 3.2]).holds);
        assert!(!check(&[1.0, 2.0]).holds);
        assert!(!check(&[1.0, f32::NAN, 3.0]).holds);
    }

    #[test]
    fn agreement_counts_rows() {
        let recorded = HostTensor::from_f32("t", &[2, 2], &[1.0, 2.0, 2.0, 1.0]);
        assert_eq!(argmax_agreement(&[0.0, 9.0, 0.0, 9.0], &recorded).unwrap(), 0.5);
    }
}
