//! What a run does: data, recipe, steps.

use std::path::Path;
use std::sync::Arc;

use pointtpa::kernels::adamw::AdamW;
use pointtpa::train::schedule::{Cosine, OneCycle, Rates, Schedule};
use pointtpa::train::{Dataset, DatasetOptions, Loader, LossKind, Recipe, RunOptions, Split, TrainerOptions};
use pointtpa::{Error, LabelSet};
use serde_json::{Value, json};

use super::arguments::{ClassWeights, LossName, ScheduleName, Train};
use super::subject::Subject;
use crate::exit::{BAD_INPUT, Failure, Outcome};
use crate::screen;

const DEFAULT_EPOCHS: u64 = 50;
/// Learning rate and weight decay of the reference's fine-tuning.
const FINE_TUNING: (f64, f64) = (1e-3, 0.01);
/// Those that Point Transformer V3 was published with, from scratch.
const FROM_SCRATCH: (f64, f64) = (6e-3, 0.05);
/// The rate in blocks over the rate elsewhere, in both.
const BLOCK_SHARE: f64 = 0.1;

/// Data and options of a run.
pub(super) struct Plan {
    pub(super) loader: Loader,
    pub(super) validation: Option<Dataset>,
    pub(super) options: RunOptions,
    /// Steps of an epoch.
    steps_per_epoch: u64,
    warnings: Vec<String>,
}

impl Plan {
    /// Reads the scans of `data`.
    pub(super) fn of(command: &Train, subject: &Subject, data: &Path) -> Outcome<Self> {
        let (labels, grid_size) = (&subject.info.labels, subject.info.grid_size);
        let open = |split| {
            Dataset::open(data, split, DatasetOptions::new(labels.clone(), grid_size))
                .map_err(|error| of_data(data, error))
        };
        let train = open(Split::Train)?;
        let mut warnings = train.warnings().to_vec();
        let validation = if data.join(Split::Val.name()).is_dir() {
            Some(open(Split::Val)?)
        } else {
            warnings.push(format!("{} has no val/: nothing is validated on", data.display()));
            None
        };
        let weights = class_weights(&command.recipe.class_weights, train.class_points(), labels)?;
        let augment = Recipe::from(command.recipe.augment);
        let recipe = Recipe {
            grid_size,
            max_points: (command.recipe.max_points > 0).then_some(command.recipe.max_points),
            mix: command.recipe.mix_prob.unwrap_or(augment.mix),
            ..augment
        };
        let seed = command.recipe.seed;
        let loader = Loader::new(Arc::new(train), recipe, &subject.info.features, command.recipe.batch, seed)?;
        let accumulate = command.recipe.accumulate;
        let of_epochs = |epochs| loader.steps(epochs).div_ceil(accumulate as u64);
        let steps_per_epoch = of_epochs(1);
        let steps = command.recipe.steps.unwrap_or_else(|| of_epochs(command.recipe.epochs.unwrap_or(DEFAULT_EPOCHS)));
        let options = RunOptions {
            trainer: trainer_options(command, subject, steps, weights),
            accumulate,
            steps,
            validate_every: command.keeping.val_every.unwrap_or(steps_per_epoch),
            save_every: command.keeping.save_every.unwrap_or(steps_per_epoch),
        };
        Ok(Self { loader, validation, options, steps_per_epoch, warnings })
    }

    /// Says what a user should know of the data.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            screen::say(&format!("warning: {warning}"));
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn scans(&self) -> (usize, usize) {
        (self.loader.dataset().len(), self.validation.as_ref().map_or(0, Dataset::len))
    }

    pub(super) fn json(&self) -> Value {
        let (train, val) = self.scans();
        let rates = self.options.trainer.rates;
        json!({
            "scans": train,
            "validation_scans": val,
            "points": self.loader.dataset().points(),
            "class_points": self.loader.dataset().class_points(),
            "steps": self.options.steps,
            "steps_per_epoch": self.steps_per_epoch,
            "batch": self.loader.batch_size(),
            "accumulate": self.options.accumulate,
            "lr": rates.other,
            "block_lr": rates.block,
            "warnings": self.warnings,
        })
    }

    pub(super) fn text(&self) -> String {
        let (train, val) = self.scans();
        let rates = self.options.trainer.rates;
        format!(
            "{train} scans to train on ({} points), {val} to validate on; {} steps of {} scans, {} an epoch; rates up to {} and \
             {} in blocks",
            self.loader.dataset().points(),
            self.options.steps,
            self.loader.batch_size() * self.options.accumulate,
            self.steps_per_epoch,
            rates.other,
            rates.block
        )
    }
}

fn trainer_options(command: &Train, subject: &Subject, steps: u64, class_weights: Option<Vec<f32>>) -> TrainerOptions {
    let recipe = &command.recipe;
    let (rate, decay) = if subject.is_from_scratch { FROM_SCRATCH } else { FINE_TUNING };
    let other = recipe.lr.unwrap_or(rate);
    TrainerOptions {
        trainable: subject.trainable,
        optimizer: AdamW { weight_decay: recipe.weight_decay.unwrap_or(decay), ..AdamW::new(0.0) },
        rates: Rates { block: recipe.block_lr.unwrap_or(BLOCK_SHARE * other), other },
        schedule: match recipe.schedule {
            ScheduleName::OneCycle => Schedule::OneCycle(OneCycle::reference(steps)),
            ScheduleName::Cosine => Schedule::Cosine(Cosine::new(steps)),
        },
        clip: (recipe.clip > 0.0).then_some(recipe.clip),
        loss: match recipe.loss {
            LossName::Ce => LossKind::CrossEntropy,
            LossName::Both => LossKind::CrossEntropyLovasz,
        },
        class_weights,
        drop_path: recipe.drop_path.unwrap_or(subject.config.backbone.drop_path) as f32,
        seed: recipe.seed,
    }
}

/// One weight per class; those of the classes that are there have a mean of 1, and a class without a point needs none.
fn class_weights(rule: &ClassWeights, points: &[u64], labels: &LabelSet) -> Outcome<Option<Vec<f32>>> {
    match rule {
        ClassWeights::None => Ok(None),
        ClassWeights::Listed(weights) if weights.len() == labels.len() => Ok(Some(weights.clone())),
        ClassWeights::Listed(weights) => Err(Failure::usage(format!(
            "--class-weights: {} weights for the {} classes of `{}`. Give one for each",
            weights.len(),
            labels.len(),
            labels.name
        ))),
        ClassWeights::Inverse(power) => {
            let raw: Vec<f64> =
                points.iter().map(|points| if *points > 0 { (*points as f64).powf(-power) } else { 0.0 }).collect();
            let present = raw.iter().filter(|weight| **weight > 0.0).count();
            let mean = raw.iter().sum::<f64>() / present.max(1) as f64;
            Ok(Some(raw.iter().map(|weight| (weight / mean) as f32).collect()))
        }
    }
}

/// The options have been checked, so what is wrong with the arguments is wrong with the data.
fn of_data(data: &Path, error: Error) -> Failure {
    let is_data = matches!(error, Error::Argument { .. });
    let failure = Failure::from(error);
    if !is_data {
        return failure;
    }
    Failure { code: BAD_INPUT, message: format!("{}: {}", data.display(), failure.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_inverse_to_the_points_of_a_class() {
        let labels = LabelSet::new("four", ["a", "b", "c", "d"].map(|name| (name.to_owned(), [0, 0, 0])));
        let of = |rule| class_weights(&rule, &[100, 400, 0, 25], &labels);
        assert_eq!(of(ClassWeights::None).unwrap(), None);
        let weights = of(ClassWeights::Inverse(1.0)).unwrap().unwrap();
        // 1/100, 1/400 and 1/25 over their mean, 0.0175.
        for (weight, expected) in weights.iter().zip([0.571_428_6, 0.142_857_15, 0.0, 2.285_714_4]) {
            assert!((weight - expected).abs() < 1e-6, "{weights:?}");
        }
        let roots = of(ClassWeights::Inverse(0.5)).unwrap().unwrap();
        assert!((roots[3] / roots[0] - 2.0).abs() < 1e-6 && (roots[0] / roots[1] - 2.0).abs() < 1e-6, "{roots:?}");
        assert_eq!(of(ClassWeights::Listed(vec![1.0; 4])).unwrap(), Some(vec![1.0; 4]));
        assert!(of(ClassWeights::Listed(vec![1.0; 3])).is_err());
    }
}
