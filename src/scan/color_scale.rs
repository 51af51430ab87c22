//! Colours of any type, brought to `0..=255`.

/// How the colours of a scan were brought to `0..=255`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ColorScale {
    /// The largest finite value that was there.
    pub(crate) highest: f32,
    /// Whether they were taken as 16-bit values.
    pub(crate) is_wide: bool,
    /// Values that are not finite, and were taken as 0.
    pub(crate) broken: usize,
}

/// The largest finite value, at least 0.
pub(crate) fn highest(colors: &[[f32; 3]]) -> f32 {
    colors.iter().flatten().copied().filter(|value| value.is_finite()).fold(0.0, f32::max)
}

/// Brings colours of a scan whose colours go up to `highest` to `0..=255`: floats up to 1 are fractions; what goes beyond 255
/// has 16 bits, as LAS files do.
pub(crate) fn scale_colors(highest: f32, colors: &mut [[f32; 3]], is_float: bool) -> ColorScale {
    let is_wide = highest > 255.0;
    let factor = match highest {
        _ if is_float && highest <= 1.0 => 255.0,
        _ if is_wide => 1.0 / 257.0,
        _ => 1.0,
    };
    let mut broken = 0;
    for value in colors.iter_mut().flatten() {
        broken += usize::from(!value.is_finite());
        *value = if value.is_finite() { (*value * factor).clamp(0.0, 255.0) } else { 0.0 };
    }
    ColorScale { highest, is_wide, broken }
}
