//! `mlp`: `out = residual + Σ_b second_b(act_b(first_b(norm_b(x))))`, the branches of a block that work on every point by
//! itself: its MLP, and beside it the bottleneck of an adapter.
//!
//! A GPU runs the kernels one after another. The CPU takes a block of rows through all of them, so that the hidden
//! layers, four times as wide as x, never leave a cache, and branches share the statistics of x. Sums are in the same
//! order: results have the same bits.

use super::{
    Activation, ensure,
    layer_norm::{layer_norm, scale_and_shift, standardise},
    linear::{Epilogue, Finish, Operand, linear, multiply_rows},
    product::{Tiles, in_blocks},
    scratch::with_scratch,
    weight::Weight,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Work, bytes_of},
    },
};

/// A normalisation over the channels, see [`layer_norm`].
#[derive(Clone, Copy)]
pub struct Norm<'a> {
    /// `[c]`
    pub gamma: &'a Tensor,
    /// `[c]`
    pub beta: &'a Tensor,
}

/// A linear layer.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// `[o, i]`
    pub weight: &'a Weight,
    /// `[o]`
    pub bias: Option<&'a Tensor>,
}

/// `second(act(first(norm(x))))`
#[derive(Clone, Copy)]
pub struct Branch<'a> {
    /// Of x.
    pub norm: Norm<'a>,
    /// `[h, c]`
    pub first: Layer<'a>,
    /// Of the hidden layer.
    pub activation: Activation,
    /// `[c, h]`
    pub second: Layer<'a>,
}

/// `x` and `residual` `[n, c]` → `[n, c]`; the branches are added in their order, one at least.
pub fn mlp(x: &Tensor, residual: &Tensor, branches: &[Branch<'_>]) -> Result<Tensor> {
    let (rows, columns) = (x.rows(), x.columns());
    ensure!("mlp", !branches.is_empty() && x.dtype() == DType::F32, "{} branches of x {x:?}", branches.len());
    ensure!("mlp", residual.shape() == x.shape(), "residual {residual:?} for x {:?}", x.shape());
    for Branch { norm, first, second, .. } in branches {
        let fits = |layer: &Layer<'_>, inner, outputs| {
            let Layer { weight, bias } = layer;
            let shape = [weight.taps(), weight.inner(), weight.outputs()];
            shape == [1, inner, outputs] && bias.is_none_or(|bias| bias.len() == outputs && bias.dtype() == DType::F32)
        };
        let hidden = first.weight.outputs();
        let layers = fits(first, columns, hidden) && fits(second, hidden, columns);
        ensure!("mlp", layers, "{:?} and {:?} for x {:?}", first.weight, second.weight, x.shape());
        let norms = norm.gamma.len() == columns && norm.beta.len() == columns;
        ensure!("mlp", norms, "gamma {:?}, beta {:?} for x {:?}", norm.gamma, norm.beta, x.shape());
    }
    let Device::Cpu(device) = x.device() else { return one_by_one(x, residual, branches) };
    if rows <= FEW_ROWS {
        return one_by_one(x, residual, branches);
    }
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    let weights = || branches.iter().flat_map(|b| [b.first.weight, b.second.weight]);
    let per_row = weights().map(|w| 2 * w.inner() * w.outputs()).sum::<usize>() + 8 * columns * branches.len();
    let bytes = bytes_of(&[x, residual, &out]) + weights().map(|w| bytes_of(&[w.tensor()])).sum::<u64>();
    device.run("mlp", Work::Flops((rows * per_row) as u64), bytes, || {
        cpu(x.host(), residual.host(), branches, columns, out.host_mut());
    });
    Ok(out)
}

/// A kernel for each step.
fn one_by_one(x: &Tensor, residual: &Tensor, branches: &[Branch<'_>]) -> Result<Tensor> {
    let mut sum = residual.clone();
    for Branch { norm, first, activation, second } in branches {
        let normed = layer_norm(x, norm.gamma, norm.beta, Activation::None, None)?;
        let epilogue = Epilogue { bias: first.bias, activation: *activation, ..Epilogue::default() };
        let hidden = linear(&normed, first.weight, epilogue)?;
        let epilogue = Epilogue { bias: second.bias, residual: Some(&sum), ..Epilogue::default() };
        sum = linear(&hidden, second.weight, epilogue)?;
    }
    Ok(sum)
}

/// Elements of a hidden layer in a block of rows: a quarter of a second-level cache, or half of a small one.
const CPU_BLOCK: usize = 1 << 16;
/// Up to this many rows threads share out the columns of each product, see [`linear`].
const FEW_ROWS: usize = 64;

fn cpu(x: &[f32], residual: &[f32], branches: &[Branch<'_>], columns: usize, out: &mut [f32]) {
    let hidden = branches.iter().map(|branch| branch.first.weight.outputs()).max().unwrap_or(0);
    if out.is_empty() {
        return;
    }
    let block = (CPU_BLOCK / hidden.max(1)).clamp(64, 1024).next_multiple_of(8);
    in_blocks(out, columns, 0, block, |first_row, _, out| {
        let place = first_row * columns..first_row * columns + out.len();
        let (x, residual) = (&x[place.clone()], &residual[place]);
        let rows = out.len() / columns;
        with_scratch([x.len(), x.len(), x.len(), rows * hidden], |[unit, normed, sum, hidden]| {
            standardise(x, columns, unit);
            for (i, Branch { norm, first, activation, second }) in branches.iter().enumerate() {
                scale_and_shift(unit, norm.gamma.host(), norm.beta.host(), normed);
                let hidden = &mut hidden[..rows * first.weight.outputs()];
                layer(first, normed, *activation, None, hidden);
                if i > 0 {
                    sum.copy_from_slice(out);
                }
                layer(second, hidden, Activation::None, Some(if i > 0 { sum } else { residual }), out);
            }
        });
    });
}

fn layer(layer: &Layer<'_>, x: &[f32], activation: Activation, residual: Option<&[f32]>, out: &mut [f32]) {
    let (columns, inner) = (layer.weight.outputs(), layer.weight.inner());
    let finish = Finish { columns, bias: layer.bias.map(Tensor::host), activation, residual, ..Finish::default() };
    let tiles = Tiles::tap(layer.weight.tensor().host(), 0, columns, inner);
    multiply_rows(Operand { x, inner, order: None }, tiles, &finish, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, cpu as cpu_device, get, put},
    };

    /// The parameters of a branch on a device.
    struct Parts {
        norm: [Tensor; 2],
        layers: [(Weight, Tensor); 2],
        activation: Activation,
    }

    impl Parts {
        fn new(device: &Device, [c, h]: [usize; 2], activation: Activation, noise: &mut Noise) -> Self {
            let norm = [(); 2].map(|()| put(device, &[c], &noise.floats(c)));
            let layers = [[h, c], [c, h]].map(|[o, i]| {
                // Weights of a size that leaves sums near 1.
                let weight: Vec<f32> = noise.floats(o * i).iter().map(|w| w / (i as f32).sqrt()).collect();
                (Weight::from_slice(device, o, 1, &weight).unwrap(), put(device, &[o], &noise.floats(o)))
            });
            Self { norm, layers, activation }
        }

        fn branch(&self) -> Branch<'_> {
            let [first, second] = self.layers.each_ref().map(|(weight, bias)| Layer { weight, bias: Some(bias) });
            let norm = Norm { gamma: &self.norm[0], beta: &self.norm[1] };
            Branch { norm, first, activation: self.activation, second }
        }
    }

    /// Runs `kernel` on x and residual `[n, c]` with an adapter of 7 channels and an MLP of h.
    fn with_branches<R>(
        device: &Device,
        [n, c, h]: [usize; 3],
        kernel: impl Fn(&Tensor, &Tensor, &[Branch<'_>]) -> R,
    ) -> R {
        let mut noise = Noise::new((n * 1000 + c) as u64);
        let [x, residual] = [(); 2].map(|()| put(device, &[n, c], &noise.floats(n * c)));
        let adapter = Parts::new(device, [c, 7], Activation::Relu, &mut noise);
        let hidden = Parts::new(device, [c, h], Activation::Gelu, &mut noise);
        kernel(&x, &residual, &[adapter.branch(), hidden.branch()])
    }

    #[test]
    fn every_size_agrees_with_the_gpu() {
        for n in SIZES {
            for [c, h] in [[48, 192], [9, 20], [130, 64]] {
                // The widest weight is bound whole. Two products of up to 192 terms near 1/10, and what a GPU's
                // reciprocal square root loses in the normalisation.
                agree_split(5e-5, (4 * c * h).max(64 * 4 * h.max(c)) as u64, |device| {
                    with_branches(device, [n, c, h], |x, residual, branches| mlp(x, residual, branches).unwrap())
                });
            }
        }
    }

    #[test]
    fn a_block_of_rows_gives_the_bits_of_one_kernel_after_another() {
        let device = cpu_device();
        for shape in [[65, 48, 192], [1025, 9, 20], [700, 384, 1536], [2000, 130, 64]] {
            with_branches(&device, shape, |x, residual, branches| {
                for count in 1..=2 {
                    let fused: Vec<f32> = get(&mlp(x, residual, &branches[..count]).unwrap());
                    let separate: Vec<f32> = get(&one_by_one(x, residual, &branches[..count]).unwrap());
                    assert!(fused == separate, "{shape:?}, {count} branches");
                    assert!(fused.iter().all(|v| v.is_finite()));
                }
            });
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu_device();
        with_branches(&device, [80, 16, 8], |x, residual, branches| {
            assert!(mlp(x, residual, &[]).is_err());
            let narrow = put(&device, &[80, 8], &[0.0f32; 640]);
            assert!(mlp(&narrow, &narrow, branches).is_err());
            assert!(mlp(x, &narrow, branches).is_err());
        });
    }
}
