//! Folders of `.npy` columns, as Pointcept's preprocessing writes them: `scene0000_00/{coord,color,normal,segment}.npy`.

use super::{labelled_scan::refused, npy::Array};
use crate::{PointCloud, Result, scan::color_scale::scale_colors};
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

    /// In `0..=255`, by the rules of [`scale_colors`].
    fn colors(&self) -> Vec<[f32; 3]> {
        let mut colors = self.triples();
        scale_colors(&mut colors, self.is_float);
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::train::{LabelledScan, npy::tests::file};
    use crate::{Error, LabelSet};

    /// A folder of two points with these columns.
    pub(in crate::train) fn write(folder: &Path, columns: &[(&str, Vec<u8>)]) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, bytes) in columns {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    pub(in crate::train) fn coord() -> (&'static str, Vec<u8>) {
        let numbers: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        ("coord.npy", file("<f4", false, "(2, 3)", &numbers))
    }

    pub(in crate::train) fn segment(labels: [i16; 2]) -> (&'static str, Vec<u8>) {
        let numbers: Vec<u8> = labels.iter().flat_map(|v| v.to_le_bytes()).collect();
        ("segment.npy", file("<i2", false, "(2,)", &numbers))
    }

    #[test]
    fn a_preprocessed_scene_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("scene0000_00");
        let normals: Vec<u8> = [0.0f64, 0.0, 1.0, 1.0, 0.0, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let colors = file("|u1", false, "(2, 3)", &[1, 0, 1, 0, 1, 1]);
        let classes: Vec<u8> = [4i64, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        let scannet = [
            coord(),
            ("color.npy", colors),
            ("normal.npy", file("<f8", false, "(2, 3)", &normals)),
            ("segment20.npy", file("<i8", false, "(2, 1)", &classes)),
            ("instance.npy", b"not looked at".to_vec()),
        ];
        write(&scene, &scannet);
        assert!(is_scan(&scene) && !is_scan(folder.path()));
        let scan = LabelledScan::read(&scene, &LabelSet::scannet20(), 0.02).unwrap();
        let expected = LabelledScan {
            name: "scene0000_00".into(),
            coord: vec![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            color: vec![[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]],
            normal: vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            segment: vec![4, -1],
        };
        assert_eq!(scan, expected);
        // Where both are there, `segment` is meant.
        write(&scene, &[segment([7, 8])]);
        assert_eq!(LabelledScan::read(&scene, &LabelSet::scannet20(), 0.02).unwrap().segment, [7, 8]);
    }

    #[test]
    fn float_colours_up_to_one_are_fractions() {
        let folder = tempfile::tempdir().unwrap();
        let floats = |values: [f32; 6]| {
            file("<f4", false, "(2, 3)", &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
        };
        write(folder.path(), &[coord(), ("color.npy", floats([0.0, 0.2, 1.0, f32::NAN, 0.4, 0.6]))]);
        let colors = read(folder.path()).unwrap().colors.unwrap();
        assert_eq!(colors, [[0.0, 51.0, 255.0], [0.0, 102.0, 153.0]]);
        write(folder.path(), &[("color.npy", floats([0.0, 0.5, 1.0, 255.0, -1.0, 2.0]))]);
        let colors = read(folder.path()).unwrap().colors.unwrap();
        assert_eq!(colors, [[0.0, 0.5, 1.0], [255.0, 0.0, 2.0]]);
        // Beyond 255 they have 16 bits, as in PLY files.
        write(folder.path(), &[("color.npy", floats([0.0, 257.0, 65535.0, 514.0, -1.0, 2570.0]))]);
        let colors = read(folder.path()).unwrap().colors.unwrap();
        let expected = [0.0, 1.0, 255.0, 2.0, 0.0, 10.0f32];
        assert!(colors.as_flattened().iter().zip(expected).all(|(c, e)| (c - e).abs() < 1e-4), "{colors:?}");
    }

    #[test]
    fn columns_that_do_not_fit_are_named() {
        let three = file("|u1", false, "(3, 3)", &[0; 9]);
        let flat = file("<f4", false, "(6,)", &[0; 24]);
        let halves = file("<f4", false, "(2,)", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f]);
        for (column, expected) in [
            (("color.npy", three), "color.npy: shape: the array has 3 rows of 3, and [2, 3] is needed"),
            (("coord.npy", flat), "coord.npy: shape: the array has 6 rows of 1, and [n, 3] is needed"),
            (("segment.npy", halves), "segment.npy: row 1: label 0.5 is no whole number"),
            (("normal.npy", b"PK".to_vec()), "normal.npy: byte 0: this is no .npy file"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &[coord(), segment([0, 1]), column]);
            let error = read(folder.path()).unwrap_err();
            assert!(matches!(error, Error::Scan { .. }) && error.to_string().contains(expected), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("coord.npy: there is no such file"));
    }
}
