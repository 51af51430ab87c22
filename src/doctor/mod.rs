//! Whether this machine computes what it should: its adapters, and every kernel on each of them against its CPU twin.
//!
//! `check` compares whole networks with recorded runs of the reference; this finds the one kernel that a driver gets wrong,
//! and needs no files.

mod adapter;
mod cases;
mod operands;
mod twin;
mod verdict;

use crate::{
    Error, Progress, Result,
    device::{AdapterDetails, DeviceChoice, inspect::inspect},
};
use pollster::block_on;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

/// What to examine, and who is told.
pub struct Options<'a> {
    /// Which adapters: [`DeviceChoice::Auto`] means all, software ones too, [`DeviceChoice::Cpu`] none.
    pub choice: DeviceChoice,
    /// Told which kernel on which adapter comes next.
    pub progress: Option<&'a dyn Fn(Progress<'_>)>,
    /// Stops between two kernels.
    pub cancel: Option<&'a AtomicBool>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether no kernel disagrees with its twin.
    pub holds: bool,
    /// The outcome in sentences.
    pub verdict: Vec<String>,
    /// The CPU side.
    pub cpu: CpuReport,
    /// The adapters, best first.
    pub adapters: Vec<AdapterReport>,
}

/// The CPU, where the twins run.
#[derive(Clone, Debug, Serialize)]
pub struct CpuReport {
    /// Threads of the twins.
    pub threads: usize,
    /// The instructions that they were dispatched to.
    pub instructions: String,
}

/// One adapter.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterReport {
    /// What it says of itself.
    #[serde(flatten)]
    pub details: AdapterDetails,
    /// Whether `--device auto` takes it.
    pub automatic: bool,
    /// How it was examined; `None` where it would not open.
    pub examined: Option<Examined>,
}

/// What an adapter made of the kernels.
#[derive(Clone, Debug, Serialize)]
pub struct Examined {
    /// The capability tier: `portable` or `native`.
    pub tier: String,
    /// Why it is that one.
    pub tier_reason: String,
    /// Entry points of shaders that were compiled, and what was wrong with those that the driver refused.
    pub compiled: usize,
    /// `kernel.permutation.entry: what was wrong`.
    pub not_compiled: Vec<String>,
    /// Where the adapter's times come from.
    pub timed_by: Clock,
    /// A row per case, by kernel.
    pub kernels: Vec<KernelRow>,
}

/// What times a kernel on an adapter. On the CPU a kernel's twin is timed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The adapter's own timestamps: the kernel alone.
    Timestamps,
    /// A clock on the host: operands to the adapter, the kernel, and results back.
    Host,
}

/// One kernel in one of its ways, on an adapter and on the CPU.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// The kernel, as in `shaders/`.
    pub kernel: &'static str,
    /// What it was given.
    pub case: &'static str,
    /// Whether the results are within the tolerance.
    pub holds: bool,
    /// The largest difference: `|a - b| / (1 + |b|)` of floats, the share of different elements of integers.
    pub difference: f32,
    /// How large it may be; 0 for equal bits.
    pub tolerance: f32,
    /// Seconds on the adapter, the best of some; `None` where it failed.
    pub adapter_s: Option<f64>,
    /// Seconds of the twin, the best of some.
    pub cpu_s: f64,
    /// Why there is nothing to compare, if the kernel failed.
    pub problem: Option<String>,
}

/// Examines this machine.
///
/// # Errors
/// [`Error::NoAdapter`] if the choice leaves none, [`Error::Cancelled`], and what goes wrong on the CPU. What goes wrong on an
/// adapter is in the report.
pub fn examine(options: &Options<'_>) -> Result<Report> {
    let adapters = block_on(inspect(&options.choice))?;
    let automatic = adapters.iter().position(|adapter| !adapter.details.software && adapter.details.problem.is_none());
    let total = (adapters.len() * cases::all().count()).max(1) as f64;
    let done = std::cell::Cell::new(0.0);
    let step = |stage: &str| {
        if options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Error::Cancelled);
        }
        if let Some(progress) = options.progress {
            progress(Progress { stage, done: done.get() / total });
        }
        done.set(done.get() + 1.0);
        Ok(())
    };
    let mut reports = Vec::new();
    for (place, adapter) in adapters.iter().enumerate() {
        reports.push(adapter::report(adapter, automatic == Some(place), &step)?);
    }
    let cpu = CpuReport { threads: crate::parallel::current_num_threads(), instructions: instructions() };
    let holds = reports.iter().all(AdapterReport::holds);
    Ok(Report { holds, verdict: verdict::verdict(&options.choice, &cpu, &reports), cpu, adapters: reports })
}

impl AdapterReport {
    /// Whether nothing was found against it. An adapter that does not open computes nothing wrong.
    pub fn holds(&self) -> bool {
        self.examined.as_ref().is_none_or(|examined| {
            examined.not_compiled.is_empty() && examined.kernels.iter().all(|kernel| kernel.holds)
        })
    }
}

/// The vector instructions that the twins use on this machine.
fn instructions() -> String {
    // The variant's name; what follows are proofs of features.
    let debug = format!("{:?}", pulp::Arch::new());
    let name: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
    match name.as_str() {
        "V4" => "x86-64-v4 (AVX-512)".into(),
        "V3" => "x86-64-v3 (AVX2, FMA)".into(),
        "Scalar" => format!("{}, no vectors beyond its baseline", std::env::consts::ARCH),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::shader_table;
    use std::collections::BTreeSet;

    #[test]
    fn every_kernel_of_the_shader_table_has_a_row() {
        let in_table: BTreeSet<&str> = shader_table::ALL.iter().map(|variant| variant.kernel).collect();
        let examined: BTreeSet<&str> = cases::all().map(|case| case.kernel).collect();
        assert_eq!(examined, in_table);
        let names: BTreeSet<(&str, &str)> = cases::all().map(|case| (case.kernel, case.what)).collect();
        assert_eq!(names.len(), cases::all().count(), "two rows of one name");
    }

    #[test]
    fn this_machine_s_adapters_agree_with_the_twins() {
        let report = examine(&Options { choice: DeviceChoice::Auto, progress: None, cancel: None }).unwrap();
        for adapter in &report.adapters {
            let Some(examined) = &adapter.examined else { continue };
            assert_eq!(examined.not_compiled, [""; 0]);
            assert_eq!(examined.kernels.len(), cases::all().count());
            for row in &examined.kernels {
                assert!(row.holds, "{}: {row:?}", adapter.details.name);
                assert!(row.cpu_s > 0.0 && row.adapter_s > Some(0.0), "{row:?}");
            }
        }
        assert!(report.holds && !report.verdict.is_empty());
    }

    #[test]
    fn a_choice_that_leaves_no_adapter_is_told_and_the_cpu_needs_none() {
        let with = |choice: DeviceChoice| examine(&Options { choice, progress: None, cancel: None });
        assert!(matches!(with(DeviceChoice::Named("no such adapter".into())), Err(Error::NoAdapter { .. })));
        let report = with(DeviceChoice::Cpu).unwrap();
        assert!(report.holds && report.adapters.is_empty());
        let stopped = AtomicBool::new(true);
        let options = Options { choice: DeviceChoice::Auto, progress: None, cancel: Some(&stopped) };
        let outcome = examine(&options);
        assert!(matches!(outcome, Err(Error::Cancelled)) || outcome.is_ok_and(|report| report.adapters.is_empty()));
    }
}
