//! `pointtpa train`: labelled scans in, a trained model out.

pub(crate) mod arguments;
mod curves;
mod dry_run;
mod plan;
mod subject;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pointtpa::Device;
use pointtpa::model::adapter_file::write_adapter;
use pointtpa::model::tensor_file::Dtype;
use pointtpa::model::weights::{ModelFile, ModelInfo};
use pointtpa::model::write::write_model_to;
use pointtpa::train::metrics::Scores;
use pointtpa::train::run_folder::holds_run;
use pointtpa::train::{Run, RunFolder, StepRecord, Trainable};
use pointtpa::{Error, LabelSet};
use pollster::block_on;
use serde_json::{Value, json};

use self::arguments::Train;
use self::plan::Plan;
use self::subject::Subject;
use super::arguments::Global;
use super::exit::{CANCELLED, Failure, Outcome};
use super::info::share;
use super::memory_size::spoken;
use super::{choice, interrupt, output, results, screen, table::table};

/// How often a run that has no progress bar says where it is.
const NEWS: Duration = Duration::from_secs(30);

pub(crate) fn run(global: &Global, command: &Train) -> Outcome {
    let subject = Subject::of(command)?;
    if command.paths.dry_run {
        let plan = command.paths.data.as_deref().map(|data| Plan::of(command, &subject, data)).transpose()?;
        if let Some(plan) = &plan {
            plan.warn();
        }
        if global.json {
            return results::print_json(&dry_run::json(&subject, plan.as_ref()));
        }
        return results::print(&dry_run::text(&subject, plan.as_ref()));
    }
    // The command line asks for both of a run that is no dry one.
    let (Some(data), Some(output)) = (command.paths.data.as_deref(), command.paths.output.as_deref()) else {
        return Err(Failure::usage("--data DIR and --output FILE are needed"));
    };
    if output::is_stdout(output) {
        return Err(Failure::usage("--output: a model is trained for hours, so give it a file to be written to"));
    }
    output::check_writable(output)?;
    let run_dir = command.paths.run_dir.clone().unwrap_or_else(|| output.with_extension("run"));
    if run_dir == output {
        return Err(Failure::usage(format!(
            "{} would be the model and the run folder at once: name another file, or another folder (`--run-dir`)",
            output.display()
        )));
    }
    if !command.paths.resume && holds_run(&run_dir)? {
        return Err(Failure::usage(format!(
            "{} holds a training run already: go on with it (`--resume`), name another folder (`--run-dir`), or remove it",
            run_dir.display()
        )));
    }
    screen::say(&dry_run::line(&subject));
    screen::say(&format!("reading {}", data.display()));
    let plan = Plan::of(command, &subject, data)?;
    plan.warn();
    screen::say(&plan.text());
    Session::open(global, command, subject, plan, output, &run_dir)?.train()
}

/// A run, and what is to become of it.
struct Session<'a> {
    global: &'a Global,
    command: &'a Train,
    output: &'a Path,
    run: Run,
    device: Device,
    labels: LabelSet,
    trainable: Trainable,
    /// What the trained model says of itself.
    info: ModelInfo,
    base_name: String,
    /// Parameters, and those of them that are trained.
    parameters: (u64, u64),
    warnings: Vec<String>,
    scores: Option<Scores>,
    last: Option<StepRecord>,
}

impl<'a> Session<'a> {
    fn open(
        global: &'a Global,
        command: &'a Train,
        subject: Subject,
        plan: Plan,
        output: &'a Path,
        run_dir: &Path,
    ) -> Outcome<Self> {
        let device = choice::device(global)?;
        let (folder, from) = if command.paths.resume {
            let (folder, checkpoint) = RunFolder::resume(run_dir)?;
            screen::say(&format!("going on after step {} of {}", checkpoint.state.step, plan.options.steps));
            (folder, Some(checkpoint))
        } else {
            (RunFolder::create(run_dir)?, None)
        };
        let trainable = subject.trainable;
        let base_name = subject.name.clone();
        let parameters = dry_run::totals(&trainable.groups(&subject.config));
        let mut info = subject.info.clone();
        let early = from.as_ref().filter(|_| command.paths.finish).map(|checkpoint| checkpoint.state.step);
        info.provenance = Some(provenance(&subject, &plan, early));
        info.licence = command.paths.licence.clone().or(info.licence);
        let warnings = plan.warnings().to_vec();
        let file = subject.into_file()?;
        let Plan { loader, validation, options, .. } = plan;
        let run = Run::start(&device, file, loader, validation, options, folder, from.as_ref())?;
        let labels = info.labels.clone();
        Ok(Self {
            global,
            command,
            output,
            run,
            device,
            labels,
            trainable,
            info,
            base_name,
            parameters,
            warnings,
            scores: None,
            last: None,
        })
    }

    fn train(mut self) -> Outcome {
        // From here on Ctrl-C waits for the step, so that nothing of it is lost.
        let patience = interrupt::patience();
        let bar = screen::steps_bar(self.run.steps());
        bar.set_position(self.run.steps_done());
        bar.reset_eta();
        let outcome = self.all_steps(&bar);
        bar.finish_and_clear();
        match outcome {
            Ok(()) => {}
            Err(failure) if failure.code == CANCELLED => return self.stopped(),
            Err(failure) => return Err(failure),
        }
        drop(patience);
        self.finish()
    }

    fn all_steps(&mut self, bar: &ProgressBar) -> Outcome {
        let mut pace = Pace::new();
        loop {
            // Saved first: a scan that cannot be validated on must not take what was learned with it.
            if self.run.checkpoint_is_due() {
                self.save()?;
            }
            if self.run.validation_is_due() || (self.ends_early() && self.scores.is_none()) {
                self.validate(bar)?;
            }
            if self.run.steps_done() >= self.run.steps() || self.command.paths.finish {
                return Ok(());
            }
            interrupt::check()?;
            let step = block_on(self.run.step())?;
            self.last = Some(step);
            pace.add(&step);
            let line = self.line(&step, &pace);
            bar.set_position(self.run.steps_done());
            bar.set_message(line.clone());
            if bar.is_hidden() && pace.has_news() {
                let left = pace.seconds_per_step() * (self.run.steps() - self.run.steps_done()) as f64;
                screen::say(&format!("{line}, {} left", spoken_time(left)));
            }
        }
    }

    /// Whether the model is to be validated as it is, and written.
    fn ends_early(&self) -> bool {
        self.command.paths.finish && self.run.has_validation()
    }

    /// `step 12 of 100, epoch 2, loss 1.234, mIoU 45.6 %, 12000 points/s`
    fn line(&self, step: &StepRecord, pace: &Pace) -> String {
        let miou = self.run.miou().map_or_else(String::new, |miou| format!(", mIoU {:.1} %", 100.0 * miou));
        format!(
            "step {} of {}, epoch {}, loss {:.3}{miou}, {:.0} points/s",
            step.report.step + 1,
            self.run.steps(),
            step.epoch,
            step.report.loss,
            pace.points_per_second()
        )
    }

    fn validate(&mut self, bar: &ProgressBar) -> Outcome {
        let progress = |done: f64| bar.set_message(format!("validating, {:.0} % done", 100.0 * done));
        let scores = block_on(self.run.validate(&progress, interrupt::flag()))?;
        screen::say(&format!(
            "step {}: mIoU {:.1} %, mAcc {:.1} %, allAcc {:.1} %",
            self.run.steps_done(),
            100.0 * scores.miou,
            100.0 * scores.macc,
            100.0 * scores.all_acc
        ));
        self.scores = Some(scores);
        self.draw()
    }

    fn save(&mut self) -> Outcome<PathBuf> {
        let path = {
            let _whole = interrupt::writing();
            block_on(self.run.save())?
        };
        self.draw()?;
        Ok(path)
    }

    fn draw(&self) -> Outcome {
        curves::draw(self.run.folder().path(), &self.run.folder().lines()?);
        Ok(())
    }

    /// Ctrl-C: what was learned is kept.
    fn stopped(&mut self) -> Outcome {
        let done = self.run.steps_done();
        if done == 0 {
            screen::say("stopped before the first step: there is nothing to go on from");
        } else {
            let path = self.save()?;
            screen::say(&format!(
                "stopped after step {done} of {}; saved {}. The same command with `--resume` goes on from there",
                self.run.steps(),
                path.display()
            ));
        }
        // Everything has been said.
        Err(Failure { code: CANCELLED, message: String::new() })
    }

    fn finish(self) -> Outcome {
        let Self { global, command, output, run, labels, trainable, info, base_name, .. } = self;
        let (seconds, steps, run_dir) = (run.seconds(), run.steps_done(), run.folder().path().display().to_string());
        let miou = run.miou();
        let (step_seconds, peak) = (median_step(&run.folder().lines()?), self.device.memory().peak);
        let checkpoint = run.folder().last_checkpoint()?;
        let file = block_on(run.finish())?.with_info(info)?;
        let dtype = if command.paths.f16 { Dtype::F16 } else { Dtype::F32 };
        output::write_whole(output, |out| {
            if command.paths.adapter_only {
                return write_adapter(out, &file, &base_name, dtype, &|name| trainable.trains(name));
            }
            write_whole_model(out, &file, dtype)
        })
        .inspect_err(|_| {
            let left = checkpoint.map_or_else(String::new, |path| format!(" from {}", path.display()));
            screen::say(&format!("nothing is lost: the same command with `--resume` writes the model{left}"));
        })?;
        let (total, trained) = self.parameters;
        let value = json!({
            "file": output.display().to_string(),
            "adapter_only": command.paths.adapter_only,
            "run_dir": run_dir,
            "base": base_name,
            "device": self.device.description(),
            "steps": steps,
            "seconds": seconds,
            "seconds_per_step": step_seconds,
            "peak_memory_bytes": peak,
            "parameters": total,
            "trainable": trained,
            "share": share(trained, total),
            "loss": self.last.map(|step| step.report.loss),
            "miou": miou,
            "macc": self.scores.as_ref().map(|scores| scores.macc),
            "all_acc": self.scores.as_ref().map(|scores| scores.all_acc),
            "classes": self.scores.as_ref().map(|scores| scores.class_rows(&labels)),
            "warnings": self.warnings,
        });
        if global.json {
            return results::print_json(&value);
        }
        let what =
            if command.paths.adapter_only { format!("an adapter for {base_name}") } else { "the model".to_owned() };
        let mut parts = vec![format!(
            "{}: {what}, after {steps} steps in {}, {} at most; log and curves in {run_dir}",
            output.display(),
            spoken_time(seconds),
            spoken(peak)
        )];
        parts.extend(self.scores.as_ref().map(|scores| class_table(&labels, scores)));
        results::print(&parts.join("\n"))
    }
}

fn write_whole_model(mut out: &mut dyn std::io::Write, file: &ModelFile, dtype: Dtype) -> Result<(), Error> {
    write_model_to(&mut out, file.config(), file.info(), dtype, |parameter| file.read(&parameter.name))
}

/// Where a trained model comes from.
///
/// `early` is the step after which a run was ended before its time.
fn provenance(subject: &Subject, plan: &Plan, early: Option<u64>) -> String {
    let from = if subject.is_from_scratch {
        format!("from scratch as {}", subject.name)
    } else {
        let before = subject.info.provenance.as_ref().map_or_else(String::new, |before| format!(" ({before})"));
        format!("upon {}{before}", subject.name)
    };
    let steps =
        early.map_or_else(|| plan.options.steps.to_string(), |step| format!("{step} of {}", plan.options.steps));
    format!(
        "trained by pointtpa {} {from}: {steps} steps on {} scans, seed {}",
        env!("CARGO_PKG_VERSION"),
        plan.loader.dataset().len(),
        plan.options.trainer.seed
    )
}

fn class_table(labels: &LabelSet, scores: &Scores) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut rows = vec![["class", "IoU", "accuracy", "points"].map(str::to_owned).to_vec()];
    let present = labels.classes.iter().zip(&scores.classes).filter(|(_, of)| of.points > 0);
    rows.extend(
        present
            .map(|(class, of)| vec![class.name.clone(), percent(of.iou), percent(of.accuracy), of.points.to_string()]),
    );
    let mean = ["all", &percent(scores.miou), &percent(scores.macc), &scores.points.to_string()].map(str::to_owned);
    rows.push(mean.to_vec());
    table(&rows, &[false, true, true, true])
}

/// Median time of the steps of a log.
fn median_step(log: &[Value]) -> Option<f64> {
    let steps = log.iter().filter(|line| line["kind"] == "step");
    let mut seconds: Vec<f64> = steps.filter_map(|line| line["seconds"].as_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

/// `45 s`, `12 min`, `3.5 h`.
fn spoken_time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// How fast it goes: a mean in which older steps count less and less.
struct Pace {
    points: f64,
    seconds: f64,
    steps: f64,
    told: Instant,
}

impl Pace {
    /// What is left of a step's weight after the next one.
    const MEMORY: f64 = 0.9;

    fn new() -> Self {
        Self { points: 0.0, seconds: 0.0, steps: 0.0, told: Instant::now() }
    }

    fn add(&mut self, step: &StepRecord) {
        self.points = Self::MEMORY * self.points + step.report.points as f64;
        self.seconds = Self::MEMORY * self.seconds + step.seconds;
        self.steps = Self::MEMORY * self.steps + 1.0;
    }

    fn points_per_second(&self) -> f64 {
        self.points / self.seconds.max(1e-9)
    }

    fn seconds_per_step(&self) -> f64 {
        self.seconds / self.steps.max(1e-9)
    }

    fn has_news(&mut self) -> bool {
        let is_time = self.told.elapsed() >= NEWS;
        if is_time {
            self.told = Instant::now();
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_the_unit_that_fits() {
        let spoken = [0.4, 89.0, 600.0, 9000.0].map(spoken_time);
        assert_eq!(spoken, ["0 s", "89 s", "10 min", "2.5 h"]);
    }
}
