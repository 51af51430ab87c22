//! `cross_entropy`: the mean surprise at the labels, with class weights and ignored rows.
//!
//! With `p_i = softmax(logits[i, :])`, `y_i = labels[i]` and `w_i = weights[y_i]` (1 without weights, 0 in ignored
//! rows): `loss = Σ_i w_i · -log p_i[y_i] / Σ_i w_i` and `gradient[i, j] = w_i / Σ w · (p_i[j] - [j = y_i])`, as
//! `torch.nn.functional.cross_entropy` has it. A row whose label is none of 0..c is ignored, -1 among them; where all
//! rows are (or weigh nothing), torch answers NaN, this kernel loss 0 and gradient 0.

use super::{
    expect::{self, Size::Is},
    groups_for,
    loss::{Loss, check, class_of, softmax},
    weighted_mean::weighted_mean,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{cross_entropy as table, params},
    },
};
use std::ops::Range;

params!(cross_entropy { rows: u32, columns: u32, has_weights: u32, first_part: u32 });

const ROWS_PER_GROUP: usize = 256;

/// `logits` `[n, c]`, c at least 1, `labels` `[n]` i32, `weights` `[c]` → loss `[1]` and gradient `[n, c]`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, weights: Option<&Tensor>) -> Result<Loss> {
    check("cross_entropy", logits, labels)?;
    if let Some(weights) = weights {
        let shape = [Is(logits.columns())];
        expect::operand("cross_entropy", "weights", weights, logits.device(), DType::F32, &shape)?;
    }
    let chunks = chunks(logits);
    let parts = chunks.iter().map(groups_of).sum();
    let mut parts = Tensor::uninit(logits.device(), &[parts, 2], DType::F32)?;
    match logits.device() {
        Device::Cpu(cpu) => cpu.run("cross_entropy", work(logits.len()), bytes_of(&[logits, labels]), || {
            twin_rows(logits, labels, weights, parts.host_mut());
        }),
        Device::Gpu(gpu) => {
            let mut first_part = 0;
            for rows in &chunks {
                dispatch(gpu, "rows", rows, first_part, logits, labels, weights, vec![Bind::all(&parts)])?;
                first_part += groups_of(rows);
            }
        }
    }
    let joined = weighted_mean(&parts)?;
    let mut gradient = Tensor::uninit(logits.device(), logits.shape(), DType::F32)?;
    match logits.device() {
        Device::Cpu(cpu) => {
            let inverse = joined.inverse.host::<f32>()[0];
            cpu.run("cross_entropy", work(logits.len()), bytes_of(&[logits, labels, &gradient]), || {
                twin_slopes(logits, labels, weights, inverse, gradient.host_mut());
            });
        }
        Device::Gpu(gpu) => {
            for rows in &chunks {
                let out = vec![Bind::all(&joined.inverse), Bind::rows(&gradient, rows.clone())];
                dispatch(gpu, "slopes", rows, 0, logits, labels, weights, out)?;
            }
        }
    }
    Ok(Loss { value: joined.mean, gradient })
}

fn work(elements: usize) -> Work {
    Work::Flops(4 * elements as u64)
}

/// The rows of each dispatch.
fn chunks(logits: &Tensor) -> Vec<Range<usize>> {
    let limit = match logits.device() {
        Device::Cpu(_) => u64::MAX,
        Device::Gpu(gpu) => gpu.max_binding(),
    };
    row_chunks(logits.rows(), logits.row_bytes(), 4 * logits.columns() as u64, limit).collect()
}

fn groups_of(rows: &Range<usize>) -> usize {
    rows.len().div_ceil(ROWS_PER_GROUP)
}

fn dispatch(
    gpu: &Gpu,
    entry: &'static str,
    rows: &Range<usize>,
    first_part: usize,
    logits: &Tensor,
    labels: &Tensor,
    weights: Option<&Tensor>,
    out: Vec<Bind<'_>>,
) -> Result<()> {
    let params = Params {
        rows: rows.len() as u32,
        columns: logits.columns() as u32,
        has_weights: u32::from(weights.is_some()),
        first_part: first_part as u32,
    };
    let logit_rows = || Bind::rows(logits, rows.clone());
    // Without weights the shader reads none; any buffer fills the binding.
    let mut bind = vec![logit_rows(), Bind::rows(labels, rows.clone()), weights.map_or_else(logit_rows, Bind::all)];
    bind.extend(out);
    gpu.dispatch(&Dispatch {
        variant: &table::PLAIN,
        entry,
        bind: &bind,
        params: bytemuck::bytes_of(&params),
        groups: groups_for(rows.len(), ROWS_PER_GROUP),
        work: work(rows.len() * logits.columns()),
    })
}

/// The weight of a row, and its class unless it is ignored.
fn labelled(label: i32, weights: Option<&[f32]>, columns: usize) -> (f32, Option<usize>) {
    let class = class_of(label, columns);
    (class.map_or(0.0, |class| weights.map_or(1.0, |weights| weights[class])), class)
}

fn twin_rows(logits: &Tensor, labels: &Tensor, weights: Option<&Tensor>, parts: &mut [f32]) {
    let (columns, weights) = (logits.columns(), weights.map(Tensor::host));
    let blocks = logits.host::<f32>().par_chunks(ROWS_PER_GROUP * columns);
    let blocks = blocks.zip(labels.host::<i32>().par_chunks(ROWS_PER_GROUP));
    parts.par_chunks_exact_mut(2).zip(blocks).for_each(|(part, (logits, labels))| {
        let mut p = vec![0.0; columns];
        let (mut loss_sum, mut weight_sum) = (0.0, 0.0);
        for (row, label) in logits.chunks_exact(columns).zip(labels) {
            if let (weight, Some(class)) = labelled(*label, weights, columns) {
                let (largest, total) = softmax(row, &mut p);
                loss_sum += weight * (total.ln() - (row[class] - largest));
                weight_sum += weight;
            }
        }
        part.copy_from_slice(&[loss_sum, weight_sum]);
    });
}

fn twin_slopes(logits: &Tensor, labels: &Tensor, weights: Option<&Tensor>, inverse: f32, gradient: &mut [f32]) {
    let (columns, weights) = (logits.columns(), weights.map(Tensor::host));
    let rows = logits.host::<f32>().par_chunks_exact(columns).zip(labels.host::<i32>());
    gradient.par_chunks_exact_mut(columns).zip(rows).for_each(|(out, (row, label))| {
        let (weight, class) = labelled(*label, weights, columns);
        softmax(row, out);
        if let Some(class) = class {
            out[class] -= 1.0;
        }
        for v in out {
            *v *= weight * inverse;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error,
        kernels::{
            agreement::agree,
            testing::{Noise, SIZES, cpu, devices, get, put, shared_golden},
        },
    };

    struct Case {
        n: usize,
        c: usize,
        logits: Vec<f32>,
        labels: Vec<i32>,
        weights: Option<Vec<f32>>,
    }

    impl Case {
        /// Logits in -6..6, one label in eight ignored.
        fn new(n: usize, c: usize, weighted: bool) -> Self {
            let mut noise = Noise::new((n * 1000 + c) as u64);
            let logits = noise.floats(n * c).iter().map(|v| v * 6.0).collect();
            let labels = (0..n).map(|_| if noise.below(8) == 0 { -1 } else { noise.below(c) as i32 }).collect();
            let weights = weighted.then(|| noise.floats(c).iter().map(|v| v.abs() * 3.0).collect());
            Self { n, c, logits, labels, weights }
        }

        fn run(&self, device: &Device) -> Loss {
            let weights = self.weights.as_ref().map(|weights| put(device, &[self.c], weights));
            let logits = put(device, &[self.n, self.c], &self.logits);
            cross_entropy(&logits, &put(device, &[self.n], &self.labels), weights.as_ref()).unwrap()
        }

        /// The formula in f64; no labelled row gives 0.
        fn naive(&self, logits: &[f64]) -> f64 {
            let (mut sum, mut weight_sum) = (0.0, 0.0);
            for (row, label) in logits.chunks(self.c).zip(&self.labels).filter(|(_, label)| **label >= 0) {
                let weight = self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[*label as usize]));
                sum += weight * (row.iter().map(|v| v.exp()).sum::<f64>().ln() - row[*label as usize]);
                weight_sum += weight;
            }
            if weight_sum == 0.0 { 0.0 } else { sum / weight_sum }
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula_and_its_slope() {
        for n in SIZES {
            for (c, weighted) in [(1, false), (5, true), (20, false), (33, true)] {
                let case = Case::new(n, c, weighted);
                // The shader's exp and log are within a few of f32's last places.
                let value = agree(2e-6, |device| case.run(device).value);
                let gradient = agree(2e-6, |device| case.run(device).gradient);
                let mut logits: Vec<f64> = case.logits.iter().map(|v| f64::from(*v)).collect();
                assert!((f64::from(value[0]) - case.naive(&logits)).abs() < 2e-6 * (1.0 + f64::from(value[0])));
                for at in (0..n * c).step_by(n.max(7)) {
                    // A central difference in f64: at 1e-4 its error is 1e-8 of truncation and 1e-12 of rounding.
                    let x = logits[at];
                    let mut moved = |by: f64| {
                        logits[at] = x + by;
                        case.naive(&logits)
                    };
                    let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                    logits[at] = x;
                    assert!((f64::from(gradient[at]) - slope).abs() < 1e-6, "{at}: {} against {slope}", gradient[at]);
                }
            }
        }
    }

    #[test]
    fn nothing_to_learn_is_no_loss_and_no_gradient() {
        for device in devices() {
            // -1, and labels outside the set.
            let labels = put(&device, &[3], &[-1, 5, i32::MIN]);
            let logits = put(&device, &[3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
            let ignored = cross_entropy(&logits, &labels, None).unwrap();
            assert_eq!(get::<f32>(&ignored.value), [0.0]);
            assert!(get::<f32>(&ignored.gradient).iter().all(|v| *v == 0.0));
            let weightless = put(&device, &[2], &[0.0f32, 1.0]);
            let labels = put(&device, &[3], &[0, 0, -1]);
            assert_eq!(get::<f32>(&cross_entropy(&logits, &labels, Some(&weightless)).unwrap().value), [0.0]);
        }
    }

    #[test]
    fn logits_far_apart_keep_their_loss() {
        for device in devices() {
            let logits = put(&device, &[1, 2], &[300.0f32, -300.0]);
            let loss = cross_entropy(&logits, &put(&device, &[1], &[1]), None).unwrap();
            assert_eq!(get::<f32>(&loss.value), [600.0]);
            assert_eq!(get::<f32>(&loss.gradient), [1.0, -1.0]);
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let logits = put(&device, &[3, 2], &[0.0f32; 6]);
        let refused = |labels: &Tensor, weights: Option<&Tensor>| {
            assert!(matches!(cross_entropy(&logits, labels, weights), Err(Error::Shape { .. })));
        };
        refused(&put(&device, &[2], &[0i32; 2]), None);
        refused(&put(&device, &[3], &[0u32; 3]), None);
        refused(&put(&device, &[3], &[0i32; 3]), Some(&put(&device, &[3], &[1.0f32; 3])));
        let empty = put::<f32>(&device, &[3, 0], &[]);
        assert!(cross_entropy(&empty, &put(&device, &[3], &[0i32; 3]), None).is_err());
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 1;
        let logits: Vec<f32> = (0..2 * n).map(|i| if i % 3 == 0 { 0.5 } else { -1.0 }).collect();
        let labels: Vec<i32> = (0..n).map(|i| (i % 3) as i32 - 1).collect();
        // A row's logits are (.5, -1), (-1, .5) or (-1, -1), and its label ignored, 0 and 1 in step with them.
        let row = |x: [f64; 2], label: usize| (x[0].exp() + x[1].exp()).ln() - x[label];
        let expected = f64::midpoint(row([-1.0, 0.5], 0), row([-1.0, -1.0], 1));
        // A third of the rows is ignored; the others' slopes are ±p[1] and ±1/2, over their number.
        let one_row = 1.0 / (2 * (n / 3)) as f64;
        let slopes = [0.0, one_row / (1.0 + (-1.5f64).exp()), 0.5 * one_row];
        for device in devices() {
            let loss = cross_entropy(&put(&device, &[n, 2], &logits), &put(&device, &[n], &labels), None).unwrap();
            // Partial sums of 65,537 blocks, 257 to an invocation: 257 roundings of 6e-8.
            let value = get::<f32>(&loss.value)[0];
            assert!((f64::from(value) - expected).abs() < 2e-5, "{value} against {expected}");
            for (i, pair) in get::<f32>(&loss.gradient).chunks(2).enumerate() {
                let slope = f64::from(pair[1].abs());
                assert!((slope - slopes[i % 3]).abs() < 2e-5 * one_row, "row {i}: {pair:?}");
            }
        }
    }

    #[test]
    fn the_reference_is_met() {
        for name in ["grads_pointtpa", "grads_full", "low_rank_grads", "lora_grads"] {
            let Some(golden) = shared_golden(&format!("{name}.safetensors")) else { return };
            let shape = golden.shape("out.logits");
            let labels: Vec<i32> = golden.integers("in.segment").iter().map(|label| *label as i32).collect();
            for device in devices() {
                let logits = put(&device, &shape, &golden.floats("out.logits"));
                let loss = cross_entropy(&logits, &put(&device, &[shape[0]], &labels), None).unwrap();
                assert!((get::<f32>(&loss.value)[0] - golden.floats("out.loss_ce")[0]).abs() < 1e-5);
                for (actual, expected) in get::<f32>(&loss.gradient).iter().zip(golden.floats("dlogits.ce")) {
                    assert!((actual - expected).abs() < 1e-8, "{name} on {device:?}: {actual} against {expected}");
                }
            }
        }
    }
}
