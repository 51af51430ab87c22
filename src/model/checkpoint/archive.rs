//! Checkpoints of PyTorch 1.6 and later: a zip archive with a pickle, `NAME/data.pkl`, and one entry for every storage,
//! `NAME/data/KEY`. PyTorch stores them as they are, so a tensor is read where it lies.

use std::collections::HashMap;
use std::io;

use rawzip::{CompressionMethod, ReaderAt, ZipArchiveEntryWayfinder, ZipLocator};

use super::fault::{Fault, STATE_DICT_ALONE, shown};
use super::{Region, Source};

/// What a zip file starts with.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// A pickle describes tensors; that of the base model's training has less than one.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
/// How far from its end a file is searched for the directory: a comment has up to 64 kB.
const SEARCHED_BYTES: u64 = 1 << 17;
const BUFFER_BYTES: usize = 1 << 18;
/// The checkpoint of a large model's training has some thousand.
const MAX_ENTRIES: usize = 1 << 18;

/// The entries of a checkpoint.
pub(super) struct Archive<'a> {
    zip: rawzip::ZipArchive<Whole<'a>>,
    /// By name, without the first folder.
    entries: HashMap<String, Entry>,
}

struct Entry {
    place: ZipArchiveEntryWayfinder,
    is_stored: bool,
}

impl<'a> Archive<'a> {
    /// Reads the directory of an archive of `length` bytes.
    pub(super) fn open(source: &'a Source, length: u64) -> Result<Self, Fault> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let zip = ZipLocator::new()
            .max_search_space(SEARCHED_BYTES)
            .locate_in_reader(Whole { source, length }, &mut buffer, length)
            .map_err(|(_, error)| broken(&error))?;
        let mut listed = Vec::new();
        let mut names = zip.entries(&mut buffer);
        while let Some(entry) = names.next_entry().map_err(|error| broken(&error))? {
            if listed.len() == MAX_ENTRIES {
                return Err(Fault::refused(format!("has more than {MAX_ENTRIES} entries"), STATE_DICT_ALONE));
            }
            let path = entry.file_path();
            let Ok(name) = std::str::from_utf8(path.as_bytes()) else { continue };
            let is_stored = entry.compression_method() == CompressionMethod::STORE && !entry.flags().is_encrypted();
            listed.push((name.to_owned(), Entry { place: entry.wayfinder(), is_stored }));
        }
        let before = |name: &str| {
            let folder = name.strip_suffix("data.pkl")?;
            (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
        };
        let Some(folder) = listed.iter().find_map(|(name, _)| before(name)) else {
            return Err(Fault::refused(
                "is a zip archive without the `data.pkl` of a PyTorch checkpoint",
                "Give a .safetensors model, or what `torch.save` wrote",
            ));
        };
        let inside = |(name, entry): (String, Entry)| Some((name.strip_prefix(&folder)?.to_owned(), entry));
        let entries: HashMap<String, Entry> = listed.into_iter().filter_map(inside).collect();
        if entries.contains_key("constants.pkl") {
            return Err(Fault::refused("is a TorchScript archive, a program with its weights", STATE_DICT_ALONE));
        }
        Ok(Self { zip, entries })
    }

    /// The pickle.
    pub(super) fn pickle(&self) -> Result<Vec<u8>, Fault> {
        if let Some(Region { offset, length: 3 }) = self.find("byteorder")?
            && self.zip.get_ref().source.read(offset, 3)? == *b"big"
        {
            return Err(Fault::refused(
                "was written by a big-endian machine",
                "Load and save it on a machine of today, which is little-endian",
            ));
        }
        let missing = || Fault::damaged("has no data.pkl");
        let Region { offset, length } = self.find("data.pkl")?.ok_or_else(missing)?;
        if length > MAX_PICKLE_BYTES {
            return Err(Fault::refused(
                format!("has a pickle of {length} bytes, at most {MAX_PICKLE_BYTES} are read"),
                STATE_DICT_ALONE,
            ));
        }
        Ok(self.zip.get_ref().source.read(offset, length as usize)?)
    }

    /// Where the elements of a storage lie.
    pub(super) fn storage(&self, key: &str) -> Result<Region, Fault> {
        self.find(&format!("data/{key}"))?.ok_or_else(|| Fault::damaged(format!("has no entry data/{}", shown(key))))
    }

    fn find(&self, name: &str) -> Result<Option<Region>, Fault> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        if !entry.is_stored {
            return Err(Fault::refused(
                format!("its entry {} is compressed or encrypted", shown(name)),
                "Unpack the archive and pack it without compression (`zip -0 -r`), or save it again with `torch.save`",
            ));
        }
        let (start, end) = self.zip.get_entry(entry.place).map_err(|error| broken(&error))?.compressed_data_range();
        let length = end.checked_sub(start).filter(|_| end <= self.zip.get_ref().length);
        let passes = || Fault::damaged(format!("its entry {} passes the end of the file", shown(name)));
        Ok(Some(Region { offset: start, length: length.ok_or_else(passes)? }))
    }
}

fn broken(error: &rawzip::Error) -> Fault {
    Fault::damaged(format!("is a damaged zip archive: {error}"))
}

/// The source as the zip reader sees it.
struct Whole<'a> {
    source: &'a Source,
    length: u64,
}

impl ReaderAt for Whole<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.length.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = self.source.read(offset, length)?;
        buffer[..length].copy_from_slice(&bytes);
        Ok(length)
    }
}
