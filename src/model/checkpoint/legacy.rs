//! Checkpoints of before PyTorch 1.6: pickles of a magic number, the version, the machine, the object and the keys of its
//! storages, and then, for every key, the number of elements (i64) and the elements.

use std::collections::{HashMap, HashSet};

use super::fault::{Fault, STATE_DICT_ALONE, shown};
use super::pickle::{self, LEGACY_MAGIC_TEXT};
use super::value::{Object, Pickle, Value};
use super::{Region, Source};
use crate::model::tensor_file::number;

/// Version of the layout.
const VERSION: i64 = 1001;
/// How much of a file is searched for its pickles, at first and at last.
const WINDOWS: [u64; 2] = [1 << 20, 64 << 20];

/// Whether a file that starts with these bytes may be of this layout.
pub(super) fn starts(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 0..=5, ..]) || bytes.starts_with(&LEGACY_MAGIC_TEXT[..4])
}

/// Reads the start of a file of `length` bytes, as much as its pickles need.
pub(super) fn read_pickles<T>(
    source: &Source,
    length: u64,
    mut parse: impl FnMut(&[u8]) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut result = Err(Fault::Ended { at: 0 });
    for window in WINDOWS {
        let bytes = source.read(0, window.min(length) as usize)?;
        result = parse(&bytes);
        if window >= length || !matches!(result, Err(Fault::Ended { .. })) {
            break;
        }
    }
    result
}

/// The object in a file that starts with `bytes`, its place, and the keys of its storages in their order with the place
/// behind them.
pub(super) fn object(bytes: &[u8]) -> Result<(Pickle<'_>, Vec<String>, u64), Fault> {
    let Ok(Pickle { root: Value::LegacyMagic, end: mut at, .. }) = pickle::read(bytes) else {
        return Err(Fault::refused(
            "is a pickle, but none that `torch.save` wrote",
            "Give a .safetensors model, or what `torch.save` wrote",
        ));
    };
    let version = pickle::read(&bytes[at..])?;
    if !matches!(version.root, Value::Int(VERSION)) {
        return Err(Fault::refused(
            "is a checkpoint of an unknown version of PyTorch's old layout",
            "Load and save it with a newer PyTorch",
        ));
    }
    at += version.end;
    let machine = pickle::read(&bytes[at..])?;
    if matches!(machine.get(machine.root, "little_endian"), Some(Value::Bool(false))) {
        return Err(Fault::refused(
            "was written by a big-endian machine",
            "Load and save it on a machine of today, which is little-endian",
        ));
    }
    at += machine.end;
    let object = pickle::read(&bytes[at..])?;
    at += object.end;
    let keys = pickle::read(&bytes[at..])?;
    let Some(Object::List(list)) = keys.object(keys.root) else {
        return Err(Fault::damaged("has no list of its storages"));
    };
    // Different texts of the file are no more than the file; one text could be listed a million times.
    let mut listed = HashSet::new();
    let mut names = Vec::new();
    for &key in list {
        let key = keys.text(key).ok_or_else(|| Fault::damaged("a storage has no key"))?;
        if !listed.insert(key) {
            return Err(Fault::damaged(format!("lists storage {} twice", shown(key))));
        }
        names.push(key.to_owned());
    }
    Ok((object, names, (at + keys.end) as u64))
}

/// Where the elements of every storage lie, by key.
pub(super) fn regions(
    source: &Source,
    length: u64,
    object: &Pickle<'_>,
    keys: &[String],
    start: u64,
) -> Result<HashMap<String, Region>, Fault> {
    let storages = object.objects.iter().filter_map(|object| match object {
        Object::Storage(storage) => Some(storage),
        _ => None,
    });
    let known: HashMap<&str, _> = storages.filter_map(|storage| Some((object.text(storage.key)?, storage))).collect();
    let mut regions = HashMap::new();
    let mut at = start;
    for key in keys {
        let Some(storage) = known.get(key.as_str()) else {
            return Err(Fault::refused(
                format!("storage {} is never used, so its size is not known", shown(key)),
                STATE_DICT_ALONE,
            ));
        };
        let truncated = || Fault::damaged(format!("ends in the middle of storage {}, at byte {length}", shown(key)));
        let offset = at.checked_add(8).filter(|&offset| offset <= length).ok_or_else(truncated)?;
        let count = number(&source.read(at, 8)?);
        if count != storage.elements {
            let problem = format!("storage {} has {count} elements, its description {}", shown(key), storage.elements);
            return Err(Fault::damaged(problem));
        }
        let bytes = count.checked_mul(super::element_bytes(storage.dtype));
        let end = bytes.and_then(|bytes| offset.checked_add(bytes)).filter(|&end| end <= length);
        let end = end.ok_or_else(truncated)?;
        regions.insert(key.clone(), Region { offset, length: end - offset });
        at = end;
    }
    Ok(regions)
}
