//! `pointtpa eval`: a model against the truth.

pub(crate) mod arguments;
mod csv;
mod evaluation;
mod html;
mod pictures;
mod report;
mod text;

use std::time::Instant;

use pointtpa::model::weights::ModelFile;
use pointtpa::train::metrics::ConfusionMatrix;
use pointtpa::train::{Dataset, DatasetOptions, LabelledScan};
use pointtpa::{Error, PointCloud, SegmentOptions, Segmentation, Segmenter};

use self::arguments::Eval;
use self::evaluation::{Evaluation, Scene};
use super::arguments::Global;
use super::exit::{BAD_INPUT, Failure, Outcome};
use super::{choice, inputs, interrupt, results, screen};

pub(crate) fn run(global: &Global, command: &Eval) -> Outcome {
    // What cannot be written is said before the work.
    command.report.as_deref().map_or(Ok(()), report::check)?;
    let file = choice::adapted_model(command.model.as_deref(), command.adapter.as_deref())?;
    let evaluation = evaluate(global, command, &file)?;
    if let Some(folder) = &command.report {
        report::write(folder, &evaluation)?;
    }
    if global.json {
        return results::print_json(&evaluation.json());
    }
    results::print(&text::text(&evaluation))?;
    command.report.as_ref().map_or(Ok(()), |folder| {
        screen::say(&format!("report: {}", folder.join(report::PAGE).display()));
        Ok(())
    })
}

fn evaluate(global: &Global, command: &Eval, file: &ModelFile) -> Outcome<Evaluation> {
    let start = Instant::now();
    let labels = &file.info().labels;
    let grid_size = command.grid.unwrap_or(file.info().grid_size);
    // Every scan is looked at once more, so none is kept.
    let options = DatasetOptions { cache_bytes: 0, ..DatasetOptions::new(labels.clone(), grid_size) };
    let dataset = Dataset::open_for_evaluation(&command.data, options).map_err(of_data)?;
    for warning in dataset.warnings() {
        screen::say(&format!("warning: {warning}"));
    }
    screen::say(&format!("{} scans, {} points", dataset.len(), dataset.points()));
    interrupt::check()?;
    let device = choice::device(global)?;
    let (segmenter, _) = Segmenter::open(&device, file, None)?;

    let mut confusion = ConfusionMatrix::new(labels.len());
    let mut scenes = Vec::with_capacity(dataset.len());
    let bar = screen::bar(dataset.points(), "points");
    let mut seen = 0;
    for index in 0..dataset.len() {
        interrupt::check()?;
        let scan = dataset.scan(index).map_err(of_data)?;
        let path = dataset.path(index).unwrap_or(&command.data);
        let progress = |progress: pointtpa::Progress<'_>| {
            bar.set_message(format!("{} {}", scan.name, progress.stage));
            bar.set_position(seen + (progress.done * scan.len() as f64) as u64);
        };
        let options = SegmentOptions {
            grid_size: Some(grid_size),
            tta: command.tta,
            progress: Some(&progress),
            cancel: Some(interrupt::flag()),
            ..SegmentOptions::default()
        };
        let cloud = cloud_of(&scan)?;
        let started = Instant::now();
        let segmentation =
            segmenter.segment_blocking(&cloud, &options).map_err(|error| inputs::of_scan(path, error))?;
        let seconds = started.elapsed().as_secs_f64();
        let mut of_scene = ConfusionMatrix::new(labels.len());
        of_scene.add(&scan.segment, &segmentation.labels)?;
        confusion.merge(&of_scene)?;
        let Segmentation { voxels, passes, .. } = segmentation;
        let pictures = match &command.report {
            Some(_) if index < command.pictures => Some(pictures::draw(&scan, &segmentation.labels, labels)),
            _ => None,
        };
        scenes.push(Scene { name: scan.name.clone(), scores: of_scene.scores(), voxels, passes, seconds, pictures });
        seen += scan.len() as u64;
        bar.set_position(seen);
    }
    bar.finish_and_clear();
    Ok(Evaluation {
        model: file.path().display().to_string(),
        data: command.data.display().to_string(),
        device: device.description(),
        grid_size,
        tta: command.tta,
        labels: labels.clone(),
        scores: confusion.scores(),
        confusion,
        scenes,
        seconds: start.elapsed().as_secs_f64(),
        warnings: dataset.warnings().to_vec(),
    })
}

/// What the segmenter is given: all but the truth.
fn cloud_of(scan: &LabelledScan) -> Result<PointCloud, Error> {
    PointCloud::new(scan.coord.clone(), [0.0; 3], Some(scan.color.clone()), Some(scan.normal.clone()), None)
}

/// The options have been checked, so what is wrong with the arguments is wrong with the data.
fn of_data(error: Error) -> Failure {
    let is_data = matches!(error, Error::Argument { .. });
    let failure = Failure::from(error);
    if is_data { Failure { code: BAD_INPUT, ..failure } } else { failure }
}
