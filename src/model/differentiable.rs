//! The differentiable operations of the network: each is a kernel of the forward pass, and right under it the kernels
//! that bring its gradient back.
//!
//! Where no gradient is wanted, an operation is its forward kernel, fused with what follows it, and nothing else.

use super::{
    context::Context,
    layers::{LayerNorm, Linear, Matrix, Vector},
    scene::Scene,
    tape::{Gradients, Var},
};
use crate::{
    Result,
    device::Tensor,
    geometry::{
        patches::PatchTable,
        pyramid::{Pooling, Stage},
    },
    kernels::{
        Activation,
        activation::activation as activate,
        activation_backward::activation_backward,
        add::add,
        basis_mix::basis_mix,
        basis_mix_backward::basis_mix_backward,
        column_sum::column_sum,
        drop_path::{DropPath, drop_path},
        gather_rows::add_rows,
        layer_norm::layer_norm,
        layer_norm_backward::{Normed, layer_norm_backward, layer_norm_parameters_backward},
        linear::{Epilogue, linear},
        low_rank_delta::{LowRank, PatchOf},
        low_rank_delta_backward::low_rank_delta_backward,
        patch_attention::patch_attention,
        patch_attention_backward::{Attention, patch_attention_backward},
        segment_max::segment_max,
        segment_max_backward::segment_max_backward,
        segment_mean::Segments,
        segment_mean_backward::segment_mean_backward,
        segment_sum::segment_sum,
        slice_columns::slice_columns,
        softmax::softmax,
        softmax_backward::softmax_backward,
        subm_conv::subm_conv,
        weight_gradient::weight_gradient,
    },
};
use std::rc::Rc;

/// The factors of a low-rank weight delta in a pass.
pub(super) struct DeltaFactors<'a> {
    /// `B x`, `[n, r]`.
    pub(super) z: Var,
    /// `A` of every patch, `[p, o, r]`.
    pub(super) a: Factor<'a>,
    /// The serialized order and its patches; without them all points share one `A`.
    pub(super) patches: Option<(usize, Rc<PatchTable>)>,
    /// alpha / rank.
    pub(super) scale: f32,
}

/// Where `A` comes from.
pub(super) enum Factor<'a> {
    /// A generator computed it.
    Generated(Var),
    /// It is a parameter, `[1, o · r]`.
    Learned(&'a Vector),
}

impl Factor<'_> {
    pub(super) fn tensor(&self) -> Result<Tensor> {
        match self {
            Self::Generated(var) => Ok((**var).clone()),
            Self::Learned(vector) => vector.value().reshaped(&[1, vector.value().len()]),
        }
    }

    fn wants_gradient(&self) -> bool {
        match self {
            Self::Generated(var) => var.wants_gradient(),
            Self::Learned(vector) => vector.id().is_some(),
        }
    }
}

/// `act(x Wᵀ + b + delta) + residual`, `[n, i]` → `[n, o]`; a residual goes with [`Activation::None`] only where
/// there is a delta.
pub(super) fn linear_layer<'a>(
    context: &mut Context<'a>,
    stage: Option<&'a Stage>,
    layer: &'a Linear,
    x: &Var,
    delta: Option<DeltaFactors<'a>>,
    activation: Activation,
    residual: Option<&Var>,
) -> Result<Var> {
    let wanted = context.trains()
        && (x.wants_gradient()
            || layer.trains()
            || residual.is_some_and(Var::wants_gradient)
            || delta.as_ref().is_some_and(|delta| delta.z.wants_gradient() || delta.a.wants_gradient()));
    let a = delta.as_ref().map(|delta| delta.a.tensor()).transpose()?;
    let low_rank = delta.as_ref().zip(a.as_ref()).map(|(delta, a)| delta.low_rank(a, stage));
    let bias = layer.bias.as_ref().map(Vector::value);
    let forward = |activation, residual: Option<&Var>| {
        let residual = residual.map(|r| &**r);
        linear(x, layer.weight.forward(), Epilogue { bias, delta: low_rank, activation, residual })
    };
    if !wanted {
        return Ok(Var::constant(forward(activation, residual)?));
    }
    if activation != Activation::None {
        let before = linear_layer(context, stage, layer, x, delta, Activation::None, None)?;
        let out = activated(context, before, activation)?;
        return residual.map_or(Ok(out.clone()), |residual| sum(context, &out, residual));
    }
    let result = forward(Activation::None, residual)?;
    let (x, residual) = (x.clone(), residual.and_then(Var::node));
    Ok(context.node(true, result, move |dy, gradients| {
        if residual.is_some() {
            gradients.add_to(residual, dy.clone())?;
        }
        if let Some(DeltaFactors { z, a: factor, patches, scale }) = &delta {
            let a = factor.tensor()?;
            let low_rank = LowRank { z, a: &a, patches: patch_of(patches.as_ref(), stage), scale: *scale };
            let gradient = low_rank_delta_backward(dy, low_rank, stage.map(|stage| &stage.orders))?;
            gradients.add(z, gradient.z)?;
            match factor {
                Factor::Generated(a) => gradients.add(a, gradient.a)?,
                Factor::Learned(vector) => vector.add_gradient(gradients, &gradient.a)?,
            }
        }
        layer.weight.add_gradient(gradients, || weight_gradient(&x, dy, None))?;
        add_bias_gradient(gradients, layer.bias.as_ref(), dy)?;
        gradients.fold(x.node(), |before| {
            let epilogue = Epilogue { residual: before, ..Epilogue::default() };
            linear(dy, layer.weight.backward()?, epilogue)
        })
    }))
}

impl DeltaFactors<'_> {
    pub(super) fn low_rank<'t>(&'t self, a: &'t Tensor, stage: Option<&'t Stage>) -> LowRank<'t> {
        LowRank { z: &self.z, a, patches: patch_of(self.patches.as_ref(), stage), scale: self.scale }
    }
}

fn patch_of<'t>(patches: Option<&'t (usize, Rc<PatchTable>)>, stage: Option<&'t Stage>) -> Option<PatchOf<'t>> {
    let ((row, table), stage) = patches.zip(stage)?;
    Some(PatchOf { inverse: &stage.inverses, row: *row, patch_of_rank: &table.patch_of_rank })
}

fn add_bias_gradient(gradients: &mut Gradients, bias: Option<&Vector>, dy: &Tensor) -> Result<()> {
    match bias {
        Some(bias) if bias.id().is_some() => bias.add_gradient(gradients, &column_sum(dy)?),
        _ => Ok(()),
    }
}

/// `act(x)`, of an x that is on the tape.
fn activated(context: &mut Context<'_>, x: Var, activation: Activation) -> Result<Var> {
    let result = activate(&x, activation)?;
    Ok(context.node(true, result, move |dy, gradients| gradients.add(&x, activation_backward(activation, &x, dy)?)))
}

/// `act(LN(x)) + residual`, `[n, c]`.
pub(super) fn layer_norm_layer<'a>(
    context: &mut Context<'a>,
    layer: &'a LayerNorm,
    x: &Var,
    activation: Activation,
    residual: Option<&Var>,
) -> Result<Var> {
    let (gamma, beta) = (layer.gamma.value(), layer.beta.value());
    let result = layer_norm(x, gamma, beta, activation, residual.map(|r| &**r))?;
    let wanted =
        context.trains() && (x.wants_gradient() || layer.trains() || residual.is_some_and(Var::wants_gradient));
    let (x, residual) = (x.clone(), residual.and_then(Var::node));
    Ok(context.node(wanted, result, move |dy, gradients| {
        if residual.is_some() {
            gradients.add_to(residual, dy.clone())?;
        }
        let normed = Normed { x: &x, gamma, beta, activation };
        if layer.trains() {
            let both = layer_norm_parameters_backward(normed, dy)?;
            let c = gamma.len();
            let flat = both.reshaped(&[1, 2 * c])?;
            layer.gamma.add_gradient(gradients, &slice_columns(&flat, 0..c)?)?;
            layer.beta.add_gradient(gradients, &slice_columns(&flat, c..2 * c)?)?;
        }
        if x.wants_gradient() {
            gradients.add(&x, layer_norm_backward(normed, dy)?)?;
        }
        Ok(())
    }))
}

/// The sparse convolution over a stage's neighbours, `[n, i]` → `[n, o]`.
pub(super) fn convolution<'a>(context: &mut Context<'a>, stage: &'a Stage, layer: &'a Linear, x: &Var) -> Result<Var> {
    let bias = layer.bias.as_ref().expect("loaded with a bias");
    let order = stage.neighbor_order.as_ref();
    let result = subm_conv(x, layer.weight.forward(), bias.value(), &stage.neighbors, order)?;
    let wanted = context.trains() && (x.wants_gradient() || layer.trains());
    let x = x.clone();
    Ok(context.node(wanted, result, move |dy, gradients| {
        layer.weight.add_gradient(gradients, || weight_gradient(&x, dy, Some(&stage.neighbors)))?;
        add_bias_gradient(gradients, Some(bias), dy)?;
        if x.wants_gradient() {
            let zero = vec![0.0f32; x.columns()];
            let zero = Tensor::from_slice(dy.device(), &[x.columns()], &zero)?;
            gradients.add(&x, subm_conv(dy, layer.weight.backward()?, &zero, &stage.neighbors, order)?)?;
        }
        Ok(())
    }))
}

/// Attention within the windows of a stage's serialized order `row`, qkv `[n, 3c]` → `[n, c]`.
pub(super) fn attention<'a>(
    context: &mut Context<'a>,
    stage: &'a Stage,
    row: usize,
    heads: usize,
    scale: f32,
    qkv: &Var,
) -> Result<Var> {
    let (orders, inverses, windows) = (&stage.orders, &stage.inverses, &stage.windows);
    let result = patch_attention(qkv, heads, scale, orders, inverses, row, &windows.list, &windows.table)?;
    let (wanted, qkv, attended) = (context.trains() && qkv.wants_gradient(), qkv.clone(), result.clone());
    Ok(context.node(wanted, result, move |dy, gradients| {
        let (windows, table) = (&windows.list[..], &windows.table);
        let attention = Attention { qkv: &qkv, heads, scale, orders, inverses, row, windows, table };
        gradients.add(&qkv, patch_attention_backward(&attention, &attended, dy)?)
    }))
}

/// The largest of every cell's members, channel by channel, fine `[n, c]` → coarse `[cells, c]`.
pub(super) fn max_pool<'a>(context: &mut Context<'a>, pooling: &'a Pooling, fine: &Var) -> Result<Var> {
    let Pooling { members, starts, .. } = pooling;
    let result = segment_max(fine, members, starts)?;
    let (wanted, fine, pooled) = (context.trains() && fine.wants_gradient(), fine.clone(), result.clone());
    Ok(context.node(wanted, result, move |dy, gradients| {
        gradients.add(&fine, segment_max_backward(&fine, members, starts, &pooled, dy)?)
    }))
}

/// `base[i] + coarse[cell of i]`, `[n, c]`.
pub(super) fn add_coarse<'a>(context: &mut Context<'a>, pooling: &'a Pooling, base: &Var, coarse: &Var) -> Result<Var> {
    let result = add_rows(base, &pooling.cluster, coarse)?;
    let wanted = context.trains() && (base.wants_gradient() || coarse.wants_gradient());
    let (base, coarse) = (base.node(), coarse.node());
    Ok(context.node(wanted, result, move |dy, gradients| {
        gradients.add_to(base, dy.clone())?;
        if coarse.is_some() {
            let sums = segment_sum(dy, 0..dy.columns(), &pooling.members, 0, &pooling.starts)?;
            gradients.add_to(coarse, sums)?;
        }
        Ok(())
    }))
}

/// `residual + x`.
pub(super) fn sum(context: &mut Context<'_>, x: &Var, residual: &Var) -> Result<Var> {
    let result = add(residual, x)?;
    let wanted = context.trains() && (x.wants_gradient() || residual.wants_gradient());
    let nodes = [x.node(), residual.node()];
    Ok(context.node(wanted, result, move |dy, gradients| {
        nodes.into_iter().try_for_each(|node| gradients.add_to(node, dy.clone()))
    }))
}

/// `residual + x` with whole rows of x dropped.
pub(super) fn dropped(context: &mut Context<'_>, x: &Var, dropping: DropPath, residual: &Var) -> Result<Var> {
    let result = drop_path(x, dropping, Some(residual))?;
    let wanted = context.trains() && (x.wants_gradient() || residual.wants_gradient());
    let (x, residual) = (x.node(), residual.node());
    Ok(context.node(wanted, result, move |dy, gradients| {
        gradients.add_to(residual, dy.clone())?;
        if x.is_some() { gradients.add_to(x, drop_path(dy, dropping, None)?) } else { Ok(()) }
    }))
}

/// The mean of `x` `[n, c]` over every patch of a stage's serialized order `row` → `[p, c]`.
pub(super) fn patch_mean<'a>(
    context: &mut Context<'a>,
    scene: &Scene<'a>,
    x: &Var,
    row: usize,
    table: &Rc<PatchTable>,
) -> Result<Var> {
    let result = scene.patch_mean(x, row, table)?;
    let (wanted, node, rows) = (context.trains() && x.wants_gradient(), x.node(), x.rows());
    let (table, stage) = (Rc::clone(table), scene.stage);
    Ok(context.node(wanted, result, move |dy, gradients| {
        let segments = Segments::Ranges(&table.ranges, &table.divisor);
        gradients.add_to(node, segment_mean_backward(dy, &stage.orders, row, segments, rows)?)
    }))
}

/// `softmax(scale · x)` of every row.
pub(super) fn row_softmax(context: &mut Context<'_>, x: &Var, scale: f32) -> Result<Var> {
    let result = softmax(x, scale)?;
    let (wanted, node, y) = (context.trains() && x.wants_gradient(), x.node(), result.clone());
    Ok(context.node(wanted, result, move |dy, gradients| gradients.add_to(node, softmax_backward(&y, scale, dy)?)))
}

/// Mixes what K layers gave, `t` `[n, k · c]`, by the gate of each point's patch, `gate` `[p, k]` → `[n, c]`.
pub(super) fn mix<'a>(
    context: &mut Context<'a>,
    scene: &Scene<'a>,
    row: usize,
    table: &Rc<PatchTable>,
    t: &Var,
    gate: &Var,
    activation: Activation,
) -> Result<Var> {
    let stage = scene.stage;
    let result = basis_mix(t, gate, scene.patch_of(row, table), activation)?;
    let wanted = context.trains() && (t.wants_gradient() || gate.wants_gradient());
    let (t, gate, table) = (t.clone(), gate.clone(), Rc::clone(table));
    Ok(context.node(wanted, result, move |dy, gradients| {
        let patches = PatchOf { inverse: &stage.inverses, row, patch_of_rank: &table.patch_of_rank };
        let back = basis_mix_backward(&t, &gate, patches, &stage.orders, &table.starts, activation, dy)?;
        gradients.add(&t, back.t)?;
        gradients.add(&gate, back.gate)
    }))
}

impl Matrix {
    /// Adds to its gradient, if it is trained.
    fn add_gradient(&self, gradients: &mut Gradients, gradient: impl FnOnce() -> Result<Tensor>) -> Result<()> {
        match self.id() {
            Some(id) => gradients.add_parameter(id, gradient()?),
            None => Ok(()),
        }
    }
}

impl Vector {
    /// Adds to its gradient, if it is trained.
    fn add_gradient(&self, gradients: &mut Gradients, gradient: &Tensor) -> Result<()> {
        match self.id() {
            Some(id) => gradients.add_parameter(id, gradient.reshaped(self.value().shape())?),
            None => Ok(()),
        }
    }
}
