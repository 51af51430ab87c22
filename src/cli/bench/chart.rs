//! Time against voxels, as an SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use pointtpa::bench::Report;

use crate::exit::{Failure, Outcome};
use crate::output;

/// Points of one line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// What the legend says.
    pub(super) label: String,
    /// Voxels and seconds.
    pub(super) points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (760, 460);
const FONT: &str = "sans-serif";
/// Told apart by those who see few colours, too (Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Refuses, before the work, a file that cannot be drawn or written.
pub(super) fn check(path: &Path) -> Outcome {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        return Err(Failure::usage(format!(
            "--chart: '{}' does not end in .svg, and only SVG is drawn. Name it `chart.svg`, for example",
            path.display()
        )));
    }
    Ok(output::check_writable(path)?)
}

/// Draws the report's runs, and what they are compared with.
pub(super) fn write(path: &Path, report: &Report, compared: &[Series]) -> Outcome {
    let ours = Series {
        label: format!("pointtpa, {}", report.device.split(" (").next().unwrap_or_default()),
        points: report.runs.iter().map(|run| (run.voxels as f64, run.median_s)).collect(),
    };
    let adapter = if report.adapter == "none" { "no adapter" } else { &report.adapter };
    let title = format!("From voxels to labels: {}, {adapter}", report.config);
    let all: Vec<Series> = std::iter::once(ours).chain(compared.iter().cloned()).collect();
    let svg = draw(&title, &all).map_err(|error| Failure::usage(format!("--chart: {error}")))?;
    output::write_whole(path, |out| {
        out.write_all(svg.as_bytes()).map_err(|source| pointtpa::Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    })?;
    Ok(())
}

fn draw(title: &str, all: &[Series]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let end = |of: fn(&(f64, f64)) -> f64| {
            let values = all.iter().flat_map(|series| &series.points).map(of);
            1.08 * values.fold(0.0, f64::max)
        };
        let (voxels, seconds) = (end(|point| point.0), end(|point| point.1));
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .caption(title, (FONT, 20))
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..voxels, 0.0..seconds)?;
        let digits = (1.0 - seconds.log10()).ceil().clamp(0.0, 6.0) as usize;
        chart
            .configure_mesh()
            .max_light_lines(1)
            .bold_line_style(RGBColor(224, 224, 224))
            .axis_desc_style((FONT, 15))
            .label_style((FONT, 14))
            .x_desc("voxels")
            .y_desc("seconds")
            .x_label_formatter(&|voxels| grouped(*voxels as u64))
            .y_label_formatter(&|seconds| format!("{seconds:.digits$}"))
            .draw()?;
        for (series, color) in all.iter().zip(COLORS.into_iter().cycle()) {
            let mut points = series.points.clone();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let line = LineSeries::new(points, color.filled().stroke_width(2)).point_size(4);
            chart
                .draw_series(line)?
                .label(&series.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .label_font((FONT, 14))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// `60 000`: groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_and_its_label_is_drawn() {
        let series = |label: &str, factor: f64| Series {
            label: label.to_owned(),
            points: [60_000.0, 10_000.0].map(|voxels| (voxels, factor * voxels)).to_vec(),
        };
        let svg = draw("A title", &[series("ours", 3e-5), series("theirs <1>", 6e-5)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["A title", "ours", "theirs &lt;1&gt;", "voxels", "seconds", "60 000"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
    }

    #[test]
    fn a_chart_of_one_point_is_a_chart() {
        assert!(draw("t", &[Series { label: "one".to_owned(), points: vec![(1.0, 1e-4)] }]).is_ok());
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([7, 1000, 60_000, 1_234_567].map(grouped), ["7", "1 000", "60 000", "1 234 567"]);
    }
}
