//! The segmentation head.
//!
//! After a decoder it is a linear layer. In encoder mode the reference joins every stage's features, brought to the
//! finest stage by the pooling clusters, and applies one linear layer to all of them. That layer is linear in each
//! part, so each stage's share of the logits is computed on the stage's own points and added on the way up: the
//! joined features (1,232 channels in the published model) are never built.

use super::{
    config::Config,
    context::Context,
    differentiable::add_coarse,
    layers::{Linear, Loader, Slot},
    tape::Var,
};
use crate::{
    Result,
    device::Tensor,
    geometry::pyramid::{Pyramid, Stage},
    kernels::{Activation, gather_rows::gather_columns},
};

pub(super) struct Head {
    /// One for each stage whose features come in, finest first; the bias is the finest's.
    shares: Vec<Linear>,
}

impl Head {
    pub(super) fn load(loader: &Loader<'_>, config: &Config) -> Result<Self> {
        let backbone = &config.backbone;
        let widths = if backbone.enc_mode { backbone.enc_channels.clone() } else { vec![config.head_channels()] };
        let mut shares = Vec::new();
        let mut first = 0;
        for (stage, width) in widths.into_iter().enumerate() {
            let weight = loader.matrix_columns("seg_head.weight", first..first + width)?;
            let bias = if stage == 0 { Some(loader.vector("seg_head.bias")?) } else { None };
            shares.push(Linear { weight, bias });
            first += width;
        }
        Ok(Self { shares })
    }

    /// Features of every stage that the head reads, finest first → logits `[n, classes]`.
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        pyramid: &'a Pyramid,
        features: &[Var],
    ) -> Result<Var> {
        let mut logits: Option<Var> = None;
        for stage in (0..self.shares.len()).rev() {
            let share = self.shares[stage].forward(context, &features[stage], Activation::None, None)?;
            logits = Some(match logits {
                None => share,
                Some(coarse) => add_coarse(context, pooling_into(&pyramid.stages[stage + 1]), &share, &coarse)?,
            });
        }
        Ok(logits.expect("a head reads at least one stage"))
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.shares.iter_mut().for_each(|share| share.slots(slots));
    }
}

/// The features that the reference's head reads, `[n, sum of channels]`: every stage's, at the finest stage's points.
pub(super) fn joined_features(context: &mut Context<'_>, pyramid: &Pyramid, features: &[Var]) -> Result<Tensor> {
    let mut joined: Option<Tensor> = None;
    for stage in (0..features.len()).rev() {
        let own: &Tensor = &features[stage];
        joined = Some(match &joined {
            None => own.clone(),
            Some(coarse) => {
                let cluster = &pooling_into(&pyramid.stages[stage + 1]).cluster;
                gather_columns(own.rows(), &[(None, own), (Some(cluster), coarse)])?
            }
        });
    }
    let joined = joined.expect("a head reads at least one stage");
    context.record(|| "out.feat".into(), &joined);
    Ok(joined)
}

/// The pooling that made a stage other than the finest.
pub(super) fn pooling_into(stage: &Stage) -> &crate::geometry::pyramid::Pooling {
    stage.pooling.as_ref().expect("every stage but the finest was pooled")
}
