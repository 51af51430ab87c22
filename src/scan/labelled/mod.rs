//! Labelled scans in every format that they are written in.

mod csv;
mod format;
mod npy;
mod npz;

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};

pub use format::OutputFormat;
pub use npy::write_npy;

use super::las::{Points, write_las_with, write_laz_with};
use super::{LabelSet, Scan};
use crate::{Error, Result};

impl Scan {
    /// Writes the scan with labels in any format, to any stream:
    ///
    /// - PLY as [`super::write_labelled`], LAS as [`Self::labelled_las_to`], LAZ as LAS and compressed;
    /// - CSV: a first line of names; x y z, every other value of the points, `label`, `class_name` and `confidence`;
    /// - NPY: the labels, `[n]` int32;
    /// - NPZ: `coord` `[n, 3]` float32 (float64 where the cloud has an origin), as there are `color` `[n, 3]` uint8 and `normal`
    ///   `[n, 3]` float32, `label` `[n]` int32, `confidence` `[n]` float32.
    ///
    /// `labels`, `[n]`, are ids of `set`, -1 for points without a class; `confidence`, `[n]`, is in `0..=1`. With `recolor` the
    /// colours become those of the classes, black for points without; NPY has none.
    ///
    /// Returns how many points it left out: in LAS and LAZ those without finite coordinates.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] of the stream.
    pub fn labelled_as(
        &self,
        format: OutputFormat,
        out: &mut dyn Write,
        labels: &[i32],
        confidence: &[f32],
        set: &LabelSet,
        recolor: bool,
    ) -> Result<usize> {
        let labels = self.checked(labels, confidence, set)?;
        let colors = || recolor.then(|| set.colors_of(labels.ids));
        let written = match format {
            OutputFormat::Ply => self.write_labelled(labels, recolor, out),
            OutputFormat::PlyGz => within_gzip(out, |out| self.write_labelled(labels, recolor, out)),
            OutputFormat::Las | OutputFormat::Laz => {
                let write = if format == OutputFormat::Las { write_las_with } else { write_laz_with };
                return write(out, &Points { cloud: &self.cloud, values: &self.values(), labels, recolor });
            }
            OutputFormat::Csv => csv::write(out, &self.values(), &labels, colors().as_deref()),
            OutputFormat::CsvGz => {
                within_gzip(out, |out| csv::write(out, &self.values(), &labels, colors().as_deref()))
            }
            OutputFormat::Npy => npy::write_labels(out, labels.ids),
            OutputFormat::Npz => npz::write(out, &self.cloud, &labels, colors()),
        };
        written.map(|()| 0).map_err(|source| Error::Io { action: "write", path: "stream".into(), source })
    }
}

/// Writes what `write` writes within gzip; the same content gives the same file at any time.
fn within_gzip(out: &mut dyn Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, Compression::default());
    write(&mut encoder)?;
    encoder.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scan::read_bytes;

    const SCAN: &[u8] = b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty double z\n\
        property uchar red\nproperty uchar green\nproperty uchar blue\nproperty float nx\nproperty float ny\nproperty float nz\n\
        property float intensity\nproperty ushort view id\nproperty int label\nend_header\n\
        0.1 0 1.5 10 20 30 0 0 1 0.5 7 9\nnan 0 0 40 50 60 0 1 0 0 8 9\n2 -1 0.25 70 80 90 1 0 0 1 65535 9\n";

    fn written(format: OutputFormat, recolor: bool) -> (Vec<u8>, usize) {
        let scan = read_bytes(Path::new("a.ply"), SCAN.to_vec()).unwrap();
        let mut out = Vec::new();
        let left_out =
            scan.labelled_as(format, &mut out, &[1, -1, 20], &[0.5, 0.0, 0.75], &LabelSet::rooms(), recolor).unwrap();
        (out, left_out)
    }

    #[test]
    fn csv_has_every_value_and_the_names_of_classes() {
        let expected = "x,y,z,red,green,blue,nx,ny,nz,intensity,view id,label,class_name,confidence\n\
            0.1,0,1.5,10,20,30,0,0,1,0.5,7,1,floor,0.5\n\
            NaN,0,0,40,50,60,0,1,0,0,8,-1,,0\n\
            2,-1,0.25,70,80,90,1,0,0,1,65535,20,ceiling,0.75\n";
        assert_eq!(String::from_utf8(written(OutputFormat::Csv, false).0).unwrap(), expected);
        let [r, g, b] = LabelSet::rooms().classes[1].color;
        let painted = String::from_utf8(written(OutputFormat::Csv, true).0).unwrap();
        assert!(painted.contains(&format!("\n0.1,0,1.5,{r},{g},{b},0,0,1,")) && painted.contains("\nNaN,0,0,0,0,0,"));
    }

    #[test]
    fn gzip_holds_what_is_written_without() {
        for (packed, plain) in [(OutputFormat::PlyGz, OutputFormat::Ply), (OutputFormat::CsvGz, OutputFormat::Csv)] {
            let (packed, plain) = (written(packed, false).0, written(plain, false).0);
            let mut content = Vec::new();
            io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut content).unwrap();
            assert_eq!(content, plain);
        }
    }

    #[test]
    fn las_and_laz_carry_the_other_values_as_dimensions() {
        let of_las = written(OutputFormat::Las, false);
        let of_laz = written(OutputFormat::Laz, false);
        assert_eq!([of_las.1, of_laz.1], [1, 1]);
        let [las, laz] = [of_las.0, of_laz.0].map(|bytes| read_bytes(Path::new("a.las"), bytes).unwrap());
        assert_eq!(las.cloud, laz.cloud);
        assert_eq!(las.cloud.labels, Some(vec![1, 20]));
        assert_eq!(las.cloud.normals, Some(vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
        let properties = laz.describe().properties.join(" ");
        let expected = "x:int y:int z:int red:ushort green:ushort blue:ushort nx:float ny:float nz:float label:int \
            intensity:ushort classification:uchar view_id:ushort";
        assert_eq!(properties, expected);
        assert!(laz.describe().format.starts_with("laz 1.4, point format 7"));
        let values = laz.values();
        let named = |name: &str| &values.iter().find(|value| value.column.name == name).unwrap().column;
        assert_eq!([named("view_id").value(0), named("view_id").value(1)], [7.0, 65_535.0]);
        assert_eq!([named("intensity").value(0), named("nx").value(1)], [32_768.0, 1.0]);
        assert_eq!(named("z").value(1), 0.25);
        assert_eq!([named("classification").value(0), named("classification").value(1)], [2.0, 84.0]);
    }

    #[test]
    fn no_points_are_a_file_in_every_format() {
        let empty = b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
        let scan = read_bytes(Path::new("a.ply"), empty.to_vec()).unwrap();
        for format in OutputFormat::ALL {
            let mut out = Vec::new();
            scan.labelled_as(format, &mut out, &[], &[], &LabelSet::rooms(), true).unwrap();
            assert!(!out.is_empty(), "{format:?}");
            if matches!(format, OutputFormat::Ply | OutputFormat::PlyGz | OutputFormat::Las | OutputFormat::Laz) {
                assert!(read_bytes(Path::new("a"), out).unwrap().cloud.is_empty(), "{format:?}");
            }
        }
    }

    #[test]
    fn columns_of_another_length_are_refused() {
        let scan = read_bytes(Path::new("a.ply"), SCAN.to_vec()).unwrap();
        let write = |format| scan.labelled_as(format, &mut Vec::new(), &[0], &[0.0; 3], &LabelSet::rooms(), false);
        for format in OutputFormat::ALL {
            assert!(write(format).unwrap_err().to_string().contains("labels: it has 1 rows"), "{format:?}");
        }
    }
}
