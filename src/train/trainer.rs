//! The training step: forward, losses, the way back along the tape, clipping, `AdamW`.
//!
//! ```text
//! Batch ─pyramid─▶ ─network─▶ logits ─objective─▶ gradient ─tape─▶ gradients ─adamw─▶ parameters
//! ```
//!
//! A step is a function of the parameters, the moments, the batches, the seed and the number of the step: a run that
//! was stopped and goes on from its [`TrainerState`] gives the bits of one that was not.

use super::{
    objective::{LossKind, Losses, Objective},
    sample::Batch,
    schedule::{Rates, Schedule},
    trainable::Trainable,
};
use crate::{
    Device, Error, Result,
    device::Tensor,
    geometry::pyramid::Pyramid,
    kernels::{
        accumulate::accumulate,
        adamw::{AdamW, Clip, Moments, adamw},
        argmax::argmax,
        sum_squares::sum_squares,
    },
    model::{Context, Model, layers::Trained, tape::ParameterId, tensor_file::HostTensor, weights::ModelFile},
};
use std::collections::BTreeMap;

/// How a model is trained.
#[derive(Clone, Debug)]
pub struct TrainerOptions {
    /// What is trained.
    pub trainable: Trainable,
    /// `AdamW`'s numbers; rate and beta1 come from the schedule.
    pub optimizer: AdamW,
    /// The largest rates.
    pub rates: Rates,
    /// How rate and beta1 go over the run.
    pub schedule: Schedule,
    /// The largest global norm of the gradients.
    pub clip: Option<f32>,
    /// What is made smaller.
    pub loss: LossKind,
    /// Weights of the classes in cross-entropy, one per class.
    pub class_weights: Option<Vec<f32>>,
    /// Share of its rows that the deepest block's residual branches drop, 0 to below 1.
    pub drop_path: f32,
    /// Seed of the rows that are dropped.
    pub seed: u64,
}

impl TrainerOptions {
    /// The reference's largest norm of the gradients.
    pub const REFERENCE_CLIP: Option<f32> = Some(3.0);

    /// The reference's recipe over a number of steps.
    pub fn reference(trainable: Trainable, steps: u64) -> Self {
        Self {
            trainable,
            optimizer: AdamW::new(0.0),
            rates: Rates::REFERENCE,
            schedule: Schedule::OneCycle(super::schedule::OneCycle::reference(steps)),
            clip: Self::REFERENCE_CLIP,
            loss: LossKind::CrossEntropyLovasz,
            class_weights: None,
            drop_path: 0.3,
            seed: 0,
        }
    }
}

/// What a step found and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Its number, from 0.
    pub step: u64,
    /// The losses together, before the step.
    pub loss: f32,
    /// Cross-entropy.
    pub cross_entropy: f32,
    /// Lovász-softmax; 0 where it is not part of the loss.
    pub lovasz: f32,
    /// Norm of all gradients together, before clipping.
    pub grad_norm: f32,
    /// Share of the largest rates.
    pub rate_share: f64,
    /// `AdamW`'s beta1.
    pub beta1: f64,
    /// Voxels that had a label.
    pub points: usize,
}

/// What a run has to remember to go on bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState {
    /// Steps done.
    pub step: u64,
    /// `parameter.NAME`, `moment1.NAME` and `moment2.NAME` of every trained parameter, f32, in the reference's shapes.
    pub tensors: BTreeMap<String, HostTensor>,
}

/// A model in training.
pub struct Trainer {
    model: Model,
    options: TrainerOptions,
    objective: Objective,
    /// Of the trained parameters, by their places.
    moments: Vec<Moments>,
    step: u64,
}

/// A batch on the device.
struct Scene {
    pyramid: Pyramid,
    features: Tensor,
    labels: Tensor,
}

/// The gradients of all trained parameters, by their places, and the losses they belong to.
pub(crate) struct Slope {
    pub(crate) losses: Losses,
    pub(crate) gradients: Vec<Option<Tensor>>,
}

impl Trainer {
    /// Brings a model file to a device, to train what `options.trainable` says.
    ///
    /// # Errors
    /// As [`Model::load`]; [`Error::Argument`] where nothing would be trained or a number is out of its range.
    pub fn new(device: &Device, file: &ModelFile, options: TrainerOptions) -> Result<Self> {
        let trainable = options.trainable;
        Self::with_rule(device, file, options, &|name| trainable.trains(name))
    }

    /// [`Self::new`] with another rule of what is trained.
    pub(crate) fn with_rule(
        device: &Device,
        file: &ModelFile,
        options: TrainerOptions,
        trains: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let refuse = |what: &str, problem: String, advice: &str| {
            Err(Error::Argument { what: what.into(), problem, advice: advice.into() })
        };
        let model = Model::load_to_train(device, file, trains)?;
        let classes = model.config().num_classes;
        if model.trained().is_empty() {
            return refuse("training", "no parameter would be trained".into(), "Train the head, or give an adapter");
        }
        if let Some(weights) = options.class_weights.as_ref().filter(|weights| weights.len() != classes) {
            return refuse("class weights", format!("{} for {classes} classes", weights.len()), "Give one per class");
        }
        if !(0.0..1.0).contains(&options.drop_path) {
            return refuse("drop path", format!("a share of {}", options.drop_path), "Use 0 to below 1");
        }
        let objective = Objective::new(device, options.loss, options.class_weights.as_deref())?;
        let moments = model.trained().iter().map(|t| Moments::new(&t.value)).collect::<Result<_>>()?;
        Ok(Self { model, options, objective, moments, step: 0 })
    }

    /// The model as it is.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// One step of the optimizer over the mean gradient of `batches`.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a loss or gradient is not finite: parameters are then as before the step. After any other
    /// error some may have moved: go on from a [`TrainerState`].
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`], and [`Error::Argument`] for a batch that does not fit the model.
    pub async fn step(&mut self, batches: &[Batch]) -> Result<StepReport> {
        if batches.is_empty() {
            return Err(Error::Argument {
                what: "training step".into(),
                problem: "no batch was given".into(),
                advice: "Give one at least".into(),
            });
        }
        let share = 1.0 / batches.len() as f32;
        let mut total: Vec<Option<Tensor>> = vec![None; self.moments.len()];
        let mut losses = Vec::new();
        for (place, batch) in batches.iter().enumerate() {
            let scene = self.upload(batch).await?;
            let pass = self.step * batches.len() as u64 + place as u64;
            let slope = self.slope(&scene, pass)?;
            losses.push((slope.losses.cross_entropy, slope.losses.lovasz));
            if batches.len() == 1 {
                total = slope.gradients;
                break;
            }
            for (total, gradient) in total.iter_mut().zip(slope.gradients) {
                let Some(gradient) = gradient else { continue };
                let mut sum = match total.take() {
                    Some(sum) => sum,
                    None => zeros(&gradient)?,
                };
                accumulate(&mut sum, share, &gradient)?;
                *total = Some(sum);
            }
        }
        let squares = sum_squares(self.model.device(), &total.iter().flatten().collect::<Vec<_>>())?;
        let (mut cross_entropy, mut lovasz) = (0.0, 0.0);
        for (entropy, other) in &losses {
            cross_entropy += share * entropy.to_vec::<f32>().await?[0];
            if let Some(other) = other {
                lovasz += share * other.to_vec::<f32>().await?[0];
            }
        }
        let grad_norm = squares.to_vec::<f32>().await?[0].sqrt();
        let loss = cross_entropy + lovasz;
        for (what, value) in [("the loss", loss), ("the norm of the gradients", grad_norm)] {
            if !value.is_finite() {
                return Err(Error::Diverged {
                    step: self.step,
                    problem: format!("{what} is {value}"),
                    advice: "Go on from the last checkpoint with lower learning rates, or clip gradients".into(),
                });
            }
        }
        let setting = self.options.schedule.at(self.step);
        self.apply(&total, &squares)?;
        let points = batches.iter().map(|batch| batch.labels.iter().filter(|label| **label >= 0).count()).sum();
        let report = StepReport {
            step: self.step,
            loss,
            cross_entropy,
            lovasz,
            grad_norm,
            rate_share: setting.share,
            beta1: setting.beta1,
            points,
        };
        self.step += 1;
        Ok(report)
    }

    /// Moves every parameter that has a gradient; `squares` `[1]` is the sum of squares of all of them.
    fn apply(&mut self, gradients: &[Option<Tensor>], squares: &Tensor) -> Result<()> {
        let setting = self.options.schedule.at(self.step);
        let clip = self.options.clip.map(|max_norm| Clip { squares, max_norm });
        let (options, moments) = (&self.options, &mut self.moments);
        self.model.update_trained(|ParameterId(at), trained| {
            let Some(gradient) = &gradients[at] else { return Ok(None) };
            let mut value = trained.value.clone();
            let rule = AdamW {
                learning_rate: options.rates.of(&trained.name) * setting.share,
                beta1: setting.beta1,
                ..options.optimizer
            };
            adamw(&mut value, gradient, &mut moments[at], &rule, clip)?;
            Ok(Some(value))
        })
    }

    /// The losses of a batch and the gradients of everything that is trained, without moving it.
    pub(crate) async fn slope_of(&self, batch: &Batch) -> Result<Slope> {
        self.slope(&self.upload(batch).await?, self.step)
    }

    fn slope(&self, scene: &Scene, pass: u64) -> Result<Slope> {
        let dropping = (self.options.drop_path > 0.0).then_some(crate::model::Dropping {
            seed: self.options.seed as u32,
            step: pass as u32,
            rate: self.options.drop_path,
        });
        let mut context = Context::training(dropping);
        let logits = self.model.logits(&mut context, &scene.pyramid, &scene.features)?;
        let losses = self.objective.of(&logits, &scene.labels)?;
        let gradients = context.into_tape().backward(&logits, losses.gradient.clone(), self.moments.len())?;
        Ok(Slope { losses, gradients })
    }

    async fn upload(&self, batch: &Batch) -> Result<Scene> {
        let (device, n) = (self.model.device(), batch.len());
        let grid = Tensor::from_slice(device, &[n, 3], bytemuck::cast_slice::<[i32; 3], i32>(&batch.grid_coord))?;
        let scene = Tensor::from_slice(device, &[n], &batch.batch)?;
        let width = self.model.config().backbone.in_channels;
        Ok(Scene {
            pyramid: Pyramid::build(&grid, &scene, &batch.offsets, &self.model.stage_specs()).await?,
            features: Tensor::from_slice(device, &[n, width], &batch.features)?,
            labels: Tensor::from_slice(device, &[n], &batch.labels)?,
        })
    }

    /// The most likely class of every voxel, `[n]`; no rows are dropped.
    pub async fn predict(&self, batch: &Batch) -> Result<Vec<u32>> {
        let scene = self.upload(batch).await?;
        let logits = self.model.forward(&mut Context::default(), &scene.pyramid, &scene.features)?;
        argmax(&logits)?.0.to_vec().await
    }

    /// The trained parameters, f32, under the reference's names and in its shapes.
    pub async fn parameters(&self) -> Result<BTreeMap<String, HostTensor>> {
        let values: Vec<_> = self.model.trained().iter().map(|trained| Some(trained.value.clone())).collect();
        self.by_name(&values).await
    }

    /// What belongs to each trained parameter, by their places → by name, in the reference's shapes.
    pub(crate) async fn by_name(&self, values: &[Option<Tensor>]) -> Result<BTreeMap<String, HostTensor>> {
        let mut parts = Parts::default();
        for (trained, value) in self.model.trained().iter().zip(values) {
            if let Some(value) = value {
                parts.add(trained, value).await?;
            }
        }
        Ok(parts.tensors)
    }

    /// What the run has to remember.
    pub async fn state(&self) -> Result<TrainerState> {
        let mut tensors = BTreeMap::new();
        let values = |of: &dyn Fn(&Trained, &Moments) -> Tensor| -> Vec<Option<Tensor>> {
            self.model.trained().iter().zip(&self.moments).map(|(trained, m)| Some(of(trained, m))).collect()
        };
        for (kind, values) in [
            ("parameter", values(&|trained, _| trained.value.clone())),
            ("moment1", values(&|_, moments| moments.first.clone())),
            ("moment2", values(&|_, moments| moments.second.clone())),
        ] {
            tensors.extend(self.by_name(&values).await?.into_iter().map(|(name, tensor)| {
                let name = format!("{kind}.{name}");
                (name.clone(), HostTensor { name, ..tensor })
            }));
        }
        Ok(TrainerState { step: self.step, tensors })
    }

    /// Goes on from a state of this model.
    ///
    /// # Errors
    /// [`Error::Argument`] if a tensor is missing or has another shape. The trainer is then as before.
    pub fn restore(&mut self, state: &TrainerState) -> Result<()> {
        let device = self.model.device().clone();
        let mut values = Vec::with_capacity(self.moments.len());
        for (trained, moments) in self.model.trained().iter().zip(&self.moments) {
            let shape = moments.first.shape();
            let read = |kind: &str| -> Result<Tensor> {
                let name = format!("{kind}.{}", trained.name);
                let stored = state.tensors.get(&name).filter(|tensor| tensor.shape == trained.shape);
                let stored = stored.ok_or_else(|| Error::Argument {
                    what: "checkpoint".into(),
                    problem: format!("{name} {:?} is not in it", trained.shape),
                    advice: "Go on with the model and the options of the run that wrote it".into(),
                })?;
                Tensor::from_slice(&device, shape, &part_of(trained, &stored.to_f32()?))
            };
            values.push((read("parameter")?, read("moment1")?, read("moment2")?));
        }
        for (moments, (_, first, second)) in self.moments.iter_mut().zip(&values) {
            // Parameters without a gradient take no steps, and need none.
            *moments = Moments { first: first.clone(), second: second.clone(), steps: state.step as u32 };
        }
        self.model.update_trained(|ParameterId(at), _| Ok(Some(values[at].0.clone())))?;
        self.step = state.step;
        Ok(())
    }
}

fn zeros(like: &Tensor) -> Result<Tensor> {
    Tensor::from_slice(like.device(), like.shape(), &vec![0.0f32; like.len()])
}

/// The elements of a whole tensor that a trained part of it holds.
fn part_of(trained: &Trained, whole: &[f32]) -> Vec<f32> {
    match &trained.columns {
        None => whole.to_vec(),
        Some(columns) => {
            let width: usize = trained.shape[1..].iter().product();
            whole.chunks_exact(width.max(1)).flat_map(|row| &row[columns.clone()]).copied().collect()
        }
    }
}

/// Tensors that are put together from the parts that layers hold.
#[derive(Default)]
struct Parts {
    tensors: BTreeMap<String, HostTensor>,
}

impl Parts {
    async fn add(&mut self, trained: &Trained, value: &Tensor) -> Result<()> {
        let values: Vec<f32> = value.to_vec().await?;
        let Trained { name, shape, columns, .. } = trained;
        let Some(columns) = columns else {
            self.tensors.insert(name.clone(), HostTensor::from_f32(name, shape, &values));
            return Ok(());
        };
        let width: usize = shape[1..].iter().product();
        let blank = || HostTensor::from_f32(name, shape, &vec![0.0; shape.iter().product()]);
        let whole = self.tensors.entry(name.clone()).or_insert_with(blank);
        for (row, values) in values.chunks_exact(columns.len().max(1)).enumerate() {
            let at = 4 * (row * width + columns.start);
            whole.bytes[at..at + 4 * values.len()].copy_from_slice(bytemuck::cast_slice(values));
        }
        Ok(())
    }
}
