//! The report's files.

use std::path::Path;

use super::evaluation::Evaluation;
use super::{csv, html};
use crate::chart::Chart;
use crate::chart::heat_map::HeatMap;
use crate::exit::Outcome;
use crate::output;

pub(super) const PAGE: &str = "report.html";
const FILES: [&str; 5] = [PAGE, "confusion.csv", "confusion.png", "per_class.csv", "metrics.json"];

/// Makes the folder, and fails now rather than after the work if a file cannot be written.
pub(super) fn check(folder: &Path) -> Outcome {
    output::create_folder(folder)?;
    FILES.iter().try_for_each(|name| output::check_writable(&folder.join(name)))?;
    Ok(())
}

/// Writes the report; the page last.
pub(super) fn write(folder: &Path, evaluation: &Evaluation) -> Outcome {
    let chart = heat_map(evaluation).png()?;
    let metrics = format!("{:#}\n", evaluation.json());
    let page = html::page(evaluation, &chart);
    let write = |name: &str, bytes: &[u8]| output::write_bytes(&folder.join(name), bytes);
    write("confusion.csv", csv::confusion(evaluation).as_bytes())?;
    write("confusion.png", &chart)?;
    write("per_class.csv", csv::per_class(evaluation).as_bytes())?;
    write("metrics.json", metrics.as_bytes())?;
    write(PAGE, page.as_bytes())
}

/// Shares of every true class.
fn heat_map(evaluation: &Evaluation) -> HeatMap {
    let n = evaluation.labels.len();
    let share = |cell: usize| {
        let points = evaluation.scores.classes[cell / n].points;
        // A class that does not occur has nothing to share.
        if points == 0 { f64::NAN } else { evaluation.confusion.count(cell / n, cell % n) as f64 / points as f64 }
    };
    HeatMap {
        title: "Confusion: percent of each true class".to_owned(),
        rows: "truth".to_owned(),
        columns: "prediction".to_owned(),
        names: evaluation.labels.classes.iter().map(|class| (class.name.clone(), class.color)).collect(),
        values: (0..n * n).map(share).collect(),
    }
}
