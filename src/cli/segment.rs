//! `pointtpa segment`: scans in, labelled scans out.

mod batch;
mod room;
pub(crate) mod shard;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pointtpa::model::weights::ModelFile;
use pointtpa::scan::{self, Description, PointCloud, Scan, Up};
use pointtpa::{Device, Error, SegmentOptions, Segmentation, Segmenter};
use serde_json::{Value, json};

use self::batch::{Task, already_labelled};
use self::room::Room;
use super::arguments::{Global, Segment};
use super::exit::{Failure, Outcome};
use super::inputs::{Job, Jobs, check_there, ends_in, of_scan, plan};
use super::summary::Summary;
use super::{choice, interrupt, output, results, screen};

pub(crate) fn run(global: &Global, command: &Segment) -> Outcome {
    let Jobs { mut jobs, folder } = plan(&command.inputs, &command.output)?;
    let file = choice::adapted_model(command.model.as_deref(), command.adapter.as_deref())?;
    if let Some(folder) = &folder {
        output::create_folder(folder)?;
    }
    if let Some(shard) = command.shard {
        // Before `--resume` takes some away: the parts stay the same.
        let all = jobs.len();
        jobs = shard.of(jobs);
        screen::say(&format!("shard {shard}: {} of {all} scans", jobs.len()));
    }
    let is_done = |job: &Job| command.resume && job.output.is_file();
    let done = jobs.iter().filter(|job| is_done(job)).count();
    if done > 0 {
        screen::say(&format!("{done} of {} scans are labelled already", jobs.len()));
    }
    let run = Run { global, command, file, engine: Mutex::default() };
    if folder.is_some() {
        let tasks: Vec<Task> = jobs.into_iter().map(|job| Task { is_done: is_done(&job), job }).collect();
        return run.batch(&tasks);
    }
    jobs.iter().try_for_each(|job| match is_done(job) {
        true if global.json => results::print_json(&already_labelled(job)),
        true => Ok(()),
        false => run.single(job),
    })
}

/// What the scans of one run share.
struct Run<'a> {
    global: &'a Global,
    command: &'a Segment,
    file: ModelFile,
    /// Opened when the first scan has been read, so that a bad file is told at once.
    engine: Mutex<Option<Arc<Engine>>>,
}

struct Engine {
    device: Device,
    segmenter: Segmenter,
    room: Room,
}

impl Run<'_> {
    fn single(&self, job: &Job) -> Outcome {
        let summary = self.one(job).inspect_err(|failure| {
            if self.global.json && !output::is_stdout(&job.output) {
                // A closed standard output is not what went wrong.
                let _ = results::print_json(&failed(&job.input, failure));
            }
        })?;
        results::print_of(&job.output, self.global.json, &summary.text(), &summary.json())
    }

    fn one(&self, job: &Job) -> Outcome<Summary> {
        check_there(&job.input)?;
        output::check_writable(&job.output)?;
        interrupt::check()?;
        let start = Instant::now();
        let scan = scan::read(&job.input)?;
        let read = start.elapsed().as_secs_f64();
        let mut description = scan.describe();
        screen::say(&format!("{}: {} points, {}", job.input.display(), description.points, description.format));
        if scan.cloud.labels.is_some() {
            description.warnings.push("the scan has labels already: the output has this run's in their place".into());
        }
        let up = self.up(&mut description);
        for warning in &description.warnings {
            screen::say(&format!("warning: {warning}"));
        }
        let engine = self.engine()?;
        // Only what the model sees is turned; what is written lies as it lay.
        let upright = (up != Up::default()).then(|| scan.cloud.upright(up));
        let cloud = upright.as_ref().unwrap_or(&scan.cloud);
        let work = || segment(&engine, cloud, self.command.grid, self.command.tta);
        let segmentation = engine.room.compute(work).map_err(|error| of_scan(&job.input, error))?;
        drop(upright);
        // `segmentation.warnings` is for callers without a description; it says nothing that the description has not.
        let started = Instant::now();
        let info = engine.segmenter.model().info();
        let of_writing = self.write(job, &scan, &segmentation, &engine)?;
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
        if self.command.up.is_none() {
            let guess = description.up.as_ref().map_or(up.name(), |guess| &guess.answer);
            if up != Up::default() {
                let turned = format!("the scan was turned so that {} is up; `--up +z` leaves it as it is", up.name());
                description.warnings.push(turned);
            } else if guess != up.name() {
                description.warnings.push(format!("`--up {guess}` turns the scan"));
            }
        }
        up
    }

    fn engine(&self) -> Outcome<Arc<Engine>> {
        let mut opened = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*opened {
            return Ok(Arc::clone(engine));
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
        let room = Room::new(&device, self.command.jobs);
        Ok(Arc::clone(opened.insert(Arc::new(Engine { device, segmenter, room }))))
    }

    /// Writes the labelled scan; what has to be said of it.
    fn write(&self, job: &Job, scan: &Scan, segmentation: &Segmentation, engine: &Engine) -> Outcome<Vec<String>> {
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
        let warning = || format!("{left_out} points without coordinates have no place in a LAS file and are not in it");
        Ok((left_out > 0).then(warning).into_iter().collect())
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
