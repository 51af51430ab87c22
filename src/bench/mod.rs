//! How fast a device runs a model, and where the time goes.
//!
//! A run is what a scan of a room costs once its voxels and features are on the device: the pyramid, the network, and
//! the label of every voxel back on the host. Scenes are generated ([`Scene`]), so anyone can repeat a measurement.
//! With an adapter, every run is paired with one of the same network without it. The tables of stages and kernels come
//! from a run of their own, on a device that measures every dispatch.

mod breakdown;
mod geometry;
mod peak;
mod report;
mod scene;
mod subject;
mod timed;

pub use report::{GeometryRow, KernelRow, Report, RunReport, StageRow};
pub use scene::Scene;
pub use subject::Subject;

use crate::{Error, Progress, Result, device::DeviceOptions};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};
use timed::{Bench, Paired};

/// The largest scene; its rooms fill a hall of a hundred metres.
const MAX_VOXELS: usize = 10_000_000;

/// The most runs of one measurement.
const MAX_RUNS: usize = 10_000;

/// What to measure, and how often.
pub struct Options<'a> {
    /// Where. A measured model has the budget to itself.
    pub device: DeviceOptions,
    /// Which model.
    pub subject: Subject,
    /// Voxels of the scenes, one measurement each.
    pub voxels: &'a [usize],
    /// Runs of which the median counts.
    pub runs: usize,
    /// Runs before them that do not count.
    pub warmup: usize,
    /// Also sorts, voxelizes, and builds a pyramid, each alone.
    pub geometry: bool,
    /// Told about every run.
    pub progress: Option<&'a dyn Fn(Progress<'_>)>,
    /// Set it, from any thread, to stop with [`Error::Cancelled`].
    pub cancel: Option<&'a AtomicBool>,
}

/// Measures.
///
/// # Errors
/// [`Error::Argument`] for an empty list of scenes, a scene of no or too many voxels and no runs; those of opening the
/// device, of loading the model and of running it; [`Error::Cancelled`].
pub fn bench(options: &Options<'_>) -> Result<Report> {
    check(options)?;
    let watch = Watch::new(options);
    watch.say("scenes")?;
    let scenes = options.voxels.iter().map(|count| Scene::of(*count)).collect::<Result<Vec<_>>>()?;
    let Some(first_scene) = scenes.first() else { unreachable!("checked above") };
    watch.say("model")?;
    let file = options.subject.open()?;

    watch.say("first labels")?;
    let begun = Instant::now();
    // Reading its header is part of a cold start from a file.
    let reopened = matches!(options.subject, Subject::File(_)).then(|| options.subject.open()).transpose()?;
    let adapted = Bench::open(&watch, &options.device, reopened.as_ref().unwrap_or(&file))?;
    adapted.run(&adapted.upload(first_scene)?)?;
    let first_label_s = begun.elapsed().as_secs_f64();

    watch.say("peak")?;
    let peak_gflops = peak::peak(adapted.device())? * 1e-9;
    let plain =
        subject::open_without_adapter(&file)?.map(|plain| Bench::open(&watch, &options.device, &plain)).transpose()?;
    let pair = Paired { adapted: &adapted, plain: plain.as_ref() };
    let mut runs = scenes.iter().map(|scene| pair.measure(scene, options)).collect::<Result<Vec<_>>>()?;
    let device = adapted.device().description();
    // What comes next takes their memory.
    drop((adapted, plain));

    watch.say("breakdown")?;
    let mut warnings = Vec::new();
    let measuring = DeviceOptions { profile: true, ..options.device.clone() };
    let measured = Bench::open(&watch, &measuring, &file)?;
    // Of two moments, the one at which the machine was less busy with other things.
    let peak_gflops = peak_gflops.max(peak::peak(measured.device())? * 1e-9);
    for (run, scene) in runs.iter_mut().zip(&scenes) {
        let found = breakdown::breakdown(&measured, scene, peak_gflops)?;
        if found.kernels.is_empty() && warnings.is_empty() {
            let name = measured.device().name();
            warnings.push(format!("{name} cannot time single kernels: there are no tables of stages and kernels"));
        }
        (run.stages, run.kernels) = (found.stages, found.kernels);
    }
    drop(measured);
    let geometry = if options.geometry { geometry::geometry(&watch, options)? } else { Vec::new() };
    Ok(Report {
        device,
        config: options.subject.name(),
        adapter: file.config().adapter().name().to_owned(),
        peak_gflops,
        first_label_s,
        runs,
        geometry,
        warnings,
    })
}

fn check(options: &Options<'_>) -> Result<()> {
    let refuse = |what: &str, problem: String, advice: &str| {
        Err(Error::Argument { what: what.into(), problem, advice: advice.into() })
    };
    if options.voxels.is_empty() {
        return refuse("voxels", "no scene is asked for".into(), "Name at least one number of voxels");
    }
    if let Some(count) = options.voxels.iter().find(|count| !(1..=MAX_VOXELS).contains(*count)) {
        return refuse("voxels", format!("{count} voxels make no scene"), "Use 1 to 10,000,000");
    }
    if options.runs == 0 {
        return refuse("runs", "0 runs have no median".into(), "Use at least 1");
    }
    if options.runs.max(options.warmup) > MAX_RUNS {
        return refuse("runs", format!("more than {MAX_RUNS} runs are asked for"), "Use fewer");
    }
    Ok(())
}

/// Who is told what is being done, and who may stop it.
struct Watch<'a> {
    progress: Option<&'a dyn Fn(Progress<'_>)>,
    cancel: Option<&'a AtomicBool>,
    /// Voxels of all counted runs, and of those that are done.
    total: f64,
    done: std::cell::Cell<f64>,
}

impl<'a> Watch<'a> {
    fn new(options: &Options<'a>) -> Self {
        let runs = 2 * (options.runs + options.warmup);
        let total = (options.voxels.iter().sum::<usize>() * runs) as f64;
        Self { progress: options.progress, cancel: options.cancel, total, done: 0.0.into() }
    }

    /// An error if the caller asked to stop.
    fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Says what comes next.
    fn say(&self, stage: &str) -> Result<()> {
        if let Some(progress) = self.progress {
            progress(Progress { stage, done: self.done.get() / self.total });
        }
        self.check()
    }

    /// Counts a run over so many voxels.
    fn count(&self, voxels: usize) {
        self.done.set(self.done.get() + voxels as f64);
    }
}
