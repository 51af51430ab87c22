//! Linear layers with a low-rank delta: PointTPA's dynamic parameter projection, and its static special case, LoRA.

use super::{
    context::Context,
    layers::{Linear, Loader},
    plan::DeltaPlan,
    scene::Scene,
};
use crate::{
    Result,
    device::Tensor,
    geometry::patches::PatchRule,
    kernels::{
        Activation,
        gather_rows::gather_span,
        linear::{Epilogue, linear},
        low_rank_delta::{LowRank, low_rank_delta},
        weight::Weight,
    },
};

/// A linear layer, and what is added to it.
pub(super) struct AdaptedLinear {
    base: Linear,
    delta: Option<Delta>,
}

#[allow(clippy::large_enum_variant, reason = "a handful per model, behind handles")]
enum Delta {
    /// `y += scale · a (b x)`
    Lora { a: Tensor, b: Weight, scale: f32 },
    /// `y += scale · A_p (B x)`, `A_p = W2 GELU(W1 f_p + b1) + b2`, where `f_p` is the mean of x over patch p.
    LowRank { b: Weight, hidden: Linear, generator: Linear, rule: PatchRule, scale: f32 },
}

impl AdaptedLinear {
    pub(super) fn load(
        loader: &Loader<'_>,
        prefix: &str,
        outputs: usize,
        bias: bool,
        plan: Option<DeltaPlan>,
    ) -> Result<Self> {
        let base = Linear::load(loader, prefix, outputs, bias)?;
        if plan.is_some() {
            // The last layer of the MLP takes the block's residual.
            loader.pipelines.delta(&base.weight, prefix.ends_with("fc2"));
        }
        let delta = match plan {
            None => None,
            Some(DeltaPlan::Lora { rank, scale }) => Some(Delta::Lora {
                a: loader.vector(&format!("{prefix}.lora.a"))?.reshaped(&[1, outputs * rank])?,
                b: loader.weight(&format!("{prefix}.lora.b"), rank, 1)?,
                scale,
            }),
            Some(DeltaPlan::LowRank { rank, scale, hidden, window, stride }) => Some(Delta::LowRank {
                b: loader.weight(&format!("{prefix}.dpp.down.weight"), rank, 1)?,
                hidden: Linear::load(loader, &format!("{prefix}.dpp.gen.0"), hidden, true)?,
                generator: Linear::load(loader, &format!("{prefix}.dpp.gen.2"), outputs * rank, true)?,
                rule: PatchRule::Sliding { window, stride },
                scale,
            }),
        };
        Ok(Self { base, delta })
    }

    /// The layer, if nothing is added to it.
    pub(super) fn plain(&self) -> Option<&Linear> {
        self.delta.is_none().then_some(&self.base)
    }

    /// `x` `[n, i]` → `[n, o]`; `row` is the block's serialized order, `name` the layer's in a record. A residual
    /// goes with [`Activation::None`] only.
    pub(super) fn forward(
        &self,
        context: &mut Context<'_>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'_>,
        row: usize,
        x: &Tensor,
        activation: Activation,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let Some(delta) = &self.delta else { return self.base.forward(x, activation, residual) };
        match delta {
            Delta::Lora { a, b, scale } => {
                let z = linear(x, b, Epilogue::default())?;
                let delta = LowRank { z: &z, a, patches: None, scale: *scale };
                record_delta(context, name, x.rows(), &self.base, delta)?;
                self.base.forward_with(x, Some(delta), activation, residual)
            }
            Delta::LowRank { b, hidden, generator, rule, scale } => {
                let table = scene.patches(*rule)?;
                let features = scene.patch_mean(x, row, &table)?;
                context.record(|| name("patch_feat"), &features);
                let a =
                    generator.forward(&hidden.forward(&features, Activation::Gelu, None)?, Activation::None, None)?;
                context.record(|| name("patch_a"), &a);
                if context.records() {
                    let points = row * x.rows()..(row + 1) * x.rows();
                    let of_point = gather_span(&scene.stage.inverses, points, &table.patch_of_rank)?;
                    context.record(|| name("patch_id"), &of_point);
                }
                let z = linear(x, b, Epilogue::default())?;
                let patches = Some(scene.patch_of(row, &table));
                let delta = LowRank { z: &z, a: &a, patches, scale: *scale };
                record_delta(context, name, x.rows(), &self.base, delta)?;
                self.base.forward_with(x, Some(delta), activation, residual)
            }
        }
    }
}

/// Records the delta alone: what it adds to nothing.
fn record_delta(
    context: &mut Context<'_>,
    name: &dyn Fn(&str) -> String,
    rows: usize,
    base: &Linear,
    delta: LowRank<'_>,
) -> Result<()> {
    if context.records() {
        let shape = [rows, base.weight.outputs()];
        let zero = Tensor::from_slice(delta.z.device(), &shape, &vec![0.0f32; shape[0] * shape[1]])?;
        context.record(|| name("delta"), &low_rank_delta(&zero, delta, Activation::None)?);
    }
    Ok(())
}
