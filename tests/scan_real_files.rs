//! Reads the PLY files of many other programs and compares what is found with an independent reader's findings, and scans in
//! other formats.
//!
//! The files are not part of this repository: `POINTTPA_SHARED` names the folder, `../shared` otherwise.

use std::path::PathBuf;

use pointtpa::Error;
use pointtpa::scan::{LabelSet, Scan, read, read_bytes};

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("POINTTPA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
        .join("data");
    if folder.join("ply/expected.tsv").is_file() {
        Some(folder)
    } else {
        println!("skipped: no shared data");
        None
    }
}

/// A type's name in the table.
fn short(type_name: &str) -> &str {
    match type_name {
        "char" | "int8" => "i1",
        "uchar" | "uint8" => "u1",
        "short" | "int16" => "i2",
        "ushort" | "uint16" => "u2",
        "int" | "int32" => "i4",
        "uint" | "uint32" => "u4",
        "float" | "float32" => "f4",
        "double" | "float64" => "f8",
        other => other,
    }
}

/// The elements of a row of the table, `vertex[8](x:f4,y:f4) face[6](list vertex_index:i4)`: name, rows and properties of each. The
/// table cuts long rows off, so the properties of the last are where theirs begin.
fn elements(text: &str) -> Vec<(&str, u64, &str)> {
    text.split(") ")
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, rest) = part.split_once('[').unwrap();
            let (count, properties) = rest.split_once("](").unwrap();
            (name, count.parse().unwrap(), properties.trim_end_matches(')'))
        })
        .collect()
}

/// What is valid by the format though the other reader refused it, with its points and faces: a comment of the other kind among the
/// elements, the type `bool`, and lines of faces with more values than are declared.
const VALID_ALL_THE_SAME: [(&str, usize, usize); 3] = [
    ("ply/ply-rs/example_plys_empty_ok_ascii.ply", 0, 0),
    ("ply/pyntcloud/tests_data_diamond_with_bool.ply", 6, 0),
    ("ply/trimesh/models_fuze_ascii.ply", 502, 1000),
];

#[test]
fn every_real_ply_file_reads_as_another_reader_found_it_or_is_refused_with_a_place() {
    let Some(folder) = shared() else { return };
    let table = std::fs::read_to_string(folder.join("ply/expected.tsv")).unwrap();
    let (mut read_count, mut valid) = (0, Vec::new());
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, bytes, format, _, verdict, expected] = columns[..] else { panic!("{row}") };
        let path = folder.join(file);
        assert_eq!(path.metadata().unwrap().len().to_string(), bytes, "{file} is another one");
        let expected = elements(expected);
        let has_points = |(name, _, properties): &(&str, u64, &str)| {
            let has = |axis: &str| properties.split(',').any(|property| property.starts_with(&format!("{axis}:")));
            ["vertex", "point"].contains(name) && ["x", "y", "z"].iter().all(|axis| has(axis))
        };
        let is_due = expected.iter().any(has_points) || VALID_ALL_THE_SAME.iter().any(|(valid, ..)| *valid == file);
        let scan = match read(&path) {
            Ok(scan) => scan,
            Err(Error::Scan { at, problem, advice, .. }) => {
                let (place, number) = at.split_once(' ').unwrap();
                assert!(["line", "byte"].contains(&place) && number.parse::<u64>().is_ok(), "{file}: {at}: {problem}");
                assert!(!problem.is_empty() && !advice.is_empty());
                assert!(!is_due, "{file} (reference: {verdict}): {at}: {problem}");
                println!("refused {file} (reference: {verdict}): {at}: {problem}");
                continue;
            }
            Err(other) => panic!("{file}: {other}"),
        };
        assert!(is_due, "{file} holds no points, and was read");
        read_count += 1;
        let description = scan.describe();
        assert_eq!(description.points, scan.cloud.len());
        assert!(!description.to_string().is_empty());
        if let Some((_, points, faces)) = VALID_ALL_THE_SAME.iter().find(|(valid, ..)| *valid == file) {
            assert_eq!((description.points, description.faces), (*points, *faces), "{file}");
            valid.push(file);
            continue;
        }
        assert_eq!(verdict, "ok", "{file}");
        assert_eq!(description.format, format!("ply {format}"), "{file}");
        let found: Vec<(&str, u64)> =
            description.elements.iter().map(|element| (element.name.as_str(), element.count)).collect();
        let listed: Vec<(&str, u64)> = expected.iter().map(|(name, count, _)| (*name, *count)).collect();
        // A row of the table may end before the last element.
        assert!(found.starts_with(&listed) && (found.len() == listed.len() || row.len() > 200), "{file}: {found:?}");
        let (_, count, properties) = *expected.iter().find(|element| has_points(element)).unwrap();
        assert_eq!(description.points as u64, count, "{file}");
        let found: Vec<String> = description
            .properties
            .iter()
            .map(|property| {
                let (name, type_name) = property.rsplit_once(':').unwrap();
                match type_name.rsplit_once(' ') {
                    Some((_, of)) => format!("list {name}:{}", short(of)),
                    None => format!("{name}:{}", short(type_name)),
                }
            })
            .collect();
        let (found, is_cut) = (found.join(","), expected.len() == 1 && row.len() > 200);
        assert!(found == properties || (is_cut && found.starts_with(properties)), "{file}: {found}");
        if let Some((_, faces, _)) = expected.iter().find(|(name, ..)| *name == "face") {
            assert_eq!(description.faces as u64, *faces, "{file}");
        }
    }
    println!("{read_count} files read");
    assert_eq!(valid.len(), VALID_ALL_THE_SAME.len(), "{valid:?}");
    assert!(read_count >= 100, "only {read_count} files were read");
}

#[test]
fn every_real_ply_file_is_written_back_unchanged_but_for_the_labels() {
    let Some(folder) = shared() else { return };
    let table = std::fs::read_to_string(folder.join("ply/expected.tsv")).unwrap();
    let set = LabelSet::rooms();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let path = folder.join(columns[0]);
        let Ok(scan) = read(&path) else { continue };
        let labels: Vec<i32> = (0..scan.cloud.len() as i32).map(|i| i % 22 - 1).collect();
        let confidence: Vec<f32> = (0..labels.len()).map(|i| i as f32 / 7.0).collect();
        let mut first = Vec::new();
        scan.labelled_to(&mut first, &labels, &confidence, &set, false).unwrap();
        let newline = match columns[3] {
            "CR" => "ply\r",
            "CRLF" => "ply\r\n",
            _ => "ply\n",
        };
        assert!(first.starts_with(newline.as_bytes()), "{}", path.display());
        let again = read_bytes(&path, first.clone()).unwrap();
        let (mut before, mut after) = (scan.cloud.clone(), again.cloud.clone());
        assert_eq!(after.labels.take().unwrap(), labels, "{}", path.display());
        before.labels = None;
        // Bit by bit, because NaN equals nothing.
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "{}", path.display());
        let kept = |d: pointtpa::scan::Description| (d.format, d.elements, d.faces, d.low, d.high, d.color_range);
        assert_eq!(kept(scan.describe()), kept(again.describe()), "{}", path.display());
        assert_eq!(again.classes().unwrap().classes, set.classes);
        // A second labelling with the same labels finds its properties there and changes nothing.
        let mut second = Vec::new();
        again.labelled_to(&mut second, &labels, &confidence, &set, false).unwrap();
        assert!(first == second, "{}", path.display());
    }
}

#[test]
fn real_scans_are_described_as_what_they_are() {
    let Some(folder) = shared() else { return };
    for (file, points) in [("region_growing_rgb_tutorial_zup_1cm.ply", 55_976), ("pcl_office1_zup_1cm.ply", 180_931)] {
        let description = read(&folder.join("scans").join(file)).unwrap().describe();
        println!("{description}");
        assert_eq!(description.points, points);
        assert_eq!(description.up.unwrap().answer, "+z", "{file}");
        assert_eq!(description.units.unwrap().answer, "metres", "{file}");
        let [low, high] = description.color_range.unwrap();
        assert!(low >= 0.0 && high > 100.0 && high <= 255.0);
    }
}

#[test]
fn raw_clouds_of_depth_cameras_are_read_with_their_holes() {
    let Some(folder) = shared() else { return };
    let files = [
        ("pcl_office1.pcd", 250_000..260_000),
        ("pcldata_region_growing_rgb_tutorial.pcd", 250_000..260_000),
        ("pcl_table_scene_mug_stereo_textured.pcd", 1_000..300_000),
    ];
    for (file, finite) in files {
        let scan = read(&folder.join("scans").join(file)).unwrap();
        let description = scan.describe();
        println!("{description}");
        assert_eq!(description.format, "pcd binary_compressed, organised as 640 x 480", "{file}");
        assert_eq!(description.points, 640 * 480, "{file}");
        assert!(finite.contains(&(description.points - description.non_finite_points)), "{file}");
        // Within the reach of such a camera.
        assert!(description.extent.unwrap().iter().all(|side| (0.1..20.0).contains(side)), "{file}");
        let [low, high] = description.color_range.unwrap();
        assert!(low >= 0.0 && high > 100.0 && high <= 255.0, "{file}");
        is_written_with_its_labels(&scan);
    }
}

#[cfg(feature = "formats")]
#[test]
fn a_compressed_laser_scan_is_read_within_the_bounds_of_its_header() {
    let Some(folder) = shared() else { return };
    let path = folder.join("scans/loadersgl_indoor.laz");
    let scan = read(&path).unwrap();
    let description = scan.describe();
    println!("{description}");
    assert_eq!(description.points, 808_042);
    assert_eq!((description.format.as_str(), description.non_finite_points), ("laz 1.2, point format 3", 0));
    let bytes = std::fs::read(&path).unwrap();
    let number = |at: usize| f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // Highest and lowest x, y and z.
    for (axis, at) in [179, 195, 211].into_iter().enumerate() {
        assert!((description.high.unwrap()[axis] - number(at)).abs() < 1e-4, "axis {axis}");
        assert!((description.low.unwrap()[axis] - number(at + 8)).abs() < 1e-4, "axis {axis}");
    }
    is_written_with_its_labels(&scan);
}

/// Every point in its place, with labels.
fn is_written_with_its_labels(scan: &Scan) {
    let labels: Vec<i32> = (0..scan.cloud.len() as i32).map(|i| i % 22 - 1).collect();
    let mut out = Vec::new();
    scan.labelled_to(&mut out, &labels, &vec![0.5; labels.len()], &LabelSet::rooms(), false).unwrap();
    let again = read_bytes("labelled.ply".as_ref(), out).unwrap();
    let (mut before, mut after) = (scan.cloud.clone(), again.cloud);
    assert_eq!(after.labels.take().unwrap(), labels);
    before.labels = None;
    // Bit by bit, because NaN equals nothing.
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
}
