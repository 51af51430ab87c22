//! `pointtpa init`: a new model file.

use pointtpa::LabelSet;
use pointtpa::model::config::Config;
use pointtpa::model::parameters::{Role, count, count_role};
use pointtpa::model::tensor_file::Dtype;
use pointtpa::model::weights::ModelInfo;
use pointtpa::model::write::write_model_to;
use serde_json::json;

use super::arguments::{Global, Init, Network, Storage};
use super::exit::Outcome;
use super::info::{parameters, share};
use super::{interrupt, output, results, screen};

pub(crate) fn run(global: &Global, command: &Init) -> Outcome {
    output::check_writable(&command.output)?;
    let labels = labels(command)?;
    let config = Config::preset(command.config.into(), command.adapter.into(), labels.classes.len())?;
    let (total, adapter) = (count(&config), count_role(&config, Role::Adapter));
    let label_set = labels.name.clone();
    let classes = labels.classes.len();
    let info = ModelInfo::new(labels);

    let bar = screen::bar(total, "parameters");
    bar.set_message("init");
    output::write_whole(&command.output, |mut out| {
        write_model_to(&mut out, &config, &info, dtype(command.dtype), |parameter| {
            interrupt::check()?;
            let tensor = parameter.initial(command.seed);
            bar.inc(parameter.elements());
            Ok(tensor)
        })
    })?;
    bar.finish_and_clear();

    let file = command.output.display().to_string();
    let text = format!(
        "{file}\n  parameters  {}\n  classes     {classes} ({label_set})\n  untrained: labels are meaningless until it is trained",
        parameters(total, adapter)
    );
    let value = json!({
        "file": file,
        "parameters": total,
        "adapter_parameters": adapter,
        "adapter_share": share(adapter, total),
        "classes": classes,
        "label_set": label_set,
        "seed": command.seed,
    });
    results::print_of(&command.output, global.json, &text, &value)
}

fn labels(command: &Init) -> Outcome<LabelSet> {
    let default = if command.config == Network::Rooms { "rooms" } else { "scannet20" };
    Ok(LabelSet::find(command.classes.as_deref().unwrap_or(default))?)
}

/// The type of a storage.
pub(crate) fn dtype(storage: Storage) -> Dtype {
    match storage {
        Storage::F32 => Dtype::F32,
        Storage::F16 => Dtype::F16,
        Storage::Bf16 => Dtype::BF16,
    }
}
