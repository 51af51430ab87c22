//! Our kernels against well-kept peers, on one machine, in one run:
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --device llvmpipe --runs 15
//! ```
//!
//! - GPU: `linear` and `patch_attention` against [Burn](https://burn.dev) 0.22 (wgpu backend, WGSL, autotuned, f32) on
//!   the same adapter. Without `--device` it is the machine's best, and a software one where there is no other. Burn's
//!   attention is measured twice: composed of matrix products and a softmax, and as its own fused operation.
//! - CPU: the twin of `linear` against the [gemm](https://crates.io/crates/gemm) 0.19 crate (AVX-512, rayon).
//!
//! Both sides hold the same operands on their device, and must agree within [`TOLERANCE`](compare::TOLERANCE) before
//! they are timed. Then they take turns, each beginning every other turn, and each is done when a first row of its
//! result is on the host: that row is the last thing its queue had to do. Times are medians; the ratio is the median
//! of the turns' ratios, which a machine that slows down for a while does not move.
//!
//! The first build takes half an hour on two cores, nearly all of it Burn.

mod burn_side;
mod compare;
mod gemm_side;
mod ours;
mod shapes;
mod table;

use std::{error::Error, process::ExitCode};

use burn_side::Burn;
use compare::{Comparison, Measured, measure};
use pointtpa::{
    Device,
    device::{AdapterSummary, DeviceChoice, DeviceOptions},
};
use pollster::block_on;
use shapes::{ATTENTION, PRODUCTS};

const USAGE: &str = "usage: peers [--device NAME] [--runs N]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let adapter = choose_adapter(options.device.as_deref())?;
    let choice = DeviceChoice::Named(adapter.name.clone());
    let gpu = Device::open_blocking(DeviceOptions { choice, ..DeviceOptions::default() })?;
    let burn = Burn::open(&adapter)?;

    let gpu_rows = measure_all(on_gpu(&gpu, &burn), options.runs)?;
    let cpu_rows = measure_all(on_cpu(), options.runs)?;
    println!("{}", table::markdown(&gpu.description(), "Burn 0.22", &gpu_rows));
    println!("{}", table::markdown(&Device::cpu().description(), "gemm 0.19", &cpu_rows));
    Ok(())
}

/// What the command line asks for.
struct Options {
    /// Part of an adapter's name.
    device: Option<String>,
    /// Turns of each comparison, at least.
    runs: usize,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { device: None, runs: 15 };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--device" => options.device = Some(value),
                "--runs" => options.runs = value.parse().ok().filter(|runs| *runs > 0).ok_or(USAGE)?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}

/// The first adapter whose name contains `wanted`; without one, the best of the machine.
fn choose_adapter(wanted: Option<&str>) -> Result<AdapterSummary, String> {
    let wanted = wanted.unwrap_or_default().to_lowercase();
    let adapters = block_on(Device::adapters());
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.name.clone()).collect();
    let found = adapters.into_iter().find(|adapter| adapter.name.to_lowercase().contains(&wanted));
    found.ok_or_else(|| format!("no adapter is named '{wanted}'; this machine has {names:?}"))
}

fn on_gpu(gpu: &Device, burn: &Burn) -> Vec<Comparison> {
    let mut comparisons: Vec<Comparison> = PRODUCTS
        .iter()
        .map(|shape| {
            let operands = shape.operands();
            Comparison {
                name: format!("linear {shape}"),
                flops: shape.flops(),
                ours: ours::linear(gpu, shape, &operands),
                peer: burn.product(shape, &operands),
            }
        })
        .collect();
    let operands = ATTENTION.operands();
    for (how, peer) in [
        ("composed of products", burn.composed_attention(&ATTENTION, &operands)),
        ("fused operation", burn.fused_attention(&ATTENTION, &operands)),
    ] {
        comparisons.push(Comparison {
            name: format!("attention {ATTENTION}, peer's {how}"),
            flops: ATTENTION.flops(),
            ours: ours::attention(gpu, &ATTENTION, &operands),
            peer,
        });
    }
    comparisons
}

fn on_cpu() -> Vec<Comparison> {
    let cpu = Device::cpu();
    let compare = |shape: &shapes::Product| {
        let operands = shape.operands();
        Comparison {
            name: format!("linear {shape}"),
            flops: shape.flops(),
            ours: ours::linear(&cpu, shape, &operands),
            peer: gemm_side::product(shape, &operands),
        }
    };
    PRODUCTS.iter().map(compare).collect()
}

fn measure_all(comparisons: Vec<Comparison>, runs: usize) -> Result<Vec<Measured>, String> {
    comparisons.into_iter().map(|comparison| measure(comparison, runs)).collect()
}
