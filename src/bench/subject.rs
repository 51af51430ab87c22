//! The model that is measured.

use crate::{
    LabelSet, Result,
    model::{
        config::{AdapterConfig, Config, PLAIN_BACKBONE, POINTTPA_BACKBONE},
        plan::Adapter,
        preset::{AdapterChoice, Preset},
        tensor_file::Dtype,
        weights::{ModelFile, ModelInfo},
        write::write_model_to,
    },
};
use std::path::PathBuf;

/// Seed of the weights made for a measurement: what a run costs does not depend on them.
const SEED: u64 = 0;

/// Which model to measure.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A ready-made configuration with fresh weights, made in memory.
    Preset {
        /// The network.
        preset: Preset,
        /// Its adapter.
        adapter: AdapterChoice,
    },
    /// A model file.
    File(PathBuf),
}

impl Subject {
    /// The preset's name, or the file's.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Preset { preset: Preset::Base, .. } => "base".into(),
            Self::Preset { preset: Preset::Small, .. } => "small".into(),
            Self::Preset { preset: Preset::Rooms, .. } => "rooms".into(),
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }

    pub(super) fn open(&self) -> Result<ModelFile> {
        match self {
            Self::Preset { preset, adapter } => {
                let labels = if *preset == Preset::Rooms { LabelSet::rooms() } else { LabelSet::scannet20() };
                let config = Config::preset(*preset, *adapter, labels.classes.len())?;
                fresh(&config, &ModelInfo::new(labels))
            }
            Self::File(path) => ModelFile::open(path),
        }
    }
}

/// The network of a model file without its adapter, with fresh weights; `None` if it has none.
pub(super) fn open_without_adapter(file: &ModelFile) -> Result<Option<ModelFile>> {
    if file.config().adapter() == Adapter::None {
        return Ok(None);
    }
    fresh(&without_adapter(file.config()), file.info()).map(Some)
}

fn fresh(config: &Config, info: &ModelInfo) -> Result<ModelFile> {
    let mut bytes = Vec::new();
    write_model_to(&mut bytes, config, info, Dtype::F32, |parameter| Ok(parameter.initial(SEED)))?;
    ModelFile::from_bytes("a model in memory", bytes)
}

fn without_adapter(config: &Config) -> Config {
    let mut plain = config.clone();
    let backbone = &mut plain.backbone;
    if backbone.kind == POINTTPA_BACKBONE {
        PLAIN_BACKBONE.clone_into(&mut backbone.kind);
    }
    backbone.adapter = None::<AdapterConfig>;
    (backbone.dy_down_layers, backbone.dy_up_layers) = (None, None);
    (backbone.k_list, backbone.param_list, backbone.mode_list) = (None, None, None);
    backbone.adaptive_mid = None;
    (plain.freeze_backbone, plain.activate_param) = (false, None);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_adapter_a_configuration_is_the_plain_one() {
        let plain = Config::preset(Preset::Base, AdapterChoice::None, 20).unwrap();
        let all = [AdapterChoice::Lora, AdapterChoice::Bottleneck, AdapterChoice::LowRank, AdapterChoice::BasisMix];
        for adapter in all {
            let adapted = Config::preset(Preset::Base, adapter, 20).unwrap();
            assert_ne!(adapted.adapter(), Adapter::None);
            assert_eq!(without_adapter(&adapted), plain, "{adapter:?}");
        }
    }
}
