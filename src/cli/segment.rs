//! `pointtpa segment`: scans in, labelled scans out.

mod written;

use std::path::Path;
use std::time::Instant;

use pointtpa::model::parameters::Role;
use pointtpa::model::weights::{Feature, ModelFile};
use pointtpa::scan::{ClassMap, Description, OutputFormat, Up};
use pointtpa::{Device, Error, LabelSet, SegmentOptions, Segmentation, Segmenter};
use serde_json::{Value, json};

use super::arguments::{Features, Global, Segment, Tiling};
use super::exit::{Failure, Outcome};
use super::inputs::{Job, Jobs, format_of, of_scan, plan};
use super::opened::{Opened, Room};
use super::summary::Summary;
use super::{choice, interrupt, output, results, screen};

pub(crate) fn run(global: &Global, command: &Segment) -> Outcome {
    let format = command.features.map_or(command.format, |features| Some(format_of_features(features)));
    let Jobs { mut jobs, folder } = plan(&command.inputs, &command.output, format)?;
    let file = choice::adapted_model(command.model.as_deref(), command.adapter.as_deref())?;
    let map = command.class_map.as_deref().map(|path| ClassMap::from_file(path, &file.info().labels)).transpose()?;
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
    let room = Room::of(command.tiles, global.memory);
    let mut run = Run { global, command, file, room, map, engine: None };
    if folder.is_some() { run.batch(&jobs) } else { jobs.iter().try_for_each(|job| run.single(job)) }
}

/// Metres beyond which a scan is no single room.
const WIDE: f64 = 12.0;

/// What the scans of one run share.
struct Run<'a> {
    global: &'a Global,
    command: &'a Segment,
    file: ModelFile,
    room: Room,
    /// What becomes of the model's classes.
    map: Option<ClassMap>,
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
        // Only PLY is written from a scan that is left in its file, and views of a scene need all of it.
        let Segment { tta, features, format, .. } = self.command;
        let must_be_whole = *tta || features.is_some() || format_of(&job.output, *format) != OutputFormat::Ply;
        let scan = self.room.open(&job.input, must_be_whole)?;
        let read = start.elapsed().as_secs_f64();
        let mut description = scan.describe();
        screen::say(&format!("{}: {} points, {}", job.input.display(), description.points, description.format));
        if scan.has_labels() && self.command.features.is_none() {
            description.warnings.push("the scan has labels already: the output has this run's in their place".into());
        }
        let up = self.up(&mut description);
        self.advise_tiles(&mut description);
        for warning in &description.warnings {
            screen::say(&format!("warning: {warning}"));
        }
        self.open()?;
        let Some(engine) = &self.engine else { unreachable!("opened above") };
        // Only what the model sees is turned; what is written lies as it lay.
        let mut segmentation = self.label(job, &scan, engine, up).map_err(|error| of_scan(&job.input, error))?;
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
            read,
            write: started.elapsed().as_secs_f64(),
            total: start.elapsed().as_secs_f64(),
            warnings: description.warnings,
            segmentation,
        })
    }

    /// Says of a scan that is far wider than a room what may make its labels better.
    fn advise_tiles(&self, description: &mut Description) {
        let width = description.extent.map_or(0.0, |extent| extent[0].max(extent[1]));
        let metres = description.units.as_ref().is_none_or(|units| units.answer == "metres");
        let reads_coordinates = self.file.info().features.contains(&Feature::Coord);
        if self.command.tiles == Tiling::Auto && !self.command.tta && metres && width > WIDE && reads_coordinates {
            description.warnings.push(format!(
                "the scan is {width:.0} m wide; a model that learned from single rooms labels it better in tiles of their \
                 size: `--tiles 6`"
            ));
        }
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

    fn open(&mut self) -> Outcome {
        if self.engine.is_some() {
            return Ok(());
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
        self.engine = Some(Engine { device, segmenter });
        Ok(())
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
        let folder = job.output.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let segmentation = self.room.segment(scan, &engine.segmenter, up, folder, &options);
        bar.finish_and_clear();
        segmentation
    }

    /// Whether everything that the features come from is there.
    fn lacks_nothing_but_its_head(&self) -> Outcome<bool> {
        let missing = self.file.check_against(self.file.config(), true)?;
        Ok(missing.names.iter().all(|name| Role::of(name) == Role::Head))
    }

    /// Writes what was asked for; what has to be said of it.
    fn write(&self, job: &Job, scan: &Opened, segmentation: &Segmentation, labels: &LabelSet) -> Outcome<Vec<String>> {
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

fn failed(input: &Path, failure: &Failure) -> Value {
    json!({ "file": input.display().to_string(), "error": failure.message, "exit_code": failure.code })
}
