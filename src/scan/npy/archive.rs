//! `.npz` files, as `numpy.savez` and `numpy.savez_compressed` write them: a zip archive with a `.npy` of every array.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use super::array::Array;
use super::named::{self, ADVICE, COORD, Named};
use super::table;
use crate::scan::PointCloud;
use crate::scan::description::Contents;
use crate::scan::expansion;
use crate::scan::kept::Kept;
use crate::scan::source::Source;
use crate::{Error, Result};

/// The end of an entry's name that makes it an array.
const ENDING: &str = ".npy";
/// Where the length of the first entry's name stands, and where the name begins.
const NAME_LENGTH: usize = 26;
const NAME: usize = 30;
/// An archive of arrays has few.
const MOST_ENTRIES: usize = 4096;

/// Whether a file starts like a zip archive whose first entry is an array.
pub(crate) fn is_npz(start: &[u8]) -> bool {
    let name = || {
        let length = start.get(NAME_LENGTH..)?.first_chunk::<2>()?;
        start.get(NAME..NAME + usize::from(u16::from_le_bytes(*length)))
    };
    start.starts_with(b"PK\x03\x04") && name().is_some_and(|name| name.ends_with(ENDING.as_bytes()))
}

/// Reads a file; `path` names it in errors. An archive of one array has a row per point in it, whatever it is called.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let archive = Archive::open(Source { path, bytes })?;
    let mut names = archive.entries.keys();
    if let (Some(name), None) = (names.next(), names.next())
        && name != COORD
        && let Some(bytes) = archive.bytes(name)?
    {
        let array = Array::parse(&bytes);
        let array = array.map_err(|(at, problem)| archive.refused(name, &format!("byte {at}"), &problem, ADVICE))?;
        return table::of_array(&archive.source, &array);
    }
    let (cloud, contents) = named::read(&archive)?;
    Ok((cloud, contents, Vec::new()))
}

struct Archive<'a> {
    source: Source<'a>,
    zip: ZipSliceArchive<&'a [u8]>,
    /// By name, without the ending.
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    /// The byte of the file at which it begins.
    at: u64,
}

impl<'a> Archive<'a> {
    fn open(source: Source<'a>) -> Result<Self> {
        let zip = ZipArchive::from_slice(source.bytes).map_err(|error| broken(&source, "end of file", &error))?;
        let mut entries = BTreeMap::new();
        let mut listed = zip.entries();
        while let Some(entry) = listed.next_entry().map_err(|error| broken(&source, "end of file", &error))? {
            let path = entry.file_path();
            let name = std::str::from_utf8(path.as_bytes()).ok().and_then(|name| name.strip_suffix(ENDING));
            let Some(name) = name else { continue };
            if entries.len() == MOST_ENTRIES {
                let problem = format!("the archive has more than {MOST_ENTRIES} arrays, as no scan does");
                return Err(source.error(
                    "end of file",
                    &problem,
                    "Give an archive with coord, color, normal, segment",
                ));
            }
            let found =
                Entry { place: entry.wayfinder(), method: entry.compression_method(), at: entry.local_header_offset() };
            entries.insert(name.to_owned(), found);
        }
        Ok(Self { source, zip, entries })
    }

    fn unpacked(&self, Entry { place, method, at }: &Entry) -> Result<Vec<u8>> {
        let at = format!("byte {at}");
        let entry = self.zip.get_entry(*place).map_err(|error| broken(&self.source, &at, &error))?;
        let limit = expansion::limit(self.source.bytes.len());
        let mut content = Vec::new();
        let read = match *method {
            CompressionMethod::STORE => entry.verifying_reader(entry.data()).read_to_end(&mut content),
            CompressionMethod::DEFLATE => {
                let inflated = flate2::bufread::DeflateDecoder::new(entry.data());
                // One more than allowed tells that there would be more.
                entry.verifying_reader(inflated.take(limit as u64 + 1)).read_to_end(&mut content)
            }
            _ => {
                let problem = "the array is packed in a way that NumPy does not use";
                return Err(self.source.error(&at, problem, "Write it with numpy.savez_compressed"));
            }
        };
        if content.len() > limit {
            let problem = format!("the archive's {} bytes hold more than {limit}", self.source.bytes.len());
            return Err(self.source.error(&at, &problem, "If the file is to be trusted, write it with numpy.savez"));
        }
        read.map_err(|error| broken(&self.source, &at, &error))?;
        Ok(content)
    }
}

impl Named for Archive<'_> {
    fn format(&self) -> &'static str {
        "npz"
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.entries.get(name).map(|entry| self.unpacked(entry)).transpose()
    }

    fn refused(&self, name: &str, at: &str, problem: &str, advice: &str) -> Error {
        self.source.error(&format!("array {name}, {at}"), problem, advice)
    }
}

fn broken(source: &Source, at: &str, error: &dyn std::fmt::Display) -> Error {
    source.error(at, &format!("the archive is damaged or was cut short: {error}"), "Copy it again")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::scan::npy::array::tests::file;
    use crate::scan::read_bytes;

    fn floats(columns: usize, values: &[f32]) -> Vec<u8> {
        let numbers: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file("<f4", false, &format!("({}, {columns})", values.len() / columns), &numbers)
    }

    /// An archive of these entries, packed or as they are.
    fn archive(entries: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
        let mut out = Vec::new();
        let mut zip = rawzip::ZipArchiveWriter::new(&mut out);
        for (name, content) in entries {
            let (mut entry, config) = zip.new_file(name).compression_method(method).start().unwrap();
            let descriptor = if method == CompressionMethod::STORE {
                let mut writer = config.wrap(&mut entry);
                writer.write_all(content).unwrap();
                writer.finish().unwrap().1
            } else {
                let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
                writer.write_all(content).unwrap();
                let (encoder, descriptor) = writer.finish().unwrap();
                encoder.finish().unwrap();
                descriptor
            };
            entry.finish(descriptor).unwrap();
        }
        zip.finish().unwrap();
        out
    }

    fn scene() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("coord.npy", floats(3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("color.npy", file("|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 6])),
            ("normal.npy", floats(3, &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0])),
            ("segment.npy", file("<i2", false, "(2,)", &[7, 0, 0xff, 0xff])),
            ("name.txt", b"not looked at".to_vec()),
        ]
    }

    #[test]
    fn named_arrays_are_read_packed_or_not() {
        for method in [CompressionMethod::STORE, CompressionMethod::DEFLATE] {
            let scan = read_bytes(Path::new("-"), archive(&scene(), method)).unwrap();
            assert_eq!(scan.cloud.positions, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
            assert_eq!(scan.cloud.colors, Some(vec![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
            assert_eq!(scan.cloud.normals, Some(vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
            assert_eq!(scan.cloud.labels, Some(vec![7, -1]));
            let found = scan.describe();
            assert_eq!((found.format.as_str(), found.points), ("npz", 2));
            assert_eq!(found.properties, ["coord:f4[3]", "color:u1[3]", "normal:f4[3]", "segment:i2"]);
        }
    }

    #[test]
    fn a_single_array_has_the_points_whatever_its_name() {
        let bytes = archive(&[("arr_0.npy", floats(3, &[1.0, 2.0, 3.0]))], CompressionMethod::DEFLATE);
        let scan = read_bytes(Path::new("a.npz"), bytes).unwrap();
        assert_eq!(
            (&scan.cloud.positions[..], scan.describe().format.as_str()),
            (&[[1.0, 2.0, 3.0]][..], "npy <f4: coordinates")
        );
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_named() {
        let refused = |entries: &[(&str, Vec<u8>)]| {
            let bytes = archive(entries, CompressionMethod::DEFLATE);
            read_bytes(Path::new("a.npz"), bytes).map(|scan| scan.cloud).unwrap_err().to_string()
        };
        let mut entries = scene();
        entries[1].1 = file("|u1", false, "(3, 3)", &[0; 9]);
        assert!(
            refused(&entries).starts_with("a.npz: array color, shape: the array has 3 rows of 3"),
            "{}",
            refused(&entries)
        );
        assert!(
            refused(&scene()[1..]).contains("array coord, coord: there is no such array"),
            "{}",
            refused(&scene()[1..])
        );
        entries[1].1 = b"PK".to_vec();
        assert!(refused(&entries).contains("array color, byte 0: this is no .npy file"), "{}", refused(&entries));
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = file("|u1", false, "(8388608, 3)", &vec![0; 8_388_608 * 3]);
        let bomb = archive(&[("coord.npy", zeros)], CompressionMethod::DEFLATE);
        assert!(bomb.len() < 40_000);
        let error = read_bytes(Path::new("a.npz"), bomb).map(|scan| scan.cloud).unwrap_err().to_string();
        assert!(error.contains("hold more than"), "{error}");
    }

    proptest! {
        #[test]
        fn no_damage_brings_the_reader_down(at: usize, byte: u8, cut in 0usize..64) {
            let mut file = archive(&scene(), CompressionMethod::DEFLATE);
            let index = at % file.len();
            file[index] = byte;
            file.truncate(file.len() - cut.saturating_sub(32));
            let _ = read_bytes(Path::new("a.npz"), file);
        }
    }
}
