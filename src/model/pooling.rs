//! Between stages: grid pooling on the way down, grid unpooling on the way up.

use super::{
    context::Context,
    differentiable::{add_coarse, max_pool},
    layers::{LayerNorm, Linear, Loader, Slot},
    tape::Var,
};
use crate::{Result, geometry::pyramid::Pooling, kernels::Activation};

/// `GELU(LN(max over the cell of Linear(x)))`.
pub(super) struct GridPooling {
    stage: usize,
    proj: Linear,
    norm: LayerNorm,
}

impl GridPooling {
    /// The pooling that leads into `stage`.
    pub(super) fn load(loader: &Loader<'_>, stage: usize, channels: usize) -> Result<Self> {
        let prefix = format!("backbone.enc.enc{stage}.down");
        Ok(Self {
            stage,
            proj: Linear::load(loader, &format!("{prefix}.proj"), channels, true)?,
            norm: LayerNorm::load(loader, &format!("{prefix}.norm.0"))?,
        })
    }

    /// Fine features `[n, c]` → coarse features `[cells, c']`.
    pub(super) fn forward<'a>(&'a self, context: &mut Context<'a>, pooling: &'a Pooling, fine: &Var) -> Result<Var> {
        let projected = self.proj.forward(context, fine, Activation::None, None)?;
        let pooled = max_pool(context, pooling, &projected)?;
        let pooled = self.norm.forward(context, &pooled, Activation::Gelu, None)?;
        context.record(|| format!("stage{}.pooled_feat", self.stage), &pooled);
        Ok(pooled)
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.proj.slots(slots);
        self.norm.slots(slots);
    }
}

/// `GELU(LN(Linear(skip))) + GELU(LN(Linear(coarse)))` of each point's cell.
pub(super) struct GridUnpooling {
    stage: usize,
    proj: Linear,
    proj_norm: LayerNorm,
    skip: Linear,
    skip_norm: LayerNorm,
}

impl GridUnpooling {
    /// The unpooling that leads into decoder stage `stage`.
    pub(super) fn load(loader: &Loader<'_>, stage: usize, channels: usize) -> Result<Self> {
        let prefix = format!("backbone.dec.dec{stage}.up");
        Ok(Self {
            stage,
            proj: Linear::load(loader, &format!("{prefix}.proj.0"), channels, true)?,
            proj_norm: LayerNorm::load(loader, &format!("{prefix}.proj.1"))?,
            skip: Linear::load(loader, &format!("{prefix}.proj_skip.0"), channels, true)?,
            skip_norm: LayerNorm::load(loader, &format!("{prefix}.proj_skip.1"))?,
        })
    }

    /// Coarse features `[cells, c]` and the encoder's fine features `[n, c']` → `[n, c'']`.
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        pooling: &'a Pooling,
        coarse: &Var,
        fine: &Var,
    ) -> Result<Var> {
        let name = |part: &str| format!("dec{}.up{part}", self.stage);
        let coarse = self.proj.forward(context, coarse, Activation::None, None)?;
        let coarse = self.proj_norm.forward(context, &coarse, Activation::Gelu, None)?;
        context.record(|| name(".proj"), &coarse);
        let skip = self.skip.forward(context, fine, Activation::None, None)?;
        let skip = self.skip_norm.forward(context, &skip, Activation::Gelu, None)?;
        context.record(|| name(".proj_skip"), &skip);
        let sum = add_coarse(context, pooling, &skip, &coarse)?;
        context.record(|| name(""), &sum);
        Ok(sum)
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.proj.slots(slots);
        self.proj_norm.slots(slots);
        self.skip.slots(slots);
        self.skip_norm.slots(slots);
    }
}
