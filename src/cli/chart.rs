//! Charts: lines and heat maps, as PNG or SVG.
//!
//! Sizes are in CSS pixels. A PNG has [`SCALE`] times as many along each side, so that it is sharp on fine screens.

pub(crate) mod heat_map;
pub(crate) mod lines;

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::exit::{Failure, Outcome};
use super::{output, png};

/// What every text of a chart is set in.
const FONT: &str = "sans-serif";
/// Pixels of a PNG per CSS pixel.
const SCALE: f64 = 2.0;
/// The side of one character in CSS pixels, of labels and of titles.
const LABEL: f64 = 13.0;
const TITLE: f64 = 18.0;
/// Told apart by those who see few colours, too (Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const INK: RGBColor = RGBColor(34, 34, 34);

/// Something that can be drawn.
pub(crate) trait Chart {
    /// Width and height in CSS pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on a white area of `size` times `scale` pixels.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B>;

    /// The chart as a PNG file.
    fn png(&self) -> Outcome<Vec<u8>> {
        set_up_font();
        let (width, height) = self.size();
        let (width, height) = (scaled(f64::from(width), SCALE), scaled(f64::from(height), SCALE));
        let mut pixels = vec![0; width as usize * height as usize * 3];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            area.fill(&WHITE)
                .and_then(|()| self.draw(&area, SCALE))
                .and_then(|()| area.present())
                .map_err(|error| failed(&error))?;
        }
        Ok(png::encode(width, height, &pixels))
    }

    /// The chart as an SVG file.
    fn svg(&self) -> Outcome<String> {
        set_up_font();
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, self.size()).into_drawing_area();
            area.fill(&WHITE)
                .and_then(|()| self.draw(&area, 1.0))
                .and_then(|()| area.present())
                .map_err(|error| failed(&error))?;
        }
        Ok(svg)
    }

    /// Writes the chart in the format that the file's name ends in.
    fn write(&self, path: &Path) -> Outcome {
        let bytes = match format(path) {
            Some(Format::Png) => self.png()?,
            Some(Format::Svg) => self.svg()?.into_bytes(),
            None => return Err(no_format("the chart", path)),
        };
        output::write_bytes(path, &bytes)
    }
}

/// Refuses, before the work, a file that `option` names and no chart can be written to.
pub(crate) fn check(option: &str, path: &Path) -> Outcome {
    format(path).ok_or_else(|| no_format(option, path))?;
    Ok(output::check_writable(path)?)
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

enum Format {
    Png,
    Svg,
}

fn format(path: &Path) -> Option<Format> {
    let extension = path.extension()?;
    if extension.eq_ignore_ascii_case("png") {
        return Some(Format::Png);
    }
    extension.eq_ignore_ascii_case("svg").then_some(Format::Svg)
}

fn no_format(option: &str, path: &Path) -> Failure {
    Failure::usage(format!(
        "{option}: '{}' ends in neither .png nor .svg. Name it `chart.png`, for example",
        path.display()
    ))
}

fn failed<E: std::error::Error + Send + Sync>(error: &DrawingAreaErrorKind<E>) -> Failure {
    Failure::usage(format!("the chart cannot be drawn: {error}"))
}

/// Brings the font that texts are measured by, and in a PNG are drawn in.
fn set_up_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It cannot fail: the font is part of the program.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

/// A length in CSS pixels as one in pixels.
fn scaled(length: f64, scale: f64) -> u32 {
    (length * scale).round() as u32
}

/// A place or offset in CSS pixels as one in pixels.
fn at(place: f64, scale: f64) -> i32 {
    (place * scale).round() as i32
}

/// Labels of a size in CSS pixels.
fn text(size: f64, scale: f64) -> TextStyle<'static> {
    (FONT, size * scale).into_font().color(&INK)
}
