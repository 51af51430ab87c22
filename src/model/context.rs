//! What a forward pass carries along: the caller's wish to stop, and a record of intermediate tensors.

use crate::{Result, device::Tensor};

/// Hears the name of a step of the network and its share of the work, 0 to 1; an error stops the pass.
pub type Step<'a> = dyn Fn(&str, f64) -> Result<()> + 'a;

/// Carried through a forward pass.
#[derive(Default)]
pub struct Context<'a> {
    /// Called between the steps of the network.
    step: Option<&'a Step<'a>>,
    record: Option<Vec<(String, Tensor)>>,
}

impl<'a> Context<'a> {
    /// A pass that reports its steps.
    pub fn with_steps(step: &'a Step<'a>) -> Self {
        Self { step: Some(step), record: None }
    }

    /// A pass that keeps every intermediate tensor under the name of the golden files. Kernels are not fused where
    /// that would hide a tensor, and memory grows with the network's depth.
    pub fn recording() -> Self {
        Self { step: None, record: Some(Vec::new()) }
    }

    /// The tensors recorded, in the order of computation.
    pub fn into_record(self) -> Vec<(String, Tensor)> {
        self.record.unwrap_or_default()
    }

    pub(super) fn step(&self, name: &str, done: f64) -> Result<()> {
        self.step.map_or(Ok(()), |step| step(name, done))
    }

    pub(super) fn records(&self) -> bool {
        self.record.is_some()
    }

    pub(super) fn record(&mut self, name: impl FnOnce() -> String, tensor: &Tensor) {
        if let Some(record) = &mut self.record {
            record.push((name(), tensor.clone()));
        }
    }
}
