//! From a configuration to what the network builder needs: one plan per block.
//!
//! The reference spreads these rules over constructors with many default arguments. Here they are resolved
//! once: which curve a block follows, which of its parts are adapted and how, and under which names its
//! weights are stored.

use super::config::{AdapterConfig, Backbone, Config, POINTTPA_BACKBONE, SngMode, Target};

/// Number of the first block of each stage in the released code's numbering of layers.
pub const BASIS_MIX_FIRST_LAYER: [usize; 5] = [0, 3, 6, 9, 21];
/// Width of the adapters in the decoder of a released model, whatever its configuration says.
pub const BASIS_MIX_DECODER_MID: usize = 64;

/// The released code's number of encoder block `index` in `stage`, which `dy_down_layers` and `dy_up_layers`
/// refer to: hard-coded for depths 3, 3, 3, 12, 3, so with other depths numbers are skipped or shared by two
/// blocks. `None` beyond its five stages.
pub fn basis_mix_layer(stage: usize, index: usize) -> Option<usize> {
    BASIS_MIX_FIRST_LAYER.get(stage)?.checked_add(index)
}

/// The adapter of a model, independent of how its configuration spells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Adapter {
    /// None.
    None,
    /// Static low-rank deltas.
    Lora {
        /// Rank of the delta.
        rank: usize,
        /// The delta is multiplied by `alpha / rank`.
        alpha: f64,
        /// The wrapped layers of an adapted block.
        targets: Vec<Target>,
        /// The adapted encoder blocks, numbered by cumulative depth.
        layers: Vec<usize>,
    },
    /// Low-rank deltas generated per patch.
    LowRank {
        /// Rank of the delta.
        rank: usize,
        /// The delta is multiplied by `alpha / rank`.
        alpha: f64,
        /// Width of the generator's hidden layer.
        hidden: usize,
        /// Points whose mean describes a patch; 0 is the whole scene.
        window: usize,
        /// Points that share one delta.
        stride: usize,
        /// The wrapped layers of an adapted block.
        targets: Vec<Target>,
        /// The adapted encoder blocks, numbered by cumulative depth.
        layers: Vec<usize>,
    },
    /// A static bottleneck in every block.
    Bottleneck {
        /// Its width.
        mid: usize,
    },
    /// A bottleneck in every block, dynamic in some: `k` bases mixed by a softmax gate per group of points.
    BasisMix {
        /// Width of the bottleneck in the encoder.
        mid: usize,
        /// Bases per stage.
        k: Vec<usize>,
        /// Number or length of the groups per stage.
        param: Vec<usize>,
        /// Which of the two `param` is, per stage.
        mode: Vec<SngMode>,
        /// Layers with a dynamic down-projection, numbered by [`basis_mix_layer`].
        down_layers: Vec<usize>,
        /// Layers with a dynamic up-projection, numbered by [`basis_mix_layer`].
        up_layers: Vec<usize>,
    },
}

/// One block of encoder or decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockPlan {
    /// Start of its parameters' names, without a final dot: `backbone.enc.enc0.block1`.
    pub prefix: String,
    /// Features per point.
    pub channels: usize,
    /// Attention heads; each has `channels / heads` channels.
    pub heads: usize,
    /// Points per attention window.
    pub patch_size: usize,
    /// Factor on q·k.
    pub scale: f32,
    /// Whether the qkv layer has a bias.
    pub qkv_bias: bool,
    /// Width of the MLP's hidden layer.
    pub mlp_channels: usize,
    /// Which of the serialized orders attention and adapters follow.
    pub order_index: usize,
    /// Its place among all blocks, the encoder's first and then the decoder's, from 0.
    pub index: u32,
    /// Its part of the rate at which the deepest block drops rows in training, 0 to 1: it grows evenly from the first
    /// block of the encoder to the last, and in the decoder falls towards the finest stage.
    pub drop_share: f32,
    /// The bottleneck beside the MLP.
    pub adaptive: Option<BottleneckPlan>,
    /// Adapter around `attn.qkv`.
    pub qkv: Option<DeltaPlan>,
    /// Adapter around `mlp.0.fc1`.
    pub fc1: Option<DeltaPlan>,
    /// Adapter around `mlp.0.fc2`.
    pub fc2: Option<DeltaPlan>,
}

/// `adaptive_module`: layer norm, down to `mid`, `ReLU`, and up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BottleneckPlan {
    /// Width of the bottleneck.
    pub mid: usize,
    /// From the block's channels to `mid`.
    pub down: Projection,
    /// From `mid` to the block's channels.
    pub up: Projection,
}

/// A linear layer of a bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// One weight `[out, in]` for all points.
    Static,
    /// Per group of points, a mixture of `k` weights.
    Dynamic {
        /// Bases.
        k: usize,
        /// Width of the gate's hidden layer.
        gate_hidden: usize,
        /// Number or length of the groups.
        param: usize,
        /// Which of the two `param` is.
        mode: SngMode,
    },
}

/// A low-rank delta on a linear layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DeltaPlan {
    /// `y += scale · a (b x)`
    Lora {
        /// Columns of `a`, rows of `b`.
        rank: usize,
        /// `alpha / rank`.
        scale: f32,
    },
    /// `y += scale · A_p (B x)`, `A_p` generated from the mean of patch p.
    LowRank {
        /// Columns of `A_p`, rows of `B`.
        rank: usize,
        /// `alpha / rank`.
        scale: f32,
        /// Width of the generator's hidden layer.
        hidden: usize,
        /// Points whose mean describes a patch; 0 is the whole scene.
        window: usize,
        /// Points that share one delta.
        stride: usize,
    },
}

impl Adapter {
    /// The adapter's name as users write it: `none`, `lora`, `low_rank`, `adapter` or `basis_mix`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lora { .. } => "lora",
            Self::LowRank { .. } => "low_rank",
            Self::Bottleneck { .. } => "adapter",
            Self::BasisMix { .. } => "basis_mix",
        }
    }
}

impl Config {
    /// The model's adapter.
    pub fn adapter(&self) -> Adapter {
        let backbone = &self.backbone;
        if backbone.kind == POINTTPA_BACKBONE {
            return released(backbone);
        }
        let all_layers = || (0..backbone.encoder_blocks()).collect();
        match &backbone.adapter {
            None | Some(AdapterConfig::None {} | AdapterConfig::BasisMix {}) => Adapter::None,
            Some(AdapterConfig::Lora { rank, alpha, targets, layers }) => Adapter::Lora {
                rank: *rank,
                alpha: *alpha,
                targets: targets.clone(),
                layers: layers.clone().unwrap_or_else(all_layers),
            },
            Some(AdapterConfig::LowRank { rank, alpha, hidden, window, stride, targets, layers }) => Adapter::LowRank {
                rank: *rank,
                alpha: *alpha,
                hidden: *hidden,
                window: *window,
                stride: *stride,
                targets: targets.clone(),
                layers: layers.clone().unwrap_or_else(all_layers),
            },
            Some(AdapterConfig::Adapter { mid }) => Adapter::Bottleneck { mid: *mid },
        }
    }

    /// The plan of block `index` of `stage`, of the decoder or the encoder; `None` if there is no such block.
    /// Call it on a validated configuration.
    pub fn block_plan(&self, stage: usize, index: usize, is_decoder: bool) -> Option<BlockPlan> {
        self.adapted_block(&self.adapter(), stage, index, is_decoder)
    }

    /// All blocks of a stage.
    pub fn stage_plans(&self, stage: usize, is_decoder: bool) -> Vec<BlockPlan> {
        let adapter = self.adapter();
        (0..).map_while(|index| self.adapted_block(&adapter, stage, index, is_decoder)).collect()
    }

    fn adapted_block(&self, adapter: &Adapter, stage: usize, index: usize, is_decoder: bool) -> Option<BlockPlan> {
        let backbone = &self.backbone;
        let (path, stages, depths, channels, heads) = if is_decoder {
            ("dec", backbone.decoder_stages(), &backbone.dec_depths, &backbone.dec_channels, &backbone.dec_num_head)
        } else {
            ("enc", backbone.stages(), &backbone.enc_depths, &backbone.enc_channels, &backbone.enc_num_head)
        };
        if stage >= stages || index >= *depths.get(stage)? {
            return None;
        }
        let channels = *channels.get(stage)?;
        let heads = *heads.get(stage)?;
        let head_dim = channels.checked_div(heads)?;
        let before: usize = depths[..stage].iter().sum::<usize>() + index;
        let total: usize = depths.iter().sum();
        // The decoder's shares run in reverse within a stage.
        let step = if is_decoder { before - index + depths[stage] - 1 - index } else { before };
        let encoder_blocks: usize = if is_decoder { backbone.enc_depths.iter().sum() } else { 0 };
        let delta = |target| if is_decoder { None } else { adapter.delta(backbone, stage, index, target) };
        Some(BlockPlan {
            prefix: format!("backbone.{path}.{path}{stage}.block{index}"),
            channels,
            heads,
            patch_size: backbone.patch_size(stage)?,
            // As in the reference, a scale of 0 means the default.
            scale: backbone.qk_scale.filter(|&scale| scale != 0.0).unwrap_or((head_dim as f64).powf(-0.5)) as f32,
            qkv_bias: backbone.qkv_bias,
            mlp_channels: (channels as f64 * backbone.mlp_ratio) as usize,
            order_index: index.checked_rem(backbone.order.len())?,
            index: (encoder_blocks + before) as u32,
            drop_share: if total > 1 { step as f32 / (total - 1) as f32 } else { 0.0 },
            adaptive: adapter.bottleneck(channels, stage, index, is_decoder),
            qkv: delta(Target::Qkv),
            fc1: delta(Target::Fc1),
            fc2: delta(Target::Fc2),
        })
    }
}

impl Backbone {
    /// Points per attention window in a stage, for its encoder and its decoder: the reference computes the
    /// windows of a stage once, in its first block, which is a decoder block only if the encoder has none there.
    pub fn patch_size(&self, stage: usize) -> Option<usize> {
        let in_encoder = self.enc_depths.get(stage).is_some_and(|&depth| depth > 0) || self.enc_mode;
        let from_decoder = if in_encoder { None } else { self.dec_patch_size.get(stage) };
        from_decoder.or_else(|| self.enc_patch_size.get(stage)).copied()
    }
}

impl Adapter {
    fn delta(&self, backbone: &Backbone, stage: usize, index: usize, target: Target) -> Option<DeltaPlan> {
        let earlier = backbone.enc_depths.iter().take(stage).fold(0, |sum: usize, &depth| sum.saturating_add(depth));
        let layer = earlier.saturating_add(index);
        match self {
            Self::Lora { rank, alpha, targets, layers } if targets.contains(&target) && layers.contains(&layer) => {
                Some(DeltaPlan::Lora { rank: *rank, scale: (alpha / *rank as f64) as f32 })
            }
            Self::LowRank { rank, alpha, hidden, window, stride, targets, layers }
                if targets.contains(&target) && layers.contains(&layer) =>
            {
                Some(DeltaPlan::LowRank {
                    rank: *rank,
                    scale: (alpha / *rank as f64) as f32,
                    hidden: *hidden,
                    window: *window,
                    stride: *stride,
                })
            }
            _ => None,
        }
    }

    fn bottleneck(&self, channels: usize, stage: usize, index: usize, is_decoder: bool) -> Option<BottleneckPlan> {
        match self {
            Self::Bottleneck { mid } => {
                Some(BottleneckPlan { mid: *mid, down: Projection::Static, up: Projection::Static })
            }
            // The released code passes its decoder blocks none of the adapter's settings, and they get one.
            Self::BasisMix { .. } if is_decoder => {
                Some(BottleneckPlan { mid: BASIS_MIX_DECODER_MID, down: Projection::Static, up: Projection::Static })
            }
            Self::BasisMix { mid, k, param, mode, down_layers, up_layers } => {
                let layer = basis_mix_layer(stage, index)?;
                let (k, param, mode) = (*k.get(stage)?, *param.get(stage)?, *mode.get(stage)?);
                let projection = |layers: &[usize], inputs| {
                    if layers.contains(&layer) {
                        Projection::Dynamic { k, gate_hidden: gate_hidden(inputs, k), param, mode }
                    } else {
                        Projection::Static
                    }
                };
                Some(BottleneckPlan {
                    mid: *mid,
                    down: projection(down_layers, channels),
                    up: projection(up_layers, *mid),
                })
            }
            _ => None,
        }
    }
}

/// Width of the hidden layer of a gate with this many inputs (released code, `Attention.__init__`).
fn gate_hidden(inputs: usize, k: usize) -> usize {
    if inputs == 3 { k } else { (inputs / 4 + 1).max(16) }
}

/// The adapter of a released model, with the defaults of its constructor.
fn released(backbone: &Backbone) -> Adapter {
    Adapter::BasisMix {
        mid: backbone.adaptive_mid.unwrap_or(64),
        k: backbone.k_list.clone().unwrap_or_else(|| vec![2; 5]),
        param: backbone.param_list.clone().unwrap_or_else(|| vec![200, 100, 50, 20, 10]),
        mode: backbone.mode_list.clone().unwrap_or_else(|| vec![SngMode::Num; 5]),
        down_layers: backbone.dy_down_layers.clone().unwrap_or_else(|| vec![2, 5, 8, 20, 23]),
        up_layers: backbone.dy_up_layers.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Config {
        Config {
            num_classes: 20,
            backbone_out_channels: 1232,
            backbone: Backbone {
                enc_depths: vec![3, 3, 3, 12, 3],
                enc_channels: vec![48, 96, 192, 384, 512],
                enc_num_head: vec![3, 6, 12, 24, 32],
                enc_patch_size: vec![1024; 5],
                enc_mode: true,
                ..Backbone::default()
            },
            ..Config::default()
        }
    }

    #[test]
    fn layers_of_the_two_numberings() {
        let mut config = base();
        config.backbone.adapter =
            Some(AdapterConfig::Lora { rank: 4, alpha: 6.0, targets: vec![Target::Fc2], layers: Some(vec![0, 20]) });
        assert!(config.validate().is_ok());
        let adapted: Vec<String> = (0..5)
            .flat_map(|stage| config.stage_plans(stage, false))
            .filter(|plan| plan.fc2 == Some(DeltaPlan::Lora { rank: 4, scale: 1.5 }))
            .map(|plan| plan.prefix)
            .collect();
        assert_eq!(adapted, ["backbone.enc.enc0.block0", "backbone.enc.enc3.block11"]);

        // Depths 5 and 1: block 4 of stage 0 shares number 4 with block 1 of stage 1.
        let mut config = base();
        config.backbone.kind = POINTTPA_BACKBONE.to_owned();
        config.backbone.enc_depths = vec![5, 2, 1, 1, 1];
        config.backbone.dy_down_layers = Some(vec![4, 21]);
        let dynamic: Vec<String> = (0..5)
            .flat_map(|stage| config.stage_plans(stage, false))
            .filter(|plan| plan.adaptive.is_some_and(|a| a.down != Projection::Static))
            .map(|plan| plan.prefix)
            .collect();
        assert_eq!(dynamic, ["backbone.enc.enc0.block4", "backbone.enc.enc1.block1", "backbone.enc.enc4.block0"]);
    }

    #[test]
    fn a_plan_of_the_base_model() {
        let mut config = base();
        config.backbone.kind = POINTTPA_BACKBONE.to_owned();
        config.backbone.k_list = Some(vec![4, 4, 2, 2, 2]);
        let plan = config.block_plan(3, 11, false).unwrap();
        assert_eq!((plan.channels, plan.heads, plan.patch_size, plan.mlp_channels), (384, 24, 1024, 1536));
        assert_eq!((plan.scale, plan.order_index), (0.25, 1));
        let dynamic = Projection::Dynamic { k: 2, gate_hidden: 97, param: 20, mode: SngMode::Num };
        assert_eq!(plan.adaptive, Some(BottleneckPlan { mid: 64, down: dynamic, up: Projection::Static }));
        assert_eq!(config.block_plan(3, 12, false), None);
        assert_eq!(config.block_plan(5, 0, false), None);
        assert_eq!(config.block_plan(0, 0, true), None);
    }

    #[test]
    fn a_decoder_takes_the_windows_of_its_encoder() {
        let mut backbone = Backbone { dec_patch_size: vec![7; 4], ..Backbone::default() };
        assert_eq!(backbone.patch_size(1), Some(48));
        backbone.enc_depths[1] = 0;
        assert_eq!(backbone.patch_size(1), Some(7));
        backbone.enc_mode = true;
        assert_eq!(backbone.patch_size(1), Some(48));
        assert_eq!(backbone.patch_size(5), None);
    }
}
