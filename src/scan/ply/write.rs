//! Writing a fresh PLY file.

use std::fmt::Write as _;
use std::io::{self, Write};

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

/// Writes a cloud as binary little endian: x y z float (double where the cloud has an origin), then as it has them
/// red green blue uchar, nx ny nz float, label int.
pub(crate) fn write_cloud(cloud: &PointCloud, set: &LabelSet, out: &mut dyn Write) -> io::Result<()> {
    let has_origin = cloud.origin != [0.0; 3];
    let coordinate = if has_origin { "double" } else { "float" };
    let mut header = "ply\nformat binary_little_endian 1.0\n".to_owned() + &class_comments(set, "\n");
    let _ = writeln!(header, "element vertex {}", cloud.len());
    let mut declare = |there: bool, kind: &str, names: &[&str]| {
        for name in names.iter().filter(|_| there) {
            let _ = writeln!(header, "property {kind} {name}");
        }
    };
    declare(true, coordinate, &["x", "y", "z"]);
    declare(cloud.colors.is_some(), "uchar", &["red", "green", "blue"]);
    declare(cloud.normals.is_some(), "float", &["nx", "ny", "nz"]);
    declare(cloud.labels.is_some(), "int", &["label"]);
    header += "end_header\n";
    out.write_all(header.as_bytes())?;
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
        if let Some(color) = cloud.colors.as_ref().and_then(|colors| colors.get(index)) {
            row.extend(color.map(|value| value.round() as u8));
        }
        if let Some(normal) = cloud.normals.as_ref().and_then(|normals| normals.get(index)) {
            row.extend(normal.iter().flat_map(|value| value.to_le_bytes()));
        }
        if let Some(label) = cloud.labels.as_ref().and_then(|labels| labels.get(index)) {
            row.extend(label.to_le_bytes());
        }
        out.write_all(&row)?;
    }
    Ok(())
}
