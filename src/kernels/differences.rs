//! Finite differences: what the gradients of backward kernels are held against.

/// Requires `gradient` to be the derivative of `loss` at `x`: for a number of elements spread over `x`, the central
/// difference over `step` each way, within `tolerance` (absolute, plus the same relative to the difference).
///
/// The forward kernels compute in f32: the rounding of a loss of order 1 shows as some 1e-7 / `step`, and the
/// truncation is of order `step` squared. Steps near 1e-2 balance the two at 1e-4 and less.
pub(crate) fn check_gradient(x: &[f32], gradient: &[f32], step: f32, tolerance: f64, loss: impl Fn(&[f32]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    let mut moved = x.to_vec();
    for at in (0..x.len()).step_by((x.len() / 40).max(1)) {
        let mut loss_at = |value: f32| {
            moved[at] = value;
            let found = loss(&moved);
            moved[at] = x[at];
            found
        };
        let (above, below) = (x[at] + step, x[at] - step);
        let difference = (loss_at(above) - loss_at(below)) / f64::from(above - below);
        let close = (f64::from(gradient[at]) - difference).abs() <= tolerance * (1.0 + difference.abs());
        assert!(close, "element {at}: gradient {} against difference {difference}", gradient[at]);
    }
}

/// `Σ y · weights`: a loss whose gradient with respect to y is `weights`.
pub(crate) fn weighted_sum(y: &[f32], weights: &[f32]) -> f64 {
    y.iter().zip(weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
}
