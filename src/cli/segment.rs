//! `pointtpa segment`: scans in, labelled scans out.

use std::path::Path;
use std::time::Instant;

use pointtpa::model::weights::ModelFile;
use pointtpa::scan::{self, Description, PointCloud, Scan, Up, Warning};
use pointtpa::{Device, Error, SegmentOptions, Segmentation, Segmenter};
use serde_json::{Value, json};

use super::arguments::{Global, Segment};
use super::exit::{Failure, Outcome};
use super::inputs::{Job, Jobs, ends_in, of_scan, plan};
use super::summary::Summary;
use super::{choice, interrupt, output, results, screen};

pub(crate) fn run(global: &Global, command: &Segment) -> Outcome {
    let Jobs { mut jobs, folder } = plan(&command.inputs, &command.output)?;
    let file = choice::adapted_model(command.model.as_deref(), command.adapter.as_deref())?;
    if let Some(folder) = &folder {
        output::create_folder(folder)?;
    }
    if command.resume {
        let (done, left): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.output.is_file());
        if !done.is_empty() {
            screen::say(&format!("{} of {} scans are labelled already", done.len(), done.len() + left.len()));
        }
        // A single scan's result is one object, also where there is nothing to do.
        if let ([job], [], None, true) = (&done[..], &left[..], &folder, global.json) {
            return results::print_json(&json!({"file": job.input.display().to_string(), "labelled_already": true}));
        }
        jobs = left;
    }
    let mut run = Run { global, command, file, engine: None };
    if folder.is_some() { run.batch(&jobs) } else { jobs.iter().try_for_each(|job| run.single(job)) }
}

/// What the scans of one run share.
struct Run<'a> {
    global: &'a Global,
    command: &'a Segment,
    file: ModelFile,
    /// Opened when the first scan has been read, so that a bad file is told at once.
    engine: Option<Engine>,
}

struct Engine {
    device: Device,
    segmenter: Segmenter,
}

impl Run<'_> {
    fn single(&mut self, job: &Job) -> Outcome {
        let summary = self.one(job).inspect_err(|failure| {
            if self.global.json && !output::is_stdout(&job.output) {
                // A closed standard output is not what went wrong.
                let _ = results::print_json(&failed(&job.input, failure));
            }
        })?;
        results::print_of(&job.output, self.global.json, &summary.text(), &summary.json())
    }

    /// Goes on after a scan that fails, and fails with the first failure at the end.
    fn batch(&mut self, jobs: &[Job]) -> Outcome {
        let mut failures: Vec<(&Path, Failure)> = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            screen::say(&format!("[{}/{}] {}", index + 1, jobs.len(), job.input.display()));
            match self.one(job) {
                Ok(summary) if self.global.json => values.push(summary.json()),
                Ok(summary) => results::print(&summary.text())?,
                Err(failure) => {
                    screen::error(&failure.message);
                    values.push(failed(&job.input, &failure));
                    let is_last = failure.ends_the_batch();
                    failures.push((&job.input, failure));
                    if is_last {
                        break;
                    }
                }
            }
        }
        if self.global.json {
            results::print_json(&Value::Array(values))?;
        }
        // Each has been told in its turn: at the end stands which to look at.
        let Some((_, first)) = failures.first() else { return Ok(()) };
        let code = first.code;
        let list: Vec<String> = failures.iter().map(|(path, _)| format!("  {}", path.display())).collect();
        let message = format!("{} of {} scans failed:\n{}", failures.len(), jobs.len(), list.join("\n"));
        Err(Failure { code, message })
    }

    fn one(&mut self, job: &Job) -> Outcome<Summary> {
        output::check_writable(&job.output)?;
        interrupt::check()?;
        let start = Instant::now();
        let scan = scan::read(&job.input)?;
        let read = start.elapsed().as_secs_f64();
        let mut description = scan.describe();
        screen::say(&format!("{}: {} points, {}", job.input.display(), description.points, description.format));
        if scan.cloud.labels.is_some() {
            let message = "the scan has labels already: the output has this run's in their place";
            description.warnings.push(Warning::new("relabelled", message, ""));
        }
        let up = self.up(&mut description);
        if self.command.scale.is_some() {
            // Whoever says what the unit is need not be told.
            description.warnings.retain(|warning| !["millimetres", "extent"].contains(&warning.code.as_str()));
        }
        for warning in &description.warnings {
            screen::say(&format!("warning: {warning}"));
        }
        self.open()?;
        let Some(engine) = &self.engine else { unreachable!("opened above") };
        // Only what the model sees is turned and scaled; what is written lies as it lay.
        let upright = (up != Up::default()).then(|| scan.cloud.upright(up));
        let scaled = self.command.scale.map(|factor| upright.as_ref().unwrap_or(&scan.cloud).scaled(factor));
        let seen = scaled.as_ref().or(upright.as_ref()).unwrap_or(&scan.cloud);
        let segmentation =
            segment(engine, seen, self.command.grid, self.command.tta).map_err(|error| of_scan(&job.input, error))?;
        drop((upright, scaled));
        // `segmentation.warnings` is for callers without a description; it says nothing that the description has not.
        let started = Instant::now();
        let info = engine.segmenter.model().info();
        let of_writing = self.write(job, &scan, &segmentation, engine)?;
        for warning in &of_writing {
            screen::say(&format!("warning: {warning}"));
        }
        description.warnings.extend(of_writing);
        Ok(Summary {
            job: job.clone(),
            points: scan.cloud.len(),
            device: engine.device.description(),
            model: self.file.path().display().to_string(),
            adapter: self.command.adapter.as_ref().map(|path| path.display().to_string()),
            grid_size: self.command.grid.unwrap_or(info.grid_size),
            labels: info.labels.clone(),
            up,
            scale: self.command.scale.unwrap_or(1.0),
            read,
            write: started.elapsed().as_secs_f64(),
            total: start.elapsed().as_secs_f64(),
            warnings: description.warnings,
            segmentation,
        })
    }

    /// Which direction of the scan is up: what the user says, else what is assumed, which is told.
    fn up(&self, description: &mut Description) -> Up {
        let up = self.command.up.unwrap_or(description.assumed_up());
        if self.command.up.is_some() {
            description.warnings.retain(|warning| warning.code != "up");
        } else if up != Up::default() {
            let message = format!("the scan was turned so that {} is up", up.name());
            description.warnings.push(Warning::new("turned", message, "`--up +z` leaves it as it is"));
        }
        up
    }

    fn open(&mut self) -> Outcome {
        if self.engine.is_some() {
            return Ok(());
        }
        let device = choice::device(self.global)?;
        let allow_missing = self.command.allow_missing.then_some(self.command.seed);
        let (segmenter, missing) = Segmenter::open(&device, &self.file, allow_missing)?;
        if !missing.names.is_empty() {
            screen::say(&format!(
                "warning: {} parameters are not in {} and start at random: {}",
                missing.names.len(),
                self.file.path().display(),
                missing.names.join(", ")
            ));
        }
        self.engine = Some(Engine { device, segmenter });
        Ok(())
    }

    /// Writes the labelled scan; what has to be said of it.
    fn write(&self, job: &Job, scan: &Scan, segmentation: &Segmentation, engine: &Engine) -> Outcome<Vec<Warning>> {
        let Segmentation { labels, confidence, .. } = segmentation;
        let set = &engine.segmenter.model().info().labels;
        let recolor = self.command.recolor;
        if !ends_in(&job.output, &["las"]) {
            output::write_whole(&job.output, |out| scan.labelled_to(out, labels, confidence, set, recolor))?;
            return Ok(Vec::new());
        }
        // First, because the scan's file is the sign that all is done.
        let codes = format!("{:#}\n", scan::las_codes(set));
        output::write_bytes(&job.output.with_extension("classes.json"), codes.as_bytes())?;
        let mut left_out = 0;
        output::write_whole(&job.output, |out| {
            left_out = scan.labelled_las_to(out, labels, confidence, set, recolor)?;
            Ok(())
        })?;
        let message = format!("{left_out} points without coordinates have no place in a LAS file and are not in it");
        let warning = Warning::new("left-out", message, "Write PLY to keep every point");
        Ok((left_out > 0).then_some(warning).into_iter().collect())
    }
}

fn segment(engine: &Engine, cloud: &PointCloud, grid_size: Option<f64>, tta: bool) -> Result<Segmentation, Error> {
    let points = cloud.len() as f64;
    let bar = screen::bar(cloud.len() as u64, "points");
    let progress = |progress: pointtpa::Progress<'_>| {
        bar.set_message(progress.stage.to_owned());
        bar.set_position((progress.done * points) as u64);
    };
    let options = SegmentOptions {
        grid_size,
        tta,
        progress: Some(&progress),
        cancel: Some(interrupt::flag()),
        ..Default::default()
    };
    let segmentation = engine.segmenter.segment_blocking(cloud, &options);
    bar.finish_and_clear();
    segmentation
}

fn failed(input: &Path, failure: &Failure) -> Value {
    json!({ "file": input.display().to_string(), "error": failure.message, "exit_code": failure.code })
}
