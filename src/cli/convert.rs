//! `pointtpa convert`: a PyTorch checkpoint to a model file.

pub(crate) mod arguments;

use std::path::Path;

use pointtpa::model::config::Config;
use pointtpa::model::parameters::{Parameter, Role};
use pointtpa::model::tensor_file::{Dtype, TensorFile};
use pointtpa::model::weights::{Feature, ModelFile, ModelInfo};
use pointtpa::model::write::write_parameters_to;
use pointtpa::{Error, LabelSet};
use serde_json::json;

use self::arguments::Convert;
use super::arguments::Global;
use super::exit::{Failure, Outcome};
use super::init::dtype;
use super::{interrupt, output, results, screen, table::table};

/// Names that are told of a long list; `--json` has them all.
const TOLD: usize = 8;

pub(crate) fn run(global: &Global, command: &Convert) -> Outcome {
    output::check_writable(&command.output)?;
    let file = open(command)?;
    let missing = file.check_against(file.config(), true)?.names;
    // As in a training: what nobody has learned starts at random, but not the backbone below it.
    let lost: Vec<String> = missing.iter().filter(|name| Role::of(name) == Role::Backbone).cloned().collect();
    if !lost.is_empty() {
        let path = file.path().to_owned();
        return Err(Error::Weights { path, missing: lost, unexpected: Vec::new(), wrong_shape: Vec::new() }.into());
    }
    let (config, info) = described(command, &file)?;
    let dtype = command.dtype.map_or_else(|| stored(&file), dtype);
    let taken: Vec<Parameter> =
        config.parameters().into_iter().filter(|parameter| !missing.contains(&parameter.name)).collect();
    let values = taken.iter().map(Parameter::elements).sum();

    let bar = screen::bar(values, "parameters");
    bar.set_message("convert");
    output::write_whole(&command.output, |mut out| {
        write_parameters_to(&mut out, &config, &info, dtype, &taken, |parameter| {
            interrupt::check()?;
            bar.inc(parameter.elements());
            file.read(&parameter.name)
        })
    })?;
    bar.finish_and_clear();

    let checkpoint = file.tensors().checkpoint();
    let kind = checkpoint.map_or("a model file", |checkpoint| checkpoint.kind);
    let left_out = checkpoint.map(|checkpoint| checkpoint.left_out.as_slice()).unwrap_or_default();
    let output = command.output.display().to_string();
    let names: Vec<&str> = taken.iter().map(|parameter| parameter.name.as_str()).collect();
    let mut rows = vec![
        ("from", format!("{}, {kind}", command.input.display())),
        ("model", format!("{}, {} stages", config.backbone.kind, config.backbone.stages())),
        ("adapter", config.adapter().name().to_owned()),
        ("taken", format!("{} tensors, {values} parameters, as {}", taken.len(), dtype.name().to_lowercase())),
        ("left out", told(left_out)),
        ("missing", told(&missing)),
        ("classes", format!("{} ({})", info.labels.len(), info.labels.name)),
    ];
    rows.extend(info.note.iter().map(|note| ("note", note.clone())));
    if !missing.is_empty() {
        let advice =
            format!("what is missing must be trained: pointtpa train --model {output} --data DIR --classes SET");
        rows.push(("warning", advice));
    }
    let cells: Vec<Vec<String>> =
        rows.into_iter().map(|(name, text)| vec![String::new(), name.to_owned(), text]).collect();
    let text = format!("{output}\n{}", table(&cells, &[]));
    let value = json!({
        "file": output,
        "kind": kind,
        "adapter": config.adapter().name(),
        "parameters": values,
        "dtype": dtype.name().to_lowercase(),
        "taken": names,
        "left_out": left_out,
        "missing": missing,
        "classes": info.labels.len(),
        "label_set": info.labels.name,
        "note": info.note,
    });
    results::print_of(&command.output, global.json, &text, &value)
}

fn open(command: &Convert) -> Outcome<ModelFile> {
    let config = command.config.as_deref().map(read_config).transpose()?;
    let tensors = TensorFile::open(&command.input)?;
    if tensors.checkpoint().is_some() {
        return Ok(ModelFile::from_checkpoint(tensors, config)?);
    }
    if config.is_some() {
        return Err(Failure::usage(format!(
            "--config: {} is a model file, which has a configuration of its own. Leave the option out",
            command.input.display()
        )));
    }
    Ok(ModelFile::from_tensors(tensors)?)
}

fn read_config(path: &Path) -> Outcome<Config> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    Config::from_json(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Configuration and description of the model file. Without a head, the classes that are asked for make its width.
fn described(command: &Convert, file: &ModelFile) -> Outcome<(Config, ModelInfo)> {
    let (mut config, mut info) = (file.config().clone(), file.info().clone());
    if let Some(classes) = &command.classes {
        info.labels = LabelSet::find(classes)?;
        if file.tensors().shape("seg_head.weight").is_none() {
            config.num_classes = info.labels.len();
        }
        if info.labels.len() != config.num_classes {
            return Err(Failure::usage(format!(
                "--classes: {classes} has {} classes, the head in {} has {}. Name the classes it was trained on",
                info.labels.len(),
                command.input.display(),
                config.num_classes
            )));
        }
    }
    if let Some(features) = &command.features {
        info.features = Feature::list(features)?;
    }
    info.grid_size = command.grid.unwrap_or(info.grid_size);
    info.note = file.tensors().checkpoint().map(|_| noted(command, &info)).or(info.note);
    info.licence = command.licence.clone().or(info.licence);
    Ok((config, info))
}

/// The note of a checkpoint's model, with what nothing says of its inputs.
fn noted(command: &Convert, info: &ModelInfo) -> String {
    let features: Vec<&str> = info.features.iter().map(|feature| feature.name()).collect();
    let assumed = [
        (command.features.is_none() && !features.is_empty()).then(|| format!("features = {}", features.join(","))),
        command.grid.is_none().then(|| format!("grid_size = {} m", info.grid_size)),
    ];
    let assumed: Vec<String> = assumed.into_iter().flatten().collect();
    let note = info.note.clone().unwrap_or_default();
    if assumed.is_empty() { note } else { format!("{note} Assumed of its inputs: {}.", assumed.join("; ")) }
}

/// The type that all weights are read in; f32 if there are several.
fn stored(file: &ModelFile) -> Dtype {
    let mut dtypes = file.parameter_names().filter_map(|name| file.dtype(name));
    let first = dtypes.next().unwrap_or(Dtype::F32);
    if dtypes.all(|dtype| dtype == first) { first } else { Dtype::F32 }
}

/// How many, and the first of them.
fn told(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => {
            // They come from a file: a terminal must not obey them.
            let first: Vec<String> = names.iter().take(TOLD).map(|name| name.escape_debug().to_string()).collect();
            let more = names.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}: {}{more}", names.len(), first.join(", "))
        }
    }
}
