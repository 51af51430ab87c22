//! Loss, mIoU and learning rate over the steps of a run, as a picture.

use std::path::Path;

use serde_json::Value;

use crate::chart::Chart;
use crate::chart::lines::{LineChart, Panel, Series};
use crate::exit::Outcome;
use crate::{interrupt, screen};

/// The picture's name in the run folder.
pub(super) const NAME: &str = "curves.png";
const PANEL: (u32, u32) = (460, 340);
/// More points than this are not told apart in a panel; each stands for the mean of several steps.
const MOST_POINTS: usize = 400;

/// Draws the lines of a log into its folder. A picture that cannot be drawn stops no run.
pub(super) fn draw(folder: &Path, log: &[Value]) {
    let chart = chart(log);
    let written = chart.png().and_then(|png| {
        let _whole = interrupt::writing();
        let write = |out: &mut dyn std::io::Write| out.write_all(&png);
        Ok(pointtpa::scan::write_whole(&folder.join(NAME), write)?) as Outcome
    });
    if let Err(failure) = written {
        screen::say(&format!("warning: {NAME}: {}", failure.message));
    }
}

fn chart(log: &[Value]) -> LineChart {
    let points = |kind: &str, y: &dyn Fn(&Value) -> Option<f64>| -> Vec<(f64, f64)> {
        let lines = log.iter().filter(|line| line["kind"] == kind);
        lines.filter_map(|line| Some((line["step"].as_f64()?, y(line)?))).collect()
    };
    let of_steps = |label: &str, y: &dyn Fn(&Value) -> Option<f64>| Series {
        label: label.to_owned(),
        points: thinned(&points("step", y)),
    };
    let of_scores = |label: &str, key: &str| Series {
        label: label.to_owned(),
        points: points("validation", &|line| line[key].as_f64()),
    };
    let mut losses = vec![of_steps("loss", &|line| line["loss"].as_f64())];
    if log.iter().any(|line| line["lovasz"].as_f64().is_some_and(|loss| loss > 0.0)) {
        losses.push(of_steps("cross-entropy", &|line| line["ce"].as_f64()));
        losses.push(of_steps("Lovász", &|line| line["lovasz"].as_f64()));
    }
    let panel = |title: &str, y_label: &str, series: Vec<Series>| Panel {
        title: title.to_owned(),
        x_label: "step".to_owned(),
        y_label: y_label.to_owned(),
        series,
        ..Panel::default()
    };
    let mut panels = vec![panel("Training", "loss", losses)];
    let scores = vec![of_scores("mIoU", "miou"), of_scores("mAcc", "macc"), of_scores("allAcc", "all_acc")];
    if scores.iter().any(|series| !series.points.is_empty()) {
        panels.push(Panel { y_end: Some(1.0), dots: true, ..panel("Validation", "share", scores) });
    }
    let rates = vec![
        of_steps("elsewhere", &|line| line["rates"]["other"].as_f64()),
        of_steps("in blocks", &|line| line["rates"]["block"].as_f64()),
    ];
    panels.push(panel("Learning rate", "rate", rates));
    LineChart { panels, panel_size: PANEL }
}

/// Means over equal runs of points.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |run: &[(f64, f64)]| {
        let n = run.len() as f64;
        let sum = run.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / n, sum.1 / n)
    };
    points.chunks(run).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(steps: u64) -> Vec<Value> {
        let mut lines = vec![json!({"kind": "start"})];
        lines.extend((1..=steps).map(|step| {
            json!({"kind": "step", "step": step, "loss": 2.0 / step as f64, "ce": 1.0 / step as f64,
                "lovasz": 1.0 / step as f64, "rates": {"block": 1e-4, "other": 1e-3}})
        }));
        lines.push(json!({"kind": "validation", "step": steps, "miou": 0.5, "macc": 0.6, "all_acc": 0.75}));
        lines
    }

    #[test]
    fn every_curve_is_drawn() {
        let chart = chart(&log(1000));
        let labels: Vec<Vec<&str>> = chart
            .panels
            .iter()
            .map(|panel| panel.series.iter().map(|series| series.label.as_str()).collect())
            .collect();
        let expected =
            [vec!["loss", "cross-entropy", "Lovász"], vec!["mIoU", "mAcc", "allAcc"], vec!["elsewhere", "in blocks"]];
        assert_eq!(labels, expected);
        let losses = &chart.panels[0].series[0].points;
        assert_eq!((losses.len(), losses[0]), (334, (2.0, (2.0 + 1.0 + 2.0 / 3.0) / 3.0)));
        assert_eq!(chart.panels[1].series[2].points, [(1000.0, 0.75)]);
        assert!(chart.png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_log_without_a_step_makes_a_picture_too() {
        assert!(chart(&[]).png().is_ok());
        assert_eq!(chart(&log(1)).panels.len(), 3);
    }
}
