//! What a pickle says, as data.
//!
//! Objects lie in one list and refer to each other by number, so that neither a deep nest nor a circle is a danger, not
//! even when they are given up.

use std::str;

use serde_json::{Map, Value as Json};

use super::globals::Global;
use super::view::View;

/// A value; copying it copies no object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// The number that starts a file of before PyTorch 1.6.
    LegacyMagic,
    /// A float.
    Float(f64),
    /// Text: a range of the pickle's bytes.
    Text {
        /// Its first byte.
        start: u32,
        /// Its bytes.
        length: u32,
    },
    /// A name on the list.
    Global(Global),
    /// Something of no interest.
    Inert,
    /// An object, by its number.
    Object(u32),
}

/// An object.
#[derive(Debug)]
pub(super) enum Object {
    /// A tuple.
    Tuple(Box<[Value]>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary, in the order of its making; of two entries of one key the later counts.
    Dict(Vec<(Value, Value)>),
    /// Elements in the file.
    Storage(Storage),
    /// A tensor over a storage.
    Tensor(Box<View>),
}

/// Elements in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// Name of its place in the file, a text.
    pub(super) key: Value,
    /// Type of its elements.
    pub(super) dtype: safetensors::Dtype,
    /// How many.
    pub(super) elements: u64,
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) objects: Vec<Object>,
    /// What it says.
    pub(super) root: Value,
    /// Its length in bytes.
    pub(super) end: usize,
}

impl Pickle<'_> {
    /// The object of a value.
    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(number) => self.objects.get(number as usize),
            _ => None,
        }
    }

    /// A text.
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        text(self.bytes, value)
    }

    /// The entries of a dictionary.
    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value) {
            Some(Object::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    /// The entry of a dictionary under a text.
    pub(super) fn get(&self, dict: Value, key: &str) -> Option<Value> {
        let entries = self.dict(dict)?;
        entries.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// A dictionary of plain data as JSON, as far as JSON has what is in it; of a nest that is deeper or larger than any
    /// configuration, the rest is left out.
    pub(super) fn json(&self, dict: Value) -> Option<Map<String, Json>> {
        const DEPTH: u32 = 16;
        let mut left = 10_000;
        match self.json_value(dict, DEPTH, &mut left) {
            Some(Json::Object(fields)) => Some(fields),
            _ => None,
        }
    }

    fn json_value(&self, value: Value, depth: u32, left: &mut u32) -> Option<Json> {
        *left = left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        Some(match value {
            Value::None => Json::Null,
            Value::Bool(flag) => flag.into(),
            Value::Int(number) => number.into(),
            Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
            Value::Text { .. } => self.text(value)?.into(),
            Value::Global(_) | Value::Inert | Value::LegacyMagic => return None,
            Value::Object(_) => match self.object(value)? {
                Object::Tuple(items) => Json::Array(self.json_items(items, depth, left)?),
                Object::List(items) => Json::Array(self.json_items(items, depth, left)?),
                Object::Dict(entries) => {
                    let mut fields = Map::new();
                    for &(key, value) in entries {
                        if let (Some(key), Some(value)) = (self.text(key), self.json_value(value, depth, left)) {
                            fields.insert(key.to_owned(), value);
                        }
                    }
                    Json::Object(fields)
                }
                Object::Storage(_) | Object::Tensor(_) => return None,
            },
        })
    }

    /// A list is of use only as a whole.
    fn json_items(&self, items: &[Value], depth: u32, left: &mut u32) -> Option<Vec<Json>> {
        items.iter().map(|&item| self.json_value(item, depth, left)).collect()
    }
}

/// A text among the bytes of a pickle.
pub(super) fn text(bytes: &[u8], value: Value) -> Option<&str> {
    let Value::Text { start, length } = value else { return None };
    let start = start as usize;
    str::from_utf8(bytes.get(start..start.checked_add(length as usize)?)?).ok()
}
