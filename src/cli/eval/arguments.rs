//! The command line of `pointtpa eval`.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;

use clap::Args;

/// Measure a model on labelled scans: mIoU, accuracy, confusion, and a report with pictures
#[derive(Debug, Args)]
#[command(after_help = "\
The scans are those of DIR/val, or the labelled ones of DIR where there is no `val`: files that `segment` reads, with a
property `label`, or folders of coord, color, normal and segment .npy. Points labelled -1 are ignored. As in Pointcept,
mIoU and mAcc are means over all classes of the model, and a class without a true point counts as 0; the means over the
classes that occur stand beside them.

Examples:
  pointtpa eval --data rooms
  pointtpa eval --model model.safetensors --data rooms --report report/
  pointtpa eval --model model.safetensors --data rooms --tta --json > scores.json")]
pub(crate) struct Eval {
    /// The folder of labelled scans
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// The model file [default: the one built into the program]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Edge of a voxel in metres [default: the model's]
    #[arg(long, value_name = "METRES", value_parser = crate::arguments::length::<f64>)]
    pub(crate) grid: Option<f64>,

    /// Look at every scan from 13 views, and add up what the model says of each
    #[arg(long)]
    pub(crate) tta: bool,

    /// Write report.html, confusion.csv, confusion.png, per_class.csv and metrics.json to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,

    /// Pictures of at most so many scans in the report
    #[arg(long, value_name = "N", default_value_t = 8, requires = "report")]
    pub(crate) pictures: usize,
}
