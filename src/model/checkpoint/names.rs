//! Which tensors of a checkpoint are the model's, and what they are called there.
//!
//! Checkpoints in the wild: a state dict; the reference's trainer (`state_dict` beside `optimizer` and others; names start
//! with `module.` after training on several GPUs); Sonata's pretraining, where a student and its teacher lie side by side;
//! and Sonata as published, a backbone alone whose names have no `backbone.` and whose `config` stands beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::fault::{Fault, shown};
use super::value::{Object, Pickle, Value};
use super::view::View;
use crate::model::weights::is_parameter;

const STUDENT: &str = "student.backbone.";

/// What a checkpoint has for a model.
pub(super) struct Taken<'a> {
    /// What kind of checkpoint it is, for messages.
    pub(super) kind: &'static str,
    /// The model's tensors by their names in a model file.
    pub(super) tensors: BTreeMap<String, &'a View>,
    /// Everything else: names in the checkpoint, without those of wrappers.
    pub(super) left_out: Vec<String>,
    /// The configuration in the checkpoint.
    pub(super) settings: Option<Map<String, Json>>,
}

/// Finds the model in a checkpoint.
pub(super) fn take<'a>(pickle: &'a Pickle<'_>) -> Result<Taken<'a>, Fault> {
    const ADVICE: &str = "Give a state dict, or a dictionary with one under `state_dict`";
    let root = pickle.dict(pickle.root).ok_or_else(|| Fault::refused("holds no dictionary", ADVICE))?;
    // Of two entries of one key the later counts.
    let named = |entries: &[(Value, Value)]| -> BTreeMap<&'a str, Value> {
        entries.iter().filter_map(|&(key, value)| Some((pickle.text(key)?, value))).collect()
    };
    let keys = named(root);
    let inner = keys.get("state_dict").copied().filter(|&value| pickle.dict(value).is_some());
    let mut left_out = Vec::new();
    let mut found: BTreeMap<&str, &View> = BTreeMap::new();
    for (name, value) in named(inner.and_then(|value| pickle.dict(value)).unwrap_or(root)) {
        match pickle.object(value) {
            Some(Object::Tensor(view)) => {
                if found.insert(unwrapped(name), view).is_some() {
                    let problem = format!("holds {} twice, with and without `module.`", shown(unwrapped(name)));
                    return Err(Fault::refused(problem, "Give a checkpoint of one model"));
                }
            }
            _ => left_out.push(name.to_owned()),
        }
    }
    if found.is_empty() {
        let keys: Vec<String> = keys.keys().take(20).map(|key| shown(key)).collect();
        let listed = if keys.is_empty() { String::new() } else { format!("; its keys are {}", keys.join(", ")) };
        return Err(Fault::refused(format!("holds no tensors by name{listed}"), ADVICE));
    }
    if inner.is_some() {
        left_out.extend(keys.keys().filter(|key| !["state_dict", "config"].contains(key)).map(|&key| key.to_owned()));
    }
    let is_sonata = found.keys().any(|name| name.starts_with(STUDENT));
    let is_bare = !is_sonata && !found.keys().any(|name| name.starts_with("backbone."));
    let kind = match (is_sonata, is_bare, inner.is_some()) {
        (true, ..) => "Sonata's pretraining, of which it is the student",
        (_, true, _) => "a backbone alone",
        (.., true) => "a trainer's checkpoint",
        _ => "a state dict",
    };
    let mut tensors = BTreeMap::new();
    for (name, view) in found {
        let renamed = match name.strip_prefix(STUDENT) {
            Some(rest) => format!("backbone.{rest}"),
            None if is_bare && ["embedding.", "enc.", "dec."].iter().any(|part| name.starts_with(part)) => {
                format!("backbone.{name}")
            }
            None => name.to_owned(),
        };
        // Beside a student, what has the names of a model is another one.
        if is_parameter(&renamed) && !(is_sonata && renamed == name) {
            tensors.insert(renamed, view);
        } else {
            left_out.push(name.to_owned());
        }
    }
    let settings = inner.and(keys.get("config")).and_then(|&config| pickle.json(config));
    Ok(Taken { kind, tensors, left_out, settings })
}

/// A name without those of the modules that a model is wrapped into for several GPUs or for compilation.
fn unwrapped(name: &str) -> &str {
    let mut name = name;
    while let Some(inner) = name.strip_prefix("module.").or_else(|| name.strip_prefix("_orig_mod.")) {
        name = inner;
    }
    name
}
