use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2};

use e57::{E57Writer, Quaternion, RawValues, RecordValue, Transform, Translation};
use proptest::prelude::*;

use super::*;
use crate::scan::{Scan, read_bytes};

/// A scan to write: what a point has, its pose, and its points.
type Written = (Vec<Record>, Option<Transform>, Vec<RawValues>);

/// A file of these scans.
pub(crate) fn file(scans: Vec<Written>) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = E57Writer::new(&mut out, "file").unwrap();
    for (prototype, pose, points) in scans {
        let mut scan = writer.add_pointcloud("scan", prototype).unwrap();
        scan.set_transform(pose);
        for point in points {
            scan.add_point(point).unwrap();
        }
        scan.finalize().unwrap();
    }
    writer.finalize().unwrap();
    drop(writer);
    out.into_inner()
}

fn singles(values: [f32; 3]) -> RawValues {
    values.map(RecordValue::Single).to_vec()
}

fn ints(values: &[i64]) -> RawValues {
    values.iter().map(|value| RecordValue::Integer(*value)).collect()
}

fn cartesian() -> Vec<Record> {
    vec![Record::CARTESIAN_X_F32, Record::CARTESIAN_Y_F32, Record::CARTESIAN_Z_F32]
}

fn colored() -> Written {
    let colors = [Record::COLOR_RED_U8, Record::COLOR_GREEN_U8, Record::COLOR_BLUE_U8, Record::INTENSITY_U16];
    let prototype = [cartesian(), colors.to_vec(), vec![Record::CARTESIAN_INVALID_STATE]].concat();
    let point = |at: [f32; 3], rest: [i64; 5]| [singles(at), ints(&rest)].concat();
    let points = vec![
        point([1.0, 2.0, 3.0], [10, 20, 255, 40_000, 0]),
        point([9.0, 9.0, 9.0], [1, 1, 1, 1, 2]),
        point([4.0, 5.0, 6.0], [0, 128, 7, 3, 0]),
        point([9.0, 9.0, 9.0], [1, 1, 1, 1, 1]),
    ];
    // A quarter turn about z, and away.
    let rotation = Quaternion { w: FRAC_1_SQRT_2, x: 0.0, y: 0.0, z: FRAC_1_SQRT_2 };
    (prototype, Some(Transform { rotation, translation: Translation { x: 100.0, y: 0.0, z: 0.0 } }), points)
}

fn spherical() -> Written {
    let prototype = vec![Record::SPHERICAL_RANGE_F64, Record::SPHERICAL_AZIMUTH_F64, Record::SPHERICAL_ELEVATION_F64];
    let point = |values: [f64; 3]| values.map(RecordValue::Double).to_vec();
    (prototype, None, vec![point([2.0, FRAC_PI_2, 0.0]), point([3.0, 0.0, FRAC_PI_2])])
}

fn parse(bytes: Vec<u8>) -> Result<Scan> {
    read_bytes(Path::new("a.e57"), bytes)
}

fn refusal(bytes: Vec<u8>) -> String {
    parse(bytes).map(|scan| scan.cloud).unwrap_err().to_string()
}

fn near(a: &[[f32; 3]], b: &[[f32; 3]]) {
    assert_eq!(a.len(), b.len(), "{a:?}");
    // Poses and angles are computed in doubles: what is left is the rounding to f32.
    let differ = a.as_flattened().iter().zip(b.as_flattened()).any(|(a, b)| (a - b).abs() > 1e-5);
    assert!(!differ, "{a:?} are not {b:?}");
}

#[test]
fn scans_are_joined_in_their_poses_without_the_points_that_are_invalid() {
    let scan = parse(file(vec![colored(), spherical()])).unwrap();
    near(&scan.cloud.positions, &[[98.0, 1.0, 3.0], [95.0, 4.0, 6.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]);
    let grey = PointCloud::NEUTRAL_GREY;
    near(scan.cloud.colors.as_ref().unwrap(), &[[10.0, 20.0, 255.0], [0.0, 128.0, 7.0], grey, grey]);
    let found = scan.describe();
    assert_eq!((found.format.as_str(), found.points), ("e57 of 2 scans", 4));
    assert_eq!(found.properties[..2], ["cartesianX:float", "cartesianY:float"]);
    assert_eq!(found.properties[7..9], ["cartesianInvalidState:integer", "sphericalRange:double"]);
    let codes: Vec<&str> = found.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes[..2], ["invalid-points", "some-without-color"]);
    assert!(found.warnings[0].message.starts_with("2 points are marked as invalid"));
}

#[test]
fn intensities_are_written_with_the_labels() {
    let scan = parse(file(vec![colored(), spherical()])).unwrap();
    let mut out = Vec::new();
    scan.labelled_to(&mut out, &[0; 4], &[1.0; 4], &crate::LabelSet::rooms(), false).unwrap();
    let again = read_bytes(Path::new("a.ply"), out).unwrap().describe();
    assert!(again.properties.contains(&"intensity:float".to_owned()), "{:?}", again.properties);
}

#[test]
fn many_packets_give_every_point_in_order() {
    let points = (0..50_000).map(|i| singles([i as f32 / 16.0, 0.5, -1.0])).collect();
    let cloud = parse(file(vec![(cartesian(), None, points)])).unwrap().cloud;
    assert!(cloud.positions.iter().enumerate().all(|(i, p)| *p == [i as f32 / 16.0, 0.5, -1.0]));
    assert_eq!(cloud.len(), 50_000);
}

#[test]
fn scaled_integers_and_constants_are_read() {
    let axis = |name, min, max| Record {
        name,
        data_type: RecordDataType::ScaledInteger { min, max, scale: 0.001, offset: 500_000.0 },
    };
    let prototype = vec![
        axis(RecordName::CartesianX, 0, 1000),
        axis(RecordName::CartesianY, -5, 5),
        axis(RecordName::CartesianZ, 250, 250),
    ];
    let point = |x, y| [x, y, 250].map(RecordValue::ScaledInteger).to_vec();
    let cloud = parse(file(vec![(prototype, None, vec![point(1000, -5), point(0, 5)])])).unwrap().cloud;
    assert_eq!(cloud.origin[0], 500_001.0);
    near(&cloud.positions, &[[0.0, -0.005, 0.25], [-1.0, 0.005, 0.25]]);
    assert_eq!(cloud.origin[1..], [500_000.0; 2]);
}

#[test]
fn promises_that_are_not_kept_are_refused_with_a_byte() {
    let good = file(vec![spherical()]);
    assert!(refusal(good[..40].to_vec()).starts_with("a.e57: byte "), "{}", refusal(good[..40].to_vec()));
    let mut long = good.clone();
    long[TEXT_LENGTH..TEXT_LENGTH + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(long).contains("byte 32: the header promises a text of 18446744073709551615 bytes"));
    assert!(refusal(good[..good.len() - 1].to_vec()).contains("truncated"));
    let mut broken = good.clone();
    broken[60] ^= 1;
    assert!(refusal(broken).contains("invalid checksum"));
    for (count, problem) in [("3", "the file ends after"), ("99999999999", "99999999999 points of 192 bits the file's")]
    {
        let error = refusal(edited(&good, "recordCount=\"2\"", &format!("recordCount=\"{count}\"")));
        assert!(error.contains(problem) || error.contains("stands where points are due"), "{error}");
    }
    let error = refusal(edited(&good, "sphericalRange", "sphericalOther"));
    assert!(error.contains("its points have no coordinates"), "{error}");
    assert!(refusal(file(Vec::new())).contains("the file holds no scans"));
}

/// A file whose text has `to` in place of `from`, with lengths and checksums that fit.
pub(crate) fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (start, length) = (number(24), number(TEXT_LENGTH) as usize);
    let plain: Vec<u8> = bytes.chunks(1024).flat_map(|page| page[..1020].to_vec()).collect();
    let start = (start - start / 1024 * 4) as usize;
    let text = String::from_utf8(plain[start..start + length].to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let text = text.replace(from, to);
    let mut plain = [&plain[..start], text.as_bytes()].concat();
    plain[TEXT_LENGTH..TEXT_LENGTH + 8].copy_from_slice(&(text.len() as u64).to_le_bytes());
    plain.resize(plain.len().next_multiple_of(1020), 0);
    plain.chunks(1020).flat_map(|page| [page, &crc32c(page).to_be_bytes()].concat()).collect()
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn limits_that_are_no_numbers_do_not_bring_the_reader_down() {
    let good = file(vec![colored()]);
    let limit = "<colorRedMaximum type=\"Integer\">255</colorRedMaximum>";
    for text in ["type=\"Float\">NaN<", "type=\"Float\">-inf<", "type=\"Integer\">0<"] {
        let bytes = edited(&good, limit, &format!("<colorRedMaximum {text}/colorRedMaximum>"));
        let _ = parse(bytes).map(|scan| scan.cloud.len());
    }
}

proptest! {
    #[test]
    fn no_damage_behind_the_checksums_brings_the_reader_down(at: usize, byte: u8, more: usize, other: u8) {
        let file = file(vec![colored(), spherical()]);
        let mut plain: Vec<u8> = file.chunks(1024).flat_map(|page| page[..1020].to_vec()).collect();
        for (at, byte) in [(at, byte), (more, other)] {
            let index = at % plain.len();
            plain[index] = byte;
        }
        let bytes = plain.chunks(1020).flat_map(|page| [page, &crc32c(page).to_be_bytes()].concat()).collect();
        let _ = parse(bytes).map(|scan| scan.cloud.len());
    }
}
