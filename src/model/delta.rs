//! Linear layers with a low-rank delta: PointTPA's dynamic parameter projection, and its static special case, LoRA.

use super::{
    context::Context,
    differentiable::{DeltaFactors, Factor, linear_layer, patch_mean},
    layers::{Linear, Loader, Matrix, Slot, Vector},
    plan::DeltaPlan,
    scene::Scene,
    tape::Var,
};
use crate::{
    Result,
    device::Tensor,
    geometry::patches::PatchRule,
    kernels::{Activation, gather_rows::gather_span, low_rank_delta::low_rank_delta},
};

/// A linear layer, and what is added to it.
pub(super) struct AdaptedLinear {
    base: Linear,
    delta: Option<Delta>,
}

#[allow(clippy::large_enum_variant, reason = "a handful per model, behind handles")]
enum Delta {
    /// `y += scale · a (b x)`
    Lora { a: Vector, b: Linear, scale: f32 },
    /// `y += scale · A_p (B x)`, `A_p = W2 GELU(W1 f_p + b1) + b2`, where `f_p` is the mean of x over patch p.
    LowRank { b: Linear, hidden: Linear, generator: Linear, rule: PatchRule, scale: f32 },
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
            loader.pipelines.delta(base.weight.forward(), prefix.ends_with("fc2"));
        }
        let plain = |weight: Matrix| Linear { weight, bias: None };
        let delta = match plan {
            None => None,
            Some(DeltaPlan::Lora { rank, scale }) => Some(Delta::Lora {
                a: loader.vector(&format!("{prefix}.lora.a"))?,
                b: plain(loader.matrix(&format!("{prefix}.lora.b"), rank, 1)?),
                scale,
            }),
            Some(DeltaPlan::LowRank { rank, scale, hidden, window, stride }) => Some(Delta::LowRank {
                b: plain(loader.matrix(&format!("{prefix}.dpp.down.weight"), rank, 1)?),
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
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'a>,
        row: usize,
        x: &Var,
        activation: Activation,
        residual: Option<&Var>,
    ) -> Result<Var> {
        let factors = match &self.delta {
            None => None,
            Some(Delta::Lora { a, b, scale }) => {
                let z = b.forward(context, x, Activation::None, None)?;
                Some(DeltaFactors { z, a: Factor::Learned(a), patches: None, scale: *scale })
            }
            Some(Delta::LowRank { b, hidden, generator, rule, scale }) => {
                let table = scene.patches(*rule)?;
                let features = patch_mean(context, scene, x, row, &table)?;
                context.record(|| name("patch_feat"), &features);
                let hidden = hidden.forward(context, &features, Activation::Gelu, None)?;
                let a = generator.forward(context, &hidden, Activation::None, None)?;
                context.record(|| name("patch_a"), &a);
                if context.records() {
                    let points = row * x.rows()..(row + 1) * x.rows();
                    let of_point = gather_span(&scene.stage.inverses, points, &table.patch_of_rank)?;
                    context.record(|| name("patch_id"), &of_point);
                }
                let z = b.forward(context, x, Activation::None, None)?;
                Some(DeltaFactors { z, a: Factor::Generated(a), patches: Some((row, table)), scale: *scale })
            }
        };
        if let Some(factors) = factors.as_ref().filter(|_| context.records()) {
            record_delta(context, name, &self.base, scene, factors)?;
        }
        linear_layer(context, Some(scene.stage), &self.base, x, factors, activation, residual)
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.base.slots(slots);
        match &mut self.delta {
            None => {}
            Some(Delta::Lora { a, b, .. }) => {
                a.slots(slots);
                b.slots(slots);
            }
            Some(Delta::LowRank { b, hidden, generator, .. }) => {
                b.slots(slots);
                hidden.slots(slots);
                generator.slots(slots);
            }
        }
    }
}

/// Records the delta alone: what it adds to nothing.
fn record_delta<'a>(
    context: &mut Context<'a>,
    name: &dyn Fn(&str) -> String,
    base: &Linear,
    scene: &Scene<'a>,
    factors: &DeltaFactors<'a>,
) -> Result<()> {
    let shape = [factors.z.rows(), base.weight.forward().outputs()];
    let zero = Tensor::from_slice(factors.z.device(), &shape, &vec![0.0f32; shape[0] * shape[1]])?;
    let a = factors.a.tensor()?;
    let delta = factors.low_rank(&a, Some(scene.stage));
    context.record(|| name("delta"), &low_rank_delta(&zero, delta, Activation::None)?);
    Ok(())
}
