//! `pointtpa bench`: how fast, how much memory, and where both go.

pub(crate) mod arguments;
mod chart;
mod compare;
mod text;

use pointtpa::bench::{Options, Report, Subject, bench};

use self::arguments::Bench;
use super::arguments::Global;
use super::chart::Chart;
use super::exit::Outcome;
use super::{choice, interrupt, results, screen};

pub(crate) fn run(global: &Global, command: &Bench) -> Outcome {
    // What cannot be drawn is said before the work.
    let compared = command.compare.as_deref().map_or(Ok(Vec::new()), compare::read)?;
    command.chart.as_deref().map_or(Ok(()), |path| super::chart::check("--chart", path))?;
    let report = measure(global, command)?;
    for warning in &report.warnings {
        screen::say(&format!("warning: {warning}"));
    }
    if global.json {
        results::print_json(&serde_json::to_value(&report).unwrap_or_default())?;
    } else {
        results::print(&text::text(&report))?;
    }
    command.chart.as_deref().map_or(Ok(()), |path| chart::chart(&report, &compared).write(path))
}

fn measure(global: &Global, command: &Bench) -> Outcome<Report> {
    let subject = match &command.model {
        Some(path) => Subject::File(path.clone()),
        None => Subject::Preset { preset: command.config.into(), adapter: command.adapter.into() },
    };
    let passes = 2 * (command.runs + command.warmup);
    let all = (command.voxels.iter().sum::<usize>() * passes) as f64;
    let bar = screen::bar(all as u64, "voxels");
    let progress = |progress: pointtpa::Progress<'_>| {
        // The device has been said; those opened next are the same.
        if progress.stage == "peak" {
            screen::hush();
        }
        bar.set_message(progress.stage.to_owned());
        bar.set_position((progress.done * all) as u64);
    };
    let report = bench(&Options {
        device: choice::device_options(global),
        subject,
        voxels: &command.voxels,
        runs: command.runs,
        warmup: command.warmup,
        geometry: command.geometry,
        progress: Some(&progress),
        cancel: Some(interrupt::flag()),
    });
    bar.finish_and_clear();
    Ok(report?)
}
