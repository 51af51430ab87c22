//! A stage of the pyramid as the blocks of one forward pass see it.

use super::config::SngMode;
use crate::{
    Result,
    device::Tensor,
    geometry::{
        patches::{PatchSpec, PatchTable},
        pyramid::Stage,
    },
    kernels::low_rank_delta::PatchOf,
};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// A stage, and the patch tables its adapters share.
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    patches: RefCell<HashMap<PatchSpec, Rc<PatchTable>>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stage: &'a Stage) -> Self {
        Self { stage, patches: RefCell::default() }
    }

    /// The table of a way of forming patches, made once per pass.
    pub(super) fn patches(&self, spec: PatchSpec) -> Result<Rc<PatchTable>> {
        if let Some(table) = self.patches.borrow().get(&spec) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(PatchTable::new(self.stage.orders.device(), &self.stage.offsets, spec)?);
        self.patches.borrow_mut().insert(spec, Rc::clone(&table));
        Ok(table)
    }

    /// Which patch each point belongs to, along the serialized order `row`.
    pub(super) fn patch_of<'t>(&'t self, row: usize, table: &'t PatchTable) -> PatchOf<'t> {
        PatchOf { inverse: &self.stage.inverses, row, patch_of_rank: &table.patch_of_rank }
    }

    /// Mean of `x` `[n, c]` over every patch → `[p, c]`.
    pub(super) fn patch_mean(&self, x: &Tensor, row: usize, table: &PatchTable) -> Result<Tensor> {
        use crate::kernels::segment_mean::{Segments, segment_mean};
        segment_mean(x, &self.stage.orders, row, Segments::Ranges(&table.ranges, &table.divisor))
    }
}

/// The groups of a dynamic projection.
pub(super) fn group_spec(mode: SngMode, param: usize) -> PatchSpec {
    match mode {
        SngMode::Num => PatchSpec::Num(param),
        SngMode::Length => PatchSpec::Length(param),
    }
}
