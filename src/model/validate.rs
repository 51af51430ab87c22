//! What a configuration may hold. The bounds are far above any published model and keep every size computed
//! from a configuration within 64 bits, so that a hostile file is refused before anything is allocated.

use serde_json::Value;

use super::config::{AdapterConfig, Backbone, Config, PLAIN_BACKBONE, POINTTPA_BACKBONE, Target, refuse, refuse_with};
use super::plan::BASIS_MIX_FIRST_LAYER;
use crate::Result;

/// The grid is cut in half per stage and has at most 16 bits per axis.
const MAX_STAGES: usize = 16;
const MAX_DEPTH: usize = 256;
const MAX_CHANNELS: usize = 8192;
const MAX_PATCH: usize = 1 << 20;
const MAX_STRIDE: usize = 1 << 16;
const MAX_CLASSES: usize = 1 << 16;
const MAX_MLP_RATIO: f64 = 64.0;
const MAX_RANK: usize = 1024;
const MAX_HIDDEN: usize = 8192;
const MAX_BASES: usize = 1024;
const MAX_GROUP: usize = 1 << 24;
/// More parameters than this no machine this program is for could hold.
const MAX_PARAMETERS: u64 = 1 << 33;

pub(super) fn validate(config: &Config) -> Result<()> {
    if !["FinetuneSegmentorV2", "DefaultSegmentorV2"].contains(&config.segmentor.as_str()) {
        let problem = format!("'{}' is not FinetuneSegmentorV2 or DefaultSegmentorV2", config.segmentor);
        return Err(refuse("type", &problem));
    }
    within("num_classes", config.num_classes, 1, MAX_CLASSES)?;
    let backbone = &config.backbone;
    unsupported(backbone)?;
    sizes(backbone)?;
    adapters(backbone)?;
    let given = config.head_channels();
    if config.backbone_out_channels != given {
        let problem = format!("is {}, but the backbone gives {given} features", config.backbone_out_channels);
        return Err(refuse("backbone_out_channels", &problem));
    }
    let parameters = super::parameters::count(config);
    if parameters > MAX_PARAMETERS {
        return Err(refuse(
            "backbone",
            &format!("makes {parameters} parameters, at most {MAX_PARAMETERS} are allowed"),
        ));
    }
    Ok(())
}

/// Options of the reference, and of its mode 1, that would change the mathematics.
fn unsupported(backbone: &Backbone) -> Result<()> {
    let not_built = |field: &str, problem: &str| {
        refuse_with(
            &format!("backbone.{field}"),
            problem,
            "This option of the reference is not supported; use a model without it",
        )
    };
    if backbone.enable_rpe {
        return Err(not_built("enable_rpe", "is true"));
    }
    if !backbone.pre_norm {
        return Err(not_built("pre_norm", "is false"));
    }
    if backbone.layer_scale.is_some() {
        return Err(not_built("layer_scale", "is set"));
    }
    for (field, neutral) in [
        ("norm_layer", &["LayerNorm", "nn.LayerNorm", "ln"][..]),
        ("norm", &["LayerNorm", "nn.LayerNorm", "ln"][..]),
        ("act_layer", &["GELU", "nn.GELU", "gelu"][..]),
    ] {
        match backbone.other.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if neutral.contains(&name.as_str()) => {}
            Some(value) => return Err(not_built(field, &format!("is {value}"))),
        }
    }
    for field in ["pdnorm_bn", "pdnorm_ln", "pdnorm_decouple", "cls_mode"] {
        match backbone.other.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(value) => return Err(not_built(field, &format!("is {value}"))),
        }
    }
    Ok(())
}

fn sizes(backbone: &Backbone) -> Result<()> {
    within("backbone.in_channels", backbone.in_channels, 1, MAX_CHANNELS)?;
    within("backbone.order", backbone.order.len(), 1, 4)?;
    let stages = backbone.stages();
    if stages == 0 || stages > MAX_STAGES {
        return Err(refuse("backbone.enc_depths", &format!("has {stages} stages, 1 to {MAX_STAGES} are allowed")));
    }
    same_length("stride", backbone.stride.len(), stages - 1)?;
    each("stride", &backbone.stride, 1, MAX_STRIDE)?;

    let mut paths = vec![(
        "enc",
        stages,
        [&backbone.enc_depths, &backbone.enc_channels, &backbone.enc_num_head, &backbone.enc_patch_size],
    )];
    if !backbone.enc_mode {
        paths.push((
            "dec",
            stages - 1,
            [&backbone.dec_depths, &backbone.dec_channels, &backbone.dec_num_head, &backbone.dec_patch_size],
        ));
    }
    for (path, stages, [depths, channels, heads, patches]) in paths {
        for (name, list, lowest, highest) in [
            ("depths", depths, 0, MAX_DEPTH),
            ("channels", channels, 1, MAX_CHANNELS),
            ("num_head", heads, 1, MAX_CHANNELS),
            ("patch_size", patches, 1, MAX_PATCH),
        ] {
            let field = format!("{path}_{name}");
            same_length(&field, list.len(), stages)?;
            each(&field, list, lowest, highest)?;
        }
        for (stage, (&channels, &heads)) in channels.iter().zip(heads).enumerate() {
            if !channels.is_multiple_of(heads) {
                let problem = format!("has {channels} channels, which {heads} heads do not divide");
                return Err(refuse(&format!("backbone.{path}_channels[{stage}]"), &problem));
            }
        }
    }

    let decoder = if backbone.enc_mode { &[][..] } else { &backbone.dec_channels };
    let narrowest = backbone.enc_channels.iter().chain(decoder).min().copied().unwrap_or(1);
    let ratio = backbone.mlp_ratio;
    if !(ratio > 0.0 && ratio <= MAX_MLP_RATIO) || narrowest as f64 * ratio < 1.0 {
        return Err(refuse("backbone.mlp_ratio", &format!("is {ratio}, above 0 and up to {MAX_MLP_RATIO} is allowed")));
    }
    if let Some(scale) = backbone.qk_scale
        && !(scale.is_finite() && scale >= 0.0)
    {
        return Err(refuse("backbone.qk_scale", &format!("is {scale}, which is no positive number")));
    }
    for (field, rate) in
        [("attn_drop", backbone.attn_drop), ("proj_drop", backbone.proj_drop), ("drop_path", backbone.drop_path)]
    {
        if !(0.0..1.0).contains(&rate) {
            return Err(refuse(
                &format!("backbone.{field}"),
                &format!("is {rate}, a rate from 0 to below 1 is allowed"),
            ));
        }
    }
    Ok(())
}

fn adapters(backbone: &Backbone) -> Result<()> {
    const FIELD: &str = "backbone.adapter";
    match (backbone.kind.as_str(), &backbone.adapter) {
        (PLAIN_BACKBONE, None | Some(AdapterConfig::None {})) => Ok(()),
        (PLAIN_BACKBONE, Some(AdapterConfig::Lora { rank, alpha, targets, layers })) => {
            wrapped(backbone, *rank, *alpha, targets, layers.as_deref())
        }
        (PLAIN_BACKBONE, Some(AdapterConfig::LowRank { rank, alpha, hidden, window, stride, targets, layers })) => {
            wrapped(backbone, *rank, *alpha, targets, layers.as_deref())?;
            within("backbone.adapter.hidden", *hidden, 1, MAX_HIDDEN)?;
            within("backbone.adapter.window", *window, 0, MAX_GROUP)?;
            within("backbone.adapter.stride", *stride, 1, MAX_GROUP)?;
            if *window != 0 && window < stride {
                // The centred window of a short last run could then hold no point at all.
                let problem = format!("is {window}, less than the stride {stride}");
                return Err(refuse("backbone.adapter.window", &problem));
            }
            Ok(())
        }
        (PLAIN_BACKBONE, Some(AdapterConfig::Adapter { mid })) => within("backbone.adapter.mid", *mid, 1, MAX_CHANNELS),
        (PLAIN_BACKBONE, Some(AdapterConfig::BasisMix {})) => {
            Err(refuse_with(FIELD, "is basis_mix", &format!("Give the backbone the type {POINTTPA_BACKBONE}")))
        }
        (POINTTPA_BACKBONE, None | Some(AdapterConfig::BasisMix {})) => released(backbone),
        (POINTTPA_BACKBONE, Some(_)) => {
            let problem = format!("contradicts the backbone type {POINTTPA_BACKBONE}, whose adapter is basis_mix");
            Err(refuse_with(FIELD, &problem, &format!("Give the backbone the type {PLAIN_BACKBONE}")))
        }
        (other, _) => {
            let problem = format!("'{other}' is not supported, only {PLAIN_BACKBONE} and {POINTTPA_BACKBONE} are");
            Err(refuse("backbone.type", &problem))
        }
    }
}

/// What `lora` and `low_rank` have in common.
fn wrapped(backbone: &Backbone, rank: usize, alpha: f64, targets: &[Target], layers: Option<&[usize]>) -> Result<()> {
    within("backbone.adapter.rank", rank, 1, MAX_RANK)?;
    if !(alpha as f32).is_finite() {
        return Err(refuse("backbone.adapter.alpha", &format!("is {alpha}, which is no usable number")));
    }
    if targets.is_empty() {
        return Err(refuse("backbone.adapter.targets", "is empty; qkv, fc1 and fc2 are allowed"));
    }
    let blocks = backbone.encoder_blocks();
    no_longer_than_blocks("backbone.adapter.layers", layers)?;
    if let Some(&layer) = layers.unwrap_or_default().iter().find(|&&layer| layer >= blocks) {
        let problem = format!("names layer {layer}, but the encoder has layers 0 to {}", blocks.saturating_sub(1));
        return Err(refuse("backbone.adapter.layers", &problem));
    }
    Ok(())
}

fn released(backbone: &Backbone) -> Result<()> {
    let stages = backbone.stages();
    if stages > BASIS_MIX_FIRST_LAYER.len() {
        let problem = format!("has {stages} stages, {POINTTPA_BACKBONE} numbers layers of up to 5");
        return Err(refuse("backbone.enc_depths", &problem));
    }
    if let Some(mid) = backbone.adaptive_mid {
        within("backbone.adaptive_mid", mid, 1, MAX_CHANNELS)?;
    }
    // As in the reference, a list may be longer than the network; the rest is not used.
    let long_enough = |field: &str, length: Option<usize>| match length {
        Some(length) if length < stages => {
            let problem = format!("has {length} entries for {stages} stages");
            Err(refuse(&format!("backbone.{field}"), &problem))
        }
        _ => Ok(()),
    };
    no_longer_than_blocks("backbone.dy_down_layers", backbone.dy_down_layers.as_deref())?;
    no_longer_than_blocks("backbone.dy_up_layers", backbone.dy_up_layers.as_deref())?;
    long_enough("K_list", backbone.k_list.as_ref().map(Vec::len))?;
    long_enough("param_list", backbone.param_list.as_ref().map(Vec::len))?;
    long_enough("mode_list", backbone.mode_list.as_ref().map(Vec::len))?;
    each("K_list", backbone.k_list.as_deref().unwrap_or_default(), 1, MAX_BASES)?;
    each("param_list", backbone.param_list.as_deref().unwrap_or_default(), 1, MAX_GROUP)
}

/// Every block looks its number up in these lists, so their length is bounded, too.
fn no_longer_than_blocks(field: &str, layers: Option<&[usize]>) -> Result<()> {
    let length = layers.map_or(0, <[usize]>::len);
    if length <= MAX_STAGES * MAX_DEPTH {
        return Ok(());
    }
    Err(refuse(field, &format!("names {length} layers, at most {} are allowed", MAX_STAGES * MAX_DEPTH)))
}

fn within(field: &str, value: usize, lowest: usize, highest: usize) -> Result<()> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(refuse(field, &format!("is {value}, {lowest} to {highest} is allowed")))
}

fn each(field: &str, values: &[usize], lowest: usize, highest: usize) -> Result<()> {
    for (stage, &value) in values.iter().enumerate() {
        within(&format!("backbone.{field}[{stage}]"), value, lowest, highest)?;
    }
    Ok(())
}

fn same_length(field: &str, length: usize, expected: usize) -> Result<()> {
    if length == expected {
        return Ok(());
    }
    Err(refuse(&format!("backbone.{field}"), &format!("has {length} entries, {expected} are needed")))
}
