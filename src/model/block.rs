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
    layers::{LayerNorm, Linear, Loader},
    plan::BlockPlan,
    scene::Scene,
};
use crate::{
    Result,
    device::Tensor,
    kernels::{
        Activation,
        add::add,
        mlp::{Branch, mlp},
        norm_linear::norm_linear,
        patch_attention::patch_attention,
        position_encoding::position_encoding,
        subm_conv::{OFFSETS, subm_conv},
    },
};

pub(super) struct Block {
    /// Name in a record: `enc0.block1`.
    name: String,
    heads: usize,
    scale: f32,
    order_row: usize,
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
    pub(super) fn forward(&self, context: &mut Context<'_>, scene: &Scene<'_>, x: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}.{part}", self.name);
        let stage = scene.stage;
        context.record(|| name("in"), &x);

        let bias = self.conv.bias.as_ref().expect("loaded with a bias");
        if !context.records() {
            let (weight, order) = (&self.conv.weight, stage.neighbor_order.as_ref());
            let (linear, norm) = (self.cpe_linear.layer(), self.cpe_norm.norm());
            let x1 = position_encoding(&x, weight, bias, &stage.neighbors, order, linear, norm)?;
            drop(x);
            return self.after_position(context, scene, x1);
        }
        let conv = subm_conv(&x, &self.conv.weight, bias, &stage.neighbors, stage.neighbor_order.as_ref())?;
        context.record(|| name("cpe_conv"), &conv);
        let linear = self.cpe_linear.forward(&conv, Activation::None, None)?;
        drop(conv);
        let x1 =
            self.add_to(context, "cpe", &x, |residual| self.cpe_norm.forward(&linear, Activation::None, residual))?;
        drop((x, linear));
        context.record(|| name("x1"), &x1);
        self.after_position(context, scene, x1)
    }

    /// `x1` `[n, c]` → `[n, c]`.
    fn after_position(&self, context: &mut Context<'_>, scene: &Scene<'_>, x1: Tensor) -> Result<Tensor> {
        let name = |part: &str| format!("{}.{part}", self.name);
        let (stage, row) = (scene.stage, self.order_row);
        let qkv = match self.qkv.plain() {
            Some(qkv) if !context.records() => norm_linear(&x1, self.norm1.norm(), qkv.layer())?,
            _ => {
                let normed = self.norm1.forward(&x1, Activation::None, None)?;
                context.record(|| name("norm1"), &normed);
                let part = |part: &str| name(&format!("qkv_{part}"));
                self.qkv.forward(context, &part, scene, row, &normed, Activation::None, None)?
            }
        };
        context.record(|| name("qkv"), &qkv);
        let windows = &stage.windows;
        let attended = patch_attention(
            &qkv,
            self.heads,
            self.scale,
            &stage.orders,
            &stage.inverses,
            row,
            &windows.list,
            &windows.table,
        )?;
        drop(qkv);
        let x2 =
            self.add_to(context, "attn", &x1, |residual| self.proj.forward(&attended, Activation::None, residual))?;
        drop((x1, attended));
        context.record(|| name("x2"), &x2);

        if !context.records()
            && let Some(hidden) = self.mlp_branch()
        {
            return self.branches(context, &name, scene, &x2, hidden);
        }
        let normed = self.norm2.forward(&x2, Activation::None, None)?;
        context.record(|| name("norm2"), &normed);
        let adapted = match &self.adapter {
            Some(adapter) => adapter.forward(context, &name, scene, row, &x2, &x2)?,
            None => x2,
        };
        let part = |part: &str| name(&format!("fc1_{part}"));
        let hidden = self.fc1.forward(context, &part, scene, row, &normed, Activation::Gelu, None)?;
        drop(normed);
        let part = |part: &str| name(&format!("fc2_{part}"));
        let mut inner = Context::default();
        let out = if context.records() {
            let mlp = self.fc2.forward(context, &part, scene, row, &hidden, Activation::None, None)?;
            context.record(|| name("mlp"), &mlp);
            add(&adapted, &mlp)?
        } else {
            self.fc2.forward(&mut inner, &part, scene, row, &hidden, Activation::None, Some(&adapted))?
        };
        context.record(|| name("out"), &out);
        Ok(out)
    }

    /// norm2 and the MLP, if nothing is added to its layers.
    fn mlp_branch(&self) -> Option<Branch<'_>> {
        let (first, second) = (self.fc1.plain()?.layer(), self.fc2.plain()?.layer());
        Some(Branch { norm: self.norm2.norm(), first, activation: Activation::Gelu, second })
    }

    /// `x2 + adapter(x2) + hidden(x2)` `[n, c]`, with as little between kernels as the adapter allows.
    fn branches(
        &self,
        context: &mut Context<'_>,
        name: &dyn Fn(&str) -> String,
        scene: &Scene<'_>,
        x2: &Tensor,
        hidden: Branch<'_>,
    ) -> Result<Tensor> {
        match &self.adapter {
            None => mlp(x2, x2, &[hidden]),
            Some(adapter) => match adapter.branch() {
                Some(adapter) => mlp(x2, x2, &[adapter, hidden]),
                None => mlp(x2, &adapter.forward(context, name, scene, self.order_row, x2, x2)?, &[hidden]),
            },
        }
    }

    /// `x + branch`: in one kernel, or in two when the branch alone is to be recorded.
    fn add_to(
        &self,
        context: &mut Context<'_>,
        part: &str,
        x: &Tensor,
        branch: impl Fn(Option<&Tensor>) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if !context.records() {
            return branch(Some(x));
        }
        let alone = branch(None)?;
        context.record(|| format!("{}.{part}", self.name), &alone);
        add(x, &alone)
    }
}
