//! What a forward pass carries along: the caller's wish to stop, a record of intermediate tensors, and, while training,
//! the tape and the rows that residual branches drop.

use super::tape::{Gradients, Tape, Var};
use crate::{Result, device::Tensor, kernels::drop_path::DropPath};

/// Hears the name of a step of the network and its share of the work, 0 to 1; an error stops the pass.
pub type Step<'a> = dyn Fn(&str, f64) -> Result<()> + 'a;

/// Carried through a forward pass.
#[derive(Default)]
pub struct Context<'a> {
    /// Called between the steps of the network.
    step: Option<&'a Step<'a>>,
    record: Option<Vec<(String, Tensor)>>,
    tape: Option<Tape<'a>>,
    dropping: Option<Dropping>,
}

/// Which rows the residual branches of a pass drop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropping {
    /// The run's seed.
    pub(crate) seed: u32,
    /// The forward pass, counted through the run.
    pub(crate) step: u32,
    /// The share of rows that the deepest block drops, 0 to below 1.
    pub(crate) rate: f32,
}

impl<'a> Context<'a> {
    /// A pass that reports its steps.
    pub fn with_steps(step: &'a Step<'a>) -> Self {
        Self { step: Some(step), ..Self::default() }
    }

    /// A pass that keeps every intermediate tensor under the name of the golden files. Kernels are not fused where
    /// that would hide a tensor, and memory grows with the network's depth.
    pub fn recording() -> Self {
        Self { record: Some(Vec::new()), ..Self::default() }
    }

    /// A pass that gradients will follow.
    pub(crate) fn training(dropping: Option<Dropping>) -> Self {
        Self { tape: Some(Tape::default()), dropping, ..Self::default() }
    }

    /// The tensors recorded, in the order of computation.
    pub fn into_record(self) -> Vec<(String, Tensor)> {
        self.record.unwrap_or_default()
    }

    /// What gradients follow back; empty after a pass without them.
    pub(crate) fn into_tape(self) -> Tape<'a> {
        self.tape.unwrap_or_default()
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

    /// What `part` computes, without a record of it.
    pub(super) fn unrecorded<R>(&mut self, part: impl FnOnce(&mut Self) -> R) -> R {
        let record = self.record.take();
        let result = part(self);
        self.record = record;
        result
    }

    /// Whether gradients will follow this pass.
    pub(super) fn trains(&self) -> bool {
        self.tape.is_some()
    }

    /// Whether kernels may be fused: nobody asks for what lies between them.
    pub(super) fn fuses(&self) -> bool {
        !self.records() && !self.trains()
    }

    /// The rows that residual branch `branch` drops, of a block that drops `share` of the deepest one's rate.
    pub(super) fn dropping(&self, branch: u32, share: f32) -> Option<DropPath> {
        let Dropping { seed, step, rate } = self.dropping?;
        let keep = 1.0 - rate * share;
        (keep < 1.0).then_some(DropPath { seed, step, branch, keep })
    }

    /// An operation's result. If `wanted`, it is on the tape, and `backward` turns its gradient into those of its
    /// operands.
    pub(super) fn node(
        &mut self,
        wanted: bool,
        result: Tensor,
        backward: impl FnOnce(&Tensor, &mut Gradients) -> Result<()> + 'a,
    ) -> Var {
        match &mut self.tape {
            Some(tape) if wanted => tape.push(result, backward),
            _ => Var::constant(result),
        }
    }
}
