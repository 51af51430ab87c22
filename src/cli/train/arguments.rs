//! The command line of `pointtpa train`.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use pointtpa::model::adapter_settings::{AdapterSettings, Layers};
use pointtpa::model::config::Target;
use pointtpa::train::Recipe as Augmentation;
use pointtpa::train::trainable::Part;

use crate::arguments::{AdapterName, Network};

/// Train a model on labelled scans: an adapter on a base, a part of it, or all of it
#[derive(Debug, Args)]
#[command(after_help = "\
DIR has labelled scans in train/ and, to validate on, in val/: files that `segment` reads with a label per point, or folders with
coord.npy, color.npy, normal.npy and segment.npy.

The recipe is the published one for ScanNet, scaled down: cross-entropy and Lovász loss, AdamW (weight decay 0.01),
OneCycle with 5 % of warm-up, gradients clipped at 3, scenes mixed in 8 of 10 batches, the published augmentations.
Scaled down are the batch (2, published 4), the voxels of a scene (50000, published 102400) and the epochs (50, published
800). A base learns at 0.001, and at a tenth of that in blocks, where adapters are; from scratch it is 0.006, weight
decay 0.05, as published for Point Transformer V3.

The run folder has log.jsonl (a line per step and per validation), curves.png and the last two checkpoints. Ctrl-C
finishes the step, saves a checkpoint and exits with 130; the same command with --resume goes on, and gives the very
model that an uninterrupted run on the same device gives.

Examples:
  pointtpa synth -o rooms --count 100 --val 10
  pointtpa train --data rooms --model base.safetensors -o mine.safetensors --adapter-only
  pointtpa segment scan.ply -o labelled.ply --model base.safetensors --adapter mine.safetensors
  pointtpa train --data rooms --config rooms -o rooms.safetensors --epochs 100 --f16
  pointtpa train --dry-run --config base --adapter basis-mix --train head")]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) recipe: Recipe,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
}

/// What is read and written.
#[allow(clippy::struct_excessive_bools, reason = "every switch of a command line is one")]
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// The folder of labelled scans
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    pub(crate) data: Option<PathBuf>,

    /// The trained model file
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,

    /// The run folder: log, curves, checkpoints [default: FILE with the ending .run]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,

    /// Go on with the run in the run folder
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) resume: bool,

    /// With --resume: train no further, and write the model as the last checkpoint has it
    #[arg(long, requires = "resume")]
    pub(crate) finish: bool,

    /// Write only what was trained, to be laid over the base with `--adapter`
    #[arg(long)]
    pub(crate) adapter_only: bool,

    /// Under which licence the result is, to be said in its file [default: the base's]
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,

    /// Store what is written in 16-bit floats
    #[arg(long)]
    pub(crate) f16: bool,

    /// Print what would be trained, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is trained.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct Subject {
    /// The base to train on [default: the model built into the program]
    #[arg(short, long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) model: Option<PathBuf>,

    /// Train a new model of this network from scratch
    #[arg(long, value_enum)]
    pub(crate) config: Option<Network>,

    /// The classes of the scans: scannet20, scannet200, scannetpp100, s3dis13, rooms, or a JSON file of `[{"id", "name", "color"}]`; other ones than
    /// the base's get a new head [default: the base's]
    #[arg(long, value_name = "SET|FILE")]
    pub(crate) classes: Option<String>,

    /// The adapter [default: the base's own, else low-rank; none with `--train full` or `--config`]
    #[arg(long, value_enum)]
    pub(crate) adapter: Option<AdapterName>,

    /// What learns besides the adapter [default: head; full with `--config`]
    #[arg(long, value_enum)]
    pub(crate) train: Option<Learning>,

    /// Rank of the deltas (lora, low-rank) [default: 16; fewer in narrow networks]
    #[arg(long, value_name = "R")]
    pub(crate) rank: Option<usize>,

    /// The deltas are multiplied by A/R (lora, low-rank) [default: R]
    #[arg(long, value_name = "A")]
    pub(crate) alpha: Option<f64>,

    /// Width of the generator's hidden layer (low-rank) [default: 16; less in narrow networks] or of the bottleneck
    /// (adapter, basis-mix) [default: 64; less in narrow networks]
    #[arg(long, value_name = "N")]
    pub(crate) hidden: Option<usize>,

    /// Points whose mean describes a patch, 0 for the whole scene (low-rank) [default: the attention's window], or points
    /// of a group (basis-mix) [default: the published numbers of groups]
    #[arg(long, value_name = "POINTS")]
    pub(crate) window: Option<usize>,

    /// Points that share a delta (low-rank) [default: half the window]
    #[arg(long, value_name = "POINTS")]
    pub(crate) stride: Option<usize>,

    /// Encoder blocks with an adapter (lora, low-rank) or a dynamic one (basis-mix), numbered from 0 through all stages
    /// [default: last, the last block of each stage; all for lora]
    #[arg(long, value_name = "all|last|N,N,…")]
    pub(crate) layers: Option<LayerList>,

    /// The wrapped layers of a block (lora, low-rank) [default: qkv]
    #[arg(long, value_name = "LAYER,…", value_enum, value_delimiter = ',')]
    pub(crate) targets: Option<Vec<TargetName>>,
}

/// How it is trained.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct Recipe {
    /// How often every scan comes [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "steps", value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    pub(crate) epochs: Option<u64>,

    /// Steps of the optimizer, instead of epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    pub(crate) steps: Option<u64>,

    /// Scans of a batch
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count)]
    pub(crate) batch: usize,

    /// Batches of a step, one after the other: their gradients are averaged, and memory is that of one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count)]
    pub(crate) accumulate: usize,

    /// The largest learning rate, outside of blocks [default: 0.001; 0.006 with `--config`]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) lr: Option<f64>,

    /// The largest learning rate in blocks and their adapters [default: a tenth of the other]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) block_lr: Option<f64>,

    /// AdamW's weight decay [default: 0.01; 0.05 with `--config`]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) weight_decay: Option<f64>,

    /// How the learning rate goes over the run
    #[arg(long, value_enum, default_value_t = ScheduleName::OneCycle)]
    pub(crate) schedule: ScheduleName,

    /// The largest norm of all gradients together, 0 for any
    #[arg(long, value_name = "NORM", default_value_t = 3.0, value_parser = norm)]
    pub(crate) clip: f32,

    /// Share of the points that the deepest block drops [default: the model's]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) drop_path: Option<f64>,

    /// What is made smaller
    #[arg(long, value_enum, default_value_t = LossName::Both)]
    pub(crate) loss: LossName,

    /// Weights of the classes in cross-entropy: inverse to their points, to the square or fourth root of them, or a number
    /// each
    #[arg(long, value_name = "none|inverse|root|fourth-root|W,…", default_value = "none")]
    pub(crate) class_weights: ClassWeights,

    /// How scans are varied from one time to the next
    #[arg(long, value_enum, default_value_t = AugmentName::Published)]
    pub(crate) augment: AugmentName,

    /// How often the scenes of a batch are merged in pairs [default: 0.8; 0 with `--augment mild` and `none`]
    #[arg(long, value_name = "SHARE", value_parser = share_or_all)]
    pub(crate) mix_prob: Option<f64>,

    /// The most voxels of a scene, 0 for any: those around a random one are kept
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) max_points: usize,

    /// Edge of a voxel in metres [default: the base's, else 0.02]
    #[arg(long, value_name = "METRES", value_parser = length)]
    pub(crate) grid: Option<f64>,

    /// The same seed gives the same model on the same device
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// What is kept of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Validation and checkpoints")]
pub(crate) struct Keeping {
    /// Steps from one validation to the next, 0 for one at the end [default: an epoch]
    #[arg(long, value_name = "STEPS")]
    pub(crate) val_every: Option<u64>,

    /// Steps from one checkpoint to the next, 0 for one at the end [default: an epoch]
    #[arg(long, value_name = "STEPS")]
    pub(crate) save_every: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AugmentName {
    /// All that the published recipe does: dropped points, turns, scales, flips, bends, colours
    Published,
    /// Turns, scales, flips, a little noise and other light: for short trainings
    Mild,
    /// Scans as they are
    None,
}

impl From<AugmentName> for Augmentation {
    fn from(name: AugmentName) -> Self {
        match name {
            AugmentName::Published => Self::reference(),
            AugmentName::Mild => Self::mild(),
            AugmentName::None => Self::none(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Learning {
    /// The head alone
    Head,
    /// Decoder and head
    Decoder,
    /// Everything
    Full,
}

impl From<Learning> for Part {
    fn from(learning: Learning) -> Self {
        match learning {
            Learning::Head => Self::Head,
            Learning::Decoder => Self::Decoder,
            Learning::Full => Self::Full,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScheduleName {
    /// Up for 5 % of the run, then down along half a cosine
    OneCycle,
    /// Down along half a cosine
    Cosine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossName {
    /// Cross-entropy
    Ce,
    /// Cross-entropy and Lovász-softmax
    #[value(name = "ce+lovasz")]
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// Queries, keys and values
    Qkv,
    /// First layer of the MLP
    Fc1,
    /// Second layer of the MLP
    Fc2,
}

/// `all`, `last` or numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerList(Layers);

impl FromStr for LayerList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "all" => Layers::All,
            "last" => Layers::Last,
            numbers => {
                let numbers = numbers.split(',').map(|number| number.trim().parse());
                let numbers = numbers.collect::<Result<Vec<usize>, _>>();
                Layers::Listed(numbers.map_err(|_| "write `all`, `last`, or numbers like 2,5,8".to_owned())?)
            }
        }))
    }
}

/// Weights of the classes in cross-entropy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClassWeights {
    /// All alike.
    None,
    /// Inverse to this power of a class's points.
    Inverse(f64),
    /// One for each class.
    Listed(Vec<f32>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "inverse" => Ok(Self::Inverse(1.0)),
            "root" => Ok(Self::Inverse(0.5)),
            "fourth-root" => Ok(Self::Inverse(0.25)),
            numbers => {
                let weight = |number: &str| number.trim().parse().ok().filter(|w: &f32| w.is_finite() && *w >= 0.0);
                let weights: Option<Vec<f32>> = numbers.split(',').map(weight).collect();
                let weights = weights.filter(|weights| weights.iter().any(|weight| *weight > 0.0));
                weights.map(Self::Listed).ok_or_else(|| {
                    "write `none`, `inverse`, `root`, `fourth-root`, or a weight of 0 or more for every class, like 1,0.5,2".to_owned()
                })
            }
        }
    }
}

impl Subject {
    /// What is said of the adapter.
    pub(crate) fn settings(&self) -> AdapterSettings {
        let target = |name: &TargetName| match name {
            TargetName::Qkv => Target::Qkv,
            TargetName::Fc1 => Target::Fc1,
            TargetName::Fc2 => Target::Fc2,
        };
        AdapterSettings {
            rank: self.rank,
            alpha: self.alpha,
            hidden: self.hidden,
            window: self.window,
            stride: self.stride,
            layers: self.layers.as_ref().map(|layers| layers.0.clone()),
            targets: self.targets.as_ref().map(|targets| targets.iter().map(target).collect()),
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1024).contains(&count) => Ok(count),
        _ => Err("a number from 1 to 1024 is needed".to_owned()),
    }
}

fn number(text: &str, what: &str, allowed: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse().ok().filter(|value| allowed(*value)).ok_or_else(|| format!("{what} is needed"))
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, "a rate from 0 to 1, like 0.001,", |rate| (0.0..=1.0).contains(&rate))
}

fn share(text: &str) -> Result<f64, String> {
    number(text, "a share from 0 to below 1", |share| (0.0..1.0).contains(&share))
}

fn share_or_all(text: &str) -> Result<f64, String> {
    number(text, "a share from 0 to 1", |share| (0.0..=1.0).contains(&share))
}

fn norm(text: &str) -> Result<f32, String> {
    Ok(number(text, "a norm, 0 or more,", |norm| (0.0..1e30).contains(&norm))? as f32)
}

fn length(text: &str) -> Result<f64, String> {
    number(text, "a length in metres, greater than 0,", |metres| metres > 0.0 && metres < 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_words_or_numbers() {
        assert_eq!("last".parse(), Ok(LayerList(Layers::Last)));
        assert_eq!("2, 5".parse(), Ok(LayerList(Layers::Listed(vec![2, 5]))));
        assert!("first".parse::<LayerList>().is_err() && "".parse::<LayerList>().is_err());
        assert_eq!("root".parse(), Ok(ClassWeights::Inverse(0.5)));
        assert_eq!("fourth-root".parse(), Ok(ClassWeights::Inverse(0.25)));
        assert_eq!("1,0,2.5".parse(), Ok(ClassWeights::Listed(vec![1.0, 0.0, 2.5])));
        for wrong in ["0,0", "-1,2", "NaN", "most", ""] {
            assert!(wrong.parse::<ClassWeights>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(rate("1e-3"), Ok(0.001));
        for wrong in ["-1", "2", "NaN", "x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert!(share("1").is_err() && share_or_all("1").is_ok() && length("0").is_err() && norm("inf").is_err());
    }
}
