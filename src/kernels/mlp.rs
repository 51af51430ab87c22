//! `mlp`: `out = residual + Σ_b second_b(act_b(first_b(norm_b(x))))`, the branches of a block that work on every point by
//! itself: its MLP, and beside it the bottleneck of an adapter.
//!
//! A GPU runs the kernels one after another. The CPU takes a block of rows through all of them, so that the hidden
//! layers, four times as wide as x, never leave a cache, and branches share the statistics of x. Sums are in the same
//! order: results have the same bits.

use super::{
    Activation, ensure,
    layer_norm::{FLOPS, Norm, standardise},
    linear::{FEW_ROWS, Layer, cpu_block},
    product::in_blocks,
    scratch::with_scratch,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Work, bytes_of},
    },
};

/// `second(act(first(norm(x))))`
#[derive(Clone, Copy, Debug)]
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
        let hidden = first.weight.outputs();
        let fits = norm.fits(columns) && first.fits(columns, hidden) && second.fits(hidden, columns);
        ensure!("mlp", fits, "{norm:?}, {first:?} and {second:?} for x {:?}", x.shape());
    }
    let device = match x.device() {
        // The threads are to share out the columns of each product, not the rows.
        Device::Cpu(device) if rows > FEW_ROWS => device,
        _ => return one_by_one(x, residual, branches),
    };
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    let layers = || branches.iter().flat_map(|branch| [branch.first, branch.second]);
    let flops = rows * (FLOPS * columns * branches.len() + layers().map(|layer| layer.flops()).sum::<usize>());
    let bytes = bytes_of(&[x, residual, &out]) + layers().map(|layer| layer.bytes()).sum::<u64>();
    device.run("mlp", Work::Flops(flops as u64), bytes, || {
        cpu(x.host(), residual.host(), branches, columns, out.host_mut());
    });
    Ok(out)
}

/// A kernel for each step.
fn one_by_one(x: &Tensor, residual: &Tensor, branches: &[Branch<'_>]) -> Result<Tensor> {
    let mut sum = residual.clone();
    for Branch { norm, first, activation, second } in branches {
        let normed = norm.of(x, None)?;
        let hidden = first.of(&normed, *activation, None)?;
        sum = second.of(&hidden, Activation::None, Some(&sum))?;
    }
    Ok(sum)
}

fn cpu(x: &[f32], residual: &[f32], branches: &[Branch<'_>], columns: usize, out: &mut [f32]) {
    let hidden = branches.iter().map(|branch| branch.first.weight.outputs()).max().unwrap_or(0);
    if out.is_empty() {
        return;
    }
    in_blocks(out, columns, 0, cpu_block(hidden), |first_row, _, out| {
        let place = first_row * columns..first_row * columns + out.len();
        let (x, residual) = (&x[place.clone()], &residual[place]);
        let rows = out.len() / columns;
        with_scratch([x.len(), x.len(), x.len(), rows * hidden], |[unit, normed, sum, hidden]| {
            standardise(x, columns, unit);
            for (i, Branch { norm, first, activation, second }) in branches.iter().enumerate() {
                norm.scale_and_shift(unit, normed);
                let hidden = &mut hidden[..rows * first.weight.outputs()];
                first.rows(normed, *activation, None, hidden);
                if i > 0 {
                    sum.copy_from_slice(out);
                }
                second.rows(hidden, Activation::None, Some(if i > 0 { sum } else { residual }), out);
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, cpu as cpu_device, get, put},
        weight::Weight,
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
                // A weight is bound whole, in quads. Two products of up to 192 terms near 1/10, and what a GPU's
                // reciprocal square root loses in the normalisation.
                agree_split(5e-5, (4 * (c + 4) * (h + 4)).max(64 * 4 * h.max(c)) as u64, |device| {
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
