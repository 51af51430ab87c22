//! The command line of `pointtpa bench`.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{AdapterName, Network};

/// Measure a model on generated rooms: time, memory, and where both go
#[derive(Debug, Args)]
#[command(after_help = "\
A run goes from the voxels of a room, on the device, to their labels on the host; times are medians. Beside every run
stands one without the adapter, and the ratio of the two is what the adapter costs. The tables of stages and kernels
come from one more run that measures every dispatch, and `of peak` compares with fused multiply-adds in registers alone.
Close other programs, and expect the largest scene to take a minute on a CPU.

Examples:
  pointtpa bench
  pointtpa bench --config rooms --voxels 20000 --device cpu
  pointtpa bench --model model.safetensors --voxels 10000,30000,60000 --chart time.svg --json > bench.json")]
pub(crate) struct Bench {
    /// Voxels of the generated scenes
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "10000,30000,60000",
          value_parser = voxels)]
    pub(crate) voxels: Vec<usize>,

    /// The network
    #[arg(long, value_enum, default_value_t = Network::Base)]
    pub(crate) config: Network,

    /// The adapter
    #[arg(long, value_enum, default_value_t = AdapterName::LowRank)]
    pub(crate) adapter: AdapterName,

    /// A model file to measure instead
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["config", "adapter"])]
    pub(crate) model: Option<PathBuf>,

    /// Runs of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = runs)]
    pub(crate) runs: usize,

    /// Runs before them that do not count
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) warmup: usize,

    /// Also sort a million keys, voxelize a million points, and build the pyramid of a room, each alone
    #[arg(long)]
    pub(crate) geometry: bool,

    /// Draw time against voxels, as SVG or PNG by the file's name
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,

    /// Other measurements for the chart: rows of `label,voxels,seconds`
    #[arg(long, value_name = "FILE.csv", requires = "chart")]
    pub(crate) compare: Option<PathBuf>,
}

/// A number of voxels.
fn voxels(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(count) if (1..=10_000_000).contains(&count) => Ok(count),
        _ => Err("a number of voxels is needed, from 1 to 10000000; several are separated by commas".to_owned()),
    }
}

/// A number of runs.
fn runs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=10_000).contains(&count) => Ok(count),
        _ => Err("a number of runs is needed, from 1 to 10000".to_owned()),
    }
}
