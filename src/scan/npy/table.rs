//! A `.npy` file as a scan: one array with a row per point, `[n, 3]` to `[n, 9]`.

use std::ops::RangeInclusive;
use std::path::Path;

use super::array::Array;
use super::named::{ADVICE, color_kind};
use crate::Result;
use crate::scan::PointCloud;
use crate::scan::columns::{Columns, NORMAL};
use crate::scan::description::{Contents, NormalSource};
use crate::scan::kept::{Kept, keep_values};
use crate::scan::source::Source;
use crate::scan::text::Layout;
use crate::scan::warning::Warning;

/// How many columns an array of points has.
pub(super) const COLUMNS: RangeInclusive<usize> = 3..=9;

/// Reads a file; `path` names it in errors.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let source = Source { path, bytes };
    let array = Array::parse(bytes).map_err(|(at, problem)| source.error(&format!("byte {at}"), &problem, ADVICE))?;
    of_array(&source, &array)
}

/// The points of an array in this file.
pub(super) fn of_array(source: &Source, array: &Array) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let Some(layout) = COLUMNS.contains(&array.columns).then(|| layout(array)).flatten() else {
        let problem = format!("an array [{}, {}] is none of points", array.rows, array.columns);
        return Err(source.error("shape", &problem, "Give [n, 3] to [n, 9]: x y z, colours, normals or a label"));
    };
    let mut columns = Columns::new(layout.has(), array.is_wide(), color_kind(array));
    for row in array.values.chunks_exact(array.columns) {
        columns.push(&layout.slots.map(|slot| slot.map_or(0.0, |column| row[column])));
    }
    let others = (0..array.columns).filter(|&column| layout.is_other(column));
    let others: Vec<(&str, Vec<f64>)> =
        others.map(|at| (layout.names[at].as_str(), column(array, at).collect())).collect();
    let meant = format!("the columns have no names: they are taken as {}", layout.names.join(" "));
    let mut warnings = vec![Warning::new("columns-unnamed", meant, "If that is wrong, write a CSV that names them")];
    let cloud = columns.finish(&mut warnings)?;
    let contents = Contents {
        format: format!("npy {}: {}", array.descr, layout.meaning()),
        properties: layout.names.iter().map(|name| format!("{name}:{}", &array.descr[1..])).collect(),
        elements: vec![("point".to_owned(), array.rows as u64)],
        comments: Vec::new(),
        faces: 0,
        normals: if layout.slots[NORMAL].is_some() { NormalSource::File } else { NormalSource::None },
        warnings,
    };
    Ok((cloud, contents, keep_values(&others)))
}

fn column(array: &Array, at: usize) -> impl Iterator<Item = f64> + '_ {
    array.values.iter().skip(at).step_by(array.columns).copied()
}

/// What the columns mean: as in text, but that seven with whole numbers last are x y z, colours and a label, as S3DIS is often
/// kept, and that five and eight have values nobody knows at their end.
fn layout(array: &Array) -> Option<Layout> {
    let has_normals = (3..6.min(array.columns)).any(|at| column(array, at).any(|value| value < 0.0));
    let (known, others): (usize, &[&str]) = match array.columns {
        7 if !has_normals && is_label(array) => (6, &["label"]),
        5 => (3, &["value_4", "value_5"]),
        8 => (6, &["value_7", "value_8"]),
        count => (count, &[]),
    };
    let names = Layout::of_count(known, has_normals)?.names;
    Layout::of_names(names.into_iter().chain(others.iter().map(ToString::to_string)).collect())
}

/// Whether the last of seven columns can be a label and the three before it colours.
fn is_label(array: &Array) -> bool {
    let is_color = |at| column(array, at).all(|value| (0.0..=255.0).contains(&value));
    (3..6).all(is_color) && column(array, 6).all(|value| value.fract() == 0.0 && (-1.0..1000.0).contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::npy::array::tests::file;
    use crate::scan::{Scan, read_bytes};

    fn scan(descr: &str, rows: &[&[f64]]) -> Result<Scan> {
        let numbers: Vec<u8> = match descr {
            "<f8" => rows.concat().iter().flat_map(|value| value.to_le_bytes()).collect(),
            _ => rows.concat().iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
        };
        let shape = format!("({}, {})", rows.len(), rows[0].len());
        read_bytes(Path::new("-"), file(descr, false, &shape, &numbers))
    }

    #[test]
    fn columns_are_told_by_their_number_and_values() {
        let s3dis = scan("<f4", &[&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 12.0], &[4.0, 5.0, 6.0, 0.0, 0.0, 255.0, -1.0]]);
        let s3dis = s3dis.unwrap();
        assert_eq!(s3dis.cloud.positions, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(s3dis.cloud.labels, Some(vec![12, -1]));
        assert_eq!(s3dis.cloud.colors, Some(vec![[10.0, 20.0, 30.0], [0.0, 0.0, 255.0]]));
        let found = s3dis.describe();
        assert_eq!(found.format, "npy <f4: coordinates, colours, labels");
        assert_eq!(found.properties[6], "label:f4");
        assert_eq!(found.warnings[0].code, "columns-unnamed");
        let pts = scan("<f4", &[&[1.0, 2.0, 3.0, -812.0, 10.0, 20.0, 30.0]]).unwrap().cloud;
        assert_eq!((pts.colors, pts.labels), (Some(vec![[10.0, 20.0, 30.0]]), None));
        let normals = scan("<f4", &[&[1.0, 2.0, 3.0, 0.0, -1.0, 0.0]]).unwrap().cloud;
        assert_eq!((normals.normals, normals.colors), (Some(vec![[0.0, -1.0, 0.0]]), None));
        let fractions = scan("<f4", &[&[1.0, 2.0, 3.0, 0.2, 1.0, 0.0, 0.0, 0.0, 1.0]]).unwrap().cloud;
        assert_eq!(
            (fractions.colors, fractions.normals),
            (Some(vec![[51.0, 255.0, 0.0]]), Some(vec![[0.0, 0.0, 1.0]]))
        );
        let lidar = scan("<f4", &[&[1.0, 2.0, 3.0, 0.5, 7.0]]).unwrap();
        assert_eq!(lidar.describe().properties[3..], ["value_4:f4", "value_5:f4"]);
    }

    #[test]
    fn far_doubles_keep_their_millimetres() {
        let cloud = scan("<f8", &[&[500_000.125, 1.0, 2.0], &[500_002.0, 1.0, 2.0]]).unwrap().cloud;
        assert_eq!((cloud.origin[0], cloud.positions[0][0]), (500_001.0, -0.875));
    }

    #[test]
    fn arrays_of_no_points_are_refused() {
        for (columns, problem) in [(2, "an array [1, 2] is none of points"), (10, "an array [1, 10] is none of")] {
            let error = scan("<f4", &[&vec![0.0; columns]]).map(|scan| scan.cloud).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = read_bytes(Path::new("a.npy"), b"\x93NUMPY\x01\x00".to_vec()).map(|scan| scan.cloud).unwrap_err();
        assert!(error.to_string().starts_with("a.npy: byte 8: the file ends inside its header"), "{error}");
    }
}
