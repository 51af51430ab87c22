//! The options of `pointtpa convert`.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{Storage, length};

/// Make a model file of a PyTorch checkpoint
#[derive(Debug, Args)]
#[command(after_help = "\
A checkpoint is a state dict, what the reference's trainer saves, Sonata's pretraining, or Sonata as published; nothing in
it is run. Every command that takes a model file takes it as it is, too. The configuration is deduced from the weights;
what they cannot say follows the published models and is told, and --config says it all. A checkpoint without a head gives
a model to train: `pointtpa train --model OUT --classes SET --data DIR`.

Examples:
  pointtpa convert model_best.pth -o model.safetensors --classes scannet20
  pointtpa convert sonata.pth -o sonata.safetensors --dtype f16 --licence CC-BY-NC-4.0
  pointtpa convert model_last.pth -o model.safetensors --config config.json --json")]
pub(crate) struct Convert {
    /// The checkpoint: .pth, .pt or .ckpt, told by content
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,

    /// The model file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// The model's configuration as JSON, with the reference's field names [default: deduced from the weights]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The classes: scannet20, scannet200, scannetpp100, s3dis13, rooms, or a JSON file of `[{"id", "name", "color"}]` [default: those in IN, else unnamed]
    #[arg(long, value_name = "SET|FILE")]
    pub(crate) classes: Option<String>,

    /// Edge of the voxels that the model was trained on, in metres [default: that in IN, else 0.02]
    #[arg(long, value_name = "METRES", value_parser = length::<f64>)]
    pub(crate) grid: Option<f64>,

    /// What the model reads of a point, in order: `coord,color,normal` [default: by the number of channels, 3, 6 or 9 of these]
    #[arg(long, value_name = "LIST")]
    pub(crate) features: Option<String>,

    /// How the weights are stored [default: as in IN, f32 if there are several]
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<Storage>,

    /// The licence that the weights are under
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
}
