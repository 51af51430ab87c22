//! Model files: a `.safetensors` file that holds a whole model.
//!
//! The header's metadata says what the weights are for: `config` (JSON, see [`super::config`]), `classes` (JSON,
//! a list of `{"id", "name", "color"}`) and `label_set` (its name), `grid_size` (metres), `features` (for example
//! `coord,color,normal`), `licence`, `provenance`, `note`. Only `config` is required. Parameters are the tensors
//! whose names start with `backbone.` or `seg_head.`; others (the recorded steps in a golden file) are not
//! looked at. A PyTorch checkpoint has no such metadata: its configuration is deduced from its weights.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::adapter_file::is_adapter_file;
use super::checkpoint::config_from_shapes::deduced;
use super::config::Config;
use super::tensor_file::{Dtype, HostTensor, TensorFile};
use crate::scan::LabelSet;
use crate::{Error, Result};

/// Metadata keys with a meaning of their own; all others are kept in [`ModelInfo::other`].
pub(super) mod key {
    pub(in crate::model) const CONFIG: &str = "config";
    pub(in crate::model) const CLASSES: &str = "classes";
    pub(in crate::model) const LABEL_SET: &str = "label_set";
    pub(in crate::model) const GRID_SIZE: &str = "grid_size";
    pub(in crate::model) const FEATURES: &str = "features";
    pub(in crate::model) const LICENCE: &str = "licence";
    pub(in crate::model) const PROVENANCE: &str = "provenance";
    pub(in crate::model) const NOTE: &str = "note";
    pub(in crate::model) const ALL: [&str; 8] =
        [CONFIG, CLASSES, LABEL_SET, GRID_SIZE, FEATURES, LICENCE, PROVENANCE, NOTE];
}

/// Grid of the published models, in metres.
pub const DEFAULT_GRID_SIZE: f64 = 0.02;

/// A group of three input features of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Coordinates in metres, centred in x and y, from 0 upwards in z.
    Coord,
    /// Red, green and blue, 0 to 1.
    Color,
    /// Unit normal.
    Normal,
}

/// What a model file says about its model, besides configuration and weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// The classes; output `i` of the head is class `i`.
    pub labels: LabelSet,
    /// Edge of a voxel in metres.
    pub grid_size: f64,
    /// The network's inputs, in order; empty if the file does not say and they cannot be guessed.
    pub features: Vec<Feature>,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Where the weights come from.
    pub provenance: Option<String>,
    /// Anything else a reader should know.
    pub note: Option<String>,
    /// Metadata under other keys.
    pub other: BTreeMap<String, String>,
}

/// An open model file. The weights stay in the file until they are read, one tensor at a time.
#[derive(Debug)]
pub struct ModelFile {
    tensors: TensorFile,
    config: Config,
    info: ModelInfo,
}

/// Parameters that a configuration needs and a file lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Their names, in the order of [`Config::parameters`].
    pub names: Vec<String>,
}

impl Feature {
    /// Its name in a model file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coord => "coord",
            Self::Color => "color",
            Self::Normal => "normal",
        }
    }

    /// Numbers per point.
    pub const CHANNELS: usize = 3;

    fn from_name(name: &str) -> Option<Self> {
        [Self::Coord, Self::Color, Self::Normal].into_iter().find(|feature| feature.name() == name)
    }

    /// The features in a list of names, `coord,color,normal`.
    ///
    /// # Errors
    /// [`Error::Argument`] for another name.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        let named = |name: &str| {
            Self::from_name(name.trim()).ok_or_else(|| Error::Argument {
                what: key::FEATURES.to_owned(),
                problem: format!("'{}' is none of coord, color, normal", name.trim()),
                advice: "Correct the model's metadata".to_owned(),
            })
        };
        text.split(',').map(named).collect()
    }

    /// The reference's inputs for a number of channels.
    fn guess(channels: usize) -> Vec<Self> {
        match channels {
            3 => vec![Self::Coord],
            6 => vec![Self::Coord, Self::Color],
            9 => vec![Self::Coord, Self::Color, Self::Normal],
            _ => Vec::new(),
        }
    }
}

impl ModelInfo {
    /// For a new model with these classes, on the published models' grid and inputs.
    pub fn new(labels: LabelSet) -> Self {
        Self {
            labels,
            grid_size: DEFAULT_GRID_SIZE,
            features: Feature::guess(9),
            licence: None,
            provenance: None,
            note: None,
            other: BTreeMap::new(),
        }
    }

    /// Refuses what does not fit the configuration.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the metadata key.
    pub fn validate(&self, config: &Config) -> Result<()> {
        let refuse = |what: &str, problem: String| {
            Err(Error::Argument { what: what.to_owned(), problem, advice: "Correct the model's metadata".to_owned() })
        };
        if self.labels.classes.len() != config.num_classes {
            let problem = format!("has {} classes, the network {}", self.labels.classes.len(), config.num_classes);
            return refuse(key::CLASSES, problem);
        }
        // The reference's grids are centimetres; the bounds only keep divisions and key widths sound.
        if !(1e-6..=1e6).contains(&self.grid_size) {
            return refuse(key::GRID_SIZE, format!("is {}, a length in metres is needed", self.grid_size));
        }
        let channels = self.features.len() * Feature::CHANNELS;
        if !self.features.is_empty() && channels != config.backbone.in_channels {
            let problem = format!("make {channels} channels, the network takes {}", config.backbone.in_channels);
            return refuse(key::FEATURES, problem);
        }
        if let Some(taken) = self.other.keys().find(|name| key::ALL.contains(&name.as_str())) {
            return refuse(taken, "stands among the free metadata, but has a field of its own".to_owned());
        }
        Ok(())
    }

    pub(super) fn from_metadata(file: &TensorFile, config: &Config) -> Result<Self> {
        let bad = |what: &str, problem: String| Error::Argument {
            what: what.to_owned(),
            problem,
            advice: "Correct the model's metadata".to_owned(),
        };
        let mut labels = match file.metadata(key::CLASSES) {
            Some(text) => LabelSet::from_json(text).map_err(|e| bad(key::CLASSES, e.to_string()))?,
            None => LabelSet::new("unnamed", (0..config.num_classes).map(|i| (format!("class{i}"), class_color(i)))),
        };
        if let Some(name) = file.metadata(key::LABEL_SET) {
            name.clone_into(&mut labels.name);
        }
        let grid_size = match file.metadata(key::GRID_SIZE) {
            Some(text) => text.trim().parse().map_err(|_| bad(key::GRID_SIZE, format!("'{text}' is not a number")))?,
            None => DEFAULT_GRID_SIZE,
        };
        let features = match file.metadata(key::FEATURES) {
            Some(text) => Feature::list(text)?,
            None => Feature::guess(config.backbone.in_channels),
        };
        let text = |key| file.metadata(key).map(str::to_owned);
        let others = file.metadata_keys().filter(|name| !key::ALL.contains(name));
        let info = Self {
            labels,
            grid_size,
            features,
            licence: text(key::LICENCE),
            provenance: text(key::PROVENANCE),
            note: text(key::NOTE),
            other: others.filter_map(|name| Some((name.to_owned(), text(name)?))).collect(),
        };
        info.validate(config)?;
        Ok(info)
    }
}

impl ModelFile {
    /// Opens a model file; the weights are not read yet.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Model`] if it is no model file or describes a model that this
    /// program cannot run.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_tensors(TensorFile::open(path)?)
    }

    /// A model file in memory, for example one compiled into the program; `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`ModelFile::open`].
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Self::from_tensors(TensorFile::from_bytes(name, bytes)?)
    }

    /// The model in an open file of tensors.
    ///
    /// # Errors
    /// [`Error::Model`] as [`ModelFile::open`].
    pub fn from_tensors(tensors: TensorFile) -> Result<Self> {
        if tensors.checkpoint().is_some() {
            return Self::from_checkpoint(tensors, None);
        }
        let Some(config) = tensors.metadata(key::CONFIG) else {
            if is_adapter_file(&tensors) {
                return Err(Error::Model {
                    path: tensors.path().to_owned(),
                    problem: "is an adapter, not a whole model".to_owned(),
                    advice: "Lay it over its base: `--model BASE --adapter FILE`".to_owned(),
                });
            }
            return Err(Error::Model {
                path: tensors.path().to_owned(),
                problem: "is a safetensors file without a model's `config` in its metadata".to_owned(),
                advice: "Give a model file, for example one written by `pointtpa init`".to_owned(),
            });
        };
        let in_file = |error| in_file(tensors.path(), error);
        let config = Config::from_json(config).map_err(in_file)?;
        let info = ModelInfo::from_metadata(&tensors, &config).map_err(in_file)?;
        Ok(Self { tensors, config, info })
    }

    /// The model in a PyTorch checkpoint. Its configuration is `config`, or what can be deduced from its tensors; what they
    /// cannot say follows the published models, and the note lists it.
    ///
    /// # Errors
    /// [`Error::Model`] for tensors of another network, or a configuration that does not hold together.
    pub fn from_checkpoint(mut tensors: TensorFile, config: Option<Config>) -> Result<Self> {
        let (config, mut note) = match config {
            Some(config) => {
                config.validate()?;
                (config, "The configuration was given with the checkpoint.".to_owned())
            }
            None => deduced(&tensors).map_err(|error| in_file(tensors.path(), error))?,
        };
        let rounded = tensors.names().filter(|name| is_rounded(&tensors, name)).count();
        if rounded > 0 {
            let _ = write!(note, " {rounded} tensors of 64-bit floats were rounded to 32 bits.");
        }
        let name = tensors.path().file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        tensors.set_metadata(key::PROVENANCE, format!("PyTorch checkpoint {name}"));
        tensors.set_metadata(key::NOTE, note);
        let info = ModelInfo::from_metadata(&tensors, &config).map_err(|error| in_file(tensors.path(), error))?;
        Ok(Self { tensors, config, info })
    }

    /// A model put together from its parts.
    ///
    /// # Errors
    /// [`Error::Argument`] if they do not fit together.
    pub(super) fn from_parts(tensors: TensorFile, config: Config, info: ModelInfo) -> Result<Self> {
        config.validate()?;
        info.validate(&config)?;
        Ok(Self { tensors, config, info })
    }

    /// The parts.
    pub(super) fn into_parts(self) -> (TensorFile, Config, ModelInfo) {
        (self.tensors, self.config, self.info)
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        self.tensors.path()
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What else the file says about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// All tensors in the file, parameters and others.
    pub fn tensors(&self) -> &TensorFile {
        &self.tensors
    }

    /// Names of the parameters in the file, sorted.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names().filter(|name| is_parameter(name))
    }

    /// Reads one tensor. Parameters of a checkpoint that are 64-bit floats are rounded to 32 bits.
    ///
    /// # Errors
    /// As [`TensorFile::read`], and [`Error::Argument`] for a parameter that 32 bits cannot hold.
    pub fn read(&self, name: &str) -> Result<HostTensor> {
        let tensor = self.tensors.read(name)?;
        if self.is_rounded(name) { Ok(tensor.converted(Dtype::F32)?.into_owned()) } else { Ok(tensor) }
    }

    /// Type of a tensor's values as they are read; `None` as [`TensorFile::dtype`].
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        if self.is_rounded(name) { Some(Dtype::F32) } else { self.tensors.dtype(name) }
    }

    fn is_rounded(&self, name: &str) -> bool {
        is_rounded(&self.tensors, name)
    }

    /// Compares the parameters in the file with those that `config` needs. With `allow_missing`, parameters the
    /// file lacks are returned, for the caller to name and to start at random; otherwise they fail, too.
    ///
    /// # Errors
    /// [`Error::Weights`] listing what is missing, what the configuration does not use, and what has another
    /// shape or a type that cannot hold weights.
    pub fn check_against(&self, config: &Config, allow_missing: bool) -> Result<Missing> {
        let mut unused: BTreeSet<&str> = self.parameter_names().collect();
        let mut missing = Vec::new();
        let mut wrong_shape = Vec::new();
        for parameter in config.parameters() {
            let name = parameter.name;
            let Some(shape) = self.tensors.shape(&name) else {
                missing.push(name);
                continue;
            };
            unused.remove(name.as_str());
            let dtype = self.dtype(&name);
            if shape != parameter.shape {
                wrong_shape.push(format!("{name}: file {shape:?}, model {:?}", parameter.shape));
            } else if !dtype.is_some_and(Dtype::stores_weights) {
                let found = dtype.map_or("of an unsupported type", Dtype::name);
                wrong_shape.push(format!("{name}: file {found}, model F32, F16 or BF16"));
            }
        }
        if unused.is_empty() && wrong_shape.is_empty() && (missing.is_empty() || allow_missing) {
            return Ok(Missing { names: missing });
        }
        Err(Error::Weights {
            path: self.path().to_owned(),
            missing: if allow_missing { Vec::new() } else { missing },
            unexpected: unused.into_iter().map(str::to_owned).collect(),
            wrong_shape,
        })
    }
}

/// Whether a tensor is a checkpoint's parameter in a type that weights are not kept in: somebody trained it in 64 bits.
fn is_rounded(tensors: &TensorFile, name: &str) -> bool {
    tensors.checkpoint().is_some() && is_parameter(name) && tensors.dtype(name) == Some(Dtype::F64)
}

pub(crate) fn is_parameter(name: &str) -> bool {
    name.starts_with("backbone.") || name.starts_with("seg_head.")
}

/// What is wrong with a configuration is, seen from outside, wrong with the file that holds it.
pub(super) fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Argument { what, problem, advice } => {
            Error::Model { path: path.to_owned(), problem: format!("{what}: {problem}"), advice }
        }
        other => other,
    }
}

/// A colour for a class without one: steps of the golden ratio around the colour wheel keep neighbours apart.
fn class_color(index: usize) -> [u8; 3] {
    let hue = (index as f64 * 0.618_033_988_749_895).fract() * 6.0;
    [5.0, 3.0, 1.0].map(|shift| {
        let k = (shift + hue) % 6.0;
        let level = 1.0 - 0.6 * f64::min(k, 4.0 - k).clamp(0.0, 1.0);
        (level * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::init::init_model;
    use crate::model::preset::{AdapterChoice, Preset};
    use crate::model::write::{write_model, write_model_to};

    /// The recorded models, or none where the shared data is absent.
    fn goldens() -> Vec<PathBuf> {
        let shared = std::env::var_os("POINTTPA_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
        let Ok(entries) = std::fs::read_dir(shared.join("goldens")) else {
            println!("skipped: no shared data");
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "safetensors"));
        paths.sort();
        paths
    }

    fn rooms() -> (Config, ModelInfo) {
        let config = Config::preset(Preset::Rooms, AdapterChoice::LowRank, 21).unwrap();
        let mut info = ModelInfo::new(LabelSet::rooms());
        info.grid_size = 0.05;
        info.licence = Some("CC0-1.0".to_owned());
        info.other.insert("trained_on".to_owned(), "nothing".to_owned());
        (config, info)
    }

    fn in_memory(config: &Config, info: &ModelInfo, dtype: Dtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_model_to(&mut bytes, config, info, dtype, |p| Ok(p.initial(3))).unwrap();
        bytes
    }

    #[test]
    fn every_recorded_model_has_exactly_the_parameters_of_its_configuration() {
        for path in goldens() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = TensorFile::open(&path).unwrap();
            if name == "serialization.safetensors" {
                assert!(matches!(ModelFile::from_tensors(file), Err(Error::Model { .. })));
                continue;
            }
            let model = ModelFile::from_tensors(file).unwrap();
            let listed: BTreeMap<String, Vec<usize>> =
                model.config().parameters().into_iter().map(|p| (p.name, p.shape)).collect();
            let found: BTreeMap<String, Vec<usize>> = model
                .parameter_names()
                .map(|name| (name.to_owned(), model.tensors().shape(name).unwrap_or_default().to_vec()))
                .collect();
            assert_eq!(listed, found, "{name}");
            assert_eq!(model.config().parameters().len(), listed.len(), "{name}: a name is listed twice");
            assert_eq!(model.check_against(model.config(), false).unwrap(), Missing::default(), "{name}");
            assert_eq!(model.info().grid_size, 0.02);
            assert_eq!(model.info().labels.classes[0].name, "class0");
            assert!(model.info().other.contains_key("torch"));
            let again = Config::from_json(&model.config().to_json().unwrap()).unwrap();
            assert_eq!(&again, model.config(), "{name}");
            let head = model.read("seg_head.bias").unwrap();
            assert_eq!(head.to_f32().unwrap().len(), model.config().num_classes);
        }
    }

    #[test]
    fn a_written_model_reads_back() {
        let (config, info) = rooms();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.safetensors");
        init_model(&config, &info, 3, Dtype::F32, &path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is gone");
        let model = ModelFile::open(&path).unwrap();
        assert_eq!((model.config(), model.info()), (&config, &info));
        assert_eq!(model.check_against(&config, false).unwrap(), Missing::default());
        for parameter in config.parameters() {
            assert_eq!(model.read(&parameter.name).unwrap(), parameter.initial(3), "{}", parameter.name);
        }
        assert_eq!(std::fs::read(&path).unwrap(), in_memory(&config, &info, Dtype::F32), "deterministic bytes");
        let bytes = in_memory(&config, &info, Dtype::F32);
        assert!(safetensors::SafeTensors::deserialize(&bytes).is_ok());
    }

    #[test]
    fn weights_are_stored_in_half_precision_on_request() {
        let (config, info) = rooms();
        for dtype in [Dtype::F16, Dtype::BF16] {
            let model = ModelFile::from_bytes("memory", in_memory(&config, &info, dtype)).unwrap();
            for parameter in config.parameters() {
                let stored = model.read(&parameter.name).unwrap();
                assert_eq!(stored.dtype, dtype);
                assert_eq!(&stored, parameter.initial(3).converted(dtype).unwrap().as_ref());
            }
        }
        let mut bytes = Vec::new();
        assert!(write_model_to(&mut bytes, &config, &info, Dtype::I64, |p| Ok(p.initial(3))).is_err());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let (config, info) = rooms();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, "old").unwrap();
        let overflowing = |p: &crate::model::parameters::Parameter| {
            Ok(HostTensor::from_f32(&p.name, &p.shape, &vec![1e6; p.elements() as usize]))
        };
        let error = write_model(&path, &config, &info, Dtype::F16, overflowing).unwrap_err();
        assert!(error.to_string().starts_with("seg_head.weight: holds 1e6"), "{error}");
        let misshapen = |p: &crate::model::parameters::Parameter| Ok(HostTensor::from_f32(&p.name, &[1], &[0.0]));
        assert!(write_model(&path, &config, &info, Dtype::F32, misshapen).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        let nowhere = folder.path().join("none").join("model.safetensors");
        let error = init_model(&config, &info, 1, Dtype::F32, &nowhere).unwrap_err();
        assert!(matches!(error, Error::Io { action: "create", path, .. } if path == nowhere));
    }

    #[test]
    fn mismatches_are_named() {
        let (config, info) = rooms();
        let model = ModelFile::from_bytes("memory", in_memory(&config, &info, Dtype::F32)).unwrap();
        let plain = Config::preset(Preset::Rooms, AdapterChoice::None, 21).unwrap();
        let Err(Error::Weights { missing, unexpected, wrong_shape, .. }) = model.check_against(&plain, true) else {
            panic!("adapters the configuration does not use must fail");
        };
        assert!(missing.is_empty() && wrong_shape.is_empty());
        assert!(unexpected.iter().all(|name| name.contains(".dpp.")) && unexpected.len() == 4 * 5);

        let fresh = ModelFile::from_bytes("memory", in_memory(&plain, &info, Dtype::F32)).unwrap();
        let Err(Error::Weights { missing, .. }) = fresh.check_against(&config, false) else {
            panic!("missing adapters must fail");
        };
        assert_eq!(missing.len(), 20);
        assert_eq!(fresh.check_against(&config, true).unwrap().names, missing);

        let fewer = Config::preset(Preset::Rooms, AdapterChoice::None, 5).unwrap();
        let Err(Error::Weights { wrong_shape, .. }) = fresh.check_against(&fewer, true) else {
            panic!("another number of classes must fail");
        };
        assert_eq!(
            wrong_shape,
            ["seg_head.weight: file [21, 32], model [5, 32]", "seg_head.bias: file [21], model [5]"]
        );
    }

    #[test]
    fn metadata_that_does_not_fit_is_refused() {
        let (config, mut info) = rooms();
        info.grid_size = 0.0;
        assert!(info.validate(&config).is_err());
        info.grid_size = f64::NAN;
        assert!(info.validate(&config).is_err());
        info.grid_size = 0.02;
        info.features.pop();
        assert!(info.validate(&config).is_err());
        info.features.clear();
        assert!(info.validate(&config).is_ok());
        info.labels = LabelSet::scannet20();
        assert!(info.validate(&config).is_err());
        let header = r#"{"__metadata__":{"config":"{\"num_classes\":0}"}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        let error = ModelFile::from_bytes("m.safetensors", bytes).unwrap_err().to_string();
        assert!(error.starts_with("m.safetensors: config.num_classes: is 0"), "{error}");
    }

    #[test]
    fn classes_without_a_colour_get_different_ones() {
        let colors: BTreeSet<[u8; 3]> = (0..40).map(class_color).collect();
        assert_eq!(colors.len(), 40);
    }
}
