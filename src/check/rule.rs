//! Which recorded tensors are comparable, by their names.
//!
//! The reference has two window rules. With several scenes of which one is smaller than a patch they differ, and
//! this program follows the one of the published configurations (flash). A file recorded with the other is
//! comparable up to the first attention whose windows differ.

use crate::model::{Model, tensor_file::TensorFile};

pub(super) struct Rule {
    /// The first stage whose recorded windows are not those of the flash rule.
    differs_from: Option<usize>,
}

impl Rule {
    /// The rule of a file's run, whose scenes end at `offsets` in every stage.
    pub(super) fn of(model: &Model, file: &TensorFile, offsets: &[Vec<usize>]) -> Self {
        let flash = match file.metadata("attention") {
            Some(rule) => rule.starts_with("flash"),
            None => model.config().backbone.enable_flash,
        };
        if flash {
            return Self { differs_from: None };
        }
        // Non-flash windows shrink to the smallest scene of the batch; a single scene gives the same windows.
        let differs = |(stage, ends): (usize, &Vec<usize>)| {
            let sizes = std::iter::once(0).chain(ends.iter().copied()).zip(ends).map(|(start, end)| end - start);
            let patch = model.config().backbone.patch_size(stage).unwrap_or(1);
            ends.len() > 1 && sizes.min().is_some_and(|smallest| smallest < patch)
        };
        Self { differs_from: offsets.iter().enumerate().position(differs) }
    }

    /// Whether a tensor belongs to training, and is compared there.
    pub(super) fn is_of_training(name: &str, file: &TensorFile) -> bool {
        let kinds = ["out.loss", "dlogits.", "grad.", "adamw3.", "recipe3."];
        kinds.iter().any(|kind| name.starts_with(kind)) && file.names().any(|name| name.starts_with("grad."))
    }

    /// Why a tensor is not compared, if it is not.
    pub(super) fn reason_to_skip(&self, name: &str) -> Option<String> {
        let fixed = match name {
            _ if name.starts_with("in.") => "an input",
            _ if name.starts_with("out.loss") => "a loss, recorded without its gradient",
            "out.logits_flash_bf16" => "the reference rounded q, k and v to bf16 there",
            _ => "",
        };
        if !fixed.is_empty() {
            return Some(fixed.to_owned());
        }
        let differs_from = self.differs_from?;
        let (group, part) = name.split_once('.')?;
        let stage = group.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().ok();
        let comparable = match (group.trim_end_matches(|c: char| c.is_ascii_digit()), stage) {
            ("stage", Some(stage)) => match part {
                "pad" | "unpad" | "cu_seqlens" => stage < differs_from,
                "pooled_feat" => stage <= differs_from,
                _ => true,
            },
            ("enc", Some(stage)) => stage < differs_from || (stage == differs_from && before_attention(part)),
            ("dec", Some(_)) => false,
            ("out", None) => part == "logits_flash_f32",
            _ => true,
        };
        let reason = "recorded with windows that shrink to the smallest scene; this program follows the flash rule";
        (!comparable).then(|| reason.to_owned())
    }
}

/// Whether a tensor of a stage's first block is computed before its attention.
fn before_attention(part: &str) -> bool {
    matches!(part, "block0.in" | "block0.cpe_conv" | "block0.cpe" | "block0.x1" | "block0.norm1" | "block0.qkv")
        || part.starts_with("block0.qkv_")
}

/// The name under which this program computes a recorded tensor.
pub(super) fn own_name(name: &str) -> &str {
    match name {
        "out.logits_flash_f32" | "out.logits_f64" => "out.logits",
        "out.feat_head256" => "out.feat",
        _ => name.strip_prefix("flash.").unwrap_or(name),
    }
}
