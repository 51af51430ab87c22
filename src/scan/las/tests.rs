use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use las::point::{Classification, Format};
use las::{Builder, Color, Point, Transform, Vector, Version, Vlr};
use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlr};
use proptest::prelude::*;

use super::write_las;
use crate::scan::{Scan, read_bytes};
use crate::{LabelSet, PointCloud, Result};

fn parse(bytes: impl AsRef<[u8]>) -> Result<Scan> {
    read_bytes(Path::new("test.las"), bytes.as_ref().to_vec())
}

fn refusal(bytes: impl AsRef<[u8]>) -> String {
    parse(bytes).map(|scan| scan.cloud).unwrap_err().to_string()
}

/// Points on a line far from zero, with colours up to `brightest`.
fn points(count: u32, brightest: u16, has_time: bool) -> Vec<Point> {
    let point = |index: u32| Point {
        x: 500_000.0 + f64::from(index) * 0.001,
        y: 4_000_000.5,
        z: -f64::from(index),
        intensity: index as u16,
        classification: Classification::new(2).unwrap(),
        gps_time: has_time.then_some(0.0),
        color: Some(Color::new(brightest, (index as u16).min(brightest), 0)),
        ..Point::default()
    };
    (0..count).map(point).collect()
}

/// A file of point format 2 (version 1.2) or 7 (version 1.4), compressed or not.
fn file(format_id: u8, points: &[Point], is_compressed: bool) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.version = if format_id > 5 { Version::new(1, 4) } else { Version::new(1, 2) };
    builder.point_format = Format::new(format_id).unwrap();
    let axis = |offset| Transform { scale: 0.001, offset };
    builder.transforms = Vector { x: axis(500_000.0), y: axis(4_000_000.0), z: axis(0.0) };
    let items = LazItemRecordBuilder::default_for_point_format_id(format_id, 0).unwrap();
    let vlr = LazVlr::from_laz_items(items);
    let mut data = Vec::new();
    vlr.write_to(&mut data).unwrap();
    if is_compressed {
        builder.vlrs = vec![Vlr {
            user_id: LazVlr::USER_ID.into(),
            record_id: LazVlr::RECORD_ID,
            description: String::new(),
            data,
        }];
    }
    let mut header = builder.into_header().unwrap();
    for point in points {
        header.add_point(point);
    }
    let mut records = Vec::new();
    for point in points {
        let raw = point.clone().into_raw(header.transforms()).unwrap();
        raw.write_to(&mut records, header.point_format()).unwrap();
    }
    let mut raw = header.clone().into_raw().unwrap();
    raw.point_data_record_format |= if is_compressed { 0x80 } else { 0 };
    let mut out = Cursor::new(Vec::new());
    raw.write_to(&mut out).unwrap();
    header.vlrs().iter().for_each(|vlr| vlr.clone().into_raw(false).unwrap().write_to(&mut out).unwrap());
    if is_compressed {
        let mut compressor = LasZipCompressor::new(&mut out, vlr).unwrap();
        compressor.compress_many(&records).unwrap();
        compressor.done().unwrap();
    } else {
        out.write_all(&records).unwrap();
    }
    out.seek(SeekFrom::Start(0)).unwrap();
    out.into_inner()
}

#[test]
fn compressed_and_plain_files_hold_the_same_points() {
    for format_id in [2, 7] {
        let points = points(200, 65_535, format_id == 7);
        let plain = parse(file(format_id, &points, false)).unwrap();
        let packed = parse(file(format_id, &points, true)).unwrap();
        assert_eq!(plain.cloud, packed.cloud);
        assert_eq!(plain.cloud.len(), 200);
        assert_eq!(plain.cloud.origin, [500_000.0, 4_000_001.0, 0.0]);
        for (index, position) in plain.cloud.positions.iter().enumerate() {
            assert!((position[0] - index as f32 * 0.001).abs() < 1e-4, "{position:?} at {index}");
        }
        assert_eq!(plain.cloud.colors.as_ref().unwrap()[199], [255.0, 199.0 / 257.0, 0.0]);
        assert_eq!(plain.cloud.labels, None, "codes of the specification are no ids");
        let (plain, packed) = (plain.describe(), packed.describe());
        assert!(plain.format.starts_with("las 1.") && plain.format.ends_with(&format!("point format {format_id}")));
        assert!(packed.format.starts_with("laz 1."));
        let expected = "x:int y:int z:int red:ushort green:ushort blue:ushort intensity:ushort classification:uchar";
        assert_eq!(packed.properties.join(" "), expected);
        assert!(!packed.warnings.iter().any(|warning| warning.message.contains("colours")), "{:?}", packed.warnings);
    }
}

#[test]
fn colours_of_eight_bits_in_fields_of_sixteen_are_taken_as_they_are() {
    let scan = parse(file(2, &points(3, 200, false), false)).unwrap();
    assert_eq!(scan.cloud.colors.as_ref().unwrap()[2], [200.0, 2.0, 0.0]);
    assert!(scan.describe().warnings[0].message.contains("go up to 200 only: they are taken as 8-bit values"));
    let black = parse(file(2, &points(3, 0, false), true)).unwrap();
    assert_eq!(black.cloud.colors, None);
    let warnings = black.describe().warnings;
    assert!(
        warnings[0].message.contains("all colours are zero") && warnings[1].message.contains("there are no colours")
    );
}

#[test]
fn what_was_written_as_las_is_read_with_its_labels() {
    let cloud = PointCloud {
        positions: vec![[0.25, 1.0, -1.5], [3.125, 2.0, 1.0]],
        origin: [500_000.0, 0.0, 0.0],
        colors: Some(vec![[255.0, 0.0, 1.0]; 2]),
        ..PointCloud::default()
    };
    let mut bytes = Vec::new();
    write_las(&mut bytes, &cloud, &[1, -1], &[0.5, 0.75], &LabelSet::rooms(), false).unwrap();
    let scan = parse(&bytes).unwrap();
    assert_eq!(scan.cloud.labels, Some(vec![1, -1]));
    assert_eq!(scan.cloud.colors, cloud.colors);
    let mut out = Vec::new();
    scan.labelled_to(&mut out, &[3, 4], &[1.0; 2], &LabelSet::rooms(), false).unwrap();
    let again = read_bytes(Path::new("out.ply"), out).unwrap();
    assert_eq!(again.cloud.labels, Some(vec![3, 4]));
    assert!(again.describe().properties.contains(&"classification:uchar".to_owned()));
    assert!(again.describe().properties.contains(&"x:double".to_owned()));
}

#[test]
fn intensities_go_from_las_to_las() {
    let mut points = points(3, 9, true);
    points[2].gps_time = Some(123_456_789.125);
    let scan = parse(file(7, &points, true)).unwrap();
    let mut out = Vec::new();
    assert_eq!(scan.labelled_las_to(&mut out, &[1; 3], &[1.0; 3], &LabelSet::rooms(), false).unwrap(), 0);
    let mut reader = las::Reader::new(Cursor::new(out)).unwrap();
    let written: Vec<Point> = reader.read_all().unwrap().points().map(|point| point.unwrap()).collect();
    assert_eq!(written.iter().map(|point| point.intensity).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(written[2].gps_time, points[2].gps_time);
    let text = read_bytes(Path::new("a.xyz"), b"0 0 0 0.5\n1 1 1 1\n".to_vec()).unwrap();
    let mut out = Vec::new();
    text.labelled_las_to(&mut out, &[1; 2], &[1.0; 2], &LabelSet::rooms(), false).unwrap();
    let intensity = las::Reader::new(Cursor::new(out)).unwrap().read_all().unwrap().intensity().collect::<Vec<_>>();
    assert_eq!(intensity, [32_768, 65_535]);
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let plain = file(2, &points(5, 9, false), false);
    let packed = file(7, &points(5, 9, true), true);
    let changed = |file: &[u8], at: usize, bytes: &[u8]| {
        let mut file = file.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(file)
    };
    let cases = [
        (refusal(&plain[..100]), "byte 0: the header is broken"),
        (refusal(&plain[..plain.len() - 1]), "the header promises 5 points of 26 bytes, and 129 bytes are left"),
        (changed(&plain, 104, &[99]), "byte 104: point format 35: there are 0 to 10"),
        (changed(&plain, 105, &[1, 0]), "byte 105: points have 1 bytes, and format 2 takes 26"),
        (changed(&plain, 96, &[255; 4]), "byte 96: the points start at byte 4294967295"),
        (changed(&plain, 100, &[255; 4]), "record 0 of 4294967295 does not fit before the points"),
        (changed(&plain, 107, &[255; 4]), "promises 4294967295 points"),
        (changed(&plain, 104, &[0x82]), "the points are compressed, and no record says how"),
        // Without the count of earlier versions the one of 1.4 counts.
        (
            changed(&packed, 107, &[[0; 140].as_slice(), &[255; 8]].concat()),
            "too few for the 18446744073709551615 points promised",
        ),
        (refusal(&packed[..packed.len() - 40]), "byte "),
    ];
    for (error, expected) in cases {
        assert!(error.starts_with("test.las: byte ") && error.contains(expected), "{error}\ninstead of {expected}");
    }
}

#[test]
fn layers_larger_than_the_file_are_refused_before_there_is_room_made_for_them() {
    let mut file = file(7, &points(50, 9, true), true);
    let start = u32::from_le_bytes(file[96..100].try_into().unwrap()) as usize;
    // Behind the offset of the table, the first point and the number of points stand the layers' sizes.
    let sizes = start + 8 + 36 + 4;
    file[sizes..sizes + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = refusal(file);
    assert!(error.contains("the file ends within a chunk of compressed points"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_damage_to_a_file_brings_the_reader_down(kind in 0..4u8, at: usize, byte: u8, cut in 0usize..64) {
        let (format_id, is_compressed) = ([2, 7][usize::from(kind % 2)], kind > 1);
        let mut file = file(format_id, &points(40, 999, format_id == 7), is_compressed);
        let index = at % file.len();
        file[index] = byte;
        file.truncate(file.len() - cut.saturating_sub(32));
        if let Ok(scan) = parse(&file) {
            let n = scan.cloud.len();
            let _ = scan.describe().to_string();
            let mut out = Vec::new();
            scan.labelled_to(&mut out, &vec![0; n], &vec![1.0; n], &LabelSet::rooms(), true).unwrap();
            prop_assert_eq!(read_bytes(Path::new("o"), out).unwrap().cloud.labels.unwrap(), vec![0; n]);
        }
    }
}
