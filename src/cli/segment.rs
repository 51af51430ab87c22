//! `pointtpa segment`: scans in, labelled scans out.

mod batch;
mod room;
pub(crate) mod shard;
mod written;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pointtpa::model::parameters::Role;
use pointtpa::model::weights::{Feature, ModelFile};
use pointtpa::scan::{ClassMap, Description, OutputFormat, Up, Warning};
use pointtpa::{Device, Error, LabelSet, SegmentOptions, Segmentation, Segmenter};

use self::batch::{Task, already_labelled};
use self::room::Room;
use super::arguments::{Features, Global, Segment, Tiling};
use super::exit::{Failure, Outcome};
use super::inputs::{Job, Jobs, check_there, format_of, of_scan, plan};
use super::opened::{Limits, Opened};
use super::summary::Summary;
use super::{choice, interrupt, output, results, screen};

pub(crate) fn run(global: &Global, command: &Segment) -> Outcome {
    if command.tta && matches!(command.tiles, Tiling::Edge(_)) {
        return Err(Failure::usage("`--tta` turns the whole scan, which `--tiles` cuts: leave one out"));
    }
    let format = command.features.map_or(command.format, |features| Some(format_of_features(features)));
    let Jobs { mut jobs, folder } = plan(&command.inputs, &command.output, format)?;
    let file = choice::adapted_model(command.model.as_deref(), command.adapter.as_deref())?;
    let map = command.class_map.as_deref().map(|path| ClassMap::from_file(path, &file.info().labels)).transpose()?;
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
    let limits = Limits::of(command.tiles, global.memory, command.jobs);
    let run = Run { global, command, file, limits, map, engine: Mutex::default() };
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

/// Metres beyond which a scan is no single room.
const WIDE: f64 = 12.0;

/// What the scans of one run share.
struct Run<'a> {
    global: &'a Global,
    command: &'a Segment,
    file: ModelFile,
    limits: Limits,
    /// What becomes of the model's classes.
    map: Option<ClassMap>,
    /// Opened when the first scan has been read, so that a bad file is told at once.
    engine: Mutex<Option<Arc<Engine>>>,
}

struct Engine {
    device: Device,
    /// Bytes of it that the model takes.
    model: u64,
    segmenter: Segmenter,
    room: Room,
}

impl Run<'_> {
    fn single(&self, job: &Job) -> Outcome {
        let summary = self.one(job).inspect_err(|failure| {
            if self.global.json && !output::is_stdout(&job.output) {
                // A closed standard output is not what went wrong.
                let _ = results::print_json(&batch::failed(&job.input, failure));
            }
        })?;
        results::print_of(&job.output, self.global.json, &summary.text(), &summary.json())
    }

    fn one(&self, job: &Job) -> Outcome<Summary> {
        check_there(&job.input)?;
        output::check_writable(&job.output)?;
        interrupt::check()?;
        let start = Instant::now();
        // Only PLY is written from a scan that is left in its file, and views of a scene need all of it.
        let Segment { tta, features, format, .. } = self.command;
        let must_be_whole = *tta || features.is_some() || format_of(&job.output, *format) != OutputFormat::Ply;
        let scan = self.limits.open(&job.input, must_be_whole)?;
        let read = start.elapsed().as_secs_f64();
        let mut description = scan.describe();
        screen::say(&format!("{}: {} points, {}", job.input.display(), description.points, description.format));
        if scan.has_labels() && self.command.features.is_none() {
            let message = "the scan has labels already: the output has this run's in their place";
            description.warnings.push(Warning::new("relabelled", message, ""));
        }
        let up = self.up(&mut description);
        if self.command.scale.is_some() {
            // Whoever says what the unit is need not be told.
            description.warnings.retain(|warning| !["millimetres", "extent"].contains(&warning.code.as_str()));
        }
        if matches!(scan, Opened::Whole(_)) {
            self.advise_tiles(&mut description, up);
        }
        for warning in &description.warnings {
            screen::say(&format!("warning: {warning}"));
        }
        let engine = self.engine()?;
        // Only what the model sees is turned and scaled; what is written lies as it lay.
        let mut segmentation = self.label(job, &scan, &engine, up).map_err(|error| of_scan(&job.input, error))?;
        if let Some(map) = &self.map {
            map.apply(&mut segmentation.labels, &mut segmentation.confidence);
        }
        // `segmentation.warnings` is for callers without a description; it says nothing that the description has not.
        let started = Instant::now();
        let info = engine.segmenter.model().info();
        let labels = self.map.as_ref().map_or(&info.labels, |map| &map.set);
        let of_writing = self.write(job, &scan, &segmentation, labels)?;
        for warning in &of_writing {
            screen::say(&format!("warning: {warning}"));
        }
        description.warnings.extend(of_writing);
        Ok(Summary {
            job: job.clone(),
            points: scan.len(),
            device: engine.device.description(),
            model: self.file.path().display().to_string(),
            adapter: self.command.adapter.as_ref().map(|path| path.display().to_string()),
            grid_size: self.command.grid.unwrap_or(info.grid_size),
            labels: labels.clone(),
            features: self.command.features.and_then(|_| segmentation.details.take()).map(|details| details.channels),
            up,
            scale: self.command.scale.unwrap_or(1.0),
            read,
            write: started.elapsed().as_secs_f64(),
            total: start.elapsed().as_secs_f64(),
            warnings: description.warnings,
            segmentation,
        })
    }

    /// Says of a scan that is far wider than a room what may make its labels better.
    fn advise_tiles(&self, description: &mut Description, up: Up) {
        let extent = description.extent.unwrap_or_default().map(|metres| metres * self.command.scale.unwrap_or(1.0));
        let extent = up.turned(extent);
        let width = extent[0].abs().max(extent[1].abs());
        let metres = self.command.scale.is_some() || description.units.as_ref().is_none_or(|u| u.answer == "metres");
        let reads_coordinates = self.file.info().features.contains(&Feature::Coord);
        if self.command.tiles == Tiling::Auto && !self.command.tta && metres && width > WIDE && reads_coordinates {
            let message = format!("the scan is {width:.0} m wide, and models learn from single rooms");
            description.warnings.push(Warning::new(
                "wide",
                message,
                "`--tiles 6` labels it piece by piece, like rooms",
            ));
        }
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

    fn engine(&self) -> Outcome<Arc<Engine>> {
        let mut opened = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*opened {
            return Ok(Arc::clone(engine));
        }
        let device = choice::device(self.global)?;
        let without_head = self.command.features.is_some() && self.lacks_nothing_but_its_head()?;
        let allow_missing = (self.command.allow_missing || without_head).then_some(self.command.seed);
        let (segmenter, missing) = Segmenter::open(&device, &self.file, allow_missing)?;
        if !missing.names.is_empty() && !without_head {
            screen::say(&format!(
                "warning: {} parameters are not in {} and start at random: {}",
                missing.names.len(),
                self.file.path().display(),
                missing.names.join(", ")
            ));
        }
        let room = Room::new(&device, self.command.jobs, self.global.memory.is_some());
        let model = device.memory().live;
        Ok(Arc::clone(opened.insert(Arc::new(Engine { device, model, segmenter, room }))))
    }

    /// Labels the scan, with a bar of its points.
    fn label(&self, job: &Job, scan: &Opened, engine: &Engine, up: Up) -> Result<Segmentation, Error> {
        let points = scan.len() as f64;
        let bar = screen::bar(scan.len() as u64, "points");
        let progress = |progress: pointtpa::Progress<'_>| {
            bar.set_message(progress.stage.to_owned());
            bar.set_position((progress.done * points) as u64);
        };
        let options = SegmentOptions {
            grid_size: self.command.grid,
            tta: self.command.tta,
            details: self.command.features.is_some(),
            progress: Some(&progress),
            cancel: Some(interrupt::flag()),
            ..Default::default()
        };
        // Beside the output, where there is room for it as well; no such place is beside a pipe or a device.
        let is_file = !output::is_stdout(&job.output) && (job.output.is_file() || !job.output.exists());
        let beside = job.output.parent().filter(|folder| is_file && folder.is_dir());
        let (folder, scale) = (beside.unwrap_or(Path::new(".")), self.command.scale);
        let is_large = self.limits.is_large(scan, &engine.segmenter, &options);
        let label = || self.limits.segment(scan, &engine.segmenter, up, scale, engine.model, folder, &options);
        let segmentation = engine.room.compute(is_large, label);
        bar.finish_and_clear();
        segmentation
    }

    /// Whether everything that the features come from is there.
    fn lacks_nothing_but_its_head(&self) -> Outcome<bool> {
        let missing = self.file.check_against(self.file.config(), true)?;
        Ok(missing.names.iter().all(|name| Role::of(name) == Role::Head))
    }

    /// Writes what was asked for; what has to be said of it.
    fn write(&self, job: &Job, scan: &Opened, segmentation: &Segmentation, labels: &LabelSet) -> Outcome<Vec<Warning>> {
        let Segment { features, format, recolor, .. } = self.command;
        match (scan, features, &segmentation.details) {
            (Opened::Whole(scan), Some(kind), Some(details)) => {
                written::features(job, *kind, scan, details).map(|()| Vec::new())
            }
            (Opened::Whole(scan), ..) => {
                written::labelled(job, format_of(&job.output, *format), scan, segmentation, labels, *recolor)
            }
            (Opened::Streamed(scan), ..) => {
                written::streamed(job, scan, segmentation, labels, *recolor).map(|()| Vec::new())
            }
        }
    }
}

/// What features are written as.
fn format_of_features(features: Features) -> OutputFormat {
    match features {
        Features::Pca => OutputFormat::Ply,
        Features::Raw => OutputFormat::Npy,
    }
}
