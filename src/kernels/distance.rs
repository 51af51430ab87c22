//! How far what a device computes is from its twin.

/// `|actual - expected| / (1 + |expected|)`: absolute where values are small, relative where they are large. What is no
/// number is as far away as can be.
pub(crate) fn distance(actual: f32, expected: f32) -> f32 {
    let distance = (actual - expected).abs() / (1.0 + expected.abs());
    // JSON has no infinity.
    if distance.is_finite() { distance } else { f32::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_never_near() {
        assert_eq!(distance(0.5, 0.0), 0.5);
        assert_eq!(distance(300.0, 200.0), 100.0 / 201.0);
        for [actual, expected] in [[f32::NAN, 1.0], [1.0, f32::NAN], [f32::INFINITY, 1.0], [f32::NAN, f32::NAN]] {
            assert_eq!(distance(actual, expected), f32::MAX);
        }
    }
}
