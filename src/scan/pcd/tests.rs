use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::scan::{Scan, read_bytes};

fn parse(bytes: impl AsRef<[u8]>) -> Result<Scan> {
    read_bytes(Path::new("test.pcd"), bytes.as_ref().to_vec())
}

fn refusal(bytes: impl AsRef<[u8]>) -> String {
    parse(bytes).map(|scan| scan.cloud).unwrap_err().to_string()
}

fn head(fields: &str, sizes: &str, types: &str, counts: &str, points: u64, data: &str) -> Vec<u8> {
    format!(
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n\
         COUNT {counts}\nWIDTH {points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {data}\n"
    )
    .into_bytes()
}

/// LZF of literals alone.
fn lzf(content: &[u8]) -> Vec<u8> {
    content.chunks(32).flat_map(|chunk| [&[chunk.len() as u8 - 1], chunk].concat()).collect()
}

fn compressed(mut head: Vec<u8>, content: &[u8]) -> Vec<u8> {
    let packed = lzf(content);
    head.extend((packed.len() as u32).to_le_bytes());
    head.extend((content.len() as u32).to_le_bytes());
    head.extend(packed);
    head
}

/// Two points with padding, a count of two, a label, and a colour packed into a float: as rows, and field by field.
fn two_points() -> (Vec<u8>, Vec<u8>) {
    let fields: [[Vec<u8>; 2]; 7] = [
        [7u32.to_le_bytes().into(), 300u32.to_le_bytes().into()],
        [1.5f32.to_le_bytes().into(), f32::NAN.to_le_bytes().into()],
        [2.5f32.to_le_bytes().into(), f32::NAN.to_le_bytes().into()],
        [vec![9, 9, 9, 9], vec![9, 9, 9, 9]],
        [(-3.5f32).to_le_bytes().into(), f32::NAN.to_le_bytes().into()],
        [0x00ff_8001u32.to_le_bytes().into(), 0xffff_ffffu32.to_le_bytes().into()],
        [vec![1, 2], vec![3, 4]],
    ];
    let rows = (0..2).flat_map(|point| fields.iter().flat_map(move |field| field[point].clone())).collect();
    // PCL leaves the padding out.
    let columns = fields.iter().enumerate().filter(|(index, _)| *index != 3).flat_map(|(_, field)| field.concat());
    (rows, columns.collect())
}

fn two_points_head(data: &str) -> Vec<u8> {
    head("label x y _ z rgb ring", "4 4 4 1 4 4 1", "U F F U F F U", "1 1 1 4 1 1 2", 2, data)
}

fn is_two_points(scan: &Scan) {
    assert_eq!(scan.cloud.positions[0], [1.5, 2.5, -3.5]);
    assert!(!scan.cloud.is_finite(1));
    assert_eq!(scan.cloud.colors, Some(vec![[255.0, 128.0, 1.0], [255.0; 3]]));
    assert_eq!(scan.cloud.labels, Some(vec![7, 300]));
    assert_eq!(scan.describe().properties[4..], ["z:float", "rgb:float", "ring:uchar[2]"]);
}

#[test]
fn binary_rows_and_compressed_columns_are_the_same_points() {
    let (rows, columns) = two_points();
    let binary = parse([two_points_head("binary"), rows].concat()).unwrap();
    is_two_points(&binary);
    assert_eq!(binary.describe().format, "pcd binary");
    let scan = parse(compressed(two_points_head("binary_compressed"), &columns)).unwrap();
    is_two_points(&scan);
    assert_eq!(scan.describe().format, "pcd binary_compressed");
    assert_eq!(scan.describe().non_finite_points, 1);
}

#[test]
fn what_is_written_has_every_point_and_every_field() {
    let scan = parse([two_points_head("binary"), two_points().0].concat()).unwrap();
    let mut out = Vec::new();
    let set = crate::LabelSet::rooms();
    scan.labelled_to(&mut out, &[5, -1], &[0.5, 0.0], &set, false).unwrap();
    let again = read_bytes(Path::new("out.ply"), out).unwrap();
    let description = again.describe();
    let expected = "x:float y:float z:float red:uchar green:uchar blue:uchar ring_0:uchar ring_1:uchar label:int \
                    scalar_Classification:float confidence:float";
    assert_eq!(description.properties.join(" "), expected);
    assert_eq!(again.cloud.labels, Some(vec![5, -1]));
    assert_eq!(again.cloud.colors, scan.cloud.colors);
    assert_eq!(again.cloud.positions[0], scan.cloud.positions[0]);
    assert!(!again.cloud.is_finite(1));
    assert_eq!(again.classes().unwrap().classes, set.classes);
}

#[test]
fn ascii_takes_colours_as_integers_and_as_floats() {
    let text = "1 2 3 4.2108e+06 0.5\n\nnan nan nan 16711680 1\n4 5 6 nan -1.#IND\n";
    let scan =
        parse([head("x y z rgb curvature", "4 4 4 4 4", "F F F F F", "1 1 1 1 1", 3, "ascii"), text.into()].concat());
    let scan = scan.unwrap();
    assert_eq!(scan.cloud.positions[2], [4.0, 5.0, 6.0]);
    assert!(!scan.cloud.is_finite(1));
    // 4210800 as a float has the bits 0x4a8080e0.
    assert_eq!(scan.cloud.colors, Some(vec![[128.0, 128.0, 224.0], [255.0, 0.0, 0.0], [0.0; 3]]));
}

#[test]
fn normals_separate_colours_and_doubles_are_read_in_any_order() {
    let text = "0 0 1 0.5 255 128 0 500000.25 4000000.5 1\n1 0 0 0.5 0 0 0 500001.25 4000001.5 2\n";
    let fields = "normal_x normal_y normal_z curvature r g b y x z";
    let scan = parse(
        [head(fields, "4 4 4 4 1 1 1 8 8 8", "F F F F U U U F F F", "1 1 1 1 1 1 1 1 1 1", 2, "ascii"), text.into()]
            .concat(),
    )
    .unwrap();
    assert_eq!(scan.cloud.origin, [4_000_001.0, 500_001.0, 0.0]);
    assert_eq!(scan.cloud.positions, [[-0.5, -0.75, 1.0], [0.5, 0.25, 2.0]]);
    assert_eq!(scan.cloud.normals, Some(vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    assert_eq!(scan.cloud.colors.as_ref().unwrap()[0], [255.0, 128.0, 0.0]);
    assert_eq!(scan.describe().normals, NormalSource::File);
}

#[test]
fn old_headers_without_counts_and_points_are_read() {
    let scan = parse("# made by hand\nCOLUMNS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 2\nHEIGHT 2\nDATA ascii\n1 2 3\r\n4 5 6\r\n7 8 9\r\n0 0 0")
        .unwrap();
    assert_eq!(scan.cloud.len(), 4);
    let description = scan.describe();
    assert_eq!(description.format, "pcd ascii, organised as 2 x 2");
    assert_eq!(description.comments, ["made by hand"]);
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let xyz = |points, data| head("x y z", "4 4 4", "F F F", "1 1 1", points, data);
    let with = |mut head: Vec<u8>, rest: &[u8]| {
        head.extend(rest);
        refusal(head)
    };
    let cases = [
        (with(xyz(2, "ascii"), b"1.00 2 3\n4 5\n"), "line 13: the line ends where field `z` is due"),
        (with(xyz(1, "ascii"), b"1 2 3 4\n"), "line 12: the line goes on with `4`"),
        (with(xyz(1, "ascii"), b"1 2 here\n"), "line 12: `here` is no number, as field `z` is"),
        (with(xyz(2, "ascii"), b"1 2 3.25690000\n"), "line 12: the file ends after 1 of 2 points"),
        (with(xyz(2, "binary"), &[0; 23]), "the header promises 2 points of 12 bytes, and 23 bytes are left"),
        (with(xyz(u64::MAX, "binary"), &[0; 23]), "the header promises 18446744073709551615 points"),
        (with(xyz(1, "binary_compressed"), &[0; 7]), "the file ends before the sizes"),
        (
            with(xyz(1, "binary_compressed"), &[1, 0, 0, 0, 12, 0, 0, 0]),
            "1 compressed bytes are promised, and 0 are left",
        ),
        (with(xyz(1, "binary_compressed"), &[0, 0, 0, 0, 9, 0, 0, 0]), "9 bytes when unpacked, which 1 points"),
        (with(xyz(1, "binary_compressed"), &[1, 0, 0, 0, 12, 0, 0, 0, 1]), "the compressed content makes no sense"),
        (with(xyz(1, "binary_compressed"), &[2, 0, 0, 0, 12, 0, 0, 0, 0, 1]), "unpacks to 1 bytes instead of 12"),
        (with(xyz(1, "zipped"), b""), "line 11: `DATA zipped` is no PCD encoding"),
        (with(head("x y", "4 4", "F F", "1 1", 1, "ascii"), b"1 2\n"), "the fields lack x, y or z (they are: x, y)"),
        (with(head("x y z", "4 4", "F F F", "1 1 1", 1, "ascii"), b""), "FIELDS names 3 fields, and SIZE has 2 values"),
        (with(head("x y z", "4 4 3", "F F F", "1 1 1", 1, "ascii"), b""), "field `z` has type F and size 3"),
        (with(head("x y z", "4 4 4", "F F F", "1 1 -1", 1, "ascii"), b""), "field `z` has a COUNT that is no number"),
        (refusal("VERSION .7\nFIELDS x y z\n"), "line 2: the file ends inside its header"),
        (refusal("VERSION .7\nFUN x y z\n"), "line 2: `FUN x y z` is no line of a PCD header"),
    ];
    for (error, expected) in cases {
        assert!(error.starts_with("test.pcd: ") && error.contains(expected), "{error}\ninstead of {expected}");
    }
}

#[test]
fn an_absurd_count_costs_nothing() {
    let absurd = head("x y z f", "4 4 4 8", "F F F F", "1 1 1 4000000000", 0, "binary");
    assert!(parse(absurd).unwrap().cloud.is_empty());
    let error =
        refusal([head("x y z f", "4 4 4 8", "F F F F", "1 1 1 4000000000", 1, "ascii"), vec![b'1'; 50]].concat());
    assert!(error.contains("bytes are left"), "{error}");
}

proptest! {
    #[test]
    fn no_damage_to_a_file_brings_the_reader_down(kind in 0..3, at: usize, byte: u8, cut in 0usize..64) {
        let (rows, columns) = two_points();
        let mut file = match kind {
            0 => [two_points_head("binary"), rows].concat(),
            1 => compressed(two_points_head("binary_compressed"), &columns),
            _ => [two_points_head("ascii"), b"7 1 2 9 9 9 9 3 4 5 6\n8 nan 2 9 9 9 9 3 4 5 6\n".to_vec()].concat(),
        };
        let index = at % file.len();
        file[index] = byte;
        file.truncate(file.len() - cut.saturating_sub(32));
        if let Ok(scan) = parse(&file) {
            let n = scan.cloud.len();
            let _ = scan.describe().to_string();
            let mut out = Vec::new();
            scan.labelled_to(&mut out, &vec![0; n], &vec![1.0; n], &crate::LabelSet::rooms(), true).unwrap();
            prop_assert_eq!(read_bytes(Path::new("o"), out).unwrap().cloud.labels.unwrap(), vec![0; n]);
        }
    }
}
