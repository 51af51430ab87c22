//! `lovasz`: the Lovász-softmax loss, a surrogate of 1 - mIoU (Berman, Triki and Blaschko, "The Lovász-Softmax loss",
//! 2018), multiclass, over the classes present, as the reference has it (`LovaszLoss`, SEMANTICS.md 10).
//!
//! With `p = softmax(logits)` and, for a class c, the errors `e_i = |[labels[i] = c] - p[i, c]|` of all points of the
//! batch in descending order: `loss_c = Σ_r e_r · (J_r - J_{r-1})`, where `J_r` is the Jaccard loss `1 - intersection /
//! union` of the class when the points up to rank r are wrong and the others right. `loss` is the mean of `loss_c` over
//! the classes that some point has, and `gradient` its slope, the ranks being held still. Points of equal errors
//! keep their order, which decides the slope there and not the loss.
//!
//! A row whose label is none of 0..c is left out, -1 among them; where all rows are, loss and gradient are 0.

use super::{
    groups_for,
    loss::{Loss, check, class_of, softmax},
    radix_sort::radix_sort,
    scan::scan,
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
        shader_table::{lovasz as table, params},
    },
};
use std::ops::Range;

params!(lovasz { rows: u32, first_row: u32, columns: u32, classes: u32, first_class: u32, n: u32, blocks: u32 });

/// Ranks of a partial sum.
const BLOCK: usize = 1024;
const ROWS_PER_GROUP: usize = 64;
const KEYS_PER_GROUP: usize = 256;
/// Keys are below 2³⁰.
const KEY_BITS: u32 = 30;

/// `logits` `[n, c]`, c at least 1, `labels` `[n]` i32 → loss `[1]` and gradient `[n, c]`.
///
/// The points of a class must fit one binding, eight bytes each; the classes need not fit together.
pub fn lovasz(logits: &Tensor, labels: &Tensor) -> Result<Loss> {
    check("lovasz", logits, labels)?;
    let (n, columns) = (logits.rows(), logits.columns());
    let blocks = n.div_ceil(BLOCK);
    // Per class and block: its share of the loss; and once per class: whether it is present.
    let mut parts = Tensor::uninit(logits.device(), &[columns * blocks, 2], DType::F32)?;
    let mut gradient = Tensor::uninit(logits.device(), logits.shape(), DType::F32)?;
    match logits.device() {
        Device::Cpu(cpu) => {
            let mut slopes = Tensor::uninit(logits.device(), &[columns, n], DType::F32)?;
            let bytes = bytes_of(&[logits, labels, &slopes, &gradient]);
            cpu.run("lovasz", Work::Other(0), bytes, || {
                twin_probabilities(logits, gradient.host_mut());
                twin_steps(gradient.host(), labels.host(), parts.host_mut(), slopes.host_mut());
            });
            let joined = weighted_mean(&parts)?;
            let inverse = joined.inverse.host::<f32>()[0];
            cpu.run("lovasz", Work::Other(0), bytes, || {
                twin_slopes(slopes.host(), columns, inverse, gradient.host_mut());
            });
            Ok(Loss { value: joined.mean, gradient })
        }
        Device::Gpu(gpu) => {
            let call = Call { gpu, logits, labels, blocks };
            for classes in classes_at_once(n, columns, gpu.max_binding()) {
                call.steps(classes, &parts, &gradient)?;
            }
            let joined = weighted_mean(&parts)?;
            for rows in call.rows() {
                let bind =
                    [Bind::rows(logits, rows.clone()), Bind::rows(&gradient, rows.clone()), Bind::all(&joined.inverse)];
                call.dispatch("slopes", &rows, &(0..columns), &bind, rows.len().div_ceil(ROWS_PER_GROUP))?;
            }
            Ok(Loss { value: joined.mean, gradient })
        }
    }
}

/// Ranges of classes whose keys, and the counts of their sort, fit one binding.
fn classes_at_once(n: usize, columns: usize, limit: u64) -> impl Iterator<Item = Range<usize>> {
    // The sort counts sixteen digits per block of 1024 keys, and a scan is one word longer than what it sums.
    let per_class = (8 * n).max(64 * n.div_ceil(BLOCK)).max(1) as u64;
    let step = ((limit.saturating_sub(4) / per_class) as usize).max(1);
    (0..columns).step_by(step).map(move |first| first..columns.min(first + step))
}

/// One call on a GPU.
struct Call<'a> {
    gpu: &'a Gpu,
    logits: &'a Tensor,
    labels: &'a Tensor,
    blocks: usize,
}

impl Call<'_> {
    fn rows(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let columns = self.logits.columns();
        row_chunks(self.logits.rows(), self.logits.row_bytes(), 8 * columns as u64, self.gpu.max_binding())
    }

    fn dispatch(
        &self,
        entry: &'static str,
        rows: &Range<usize>,
        classes: &Range<usize>,
        bind: &[Bind<'_>],
        groups: usize,
    ) -> Result<()> {
        let params = Params {
            rows: rows.len() as u32,
            first_row: rows.start as u32,
            columns: self.logits.columns() as u32,
            classes: classes.len() as u32,
            first_class: classes.start as u32,
            n: self.logits.rows() as u32,
            blocks: self.blocks as u32,
        };
        self.gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry,
            bind,
            params: bytemuck::bytes_of(&params),
            groups: groups as u32,
            work: Work::Flops(8 * (self.logits.rows() * classes.len()) as u64),
        })
    }

    /// The shares of some classes in the loss, and d loss / d probability in their columns of `gradient`.
    fn steps(&self, classes: Range<usize>, parts: &Tensor, gradient: &Tensor) -> Result<()> {
        let (device, n) = (self.logits.device(), self.logits.rows());
        let keys = Tensor::uninit(device, &[classes.len(), n, 2], DType::U32)?;
        for rows in self.rows() {
            let bind = [Bind::rows(self.logits, rows.clone()), Bind::rows(self.labels, rows.clone()), Bind::all(&keys)];
            self.dispatch("errors", &rows, &classes, &bind, rows.len().div_ceil(ROWS_PER_GROUP))?;
        }
        let sorted = radix_sort(&keys, KEY_BITS)?;
        drop(keys);
        let flags = Tensor::uninit(device, &[classes.len() * n], DType::U32)?;
        let groups = groups_for(flags.len(), KEYS_PER_GROUP) as usize;
        self.dispatch("flags", &(0..n), &classes, &[Bind::all(&sorted.keys), Bind::all(&flags)], groups)?;
        let found = scan(&flags)?;
        for rows in self.rows() {
            let bind = [
                Bind::all(&sorted.keys),
                Bind::all(&sorted.order),
                Bind::all(&found),
                Bind::all(parts),
                Bind::rows(gradient, rows.clone()),
            ];
            self.dispatch("steps", &rows, &classes, &bind, classes.len() * self.blocks)?;
        }
        Ok(())
    }
}

/// Writes softmax(logits).
fn twin_probabilities(logits: &Tensor, out: &mut [f32]) {
    let rows = logits.host::<f32>().par_chunks_exact(logits.columns());
    out.par_chunks_exact_mut(logits.columns()).zip(rows).for_each(|(out, row)| {
        softmax(row, out);
    });
}

/// From probabilities `[n, c]`: the `parts`, and d loss / d probability as `slopes` `[c, n]`.
fn twin_steps(p: &[f32], labels: &[i32], parts: &mut [f32], slopes: &mut [f32]) {
    let n = labels.len();
    if n == 0 {
        return;
    }
    let columns = p.len() / n;
    let classes = slopes.par_chunks_exact_mut(n).zip(parts.par_chunks_exact_mut(2 * n.div_ceil(BLOCK)));
    classes.enumerate().for_each(|(class, (slopes, parts))| {
        slopes.fill(0.0);
        parts.fill(0.0);
        let is_own = |i: u32| labels[i as usize] == class as i32;
        let error = |i: u32| (p[i as usize * columns + class] - f32::from(is_own(i))).abs();
        let counted = (0..n as u32).filter(|i| class_of(labels[*i as usize], columns).is_some());
        let mut order: Vec<u32> = counted.collect();
        let size = order.iter().filter(|i| is_own(**i)).count();
        if size == 0 {
            return;
        }
        parts[1] = 1.0;
        // Stable, as the shader's sort is.
        order.sort_by(|a, b| error(*b).total_cmp(&error(*a)));
        let mut own = 0;
        for (rank, i) in order.into_iter().enumerate() {
            own += usize::from(is_own(i));
            let step = jaccard_step(size, own, rank, is_own(i));
            parts[rank / BLOCK * 2] += step * error(i);
            if error(i) > 0.0 {
                slopes[i as usize] = if is_own(i) { -step } else { step };
            }
        }
    });
}

/// The twin of the shader's function of this name.
fn jaccard_step(size: usize, own: usize, before: usize, is_own: bool) -> f32 {
    let union = (size + before + 1 - own) as f32;
    if is_own { 1.0 / union } else { (size - own) as f32 / union / (union - 1.0) }
}

/// In place, probabilities `[n, c]` → d loss / d logits, through the softmax.
fn twin_slopes(slopes: &[f32], columns: usize, inverse: f32, gradient: &mut [f32]) {
    let n = slopes.len() / columns;
    gradient.par_chunks_exact_mut(columns).enumerate().for_each(|(i, row)| {
        let mean: f32 = row.iter().enumerate().map(|(c, p)| p * slopes[c * n + i]).sum();
        for (c, p) in row.iter_mut().enumerate() {
            *p *= inverse * (slopes[c * n + i] - mean);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        cross_entropy::cross_entropy,
        testing::{Noise, SIZES, devices, get, gpu, gpu_with, put, shared_golden},
    };

    /// The loss in f64, from differences of Jaccard losses as the paper's Algorithm 1 has them.
    fn naive(logits: &[f64], labels: &[i32], c: usize) -> f64 {
        let kept: Vec<(&[f64], usize)> = logits
            .chunks(c)
            .zip(labels)
            .filter_map(|(row, label)| Some((row, usize::try_from(*label).ok()?)))
            .collect();
        let (mut sum, mut present) = (0.0, 0);
        for class in (0..c).filter(|class| kept.iter().any(|(_, label)| label == class)) {
            let mut errors: Vec<(f64, bool)> = kept
                .iter()
                .map(|(row, label)| {
                    let p = row[class].exp() / row.iter().map(|v| v.exp()).sum::<f64>();
                    ((f64::from(*label == class) - p).abs(), *label == class)
                })
                .collect();
            errors.sort_by(|a, b| b.0.total_cmp(&a.0));
            let size = errors.iter().filter(|(_, own)| *own).count() as f64;
            let (mut intersection, mut union, mut before) = (size, size, 0.0);
            for (error, own) in errors {
                if own {
                    intersection -= 1.0;
                } else {
                    union += 1.0;
                }
                let jaccard = 1.0 - intersection / union;
                sum += error * (jaccard - before);
                before = jaccard;
            }
            present += 1;
        }
        if present == 0 { 0.0 } else { sum / f64::from(present) }
    }

    fn run(device: &Device, logits: &[f32], labels: &[i32]) -> Loss {
        let c = logits.len() / labels.len().max(1);
        let shape = [labels.len(), c.max(1)];
        lovasz(&put(device, &shape, logits), &put(device, &[labels.len()], labels)).unwrap()
    }

    /// Logits in -4..4 and labels below `classes`, one in eight ignored.
    fn case(n: usize, c: usize, classes: usize) -> (Vec<f32>, Vec<i32>) {
        let mut noise = Noise::new((n * 1000 + c) as u64);
        let logits = noise.floats(n * c).iter().map(|v| v * 4.0).collect();
        (logits, (0..n).map(|_| if noise.below(8) == 0 { -1 } else { noise.below(classes) as i32 }).collect())
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            // Of twenty classes, three that no point has.
            for (c, classes) in [(1, 1), (5, 5), (20, 17)] {
                let (logits, labels) = case(n, c, classes);
                let value = agree(2e-6, |device| run(device, &logits, &labels).value);
                let wide: Vec<f64> = logits.iter().map(|v| f64::from(*v)).collect();
                let expected = naive(&wide, &labels, c);
                assert!((f64::from(value[0]) - expected).abs() < 2e-6, "{n} x {c}: {} against {expected}", value[0]);
                // Two errors closer than an exp's rounding may change places between devices, and with it their
                // slopes by 1 / (size · (size + 1)) over the classes present: 2e-5 for 40 of 1025 points.
                agree(3e-5, |device| run(device, &logits, &labels).gradient);
            }
        }
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let (logits, labels) = case(41, 4, 4);
        let mut wide: Vec<f64> = logits.iter().map(|v| f64::from(*v)).collect();
        for device in devices() {
            let gradient = get::<f32>(&run(&device, &logits, &labels).gradient);
            for (at, actual) in gradient.iter().enumerate() {
                // A central difference in f64. A step of 1e-7 moves errors by less than any two of these differ, so
                // no ranks change; its error is 1e-16 / 1e-7 of rounding.
                let x = wide[at];
                let mut moved = |by: f64| {
                    wide[at] = x + by;
                    naive(&wide, &labels, 4)
                };
                let slope = (moved(1e-7) - moved(-1e-7)) / 2e-7;
                wide[at] = x;
                assert!((f64::from(*actual) - slope).abs() < 1e-7, "{at}: {actual} against {slope}");
            }
        }
    }

    #[test]
    fn equal_errors_keep_their_order() {
        // Two points, two classes, all errors 1/2. The first comes first: alone in its class it is a step of 1 there
        // (union 1), and in the other a step of 1/2 before the own point's 1/2 (union 2).
        for device in devices() {
            let loss = run(&device, &[0.0; 4], &[0, 1]);
            assert_eq!(get::<f32>(&loss.value), [0.5]);
            // d/dp of the first: (-1, 1/2); of the second: (0, -1/2); times p (d - mean), over two classes.
            assert_eq!(get::<f32>(&loss.gradient), [-0.1875, 0.1875, 0.0625, -0.0625]);
        }
    }

    #[test]
    fn what_is_right_or_ignored_learns_nothing() {
        for device in devices() {
            let ignored = run(&device, &[1.0, 2.0, 3.0, 4.0], &[-1, 2]);
            assert_eq!(get::<f32>(&ignored.value), [0.0]);
            assert!(get::<f32>(&ignored.gradient).iter().all(|v| *v == 0.0));
            let right = run(&device, &[200.0, 0.0, 0.0, 200.0], &[0, 1]);
            assert_eq!(get::<f32>(&right.value), [0.0]);
            assert!(get::<f32>(&right.gradient).iter().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn the_same_bits_every_time() {
        let (logits, labels) = case(5000, 7, 7);
        for device in devices() {
            let bits = || {
                let loss = run(&device, &logits, &labels);
                let bits = |tensor: &Tensor| get::<f32>(tensor).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                (bits(&loss.value), bits(&loss.gradient))
            };
            assert_eq!(bits(), bits());
        }
    }

    #[test]
    fn a_class_that_no_binding_holds_is_refused() {
        let Some(gpu) = gpu_with(|options| options.max_binding = Some(4096)) else { return };
        let (logits, labels) = (put(&gpu, &[513, 2], &[0.0f32; 1026]), put(&gpu, &[513], &[0i32; 513]));
        assert!(matches!(lovasz(&logits, &labels), Err(crate::Error::Shape { .. })));
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let Some(gpu) = gpu() else { return };
        // 65,537 groups of rows, and two errors: 1/5 and 4/5. As many groups of ranks would take 512 MiB of keys.
        let n = 65_536 * 64 + 1;
        let (near, far) = (4.0f32.ln(), 0.0);
        let logits: Vec<f32> = (0..n).flat_map(|i| if i % 4 == 0 { [far, near] } else { [near, far] }).collect();
        let loss = run(&gpu, &logits, &vec![0; n]);
        // One class, all points its own: every step is 1 / n, and the loss the mean error.
        assert!((get::<f32>(&loss.value)[0] - 0.35).abs() < 1e-6);
        let slope = 0.16 / n as f32;
        for pair in get::<f32>(&loss.gradient).chunks(2) {
            assert!((pair[0] + slope).abs() < 1e-5 * slope && (pair[1] - slope).abs() < 1e-5 * slope, "{pair:?}");
        }
    }

    #[test]
    fn the_reference_is_met() {
        for name in ["grads_pointtpa", "grads_full", "low_rank_grads", "lora_grads"] {
            let Some(golden) = shared_golden(&format!("{name}.safetensors")) else { return };
            let shape = golden.shape("out.logits");
            let labels: Vec<i32> = golden.integers("in.segment").iter().map(|label| *label as i32).collect();
            for device in devices() {
                let (logits, labels) =
                    (put(&device, &shape, &golden.floats("out.logits")), put(&device, &[shape[0]], &labels));
                let [ce, lovasz] = [cross_entropy(&logits, &labels, None).unwrap(), lovasz(&logits, &labels).unwrap()];
                let total = get::<f32>(&ce.value)[0] + get::<f32>(&lovasz.value)[0];
                assert!((total - golden.floats("out.loss_total")[0]).abs() < 1e-5, "{name} on {device:?}: {total}");
                if !golden.has("dlogits.ce_lovasz") {
                    continue;
                }
                let expected = golden.floats("dlogits.ce_lovasz");
                let gradients = get::<f32>(&ce.gradient).into_iter().zip(get::<f32>(&lovasz.gradient));
                for ((ce, lovasz), expected) in gradients.zip(&expected) {
                    // The reference takes differences of Jaccard losses near 1 in f32: 6e-8 each.
                    let difference = (ce + lovasz - expected).abs();
                    assert!(difference < 1e-7, "{name} on {device:?}: {} against {expected}", ce + lovasz);
                }
            }
        }
    }
}
