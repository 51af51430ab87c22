//! From the values of a point, whatever file they stand in, to the columns of a [`PointCloud`].

use super::PointCloud;
use super::color_scale::{ColorScale, highest, scale_colors};
use super::point_cloud::{origin_of, relative_to, widen};
use super::warning::Warning;
use crate::Result;

/// How many values of a point a cloud has columns for.
pub(crate) const SLOTS: usize = 10;

/// The names a value goes by, best first, in lower case: x, y, z, normal, colour, label.
const NAMES: [&[&str]; SLOTS] = [
    &["x"],
    &["y"],
    &["z"],
    &["nx", "normal_x", "normalx"],
    &["ny", "normal_y", "normaly"],
    &["nz", "normal_z", "normalz"],
    &["red", "r", "diffuse_red"],
    &["green", "g", "diffuse_green"],
    &["blue", "b", "diffuse_blue"],
    &["label", "class", "scalar_classification", "classification", "scalar_label", "segment"],
];

/// The first slots of the groups, and the one of the label.
pub(crate) const POSITION: usize = 0;
pub(crate) const NORMAL: usize = 3;
pub(crate) const COLOR: usize = 6;
pub(crate) const LABEL: usize = 9;

/// Which of these names fills which slot; two thirds of a colour or of a normal is none.
pub(crate) fn slots_of(names: &[&str]) -> [Option<usize>; SLOTS] {
    let find = |name: &&str| names.iter().position(|own| own.eq_ignore_ascii_case(name));
    let mut slots = NAMES.map(|names| names.iter().find_map(find));
    for group in [POSITION, NORMAL, COLOR] {
        if slots[group..group + 3].contains(&None) {
            slots[group..group + 3].fill(None);
        }
    }
    slots
}

/// What a colour value is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColorKind {
    /// Bytes stay as they are.
    Byte,
    Integer,
    /// Integers of 16 bits by the format's own rules, which some programs write bytes into.
    Wide,
    Float,
}

/// Many points, whose values are asked for column by column.
pub(crate) trait Rows {
    /// Number of points.
    fn len(&self) -> usize;

    /// Hands out the row and the value of every point in a slot, if they have that.
    fn each(&self, slot: usize, put: &mut dyn FnMut(usize, f64));
}

/// A class id; -1 where there is no number.
fn label(value: f64) -> i32 {
    if value.is_finite() { value.round() as i32 } else { -1 }
}

/// The columns of a cloud while its rows come in.
#[derive(Debug)]
pub(crate) struct Columns {
    has: [bool; SLOTS],
    /// Filled instead of `positions` where a coordinate is a double.
    double_positions: Vec<[f64; 3]>,
    positions: Vec<[f32; 3]>,
    has_doubles: bool,
    colors: Vec<[f32; 3]>,
    color_kind: ColorKind,
    normals: Vec<[f32; 3]>,
    labels: Vec<i32>,
}

impl Columns {
    /// Columns for the slots that the file `has`; `has_doubles` says whether `f32` may be too narrow for its coordinates.
    pub(crate) fn new(has: [bool; SLOTS], has_doubles: bool, color_kind: ColorKind) -> Self {
        Self {
            has,
            double_positions: Vec::new(),
            positions: Vec::new(),
            has_doubles,
            colors: Vec::new(),
            color_kind,
            normals: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Says after the fact what the colours are stored as.
    pub(crate) fn colors_are(&mut self, color_kind: ColorKind) {
        self.color_kind = color_kind;
    }

    /// Takes many points at once, column by column.
    pub(crate) fn extend(&mut self, rows: &dyn Rows) {
        fn fill<T>(column: &mut [T], rows: &dyn Rows, slot: usize, set: impl Fn(&mut T, f64)) {
            let start = column.len() - rows.len();
            let new = &mut column[start..];
            rows.each(slot, &mut |row, value| set(&mut new[row], value));
        }
        let more = rows.len();
        if self.has_doubles {
            self.double_positions.resize(self.double_positions.len() + more, [0.0; 3]);
        } else {
            self.positions.resize(self.positions.len() + more, [0.0; 3]);
        }
        for (group, column) in [(NORMAL, &mut self.normals), (COLOR, &mut self.colors)] {
            if self.has[group] {
                column.resize(column.len() + more, [0.0; 3]);
                (0..3).for_each(|axis| fill(column, rows, group + axis, |row, value| row[axis] = value as f32));
            }
        }
        for axis in 0..3 {
            if self.has_doubles {
                fill(&mut self.double_positions, rows, POSITION + axis, |row, value| row[axis] = value);
            } else {
                fill(&mut self.positions, rows, POSITION + axis, |row, value| row[axis] = value as f32);
            }
        }
        if self.has[LABEL] {
            self.labels.resize(self.labels.len() + more, -1);
            fill(&mut self.labels, rows, LABEL, |row, value| *row = label(value));
        }
    }

    /// Takes one point.
    pub(crate) fn push(&mut self, values: &[f64; SLOTS]) {
        let triple = |first: usize| -> [f32; 3] { std::array::from_fn(|i| values[first + i] as f32) };
        if self.has_doubles {
            self.double_positions.push(std::array::from_fn(|i| values[POSITION + i]));
        } else {
            self.positions.push(triple(POSITION));
        }
        if self.has[NORMAL] {
            self.normals.push(triple(NORMAL));
        }
        if self.has[COLOR] {
            self.colors.push(triple(COLOR));
        }
        if self.has[LABEL] {
            self.labels.push(label(values[LABEL]));
        }
    }

    /// The coordinates of all points.
    pub(crate) fn coordinates(&self) -> impl Iterator<Item = [f64; 3]> {
        self.double_positions.iter().copied().chain(self.positions.iter().map(|point| point.map(f64::from)))
    }

    /// The cloud, with colours brought to `0..=255`; says in `warnings` what was assumed on the way.
    pub(crate) fn finish(self, warnings: &mut Vec<Warning>) -> Result<PointCloud> {
        let mut measure = Measure::default();
        measure.add(&self);
        self.finish_as(&measure, warnings)
    }

    /// [`Self::finish`] of some of the points that were measured.
    pub(crate) fn finish_as(mut self, measure: &Measure, warnings: &mut Vec<Warning>) -> Result<PointCloud> {
        let mut origin = [0.0; 3];
        if self.has_doubles {
            origin = origin_of(measure.corners);
            self.positions = self.double_positions.iter().map(|point| relative_to(origin, *point)).collect();
            drop(std::mem::take(&mut self.double_positions));
        }
        self.scale_colors(measure.highest_color, warnings);
        let (colors, normals, labels) = (self.has[COLOR], self.has[NORMAL], self.has[LABEL]);
        PointCloud::new(
            self.positions,
            origin,
            colors.then_some(self.colors),
            normals.then_some(self.normals),
            labels.then_some(self.labels),
        )
    }

    /// Brings colours of any type to `0..=255`, and says where that was a guess.
    fn scale_colors(&mut self, highest: f32, warnings: &mut Vec<Warning>) {
        if !self.has[COLOR] || self.color_kind == ColorKind::Byte {
            return;
        }
        let ColorScale { highest, is_wide, broken } =
            scale_colors(highest, &mut self.colors, self.color_kind == ColorKind::Float);
        if self.color_kind == ColorKind::Wide {
            if !is_wide {
                let message = format!("colours go up to {highest} only: they are taken as 8-bit values");
                warnings.push(Warning::new("colors-8-bit", message, ""));
            }
        } else if is_wide {
            let message = format!("colours go up to {highest}: they are taken as 16-bit values and divided by 257");
            warnings.push(Warning::new("colors-16-bit", message, ""));
        }
        if broken > 0 {
            let message = format!("{broken} colour values are not finite: they are taken as 0");
            warnings.push(Warning::new("colors-not-finite", message, ""));
        }
    }
}

/// What has to be known of all points before the first can be put into a cloud.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// The box about all double coordinates, as [`widen`] makes it.
    pub(crate) corners: [[f64; 3]; 2],
    highest_color: f32,
}

impl Default for Measure {
    fn default() -> Self {
        Self { corners: [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]], highest_color: 0.0 }
    }
}

impl Measure {
    /// Looks at points, and only where there is something that has to be known.
    pub(crate) fn add(&mut self, columns: &Columns) {
        columns.double_positions.iter().for_each(|point| widen(&mut self.corners, *point));
        if columns.has[COLOR] && columns.color_kind != ColorKind::Byte {
            self.highest_color = self.highest_color.max(highest(&columns.colors));
        }
    }
}
