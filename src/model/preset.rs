//! Ready-made configurations.

use super::adapter_settings::AdapterSettings;
use super::config::{Backbone, Config, Curve};
use crate::Result;

/// Features per point: coordinates, colour, normal.
const IN_CHANNELS: usize = 9;

/// A network without its adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The reference's `ScanNet` configuration on the Sonata backbone: encoder head, 108.5 million parameters.
    Base,
    /// `PTv3`'s default configuration with a decoder: 46.1 million parameters.
    Small,
    /// For rooms on a CPU, at voxels of 4 cm: four stages with a decoder, 2.6 million parameters. Most points are in
    /// the finest stage, so that it is shallow and narrow, and the coarse ones, where a point costs little to the
    /// whole, are wide; a window of the coarsest stage sees a whole room. The Hilbert curves come first, because
    /// shallow stages use only the first of the curves and Hilbert keeps neighbours closest together.
    Rooms,
}

/// An adapter with its default settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterChoice {
    /// None.
    None,
    /// Static low-rank deltas on the qkv layer of every encoder block.
    Lora,
    /// A static bottleneck in every block.
    Bottleneck,
    /// Deltas generated per patch, on the qkv layer of the last block of each stage.
    ///
    /// A patch is 512 points described by the mean of the 1,024 around them: the window is then what the block's
    /// attention sees at once (its window is 1,024 points, too), and half a window of stride lets neighbouring
    /// patches share half of their description, so the weights change gradually along the curve. Where the
    /// attention window is another, both follow it. Rank, alpha and hidden width of 16 keep the adapters near
    /// one per cent of the base model; `rooms` has so few parameters that 4 is as much as it can carry.
    LowRank,
    /// The released adapters: the last block of each stage is dynamic.
    BasisMix,
}

impl AdapterChoice {
    /// Its name in a configuration: `none`, `lora`, `adapter`, `low_rank` or `basis_mix`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lora => "lora",
            Self::Bottleneck => "adapter",
            Self::LowRank => "low_rank",
            Self::BasisMix => "basis_mix",
        }
    }
}

impl Config {
    /// A ready-made configuration.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if `num_classes` is not valid.
    pub fn preset(preset: Preset, adapter: AdapterChoice, num_classes: usize) -> Result<Self> {
        Self::preset_with(preset, adapter, &AdapterSettings::default(), num_classes)
    }

    /// A ready-made configuration with settings of its adapter.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if `num_classes` or a setting is not valid, or not one of the adapter.
    pub fn preset_with(
        preset: Preset,
        adapter: AdapterChoice,
        settings: &AdapterSettings,
        num_classes: usize,
    ) -> Result<Self> {
        let mut backbone = match preset {
            Preset::Base => base(),
            Preset::Small => small(),
            Preset::Rooms => rooms(),
        };
        let trained = settings.configure(&mut backbone, adapter)?;
        let config = Self::around(backbone, trained, num_classes);
        config.validate()?;
        Ok(config)
    }

    /// A backbone with a head and the published losses; of a backbone with an adapter, `trained` is what the names of the
    /// adapter's parameters have in common.
    pub(super) fn around(backbone: Backbone, trained: Option<&str>, num_classes: usize) -> Self {
        let mut config = Self {
            num_classes,
            backbone,
            criteria: serde_json::json!([
                {"type": "CrossEntropyLoss", "loss_weight": 1.0, "ignore_index": -1},
                {"type": "LovaszLoss", "mode": "multiclass", "loss_weight": 1.0, "ignore_index": -1},
            ]),
            freeze_backbone: trained.is_some(),
            activate_param: trained.map(|name| vec![name.to_owned()]),
            ..Self::default()
        };
        config.backbone_out_channels = config.head_channels();
        config
    }
}

fn base() -> Backbone {
    Backbone {
        in_channels: IN_CHANNELS,
        order: vec![Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans],
        enc_depths: vec![3, 3, 3, 12, 3],
        enc_channels: vec![48, 96, 192, 384, 512],
        enc_num_head: vec![3, 6, 12, 24, 32],
        enc_patch_size: vec![1024; 5],
        dec_patch_size: vec![1024; 4],
        enc_mode: true,
        ..Backbone::default()
    }
}

fn small() -> Backbone {
    Backbone {
        in_channels: IN_CHANNELS,
        order: vec![Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans],
        enc_patch_size: vec![1024; 5],
        dec_patch_size: vec![1024; 4],
        ..Backbone::default()
    }
}

fn rooms() -> Backbone {
    Backbone {
        in_channels: IN_CHANNELS,
        order: vec![Curve::Hilbert, Curve::HilbertTrans, Curve::Z, Curve::ZTrans],
        stride: vec![2; 3],
        enc_depths: vec![1, 2, 2, 2],
        enc_channels: vec![32, 64, 96, 128],
        enc_num_head: vec![2, 4, 6, 8],
        enc_patch_size: vec![128, 256, 256, 256],
        dec_depths: vec![1; 3],
        dec_channels: vec![32, 48, 64],
        dec_num_head: vec![2, 3, 4],
        dec_patch_size: vec![128, 256, 256],
        drop_path: 0.1,
        ..Backbone::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parameters::{Role, count, count_role};

    const PRESETS: [Preset; 3] = [Preset::Base, Preset::Small, Preset::Rooms];

    #[test]
    fn presets_have_the_promised_sizes() {
        let sizes = PRESETS.map(|p| count(&Config::preset(p, AdapterChoice::None, 20).unwrap()));
        assert_eq!(sizes[0], 108_485_988);
        assert_eq!(sizes[1], 46_143_892);
        let released = count(&Config::preset(Preset::Small, AdapterChoice::BasisMix, 20).unwrap());
        assert!((46_700_000..46_900_000).contains(&released), "{released}");
        assert!((2_400_000..2_900_000).contains(&sizes[2]), "{sizes:?}");
    }

    #[test]
    fn every_preset_takes_every_adapter() {
        for preset in PRESETS {
            for adapter in [
                AdapterChoice::None,
                AdapterChoice::Lora,
                AdapterChoice::Bottleneck,
                AdapterChoice::LowRank,
                AdapterChoice::BasisMix,
            ] {
                let config = Config::preset(preset, adapter, 13).unwrap();
                let text = config.to_json().unwrap();
                assert_eq!(Config::from_json(&text).unwrap(), config, "{preset:?} {adapter:?}");
                let adapted = count_role(&config, Role::Adapter);
                assert_eq!(adapted > 0, adapter != AdapterChoice::None, "{preset:?} {adapter:?}");
                if let Some(names) = &config.activate_param {
                    let matches = |p: &crate::model::parameters::Parameter| names.iter().all(|n| p.name.contains(n));
                    let trained = config.parameters().into_iter().filter(matches).map(|p| p.elements()).sum::<u64>();
                    assert_eq!(trained, adapted, "{preset:?} {adapter:?}");
                }
            }
        }
    }

    #[test]
    fn low_rank_trains_less_than_two_per_cent() {
        for preset in PRESETS {
            let config = Config::preset(preset, AdapterChoice::LowRank, 20).unwrap();
            let trained = count_role(&config, Role::Adapter) + count_role(&config, Role::Head);
            let share = trained as f64 / count(&config) as f64;
            assert!(share > 0.005 && share < 0.02, "{preset:?}: {share}");
        }
    }

    #[test]
    fn released_adapters_sit_in_the_last_block_of_each_stage() {
        let layers = |preset| Config::preset(preset, AdapterChoice::BasisMix, 20).unwrap().backbone.dy_down_layers;
        assert_eq!(layers(Preset::Base), Some(vec![2, 5, 8, 20, 23]));
        assert_eq!(layers(Preset::Small), Some(vec![1, 4, 7, 14, 22]));
        assert_eq!(layers(Preset::Rooms), Some(vec![0, 4, 7, 10]));
    }
}
