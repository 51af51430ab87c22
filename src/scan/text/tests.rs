use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::scan::{Scan, read_bytes};

fn parse(text: impl AsRef<[u8]>) -> Result<Scan> {
    read_bytes(Path::new("test.xyz"), text.as_ref().to_vec())
}

fn refusal(text: &str) -> String {
    parse(text).map(|scan| scan.cloud).unwrap_err().to_string()
}

#[test]
fn coordinates_alone_are_read_with_any_separator_and_line_end() {
    for text in
        ["1 2 3\n4 5 -6", "1\t2\t3\r\n4\t5\t-6\r\n", "1,2,3\n\n4, 5, -6,\n", "1;2;3\r4;5;-6", "\u{feff}1 2 3\n 4 5 -6 "]
    {
        let scan = parse(text).unwrap();
        assert_eq!(scan.cloud.positions, [[1.0, 2.0, 3.0], [4.0, 5.0, -6.0]], "{text:?}");
        assert_eq!(scan.cloud.colors, None);
    }
    assert_eq!(parse("1,2,3\n").unwrap().describe().format, "text separated by commas: coordinates");
}

#[test]
fn six_columns_are_colours_or_normals() {
    let bytes = parse("0 0 0 255 128 0\n1 1 1 1 1 1\n").unwrap().cloud;
    assert_eq!(bytes.colors, Some(vec![[255.0, 128.0, 0.0], [1.0; 3]]));
    let fractions = parse("0 0 0 1.0 0.5 0\n1 1 1 0 0 0\n").unwrap().cloud;
    assert_eq!(fractions.colors, Some(vec![[255.0, 127.5, 0.0], [0.0; 3]]));
    let dark = parse("0 0 0 1 0 0\n").unwrap().cloud;
    assert_eq!(dark.colors, Some(vec![[1.0, 0.0, 0.0]]), "integers are no fractions");
    let normals = parse("0 0 0 0 0 1\n1 1 1 -0.6 0 0.8\n").unwrap();
    assert_eq!(normals.cloud.normals, Some(vec![[0.0, 0.0, 1.0], [-0.6, 0.0, 0.8]]));
    assert_eq!(normals.cloud.colors, None);
    assert!(normals.describe().warnings[0].message.contains("taken as x y z nx ny nz"));
}

#[test]
fn seven_and_nine_columns_and_counted_files_are_read() {
    let scan = parse("2\n1 2 3 -812 10 20 30\n4 5 6 0.5 40 50 60\n").unwrap();
    assert_eq!(scan.cloud.colors, Some(vec![[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]));
    let scan = parse("1 2 3 10 20 30 0 0 -1\n").unwrap();
    assert_eq!(scan.cloud.normals, Some(vec![[0.0, 0.0, -1.0]]));
    assert_eq!(scan.cloud.colors, Some(vec![[10.0, 20.0, 30.0]]));
}

#[test]
fn names_say_what_columns_are() {
    let text = "label;Z;Y;X;GPS time;R;G;B\n3;3;2;1;12345678.125;9;8;7\n-1;nan;5;4;1;6;5;4\n";
    let cloud = parse(text).unwrap().cloud;
    assert_eq!(cloud.positions[0], [1.0, 2.0, 3.0]);
    assert!(!cloud.is_finite(1));
    assert_eq!((cloud.labels, cloud.colors), (Some(vec![3, -1]), Some(vec![[9.0, 8.0, 7.0], [6.0, 5.0, 4.0]])));
    for text in [
        "//X Y Z Intensity\n1 2 3 4\n",
        "# by hand\n# x, y, z, i\n# and so on\n1,2,3,4\n",
        "\"x\" \"y\" \"z\" \"i\"\n1,2,3,4\n",
    ] {
        let scan = parse(text).unwrap();
        assert!(scan.describe().properties[3].to_lowercase().starts_with('i'), "{text:?}");
        assert!(!scan.describe().warnings[0].message.contains("names the columns"));
    }
}

#[test]
fn far_coordinates_keep_their_millimetres() {
    let cloud = parse("500000.001 4000000.002 1.5\n500000.003 4000000.004 2.5\n").unwrap().cloud;
    assert_eq!(cloud.origin, [500_000.0, 4_000_000.0, 0.0]);
    assert!((cloud.positions[1][0] - 0.003).abs() < 1e-6 && (cloud.positions[1][1] - 0.004).abs() < 1e-6);
}

#[test]
fn what_is_written_has_the_other_columns() {
    let scan = parse("x y z intensity time confidence\n1 2 3 7 0.1 1\n4 5 6 8 0.2 1\n").unwrap();
    let mut out = Vec::new();
    scan.labelled_to(&mut out, &[1, 2], &[0.25, 0.5], &crate::LabelSet::rooms(), true).unwrap();
    let description = read_bytes(Path::new("out.ply"), out).unwrap().describe();
    let expected = "x:float y:float z:float red:uchar green:uchar blue:uchar intensity:int time:double label:int \
                    scalar_Classification:float confidence:float";
    assert_eq!(description.properties.join(" "), expected);
    assert_eq!(description.points, 2);
}

#[test]
fn columns_of_words_are_left_out_if_they_have_a_name() {
    let scan = parse("x,y,z,class_name,label\n1,2,3,,-1\n4,5,6,shower curtain,15\n").unwrap();
    assert_eq!(scan.cloud.positions[1], [4.0, 5.0, 6.0]);
    assert_eq!(scan.cloud.labels, Some(vec![-1, 15]));
    assert_eq!(scan.describe().warnings[0].message, "columns that hold words are left out: class_name");
    assert!(refusal("x y z label\n1 2 3 wall\n").contains("is neither a point nor names"));
    assert!(refusal("x y z note\n1 2 3 wall\n1 2 a wall\n").contains("line 3: `a` is no number, as column `z` is"));
}

#[test]
fn refusals_have_the_number_of_the_line() {
    let cases = [
        ("1 2 3\n4 5 6 7\n", "line 2: 4 values stand where 3 are due"),
        ("# a\n\n1 2 3\nx 5 6\n", "line 4: `x` is no number, as column `x` is"),
        ("1,,3\n", "line 1: "),
        ("1 2 3 4 5\n", "line 1: 5 columns without names have no usual meaning"),
        ("a b c\n1 2 3\n", "line 1: `a b c` does not name the 3 columns below it, x, y and z among them"),
        ("x y z\n1 2\n", "line 2: `1 2` is neither a point nor names of columns"),
        ("hello\n", "line 1: there is no line with a point"),
    ];
    for (text, expected) in cases {
        let error = refusal(text);
        assert!(error.starts_with("test.xyz: ") && error.contains(expected), "{error}\ninstead of {expected}");
        assert!(error.contains("Write one point per line"), "{error}");
    }
}

#[test]
fn only_text_with_points_is_taken_for_one() {
    assert!(has_points(b"1 2 3\n") && has_points(b"x,y,z\n1,2,3\n"));
    assert!(has_points("0.125 1.5 2.25\n".repeat(1000).as_bytes()), "the glance ends within a line");
    for no in [&b""[..], b"\0\0\0", b"a,b\n1,2\n", b"1 2\n3 4\n", b"wall 1 2 3\n", b"1 2 3 4 5\n"] {
        assert!(!has_points(no), "{no:?}");
    }
}

proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in "[0-9xyzna .,;#/\\-\n\r]{0,200}") {
        if let Ok(scan) = parse(&text) {
            let n = scan.cloud.len();
            let _ = scan.describe().to_string();
            let mut out = Vec::new();
            scan.labelled_to(&mut out, &vec![0; n], &vec![1.0; n], &crate::LabelSet::rooms(), false).unwrap();
            prop_assert_eq!(read_bytes(Path::new("o"), out).unwrap().cloud.len(), n);
        }
    }

    #[test]
    fn no_bytes_bring_the_reader_down(mut file in "([0-9]{1,3} [0-9]{1,3} [0-9]{1,3}\n){1,9}", at: usize, byte: u8) {
        let mut bytes = std::mem::take(&mut file).into_bytes();
        let index = at % bytes.len();
        bytes[index] = byte;
        let _ = parse(bytes);
    }
}
