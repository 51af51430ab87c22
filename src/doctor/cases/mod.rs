//! One small run of every kernel, and of every way that it goes: what the kernels' own tests take at one size, with their
//! tolerances.

mod adapter;
mod attention;
mod geometry;
mod layer;
mod segment;
mod training;

use crate::{Device, Result, device::Tensor};

/// A kernel on operands that are the same on every device.
pub(super) struct Case {
    /// The kernel, as in `shaders/`.
    pub(super) kernel: &'static str,
    /// What it is given.
    pub(super) what: &'static str,
    /// How far results may be from the twin's, see [`crate::kernels::distance`]; integers must be equal.
    pub(super) tolerance: f32,
    pub(super) run: fn(&Device) -> Result<Vec<Tensor>>,
}

/// All of them, kernel by kernel.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let network = [layer::CASES, attention::FORWARD, segment::CASES, adapter::CASES];
    let training = [training::CASES, attention::BACKWARD];
    [geometry::CASES].into_iter().chain(network).chain(training).flatten()
}
