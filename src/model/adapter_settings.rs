//! The settings of an adapter that is added to a network, and what they are where nothing is said.

use super::config::{AdapterConfig, Backbone, POINTTPA_BACKBONE, SngMode, Target};
use super::plan::basis_mix_layer;
use super::preset::AdapterChoice;
use crate::{Error, Result};

/// Channels of the widest stage per rank of the default adapter: 512 give the published 16.
const CHANNELS_PER_RANK: usize = 32;
/// Less can hardly carry anything, more is more than the published adapters have.
const DEFAULT_RANKS: (usize, usize) = (4, 16);
/// Width of a bottleneck per default rank: 64 beside a rank of 16, as published.
const WIDTH_PER_RANK: usize = 4;
/// Bases per stage of the released adapters.
pub(super) const RELEASED_BASES: [usize; 5] = [4, 4, 2, 2, 2];
/// Groups per stage of the released adapters.
pub(super) const RELEASED_GROUPS: [usize; 5] = [200, 100, 50, 20, 10];

/// What is said about an adapter; the rest follows from the network, see [`AdapterChoice`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdapterSettings {
    /// Rank of the deltas; `lora` and `low_rank`. By default a 32nd of the widest stage's channels, from 4 to 16.
    pub rank: Option<usize>,
    /// Numerator of the factor `alpha / rank` on the deltas; `lora` and `low_rank`. By default the rank.
    pub alpha: Option<f64>,
    /// Width of the generator's hidden layer (`low_rank`; by default as the rank's default) or of the bottleneck (`adapter`
    /// and `basis_mix`; four times that).
    pub hidden: Option<usize>,
    /// Points whose mean describes a patch, 0 for the whole scene (`low_rank`; by default the attention's window), or
    /// points of a group (`basis_mix`; by default the released numbers of groups).
    pub window: Option<usize>,
    /// Points that share one delta; `low_rank`. By default half the window.
    pub stride: Option<usize>,
    /// The adapted encoder blocks (`lora`: by default all; `low_rank`: the last of each stage), or those with a dynamic
    /// projection (`basis_mix`: the last of each stage).
    pub layers: Option<Layers>,
    /// The wrapped layers of a block; `lora` and `low_rank`. By default qkv.
    pub targets: Option<Vec<Target>>,
}

/// Encoder blocks, numbered by cumulative depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layers {
    /// All of them.
    All,
    /// The last one of each stage.
    Last,
    /// These.
    Listed(Vec<usize>),
}

/// Points whose mean describes a patch of `low_rank`, where nothing is said: the attention's window.
pub(super) fn default_window(backbone: &Backbone) -> usize {
    backbone.enc_patch_size.first().copied().unwrap_or(1)
}

/// Points that share a delta of `low_rank`, where nothing is said: half of the window.
pub(super) fn default_stride(backbone: &Backbone, window: usize) -> usize {
    if window == 0 { default_window(backbone) } else { window }.div_ceil(2)
}

impl AdapterSettings {
    /// Gives a plain backbone an adapter, and returns what the names of the adapter's parameters have in common.
    ///
    /// # Errors
    /// [`Error::Argument`] naming a setting that the adapter does not have, or a block that is not there.
    pub(super) fn configure(&self, backbone: &mut Backbone, adapter: AdapterChoice) -> Result<Option<&'static str>> {
        self.only_what_applies(adapter)?;
        let widest = backbone.enc_channels.iter().copied().max().unwrap_or(0);
        let size = (widest / CHANNELS_PER_RANK).clamp(DEFAULT_RANKS.0, DEFAULT_RANKS.1);
        let rank = self.rank.unwrap_or(size);
        let alpha = self.alpha.unwrap_or(rank as f64);
        let targets = self.targets.clone().unwrap_or_else(|| vec![Target::Qkv]);
        let mid = self.hidden.unwrap_or(WIDTH_PER_RANK * size);
        let layers = |default| self.layers.as_ref().unwrap_or(default).listed(backbone);
        match adapter {
            AdapterChoice::None => Ok(None),
            AdapterChoice::Lora => {
                let layers = layers(&Layers::All)?;
                backbone.adapter = Some(AdapterConfig::Lora { rank, alpha, targets, layers });
                Ok(Some("lora"))
            }
            AdapterChoice::Bottleneck => {
                backbone.adapter = Some(AdapterConfig::Adapter { mid });
                Ok(Some("adaptive_module"))
            }
            AdapterChoice::LowRank => {
                let layers = layers(&Layers::Last)?;
                let window = self.window.unwrap_or_else(|| default_window(backbone));
                let stride = self.stride.unwrap_or_else(|| default_stride(backbone, window));
                let hidden = self.hidden.unwrap_or(size);
                backbone.adapter =
                    Some(AdapterConfig::LowRank { rank, alpha, hidden, window, stride, targets, layers });
                Ok(Some("dpp"))
            }
            AdapterChoice::BasisMix => {
                self.released(backbone, mid)?;
                Ok(Some("adaptive_module"))
            }
        }
    }

    fn released(&self, backbone: &mut Backbone, mid: usize) -> Result<()> {
        let dynamic = self.layers.as_ref().unwrap_or(&Layers::Last).blocks(backbone)?;
        let numbers = dynamic.into_iter().filter_map(|(stage, index)| basis_mix_layer(stage, index)).collect();
        let stages = backbone.stages();
        let (groups, mode) = match self.window {
            Some(points) => (vec![points; stages], SngMode::Length),
            None => (RELEASED_GROUPS.into_iter().take(stages).collect(), SngMode::Num),
        };
        backbone.dy_down_layers = Some(numbers);
        backbone.dy_up_layers = Some(Vec::new());
        backbone.k_list = Some(RELEASED_BASES.into_iter().take(stages).collect());
        backbone.param_list = Some(groups);
        backbone.mode_list = Some(vec![mode; stages]);
        backbone.adaptive_mid = Some(mid);
        POINTTPA_BACKBONE.clone_into(&mut backbone.kind);
        backbone.adapter = None;
        Ok(())
    }

    /// Refuses what the adapter does not have.
    fn only_what_applies(&self, adapter: AdapterChoice) -> Result<()> {
        use AdapterChoice::{BasisMix, Bottleneck, Lora, LowRank};
        let said: [(&str, bool, &[AdapterChoice]); 7] = [
            ("rank", self.rank.is_some(), &[Lora, LowRank]),
            ("alpha", self.alpha.is_some(), &[Lora, LowRank]),
            ("hidden", self.hidden.is_some(), &[LowRank, Bottleneck, BasisMix]),
            ("window", self.window.is_some(), &[LowRank, BasisMix]),
            ("stride", self.stride.is_some(), &[LowRank]),
            ("layers", self.layers.is_some(), &[Lora, LowRank, BasisMix]),
            ("targets", self.targets.is_some(), &[Lora, LowRank]),
        ];
        for (name, is_said, adapters) in said {
            if is_said && !adapters.contains(&adapter) {
                let those: Vec<&str> = adapters.iter().map(|adapter| adapter.name()).collect();
                return Err(Error::Argument {
                    what: name.to_owned(),
                    problem: format!("is a setting of {}, the adapter is {}", those.join(", "), adapter.name()),
                    advice: "Leave it out, or choose one of those adapters".to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl Layers {
    /// As a configuration has them; `None` is all.
    fn listed(&self, backbone: &Backbone) -> Result<Option<Vec<usize>>> {
        if *self == Self::All {
            return Ok(None);
        }
        let depths = &backbone.enc_depths;
        let number = |(stage, index): (usize, usize)| depths[..stage].iter().sum::<usize>() + index;
        Ok(Some(self.blocks(backbone)?.into_iter().map(number).collect()))
    }

    /// Stage and index of each block, in order.
    fn blocks(&self, backbone: &Backbone) -> Result<Vec<(usize, usize)>> {
        let depths = backbone.enc_depths.iter().copied().enumerate();
        let all: Vec<(usize, usize)> = depths.flat_map(|(stage, depth)| (0..depth).map(move |i| (stage, i))).collect();
        match self {
            Self::All => Ok(all),
            Self::Last => Ok(all.into_iter().filter(|(stage, i)| i + 1 == backbone.enc_depths[*stage]).collect()),
            Self::Listed(numbers) => {
                let mut numbers = numbers.clone();
                numbers.sort_unstable();
                numbers.dedup();
                let of = |number: usize| {
                    all.get(number).copied().ok_or_else(|| Error::Argument {
                        what: "layers".to_owned(),
                        problem: format!("names layer {number}, the encoder has layers 0 to {}", all.len().max(1) - 1),
                        advice: "Number the encoder's blocks from 0 through all stages".to_owned(),
                    })
                };
                numbers.into_iter().map(of).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Config;
    use crate::model::plan::Adapter;
    use crate::model::preset::Preset;

    /// Four stages of one, one, two and two blocks, whose attention sees 256 points.
    fn plain() -> Config {
        let mut config = Config::preset(Preset::Rooms, AdapterChoice::None, 5).unwrap();
        config.backbone.enc_depths = vec![1, 1, 2, 2];
        config.backbone.enc_patch_size = vec![256; 4];
        config
    }

    fn configured(settings: &AdapterSettings, choice: AdapterChoice) -> Result<Config> {
        let mut config = plain();
        settings.configure(&mut config.backbone, choice)?;
        config.validate()?;
        Ok(config)
    }

    #[test]
    fn what_is_said_is_taken_and_the_rest_follows() {
        let settings = AdapterSettings { rank: Some(3), window: Some(65), ..AdapterSettings::default() };
        let Adapter::LowRank { rank, alpha, hidden, window, stride, targets, layers } =
            configured(&settings, AdapterChoice::LowRank).unwrap().adapter()
        else {
            panic!("another adapter")
        };
        assert_eq!((rank, alpha, hidden, window, stride), (3, 3.0, 4, 65, 33));
        assert_eq!((targets, layers), (vec![Target::Qkv], vec![0, 1, 3, 5]));

        let global = AdapterSettings { window: Some(0), layers: Some(Layers::All), ..AdapterSettings::default() };
        let adapter = configured(&global, AdapterChoice::LowRank).unwrap().adapter();
        assert!(matches!(adapter, Adapter::LowRank { window: 0, stride: 128, layers, .. } if layers.len() == 6));
    }

    #[test]
    fn listed_layers_are_blocks_of_the_encoder() {
        let layers = |numbers: &[usize]| Layers::Listed(numbers.to_vec()).blocks(&plain().backbone);
        assert_eq!(layers(&[5, 2, 5]).unwrap(), [(2, 0), (3, 1)]);
        let error = layers(&[6]).unwrap_err().to_string();
        assert!(error.contains("layers 0 to 5"), "{error}");
        // The released numbering has gaps where stages are shallow.
        let settings = AdapterSettings { layers: Some(Layers::Listed(vec![1, 3])), ..AdapterSettings::default() };
        let config = configured(&settings, AdapterChoice::BasisMix).unwrap();
        assert_eq!(config.backbone.dy_down_layers, Some(vec![3, 7]));
    }

    #[test]
    fn groups_of_a_length_are_possible() {
        let settings = AdapterSettings { window: Some(96), hidden: Some(8), ..AdapterSettings::default() };
        let backbone = configured(&settings, AdapterChoice::BasisMix).unwrap().backbone;
        assert_eq!((backbone.param_list, backbone.mode_list), (Some(vec![96; 4]), Some(vec![SngMode::Length; 4])));
        assert_eq!(backbone.adaptive_mid, Some(8));
    }

    #[test]
    fn settings_of_other_adapters_are_refused_by_name() {
        for (settings, choice, name) in [
            (AdapterSettings { rank: Some(3), ..Default::default() }, AdapterChoice::BasisMix, "rank"),
            (AdapterSettings { stride: Some(3), ..Default::default() }, AdapterChoice::Lora, "stride"),
            (AdapterSettings { hidden: Some(3), ..Default::default() }, AdapterChoice::None, "hidden"),
            (AdapterSettings { layers: Some(Layers::All), ..Default::default() }, AdapterChoice::Bottleneck, "layers"),
        ] {
            let error = configured(&settings, choice).unwrap_err();
            assert!(matches!(&error, Error::Argument { what, .. } if what == name), "{error}");
        }
    }
}
