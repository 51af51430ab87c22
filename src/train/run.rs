//! A training run: steps, validation, log and checkpoints.
//!
//! [`Run`] knows what comes next and does it when it is asked to; the caller decides when to stop. Whatever is asked, a
//! run that was stopped after any step and goes on from its checkpoint gives the bits of one that was not.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::checkpoint::Checkpoint;
use super::metrics::{ConfusionMatrix, Scores};
use super::run_folder::RunFolder;
use super::schedule::Schedule;
use super::trainable::Part;
use super::trainer::{StepReport, Trainer, TrainerOptions};
use super::{Batch, Dataset, Loader, LossKind, Prefetch, WholeSample};
use crate::model::fingerprint::fingerprint;
use crate::model::weights::{Feature, ModelFile};
use crate::{Device, Error, LabelSet, Result};

/// Threads that make batches ahead of time; they share the cores with a CPU that trains.
const MOST_THREADS: usize = 4;

/// What a run does.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How a step is done.
    pub trainer: TrainerOptions,
    /// Batches of a step.
    pub accumulate: usize,
    /// Steps of the run.
    pub steps: u64,
    /// Steps from one validation to the next; 0 validates at the end only.
    pub validate_every: u64,
    /// Steps from one checkpoint to the next; 0 saves at the end only.
    pub save_every: u64,
}

/// A run.
pub struct Run {
    trainer: Trainer,
    file: ModelFile,
    batches: Prefetch,
    validation: Option<Dataset>,
    folder: RunFolder,
    options: RunOptions,
    identity: Map<String, Value>,
    features: Vec<Feature>,
    labels: LabelSet,
    /// Steps done at the last validation and the last checkpoint.
    validated: Option<u64>,
    saved: Option<u64>,
    /// mIoU of the last validation.
    miou: Option<f64>,
    /// Seconds of training before this program took it up, and since.
    seconds: f64,
}

/// One step, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// What the trainer says of it.
    pub report: StepReport,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Run {
    /// A new run, or one that goes on from a checkpoint.
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`Error::Argument`] for a checkpoint of another run, for a model whose inputs are not those of
    /// scans, and for data with other classes than the model.
    pub fn start(
        device: &Device,
        file: ModelFile,
        loader: Loader,
        validation: Option<Dataset>,
        options: RunOptions,
        folder: RunFolder,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let labels = loader.dataset().labels().clone();
        check_width(&file)?;
        let identity = identity(&file, &loader, &options)?;
        if let Some(checkpoint) = from {
            checkpoint.check(&identity)?;
        }
        let mut trainer = Trainer::new(device, &file, options.trainer.clone())?;
        if let Some(checkpoint) = from {
            trainer.restore(&checkpoint.state)?;
        }
        let done = trainer.steps_done();
        if options.accumulate == 0 {
            return Err(Error::Argument {
                what: "accumulate".into(),
                problem: "a step of no batches".into(),
                advice: "Use 1 or more".into(),
            });
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2).min(MOST_THREADS);
        let batches = Prefetch::new(loader, done * options.accumulate as u64, threads);
        let mut run = Self {
            trainer,
            features: file.info().features.clone(),
            file,
            batches,
            validation,
            folder,
            options,
            identity,
            labels,
            validated: None,
            saved: from.is_some().then_some(done),
            miou: None,
            seconds: from.map_or(0.0, |checkpoint| checkpoint.seconds),
        };
        match from {
            None => run.log_start(device)?,
            Some(_) => run.take_up(device)?,
        }
        Ok(run)
    }

    fn log_start(&mut self, device: &Device) -> Result<()> {
        let line = json!({
            "kind": "start",
            "version": env!("CARGO_PKG_VERSION"),
            "device": device.description(),
            "steps": self.options.steps,
            "classes": self.labels.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(),
            "run": self.identity,
        });
        self.folder.log(&line)
    }

    /// Cuts the log back to the checkpoint, and takes from it what it knows of the last validation.
    fn take_up(&mut self, device: &Device) -> Result<()> {
        self.folder.forget_after(self.steps_done())?;
        let lines = self.folder.lines()?;
        let (was, is) = (lines.iter().find_map(|line| line["device"].as_str()), device.description());
        if let Some(was) = was.filter(|was| *was != is) {
            log::warn!(
                "the run began on {was} and goes on on {is}: it will not have the bits of one that stayed there"
            );
        }
        let last = lines.iter().rev().find(|line| line["kind"] == "validation");
        self.validated = last.and_then(|line| line["step"].as_u64());
        self.miou = last.and_then(|line| line["miou"].as_f64());
        Ok(())
    }

    /// Steps of the run.
    pub fn steps(&self) -> u64 {
        self.options.steps
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.trainer.steps_done()
    }

    /// Seconds of training, validation and checkpoints included.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// mIoU of the last validation, 0 to 1.
    pub fn miou(&self) -> Option<f64> {
        self.miou
    }

    /// The folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Whether the model should be validated before the next step.
    pub fn validation_is_due(&self) -> bool {
        let done = self.steps_done();
        self.validation.is_some()
            && done > 0
            && self.validated != Some(done)
            && self.is_due(self.options.validate_every)
    }

    /// Whether a checkpoint should be written before the next step.
    pub fn checkpoint_is_due(&self) -> bool {
        let done = self.steps_done();
        done > 0 && self.saved != Some(done) && self.is_due(self.options.save_every)
    }

    fn is_due(&self, every: u64) -> bool {
        let done = self.steps_done();
        done >= self.options.steps || (every > 0 && done.is_multiple_of(every))
    }

    /// Does one step.
    ///
    /// # Errors
    /// As [`Trainer::step`], and those of the data. [`Error::Diverged`] names the checkpoint that is left.
    pub async fn step(&mut self) -> Result<StepRecord> {
        let start = Instant::now();
        let first = self.batches.step();
        let epoch = self.batches.loader().epoch(first) + 1;
        let batches =
            (0..self.options.accumulate).map(|_| self.batches.next_batch()).collect::<Result<Vec<Batch>>>()?;
        let report = self.trainer.step(&batches).await.map_err(|error| self.advised(error))?;
        let seconds = start.elapsed().as_secs_f64();
        self.seconds += seconds;
        let rates = self.options.trainer.rates;
        let line = json!({
            "kind": "step",
            "step": report.step + 1,
            "epoch": epoch,
            "loss": report.loss,
            "ce": report.cross_entropy,
            "lovasz": report.lovasz,
            "rates": {"block": rates.block * report.rate_share, "other": rates.other * report.rate_share},
            "beta1": report.beta1,
            "grad_norm": report.grad_norm,
            "seconds": seconds,
            "points": report.points,
        });
        self.folder.log(&line)?;
        Ok(StepRecord { report, epoch, seconds })
    }

    /// A diverged run is told what to lower and where to go on.
    fn advised(&self, error: Error) -> Error {
        let Error::Diverged { step, problem, .. } = error else { return error };
        let left = match self.folder.last_checkpoint() {
            Ok(Some(path)) => format!("The last checkpoint is {}", path.display()),
            _ => "There is no checkpoint yet".to_owned(),
        };
        let clip = if self.options.trainer.clip.is_some() { "lower --clip" } else { "set --clip" };
        let advice = format!("Lower --lr and --block-lr, or {clip}, and look for damaged scans. {left}");
        Error::Diverged { step, problem, advice }
    }

    /// Labels every point of the scans to validate on, and logs the scores. `progress` is told the share that is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if `cancel` was raised; those of the data and the device.
    ///
    /// # Panics
    /// If there is nothing to validate on; [`Self::validation_is_due`] says so.
    pub async fn validate(&mut self, progress: &dyn Fn(f64), cancel: &AtomicBool) -> Result<Scores> {
        let start = Instant::now();
        let dataset = self.validation.as_ref().expect("asked for only where there are scans to validate on");
        let grid_size = self.batches.loader().recipe().grid_size;
        let mut matrix = ConfusionMatrix::new(self.labels.len());
        for index in 0..dataset.len() {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let scan = dataset.scan(index)?;
            let WholeSample { sample, inverse } = WholeSample::of(&scan, &self.features, grid_size)?;
            let of_voxel = self.trainer.predict(&Batch::of(&[sample])).await?;
            let labels: Vec<i32> = inverse.iter().map(|voxel| of_voxel[*voxel as usize] as i32).collect();
            matrix.add(&scan.segment, &labels)?;
            progress((index + 1) as f64 / dataset.len() as f64);
        }
        let scores = matrix.scores();
        let seconds = start.elapsed().as_secs_f64();
        self.seconds += seconds;
        let done = self.steps_done();
        let line = json!({
            "kind": "validation",
            "step": done,
            "miou": scores.miou,
            "macc": scores.macc,
            "all_acc": scores.all_acc,
            "miou_present": scores.miou_present,
            "classes": scores.class_rows(&self.labels),
            "seconds": seconds,
        });
        // Asked for twice, as by a finish that is repeated, it is said once.
        if self.validated != Some(done) {
            self.folder.log(&line)?;
        }
        self.validated = Some(done);
        self.miou = Some(scores.miou);
        Ok(scores)
    }

    /// Writes a checkpoint, unless the last one is of this step.
    ///
    /// # Errors
    /// [`Error::Io`], and those of the device.
    pub async fn save(&mut self) -> Result<PathBuf> {
        let start = Instant::now();
        let done = self.steps_done();
        if self.saved == Some(done)
            && let Some(path) = self.folder.last_checkpoint()?
        {
            return Ok(path);
        }
        let state = self.trainer.state().await?;
        let checkpoint = Checkpoint { state, identity: self.identity.clone(), seconds: self.seconds };
        let path = self.folder.save(&checkpoint)?;
        self.saved = Some(done);
        self.seconds += start.elapsed().as_secs_f64();
        Ok(path)
    }

    /// Whether there are scans to validate on.
    pub fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    /// The model as it is, in f32 where it was trained and as it was stored elsewhere.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn finish(self) -> Result<ModelFile> {
        let trained = self.trainer.parameters().await?;
        self.file.with_parameters(trained.into_values())
    }
}

/// Refuses a model whose inputs are not what scans give.
fn check_width(file: &ModelFile) -> Result<()> {
    let (features, channels) = (&file.info().features, file.config().backbone.in_channels);
    if !features.is_empty() && features.len() * Feature::CHANNELS == channels {
        return Ok(());
    }
    Err(Error::Model {
        path: file.path().to_owned(),
        problem: format!("takes {channels} numbers per point and does not say which"),
        advice: "Give a base that takes coordinates, colours and normals (9), coordinates and colours (6), or coordinates (3)"
            .to_owned(),
    })
}

/// What a run is made of: equal identities give equal bits on one device.
fn identity(file: &ModelFile, loader: &Loader, options: &RunOptions) -> Result<Map<String, Value>> {
    let TrainerOptions { trainable, optimizer, rates, schedule, clip, loss, class_weights, drop_path, seed } =
        &options.trainer;
    let config: Value = serde_json::from_str(&file.config().to_json()?).unwrap_or_default();
    let data: &Arc<Dataset> = loader.dataset();
    let scans: Vec<&str> = (0..data.len()).map(|index| data.name(index)).collect();
    let value = json!({
        "model": fingerprint(file.tensors(), file.parameter_names())?,
        "config": config,
        "classes": data.labels().classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(),
        "scans": scans,
        "points": data.points(),
        "class_points": data.class_points(),
        "adapter": trainable.adapter,
        "train": match trainable.train { Part::Head => "head", Part::Decoder => "decoder", Part::Full => "full" },
        "steps": options.steps,
        "batch": loader.batch_size(),
        "accumulate": options.accumulate,
        "lr": rates.other,
        "block_lr": rates.block,
        "schedule": match schedule {
            Schedule::OneCycle(_) => "one-cycle",
            Schedule::Cosine(_) => "cosine",
            Schedule::Constant(_) => "constant",
        },
        "weight_decay": optimizer.weight_decay,
        "betas": [optimizer.beta1, optimizer.beta2],
        "eps": optimizer.eps,
        "clip": clip,
        "loss": match loss { LossKind::CrossEntropy => "ce", LossKind::CrossEntropyLovasz => "ce+lovasz" },
        "class_weights": class_weights,
        "drop_path": drop_path,
        "seed": seed,
        "recipe": loader.recipe(),
    });
    let Value::Object(fields) = value else { unreachable!("written as an object") };
    Ok(fields)
}
