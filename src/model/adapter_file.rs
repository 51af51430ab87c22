//! Adapter files: a `.safetensors` file with what was trained on a base model, and nothing else.
//!
//! The header's metadata has `adapter` (JSON: the fields that the base's configuration takes over), `base` (JSON: the
//! base's name and the [fingerprint](super::fingerprint) of the tensors that are taken from it), `fingerprint` (of the
//! tensors in this file) and what a model file says of classes, grid, features, licence and provenance. The tensors keep
//! the names they have in a whole model.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{AdapterConfig, Backbone, Config, SngMode};
use super::fingerprint::fingerprint;
use super::parameters::Role;
use super::tensor_file::{Dtype, HostTensor, TensorFile};
use super::weights::{ModelFile, ModelInfo, in_file, is_parameter};
use super::write::{info_metadata, write_tensors};
use crate::{Error, Result};

/// Metadata keys of their own.
const ADAPTER: &str = "adapter";
const BASE: &str = "base";
const FINGERPRINT: &str = "fingerprint";

/// Digits of a fingerprint that messages show.
const SHOWN: usize = 12;

/// An open adapter file.
#[derive(Debug)]
pub struct AdapterFile {
    tensors: TensorFile,
    part: Part,
    base: Base,
    info: ModelInfo,
}

/// The model that an adapter lies upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The name of its file.
    pub name: String,
    /// SHA-256 over the tensors that are taken from it.
    pub fingerprint: String,
}

/// The fields of a configuration that an adapter brings, with the reference's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    num_classes: usize,
    /// Features per point; the base must have as many.
    in_channels: usize,
    freeze_backbone: bool,
    activate_param: Option<Vec<String>>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dy_down_layers: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dy_up_layers: Option<Vec<usize>>,
    #[serde(rename = "K_list", skip_serializing_if = "Option::is_none", default)]
    k_list: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    param_list: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    mode_list: Option<Vec<SngMode>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    adaptive_mid: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    adapter: Option<AdapterConfig>,
}

impl Part {
    fn of(config: &Config) -> Self {
        let Backbone {
            kind,
            in_channels,
            dy_down_layers,
            dy_up_layers,
            k_list,
            param_list,
            mode_list,
            adaptive_mid,
            adapter,
            ..
        } = config.backbone.clone();
        Self {
            num_classes: config.num_classes,
            in_channels,
            freeze_backbone: config.freeze_backbone,
            activate_param: config.activate_param.clone(),
            kind,
            dy_down_layers,
            dy_up_layers,
            k_list,
            param_list,
            mode_list,
            adaptive_mid,
            adapter,
        }
    }

    /// `base` with these fields.
    fn over(&self, base: &Config) -> Config {
        let part = self.clone();
        Config {
            num_classes: part.num_classes,
            freeze_backbone: part.freeze_backbone,
            activate_param: part.activate_param,
            backbone: Backbone {
                kind: part.kind,
                dy_down_layers: part.dy_down_layers,
                dy_up_layers: part.dy_up_layers,
                k_list: part.k_list,
                param_list: part.param_list,
                mode_list: part.mode_list,
                adaptive_mid: part.adaptive_mid,
                adapter: part.adapter,
                ..base.backbone.clone()
            },
            ..base.clone()
        }
    }
}

/// Whether a file is an adapter's rather than a whole model's.
pub fn is_adapter_file(file: &TensorFile) -> bool {
    file.metadata(ADAPTER).is_some() && file.metadata(BASE).is_some()
}

/// Writes what of `model` was `trained`, stored as `dtype`, so that it can be laid over its base again. `base_name` is
/// what messages will call the base.
///
/// # Errors
/// [`Error::Argument`] if nothing was trained, or if a value is too large for `dtype`; those of reading the model, and
/// [`Error::Io`].
pub fn write_adapter(
    writer: &mut dyn Write,
    model: &ModelFile,
    base_name: &str,
    dtype: Dtype,
    trained: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let names: Vec<String> = model.config().parameters().into_iter().map(|parameter| parameter.name).collect();
    let (own, kept): (Vec<&str>, Vec<&str>) = names.iter().map(String::as_str).partition(|name| trained(name));
    if own.is_empty() {
        return Err(Error::Argument {
            what: "adapter".to_owned(),
            problem: "nothing of the model was trained".to_owned(),
            advice: "Write the whole model".to_owned(),
        });
    }
    let tensors = own.iter().map(|name| Ok(model.read(name)?.converted(dtype)?.into_owned()));
    let tensors: Vec<HostTensor> = tensors.collect::<Result<_>>()?;
    let base = Base { name: base_name.to_owned(), fingerprint: fingerprint(model.tensors(), kept)? };
    let mut metadata = info_metadata(model.info());
    let json = |what, value: serde_json::Result<String>| {
        value.map(Value::String).map_err(|error| Error::Argument {
            what: String::from(what),
            problem: error.to_string(),
            advice: "Correct the model's configuration".to_owned(),
        })
    };
    let stored = TensorFile::empty("adapter").overlaid(tensors.iter().cloned());
    metadata.insert(ADAPTER.to_owned(), json(ADAPTER, serde_json::to_string(&Part::of(model.config())))?);
    metadata.insert(BASE.to_owned(), json(BASE, serde_json::to_string(&base))?);
    metadata.insert(FINGERPRINT.to_owned(), Value::String(fingerprint(&stored, own)?));
    write_tensors(writer, metadata, &tensors)
}

impl AdapterFile {
    /// Opens an adapter file and checks that it is whole.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Model`] if it is none, or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_tensors(TensorFile::open(path)?)
    }

    /// An adapter file in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`AdapterFile::open`].
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Self::from_tensors(TensorFile::from_bytes(name, bytes)?)
    }

    /// The adapter in an open file of tensors.
    ///
    /// # Errors
    /// As [`AdapterFile::open`].
    pub fn from_tensors(tensors: TensorFile) -> Result<Self> {
        let refuse = |problem: String, advice: &str| {
            Err(Error::Model { path: tensors.path().to_owned(), problem, advice: advice.to_owned() })
        };
        let (Some(part), Some(base)) = (tensors.metadata(ADAPTER), tensors.metadata(BASE)) else {
            let problem = "has no `adapter` and its `base` in its metadata".to_owned();
            return refuse(
                problem,
                "Give a file that `pointtpa train --adapter-only` wrote; a whole model goes to `--model`",
            );
        };
        let part: Part = match serde_json::from_str(part) {
            Ok(part) => part,
            Err(error) => return refuse(format!("{ADAPTER}: {error}"), "Give the file as it was written"),
        };
        let base: Base = match serde_json::from_str(base) {
            Ok(base) => base,
            Err(error) => return refuse(format!("{BASE}: {error}"), "Give the file as it was written"),
        };
        let described = Config { num_classes: part.num_classes, ..Config::default() };
        let described =
            Config { backbone: Backbone { in_channels: part.in_channels, ..Backbone::default() }, ..described };
        let mut info =
            ModelInfo::from_metadata(&tensors, &described).map_err(|error| in_file(tensors.path(), error))?;
        for key in [ADAPTER, BASE, FINGERPRINT] {
            info.other.remove(key);
        }
        if let Some(stranger) = tensors.names().find(|name| !is_parameter(name)) {
            return refuse(format!("holds {stranger}, which is no parameter"), "Give the file as it was written");
        }
        let found = fingerprint(&tensors, tensors.names())?;
        if tensors.metadata(FINGERPRINT) != Some(&found) {
            return refuse(
                "is damaged: its tensors are not those that were written".to_owned(),
                "Take another copy of it, or train the adapter again",
            );
        }
        Ok(Self { tensors, part, base, info })
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        self.tensors.path()
    }

    /// The model it lies upon.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Classes, grid and the rest.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The tensors in it.
    pub fn tensors(&self) -> &TensorFile {
        &self.tensors
    }

    /// Kind of the adapter: `lora`, `low_rank`, `adapter`, `basis_mix`, or `none` where only other parts were trained.
    pub fn adapter_name(&self) -> &'static str {
        self.part.over(&Config::default()).adapter().name()
    }

    /// The parts of the network that it has tensors of, and the number of values in each.
    pub fn parts(&self) -> Vec<(Role, u64)> {
        let roles = [Role::Adapter, Role::Head, Role::Decoder, Role::Backbone];
        let of = |role| {
            let names = self.tensors.names().filter(|name| Role::of(name) == role);
            names.filter_map(|name| self.tensors.shape(name)).map(|shape| shape.iter().product::<usize>() as u64).sum()
        };
        roles.into_iter().map(|role| (role, of(role))).filter(|(_, values)| *values > 0).collect()
    }

    /// The whole model: this adapter over its base.
    ///
    /// # Errors
    /// [`Error::Model`] naming the base that is needed if `base` is another one, or if the two do not make a model.
    pub fn overlay(&self, base: ModelFile) -> Result<ModelFile> {
        let refuse = |problem: String, advice: String| {
            Err(Error::Model { path: self.tensors.path().to_owned(), problem, advice })
        };
        let advice = || format!("Give the base that it was trained on, `{}`, with `--model`", self.base.name);
        let config = self.part.over(base.config());
        config.validate().map_err(|error| in_file(self.path(), error))?;
        if base.config().backbone.in_channels != self.part.in_channels {
            let problem = format!(
                "reads {} features per point, its base {} has {}",
                self.part.in_channels,
                base.path().display(),
                base.config().backbone.in_channels
            );
            return refuse(problem, advice());
        }
        let mut own: BTreeSet<&str> = self.tensors.names().collect();
        let mut kept = Vec::new();
        for parameter in config.parameters() {
            let name = parameter.name.as_str();
            let is_own = own.remove(name);
            let tensors = if is_own { &self.tensors } else { base.tensors() };
            let dtype = if is_own { self.tensors.dtype(name) } else { base.dtype(name) };
            if tensors.shape(name) != Some(&parameter.shape) || !dtype.is_some_and(Dtype::stores_weights) {
                let found =
                    tensors.shape(name).map_or("is not there".to_owned(), |shape| format!("has shape {shape:?}"));
                let problem = format!(
                    "does not fit the base {}: {name} {found}, {:?} is needed",
                    base.path().display(),
                    parameter.shape
                );
                return refuse(problem, advice());
            }
            if !is_own {
                kept.push(parameter.name);
            }
        }
        if let Some(unused) = own.first() {
            return refuse(
                format!("holds {unused}, which the base {} has no place for", base.path().display()),
                advice(),
            );
        }
        let found = fingerprint(base.tensors(), kept.iter().map(String::as_str))?;
        if found != self.base.fingerprint {
            let short = |print: &str| print.chars().take(SHOWN).collect::<String>();
            let problem = format!(
                "lies upon `{}` with the fingerprint {}…, but the base {} has the fingerprint {}…",
                self.base.name,
                short(&self.base.fingerprint),
                base.path().display(),
                short(&found)
            );
            let advice = format!("{}, in the precision it was stored in", advice());
            return refuse(problem, advice);
        }
        let tensors: Vec<HostTensor> =
            self.tensors.names().map(|name| self.tensors.read(name)).collect::<Result<_>>()?;
        let (file, _, _) = base.into_parts();
        ModelFile::from_parts(file.overlaid(tensors), config, self.info.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::adapt::{Adaptation, adapt, fresh};
    use crate::model::adapter_settings::AdapterSettings;
    use crate::model::preset::{AdapterChoice, Preset};
    use crate::scan::LabelSet;

    fn base(seed: u64) -> ModelFile {
        let config = Config::preset(Preset::Rooms, AdapterChoice::None, 21).unwrap();
        fresh("base.safetensors", config, ModelInfo::new(LabelSet::rooms()), seed).unwrap()
    }

    fn labels() -> LabelSet {
        LabelSet::new("pipes", [("pipe".to_owned(), [1, 2, 3]), ("rest".to_owned(), [4, 5, 6])])
    }

    /// A base with an adapter and a head for other classes, all of it away from its start.
    fn trained(choice: AdapterChoice) -> ModelFile {
        let settings = AdapterSettings::default();
        let adaptation = Adaptation {
            adapter: Some(choice),
            settings: &settings,
            labels: &labels(),
            seed: 5,
            may_start: &|_| false,
        };
        let file = adapt(base(3), &adaptation).unwrap().file;
        let moved = file.config().parameters().into_iter().filter(|p| is_trained(&p.name)).map(|p| {
            let values: Vec<f32> = p.initial(5).to_f32().unwrap().iter().map(|v| v + 0.125).collect();
            HostTensor::from_f32(&p.name, &p.shape, &values)
        });
        let moved: Vec<HostTensor> = moved.collect();
        file.with_parameters(moved).unwrap()
    }

    fn is_trained(name: &str) -> bool {
        matches!(Role::of(name), Role::Adapter | Role::Head)
    }

    fn written(choice: AdapterChoice, dtype: Dtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_adapter(&mut bytes, &trained(choice), "base.safetensors", dtype, &is_trained).unwrap();
        bytes
    }

    #[test]
    fn over_its_base_an_adapter_is_the_whole_model() {
        for choice in [AdapterChoice::LowRank, AdapterChoice::BasisMix, AdapterChoice::Lora, AdapterChoice::Bottleneck]
        {
            let whole = trained(choice);
            let adapter = AdapterFile::from_bytes("a", written(choice, Dtype::F32)).unwrap();
            assert_eq!(adapter.adapter_name(), choice.name());
            assert_eq!(adapter.info(), whole.info());
            let overlaid = adapter.overlay(base(3)).unwrap();
            assert_eq!((overlaid.config(), overlaid.info()), (whole.config(), whole.info()));
            assert!(overlaid.check_against(whole.config(), false).is_ok());
            for parameter in whole.config().parameters() {
                let name = &parameter.name;
                assert_eq!(overlaid.read(name).unwrap(), whole.read(name).unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn an_adapter_file_is_small_and_holds_what_was_trained() {
        let bytes = written(AdapterChoice::LowRank, Dtype::F16);
        assert!(bytes.len() < 60_000, "{}", bytes.len());
        let adapter = AdapterFile::from_bytes("a", bytes).unwrap();
        assert!(adapter.tensors().names().all(is_trained));
        let parts = adapter.parts();
        assert_eq!(parts[1], (Role::Head, 2 * 32 + 2));
        assert_eq!((parts.len(), parts[0].0), (2, Role::Adapter));
        assert_eq!(adapter.base().name, "base.safetensors");
        let refused = ModelFile::from_tensors(adapter.tensors).unwrap_err().to_string();
        assert!(refused.contains("is an adapter, not a whole model"), "{refused}");
    }

    #[test]
    fn another_base_is_refused_by_name_and_fingerprint() {
        let adapter = AdapterFile::from_bytes("a", written(AdapterChoice::LowRank, Dtype::F32)).unwrap();
        let error = adapter.overlay(base(4)).unwrap_err().to_string();
        for part in ["lies upon `base.safetensors` with the fingerprint", "Give the base that it was trained on"] {
            assert!(error.contains(part), "{error}");
        }
        // One value of one tensor that the adapter does not replace is enough.
        let mut bias = base(3).read("backbone.enc.enc3.block1.attn.proj.bias").unwrap();
        bias.bytes[0] ^= 1;
        let changed = base(3).with_parameters([bias]).unwrap();
        assert!(adapter.overlay(changed).is_err());
        // The head is the adapter's own: the base's does not matter.
        let mut head = base(3).read("seg_head.bias").unwrap();
        head.bytes[0] ^= 1;
        assert!(adapter.overlay(base(3).with_parameters([head]).unwrap()).is_ok());
        // Of another width.
        let config = Config::preset(Preset::Small, AdapterChoice::None, 21).unwrap();
        let small = fresh("small", config, ModelInfo::new(LabelSet::rooms()), 1).unwrap();
        assert!(adapter.overlay(small).unwrap_err().to_string().contains("does not fit the base small"));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let bytes = written(AdapterChoice::LowRank, Dtype::F32);
        let open = |bytes: Vec<u8>| AdapterFile::from_bytes("adapter.safetensors", bytes);
        for cut in [1, 100, bytes.len() / 2, bytes.len() - 4, bytes.len()] {
            let error = open(bytes[..bytes.len() - cut].to_vec()).unwrap_err();
            assert!(matches!(error, Error::Model { .. }), "{cut}: {error}");
        }
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let error = open(flipped).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        let classes = b"\\\"num_classes\\\":";
        let at = bytes.windows(classes.len()).position(|part| part == classes).unwrap() + classes.len();
        let mut other = bytes.clone();
        other[at] = b'3';
        let error = open(other).unwrap_err().to_string();
        assert!(error.contains("has 2 classes, the network 3"), "{error}");
        let mut model = Vec::new();
        let file = base(3);
        crate::model::write::write_model_to(&mut model, file.config(), file.info(), Dtype::F32, |p| file.read(&p.name))
            .unwrap();
        assert!(open(model).unwrap_err().to_string().contains("a whole model goes to `--model`"));
    }

    #[test]
    fn nothing_trained_makes_no_file() {
        let mut out = Vec::new();
        assert!(write_adapter(&mut out, &base(3), "base", Dtype::F32, &|_| false).is_err());
        assert!(out.is_empty());
    }
}
