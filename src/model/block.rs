//! One transformer block, pre-norm:
//!
//! ```text
//! x1 = x  + LN(Linear(subm_conv(x)))           position encoding
//! x2 = x1 + proj(attention(qkv(norm1(x1))))
//! y  = x2 + adapter(x2) + fc2(GELU(fc1(norm2(x2))))
//! ```
//!
//! The adapter is parallel to the MLP: norm2 and the MLP see x2 without it.

use super::{
    adapter::Adapter,
    context::Context,
    delta::AdaptedLinear,
    differentiable::{attention, convolution, dropped},
    layers::{LayerNorm, Linear, Loader, Slot},
    plan::BlockPlan,
    scene::Scene,
    tape::Var,
};
use crate::{
    Result,
    device::Tensor,
    kernels::{
        Activation,
        add::add,
        mlp::{self, mlp},
        norm_linear::norm_linear,
        position_encoding::position_encoding,
        subm_conv::OFFSETS,
    },
};

pub(super) struct Block {
    /// Name in a record: `enc0.block1`.
    name: String,
    heads: usize,
    scale: f32,
    order_row: usize,
    /// Its place among the blocks of encoder and decoder, from 0.
    index: u32,
    /// Its part of the deepest block's rate of dropping rows, 0 to 1.
    drop_share: f32,
    conv: Linear,
    cpe_linear: Linear,
    cpe_norm: LayerNorm,
    norm1: LayerNorm,
    qkv: AdaptedLinear,
    proj: Linear,
    adapter: Option<Adapter>,
    norm2: LayerNorm,
    fc1: AdaptedLinear,
    fc2: AdaptedLinear,
}

/// A residual branch of a block.
#[derive(Clone, Copy)]
enum Branch {
    Attention,
    Mlp,
}

impl Block {
    pub(super) fn load(loader: &Loader<'_>, plan: &BlockPlan) -> Result<Self> {
        let channels = plan.channels;
        let at = |suffix: &str| format!("{}.{suffix}", plan.prefix);
        // `backbone.enc.enc0.block1` → `enc0.block1`
        let name = plan.prefix.splitn(3, '.').last().unwrap_or_default().to_owned();
        loader.pipelines.attention(channels / plan.heads.max(1));
        Ok(Self {
            name,
            heads: plan.heads,
            scale: plan.scale,
            order_row: plan.order_index,
            index: plan.index,
            drop_share: plan.drop_share,
            conv: Linear::load_taps(loader, &at("cpe.0"), channels, OFFSETS, true)?,
            cpe_linear: Linear::load(loader, &at("cpe.1"), channels, true)?,
            cpe_norm: LayerNorm::load(loader, &at("cpe.2"))?,
            norm1: LayerNorm::load(loader, &at("norm1.0"))?,
            qkv: AdaptedLinear::load(loader, &at("attn.qkv"), 3 * channels, plan.qkv_bias, plan.qkv)?,
            proj: Linear::load(loader, &at("attn.proj"), channels, true)?,
            adapter: match plan.adaptive {
                Some(adaptive) => Some(Adapter::load(loader, &at("adaptive_module"), channels, adaptive)?),
                None => None,
            },
            norm2: LayerNorm::load(loader, &at("norm2.0"))?,
            fc1: AdaptedLinear::load(loader, &at("mlp.0.fc1"), plan.mlp_channels, true, plan.fc1)?,
            fc2: AdaptedLinear::load(loader, &at("mlp.0.fc2"), channels, true, plan.fc2)?,
        })
    }

    /// `x` `[n, c]` → `[n, c]`.
    pub(super) fn forward<'a>(&'a self, context: &mut Context<'a>, scene: &Scene<'a>, x: Var) -> Result<Var> {
        let name = |part: &str| format!("{}.{part}", self.name);
        let (stage, row) = (scene.stage, self.order_row);
        context.record(|| name("in"), &x);

        let x1 = if context.fuses() {
            self.encode_position(scene, &x)?
        } else {
            let conv = convolution(context, stage, &self.conv, &x)?;
            context.record(|| name("cpe_conv"), &conv);
            let linear = self.cpe_linear.forward(context, &conv, Activation::None, None)?;
            drop(conv);
            self.add_to(context, "cpe", None, &x, |context, residual| {
                self.cpe_norm.forward(context, &linear, Activation::None, residual)
            })?
        };
        drop(x);
        context.record(|| name("x1"), &x1);

        let qkv = match self.qkv.plain() {
            Some(qkv) if context.fuses() => Var::constant(norm_linear(&x1, self.norm1.norm(), qkv.layer())?),
            _ => {
                let normed = self.norm1.forward(context, &x1, Activation::None, None)?;
                context.record(|| name("norm1"), &normed);
                let part = |part: &str| name(&format!("qkv_{part}"));
                self.qkv.forward(context, &part, scene, row, &normed, Activation::None, None)?
            }
        };
        context.record(|| name("qkv"), &qkv);
        let attended = attention(context, stage, row, self.heads, self.scale, &qkv)?;
        drop(qkv);
        let x2 = self.add_to(context, "attn", Some(Branch::Attention), &x1, |context, residual| {
            self.proj.forward(context, &attended, Activation::None, residual)
        })?;
        drop((x1, attended));
        context.record(|| name("x2"), &x2);

        if let Some(hidden) = self.mlp_branch().filter(|_| context.fuses()) {
            return self.branches(context, &name, scene, &x2, hidden);
        }
        let normed = self.norm2.forward(context, &x2, Activation::None, None)?;
        context.record(|| name("norm2"), &normed);
        let adapted = match &self.adapter {
            Some(adapter) => adapter.forward(context, &name, scene, row, &x2)?,
            None => x2,
        };
        let part = |part: &str| name(&format!("fc1_{part}"));
        let hidden = self.fc1.forward(context, &part, scene, row, &normed, Activation::Gelu, None)?;
        drop(normed);
        let part = |part: &str| name(&format!("fc2_{part}"));
        let out = self.add_to(context, "mlp", Some(Branch::Mlp), &adapted, |context, residual| {
            self.fc2.forward(context, &part, scene, row, &hidden, Activation::None, residual)
        })?;
        context.record(|| name("out"), &out);
        Ok(out)
    }

    /// `x + LN(Linear(subm_conv(x)))`, with as little between kernels as the device allows.
    fn encode_position(&self, scene: &Scene<'_>, x: &Tensor) -> Result<Var> {
        let (stage, conv) = (scene.stage, self.conv.layer());
        let bias = conv.bias.expect("loaded with a bias");
        let (linear, norm, order) = (self.cpe_linear.layer(), self.cpe_norm.norm(), stage.neighbor_order.as_ref());
        let x1 = position_encoding(x, conv.weight, bias, &stage.neighbors, order, linear, norm)?;
        Ok(Var::constant(x1))
    }

    /// norm2 and the MLP, if nothing is added to its layers.
    fn mlp_branch(&self) -> Option<mlp::Branch<'_>> {
        let (first, second) = (self.fc1.plain()?.layer(), self.fc2.plain()?.layer());
        Some(mlp::Branch { norm: self.norm2.norm(), first, activation: Activation::Gelu, second })
    }

    /// `x2 + adapter(x2) + hidden(x2)` `[n, c]`, with as little between kernels as the adapter allows.
    fn branches<'a>(
        &'a self,
        context: &mut Context<'a>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'a>,
        x2: &Var,
        hidden: mlp::Branch<'_>,
    ) -> Result<Var> {
        let Some(adapter) = &self.adapter else { return Ok(Var::constant(mlp(x2, x2, &[hidden])?)) };
        let out = if let Some(branch) = adapter.branch() {
            mlp(x2, x2, &[branch, hidden])?
        } else {
            let adapted = adapter.forward(context, name, scene, self.order_row, x2)?;
            mlp(x2, &adapted, &[hidden])?
        };
        Ok(Var::constant(out))
    }

    /// `x + branch`: in one kernel, or in two when the branch alone is to be recorded, or rows of it dropped.
    fn add_to<'a>(
        &'a self,
        context: &mut Context<'a>,
        part: &str,
        droppable: Option<Branch>,
        x: &Var,
        branch: impl Fn(&mut Context<'a>, Option<&Var>) -> Result<Var>,
    ) -> Result<Var> {
        let dropping = droppable.and_then(|kind| context.dropping(2 * self.index + kind as u32, self.drop_share));
        if let Some(dropping) = dropping {
            let alone = branch(context, None)?;
            return dropped(context, &alone, dropping, x);
        }
        if !context.records() {
            return branch(context, Some(x));
        }
        let alone: Tensor = branch(context, None)?.into_tensor();
        context.record(|| format!("{}.{part}", self.name), &alone);
        Ok(Var::constant(add(x, &alone)?))
    }

    /// Its parameters that are trained.
    pub(super) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.conv.slots(slots);
        self.cpe_linear.slots(slots);
        self.cpe_norm.slots(slots);
        self.norm1.slots(slots);
        self.qkv.slots(slots);
        self.proj.slots(slots);
        if let Some(adapter) = &mut self.adapter {
            adapter.slots(slots);
        }
        self.norm2.slots(slots);
        self.fc1.slots(slots);
        self.fc2.slots(slots);
    }
}
