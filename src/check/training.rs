//! Recorded gradients and training steps of the reference against this program's.

use super::{Comparison, Report, compare::compare_floats, integers};
use crate::{
    Result,
    device::{Device, Tensor},
    kernels::adamw::AdamW,
    model::{tensor_file::HostTensor, weights::ModelFile},
    train::{
        Batch, LossKind, Trainable, Trainer, TrainerOptions,
        objective::Losses,
        schedule::{OneCycle, Rates, Schedule, Setting},
        trainable::Part,
    },
};
use std::collections::BTreeMap;

/// Norm of a gradient's difference over the gradient's norm: the reference's own f32 and f64 differ by up to 4e-5.
const GRADIENT: f64 = 1e-4;
/// The same of gradients whose norm is below [`TINY`] of the whole: sums of terms that nearly cancel.
const TINY_GRADIENT: f64 = 1e-3;
const TINY: f64 = 1e-3;
/// Of parameters after three steps, absolute.
const PARAMETER: f64 = 1e-5;
/// `AdamW` divides a gradient by its own size, so that a step of 1e-4 is off by 1e-5 as soon as the gradient is off by a
/// tenth. Elements whose recorded gradient is below this share of the tensor's largest are that near to rounding: the
/// keys' biases, say, whose gradient is nothing but rounding, since the softmax does not see them. They are held to how
/// far the optimizer can have moved them. So are exact zeros of the reference: what cancels exactly there may leave a
/// rounding here, and the other way round.
const ROUNDING: f64 = 1e-4;
/// Of losses, means over some hundred rows of numbers below ten.
const LOSS: f64 = 1e-4;
/// Of gradients of logits, absolute: they are at most one over the number of rows.
const LOGITS: f64 = 1e-6;
/// Steps of the recorded recipe.
const STEPS: usize = 3;

/// Compares what a file records of training: losses, gradients, and parameters after three steps of two recipes.
pub(super) async fn check_training(device: &Device, file: &ModelFile, report: &mut Report) -> Result<()> {
    let trained = names_of(file, "grad");
    if trained.is_empty() {
        return Ok(());
    }
    let batch = recorded_batch(file)?;
    let open = |loss, schedule, clip| {
        let all = Trainable { adapter: true, train: Part::Full };
        let reference = TrainerOptions::reference(all, 0);
        let options = TrainerOptions { schedule, clip, loss, drop_path: 0.0, ..reference };
        // What is trained is what has a gradient in the file.
        Trainer::with_rule(device, file, options, &|name| trained.iter().any(|trained| trained == name))
    };
    let constant = Schedule::Constant(Setting { share: 1.0, beta1: AdamW::new(0.0).beta1 });
    let mut plain = open(LossKind::CrossEntropy, constant, None)?;
    let slope = plain.slope_of(&batch).await?;
    let both = open(LossKind::CrossEntropyLovasz, constant, None)?.slope_of(&batch).await?;
    compare_losses(file, &slope.losses, &both.losses, report).await?;

    let computed = plain.by_name(&slope.gradients).await?;
    let recorded: Vec<HostTensor> =
        trained.iter().map(|name| file.tensors().read(&format!("grad.{name}"))).collect::<Result<_>>()?;
    let norms = recorded.iter().map(|tensor| Ok(norm(tensor.to_f64()?))).collect::<Result<Vec<_>>>()?;
    let whole = norm(norms.iter().copied());
    for ((name, recorded), norm) in trained.iter().zip(&recorded).zip(norms) {
        let values = computed.get(name).map(HostTensor::to_f32).transpose()?.unwrap_or_default();
        report.compared.push(compare_gradient(&values, recorded, norm, whole)?);
    }

    compare_steps(&mut plain, &batch, file, "adamw3", report).await?;
    if !names_of(file, "recipe3").is_empty() {
        let schedule = Schedule::OneCycle(OneCycle::reference(recorded_steps(file)));
        let mut recipe = open(LossKind::CrossEntropyLovasz, schedule, TrainerOptions::REFERENCE_CLIP)?;
        compare_steps(&mut recipe, &batch, file, "recipe3", report).await?;
    }
    Ok(())
}

/// Parameters of which the file records something under `kind`.
fn names_of(file: &ModelFile, kind: &str) -> Vec<String> {
    let names = file.tensors().names().filter_map(|name| name.strip_prefix(kind)?.strip_prefix('.'));
    names.map(str::to_owned).collect()
}

fn recorded_batch(file: &ModelFile) -> Result<Batch> {
    let tensors = file.tensors();
    let offsets: Vec<usize> = integers(tensors, "in.offset")?;
    let labels: Vec<i32> = integers(tensors, "in.segment")?;
    let grid: Vec<i32> = integers(tensors, "in.grid_coord")?;
    let starts = std::iter::once(0).chain(offsets.iter().copied());
    let scenes = starts.zip(&offsets).enumerate();
    let batch = scenes.flat_map(|(scene, (start, end))| std::iter::repeat_n(scene as u32, end.saturating_sub(start)));
    Ok(Batch {
        grid_coord: grid.chunks_exact(3).map(|cell| [cell[0], cell[1], cell[2]]).collect(),
        batch: batch.take(labels.len()).collect(),
        features: tensors.read("in.feat")?.to_f32()?,
        offsets,
        labels,
    })
}

/// Steps of the run whose first three are recorded.
fn recorded_steps(file: &ModelFile) -> u64 {
    let recipe = file.tensors().metadata("recipe3").and_then(|text| serde_json::from_str(text).ok());
    recipe.and_then(|recipe: serde_json::Value| recipe["total_steps"].as_u64()).unwrap_or(0)
}

async fn compare_losses(file: &ModelFile, plain: &Losses, both: &Losses, report: &mut Report) -> Result<()> {
    let scalar = async |tensor: &Tensor| Ok::<f32, crate::Error>(tensor.to_vec::<f32>().await?[0]);
    let entropy = scalar(&both.cross_entropy).await?;
    let lovasz = match &both.lovasz {
        Some(lovasz) => scalar(lovasz).await?,
        None => 0.0,
    };
    let (gradient, gradient_of_both) = (plain.gradient.to_vec().await?, both.gradient.to_vec().await?);
    for (name, computed, tolerance) in [
        ("out.loss_ce", vec![entropy], LOSS),
        ("out.loss_lovasz", vec![lovasz], LOSS),
        ("out.loss_total", vec![entropy + lovasz], LOSS),
        ("dlogits.ce", gradient, LOGITS),
        ("dlogits.ce_lovasz", gradient_of_both, LOGITS),
    ] {
        if file.tensors().shape(name).is_some() {
            report.compared.push(compare_floats(name, &computed, &file.tensors().read(name)?, tolerance)?);
        }
    }
    Ok(())
}

/// A gradient is compared as a whole: differences are in units of its norm, and their norm must be small.
fn compare_gradient(computed: &[f32], recorded: &HostTensor, size: f64, whole: f64) -> Result<Comparison> {
    let values = recorded.to_f64()?;
    let unit = if size > 0.0 { size } else { whole.max(f64::MIN_POSITIVE) };
    let differences: Vec<f64> = computed.iter().zip(&values).map(|(a, b)| (f64::from(*a) - b) / unit).collect();
    let mut difference = norm(differences.iter().copied());
    if !difference.is_finite() {
        difference = f64::MAX;
    }
    let tolerance = if size > TINY * whole { GRADIENT } else { TINY_GRADIENT };
    Ok(Comparison {
        name: recorded.name.clone(),
        count: values.len(),
        max_abs: difference,
        mean_abs: (differences.iter().map(|d| d.abs()).sum::<f64>() / values.len().max(1) as f64).min(f64::MAX),
        tolerance,
        holds: computed.len() == values.len() && difference <= tolerance,
    })
}

/// Takes three steps and compares every parameter with what the file has under `kind`.
async fn compare_steps(
    trainer: &mut Trainer,
    batch: &Batch,
    file: &ModelFile,
    kind: &str,
    report: &mut Report,
) -> Result<()> {
    for _ in 0..STEPS {
        trainer.step(std::slice::from_ref(batch)).await?;
    }
    let parameters: BTreeMap<String, HostTensor> = trainer.parameters().await?;
    for name in names_of(file, kind) {
        let values = parameters.get(&name).map(HostTensor::to_f32).transpose()?.unwrap_or_default();
        let read = |kind: &str| file.tensors().read(&format!("{kind}.{name}"));
        let (recorded, gradient) = (read(kind)?, read("grad")?.to_f64()?);
        let largest = gradient.iter().fold(0.0f64, |largest, g| largest.max(g.abs()));
        let is_rounding: Vec<bool> = gradient.iter().map(|g| g.abs() <= ROUNDING * largest).collect();
        // Every step moves by the rate at most, there and here.
        let reach = 2.0 * STEPS as f64 * Rates::REFERENCE.of(&name);
        report.compared.push(compare_where(&recorded, &values, &is_rounding, PARAMETER, reach)?);
    }
    Ok(())
}

/// Compares within `tolerance`, and where `is_loose` says so within `reach`.
fn compare_where(
    recorded: &HostTensor,
    computed: &[f32],
    is_loose: &[bool],
    tolerance: f64,
    reach: f64,
) -> Result<Comparison> {
    let mut firm = computed.to_vec();
    let expected = recorded.to_f32()?;
    let mut within_reach = true;
    for ((value, expected), _) in firm.iter_mut().zip(&expected).zip(is_loose).filter(|(_, loose)| **loose) {
        within_reach &= f64::from((*value - expected).abs()) <= reach;
        *value = *expected;
    }
    let comparison = compare_floats(&recorded.name, &firm, recorded, tolerance)?;
    Ok(Comparison { holds: comparison.holds && within_reach && is_loose.len() == expected.len(), ..comparison })
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_gradient_a_missing_one_and_a_nan_are_seen() {
        let recorded = HostTensor::from_f32("grad.w", &[2], &[3.0, 4.0]);
        let check = |computed: &[f32]| compare_gradient(computed, &recorded, 5.0, 5.0).unwrap();
        assert!(check(&[3.0, 4.0004]).holds);
        assert!(!check(&[3.0, 4.001]).holds);
        assert!(!check(&[3.0]).holds);
        assert!(!check(&[f32::NAN, 4.0]).holds);
        // A tensor that is tiny against the whole, and one that is nothing.
        assert!(compare_gradient(&[3.0, 4.001], &recorded, 5.0, 1e4).unwrap().holds);
        let nothing = HostTensor::from_f32("grad.w", &[2], &[0.0, 0.0]);
        assert!(!compare_gradient(&[0.0, 0.1], &nothing, 0.0, 5.0).unwrap().holds);
    }

    #[test]
    fn loose_elements_are_held_to_their_reach_only() {
        let recorded = HostTensor::from_f32("adamw3.w", &[2], &[1.0, 2.0]);
        let check = |computed: &[f32]| compare_where(&recorded, computed, &[false, true], 0.01, 0.5).unwrap().holds;
        assert!(check(&[1.005, 2.4]));
        assert!(!check(&[1.02, 2.0]));
        assert!(!check(&[1.0, 2.6]));
        assert!(!check(&[1.0, f32::NAN]));
    }
}
