//! Time against voxels, as a chart.

use pointtpa::bench::Report;

use crate::chart::lines::{LineChart, Panel, Series};

/// The report's runs, and what they are compared with.
pub(super) fn chart(report: &Report, compared: &[Series]) -> LineChart {
    let ours = Series {
        label: format!("pointtpa, {}", report.device.split(" (").next().unwrap_or_default()),
        points: report.runs.iter().map(|run| (run.voxels as f64, run.median_s)).collect(),
    };
    let adapter = if report.adapter == "none" { "no adapter" } else { &report.adapter };
    let panel = Panel {
        title: format!("From voxels to labels: {}, {adapter}", report.config),
        x_label: "voxels".to_owned(),
        y_label: "seconds".to_owned(),
        series: std::iter::once(ours).chain(compared.iter().cloned()).collect(),
        y_end: None,
        dots: true,
    };
    LineChart { panels: vec![panel], panel_size: (760, 460) }
}
