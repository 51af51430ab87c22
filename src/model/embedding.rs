//! The stem: `GELU(LN(Linear(features)))`.

use super::{
    config::Config,
    context::Context,
    layers::{LayerNorm, Linear, Loader},
};
use crate::{Result, device::Tensor, kernels::Activation};

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
    pub(super) fn forward(&self, context: &mut Context<'_>, features: &Tensor) -> Result<Tensor> {
        let linear = self.linear.forward(features, Activation::None, None)?;
        let embedded = self.norm.forward(&linear, Activation::Gelu, None)?;
        context.record(|| "embed".into(), &embedded);
        Ok(embedded)
    }
}
