//! Folders of `.npy` columns, as Pointcept's preprocessing writes them: `scene0000_00/{coord,color,normal,segment}.npy`.

use std::fs;
use std::path::{Path, PathBuf};

use super::named::{self, COORD, Named};
use crate::scan::PointCloud;
use crate::scan::description::Contents;
use crate::{Error, Result};

/// Whether a folder holds a scan.
pub(crate) fn is_scan(folder: &Path) -> bool {
    file_of(folder, COORD).is_file()
}

/// The folder of a scan that is given by itself, or by its `coord.npy`.
pub(crate) fn of(path: &Path) -> Option<&Path> {
    if path.file_name().is_some_and(|name| name == "coord.npy") {
        return Some(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    }
    path.is_dir().then_some(path)
}

/// Reads a folder, see [`named`].
pub(crate) fn read(folder: &Path) -> Result<(PointCloud, Contents)> {
    named::read(&Folder(folder))
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("npy")
}

struct Folder<'a>(&'a Path);

impl Named for Folder<'_> {
    fn format(&self) -> &'static str {
        "folder of npy"
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = file_of(self.0, name);
        if !path.is_file() {
            return Ok(None);
        }
        fs::read(&path).map(Some).map_err(|source| Error::Io { action: "read", path, source })
    }

    fn refused(&self, name: &str, at: &str, problem: &str, advice: &str) -> Error {
        let (at, problem, advice) = (at.to_owned(), problem.to_owned(), advice.to_owned());
        Error::Scan { path: file_of(self.0, name), at, problem, advice }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::LabelSet;
    use crate::scan::npy::array::tests::file;
    use crate::train::LabelledScan;

    /// A folder of two points with these columns.
    pub(crate) fn write(folder: &Path, columns: &[(&str, Vec<u8>)]) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, bytes) in columns {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    pub(crate) fn coord() -> (&'static str, Vec<u8>) {
        let numbers: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        ("coord.npy", file("<f4", false, "(2, 3)", &numbers))
    }

    pub(crate) fn segment(labels: [i16; 2]) -> (&'static str, Vec<u8>) {
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
        let colors = read(folder.path()).unwrap().0.colors.unwrap();
        assert_eq!(colors, [[0.0, 51.0, 255.0], [0.0, 102.0, 153.0]]);
        write(folder.path(), &[("color.npy", floats([0.0, 0.5, 1.0, 255.0, -1.0, 2.0]))]);
        let colors = read(folder.path()).unwrap().0.colors.unwrap();
        assert_eq!(colors, [[0.0, 0.5, 1.0], [255.0, 0.0, 2.0]]);
        // Beyond 255 they have 16 bits, as in PLY files.
        write(folder.path(), &[("color.npy", floats([0.0, 257.0, 65535.0, 514.0, -1.0, 2570.0]))]);
        let colors = read(folder.path()).unwrap().0.colors.unwrap();
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
        assert!(read(empty.path()).unwrap_err().to_string().contains("coord.npy: coord: there is no such array"));
    }
}
