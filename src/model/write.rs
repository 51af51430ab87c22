//! Writing model files.
//!
//! The header is written by this file, not by the safetensors crate, whose metadata comes in random order: the
//! same model gives the same bytes. Tensors follow one at a time, so only one is in memory. The file is made
//! under a temporary name in the same folder and renamed when complete; a failure leaves nothing behind.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::config::Config;
use super::parameters::Parameter;
use super::tensor_file::{Dtype, HostTensor};
use super::weights::{ModelInfo, key};
use crate::{Error, Result};

/// Writes a model file. `tensor` is asked for every parameter of `config` in turn, in any float type; values are
/// stored as `dtype`, one of f32, f16 and bf16, rounded to nearest, ties to even.
///
/// # Errors
/// [`Error::Argument`] if configuration or metadata are not valid, if a tensor has not its parameter's shape, or
/// if a value is too large for `dtype`; [`Error::Io`] if the file cannot be written; and those of `tensor`.
pub fn write_model(
    path: &Path,
    config: &Config,
    info: &ModelInfo,
    dtype: Dtype,
    tensor: impl FnMut(&Parameter) -> Result<HostTensor>,
) -> Result<()> {
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = temporary_file(folder).map_err(io("create"))?;
    let mut writer = BufWriter::with_capacity(1 << 20, &temporary);
    match write_model_to(&mut writer, config, info, dtype, tensor) {
        Ok(()) => writer.flush().map_err(io("write"))?,
        Err(Error::Io { source, .. }) => return Err(io("write")(source)),
        Err(error) => return Err(error),
    }
    drop(writer);
    temporary.as_file().sync_all().map_err(io("write"))?;
    temporary.persist(path).map_err(|e| io("rename")(e.error))?;
    Ok(())
}

/// As [`write_model`], to a writer. In an [`Error::Io`] about it the path is empty.
///
/// # Errors
/// As [`write_model`].
pub fn write_model_to(
    writer: &mut impl Write,
    config: &Config,
    info: &ModelInfo,
    dtype: Dtype,
    tensor: impl FnMut(&Parameter) -> Result<HostTensor>,
) -> Result<()> {
    write_parameters_to(writer, config, info, dtype, &config.parameters(), tensor)
}

/// As [`write_model_to`], with these of the model's parameters alone: a model that lacks the others, which a training can
/// start at random.
///
/// # Errors
/// As [`write_model`].
pub fn write_parameters_to(
    writer: &mut impl Write,
    config: &Config,
    info: &ModelInfo,
    dtype: Dtype,
    parameters: &[Parameter],
    mut tensor: impl FnMut(&Parameter) -> Result<HostTensor>,
) -> Result<()> {
    let io = |source| Error::Io { action: "write", path: std::path::PathBuf::new(), source };
    config.validate()?;
    info.validate(config)?;
    let header = header(config, info, dtype, parameters)?;
    writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    writer.write_all(header.as_bytes()).map_err(io)?;
    for parameter in parameters {
        let values = tensor(parameter)?;
        let length = parameter.elements().checked_mul(values.dtype.size() as u64);
        if values.shape != parameter.shape || length != Some(values.bytes.len() as u64) {
            return Err(Error::Argument {
                what: parameter.name.clone(),
                problem: format!(
                    "has shape {:?} and {} bytes, the model needs {:?}",
                    values.shape,
                    values.bytes.len(),
                    parameter.shape
                ),
                advice: "Give the tensor that belongs to this parameter".to_owned(),
            });
        }
        writer.write_all(&values.converted(dtype)?.bytes).map_err(io)?;
    }
    Ok(())
}

fn header(config: &Config, info: &ModelInfo, dtype: Dtype, parameters: &[Parameter]) -> Result<String> {
    if !dtype.stores_weights() {
        return Err(Error::Argument {
            what: "dtype".to_owned(),
            problem: format!("is {}, weights are stored as F32, F16 or BF16", dtype.name()),
            advice: "Choose one of these".to_owned(),
        });
    }
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(metadata(config, info)?));
    let mut start = 0_u64;
    for parameter in parameters {
        let end = start.saturating_add(parameter.elements().saturating_mul(dtype.size() as u64));
        let entry = json!({"dtype": dtype.name(), "shape": parameter.shape, "data_offsets": [start, end]});
        header.insert(parameter.name.clone(), entry);
        start = end;
    }
    Ok(padded(header))
}

/// A header as text. The format asks readers to expect aligned data, and lets a header end in spaces.
fn padded(header: Map<String, Value>) -> String {
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    header
}

/// Writes tensors, each in its own type, in their order: a file that is no whole model. In an [`Error::Io`] the path is
/// empty.
///
/// # Errors
/// [`Error::Argument`] for a tensor whose bytes do not fit its shape, [`Error::Io`].
pub fn write_tensors<'a>(
    writer: &mut dyn Write,
    metadata: Map<String, Value>,
    tensors: impl IntoIterator<Item = &'a HostTensor> + Clone,
) -> Result<()> {
    let io = |source| Error::Io { action: "write", path: std::path::PathBuf::new(), source };
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut start = 0;
    for tensor in tensors.clone() {
        let HostTensor { name, shape, dtype, bytes } = tensor;
        let expected = shape.iter().try_fold(dtype.size(), |product, size| product.checked_mul(*size));
        if expected != Some(bytes.len()) {
            return Err(Error::Argument {
                what: name.clone(),
                problem: format!("has shape {shape:?} of {} and {} bytes", dtype.name(), bytes.len()),
                advice: "Give as many values as the shape has".to_owned(),
            });
        }
        let end = start + bytes.len();
        header.insert(name.clone(), json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]}));
        start = end;
    }
    let header = padded(header);
    writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    writer.write_all(header.as_bytes()).map_err(io)?;
    tensors.into_iter().try_for_each(|tensor| writer.write_all(&tensor.bytes).map_err(io))
}

fn metadata(config: &Config, info: &ModelInfo) -> Result<Map<String, Value>> {
    let mut metadata = Map::new();
    metadata.insert(key::CONFIG.to_owned(), Value::String(config.to_json()?));
    metadata.extend(info_metadata(info));
    Ok(metadata)
}

/// What a header says of a model besides its configuration.
pub(super) fn info_metadata(info: &ModelInfo) -> Map<String, Value> {
    let features: Vec<&str> = info.features.iter().map(|feature| feature.name()).collect();
    let mut metadata = Map::new();
    let mut put = |key: &str, text: String| metadata.insert(key.to_owned(), Value::String(text));
    put(key::CLASSES, json!(info.labels.classes).to_string());
    put(key::LABEL_SET, info.labels.name.clone());
    put(key::GRID_SIZE, info.grid_size.to_string());
    if !features.is_empty() {
        put(key::FEATURES, features.join(","));
    }
    for (key, text) in [(key::LICENCE, &info.licence), (key::PROVENANCE, &info.provenance), (key::NOTE, &info.note)] {
        if let Some(text) = text {
            put(key, text.clone());
        }
    }
    for (key, text) in &info.other {
        put(key, text.clone());
    }
    metadata
}

/// A temporary file with the permissions of an ordinary one, where the system has such a thing.
fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pointtpa-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
        builder.tempfile_in(folder)
    }
    #[cfg(not(unix))]
    builder.tempfile_in(folder)
}
