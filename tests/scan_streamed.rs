//! PLY files that stay on disk: their points, descriptions and labelled copies are those of the file in memory.

use std::fs;
use std::path::PathBuf;

use pointtpa::scan::{Blocks, LabelSet, PointCloud, Streamed, read};

/// Writes a binary PLY file whose points count up, with something before and after them.
fn file(folder: &tempfile::TempDir, big_endian: bool, points: usize, coordinate: &str) -> PathBuf {
    let order = if big_endian { "big" } else { "little" };
    let mut bytes = format!(
        "ply\r\nformat binary_{order}_endian 1.0\r\ncomment class 0 floor 1 2 3\r\nelement scanner 2\r\nproperty float height\r\n\
         element vertex {points}\r\nproperty uchar flag\r\nproperty {coordinate} x\r\nproperty {coordinate} y\r\n\
         property {coordinate} z\r\nproperty ushort red\r\nproperty ushort green\r\nproperty ushort blue\r\n\
         property int label\r\nelement face 1\r\nproperty list uchar int vertex_indices\r\nend_header\r\n"
    )
    .into_bytes();
    let mut put = |value: &[u8]| {
        let mut value = value.to_vec();
        if big_endian {
            value.reverse();
        }
        bytes.extend(value);
    };
    put(&1.5f32.to_le_bytes());
    put(&1.6f32.to_le_bytes());
    for i in 0..points {
        put(&[7]);
        for axis in 0..3 {
            let value = if i == 5 { f64::NAN } else { 600_000.0 + (i * (axis + 1)) as f64 / 64.0 };
            if coordinate == "double" {
                put(&value.to_le_bytes());
            } else {
                put(&((value - 600_000.0) as f32).to_le_bytes());
            }
        }
        for channel in 0..3 {
            put(&((i * 13 + channel * 1000) as u16).to_le_bytes());
        }
        put(&((i % 3) as i32 - 1).to_le_bytes());
    }
    put(&[3]);
    for corner in [0i32, 1, 2] {
        put(&corner.to_le_bytes());
    }
    bytes.extend(b"left over");
    let path = folder.path().join(format!("{order}_{coordinate}_{points}.ply"));
    fs::write(&path, bytes).unwrap();
    path
}

/// All blocks, one after the other.
fn gathered(scan: &Streamed) -> PointCloud {
    let mut all = PointCloud::default();
    scan.visit(&mut |first, block| {
        assert_eq!(first, all.positions.len());
        all.positions.extend(&block.positions);
        all.origin = block.origin;
        for (whole, part) in [(&mut all.colors, &block.colors), (&mut all.normals, &block.normals)] {
            if let Some(part) = part {
                whole.get_or_insert_default().extend(part);
            }
        }
        if let Some(part) = &block.labels {
            all.labels.get_or_insert_default().extend(part);
        }
        Ok(())
    })
    .unwrap();
    all
}

fn set() -> LabelSet {
    LabelSet::new("two", [("wall".to_owned(), [174, 199, 232]), ("dark red".to_owned(), [100, 0, 0])])
}

#[test]
fn points_and_labelled_copies_are_those_of_the_file_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    // More than a block, so that the second has to agree with the first.
    for (big_endian, points, coordinate) in [(false, 300_000, "double"), (true, 9, "double"), (false, 700, "float")] {
        let path = file(&folder, big_endian, points, coordinate);
        let (streamed, whole) = (Streamed::open(&path).unwrap().expect("it can stay on disk"), read(&path).unwrap());
        let cloud = gathered(&streamed);
        let bits =
            |cloud: &PointCloud| cloud.positions.as_flattened().iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        assert_eq!((bits(&cloud), cloud.origin), (bits(&whole.cloud), whole.cloud.origin));
        assert_eq!((&cloud.colors, &cloud.labels), (&whole.cloud.colors, &whole.cloud.labels));

        let (of_streamed, of_whole) = (streamed.describe(), whole.describe());
        assert_eq!((of_streamed.points, of_streamed.non_finite_points), (points, 1));
        assert_eq!((&of_streamed.properties, &of_streamed.format), (&of_whole.properties, &of_whole.format));
        assert_eq!(of_streamed.color_range, of_whole.color_range);
        // Corners of doubles are those of the file, not of its rounding to f32.
        let near = |a: Option<[f64; 3]>, b: Option<[f64; 3]>| {
            a.unwrap().iter().zip(b.unwrap()).all(|(a, b)| (a - b).abs() < 1e-3)
        };
        assert!(near(of_streamed.low, of_whole.low) && near(of_streamed.high, of_whole.high));

        let labels: Vec<i32> = (0..points).map(|i| (i % 3) as i32 - 1).collect();
        let confidence: Vec<f32> = (0..points).map(|i| i as f32 / points as f32).collect();
        for recolor in [false, true] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            streamed.labelled_to(&mut a, &labels, &confidence, &set(), recolor).unwrap();
            whole.labelled_to(&mut b, &labels, &confidence, &set(), recolor).unwrap();
            assert!(a == b, "{coordinate}, recolor {recolor}: {} and {} bytes", a.len(), b.len());
        }
        let error = streamed.labelled_to(&mut Vec::new(), &labels[1..], &confidence, &set(), false).unwrap_err();
        assert!(error.to_string().contains(&format!("the scan has {points} points")), "{error}");
    }
}

#[test]
fn what_has_to_be_in_memory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let xyz = "property float x\nproperty float y\nproperty float z\n";
    for (name, content) in [
        ("ascii", format!("ply\nformat ascii 1.0\nelement vertex 1\n{xyz}end_header\n1 2 3\n")),
        (
            "lists",
            format!(
                "ply\nformat binary_little_endian 1.0\nelement vertex 0\n{xyz}property list uchar int a\nend_header\n"
            ),
        ),
        ("text", "1 2 3\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        assert!(Streamed::open(&path).unwrap().is_none(), "{name}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, false, 700, "float");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Streamed::open(&path).err().unwrap().to_string();
    assert!(error.contains("promises 700 `vertex` rows of 23 bytes"), "{error}");
    fs::write(&path, &bytes[..100]).unwrap();
    let error = Streamed::open(&path).err().unwrap().to_string();
    assert!(error.contains("end_header"), "{error}");
    assert!(Streamed::open(&folder.path().join("none.ply")).is_err());
}

#[test]
fn long_headers_are_read_to_their_end_and_no_farther() {
    let folder = tempfile::tempdir().unwrap();
    let xyz = "property float x\nproperty float y\nproperty float z\n";
    let around = |padding: usize| {
        let comment = "-".repeat(padding);
        format!("ply\nformat binary_little_endian 1.0\ncomment {comment}\nelement vertex 2\n{xyz}end_header")
    };
    let short = around(0).len();
    // The header's last word ends just before, at and behind the end of what is read at first, and far behind it.
    for length in [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 17, 200_000] {
        let mut bytes = around(length - short).into_bytes();
        assert_eq!(bytes.len(), length);
        bytes.push(b'\n');
        bytes.extend([1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|value| value.to_le_bytes()));
        let path = folder.path().join(format!("{length}.ply"));
        fs::write(&path, &bytes).unwrap();
        let cloud = gathered(&Streamed::open(&path).unwrap().unwrap());
        assert_eq!(cloud.positions, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "{length}");
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(Streamed::open(&path).is_err(), "{length}: no points");
    }
}

#[test]
fn a_file_that_changes_between_two_looks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, false, 700, "float");
    let streamed = Streamed::open(&path).unwrap().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"more");
    fs::write(&path, bytes).unwrap();
    let error = streamed.visit(&mut |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("changed while it was being read"), "{error}");
}
