//! The released code's adapter, parallel to the MLP: layer norm, down to a bottleneck, `ReLU`, and up again; either
//! projection may be dynamic, a mixture of bases gated by the mean of a group of points along the curve.

use super::{
    context::Context,
    differentiable::{mix, patch_mean, row_softmax, sum},
    layers::{LayerNorm, Linear, Loader, Slot},
    plan::{BottleneckPlan, Projection as ProjectionPlan},
    scene::{Scene, group_rule},
    tape::Var,
};
use crate::{
    Result,
    geometry::patches::PatchRule,
    kernels::{
        Activation,
        add::add,
        basis_mix::{Bases, basis_linear},
        gather_rows::gather_span,
        mlp::Branch,
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
    Dynamic { gate_hidden: Linear, gate: Linear, bases: Mixture, rule: PatchRule },
}

/// The bases of a dynamic projection.
#[allow(clippy::large_enum_variant, reason = "a handful per model, behind handles")]
enum Mixture {
    /// Laid out as the device mixes them fastest.
    Fused(Bases),
    /// One layer `[k · o, i]`, whose outputs are mixed: what a gradient can go back through.
    Stacked(Linear),
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

    /// `x` `[n, c]` → `x + adapter(x)` `[n, c]`.
    pub(super) fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'a>,
        row: usize,
        x: &Var,
    ) -> Result<Var> {
        let normed = self.norm.forward(context, x, Activation::None, None)?;
        let down = |context: &mut Context<'a>, activation| {
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
        let squeezed = context.unrecorded(|context| down(context, Activation::Relu))?;
        let up = |context: &mut Context<'a>, residual| {
            self.up.forward(context, &|| name("adapter_up_gate"), scene, row, &squeezed, Activation::None, residual)
        };
        if context.records() {
            let alone = up(context, None)?;
            context.record(|| name("adapter"), &alone);
            return Ok(Var::constant(add(x, &alone)?));
        }
        up(context, Some(x))
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.norm.slots(slots);
        self.down.slots(slots);
        self.up.slots(slots);
    }
}

impl Projection {
    fn load(loader: &Loader<'_>, prefix: &str, outputs: usize, plan: ProjectionPlan) -> Result<Self> {
        Ok(match plan {
            ProjectionPlan::Static => Self::Static(Linear::load(loader, prefix, outputs, true)?),
            ProjectionPlan::Dynamic { k, gate_hidden, param, mode } => {
                loader.pipelines.mixture();
                let bases = format!("{prefix}.dpp");
                Self::Dynamic {
                    gate_hidden: Linear::load(loader, &format!("{prefix}.attn.fc1"), gate_hidden, false)?,
                    gate: Linear::load(loader, &format!("{prefix}.attn.fc2"), k, true)?,
                    bases: if loader.trains() {
                        Mixture::Stacked(Linear::load(loader, &bases, k * outputs, true)?)
                    } else {
                        Mixture::Fused(loader.bases(&bases, k)?)
                    },
                    rule: group_rule(mode, param),
                }
            }
        })
    }

    fn forward<'a>(
        &'a self,
        context: &mut Context<'a>,
        gate_name: &dyn Fn() -> String,
        scene: &Scene<'a>,
        row: usize,
        x: &Var,
        activation: Activation,
        residual: Option<&Var>,
    ) -> Result<Var> {
        match self {
            Self::Static(layer) => layer.forward(context, x, activation, residual),
            Self::Dynamic { gate_hidden, gate, bases, rule } => {
                let table = scene.patches(*rule)?;
                let features = patch_mean(context, scene, x, row, &table)?;
                let hidden = gate_hidden.forward(context, &features, Activation::Relu, None)?;
                let logits = gate.forward(context, &hidden, Activation::None, None)?;
                let weights = row_softmax(context, &logits, GATE_SCALE)?;
                context.record(gate_name, &weights);
                let out = match bases {
                    Mixture::Fused(bases) => {
                        let patches = scene.patch_of(row, &table);
                        Var::constant(basis_linear(x, bases, &weights, &scene.stage.orders, patches, activation)?)
                    }
                    Mixture::Stacked(layer) => {
                        let t = layer.forward(context, x, Activation::None, None)?;
                        mix(context, scene, row, &table, &t, &weights, activation)?
                    }
                };
                match residual {
                    Some(residual) => sum(context, &out, residual),
                    None => Ok(out),
                }
            }
        }
    }

    fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        match self {
            Self::Static(layer) => layer.slots(slots),
            Self::Dynamic { gate_hidden, gate, bases, .. } => {
                gate_hidden.slots(slots);
                gate.slots(slots);
                if let Mixture::Stacked(layer) = bases {
                    layer.slots(slots);
                }
            }
        }
    }
}
