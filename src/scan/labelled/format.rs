//! The formats that labelled scans are written in.

use std::path::Path;

/// A format that labelled scans are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// PLY, as the scan was or fresh.
    Ply,
    /// PLY within gzip.
    PlyGz,
    /// LAS 1.4.
    Las,
    /// LAS 1.4, compressed.
    Laz,
    /// Text with a line per point, separated by commas.
    Csv,
    /// The same within gzip.
    CsvGz,
    /// `NumPy`'s array of the labels.
    Npy,
    /// `NumPy`'s archive of several arrays.
    Npz,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Ply, Self::PlyGz, Self::Las, Self::Laz, Self::Csv, Self::CsvGz, Self::Npy, Self::Npz];

    /// What names of such files end in, without the point before it.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Ply => "ply",
            Self::PlyGz => "ply.gz",
            Self::Las => "las",
            Self::Laz => "laz",
            Self::Csv => "csv",
            Self::CsvGz => "csv.gz",
            Self::Npy => "npy",
            Self::Npz => "npz",
        }
    }

    /// By the end of a name, in capitals or not.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| name.ends_with(&format!(".{}", format.ending())))
    }

    /// Whether the classes have to stand beside a file for its labels to be understood, as [`crate::scan::las_codes`] has them;
    /// the others say it themselves.
    pub fn needs_class_table(self) -> bool {
        matches!(self, Self::Las | Self::Laz | Self::Npy | Self::Npz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_a_format_by_all_of_their_end() {
        let of = |name: &str| OutputFormat::of_name(Path::new(name));
        for format in OutputFormat::ALL {
            assert_eq!(of(&format!("a.b.{}", format.ending())), Some(format));
        }
        assert_eq!(
            [of("A.PLY.gz"), of("a.las.gz"), of("ply"), of("a.ply/b")],
            [Some(OutputFormat::PlyGz), None, None, None]
        );
    }
}
