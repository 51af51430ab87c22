//! Line charts: one or several side by side.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{COLORS, Chart, Drawn, INK, LABEL, TITLE, at, scaled, text};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// What the legend says.
    pub(crate) label: String,
    /// x and y, in any order; points that are not finite are left out.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines in one frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) series: Vec<Series>,
    /// The y axis ends here rather than above the largest value: 1 for shares.
    pub(crate) y_end: Option<f64>,
    /// Whether every point has a dot.
    pub(crate) dots: bool,
}

/// Panels side by side, in the order given.
#[derive(Debug, Clone)]
pub(crate) struct LineChart {
    pub(crate) panels: Vec<Panel>,
    /// Width and height of one panel in CSS pixels.
    pub(crate) panel_size: (u32, u32),
}

impl Chart for LineChart {
    fn size(&self) -> (u32, u32) {
        (self.panel_size.0 * self.panels.len().max(1) as u32, self.panel_size.1)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let areas = area.split_evenly((1, self.panels.len().max(1)));
        self.panels.iter().zip(&areas).try_for_each(|(panel, area)| panel.draw(area, scale))
    }
}

impl Panel {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let (x_range, y_range) = (self.range(|point| point.0, None), self.range(|point| point.1, self.y_end));
        let (x_digits, y_digits) = (digits(x_range.end - x_range.start), digits(y_range.end - y_range.start));
        let legend = self.emptiest_corner(&x_range, &y_range);
        let size = |length: f64| scaled(length, scale);
        let mut chart = ChartBuilder::on(area)
            .margin(size(16.0))
            .caption(&self.title, text(TITLE, scale))
            .x_label_area_size(size(44.0))
            .y_label_area_size(size(60.0))
            .build_cartesian_2d(x_range, y_range)?;
        chart
            .configure_mesh()
            .max_light_lines(1)
            .bold_line_style(RGBColor(224, 224, 224).stroke_width(size(1.0)))
            .axis_style(INK.stroke_width(size(1.0)))
            .axis_desc_style(text(LABEL + 1.0, scale))
            .label_style(text(LABEL, scale))
            .set_all_tick_mark_size(size(4.0))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_label_formatter(&|x| number(*x, x_digits))
            .y_label_formatter(&|y| number(*y, y_digits))
            .draw()?;
        for (series, color) in self.series.iter().zip(COLORS.into_iter().cycle()) {
            let mut points: Vec<(f64, f64)> = series.finite().collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let line = LineSeries::new(points, color.filled().stroke_width(size(2.0)));
            let line = if self.dots { line.point_size(size(4.0)) } else { line };
            let (long, thick) = (at(22.0, scale), size(3.0));
            chart
                .draw_series(line)?
                .label(&series.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + long, y)], color.stroke_width(thick)));
        }
        // One line needs no legend if the axis says what it is.
        if self.series.iter().any(|series| !series.label.is_empty()) {
            chart
                .configure_series_labels()
                .position(legend)
                .legend_area_size(size(30.0))
                .margin(size(8.0))
                .background_style(WHITE.mix(0.85))
                .border_style(RGBColor(200, 200, 200))
                .label_font(text(LABEL, scale))
                .draw()?;
        }
        Ok(())
    }

    /// Where the legend hides the fewest points.
    fn emptiest_corner(&self, x_range: &Range<f64>, y_range: &Range<f64>) -> SeriesLabelPosition {
        let share = |range: &Range<f64>, value: f64| (value - range.start) / (range.end - range.start);
        let hidden = |right: bool, lower: bool| {
            let points = self.series.iter().flat_map(Series::finite);
            let places = points.map(|(x, y)| (share(x_range, x), share(y_range, y)));
            places
                .filter(|(x, y)| (if right { *x > 0.7 } else { *x < 0.3 }) && (if lower { *y < 0.3 } else { *y > 0.7 }))
                .count()
        };
        let corners = [
            (hidden(false, false), SeriesLabelPosition::UpperLeft),
            (hidden(true, false), SeriesLabelPosition::UpperRight),
            (hidden(true, true), SeriesLabelPosition::LowerRight),
        ];
        corners
            .into_iter()
            .min_by_key(|(hidden, _)| *hidden)
            .map_or(SeriesLabelPosition::UpperLeft, |(_, corner)| corner)
    }

    /// From 0, or the smallest value if that is below, to a little above the largest.
    fn range(&self, of: fn((f64, f64)) -> f64, end: Option<f64>) -> Range<f64> {
        let values = || self.series.iter().flat_map(Series::finite).map(of);
        let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        let high = end.unwrap_or(low + 1.08 * (high - low));
        if high > low { low..high } else { low..low + 1.0 }
    }
}

impl Series {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// Decimals that tell the ticks of an axis of some length apart.
fn digits(length: f64) -> usize {
    (1.0 - length.log10()).ceil().clamp(0.0, 6.0) as usize
}

/// `0.50` and `60 000`: whole numbers in groups of three digits.
fn number(value: f64, decimals: usize) -> String {
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    let whole = value.round();
    let digits = format!("{:.0}", whole.abs());
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
    format!("{}{}", if whole < 0.0 { "-" } else { "" }, parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: &[Series]) -> LineChart {
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            x_label: "voxels".to_owned(),
            y_label: "seconds".to_owned(),
            series: series.to_vec(),
            y_end: None,
            dots: true,
        };
        LineChart { panels: vec![panel("A title"), panel("Another")], panel_size: (760, 460) }
    }

    fn series(label: &str, factor: f64) -> Series {
        Series {
            label: label.to_owned(),
            points: [60_000.0, 10_000.0].map(|voxels| (voxels, factor * voxels)).to_vec(),
        }
    }

    #[test]
    fn every_line_and_its_label_is_drawn() {
        let svg = chart(&[series("ours", 3e-5), series("theirs <1>", 6e-5)]).svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["A title", "Another", "ours", "theirs &lt;1&gt;", "voxels", "seconds", "60 000"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
    }

    #[test]
    fn a_picture_has_the_lines_colours_and_dark_text() {
        let bytes = chart(&[series("ours", 3e-5)]).png().unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2 * 2 * 760, 2 * 460));
        let count = |color: [u8; 3]| pixels.chunks_exact(3).filter(|pixel| *pixel == color).count();
        assert!(count([0, 114, 178]) > 1000, "a line of 700 by 2 CSS pixels");
        assert!(count([34, 34, 34]) > 1000, "titles, labels and axes");
    }

    #[test]
    fn charts_of_one_point_of_none_and_of_what_is_not_finite_are_charts() {
        let one = Series { label: "one".to_owned(), points: vec![(1.0, 1e-4)] };
        let none = Series { label: "none".to_owned(), points: Vec::new() };
        let odd = Series { label: "odd".to_owned(), points: vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (2.0, -3.0)] };
        for series in [vec![one], vec![none], vec![odd], vec![]] {
            assert!(chart(&series).svg().is_ok());
        }
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([7.0, 1000.0, -60_000.0, 1_234_567.0].map(|v| number(v, 0)), ["7", "1 000", "-60 000", "1 234 567"]);
        assert_eq!(number(0.5, 2), "0.50");
    }
}
