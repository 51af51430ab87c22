//! Writing a fresh PLY file.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::labelled::Given;
use crate::scan::kept::Kept;
use crate::scan::{LabelSet, PointCloud};

/// The comment lines that say which label is which class.
pub(crate) fn class_comments(set: &LabelSet, newline: &str) -> String {
    let mut text = String::new();
    for class in &set.classes {
        // A name's own line breaks would end the comment early.
        let name = class.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let [r, g, b] = class.color;
        let _ = write!(text, "comment class {} {name} {r} {g} {b}{newline}", class.id);
    }
    text
}

/// Writes a cloud with the columns it has.
pub(crate) fn write_cloud(cloud: &PointCloud, set: &LabelSet, out: &mut dyn Write) -> io::Result<()> {
    write_fresh(&Fresh { cloud, kept: &[], set: Some(set), given: Given::default() }, out)
}

/// What goes into a fresh file.
pub(crate) struct Fresh<'a> {
    pub(crate) cloud: &'a PointCloud,
    /// What the scan's file said of its points besides.
    pub(crate) kept: &'a [Kept],
    /// The classes that the labels mean, where it is known.
    pub(crate) set: Option<&'a LabelSet>,
    /// In place of the cloud's own.
    pub(crate) given: Given<'a>,
}

/// Writes binary little endian: x y z float (double where the cloud has an origin), then as there are red green blue uchar,
/// nx ny nz float, what was kept, label int, and with labels that were given `scalar_Classification` and confidence
/// float.
pub(crate) fn write_fresh(fresh: &Fresh, out: &mut dyn Write) -> io::Result<()> {
    let Fresh { cloud, kept, given, .. } = fresh;
    let has_origin = cloud.origin != [0.0; 3];
    out.write_all(header(fresh, has_origin).as_bytes())?;
    let mut row = Vec::new();
    for (index, position) in cloud.positions.iter().enumerate() {
        row.clear();
        for (value, origin) in position.iter().zip(cloud.origin) {
            if has_origin {
                row.extend((f64::from(*value) + origin).to_le_bytes());
            } else {
                row.extend(value.to_le_bytes());
            }
        }
        if let Some(color) = given.color(index) {
            row.extend(color);
        } else if let Some(color) = cloud.colors.as_ref().and_then(|colors| colors.get(index)) {
            row.extend(color.map(|value| value.round() as u8));
        }
        if let Some(normal) = cloud.normals.as_ref().and_then(|normals| normals.get(index)) {
            row.extend(normal.iter().flat_map(|value| value.to_le_bytes()));
        }
        for column in *kept {
            row.extend(column.bytes(index));
        }
        if let Some(labels) = given.labels {
            let (label, confidence) = labels.of(index);
            row.extend(label.to_le_bytes());
            row.extend((label as f32).to_le_bytes());
            row.extend(confidence.to_le_bytes());
        } else if let Some(label) = cloud.labels.as_ref().and_then(|labels| labels.get(index)) {
            row.extend(label.to_le_bytes());
        }
        out.write_all(&row)?;
    }
    Ok(())
}

fn header(fresh: &Fresh, has_origin: bool) -> String {
    let Fresh { cloud, given, .. } = fresh;
    let coordinate = if has_origin { "double" } else { "float" };
    let mut header = "ply\nformat binary_little_endian 1.0\n".to_owned();
    header += &fresh.set.map(|set| class_comments(set, "\n")).unwrap_or_default();
    let _ = writeln!(header, "element vertex {}", cloud.len());
    let mut declare = |there: bool, kind: &str, names: &[&str]| {
        for name in names.iter().filter(|_| there) {
            let _ = writeln!(header, "property {kind} {name}");
        }
    };
    declare(true, coordinate, &["x", "y", "z"]);
    declare(given.colors.is_some() || cloud.colors.is_some(), "uchar", &["red", "green", "blue"]);
    declare(cloud.normals.is_some(), "float", &["nx", "ny", "nz"]);
    for column in fresh.kept {
        declare(true, column.scalar.ply_name(), &[&column.name]);
    }
    let has_labels = given.labels.is_some();
    declare(has_labels || cloud.labels.is_some(), "int", &["label"]);
    declare(has_labels, "float", &["scalar_Classification", "confidence"]);
    header + "end_header\n"
}
