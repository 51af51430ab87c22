//! Which network the weights of a checkpoint are of.
//!
//! Names and shapes say most of a configuration: stages, blocks, channels, decoder, adapters. What leaves no trace in them
//! (heads, windows, curves, strides, an adapter's alpha and groups) follows the published models, unless the checkpoint
//! has a configuration of its own, and the model's note says so.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::Checkpoint;
use crate::model::adapter_settings::{RELEASED_BASES, RELEASED_GROUPS, default_stride, default_window};
use crate::model::config::{AdapterConfig, Backbone, Config, Curve, POINTTPA_BACKBONE, SngMode, Target};
use crate::model::plan::basis_mix_layer;
use crate::model::tensor_file::TensorFile;
use crate::{Error, Result};

/// Channels of an attention head in all published models.
const HEAD_CHANNELS: usize = 16;
/// Points of an attention window in all published models.
const WINDOW: usize = 1024;
/// A configuration of more stages or blocks is refused, so counting may stop.
const MAX_COUNT: usize = 1024;

/// The configuration of the network whose weights are in the file, and a note on where it comes from.
///
/// # Errors
/// [`Error::Model`] if they are not those of such a network, [`Error::Argument`] naming the field for a configuration that
/// does not hold together.
pub(in crate::model) fn deduced(file: &TensorFile) -> Result<(Config, String)> {
    refuse_mode_1(file)?;
    let shapes = Shapes { file };
    let (backbone, trained, mut assumed) = shapes.backbone()?;
    let num_classes = shapes.size("seg_head.weight", 0);
    let mut config = Config::around(backbone, trained, num_classes.unwrap_or(1));
    let settings = file.checkpoint().and_then(|Checkpoint { settings, .. }| settings.as_ref());
    let own = settings.map(|settings| merge(&mut config, settings)).transpose()?.unwrap_or_default();
    assume_patches(&mut config.backbone, &own, &mut assumed);
    assumed.retain(|(field, _)| !own.iter().any(|name| name == field));
    config.validate()?;
    let mut note = "Configuration deduced from the names and shapes of a checkpoint.".to_owned();
    if !own.is_empty() {
        let _ = write!(note, " Its own configuration gave {}.", own.join(", "));
    }
    if !assumed.is_empty() {
        let assumed: Vec<String> = assumed.into_iter().map(|(field, value)| format!("{field} = {value}")).collect();
        let _ = write!(note, " Assumed, as in the published models: {}.", assumed.join("; "));
    }
    Ok((config, note))
}

/// The first generation's network has batch norms, whose averages would be missed, and other weights under the same names.
fn refuse_mode_1(file: &TensorFile) -> Result<()> {
    const TRACES: [&str; 5] = ["running_mean", "running_var", "num_batches_tracked", ".bn.", "embedding.stem.conv."];
    let Some(name) = file.names().find(|name| TRACES.iter().any(|trace| name.contains(trace))) else { return Ok(()) };
    Err(Error::Model {
        path: file.path().to_owned(),
        problem: format!(
            "holds {name}: it is Point Transformer V3 of mode 1, with batch norms, which is not supported"
        ),
        advice: "Give a checkpoint of mode 2 (`PT-v3m2`), Sonata's network".to_owned(),
    })
}

/// Lays the fields of the checkpoint's own configuration over `config` and returns their names. What the weights
/// themselves show stays as they show it.
fn merge(config: &mut Config, settings: &serde_json::Map<String, Json>) -> Result<Vec<String>> {
    const TAKEN: [&str; 16] = [
        "order",
        "stride",
        "enc_num_head",
        "enc_patch_size",
        "dec_num_head",
        "dec_patch_size",
        "qk_scale",
        "attn_drop",
        "proj_drop",
        "drop_path",
        "layer_scale",
        "pre_norm",
        "shuffle_orders",
        "enable_rpe",
        "param_list",
        "mode_list",
    ];
    // Rank, targets and layers of an adapter are in its weights.
    const OF_ADAPTER: [(&str, &str); 3] =
        [("alpha", "adapter.alpha"), ("window", "adapter.window"), ("stride", "adapter.stride")];
    let whole = settings.get("backbone").and_then(Json::as_object);
    let fields = whole.unwrap_or(settings);
    let malformed = |e: serde_json::Error| crate::model::config::refuse("", &e.to_string());
    let mut all = serde_json::to_value(&*config).map_err(malformed)?;
    let mut names = Vec::new();
    for (name, value) in fields {
        // The decoder of a network without one is the constructor's default.
        let is_used = !(config.backbone.enc_mode && name.starts_with("dec_"));
        if TAKEN.contains(&name.as_str()) && is_used {
            all["backbone"][name] = value.clone();
            names.push(name.clone());
        }
    }
    for (field, name) in OF_ADAPTER {
        let given = fields.get("adapter").and_then(|adapter| adapter.get(field));
        if let (Some(value), Some(shown)) = (given, all["backbone"]["adapter"].get_mut(field)) {
            *shown = value.clone();
            names.push(name.to_owned());
        }
    }
    *config = Config::from_json(&all.to_string())?;
    Ok(names)
}

/// The patches of a `low_rank` adapter leave no trace in its weights; where the checkpoint does not say them, they follow the
/// attention's windows, as those of a new adapter do.
fn assume_patches(backbone: &mut Backbone, own: &[String], assumed: &mut Assumed) {
    let said = |name: &str| own.iter().any(|own| own == name);
    let defaults = backbone.clone();
    let Some(AdapterConfig::LowRank { window, stride, .. }) = &mut backbone.adapter else { return };
    if !said("adapter.window") {
        *window = default_window(&defaults);
        assumed.push(("adapter.window", format!("{window} points")));
    }
    if !said("adapter.stride") {
        *stride = default_stride(&defaults, *window);
        assumed.push(("adapter.stride", format!("{stride} points")));
    }
}

/// A field and the value it is given without evidence.
type Assumed = Vec<(&'static str, String)>;

struct Shapes<'a> {
    file: &'a TensorFile,
}

impl Shapes<'_> {
    fn size(&self, name: &str, dimension: usize) -> Option<usize> {
        self.file.shape(name)?.get(dimension).copied()
    }

    fn has(&self, name: &str) -> bool {
        self.file.shape(name).is_some()
    }

    fn backbone(&self) -> Result<(Backbone, Option<&'static str>, Assumed)> {
        const STEM: &str = "backbone.embedding.stem.linear.weight";
        let Some(&[first, in_channels]) = self.file.shape(STEM) else {
            return Err(Error::Model {
                path: self.file.path().to_owned(),
                problem: format!(
                    "has no {STEM} of two dimensions, so its weights are not Point Transformer V3's (mode 2)"
                ),
                advice: "Give a checkpoint of a segmentation model on `PT-v3m2` or `PTV3-PointTPA`".to_owned(),
            });
        };
        let wider =
            (1..MAX_COUNT).map_while(|stage| self.size(&format!("backbone.enc.enc{stage}.down.proj.weight"), 0));
        let enc_channels: Vec<usize> = [first].into_iter().chain(wider).collect();
        let stages = enc_channels.len();
        let up = |stage| self.size(&format!("backbone.dec.dec{stage}.up.proj.0.weight"), 0);
        let dec_channels: Vec<usize> = (0..stages - 1).map_while(up).collect();
        let enc_mode = !self.file.names().any(|name| name.starts_with("backbone.dec."));
        let depths = |path: &str, stages: usize| -> Vec<usize> {
            (0..stages).map(|stage| self.depth(&format!("backbone.{path}.{path}{stage}"))).collect()
        };
        let mut backbone = Backbone {
            in_channels,
            order: vec![Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans],
            stride: vec![2; stages - 1],
            enc_depths: depths("enc", stages),
            enc_num_head: enc_channels.iter().map(|&channels| heads(channels)).collect(),
            enc_patch_size: vec![WINDOW; stages],
            mask_token: self.has("backbone.embedding.mask_token"),
            enc_mode,
            ..Backbone::default()
        };
        let mut assumed = vec![
            ("enc_num_head", format!("{:?}, {HEAD_CHANNELS} channels a head", backbone.enc_num_head)),
            ("enc_patch_size", format!("{WINDOW} points a window")),
            ("order", "z, z-trans, hilbert, hilbert-trans".to_owned()),
            ("stride", "2".to_owned()),
        ];
        // As many as the constructor's other lists of the decoder have, which a network without one keeps.
        backbone.dec_patch_size = vec![WINDOW; stages.max(5) - 1];
        if !enc_mode {
            backbone.dec_depths = depths("dec", dec_channels.len());
            backbone.dec_num_head = dec_channels.iter().map(|&channels| heads(channels)).collect();
            backbone.dec_patch_size = vec![WINDOW; dec_channels.len()];
            assumed.push(("dec_num_head", format!("{:?}", backbone.dec_num_head)));
            backbone.dec_channels = dec_channels;
        }
        backbone.enc_channels = enc_channels;
        if let Some((width, hidden, has_bias)) = self.any_block(&backbone) {
            backbone.mlp_ratio = hidden as f64 / width.max(1) as f64;
            backbone.qkv_bias = has_bias;
        }
        let trained = self.adapter(&mut backbone, &mut assumed);
        Ok((backbone, trained, assumed))
    }

    /// Blocks of a stage.
    fn depth(&self, stage: &str) -> usize {
        (0..MAX_COUNT).take_while(|index| self.has(&format!("{stage}.block{index}.attn.qkv.weight"))).count()
    }

    /// Width and hidden width of a block, and whether its qkv layer has a bias.
    fn any_block(&self, backbone: &Backbone) -> Option<(usize, usize, bool)> {
        let stage = backbone.enc_depths.iter().position(|&depth| depth > 0)?;
        let block = format!("backbone.enc.enc{stage}.block0");
        let fc1 = self.file.shape(&format!("{block}.mlp.0.fc1.weight"))?;
        let &[hidden, width] = fc1 else { return None };
        Some((width, hidden, self.has(&format!("{block}.attn.qkv.bias"))))
    }

    /// Gives the backbone the adapter that its weights show, and returns what the names of the adapter's parameters have in
    /// common.
    fn adapter(&self, backbone: &mut Backbone, assumed: &mut Assumed) -> Option<&'static str> {
        // Names of the encoder's blocks, with their stages and places in them.
        let depths = backbone.enc_depths.iter().enumerate();
        let blocks: Vec<(usize, usize, String)> = depths
            .flat_map(|(stage, &depth)| {
                (0..depth).map(move |index| (stage, index, format!("backbone.enc.enc{stage}.block{index}")))
            })
            .collect();
        if blocks.iter().any(|(.., block)| self.has(&format!("{block}.adaptive_module.norm.weight"))) {
            return Some(self.bottleneck(backbone, &blocks, assumed));
        }
        self.delta(backbone, &blocks, assumed)
    }

    fn bottleneck(
        &self,
        backbone: &mut Backbone,
        blocks: &[(usize, usize, String)],
        assumed: &mut Assumed,
    ) -> &'static str {
        const NAME: &str = "adaptive_module";
        let at = |block: &str, part: &str| format!("{block}.{NAME}.{part}");
        let mut bases: Vec<usize> =
            (0..backbone.stages()).map(|s| RELEASED_BASES.get(s).copied().unwrap_or(2)).collect();
        let [mut down, mut up] = [Vec::new(), Vec::new()];
        let mut mid = None;
        for (stage, index, block) in blocks {
            mid = mid.or_else(|| {
                let fixed = self.size(&at(block, "down.weight"), 0);
                fixed.or_else(|| self.size(&at(block, "down.dpp.weight"), 1))
            });
            for (part, layers) in [("down.dpp.weight", &mut down), ("up.dpp.weight", &mut up)] {
                if let Some(k) = self.size(&at(block, part), 0) {
                    bases[*stage] = k;
                    layers.extend(basis_mix_layer(*stage, *index));
                }
            }
        }
        let mid = mid.unwrap_or(1);
        if down.is_empty() && up.is_empty() {
            backbone.adapter = Some(AdapterConfig::Adapter { mid });
            return NAME;
        }
        let groups: Vec<usize> = RELEASED_GROUPS.into_iter().take(backbone.stages()).collect();
        assumed.push(("param_list", format!("{groups:?} groups")));
        backbone.dy_down_layers = Some(down);
        backbone.dy_up_layers = Some(up);
        backbone.k_list = Some(bases);
        backbone.mode_list = Some(vec![SngMode::Num; groups.len()]);
        backbone.param_list = Some(groups);
        backbone.adaptive_mid = Some(mid);
        POINTTPA_BACKBONE.clone_into(&mut backbone.kind);
        NAME
    }

    fn delta(
        &self,
        backbone: &mut Backbone,
        blocks: &[(usize, usize, String)],
        assumed: &mut Assumed,
    ) -> Option<&'static str> {
        const TARGETS: [(Target, &str); 3] =
            [(Target::Qkv, "attn.qkv"), (Target::Fc1, "mlp.0.fc1"), (Target::Fc2, "mlp.0.fc2")];
        let adapted = |end: &str| -> Vec<(usize, Target, String)> {
            let numbered = blocks.iter().enumerate();
            let layers = numbered.flat_map(|(layer, (.., block))| {
                TARGETS.map(|(target, part)| (layer, target, format!("{block}.{part}.{end}")))
            });
            layers.filter(|(.., name)| self.has(name)).collect()
        };
        let (lora, low_rank) = (adapted("lora.b"), adapted("dpp.down.weight"));
        let is_lora = low_rank.is_empty();
        let found = if is_lora { lora } else { low_rank };
        let (.., first) = found.first()?;
        let rank = self.size(first, 0).unwrap_or(1);
        let alpha = rank as f64;
        assumed.push(("adapter.alpha", format!("{alpha}, the rank")));
        let targets = TARGETS.map(|(target, _)| target).into_iter();
        let targets = targets.filter(|target| found.iter().any(|(_, other, _)| other == target)).collect();
        let mut layers: Vec<usize> = found.iter().map(|(layer, ..)| *layer).collect();
        layers.dedup();
        let layers = (layers.len() < blocks.len()).then_some(layers);
        if is_lora {
            backbone.adapter = Some(AdapterConfig::Lora { rank, alpha, targets, layers });
            return Some("lora");
        }
        let hidden = self.size(&first.replace("dpp.down.weight", "dpp.gen.0.weight"), 0).unwrap_or(1);
        // See `assume_patches`.
        let (window, stride) = (0, 1);
        backbone.adapter = Some(AdapterConfig::LowRank { rank, alpha, hidden, window, stride, targets, layers });
        Some("dpp")
    }
}

/// The published number of heads, or the nearest below that divides the channels.
fn heads(channels: usize) -> usize {
    (1..=(channels / HEAD_CHANNELS).min(MAX_COUNT)).rev().find(|&heads| channels.is_multiple_of(heads)).unwrap_or(1)
}
