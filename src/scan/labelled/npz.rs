//! Labelled points as `NumPy`'s archive: a zip file with an array for every column, stored as they are.

use std::io::{self, Write};

use rawzip::ZipArchiveWriter;

use super::npy::header;
use crate::PointCloud;
use crate::scan::ply::Labels;

/// Writes the columns of a cloud with labels, and with these colours in place of its own.
pub(super) fn write(
    out: &mut dyn Write,
    cloud: &PointCloud,
    labels: &Labels,
    colors: Option<Vec<[u8; 3]>>,
) -> io::Result<()> {
    let n = cloud.len();
    let mut archive = ZipArchiveWriter::new(out);
    let is_far = cloud.origin != [0.0; 3];
    array(&mut archive, "coord", if is_far { "<f8" } else { "<f4" }, &[n, 3], &mut |out| {
        cloud.positions.iter().try_for_each(|position| {
            for (value, origin) in position.iter().zip(cloud.origin) {
                if is_far {
                    out.write_all(&(f64::from(*value) + origin).to_le_bytes())?;
                } else {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            Ok(())
        })
    })?;
    let own = || cloud.colors.as_ref().map(|own| own.iter().map(|color| color.map(|v| v.round() as u8)).collect());
    if let Some(colors) = colors.or_else(own) {
        array(&mut archive, "color", "|u1", &[n, 3], &mut |out| out.write_all(colors.as_flattened()))?;
    }
    if let Some(normals) = &cloud.normals {
        array(&mut archive, "normal", "<f4", &[n, 3], &mut |out| floats(normals.as_flattened(), out))?;
    }
    array(&mut archive, "label", "<i4", &[n], &mut |out| {
        labels.ids.iter().try_for_each(|label| out.write_all(&label.to_le_bytes()))
    })?;
    array(&mut archive, "confidence", "<f4", &[n], &mut |out| floats(labels.confidence, out))?;
    archive.finish().map(drop).map_err(io::Error::other)
}

fn floats(values: &[f32], out: &mut dyn Write) -> io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

/// Adds an array.
fn array(
    archive: &mut ZipArchiveWriter<&mut dyn Write>,
    name: &str,
    descr: &str,
    shape: &[usize],
    numbers: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let (mut entry, settings) = archive.new_file(format!("{name}.npy")).start().map_err(io::Error::other)?;
    let mut writer = settings.wrap(io::BufWriter::new(&mut entry));
    writer.write_all(&header(descr, shape))?;
    numbers(&mut writer)?;
    let (buffered, descriptor) = writer.finish().map_err(io::Error::other)?;
    buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    entry.finish(descriptor).map(drop).map_err(io::Error::other)
}
