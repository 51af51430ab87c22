//! `adamw`: one step of `AdamW` (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), with clipping
//! folded in.
//!
//! Elementwise, with g the gradient times `min(1, max_norm / (norm + 1e-6))` where it is clipped, and t the number of
//! steps, this one included:
//!
//! ```text
//! θ ← (1 - lr · wd) θ        m ← β1 m + (1 - β1) g        v ← β2 v + (1 - β2) g²
//! θ ← θ - lr / (1 - β1^t) · m / (√v / √(1 - β2^t) + eps)
//! ```
//!
//! as `torch.optim.AdamW` and `torch.nn.utils.clip_grad_norm_` have it. β1 may change from step to step (`OneCycle` does
//! so); the corrections take the current one. The factor of clipping is computed on the device from the sum of squares
//! that is there, so that no step waits for the host.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{adamw as table, params},
    },
};

params!(adamw {
    n: u32,
    has_clip: u32,
    max_norm: f32,
    decay: f32,
    fresh1: f32,
    beta2: f32,
    fresh2: f32,
    step_size: f32,
    root_correction: f32,
    eps: f32,
});

/// Elements of one task of the twin.
const CPU_ELEMENTS: usize = 4096;

/// The numbers of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate, lr.
    pub learning_rate: f64,
    /// β1, at least 0 and below 1.
    pub beta1: f64,
    /// β2, at least 0 and below 1.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// wd.
    pub weight_decay: f64,
}

impl AdamW {
    /// The reference's: betas 0.9 and 0.999, eps 1e-8, weight decay 0.01.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }
    }
}

/// The moments of one parameter's gradient.
#[derive(Clone, Debug)]
pub struct Moments {
    /// m, of the parameter's shape.
    pub first: Tensor,
    /// v, of the parameter's shape.
    pub second: Tensor,
    /// Steps taken.
    pub steps: u32,
}

impl Moments {
    /// Those of a parameter before its first step.
    pub fn new(parameter: &Tensor) -> Result<Self> {
        let zeros = || Tensor::from_slice(parameter.device(), parameter.shape(), &vec![0.0f32; parameter.len()]);
        Ok(Self { first: zeros()?, second: zeros()?, steps: 0 })
    }
}

/// Clipping of all gradients by their global norm.
#[derive(Clone, Copy, Debug)]
pub struct Clip<'a> {
    /// `[1]`: the sum of squares of all gradients ([`super::sum_squares`]).
    pub squares: &'a Tensor,
    /// The largest norm.
    pub max_norm: f32,
}

/// Moves `parameter`, f32 of any shape, one step along `gradient`, and its `moments` with it.
///
/// They become tensors of their own: whoever holds a clone of what they were keeps that.
pub fn adamw(
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
    rule: &AdamW,
    clip: Option<Clip<'_>>,
) -> Result<()> {
    for tensor in [&*parameter, gradient, &moments.first, &moments.second] {
        let fits = tensor.shape() == parameter.shape() && tensor.dtype() == DType::F32;
        ensure!("adamw", fits && tensor.device().is(parameter.device()), "{tensor:?} for parameter {parameter:?}");
    }
    if let Some(Clip { squares, .. }) = clip {
        let fits = squares.shape() == [1] && squares.dtype() == DType::F32;
        ensure!("adamw", fits && squares.device().is(parameter.device()), "squares {squares:?} for {parameter:?}");
    }
    let is_fraction = |beta: f64| (0.0..1.0).contains(&beta);
    ensure!("adamw", is_fraction(rule.beta1) && is_fraction(rule.beta2), "betas below 1 are needed, not {rule:?}");
    let steps = moments.steps + 1;
    let params = params(parameter.len(), rule, steps, clip);
    let fresh = || Tensor::uninit(parameter.device(), parameter.shape(), DType::F32);
    let (mut stepped, mut first, mut second) = (fresh()?, fresh()?, fresh()?);
    match parameter.device() {
        Device::Cpu(cpu) => {
            let bytes = bytes_of(&[parameter, gradient, &moments.first, &moments.second, &stepped, &first, &second]);
            cpu.run("adamw", work(parameter.len()), bytes, || {
                let squares = clip.map_or(0.0, |clip| clip.squares.host::<f32>()[0]);
                let old = [&*parameter, gradient, &moments.first, &moments.second].map(Tensor::host);
                twin(&params, squares, old, [stepped.host_mut(), first.host_mut(), second.host_mut()]);
            });
        }
        Device::Gpu(gpu) => {
            let old = [&*parameter, gradient, &moments.first, &moments.second];
            record(gpu, params, old, clip.map(|clip| clip.squares), [&stepped, &first, &second])?;
        }
    }
    *parameter = stepped;
    *moments = Moments { first, second, steps };
    Ok(())
}

fn work(elements: usize) -> Work {
    Work::Flops(14 * elements as u64)
}

/// torch computes these in f64, too.
fn params(n: usize, rule: &AdamW, steps: u32, clip: Option<Clip<'_>>) -> Params {
    let correction = |beta: f64| 1.0 - beta.powf(f64::from(steps));
    Params {
        n: n as u32,
        has_clip: u32::from(clip.is_some()),
        max_norm: clip.map_or(0.0, |clip| clip.max_norm),
        decay: (1.0 - rule.learning_rate * rule.weight_decay) as f32,
        fresh1: (1.0 - rule.beta1) as f32,
        beta2: rule.beta2 as f32,
        fresh2: (1.0 - rule.beta2) as f32,
        step_size: (rule.learning_rate / correction(rule.beta1)) as f32,
        root_correction: correction(rule.beta2).sqrt() as f32,
        eps: rule.eps as f32,
    }
}

fn record(gpu: &Gpu, params: Params, old: [&Tensor; 4], squares: Option<&Tensor>, new: [&Tensor; 3]) -> Result<()> {
    let flat = |tensor: &&Tensor| tensor.reshaped(&[tensor.len()]);
    let old = old.iter().map(flat).collect::<Result<Vec<_>>>()?;
    let new = new.iter().map(flat).collect::<Result<Vec<_>>>()?;
    for range in row_chunks(params.n as usize, 4, 14, gpu.max_binding()) {
        let n = range.len();
        let mut bind: Vec<Bind<'_>> = old.iter().map(|tensor| Bind::rows(tensor, range.clone())).collect();
        // Without clipping the shader reads no squares; any buffer fills the binding.
        bind.push(squares.map_or_else(|| Bind::rows(&old[0], range.clone()), Bind::all));
        bind.extend(new.iter().map(|tensor| Bind::rows(tensor, range.clone())));
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &bind,
            params: bytemuck::bytes_of(&Params { n: n as u32, ..params }),
            groups: groups_for(n, ELEMENTS_PER_GROUP),
            work: work(n),
        })?;
    }
    Ok(())
}

fn twin(params: &Params, squares: f32, old: [&[f32]; 4], [stepped, first, second]: [&mut [f32]; 3]) {
    let factor = if params.has_clip == 1 { (params.max_norm / (squares.sqrt() + 1e-6)).min(1.0) } else { 1.0 };
    let moments = first.par_chunks_mut(CPU_ELEMENTS).zip(second.par_chunks_mut(CPU_ELEMENTS));
    stepped.par_chunks_mut(CPU_ELEMENTS).zip(moments).enumerate().for_each(|(task, (stepped, (first, second)))| {
        let range = task * CPU_ELEMENTS..task * CPU_ELEMENTS + stepped.len();
        let [parameter, gradient, old_first, old_second] = old.map(|values| &values[range.clone()]);
        for i in 0..stepped.len() {
            let slope = factor * gradient[i];
            first[i] = old_first[i] + params.fresh1 * (slope - old_first[i]);
            second[i] = params.beta2 * old_second[i] + params.fresh2 * slope * slope;
            let spread = second[i].sqrt() / params.root_correction + params.eps;
            stepped[i] = params.decay * parameter[i] - params.step_size * first[i] / spread;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        sum_squares::sum_squares,
        testing::{Noise, cpu, devices, get, put, shared_golden},
    };

    const RULE: AdamW = AdamW { learning_rate: 0.02, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.05 };

    /// Three steps whose gradients are `slope` times three factors, beta1 changing, as torch's documentation
    /// writes them, in f64.
    fn naive(parameter: f32, slope: f32, factor: [f64; 3]) -> f64 {
        let (mut parameter, mut first, mut second) = (f64::from(parameter), 0.0, 0.0);
        for (t, factor) in (1..).zip(factor) {
            let (rule, slope) = (rule(t), f64::from(slope) * factor);
            parameter -= rule.learning_rate * rule.weight_decay * parameter;
            first = rule.beta1 * first + (1.0 - rule.beta1) * slope;
            second = rule.beta2 * second + (1.0 - rule.beta2) * slope * slope;
            let first_unbiased = first / (1.0 - rule.beta1.powi(t));
            let second_unbiased = second / (1.0 - rule.beta2.powi(t));
            parameter -= rule.learning_rate * first_unbiased / (second_unbiased.sqrt() + rule.eps);
        }
        parameter
    }

    /// The rule of step `t` from 1.
    fn rule(t: i32) -> AdamW {
        AdamW { learning_rate: 0.02 / f64::from(t), beta1: 0.95 - 0.03 * f64::from(t), ..RULE }
    }

    const SCALES: [f32; 3] = [1.0, -2.0, 4.0];

    fn three_steps(device: &Device, start: &[f32], slopes: &[f32], max_norm: Option<f32>) -> (Tensor, Moments) {
        let mut parameter = put(device, &[start.len()], start);
        let mut moments = Moments::new(&parameter).unwrap();
        for (t, scale) in (1..).zip(SCALES) {
            let scaled: Vec<f32> = slopes.iter().map(|v| v * scale).collect();
            let gradient = put(device, &[slopes.len()], &scaled);
            let squares = sum_squares(device, &[&gradient]).unwrap();
            let clip = max_norm.map(|max_norm| Clip { squares: &squares, max_norm });
            adamw(&mut parameter, &gradient, &mut moments, &rule(t), clip).unwrap();
        }
        (parameter, moments)
    }

    #[test]
    fn three_steps_of_every_size_agree_with_the_formula() {
        for n in [0, 1, 15, 1025, 9000] {
            let mut noise = Noise::new(n as u64);
            let (start, slopes) = (noise.floats(n), noise.floats(n));
            let stepped = agree(2e-6, |device| three_steps(device, &start, &slopes, None).0);
            for (i, actual) in stepped.iter().enumerate() {
                let expected = naive(start[i], slopes[i], SCALES.map(f64::from));
                assert!((f64::from(*actual) - expected).abs() < 1e-6, "{actual} against {expected}");
            }
            agree(2e-6, |device| three_steps(device, &start, &slopes, None).1.first);
            agree(2e-6, |device| three_steps(device, &start, &slopes, None).1.second);
        }
    }

    #[test]
    fn gradients_are_clipped_by_their_norm() {
        let (start, slopes) = (Noise::new(1).floats(300), Noise::new(2).floats(300));
        let norm = slopes.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        // The first of the three gradients is within the limit, the others are not.
        let max_norm = 1.5 * norm;
        let stepped = agree(2e-6, |device| three_steps(device, &start, &slopes, Some(max_norm as f32)).0);
        let factor = SCALES.map(|scale| f64::from(scale) * (max_norm / (f64::from(scale.abs()) * norm)).min(1.0));
        assert_eq!(factor.map(|v| (v * 100.0).round()), [100.0, -150.0, 150.0]);
        for (i, actual) in stepped.iter().enumerate() {
            let expected = naive(start[i], slopes[i], factor);
            assert!((f64::from(*actual) - expected).abs() < 1e-6, "{actual} against {expected}");
        }
    }

    #[test]
    fn clones_keep_what_was_and_steps_are_counted() {
        for device in devices() {
            let mut parameter = put(&device, &[1, 2], &[1.0f32, -1.0]);
            let before = parameter.clone();
            let mut moments = Moments::new(&parameter).unwrap();
            // Without decay the first step is the learning rate against the gradient's sign, whatever its size.
            let rule = AdamW { weight_decay: 0.0, ..RULE };
            let gradient = put(&device, &[1, 2], &[1e-3f32, -50.0]);
            adamw(&mut parameter, &gradient, &mut moments, &rule, None).unwrap();
            for (actual, expected) in get::<f32>(&parameter).iter().zip([0.98, -0.98]) {
                assert!((actual - expected).abs() < 1e-6, "{actual} against {expected}");
            }
            assert_eq!(get::<f32>(&before), [1.0, -1.0]);
            assert_eq!((moments.steps, parameter.shape()), (1, &[1, 2][..]));
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let mut parameter = put(&device, &[2], &[1.0f32; 2]);
        let mut moments = Moments::new(&parameter).unwrap();
        let gradient = parameter.clone();
        let short = put(&device, &[1], &[1.0f32]);
        assert!(adamw(&mut parameter, &short, &mut moments, &RULE, None).is_err());
        let clip = Clip { squares: &gradient, max_norm: 1.0 };
        assert!(adamw(&mut parameter, &gradient, &mut moments, &RULE, Some(clip)).is_err());
        let rule = AdamW { beta1: 1.0, ..RULE };
        assert!(adamw(&mut parameter, &gradient, &mut moments, &rule, None).is_err());
        let mut words = put(&device, &[2], &[1u32; 2]);
        assert!(adamw(&mut words, &gradient, &mut moments, &RULE, None).is_err());
        assert_eq!(moments.steps, 0);
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 3;
        let slopes: Vec<f32> = (0..n).map(|i| if i % 3 == 0 { 1.0 } else { -2.0 }).collect();
        let stepped = agree_split(1e-6, 128 << 20, |device| {
            let mut parameter = put(device, &[n], &slopes);
            let mut moments = Moments::new(&parameter).unwrap();
            let gradient = parameter.clone();
            adamw(&mut parameter, &gradient, &mut moments, &RULE, None).unwrap();
            parameter
        });
        for (actual, start) in stepped.iter().zip(&slopes) {
            let expected = 0.999 * start - 0.02 * start.signum();
            assert!((actual - expected).abs() < 1e-6, "{actual} against {expected}");
        }
    }

    /// The recorded runs give the first of three gradients. Where it is 0 (behind a dead ReLU) it stays 0, and three
    /// decays are all that happens; elsewhere the gradients change little, and so does a step.
    #[test]
    fn the_reference_is_met_where_its_gradients_are_known() {
        let Some(golden) = shared_golden("grads_pointtpa.safetensors") else { return };
        let names: Vec<String> = serde_json::from_str(&golden.metadata["trainable"]).unwrap();
        let (mut zeros, mut off) = (0, Vec::new());
        for name in names {
            let rate = if name.contains("block") { 1e-4 } else { 1e-3 };
            let (start, slopes) = (golden.floats(&name), golden.floats(&format!("grad.{name}")));
            let device = cpu();
            let mut parameter = put(&device, &[start.len()], &start);
            let mut moments = Moments::new(&parameter).unwrap();
            let gradient = put(&device, &[start.len()], &slopes);
            for _ in 0..3 {
                adamw(&mut parameter, &gradient, &mut moments, &AdamW::new(rate), None).unwrap();
            }
            let expected = golden.floats(&format!("adamw3.{name}"));
            for ((actual, expected), slope) in get::<f32>(&parameter).iter().zip(&expected).zip(&slopes) {
                let distance = (actual - expected).abs();
                if *slope == 0.0 {
                    zeros += 1;
                    assert!(distance < 3e-7, "{name}: {actual} against {expected}");
                } else {
                    off.push(f64::from(distance) / rate);
                }
            }
        }
        off.sort_by(f64::total_cmp);
        assert!(zeros > 4000 && off[off.len() / 2] < 0.06, "{zeros}, {}", off[off.len() / 2]);
    }
}
