//! The stem: `GELU(LN(Linear(features)))`.

use super::{
    config::Config,
    context::Context,
    layers::{LayerNorm, Linear, Loader, Slot},
    tape::Var,
};
use crate::{Result, kernels::Activation};

pub(super) struct Embedding {
    linear: Linear,
    norm: LayerNorm,
}

impl Embedding {
    pub(super) fn load(loader: &Loader<'_>, config: &Config) -> Result<Self> {
        let channels = config.backbone.enc_channels[0];
        Ok(Self {
            linear: Linear::load(loader, "backbone.embedding.stem.linear", channels, true)?,
            norm: LayerNorm::load(loader, "backbone.embedding.stem.norm")?,
        })
    }

    /// `[n, features]` → `[n, c0]`.
    pub(super) fn forward<'a>(&'a self, context: &mut Context<'a>, features: &Var) -> Result<Var> {
        let linear = self.linear.forward(context, features, Activation::None, None)?;
        let embedded = self.norm.forward(context, &linear, Activation::Gelu, None)?;
        context.record(|| "embed".into(), &embedded);
        Ok(embedded)
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.linear.slots(slots);
        self.norm.slots(slots);
    }
}
