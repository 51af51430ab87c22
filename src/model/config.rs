//! The configuration of a model, with the reference's field names.
//!
//! A model file carries it as JSON in its header (`config`). It is the `model = dict(...)` of a Pointcept
//! configuration: a segmentor (`FinetuneSegmentorV2` or `DefaultSegmentorV2`) around a backbone, either
//! `PT-v3m2` (Sonata's Point Transformer V3) or `PTV3-PointTPA` (the same with the released `PointTPA`
//! adapters). Fields this program does not know are kept, so that a file read and written again loses nothing;
//! known fields whose value would change the mathematics in a way that is not built are refused by name.
//!
//! Defaults are those of the reference's constructors. [`super::plan`] turns a configuration into what the
//! network builder needs; [`super::preset`] has ready-made ones.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Backbone type of the plain network, `backbone.type`.
pub const PLAIN_BACKBONE: &str = "PT-v3m2";
/// Backbone type of the network with the released `PointTPA` adapters, `backbone.type`.
pub const POINTTPA_BACKBONE: &str = "PTV3-PointTPA";

/// A whole model: backbone and linear head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The segmentor's class, `FinetuneSegmentorV2` or `DefaultSegmentorV2`; both compute the same.
    #[serde(rename = "type")]
    pub segmentor: String,
    /// Outputs of the head.
    pub num_classes: usize,
    /// Inputs of the head; must be what the backbone gives, see [`Config::head_channels`].
    pub backbone_out_channels: usize,
    /// The network below the head.
    pub backbone: Backbone,
    /// The losses, kept as they are for the trainer.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub criteria: Value,
    /// Whether training leaves the backbone alone, except for `activate_param`.
    pub freeze_backbone: bool,
    /// In a frozen backbone, only names that contain all of these are trained.
    pub activate_param: Option<Vec<String>>,
    /// Everything else, kept for a round trip.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The backbone, Point Transformer V3 mode 2. Lists have one entry per stage, from fine to coarse.
#[allow(clippy::struct_excessive_bools, reason = "the switches are the reference's own fields")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backbone {
    /// [`PLAIN_BACKBONE`] or [`POINTTPA_BACKBONE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Input features per point.
    pub in_channels: usize,
    /// The curves; block `i` of every stage uses the curve at `i % order.len()`.
    #[serde(deserialize_with = "one_or_many")]
    pub order: Vec<Curve>,
    /// Cells of the finer grid per cell of the coarser one and axis; one entry less than there are stages.
    pub stride: Vec<usize>,
    /// Blocks per encoder stage.
    pub enc_depths: Vec<usize>,
    /// Channels per encoder stage.
    pub enc_channels: Vec<usize>,
    /// Attention heads per encoder stage.
    pub enc_num_head: Vec<usize>,
    /// Points per attention window, per encoder stage.
    pub enc_patch_size: Vec<usize>,
    /// Blocks per decoder stage; one entry less than there are stages, unused with `enc_mode`.
    pub dec_depths: Vec<usize>,
    /// Channels per decoder stage.
    pub dec_channels: Vec<usize>,
    /// Attention heads per decoder stage.
    pub dec_num_head: Vec<usize>,
    /// Points per attention window, per decoder stage. A stage's decoder reuses the windows of its encoder, so
    /// this counts only where the encoder stage has no block.
    pub dec_patch_size: Vec<usize>,
    /// Width of the hidden layer of the blocks' MLP, in units of the block's channels.
    pub mlp_ratio: f64,
    /// Whether the qkv layer has a bias.
    pub qkv_bias: bool,
    /// Factor on q·k; `None` (or 0, as in the reference) is `head_dim^-0.5`.
    pub qk_scale: Option<f64>,
    /// Dropout on the attention weights, training only.
    pub attn_drop: f64,
    /// Dropout after the projection and in the MLP, training only.
    pub proj_drop: f64,
    /// Largest rate of stochastic depth, training only.
    pub drop_path: f64,
    /// Not supported: must be `None`.
    pub layer_scale: Option<f64>,
    /// Not supported otherwise: must be true.
    pub pre_norm: bool,
    /// Whether training permutes the curves. Inference never does, so that it gives the same answer every time.
    pub shuffle_orders: bool,
    /// Not supported: must be false.
    pub enable_rpe: bool,
    /// Which of the reference's two attention paths the file was made for. Windows always follow the flash rule.
    pub enable_flash: bool,
    /// Precision switch of the reference; everything here is computed in f32.
    pub upcast_attention: bool,
    /// Precision switch of the reference; everything here is computed in f32.
    pub upcast_softmax: bool,
    /// Bookkeeping of the reference, changes nothing.
    pub traceable: bool,
    /// Whether the file has the pretraining's `embedding.mask_token`; it takes no part in segmentation.
    pub mask_token: bool,
    /// Without a decoder: the head sees the features of all stages, side by side.
    pub enc_mode: bool,
    /// Whether training leaves embedding and encoder alone.
    pub freeze_encoder: bool,
    /// `basis_mix`: layers whose down-projection is dynamic, see [`super::plan::basis_mix_layer`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dy_down_layers: Option<Vec<usize>>,
    /// `basis_mix`: layers whose up-projection is dynamic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dy_up_layers: Option<Vec<usize>>,
    /// `basis_mix`: bases mixed per stage.
    #[serde(rename = "K_list", skip_serializing_if = "Option::is_none")]
    pub k_list: Option<Vec<usize>>,
    /// `basis_mix`: number or length of the point groups per stage, see [`SngMode`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param_list: Option<Vec<usize>>,
    /// `basis_mix`: how `param_list` is meant, per stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode_list: Option<Vec<SngMode>>,
    /// `basis_mix`: width of the bottleneck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_mid: Option<usize>,
    /// Adapter of a [`PLAIN_BACKBONE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterConfig>,
    /// Everything else, kept for a round trip.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A space-filling curve along which points are serialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// Z-order (Morton), x in the highest bit of each triple.
    Z,
    /// Z-order with x and y swapped.
    ZTrans,
    /// Hilbert.
    Hilbert,
    /// Hilbert with x and y swapped.
    HilbertTrans,
}

/// How serial neighbourhood grouping (SNG) cuts a serialized scene into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SngMode {
    /// Into a given number of groups.
    Num,
    /// Into groups of a given length.
    Length,
}

/// A linear layer of a block that `lora` and `low_rank` can wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Queries, keys and values; input: `norm1`'s output.
    Qkv,
    /// First layer of the MLP; input: `norm2`'s output.
    Fc1,
    /// Second layer of the MLP; input: the GELU's output.
    Fc2,
}

/// `backbone.adapter`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdapterConfig {
    /// No adapter.
    None {},
    /// A static low-rank delta: `y += alpha/rank · a (b x)`.
    Lora {
        /// Columns of `a`.
        rank: usize,
        /// Numerator of the factor on the delta.
        alpha: f64,
        /// The wrapped layers of a block.
        #[serde(default = "only_qkv")]
        targets: Vec<Target>,
        /// The adapted encoder blocks, numbered by cumulative depth; `None` is all of them.
        #[serde(default)]
        layers: Option<Vec<usize>>,
    },
    /// The paper's dynamic parameter projector: as `lora`, with `a` generated from the mean of a patch.
    LowRank {
        /// Columns of the generated matrix.
        rank: usize,
        /// Numerator of the factor on the delta.
        alpha: f64,
        /// Width of the generator's hidden layer.
        hidden: usize,
        /// Points whose mean describes a patch, centred on it; 0 is the whole scene as one patch.
        window: usize,
        /// Points that share one generated matrix.
        stride: usize,
        /// The wrapped layers of a block.
        #[serde(default = "only_qkv")]
        targets: Vec<Target>,
        /// The adapted encoder blocks, numbered by cumulative depth; `None` is all of them.
        #[serde(default)]
        layers: Option<Vec<usize>>,
    },
    /// A static bottleneck beside the MLP of every block, encoder and decoder.
    Adapter {
        /// Width of the bottleneck.
        mid: usize,
    },
    /// The released adapters. Only a label: their fields stand in the backbone, whose type must be
    /// [`POINTTPA_BACKBONE`].
    BasisMix {},
}

fn only_qkv() -> Vec<Target> {
    vec![Target::Qkv]
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segmentor: "FinetuneSegmentorV2".to_owned(),
            num_classes: 0,
            backbone_out_channels: 0,
            backbone: Backbone::default(),
            criteria: Value::Null,
            freeze_backbone: false,
            activate_param: None,
            other: Map::new(),
        }
    }
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            kind: PLAIN_BACKBONE.to_owned(),
            in_channels: 6,
            order: vec![Curve::Z, Curve::ZTrans],
            stride: vec![2; 4],
            enc_depths: vec![2, 2, 2, 6, 2],
            enc_channels: vec![32, 64, 128, 256, 512],
            enc_num_head: vec![2, 4, 8, 16, 32],
            enc_patch_size: vec![48; 5],
            dec_depths: vec![2; 4],
            dec_channels: vec![64, 64, 128, 256],
            dec_num_head: vec![4, 4, 8, 16],
            dec_patch_size: vec![48; 4],
            mlp_ratio: 4.0,
            qkv_bias: true,
            qk_scale: None,
            attn_drop: 0.0,
            proj_drop: 0.0,
            drop_path: 0.3,
            layer_scale: None,
            pre_norm: true,
            shuffle_orders: true,
            enable_rpe: false,
            enable_flash: true,
            upcast_attention: false,
            upcast_softmax: false,
            traceable: false,
            mask_token: false,
            enc_mode: false,
            freeze_encoder: false,
            dy_down_layers: None,
            dy_up_layers: None,
            k_list: None,
            param_list: None,
            mode_list: None,
            adaptive_mid: None,
            adapter: None,
            other: Map::new(),
        }
    }
}

impl Config {
    /// Reads and validates the JSON of a model file's `config`.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the field: not JSON, a value of the wrong type, or anything
    /// [`Config::validate`] refuses.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| refuse("", &format!("is not JSON: {e}")))?;
        let config: Self = read_object(value, "")?;
        config.validate()?;
        Ok(config)
    }

    /// The configuration as one line of JSON, always the same for the same configuration.
    ///
    /// # Errors
    /// [`Error::Argument`] if a kept value cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| refuse("", &format!("cannot be written as JSON: {e}")))
    }

    /// Refuses what the network cannot be built from: lists whose lengths disagree, channels that the heads do
    /// not divide, sizes of zero or beyond any reason, and options of the reference that are not built.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the field.
    pub fn validate(&self) -> Result<()> {
        super::validate::validate(self)
    }

    /// Features per point that the backbone gives the head: those of all encoder stages side by side with
    /// `enc_mode`, else those of the finest decoder stage.
    pub fn head_channels(&self) -> usize {
        let backbone = &self.backbone;
        if backbone.enc_mode {
            return backbone.enc_channels.iter().fold(0, |sum, &c| sum.saturating_add(c));
        }
        let finest = if backbone.stages() > 1 { backbone.dec_channels.first() } else { backbone.enc_channels.first() };
        finest.copied().unwrap_or(0)
    }
}

impl Backbone {
    /// Stages of the encoder.
    pub fn stages(&self) -> usize {
        self.enc_depths.len()
    }

    /// Blocks of the encoder; adapters number them by cumulative depth. Saturates far above what is valid.
    pub fn encoder_blocks(&self) -> usize {
        self.enc_depths.iter().fold(0, |sum: usize, &depth| sum.saturating_add(depth)).min(1 << 16)
    }

    /// Stages of the decoder, 0 with `enc_mode`.
    pub fn decoder_stages(&self) -> usize {
        if self.enc_mode { 0 } else { self.stages().saturating_sub(1) }
    }
}

/// The error for a field of the configuration; an empty `field` is the configuration itself.
pub(super) fn refuse(field: &str, problem: &str) -> Error {
    refuse_with(field, problem, "Correct the model's configuration")
}

/// As [`refuse`], with advice of its own.
pub(super) fn refuse_with(field: &str, problem: &str, advice: &str) -> Error {
    let what = if field.is_empty() { "config".to_owned() } else { format!("config.{field}") };
    Error::Argument { what, problem: problem.to_owned(), advice: advice.to_owned() }
}

/// Reads an object all of whose fields have defaults. `serde_json` does not say which field was at fault, so on
/// failure each is tried alone.
fn read_object<T: DeserializeOwned>(value: Value, path: &str) -> Result<T> {
    let Value::Object(fields) = &value else {
        return Err(refuse(path, "is not a JSON object"));
    };
    for (name, field) in fields {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if path.is_empty() && name == "backbone" {
            read_object::<Backbone>(field.clone(), &at)?;
            continue;
        }
        let alone = Map::from_iter([(name.clone(), field.clone())]);
        if let Err(e) = T::deserialize(Value::Object(alone)) {
            return Err(refuse(&at, &e.to_string()));
        }
    }
    T::deserialize(value).map_err(|e| refuse(path, &e.to_string()))
}

/// The reference takes `order="z"` for `order=["z"]`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Curve>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Curve),
        Many(Vec<Curve>),
    }
    match OneOrMany::deserialize(deserializer) {
        Ok(OneOrMany::One(curve)) => Ok(vec![curve]),
        Ok(OneOrMany::Many(curves)) => Ok(curves),
        Err(_) => Err(serde::de::Error::custom("expected a list of z, z-trans, hilbert, hilbert-trans")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"type": "FinetuneSegmentorV2", "num_classes": 5, "backbone_out_channels": 48,
        "backbone": {"type": "PT-v3m2", "in_channels": 9, "order": ["hilbert", "z-trans"], "stride": [2],
        "enc_depths": [1, 1], "enc_channels": [16, 32], "enc_num_head": [1, 2], "enc_patch_size": [16, 16],
        "enc_mode": true, "adapter": {"type": "lora", "rank": 4, "alpha": 8, "targets": ["qkv", "fc2"], "layers": [1]},
        "someones_field": {"b": 1, "a": [2]}}, "criteria": [{"type": "CrossEntropyLoss"}], "note": "kept"}"#;

    fn field_at_fault(text: &str) -> String {
        match Config::from_json(text) {
            Err(Error::Argument { what, .. }) => what,
            other => panic!("expected a refused field, got {other:?}"),
        }
    }

    fn tiny_with(key: &str, value: &str) -> String {
        let mut config: Value = serde_json::from_str(TINY).unwrap();
        let target = if config["backbone"].get(key).is_some() || Backbone::default().has(key) {
            &mut config["backbone"]
        } else {
            &mut config
        };
        target[key] = serde_json::from_str(value).unwrap();
        config.to_string()
    }

    impl Backbone {
        fn has(&self, key: &str) -> bool {
            const OPTIONAL: [&str; 9] = [
                "adapter",
                "K_list",
                "norm_layer",
                "act_layer",
                "cls_mode",
                "pdnorm_bn",
                "adaptive_mid",
                "dy_down_layers",
                "param_list",
            ];
            OPTIONAL.contains(&key) || serde_json::to_value(self).unwrap().get(key).is_some()
        }
    }

    #[test]
    fn a_round_trip_keeps_unknown_fields() {
        let config = Config::from_json(TINY).unwrap();
        assert_eq!(config.other["note"], "kept");
        let again = config.to_json().unwrap();
        assert_eq!(Config::from_json(&again).unwrap(), config);
        assert_eq!(Config::from_json(&again).unwrap().to_json().unwrap(), again);
        let value: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(value["backbone"]["someones_field"].to_string(), r#"{"b":1,"a":[2]}"#);
        assert_eq!(value["backbone"]["adapter"]["type"], "lora");
        assert_eq!(value["backbone"]["order"], serde_json::json!(["hilbert", "z-trans"]));
    }

    #[test]
    fn a_single_curve_may_stand_alone() {
        let config = Config::from_json(&tiny_with("order", r#""hilbert-trans""#)).unwrap();
        assert_eq!(config.backbone.order, [Curve::HilbertTrans]);
    }

    #[test]
    fn wrong_types_are_refused_by_name() {
        assert_eq!(field_at_fault(&tiny_with("enc_depths", r#"["x"]"#)), "config.backbone.enc_depths");
        assert_eq!(field_at_fault(&tiny_with("order", r#"["peano"]"#)), "config.backbone.order");
        assert_eq!(field_at_fault(&tiny_with("num_classes", "-1")), "config.num_classes");
        assert_eq!(field_at_fault(&tiny_with("adapter", r#"{"type": "magic"}"#)), "config.backbone.adapter");
        let misspelt = r#"{"type": "adapter", "mid": 4, "ranks": 3}"#;
        assert_eq!(field_at_fault(&tiny_with("adapter", misspelt)), "config.backbone.adapter");
        assert_eq!(field_at_fault(&tiny_with("backbone", "3")), "config.backbone");
        assert_eq!(field_at_fault("[]"), "config");
        assert_eq!(field_at_fault("{"), "config");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (key, value) in [
            ("enc_depths", "[1]"),
            ("enc_depths", "[]"),
            ("enc_depths", "[1, 1000000000]"),
            ("enc_channels", "[16, 33]"),
            ("enc_channels", "[16, 0]"),
            ("enc_channels", "[16, 1099511627776]"),
            ("enc_num_head", "[1, 3]"),
            ("enc_num_head", "[0, 2]"),
            ("enc_patch_size", "[16, 0]"),
            ("stride", "[0]"),
            ("stride", "[2, 2]"),
            ("order", "[]"),
            ("order", r#"["z", "z", "z", "z", "z"]"#),
            ("in_channels", "0"),
            ("num_classes", "0"),
            ("backbone_out_channels", "47"),
            ("mlp_ratio", "0"),
            ("mlp_ratio", "1e300"),
            ("enable_rpe", "true"),
            ("pre_norm", "false"),
            ("layer_scale", "1e-5"),
            ("norm_layer", r#""BatchNorm""#),
            ("act_layer", r#""ReLU""#),
            ("pdnorm_bn", "true"),
            ("cls_mode", "true"),
            ("qk_scale", "-1"),
            ("drop_path", "1.5"),
        ] {
            let what = field_at_fault(&tiny_with(key, value));
            assert!(what.starts_with("config."), "{key}: {what}");
            // Lists are compared with each other, so either of two may be named.
            let related = [key, "stride", "enc_channels", "enc_num_head", "backbone_out_channels"];
            assert!(related.iter().any(|name| what.ends_with(name) || what.contains(&format!("{name}["))), "{what}");
        }
        assert!(Config::from_json(&tiny_with("norm_layer", r#""LayerNorm""#)).is_ok());
        assert!(Config::from_json(&tiny_with("cls_mode", "false")).is_ok());
    }

    #[test]
    fn adapters_out_of_range_are_refused() {
        for adapter in [
            r#"{"type": "lora", "rank": 0, "alpha": 1}"#,
            r#"{"type": "lora", "rank": 99999999, "alpha": 1}"#,
            r#"{"type": "lora", "rank": 1, "alpha": 1, "targets": []}"#,
            r#"{"type": "lora", "rank": 1, "alpha": 1, "layers": [2]}"#,
            r#"{"type": "lora", "rank": 1, "alpha": 1e300}"#,
            r#"{"type": "low_rank", "rank": 1, "alpha": 1, "hidden": 0, "window": 4, "stride": 2}"#,
            r#"{"type": "low_rank", "rank": 1, "alpha": 1, "hidden": 4, "window": 4, "stride": 0}"#,
            r#"{"type": "low_rank", "rank": 1, "alpha": 1, "hidden": 4, "window": 2, "stride": 3}"#,
            r#"{"type": "adapter", "mid": 0}"#,
            r#"{"type": "basis_mix"}"#,
        ] {
            let what = field_at_fault(&tiny_with("adapter", adapter));
            assert!(what.starts_with("config.backbone.adapter"), "{adapter}: {what}");
        }
        let global = r#"{"type": "low_rank", "rank": 1, "alpha": 1, "hidden": 4, "window": 0, "stride": 3}"#;
        assert!(Config::from_json(&tiny_with("adapter", global)).is_ok());
        assert!(Config::from_json(&tiny_with("adapter", r#"{"type": "none"}"#)).is_ok());
        assert!(Config::from_json(&tiny_with("adapter", "null")).is_ok());
    }

    #[test]
    fn released_adapters_are_checked_stage_by_stage() {
        let released = |key: &str, value: &str| {
            let mut config: Value = serde_json::from_str(&tiny_with("adapter", "null")).unwrap();
            config["backbone"]["type"] = POINTTPA_BACKBONE.into();
            config["backbone"][key] = serde_json::from_str(value).unwrap();
            config.to_string()
        };
        assert!(Config::from_json(&released("K_list", "[4, 2]")).is_ok());
        assert!(Config::from_json(&released("dy_down_layers", "[2, 5, 8, 20, 23]")).is_ok());
        assert_eq!(field_at_fault(&released("K_list", "[4]")), "config.backbone.K_list");
        assert_eq!(field_at_fault(&released("K_list", "[4, 0]")), "config.backbone.K_list[1]");
        assert_eq!(field_at_fault(&released("param_list", "[0, 1]")), "config.backbone.param_list[0]");
        assert_eq!(field_at_fault(&released("mode_list", r#"["num", "best"]"#)), "config.backbone.mode_list");
        assert_eq!(field_at_fault(&released("adaptive_mid", "0")), "config.backbone.adaptive_mid");
        let lora = r#"{"type": "lora", "rank": 1, "alpha": 1}"#;
        assert_eq!(field_at_fault(&released("adapter", lora)), "config.backbone.adapter");
    }
}
