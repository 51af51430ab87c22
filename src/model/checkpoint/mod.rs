//! PyTorch checkpoints (`.pth`, `.pt`, `.ckpt`), read as files of tensors.
//!
//! A checkpoint is a Python pickle, which could run anything; here it is only read (`pickle`), and what it describes is
//! compared with the file before anything is made of it. `archive` and `legacy` are the two layouts of files, `names`
//! finds the model among what a checkpoint holds, and `config_from_shapes` says which network its weights are of.

mod archive;
pub(super) mod config_from_shapes;
mod construct;
mod fault;
mod globals;
#[cfg(test)]
mod hostile_tests;
mod legacy;
mod names;
mod pickle;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod value;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Map, Value as Json};

use super::tensor_file::Source;
use crate::{Error, Result};
use fault::{Fault, shown};
use names::Taken;
use value::{Object, Pickle};
pub(super) use view::gather;

/// What a file says of itself by being a checkpoint, besides its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What kind of checkpoint it is, in words: `a trainer's checkpoint`.
    pub kind: &'static str,
    /// What is in the checkpoint and not in the model: names of tensors, and the trainer's other entries.
    pub left_out: Vec<String>,
    /// The configuration in the checkpoint, if there is one: the backbone's fields, or those of a whole model.
    pub settings: Option<Map<String, Json>>,
}

/// A tensor at its place in the file.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: safetensors::Dtype,
    /// Byte of the file where its first element starts.
    pub(super) offset: u64,
    /// Bytes from its first element to its last.
    pub(super) bytes: usize,
    /// Elements from one index of a dimension to the next, if they do not lie one behind the other.
    pub(super) strides: Option<Vec<usize>>,
}

/// Bytes of the file.
#[derive(Debug, Clone, Copy)]
struct Region {
    offset: u64,
    length: u64,
}

/// Whether a file that starts with these bytes is a checkpoint, or at least a zip archive or a pickle. 32 bytes are enough.
pub fn starts_like_a_checkpoint(bytes: &[u8]) -> bool {
    bytes.starts_with(&archive::MAGIC) || legacy::starts(bytes)
}

/// Reads the checkpoint in a source of `length` bytes; `path` is for messages.
pub(super) fn read(path: &Path, source: &Source, length: u64) -> Result<(Checkpoint, BTreeMap<String, Placed>), Error> {
    let is_archive = source.read(0, length.min(4) as usize).is_ok_and(|start| start == archive::MAGIC);
    let content = if is_archive { from_archive(source, length) } else { from_legacy(source, length) };
    content.map_err(|fault| fault.in_file(path))
}

type Content = (Checkpoint, BTreeMap<String, Placed>);

fn from_archive(source: &Source, length: u64) -> Result<Content, Fault> {
    let archive = archive::Archive::open(source, length)?;
    let bytes = archive.pickle()?;
    let pickle = pickle::read(&bytes)?;
    placed(&pickle, |key| archive.storage(key))
}

fn from_legacy(source: &Source, length: u64) -> Result<Content, Fault> {
    legacy::read_pickles(source, length, |bytes| {
        let (object, keys, start) = legacy::object(bytes)?;
        let regions = legacy::regions(source, length, &object, &keys, start)?;
        placed(&object, |key| {
            regions.get(key).copied().ok_or_else(|| Fault::damaged(format!("has no storage {}", shown(key))))
        })
    })
}

/// The model's tensors at their places, which `storage` knows by key.
fn placed(pickle: &Pickle<'_>, storage: impl Fn(&str) -> Result<Region, Fault>) -> Result<Content, Fault> {
    let Taken { kind, tensors, left_out, settings } = names::take(pickle)?;
    let mut regions = HashMap::new();
    let mut placed = BTreeMap::new();
    for (name, view) in tensors {
        let Some(Object::Storage(found)) = pickle.objects.get(view.storage as usize) else {
            return Err(Fault::damaged(format!("{} has no storage", shown(&name))));
        };
        let key = pickle.text(found.key).unwrap_or_default();
        let Region { offset, length } = match regions.get(key) {
            Some(region) => *region,
            None => *regions.entry(key).or_insert(storage(key)?),
        };
        let size = element_bytes(view.dtype);
        let needed = found.elements.checked_mul(size);
        if needed.is_none_or(|needed| needed > length) {
            let problem =
                format!("{} lies in a storage of {} elements, which has {length} bytes", shown(&name), found.elements);
            return Err(Fault::damaged(problem));
        }
        // Within the storage, so neither overflows.
        let (offset, bytes) = (offset + view.offset * size, view.span * size);
        let bytes =
            usize::try_from(bytes).map_err(|_| Fault::damaged(format!("{} has {bytes} bytes", shown(&name))))?;
        let (shape, strides) = (view.shape.clone(), view.strides.clone());
        placed.insert(name, Placed { shape, dtype: view.dtype, offset, bytes, strides });
    }
    Ok((Checkpoint { kind, left_out, settings }, placed))
}

/// Bytes of an element.
pub(super) fn element_bytes(dtype: safetensors::Dtype) -> u64 {
    dtype.bitsize() as u64 / 8
}
