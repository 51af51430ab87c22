//! Heat maps of square matrices: who is taken for whom.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Chart, Drawn, INK, LABEL, TITLE, at, text};

/// A square matrix of shares, every row and column with a name.
#[derive(Debug, Clone)]
pub(crate) struct HeatMap {
    pub(crate) title: String,
    /// What the rows are, said at the left.
    pub(crate) rows: String,
    /// What the columns are, said below.
    pub(crate) columns: String,
    /// Names and colours of rows and columns, `[n]`.
    pub(crate) names: Vec<(String, [u8; 3])>,
    /// Shares from 0 to 1, row by row, `[n, n]`; NaN where there is nothing to share.
    pub(crate) values: Vec<f64>,
}

/// CSS pixels.
const MARGIN: f64 = 16.0;
const TITLE_HEIGHT: f64 = 34.0;
const AXIS: f64 = 22.0;
const SWATCH: f64 = 10.0;
/// Names are cut after as many characters.
const LONGEST_NAME: usize = 18;
/// A share's colours from 0 to 1: light to dark, readable without colour.
const RAMP: [(f64, f64, f64); 5] =
    [(247.0, 250.0, 253.0), (198.0, 219.0, 239.0), (107.0, 174.0, 214.0), (33.0, 113.0, 181.0), (8.0, 38.0, 87.0)];
const NOTHING: RGBColor = RGBColor(238, 238, 238);

impl HeatMap {
    /// Side of a cell in CSS pixels: numbers need room, and two hundred classes some screen.
    fn cell(&self) -> f64 {
        match self.names.len() {
            0..=30 => 30.0,
            31..=60 => 18.0,
            _ => 12.0,
        }
    }

    fn label(&self) -> f64 {
        LABEL.min(self.cell() - 1.0)
    }

    /// Room for the longest name and the swatch before it, in CSS pixels.
    fn names_width(&self) -> f64 {
        let longest = self.names.iter().map(|(name, _)| shortened(name).chars().count()).max().unwrap_or(0);
        longest as f64 * 0.58 * self.label() + SWATCH + 14.0
    }

    /// Left and upper end of the cells, and their side altogether, in CSS pixels.
    fn frame(&self) -> (f64, f64, f64) {
        (MARGIN + AXIS + self.names_width(), MARGIN + TITLE_HEIGHT, self.cell() * self.names.len() as f64)
    }

    fn draw_cell<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: f64,
        row: usize,
        column: usize,
    ) -> Drawn<B> {
        let share = self.values.get(row * self.names.len() + column).copied().unwrap_or(f64::NAN);
        let ((left, top, _), side) = (self.frame(), self.cell());
        let (x, y) = (left + side * column as f64, top + side * row as f64);
        let corners = [(at(x, scale), at(y, scale)), (at(x + side, scale) - 1, at(y + side, scale) - 1)];
        area.draw(&Rectangle::new(corners, ramp(share).filled()))?;
        let percent = (100.0 * share).round();
        // Less than half a per cent is a colour alone.
        if side >= 24.0 && percent >= 1.0 {
            let color = if share > 0.55 { WHITE } else { INK };
            let style = text(11.0, scale).color(&color).pos(Pos::new(HPos::Center, VPos::Center));
            let place = (at(x + side / 2.0, scale), at(y + side / 2.0, scale));
            area.draw(&Text::new(format!("{percent}"), place, style))?;
        }
        Ok(())
    }

    fn draw_names<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let ((left, top, all), side) = (self.frame(), self.cell());
        let right = text(self.label(), scale).pos(Pos::new(HPos::Right, VPos::Center));
        let turned =
            text(self.label(), scale).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Right, VPos::Center));
        for (index, (name, color)) in self.names.iter().enumerate() {
            let middle = side * (index as f64 + 0.5);
            let half = (SWATCH / 2.0).min(side / 2.0 - 1.0);
            let swatch = |x: f64, y: f64| {
                let corners = [(at(x - half, scale), at(y - half, scale)), (at(x + half, scale), at(y + half, scale))];
                Rectangle::new(corners, RGBColor(color[0], color[1], color[2]).filled())
            };
            area.draw(&swatch(left - 9.0, top + middle))?;
            area.draw(&swatch(left + middle, top + all + 9.0))?;
            let name = shortened(name);
            area.draw(&Text::new(name.clone(), (at(left - 19.0, scale), at(top + middle, scale)), right.clone()))?;
            area.draw(&Text::new(name, (at(left + middle, scale), at(top + all + 19.0, scale)), turned.clone()))?;
        }
        Ok(())
    }
}

impl Chart for HeatMap {
    fn size(&self) -> (u32, u32) {
        let (left, top, all) = self.frame();
        ((left + all + MARGIN).ceil() as u32, (top + all + self.names_width() + AXIS + MARGIN).ceil() as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let (left, top, all) = self.frame();
        let (middle, n) = (at(left + all / 2.0, scale), self.names.len());
        let centred = |size: f64| text(size, scale).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(self.title.as_str(), (middle, at(MARGIN + 8.0, scale)), centred(TITLE)))?;
        for row in 0..n {
            for column in 0..n {
                self.draw_cell(area, scale, row, column)?;
            }
        }
        self.draw_names(area, scale)?;
        let bottom = f64::from(self.size().1) - MARGIN - AXIS / 2.0;
        area.draw(&Text::new(self.columns.as_str(), (middle, at(bottom, scale)), centred(LABEL + 1.0)))?;
        let turned = centred(LABEL + 1.0).transform(FontTransform::Rotate270);
        let beside = (at(MARGIN + AXIS / 2.0, scale), at(top + all / 2.0, scale));
        area.draw(&Text::new(self.rows.as_str(), beside, turned))
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

fn ramp(share: f64) -> RGBColor {
    if share.is_nan() {
        return NOTHING;
    }
    // Small shares are errors worth seeing: the square root spreads them.
    let place = share.clamp(0.0, 1.0).sqrt() * (RAMP.len() - 1) as f64;
    let low = (place as usize).min(RAMP.len() - 2);
    let mix = |a: f64, b: f64| (a + (b - a) * (place - low as f64)).round() as u8;
    let (a, b) = (RAMP[low], RAMP[low + 1]);
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(n: usize) -> HeatMap {
        HeatMap {
            title: "Confusion".to_owned(),
            rows: "truth".to_owned(),
            columns: "prediction".to_owned(),
            names: (0..n).map(|i| (format!("class {i}"), [i as u8, 200, 100])).collect(),
            values: (0..n * n).map(|i| if i % (n + 1) == 0 { 0.75 } else { 0.25 / n as f64 }).collect(),
        }
    }

    #[test]
    fn every_class_and_share_is_written() {
        let svg = map(3).svg().unwrap();
        for (text, times) in [("Confusion", 1), ("truth", 1), ("prediction", 1), ("class 2", 2), ("\n75\n", 3)] {
            assert_eq!(svg.matches(text).count(), times, "{text} in {svg}");
        }
        assert!(map(0).png().is_ok() && map(200).svg().is_ok());
    }

    #[test]
    fn colours_run_from_light_to_dark() {
        let darkness = |share: f64| 255 - ramp(share).1;
        let shares: Vec<u8> = [0.0, 0.01, 0.1, 0.5, 1.0].map(darkness).to_vec();
        assert!(shares.is_sorted() && shares[0] < shares[1] && shares[3] < shares[4], "{shares:?}");
        assert_eq!(ramp(f64::NAN), NOTHING);
    }
}
