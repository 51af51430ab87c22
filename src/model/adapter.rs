//! The released code's adapter, parallel to the MLP: layer norm, down to a bottleneck, `ReLU`, and up again; either
//! projection may be dynamic, a mixture of bases gated by the mean of a group of points along the curve.

use super::{
    context::Context,
    layers::{LayerNorm, Linear, Loader},
    plan::{BottleneckPlan, Projection as ProjectionPlan},
    scene::{Scene, group_rule},
};
use crate::{
    Result,
    device::Tensor,
    geometry::patches::PatchRule,
    kernels::{
        Activation,
        basis_mix::{Bases, basis_linear},
        gather_rows::gather_span,
        mlp::Branch,
        softmax::softmax,
    },
};

/// Temperature of the gate's softmax.
const GATE_SCALE: f32 = 0.25;

pub(super) struct Adapter {
    norm: LayerNorm,
    down: Projection,
    up: Projection,
}

#[allow(clippy::large_enum_variant, reason = "a handful per model, behind handles")]
enum Projection {
    Static(Linear),
    Dynamic { gate_hidden: Linear, gate: Linear, bases: Bases, rule: PatchRule },
}

impl Adapter {
    /// The adapter of a block whose parameters start with `prefix`.
    pub(super) fn load(loader: &Loader<'_>, prefix: &str, channels: usize, plan: BottleneckPlan) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::load(loader, &format!("{prefix}.norm"))?,
            down: Projection::load(loader, &format!("{prefix}.down"), plan.mid, plan.down)?,
            up: Projection::load(loader, &format!("{prefix}.up"), channels, plan.up)?,
        })
    }

    /// It as a branch of [`mlp`](crate::kernels::mlp), if both projections are static.
    pub(super) fn branch(&self) -> Option<Branch<'_>> {
        match (&self.down, &self.up) {
            (Projection::Static(down), Projection::Static(up)) => Some(Branch {
                norm: self.norm.norm(),
                first: down.layer(),
                activation: Activation::Relu,
                second: up.layer(),
            }),
            _ => None,
        }
    }

    /// `x` `[n, c]` → `residual + adapter(x)` `[n, c]`.
    pub(super) fn forward(
        &self,
        context: &mut Context<'_>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'_>,
        row: usize,
        x: &Tensor,
        residual: &Tensor,
    ) -> Result<Tensor> {
        let normed = self.norm.forward(x, Activation::None, None)?;
        let down = |context: &mut Context<'_>, activation| {
            self.down.forward(context, &|| name("adapter_down_gate"), scene, row, &normed, activation, None)
        };
        if context.records() {
            // The reference records it before the ReLU and along the curve.
            let plain = down(context, Activation::None)?;
            let n = x.rows();
            let along = gather_span(&scene.stage.orders, row * n..(row + 1) * n, &plain)?;
            context.record(|| name("adapter_down"), &along);
        }
        // The gate was recorded above.
        let squeezed = down(&mut Context::default(), Activation::Relu)?;
        let up = |context: &mut Context<'_>, residual| {
            self.up.forward(context, &|| name("adapter_up_gate"), scene, row, &squeezed, Activation::None, residual)
        };
        if context.records() {
            let alone = up(context, None)?;
            context.record(|| name("adapter"), &alone);
        }
        up(&mut Context::default(), Some(residual))
    }
}

impl Projection {
    fn load(loader: &Loader<'_>, prefix: &str, outputs: usize, plan: ProjectionPlan) -> Result<Self> {
        Ok(match plan {
            ProjectionPlan::Static => Self::Static(Linear::load(loader, prefix, outputs, true)?),
            ProjectionPlan::Dynamic { k, gate_hidden, param, mode } => {
                loader.pipelines.mixture();
                Self::Dynamic {
                    gate_hidden: Linear::load(loader, &format!("{prefix}.attn.fc1"), gate_hidden, false)?,
                    gate: Linear::load(loader, &format!("{prefix}.attn.fc2"), k, true)?,
                    bases: loader.bases(&format!("{prefix}.dpp"), k)?,
                    rule: group_rule(mode, param),
                }
            }
        })
    }

    fn forward(
        &self,
        context: &mut Context<'_>,
        gate_name: &dyn Fn() -> String,
        scene: &Scene<'_>,
        row: usize,
        x: &Tensor,
        activation: Activation,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        match self {
            Self::Static(layer) => layer.forward(x, activation, residual),
            Self::Dynamic { gate_hidden, gate, bases, rule } => {
                let table = scene.patches(*rule)?;
                let features = scene.patch_mean(x, row, &table)?;
                let hidden = gate_hidden.forward(&features, Activation::Relu, None)?;
                let weights = softmax(&gate.forward(&hidden, Activation::None, None)?, GATE_SCALE)?;
                context.record(gate_name, &weights);
                let patches = scene.patch_of(row, &table);
                let mixed = basis_linear(x, bases, &weights, &scene.stage.orders, patches, activation)?;
                residual.map_or_else(|| Ok(mixed.clone()), |residual| crate::kernels::add::add(residual, &mixed))
            }
        }
    }
}
