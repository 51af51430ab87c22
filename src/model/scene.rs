//! A stage of the pyramid as the blocks of one forward pass see it.

use super::config::SngMode;
use crate::{
    Result,
    device::Tensor,
    geometry::{
        patches::{PatchRule, PatchTable, Patches},
        pyramid::Stage,
    },
    kernels::{
        low_rank_delta::PatchOf,
        segment_mean::{Segments, segment_mean},
    },
};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// A stage, and the patch tables its adapters share.
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    patches: RefCell<HashMap<PatchRule, Rc<PatchTable>>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stage: &'a Stage) -> Self {
        Self { stage, patches: RefCell::default() }
    }

    /// The table of a way of forming patches, made once per pass.
    pub(super) fn patches(&self, rule: PatchRule) -> Result<Rc<PatchTable>> {
        if let Some(table) = self.patches.borrow().get(&rule) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(Patches::new(rule, &self.stage.offsets)?.upload(self.stage.orders.device())?);
        self.patches.borrow_mut().insert(rule, Rc::clone(&table));
        Ok(table)
    }

    /// Which patch each point belongs to, along the serialized order `row`.
    pub(super) fn patch_of<'t>(&'t self, row: usize, table: &'t PatchTable) -> PatchOf<'t> {
        PatchOf { inverse: &self.stage.inverses, row, patch_of_rank: &table.patch_of_rank }
    }

    /// Mean of `x` `[n, c]` over every patch → `[p, c]`.
    pub(super) fn patch_mean(&self, x: &Tensor, row: usize, table: &PatchTable) -> Result<Tensor> {
        segment_mean(x, &self.stage.orders, row, Segments::Ranges(&table.ranges, &table.divisor))
    }
}

/// The groups of a dynamic projection.
pub(super) fn group_rule(mode: SngMode, param: usize) -> PatchRule {
    match mode {
        SngMode::Num => PatchRule::Num(param),
        SngMode::Length => PatchRule::Length(param),
    }
}
