//! What a scan holds, for people and for programs.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::PointCloud;
use super::guess::{Guess, guess_units, guess_up};
use super::lint::lint;
use super::up::Up;
use super::warning::Warning;

/// Where a scan's normals come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalSource {
    /// The file's own.
    File,
    /// Computed from the faces of a mesh.
    Faces,
    /// There are none; the segmenter estimates them from neighbours.
    None,
}

/// What a reader found besides the points.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    pub(crate) format: String,
    /// `name:type` of every property of a point.
    pub(crate) properties: Vec<String>,
    pub(crate) elements: Vec<(String, u64)>,
    pub(crate) comments: Vec<String>,
    pub(crate) faces: usize,
    pub(crate) normals: NormalSource,
    pub(crate) warnings: Vec<Warning>,
}

/// A part of a file with its number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// For example `vertex`.
    pub name: String,
    /// Rows.
    pub count: u64,
}

/// What a scan file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The file.
    pub file: String,
    /// Format and encoding, for example `ply binary_little_endian`.
    pub format: String,
    /// Number of points, those that are not finite included.
    pub points: usize,
    /// Points with NaN or infinity for a coordinate; they stay in the file and get no label.
    pub non_finite_points: usize,
    /// `name:type` of every property of a point, in file order.
    pub properties: Vec<String>,
    /// The parts of the file, in order.
    pub elements: Vec<Element>,
    /// Number of faces (of strips, for files that have those).
    pub faces: usize,
    /// Lowest corner of the finite points in the file's coordinates, metres if [`Description::units`] is right.
    pub low: Option<[f64; 3]>,
    /// Highest corner.
    pub high: Option<[f64; 3]>,
    /// `high - low`.
    pub extent: Option<[f64; 3]>,
    /// Lowest and highest colour value on the scale of 0 to 255; `None` without colours.
    pub color_range: Option<[f32; 2]>,
    /// Where the normals come from.
    pub normals: NormalSource,
    /// The labels that occur, sorted, at most 256 of them; `None` without labels.
    pub labels: Option<Vec<i32>>,
    /// Which axis points up, in all likelihood.
    pub up: Option<Guess>,
    /// The unit of the coordinates, in all likelihood.
    pub units: Option<Guess>,
    /// The file's comments.
    pub comments: Vec<String>,
    /// What to look out for.
    pub warnings: Vec<Warning>,
}

impl Description {
    /// The direction that a model should see as up where nobody says which: y or minus y where the scan seems to have it up, as
    /// modelling programs and depth cameras do, else z. Other guesses are rarely right.
    pub fn assumed_up(&self) -> Up {
        let guess = self.up.as_ref().and_then(|guess| Up::from_name(&guess.answer));
        guess.filter(|up| matches!(up, Up::PlusY | Up::MinusY)).unwrap_or_default()
    }

    pub(crate) fn new(path: &Path, cloud: &PointCloud, contents: &Contents) -> Self {
        Self::with_totals(path, cloud, contents, &Totals::of(cloud))
    }

    /// [`Self::new`] of a cloud that is a sample of what the file holds.
    pub(crate) fn with_totals(path: &Path, cloud: &PointCloud, contents: &Contents, totals: &Totals) -> Self {
        let Totals { points, non_finite_points, bounds } = *totals;
        let extent: Option<[f64; 3]> = bounds.map(|(low, high)| std::array::from_fn(|axis| high[axis] - low[axis]));
        let mut description = Self {
            file: path.display().to_string(),
            format: contents.format.clone(),
            points,
            non_finite_points,
            properties: contents.properties.clone(),
            elements: contents
                .elements
                .iter()
                .map(|(name, count)| Element { name: name.clone(), count: *count })
                .collect(),
            faces: contents.faces,
            low: bounds.map(|(low, _)| low),
            high: bounds.map(|(_, high)| high),
            extent,
            color_range: cloud.colors.as_ref().and_then(|colors| range(colors.iter().flatten())),
            normals: contents.normals,
            labels: cloud.labels.as_ref().map(|labels| occurring(labels)),
            up: guess_up(cloud),
            units: extent.map(guess_units),
            comments: contents.comments.clone(),
            warnings: contents.warnings.clone(),
        };
        let found = lint(&description, cloud);
        description.warnings.extend(found);
        description
    }

    /// Of a cloud that was in no file.
    #[cfg(test)]
    pub(crate) fn plain(cloud: &PointCloud) -> Self {
        let contents = Contents {
            format: String::new(),
            properties: Vec::new(),
            elements: Vec::new(),
            comments: Vec::new(),
            faces: 0,
            normals: NormalSource::None,
            warnings: Vec::new(),
        };
        Self::new(Path::new("-"), cloud, &contents)
    }
}

/// What a description says of all points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) points: usize,
    pub(crate) non_finite_points: usize,
    /// The corners of the box about the finite points, in the file's coordinates.
    pub(crate) bounds: Option<([f64; 3], [f64; 3])>,
}

impl Totals {
    fn of(cloud: &PointCloud) -> Self {
        let corner = |corner: [f32; 3]| std::array::from_fn(|axis| f64::from(corner[axis]) + cloud.origin[axis]);
        let non_finite_points = (0..cloud.len()).filter(|&index| !cloud.is_finite(index)).count();
        let bounds = cloud.bounds().map(|(low, high)| (corner(low), corner(high)));
        Self { points: cloud.len(), non_finite_points, bounds }
    }
}

fn range<'a>(values: impl Iterator<Item = &'a f32>) -> Option<[f32; 2]> {
    let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    (low <= high).then_some([low, high])
}

fn occurring(labels: &[i32]) -> Vec<i32> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels.truncate(256);
    labels
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let triple = |v: [f64; 3]| format!("{:.3}  {:.3}  {:.3}", v[0], v[1], v[2]);
        let mut rows = vec![("format", self.format.clone()), ("points", self.points.to_string())];
        if self.non_finite_points > 0 {
            rows.push(("not finite", self.non_finite_points.to_string()));
        }
        if self.faces > 0 {
            rows.push(("faces", self.faces.to_string()));
        }
        rows.push(("properties", self.properties.join("  ")));
        if let (Some(low), Some(high), Some(extent)) = (self.low, self.high, self.extent) {
            rows.push(("from", triple(low)));
            rows.push(("to", triple(high)));
            rows.push(("extent", triple(extent)));
        }
        let colors = self.color_range.map_or_else(|| "none".to_owned(), |[low, high]| format!("{low:.0} to {high:.0}"));
        rows.push(("colours", colors));
        let normals = match self.normals {
            NormalSource::File => "from the file",
            NormalSource::Faces => "from the faces",
            NormalSource::None => "none",
        };
        rows.push(("normals", normals.to_owned()));
        if let Some(labels) = &self.labels {
            let shown: Vec<String> = labels.iter().take(24).map(ToString::to_string).collect();
            rows.push(("labels", shown.join(" ") + if labels.len() > 24 { " …" } else { "" }));
        }
        for (name, guess) in [("up", &self.up), ("units", &self.units)] {
            if let Some(guess) = guess {
                rows.push((name, format!("{} ({})", guess.answer, guess.reason)));
            }
        }
        rows.extend(self.warnings.iter().map(|warning| ("warning", warning.to_string())));
        write!(f, "{}", self.file)?;
        for (name, value) in rows {
            write!(f, "\n  {name:<10}  {value}")?;
        }
        Ok(())
    }
}
