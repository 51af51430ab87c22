//! A base model made ready for training: with an adapter added, and with a new head where the classes are others.
//!
//! What is kept stays where it is, in the base's file and in the type it is stored in. What is new starts as in a fresh
//! model ([`super::init`]) and lies over it.

use super::adapter_settings::AdapterSettings;
use super::config::Config;
use super::parameters::Role;
use super::plan::Adapter;
use super::preset::AdapterChoice;
use super::tensor_file::{HostTensor, TensorFile};
use super::weights::{ModelFile, ModelInfo};
use crate::scan::LabelSet;
use crate::{Error, Result};

/// What becomes of a base model.
pub struct Adaptation<'a> {
    /// The adapter to add; `None` keeps what the base has.
    pub adapter: Option<AdapterChoice>,
    /// Its settings.
    pub settings: &'a AdapterSettings,
    /// The classes; those of the base keep its head, others get a new one, in which classes of the same name keep their
    /// rows.
    pub labels: &'a LabelSet,
    /// Seed of what starts at random.
    pub seed: u64,
    /// Which parameters start at random if the base lacks them, besides adapter and new head: those that will learn.
    pub may_start: &'a dyn Fn(&str) -> bool,
}

/// A model ready for training.
#[derive(Debug)]
pub struct Adapted {
    /// The model.
    pub file: ModelFile,
    /// Whether its head is new.
    pub has_new_head: bool,
    /// Whether its adapter is new.
    pub has_new_adapter: bool,
    /// What the base lacks besides, and starts at random.
    pub started: Vec<String>,
}

/// Makes `base` ready for training.
///
/// # Errors
/// [`Error::Model`] for an adapter where the base has another one already, [`Error::Weights`] for a base whose weights
/// are not as wide as its configuration says or that lacks what will not learn, and [`Error::Argument`] for settings
/// that do not fit.
pub fn adapt(base: ModelFile, adaptation: &Adaptation<'_>) -> Result<Adapted> {
    let lacking = base.check_against(base.config(), true)?;
    let mut config = base.config().clone();
    let has_new_adapter = add_adapter(&mut config, &base, adaptation)?;
    let has_new_head = !same_classes(&base.info().labels, adaptation.labels);
    config.num_classes = adaptation.labels.len();
    config.validate()?;

    let mut started = Vec::new();
    let mut missing = Vec::new();
    let mut fresh: Vec<HostTensor> = Vec::new();
    for parameter in config.parameters() {
        let is_new = match parameter.role {
            Role::Adapter => has_new_adapter,
            Role::Head => has_new_head,
            Role::Backbone | Role::Decoder => false,
        };
        if !is_new && base.tensors().shape(&parameter.name).is_some() {
            continue;
        }
        if !is_new && !(adaptation.may_start)(&parameter.name) {
            missing.push(parameter.name);
            continue;
        }
        let start = parameter.initial(adaptation.seed);
        let is_known_head = parameter.role == Role::Head && base.tensors().shape(&parameter.name).is_some();
        fresh.push(if is_known_head { with_known_rows(&start, &base, adaptation.labels)? } else { start });
        if !is_new {
            started.push(parameter.name);
        }
    }
    debug_assert!(missing.iter().all(|name| lacking.names.contains(name)));
    if !missing.is_empty() {
        let path = base.path().to_owned();
        return Err(Error::Weights { path, missing, unexpected: Vec::new(), wrong_shape: Vec::new() });
    }
    let (tensors, _, mut info) = base.into_parts();
    if has_new_head {
        info.labels = adaptation.labels.clone();
    }
    let file = ModelFile::from_parts(tensors.overlaid(fresh), config, info)?;
    Ok(Adapted { file, has_new_head, has_new_adapter, started })
}

/// A head's tensor `[classes, …]` with the base's rows for the classes that the base knows by name.
fn with_known_rows(start: &HostTensor, base: &ModelFile, labels: &LabelSet) -> Result<HostTensor> {
    let (mut values, known) = (start.to_f32()?, base.read(&start.name)?.to_f32()?);
    let width = values.len() / labels.len();
    for (row, class) in values.chunks_exact_mut(width).zip(&labels.classes) {
        if let Some(id) = base.info().labels.id(&class.name) {
            row.copy_from_slice(&known[id as usize * width..][..width]);
        }
    }
    Ok(HostTensor::from_f32(&start.name, &start.shape, &values))
}

/// A model that starts at random, in memory.
///
/// # Errors
/// [`Error::Argument`] for a configuration that is not valid or does not fit `info`.
pub fn fresh(name: &str, config: Config, info: ModelInfo, seed: u64) -> Result<ModelFile> {
    config.validate()?;
    let tensors = config.parameters().into_iter().map(|parameter| parameter.initial(seed));
    ModelFile::from_parts(TensorFile::empty(name).overlaid(tensors), config, info)
}

impl ModelFile {
    /// The model with other values of some parameters, for example trained ones.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tensor that is none of its parameters, or of another shape.
    pub fn with_parameters(self, tensors: impl IntoIterator<Item = HostTensor>) -> Result<Self> {
        let tensors: Vec<HostTensor> = tensors.into_iter().collect();
        for tensor in &tensors {
            let expected = self.tensors().shape(&tensor.name);
            if expected != Some(&tensor.shape) || !super::weights::is_parameter(&tensor.name) {
                return Err(Error::Argument {
                    what: tensor.name.clone(),
                    problem: format!("has shape {:?}, the model needs {expected:?}", tensor.shape),
                    advice: "Give the parameters of this model".to_owned(),
                });
            }
        }
        let (file, config, info) = self.into_parts();
        Self::from_parts(file.overlaid(tensors), config, info)
    }

    /// The model with another description.
    ///
    /// # Errors
    /// [`Error::Argument`] if it does not fit.
    pub fn with_info(self, info: ModelInfo) -> Result<Self> {
        let (tensors, config, _) = self.into_parts();
        Self::from_parts(tensors, config, info)
    }
}

/// Whether a head for one set of classes serves another: as many, of the same names.
pub fn same_classes(one: &LabelSet, other: &LabelSet) -> bool {
    one.len() == other.len() && one.classes.iter().zip(&other.classes).all(|(a, b)| a.name == b.name)
}

/// Adds the adapter that is asked for, unless the base has the very same; returns whether it was added.
fn add_adapter(config: &mut Config, base: &ModelFile, adaptation: &Adaptation<'_>) -> Result<bool> {
    let Some(choice) = adaptation.adapter else {
        if *adaptation.settings == AdapterSettings::default() {
            return Ok(false);
        }
        return Err(Error::Argument {
            what: "adapter".to_owned(),
            problem: "has settings, but none is to be added".to_owned(),
            advice: "Name the adapter, or leave its settings out".to_owned(),
        });
    };
    let existing = config.adapter();
    if existing == Adapter::None {
        config.activate_param =
            adaptation.settings.configure(&mut config.backbone, choice)?.map(|name| vec![name.to_owned()]);
        config.freeze_backbone = config.activate_param.is_some();
        return Ok(choice != AdapterChoice::None);
    }
    let is_the_same = existing.name() == choice.name() && {
        let mut plain = config.clone();
        plain.backbone.adapter = None;
        super::config::PLAIN_BACKBONE.clone_into(&mut plain.backbone.kind);
        let as_it_is = *adaptation.settings == AdapterSettings::default();
        as_it_is || {
            adaptation.settings.configure(&mut plain.backbone, choice)?;
            plain.adapter() == existing
        }
    };
    if is_the_same {
        return Ok(false);
    }
    Err(Error::Model {
        path: base.path().to_owned(),
        problem: if existing.name() == choice.name() {
            format!("has an adapter already: {} with other settings", existing.name())
        } else {
            format!("has an adapter already: {}, not {}", existing.name(), choice.name())
        },
        advice: "Leave the adapter out to train the one that is there, or give a base without one".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset::Preset;
    use crate::model::tensor_file::Dtype;
    use crate::model::write::write_model_to;

    fn base(adapter: AdapterChoice, dtype: Dtype) -> ModelFile {
        let config = Config::preset(Preset::Rooms, adapter, 21).unwrap();
        let mut bytes = Vec::new();
        let info = ModelInfo::new(LabelSet::rooms());
        write_model_to(&mut bytes, &config, &info, dtype, |p| Ok(p.initial(3))).unwrap();
        ModelFile::from_bytes("base.safetensors", bytes).unwrap()
    }

    fn adaptation<'a>(
        adapter: Option<AdapterChoice>,
        settings: &'a AdapterSettings,
        labels: &'a LabelSet,
    ) -> Adaptation<'a> {
        Adaptation { adapter, settings, labels, seed: 9, may_start: &|_| false }
    }

    #[test]
    fn an_adapter_is_added_and_the_base_stays_as_it_is_stored() {
        let (settings, labels) = (AdapterSettings::default(), LabelSet::rooms());
        for choice in [AdapterChoice::Lora, AdapterChoice::Bottleneck, AdapterChoice::LowRank, AdapterChoice::BasisMix]
        {
            let before = base(AdapterChoice::None, Dtype::F16);
            let adapted =
                adapt(base(AdapterChoice::None, Dtype::F16), &adaptation(Some(choice), &settings, &labels)).unwrap();
            assert!(adapted.has_new_adapter && !adapted.has_new_head && adapted.started.is_empty());
            let file = adapted.file;
            let preset = Config::preset(Preset::Rooms, choice, 21).unwrap();
            assert_eq!(file.config(), &preset, "an adapted base is the model that was made with the adapter");
            assert!(file.check_against(&preset, false).unwrap().names.is_empty());
            for parameter in preset.parameters() {
                let tensor = file.read(&parameter.name).unwrap();
                if parameter.role == Role::Adapter {
                    assert_eq!(tensor, parameter.initial(9), "{}", parameter.name);
                } else {
                    assert_eq!(tensor, before.read(&parameter.name).unwrap(), "{}", parameter.name);
                    assert_eq!(tensor.dtype, Dtype::F16);
                }
            }
        }
    }

    #[test]
    fn other_classes_get_a_new_head() {
        let settings = AdapterSettings::default();
        let labels = LabelSet::new("two", [("pipe".to_owned(), [1, 2, 3]), ("rest".to_owned(), [4, 5, 6])]);
        let adapted = adapt(base(AdapterChoice::None, Dtype::F32), &adaptation(None, &settings, &labels)).unwrap();
        assert!(adapted.has_new_head && !adapted.has_new_adapter);
        assert_eq!((adapted.file.config().num_classes, &adapted.file.info().labels), (2, &labels));
        assert_eq!(adapted.file.read("seg_head.weight").unwrap().shape, [2, 32]);
        let same = adapt(base(AdapterChoice::None, Dtype::F32), &adaptation(None, &settings, &LabelSet::rooms()));
        assert!(!same.unwrap().has_new_head);
    }

    #[test]
    fn classes_that_the_base_knows_keep_their_rows_wherever_they_go() {
        let settings = AdapterSettings::default();
        let classes = ["pipe", "chair", "wall"].map(|name| (name.to_owned(), [1, 2, 3]));
        let labels = LabelSet::new("three", classes);
        let old = base(AdapterChoice::None, Dtype::F32);
        let ids = ["chair", "wall"].map(|name| old.info().labels.id(name).unwrap() as usize);
        let known = ["seg_head.weight", "seg_head.bias"].map(|name| old.read(name).unwrap().to_f32().unwrap());
        let new = adapt(old, &adaptation(None, &settings, &labels)).unwrap().file;
        for (name, known) in ["seg_head.weight", "seg_head.bias"].iter().zip(known) {
            let values = new.read(name).unwrap().to_f32().unwrap();
            let width = values.len() / 3;
            for (row, id) in [1, 2].into_iter().zip(ids) {
                assert_eq!(values[row * width..][..width], known[id * width..][..width], "{name}");
            }
        }
    }

    #[test]
    fn an_adapter_that_is_there_is_kept_or_refused() {
        let (settings, labels) = (AdapterSettings::default(), LabelSet::rooms());
        let with = |choice, settings: &AdapterSettings| {
            adapt(base(AdapterChoice::LowRank, Dtype::F32), &adaptation(choice, settings, &labels))
        };
        for choice in [None, Some(AdapterChoice::LowRank)] {
            let kept = with(choice, &settings).unwrap();
            assert!(!kept.has_new_adapter);
            assert_eq!(kept.file.config(), base(AdapterChoice::LowRank, Dtype::F32).config());
        }
        let same = AdapterSettings { rank: Some(4), ..AdapterSettings::default() };
        assert!(!with(Some(AdapterChoice::LowRank), &same).unwrap().has_new_adapter);
        for (choice, rank) in
            [(AdapterChoice::Lora, None), (AdapterChoice::LowRank, Some(5)), (AdapterChoice::None, None)]
        {
            let error = with(Some(choice), &AdapterSettings { rank, ..AdapterSettings::default() }).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("base.safetensors: has an adapter already: low_rank"), "{text}");
        }
        assert!(with(None, &same).is_err(), "settings of no adapter");
    }

    #[test]
    fn a_base_of_another_width_is_refused() {
        let (settings, labels) = (AdapterSettings::default(), LabelSet::rooms());
        let narrow = base(AdapterChoice::None, Dtype::F32);
        let wrong = HostTensor::from_f32("backbone.enc.enc1.block0.attn.qkv.weight", &[2, 2], &[0.0; 4]);
        let (tensors, config, info) = narrow.into_parts();
        let narrow = ModelFile::from_parts(tensors.overlaid([wrong]), config, info).unwrap();
        let error = adapt(narrow, &adaptation(Some(AdapterChoice::Lora), &settings, &labels)).unwrap_err();
        assert!(matches!(&error, Error::Weights { wrong_shape, .. } if wrong_shape.len() == 1), "{error}");
    }

    #[test]
    fn what_the_base_lacks_starts_at_random_only_if_it_will_learn() {
        let (settings, labels) = (AdapterSettings::default(), LabelSet::rooms());
        let headless = || {
            let full = base(AdapterChoice::None, Dtype::F32);
            let config = full.config().clone();
            let kept = full.parameter_names().filter(|name| !name.starts_with("backbone.dec."));
            let kept: Vec<HostTensor> = kept.map(|name| full.read(name).unwrap()).collect();
            let empty = TensorFile::empty("base");
            ModelFile::from_parts(empty.overlaid(kept), config, full.info().clone()).unwrap()
        };
        let error = adapt(headless(), &adaptation(None, &settings, &labels)).unwrap_err();
        assert!(matches!(&error, Error::Weights { missing, .. } if missing[0].starts_with("backbone.dec.dec2")));
        let decoder = |name: &str| Role::of(name) == Role::Decoder;
        let adapted =
            adapt(headless(), &Adaptation { may_start: &decoder, ..adaptation(None, &settings, &labels) }).unwrap();
        assert!(!adapted.started.is_empty() && adapted.started.iter().all(|name| decoder(name)));
        assert!(adapted.file.check_against(adapted.file.config(), false).is_ok());
    }

    #[test]
    fn a_fresh_model_in_memory_is_the_one_that_init_writes() {
        let config = Config::preset(Preset::Rooms, AdapterChoice::LowRank, 21).unwrap();
        let fresh = fresh("fresh", config.clone(), ModelInfo::new(LabelSet::rooms()), 3).unwrap();
        let written = base(AdapterChoice::LowRank, Dtype::F32);
        assert_eq!((fresh.config(), fresh.info()), (written.config(), written.info()));
        for parameter in config.parameters() {
            assert_eq!(fresh.read(&parameter.name).unwrap(), written.read(&parameter.name).unwrap());
        }
        let wrong = HostTensor::from_f32("seg_head.bias", &[3], &[0.0; 3]);
        assert!(fresh.with_parameters([wrong]).is_err());
    }
}
