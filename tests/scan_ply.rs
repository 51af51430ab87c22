//! PLY reading and writing on small files whose content is known.

use std::path::Path;

use pointtpa::scan::{LabelSet, NormalSource, PointCloud, Scan, read, read_bytes, write_cloud, write_labelled};
use proptest::prelude::*;

fn parse(bytes: impl AsRef<[u8]>) -> pointtpa::Result<Scan> {
    read_bytes(Path::new("test.ply"), bytes.as_ref().to_vec())
}

fn refusal(bytes: impl AsRef<[u8]>) -> String {
    parse(bytes).map(|scan| scan.cloud).unwrap_err().to_string()
}

fn labelled(scan: &Scan, labels: &[i32], confidence: &[f32], recolor: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let set = LabelSet::new("two", [("wall".to_owned(), [174, 199, 232]), ("dark red".to_owned(), [100, 0, 0])]);
    scan.labelled_to(&mut out, labels, confidence, &set, recolor).unwrap();
    out
}

const XYZ: &str = "property float x\nproperty float y\nproperty float z\n";

fn ascii(vertex: &str, count: u64, body: &str) -> String {
    format!("ply\nformat ascii 1.0\nelement vertex {count}\n{vertex}end_header\n{body}")
}

#[test]
fn an_ascii_file_keeps_its_spelling_and_gains_three_properties() {
    let input = "ply\nformat ascii 1.0\ncomment made by hand\nobj_info so it goes\nelement vertex 2\n\
                 property float y\nproperty double x\nproperty uchar flag\nproperty float z\nelement edge 1\n\
                 property int a\nend_header\n  0.10 1e-3\t7 +3.50  \n\n-0 .5 8 nan\n42\nleft over";
    let scan = parse(input).unwrap();
    assert_eq!(scan.cloud.positions[0], [1e-3, 0.1, 3.5]);
    assert!(scan.cloud.positions[1][2].is_nan());
    let output = String::from_utf8(labelled(&scan, &[1, -1], &[0.75, 0.0], false)).unwrap();
    let expected = "ply\nformat ascii 1.0\ncomment made by hand\nobj_info so it goes\n\
                    comment class 0 wall 174 199 232\ncomment class 1 dark red 100 0 0\nelement vertex 2\n\
                    property float y\nproperty double x\nproperty uchar flag\nproperty float z\nproperty int label\n\
                    property float scalar_Classification\nproperty float confidence\nelement edge 1\nproperty int a\n\
                    end_header\n  0.10 1e-3\t7 +3.50 1 1 0.75  \n\n-0 .5 8 nan -1 -1 0\n42\nleft over";
    assert_eq!(output, expected);
}

#[test]
fn properties_of_an_earlier_labelling_are_overwritten_in_place() {
    let input = "ply\r\nformat ascii 1.0\r\ncomment class 0 floor 1 2 3\r\nelement vertex 1\r\n\
                 property uchar label\r\nproperty list uchar int extra\r\nproperty float x\r\n\
                 property double confidence\r\nproperty float y\r\nproperty float z\r\nend_header\r\n\
                 200 2 5 6 1 0.123456789 2 3\r\n";
    let scan = parse(input).unwrap();
    assert_eq!(scan.cloud.labels, Some(vec![200]));
    let output = String::from_utf8(labelled(&scan, &[-1], &[0.5], false)).unwrap();
    let expected = "ply\r\nformat ascii 1.0\r\ncomment class 0 wall 174 199 232\r\n\
                    comment class 1 dark red 100 0 0\r\nelement vertex 1\r\nproperty int label\r\n\
                    property list uchar int extra\r\nproperty float x\r\nproperty float confidence\r\n\
                    property float y\r\nproperty float z\r\nproperty float scalar_Classification\r\nend_header\r\n\
                    -1 2 5 6 1 0.5 2 3 -1\r\n";
    assert_eq!(output, expected);
}

/// A binary file of two vertices `x y z list(uchar short) quality(double)` in either byte order.
fn binary(big: bool) -> Vec<u8> {
    let order = if big { "big" } else { "little" };
    let mut file = format!(
        "ply\nformat binary_{order}_endian 1.0\nelement vertex 2\n{XYZ}property list uchar short tags\n\
         property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    .into_bytes();
    let mut put = |bytes: &[u8]| {
        if big { file.extend(bytes.iter().rev()) } else { file.extend(bytes) }
    };
    for (tags, color) in [(vec![258i16, -1], [9u8, 8, 7]), (vec![], [6, 5, 4])] {
        for value in [1.5f32, -2.0, f32::from_bits(0x7fc0_1234)] {
            put(&value.to_le_bytes());
        }
        put(&[tags.len() as u8]);
        for tag in &tags {
            put(&tag.to_le_bytes());
        }
        for value in color {
            put(&[value]);
        }
    }
    file
}

#[test]
fn binary_files_of_both_orders_with_lists_in_the_vertex_keep_every_bit() {
    for big in [false, true] {
        let input = binary(big);
        let scan = parse(&input).unwrap();
        assert_eq!(scan.cloud.positions[1][..2], [1.5, -2.0]);
        assert_eq!(scan.cloud.colors.as_ref().unwrap()[1], [6.0, 5.0, 4.0]);
        let output = labelled(&scan, &[1, 0], &[0.25, 1.0], false);
        let body = |bytes: &[u8]| {
            let end = bytes.windows(11).position(|window| window == b"end_header\n").unwrap();
            bytes[end + 11..].to_vec()
        };
        let (before, after) = (body(&input), body(&output));
        // The first row has 12 + 1 + 4 + 3 bytes, the second 12 + 1 + 3; each gains 12.
        assert_eq!(after.len(), before.len() + 24);
        assert_eq!((&after[..20], &after[32..48]), (&before[..20], &before[20..]));
        let confidence: [u8; 4] = after[28..32].try_into().unwrap();
        let read = if big { f32::from_be_bytes(confidence) } else { f32::from_le_bytes(confidence) };
        assert_eq!(read, 0.25);
        let again = parse(&output).unwrap();
        assert_eq!(again.cloud.labels, Some(vec![1, 0]));
        assert_eq!(labelled(&again, &[1, 0], &[0.25, 1.0], false), output);
        let recolored = parse(labelled(&again, &[1, -1], &[0.25, 1.0], true)).unwrap();
        assert_eq!(recolored.cloud.colors, Some(vec![[100.0, 0.0, 0.0], [0.0; 3]]));
        assert_eq!(recolored.cloud.labels, Some(vec![1, -1]));
    }
}

#[test]
fn recolouring_a_file_without_colours_adds_them() {
    let scan = parse(ascii(XYZ, 1, "1 2 3")).unwrap();
    let output = labelled(&scan, &[0], &[1.0], true);
    let again = parse(&output).unwrap();
    assert_eq!(again.cloud.colors, Some(vec![[174.0, 199.0, 232.0]]));
    assert!(String::from_utf8(output).unwrap().ends_with("1 2 3 174 199 232 0 0 1"));
}

#[test]
fn colours_of_every_type_come_to_the_scale_of_255() {
    for (kind, names, body, expected) in [
        ("uchar", ["red", "green", "blue"], "0 128 255", [0.0, 128.0, 255.0]),
        ("float", ["r", "g", "b"], "0 0.5 1", [0.0, 127.5, 255.0]),
        ("float", ["red", "green", "blue"], "0 64 255", [0.0, 64.0, 255.0]),
        ("ushort", ["Red", "Green", "Blue"], "0 257 65535", [0.0, 1.0, 255.0]),
        ("double", ["diffuse_red", "diffuse_green", "diffuse_blue"], "nan 0 1", [0.0, 0.0, 255.0]),
    ] {
        let properties = names.map(|name| format!("property {kind} {name}\n")).concat();
        let scan = parse(ascii(&format!("{properties}{XYZ}"), 1, &format!("{body} 1 2 3\n"))).unwrap();
        assert_eq!(scan.cloud.colors, Some(vec![expected]), "{kind} {names:?}");
        assert_eq!(scan.cloud.positions, [[1.0, 2.0, 3.0]]);
    }
}

#[test]
fn normals_come_from_the_file_or_from_the_faces_wherever_these_stand() {
    let faces = "element face 2\nproperty list uchar int vertex_indices\n";
    let header = |elements: &str| format!("ply\nformat ascii 1.0\n{elements}end_header\n");
    let points = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n";
    let vertex = format!("element vertex 4\n{XYZ}");
    for file in [
        header(&format!("{faces}{vertex}")) + "4 0 1 2 3\n3 0 1 99\n" + points,
        header(&format!("{vertex}{faces}")) + points + "4 0 1 2 3\n3 0 1 99 and more\n",
    ] {
        let scan = parse(&file).unwrap();
        assert_eq!(scan.cloud.normals, Some(vec![[0.0, 0.0, 1.0]; 4]));
        let description = scan.describe();
        assert_eq!((description.faces, description.normals), (2, NormalSource::Faces));
        assert!(description.warnings.iter().any(|warning| warning.message.contains("no vertex of this file")));
    }
    let own = format!("{XYZ}property float nx\nproperty float ny\nproperty float nz\n");
    let scan = parse(ascii(&own, 1, "0 0 0 0 0 -2")).unwrap();
    assert_eq!(scan.cloud.normals, Some(vec![[0.0, 0.0, -2.0]]));
    assert_eq!(scan.describe().normals, NormalSource::File);
}

#[test]
fn coordinates_far_from_the_origin_keep_their_precision() {
    let doubles = XYZ.replace("float", "double");
    let scan = parse(ascii(&doubles, 2, "500000.125 0 1\n500010.25 4 2\n")).unwrap();
    assert_eq!(scan.cloud.origin, [500_005.0, 0.0, 0.0]);
    assert_eq!(scan.cloud.positions[0][0], -4.875);
    assert_eq!(scan.describe().low.unwrap()[0], 500_000.125);
}

#[test]
fn odd_but_valid_files_are_read() {
    let spaced = "ply\nformat   ascii 1.0\t\n  element vertex\t1\nproperty  float x\nproperty float y\nproperty float z \n\
                  property float scalar_C2C absolute distances[<0.1]\nproperty bool seen\n end_header\n 1\t2 3 4 1";
    let scan = parse(spaced).unwrap();
    assert_eq!(scan.cloud.positions, [[1.0, 2.0, 3.0]]);
    assert_eq!(scan.describe().properties[3], "scalar_C2C absolute distances[<0.1]:float");
    let windows = parse(ascii(XYZ, 1, "-1.#IND 1.#INF -1.#INF\n")).unwrap();
    assert_eq!(windows.cloud.positions[0][1..], [f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(windows.describe().non_finite_points, 1);
    let carriage = spaced.replace('\n', "\r");
    assert_eq!(parse(carriage).unwrap().cloud, scan.cloud);
    assert!(parse(ascii(XYZ, 0, "")).unwrap().cloud.is_empty());
    let twice = ascii(&format!("{XYZ}property float q\nproperty float q\n"), 1, "1 2 3 4 5");
    assert_eq!(parse(twice).unwrap().describe().properties.len(), 5);
}

#[test]
fn damaged_files_are_refused_with_the_place_and_the_cause() {
    let huge = format!("ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\n{XYZ}end_header\n123");
    for (file, expected) in [
        (ascii(XYZ, 2, "1 2 3\n1 2 x3\n"), "line 9: `x3` stands where `z` (float)"),
        (ascii(XYZ, 2, "1 2 3\n1 2 \n"), "line 9: the end of the line stands where `z`"),
        (ascii(XYZ, 1, "1 2 3 4\n"), "line 8: the line goes on with `4` after the 3 values"),
        (ascii(XYZ, 2, "1 2 3000000000\n"), "line 9: the file ends after 1 of 2 `vertex` rows"),
        (ascii(XYZ, 4_000_000_000, "1 2 3\n"), "line 3: the header promises 4000000000 `vertex` rows"),
        (huge, "the header promises 4000000000 `vertex` rows of at least 12 bytes, and 3 bytes are left"),
        (ascii("property float x\n", 1, "1\n"), "line 3: element `vertex` lacks x, y or z (it has: x)"),
        (ascii(XYZ, 1, "1 2 3\n").replace("vertex", "wheel"), "declares no `vertex` element (it has: wheel)"),
        ("ply\nformat ascii 2.0\nend_header\n".into(), "line 2: `format ascii 2.0`"),
        ("ply\nformat ascii 1.0\nelement vertex 3\n".into(), "line 4: the file ends inside its header"),
        ("ply\nformat ascii 1.0\nelement vertex -3\nend_header\n".into(), "line 3: `-3` is no number"),
        ("ply\nformat ascii 1.0\nproperty float x\nend_header\n".into(), "line 3: the property `x` comes before"),
        ("ply\nformat ascii 1.0\nelement a 1\nproperty half x\n".into(), "line 4: `property half x`"),
        (ascii(&format!("{XYZ}property list uchar int i\n"), 1, "1 2 3 1e30 1"), "line 9: the end of the line"),
        (ascii(&format!("{XYZ}property list uchar int i\n"), 1, "1 2 3 -1 1"), "line 9: `-1` stands where `i`"),
        ("solid cube".into(), "byte 0: the content is no scan format known here"),
        (String::new(), "byte 0: the file is empty"),
    ] {
        let error = refusal(&file);
        assert!(error.contains(expected), "{error}\nwanted: {expected}\nfor: {file}");
    }
}

#[test]
fn a_binary_file_cut_anywhere_is_refused_with_a_place() {
    for big in [false, true] {
        let file = binary(big);
        for length in 0..file.len() {
            let error = refusal(&file[..length]);
            assert!(error.contains("line ") || error.contains("byte "), "{error}");
        }
    }
}

#[test]
fn a_list_that_promises_more_than_the_file_has_is_refused_without_room_for_it() {
    let mut file = format!(
        "ply\nformat binary_little_endian 1.0\nelement vertex 1\n{XYZ}property list uint double big\nend_header\n"
    )
    .into_bytes();
    file.extend([0; 12]);
    file.extend(u32::MAX.to_le_bytes());
    let error = refusal(&file);
    assert!(error.contains("the file ends inside row 0 of 1 `vertex` rows"), "{error}");
}

#[test]
fn a_fresh_cloud_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloud.ply");
    for origin in [[0.0; 3], [500_000.0, -20_000.0, 0.0]] {
        let cloud = PointCloud::new(
            vec![[1.0, 2.5, -3.0], [-1.0, 2.0, 0.5]],
            origin,
            Some(vec![[1.0, 2.0, 255.0], [0.0; 3]]),
            Some(vec![[0.0, 0.6, 0.8], [0.0, 0.0, 1.0]]),
            Some(vec![20, -1]),
        )
        .unwrap();
        write_cloud(&path, &cloud, &LabelSet::rooms()).unwrap();
        let scan = read(&path).unwrap();
        let back = |cloud: &PointCloud| {
            let absolute: Vec<[f64; 3]> = cloud
                .positions
                .iter()
                .map(|p| std::array::from_fn(|axis| f64::from(p[axis]) + cloud.origin[axis]))
                .collect();
            (absolute, cloud.colors.clone(), cloud.normals.clone(), cloud.labels.clone())
        };
        assert_eq!(back(&scan.cloud), back(&cloud));
        assert_eq!(scan.classes().unwrap().classes, LabelSet::rooms().classes);
    }
}

#[test]
fn a_labelled_file_needs_one_label_per_point_and_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ply");
    let scan = parse(ascii(XYZ, 2, "1 2 3\n4 5 6\n")).unwrap();
    let error = write_labelled(&path, &scan, &[0], &[1.0, 1.0], &LabelSet::rooms(), false).unwrap_err().to_string();
    assert!(error.contains("labels: it has 1 rows, and the scan has 2 points"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    write_labelled(&path, &scan, &[0, 1], &[1.0, 1.0], &LabelSet::rooms(), false).unwrap();
    assert_eq!(read(&path).unwrap().cloud.labels, Some(vec![0, 1]));
}

#[test]
fn a_description_survives_json_and_tells_the_points() {
    let scan = parse(ascii(XYZ, 1, "1 2 nan")).unwrap();
    let json = serde_json::to_value(scan.describe()).unwrap();
    assert_eq!((json["points"].as_u64(), json["non_finite_points"].as_u64()), (Some(1), Some(1)));
    assert_eq!(json["normals"], "none");
    assert!(scan.describe().to_string().contains("warning     1 points have NaN"));
}

proptest! {
    #[test]
    fn no_damage_to_a_file_brings_the_reader_down(
        big: bool, at in 0usize..400, byte: u8, cut in 0usize..400
    ) {
        let mut file = binary(big);
        let index = at % file.len();
        file[index] = byte;
        file.truncate(file.len() - cut % 8);
        if let Ok(scan) = parse(&file) {
            let n = scan.cloud.len();
            let _ = scan.describe().to_string();
            let output = labelled(&scan, &vec![0; n], &vec![1.0; n], true);
            prop_assert_eq!(parse(&output).unwrap().cloud.labels.unwrap(), vec![0; n]);
        }
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "[a-z0-9 .\\-\n]{0,200}", count in 0u64..5) {
        let _ = parse(ascii(&format!("{XYZ}property list int float v\n"), count, &text));
        let _ = parse(format!("ply\nformat ascii 1.0\n{text}\nend_header\n"));
    }
}
