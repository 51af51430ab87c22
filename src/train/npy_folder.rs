//! Folders of `.npy` columns, as Pointcept's preprocessing writes them: `scene0000_00/{coord,color,normal,segment}.npy`.

use super::{labelled_scan::refused, npy::Array};
use crate::{PointCloud, Result};
use std::path::Path;

/// The names labels go by, best first: `ScanNet`'s have two sets.
const SEGMENTS: [&str; 2] = ["segment.npy", "segment20.npy"];

/// Whether a folder holds a scan.
pub(super) fn is_scan(folder: &Path) -> bool {
    folder.join("coord.npy").is_file()
}

/// Reads a folder: `coord` `[n, 3]` in metres; `color` `[n, 3]`, 0 to 255; `normal` `[n, 3]`; `segment` (or `segment20`)
/// `[n]` or `[n, 1]`. Only `coord` must be there.
pub(super) fn read(folder: &Path) -> Result<PointCloud> {
    let coordinates = Column::required(folder, "coord.npy", 3)?;
    let double: Vec<[f64; 3]> = coordinates.values.as_chunks::<3>().0.to_vec();
    let (positions, origin) = PointCloud::positions_from_f64(&double);
    let optional = |name: &str| Column::read(folder, name, 3, Some(positions.len()));
    let colors = optional("color.npy")?.map(|column| column.colors());
    let normals = optional("normal.npy")?.map(|column| column.triples());
    let mut labels = None;
    for name in SEGMENTS {
        if let Some(column) = Column::read(folder, name, 1, Some(positions.len()))? {
            labels = Some(classes(folder, name, &column)?);
            break;
        }
    }
    PointCloud::new(positions, origin, colors, normals, labels)
}

/// A column of a scan.
struct Column {
    values: Vec<f64>,
    is_float: bool,
}

impl Column {
    /// `[n, columns]`; `None` where there is no such file.
    fn read(folder: &Path, name: &str, columns: usize, n: Option<usize>) -> Result<Option<Self>> {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let array = Array::read(&path)?;
        if array.columns != columns || n.is_some_and(|n| n != array.rows) {
            let rows = n.map_or("n".to_owned(), |n| n.to_string());
            let problem =
                format!("the array has {} rows of {}, and [{rows}, {columns}] is needed", array.rows, array.columns);
            return Err(refused(&path, "shape", problem, "Give every column one row per point of coord.npy"));
        }
        Ok(Some(Self { values: array.values, is_float: array.is_float }))
    }

    fn required(folder: &Path, name: &str, columns: usize) -> Result<Self> {
        let missing = || refused(folder, name, "there is no such file".into(), "Give a folder with coord.npy");
        Self::read(folder, name, columns, None)?.ok_or_else(missing)
    }

    fn triples(&self) -> Vec<[f32; 3]> {
        self.values.as_chunks::<3>().0.iter().map(|row| row.map(|v| v as f32)).collect()
    }

    /// In `0..=255`, by the rules for PLY files: floats up to 1 are fractions, what is not finite is 0.
    fn colors(&self) -> Vec<[f32; 3]> {
        let highest = self.values.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
        let factor = if self.is_float && highest <= 1.0 { 255.0 } else { 1.0 };
        let mut colors = self.triples();
        for value in colors.as_flattened_mut() {
            *value = if value.is_finite() { (*value * factor).clamp(0.0, 255.0) } else { 0.0 };
        }
        colors
    }
}

/// Labels as integers.
fn classes(folder: &Path, name: &str, column: &Column) -> Result<Vec<i32>> {
    let is_class = |value: f64| value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    if let Some(row) = column.values.iter().position(|value| !is_class(*value)) {
        let problem = format!("label {} is no whole number of 32 bits", column.values[row]);
        return Err(refused(&folder.join(name), &format!("row {row}"), problem, "Write class ids, -1 to ignore"));
    }
    Ok(column.values.iter().map(|value| *value as i32).collect())
}
