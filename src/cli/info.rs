//! `pointtpa info`: what a scan, a model file or an adapter file holds.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pointtpa::model::adapter_file::{AdapterFile, is_adapter_file};
use pointtpa::model::checkpoint::starts_like_a_checkpoint;
use pointtpa::model::parameters::{Role, count, count_role};
use pointtpa::model::tensor_file::TensorFile;
use pointtpa::model::weights::{ModelFile, ModelInfo};
use pointtpa::{Error, scan};
use serde_json::{Map, Value, json};

use super::arguments::{Global, Info};
use super::exit::{BAD_INPUT, Failure, Outcome};
use super::memory_size::spoken;
use super::{inputs, output, results, table::table};

/// How much of a file's beginning tells a model from a scan.
const STARTING_BYTES: u64 = 1024;

pub(crate) fn run(global: &Global, command: &Info) -> Outcome {
    let path = &command.file;
    let (text, value) = if output::is_stdout(path) { from_stdin()? } else { from_file(path)? };
    if global.json { results::print_json(&value) } else { results::print(&text) }
}

fn from_file(path: &Path) -> Outcome<(String, Value)> {
    let read = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut start = Vec::new();
    if path.is_dir() {
        // A folder of arrays is one scan.
        return if scan::is_scan(path)? { Ok(about_scan(&scan::read(path)?)) } else { Err(about_a_folder(path)) };
    }
    File::open(path).and_then(|file| file.take(STARTING_BYTES).read_to_end(&mut start)).map_err(read)?;
    // A damaged model file is still best described by the reader of model files.
    let ends_like_a_model = path
        .extension()
        .is_some_and(|end| ["safetensors", "pth", "pt", "ckpt"].iter().any(|name| end.eq_ignore_ascii_case(name)));
    if starts_like_a_model(&start) || ends_like_a_model {
        return about_tensors(TensorFile::open(path)?);
    }
    Ok(about_scan(&scan::read(path)?))
}

/// Folders are for `segment`; here they name a file to look at.
fn about_a_folder(path: &Path) -> Failure {
    let problem = format!("{} is a folder, and `info` looks at one file", path.display());
    let example = inputs::scans_in(path).ok().and_then(|scans| scans.into_iter().next());
    let example = example.map_or_else(String::new, |scan| format!(", for example {}", scan.display()));
    let message = format!("{problem}. Name a scan in it{example}");
    Failure { code: BAD_INPUT, message }
}

fn from_stdin() -> Outcome<(String, Value)> {
    let path = Path::new("-");
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    if starts_like_a_model(&bytes) {
        return about_tensors(TensorFile::from_bytes("-", bytes)?);
    }
    Ok(about_scan(&scan::read_bytes(path, bytes)?))
}

/// A safetensors file starts with the length of its header, eight bytes, and the header is a JSON object.
fn starts_like_a_model(bytes: &[u8]) -> bool {
    let is_safetensors = bytes.len() > 8 && bytes[8] == b'{' && bytes[4..8] == [0; 4];
    // An archive of NumPy's arrays is a zip archive, too.
    is_safetensors || (starts_like_a_checkpoint(bytes) && !scan::starts_like_a_scan(bytes))
}

fn about_scan(scan: &scan::Scan) -> (String, Value) {
    let description = scan.describe();
    let mut value = json!({"kind": "scan"});
    if let (Value::Object(value), Ok(Value::Object(fields))) = (&mut value, serde_json::to_value(&description)) {
        value.extend(fields);
        if let Some(classes) = scan.classes() {
            value.insert("classes".to_owned(), json!(classes.classes));
        }
    }
    (description.to_string(), value)
}

fn about_tensors(file: TensorFile) -> Outcome<(String, Value)> {
    if is_adapter_file(&file) {
        return Ok(about_adapter(&AdapterFile::from_tensors(file)?));
    }
    about_model(&ModelFile::from_tensors(file)?)
}

fn about_adapter(file: &AdapterFile) -> (String, Value) {
    let info = file.info();
    let total: u64 = file.parts().iter().map(|(_, values)| values).sum();
    let bytes: u64 = file.tensors().names().filter_map(|name| file.tensors().byte_length(name)).map(|b| b as u64).sum();
    let dtypes = dtypes(file.tensors(), file.tensors().names());
    let by_part: Map<String, Value> =
        file.parts().into_iter().map(|(part, values)| (part.name().to_owned(), json!(values))).collect();
    let mut value = json!({
        "kind": "adapter",
        "file": file.path().display().to_string(),
        "adapter": file.adapter_name(),
        "parameters": total,
        "parameters_by_part": by_part,
        "dtype": dtypes,
        "weight_bytes": bytes,
        "base": file.base(),
    });
    add_info(&mut value, info);
    let parts: Vec<String> =
        file.parts().into_iter().map(|(part, values)| format!("{values} of the {}", part.name())).collect();
    let names: Vec<&str> = info.labels.classes.iter().map(|class| class.name.as_str()).collect();
    let mut rows = vec![
        ("adapter", file.adapter_name().to_owned()),
        ("base", format!("{}, SHA-256 {}", file.base().name, file.base().fingerprint)),
        ("parameters", format!("{total}: {}", parts.join(", "))),
        ("weights", format!("{dtypes}, {}", spoken(bytes))),
        ("classes", format!("{} ({}): {}", names.len(), info.labels.name, names.join(", "))),
        ("grid", format!("{} m", info.grid_size)),
        ("licence", info.licence.clone().unwrap_or_else(|| "not said".to_owned())),
    ];
    for (name, text) in [("provenance", &info.provenance), ("note", &info.note)] {
        rows.extend(text.iter().map(|text| (name, text.clone())));
    }
    (titled(file.path(), rows), value)
}

/// What models and adapters say of themselves in the same way.
fn add_info(value: &mut Value, info: &ModelInfo) {
    let features: Vec<&str> = info.features.iter().map(|feature| feature.name()).collect();
    let fields = json!({
        "label_set": info.labels.name,
        "classes": info.labels.classes,
        "grid_size": info.grid_size,
        "features": features,
        "licence": info.licence,
        "provenance": info.provenance,
        "note": info.note,
        "other": info.other,
    });
    if let (Value::Object(value), Value::Object(fields)) = (value, fields) {
        value.extend(fields);
    }
}

/// The types that tensors are stored in, by name.
fn dtypes<'a>(file: &TensorFile, names: impl Iterator<Item = &'a str>) -> String {
    let dtypes: BTreeSet<String> =
        names.filter_map(|name| file.dtype(name)).map(|dtype| dtype.name().to_lowercase()).collect();
    dtypes.into_iter().collect::<Vec<_>>().join(" and ")
}

/// Rows of name and text under the name of a file.
fn titled(path: &Path, rows: Vec<(&str, String)>) -> String {
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, text)| vec![String::new(), name.to_owned(), text]).collect();
    format!("{}\n{}", path.display(), table(&rows, &[]))
}

fn about_model(file: &ModelFile) -> Outcome<(String, Value)> {
    let (config, info) = (file.config(), file.info());
    let total = count(config);
    let of = |role| count_role(config, role);
    let adapter = of(Role::Adapter);
    let dtypes = dtypes(file.tensors(), file.parameter_names());
    let bytes: u64 = file.parameter_names().filter_map(|name| file.tensors().byte_length(name)).map(|b| b as u64).sum();
    let fault = match file.check_against(config, false) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    let features: Vec<&str> = info.features.iter().map(|feature| feature.name()).collect();
    let full_config: Value = serde_json::from_str(&config.to_json()?).unwrap_or_default();
    let mut value = json!({
        "kind": "model",
        "file": file.path().display().to_string(),
        "backbone": config.backbone.kind,
        "stages": config.backbone.stages(),
        "decoder": config.backbone.decoder_stages() > 0,
        "adapter": config.adapter().name(),
        "parameters": total,
        "parameters_by_part": {
            "backbone": of(Role::Backbone), "adapter": adapter, "decoder": of(Role::Decoder), "head": of(Role::Head),
        },
        "adapter_share": share(adapter, total),
        "dtype": dtypes,
        "weight_bytes": bytes,
        "fault": fault,
        "config": full_config,
    });
    add_info(&mut value, info);

    let backbone = &config.backbone;
    let mut rows = vec![
        ("model", format!("{}, {} stages", backbone.kind, backbone.stages())),
        ("encoder", stages(&backbone.enc_depths, &backbone.enc_channels)),
    ];
    if backbone.decoder_stages() > 0 {
        rows.push(("decoder", stages(&backbone.dec_depths, &backbone.dec_channels)));
    }
    rows.push(("adapter", config.adapter().name().to_owned()));
    rows.push(("parameters", parameters(total, adapter)));
    rows.push(("weights", format!("{dtypes}, {}", spoken(bytes))));
    let names: Vec<&str> = info.labels.classes.iter().map(|class| class.name.as_str()).collect();
    rows.push(("classes", format!("{} ({}): {}", names.len(), info.labels.name, names.join(", "))));
    rows.push(("grid", format!("{} m", info.grid_size)));
    rows.push(("features", if features.is_empty() { "not said".to_owned() } else { features.join(", ") }));
    rows.push(("licence", info.licence.clone().unwrap_or_else(|| "not said".to_owned())));
    for (name, text) in [("provenance", &info.provenance), ("note", &info.note), ("warning", &fault)] {
        rows.extend(text.iter().map(|text| (name, text.clone())));
    }
    Ok((titled(file.path(), rows), value))
}

/// `1234567, of which 1.2 % adapters`.
pub(crate) fn parameters(total: u64, adapter: u64) -> String {
    if adapter == 0 {
        return total.to_string();
    }
    format!("{total}, of which {adapter} ({:.2} %) are the adapter's", 100.0 * share(adapter, total))
}

/// The part of `total` that `part` is, 0 to 1.
pub(crate) fn share(part: u64, total: u64) -> f64 {
    part as f64 / total.max(1) as f64
}

/// `2 × 32, 2 × 64`: blocks and channels of each stage.
fn stages(depths: &[usize], channels: &[usize]) -> String {
    let stages: Vec<String> = depths.iter().zip(channels).map(|(depth, width)| format!("{depth} × {width}")).collect();
    format!("{} (blocks × channels)", stages.join(", "))
}
