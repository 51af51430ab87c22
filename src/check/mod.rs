//! Proving a device right: a golden file's inputs are run through the program, and everything the reference recorded
//! on the way is compared with what the program computes.
//!
//! Integers (codes, orders, cells, windows) must be equal, floats within a stated tolerance, gradients within a share of
//! their norm. What cannot be compared
//! is listed with its reason.

mod compare;
mod computed;
mod fragments;
mod rule;
mod training;

use crate::{
    Device, Error, Result,
    device::Tensor,
    kernels::serialize::{Curve, serialize},
    model::{
        Model,
        plan::Adapter,
        stage_specs,
        tensor_file::{Dtype, TensorFile},
        weights::{ModelFile, is_parameter},
    },
};
use compare::{compare_floats, compare_integers};
use computed::{Computed, Value};
use rule::Rule;
use serde::Serialize;
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether something was compared and all of it holds.
    pub holds: bool,
    /// Largest difference of a logit; `None` if the file records none.
    pub max_abs_logits: Option<f64>,
    /// Share of points with the same most likely class, 0 to 1.
    pub argmax_agreement: Option<f64>,
    /// Recorded tensors that the program computes, too.
    pub compared: Vec<Comparison>,
    /// Recorded tensors that were not compared.
    pub skipped: Vec<Skipped>,
}

/// One tensor, recorded against computed.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Its name in the file.
    pub name: String,
    /// Number of elements.
    pub count: usize,
    /// Largest absolute difference; of a gradient, the norm of the difference over the gradient's norm.
    pub max_abs: f64,
    /// Mean absolute difference.
    pub mean_abs: f64,
    /// The largest difference that is allowed; 0 for integers.
    pub tolerance: f64,
    /// Whether there are as many elements, and all agree within it.
    pub holds: bool,
}

/// One tensor that was not compared.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Its name in the file.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A correct f32 implementation differs from the reference's f32 by its summation order only (SEMANTICS: observed
/// 1e-5); a wrong reading of the network differs by 1e-2 and more.
const TOLERANCE: f64 = 1e-4;
/// Files with low-rank deltas, whose own f32 rounding is larger: they were recorded with deltas as large as the output.
const TOLERANCE_LOW_RANK: f64 = 2e-4;
/// Weights stored in 16 bits, when the recorded numbers were computed with more.
const TOLERANCE_HALF: f64 = 5e-2;

/// Runs the golden file at `path` on `device`.
pub fn check_file(device: &Device, path: &Path) -> Result<Report> {
    // What is wrong with an argument of the library is, seen from outside, wrong with the file that gave it.
    run(device, path).map_err(|error| match error {
        Error::Argument { what, problem, advice } => {
            Error::Model { path: path.to_owned(), problem: format!("{what}: {problem}"), advice }
        }
        Error::Shape { kernel, problem } => Error::Model {
            path: path.to_owned(),
            problem: format!("its tensors do not fit together: kernel {kernel}: {problem}"),
            advice: "Record inputs of one run of the model".into(),
        },
        error => error,
    })
}

fn run(device: &Device, path: &Path) -> Result<Report> {
    let file = TensorFile::open(path)?;
    let has = |name: &str| file.shape(name).is_some();
    let mut report = Report::default();
    if has("in.grid_coord") && has("in.feat") && has("in.offset") {
        pollster::block_on(check_model(device, file, &mut report))?;
    } else if has("aug0.frag0.grid_coord") {
        pollster::block_on(fragments::check(device, file, &mut report))?;
    } else if file.names().any(|name| depth_of_code(name).is_some()) {
        pollster::block_on(check_serialization(device, &file, &mut report))?;
    } else {
        return Err(Error::Model {
            path: path.to_owned(),
            problem: "records no inputs (`in.grid_coord`, `in.feat`, `in.offset`)".into(),
            advice: "Check a golden file: a model with the inputs and outputs of one run of the reference".into(),
        });
    }
    report.holds = !report.compared.is_empty() && report.compared.iter().all(|c| c.holds);
    Ok(report)
}

/// A file of curve codes: `d{depth}.{grid_coord, batch, z, …}`.
async fn check_serialization(device: &Device, file: &TensorFile, report: &mut Report) -> Result<()> {
    for name in file.names() {
        match depth_of_code(name) {
            Some((depth, curve)) => {
                let group = format!("d{depth}");
                let grid: Vec<i32> = integers(file, &format!("{group}.grid_coord"))?;
                let batch: Vec<u32> = integers(file, &format!("{group}.batch"))?;
                let n = batch.len();
                let grid = Tensor::from_slice(device, &[n, 3], &grid)?;
                let batch = Tensor::from_slice(device, &[n], &batch)?;
                let codes = Value::Codes(serialize(&grid, &batch, depth, 1, &[curve])?);
                report.compared.push(compare_integers(name, &codes.integers().await?, &file.read(name)?)?);
            }
            None => report.skip(name, "an input"),
        }
    }
    Ok(())
}

/// A model with one recorded run.
async fn check_model(device: &Device, file: TensorFile, report: &mut Report) -> Result<()> {
    let file = ModelFile::from_tensors(file)?;
    let (model, _) = Model::load(device, &file, None)?;
    let tensors = file.tensors();
    let offsets: Vec<usize> = integers(tensors, "in.offset")?;
    let computed = Computed::run(&model, tensors, &offsets).await?;
    let rule = Rule::of(&model, tensors, &computed.offsets);
    let tolerance = tolerance(&model, &file);
    let names: Vec<String> = tensors.names().map(str::to_owned).collect();
    let compared_here = |name: &&String| !is_parameter(name) && !Rule::is_of_training(name, tensors);
    for name in names.iter().filter(compared_here) {
        let own_name = match rule.reason_to_skip(name) {
            Some(reason) => {
                report.skip(name, &reason);
                continue;
            }
            None => rule::own_name(name),
        };
        let Some(values) = computed.get(own_name) else {
            report.skip(name, "not computed by this program");
            continue;
        };
        let recorded = tensors.read(name)?;
        let mut worst: Option<Comparison> = None;
        for value in values {
            let comparison = if value.is_float() {
                // The larger files record the first rows of the head's input.
                let rows = if name.ends_with("feat_head256") { 256 } else { usize::MAX };
                compare_floats(name, &value.floats(rows).await?, &recorded, tolerance)?
            } else {
                compare_integers(name, &value.integers().await?, &recorded)?
            };
            if own_name == "out.logits" && value.is_float() && recorded.shape.len() == 2 {
                let logits = value.floats(usize::MAX).await?;
                let agreement = compare::argmax_agreement(&logits, &recorded)?;
                report.argmax_agreement = Some(report.argmax_agreement.map_or(agreement, |a| a.min(agreement)));
                report.max_abs_logits =
                    Some(report.max_abs_logits.map_or(comparison.max_abs, |m| m.max(comparison.max_abs)));
            }
            if worst.as_ref().is_none_or(|w| comparison.max_abs > w.max_abs || !comparison.holds) {
                worst = Some(comparison);
            }
        }
        report.compared.extend(worst);
    }
    training::check_training(device, &file, report).await
}

fn tolerance(model: &Model, file: &ModelFile) -> f64 {
    let packed = file.parameter_names().any(|name| file.tensors().dtype(name) != Some(Dtype::F32));
    match model.config().adapter() {
        _ if packed => TOLERANCE_HALF,
        Adapter::LowRank { .. } | Adapter::Lora { .. } => TOLERANCE_LOW_RANK,
        _ => TOLERANCE,
    }
}

/// The depth and curve of a tensor `d{depth}.{curve}` of codes.
fn depth_of_code(name: &str) -> Option<(u32, Curve)> {
    let (depth, curve) = name.split_once('.')?;
    Some((depth.strip_prefix('d')?.parse().ok()?, curve.parse().ok()?))
}

/// An integer tensor of a file, narrowed.
fn integers<T: TryFrom<i64>>(file: &TensorFile, name: &str) -> Result<Vec<T>> {
    let convert = |value: i64| {
        T::try_from(value).map_err(|_| Error::Model {
            path: file.path().to_owned(),
            problem: format!("{name} holds {value}"),
            advice: "Record coordinates and scenes as small numbers from 0".into(),
        })
    };
    file.read(name)?.to_i64()?.into_iter().map(convert).collect()
}

/// A float matrix of a file, on a device.
fn floats(device: &Device, file: &TensorFile, name: &str) -> Result<Tensor> {
    let tensor = file.read(name)?;
    Tensor::from_slice(device, &tensor.shape, &tensor.to_f32()?)
}

impl Report {
    fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(Skipped { name: name.to_owned(), reason: reason.to_owned() });
    }
}

/// The stages of a recorded run: the configuration's curves, permuted where the reference shuffled them.
fn recorded_specs(model: &Model, file: &TensorFile) -> Result<Vec<crate::geometry::pyramid::StageSpec>> {
    let mut specs = stage_specs(model.config());
    let Some(text) = file.metadata("perms") else { return Ok(specs) };
    let refuse = |problem: String| Error::Model {
        path: file.path().to_owned(),
        problem,
        advice: "Record one permutation of the orders per stage".into(),
    };
    let permutations: Vec<Vec<usize>> =
        serde_json::from_str(text).map_err(|e| refuse(format!("metadata `perms`: {e}")))?;
    for (stage, (spec, permutation)) in specs.iter_mut().zip(&permutations).enumerate() {
        let mut sorted = permutation.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..spec.curves.len()) {
            return Err(refuse(format!("metadata `perms`: {permutation:?} of stage {stage} permutes no orders")));
        }
        spec.curves = permutation.iter().map(|row| spec.curves[*row]).collect();
    }
    Ok(specs)
}
