//! Which model is trained, and which of its parameters.

use pointtpa::LabelSet;
use pointtpa::model::adapt::{self, Adaptation};
use pointtpa::model::config::Config;
use pointtpa::model::plan::Adapter;
use pointtpa::model::preset::AdapterChoice;
use pointtpa::model::weights::{DEFAULT_GRID_SIZE, ModelFile, ModelInfo};
use pointtpa::train::Trainable;
use pointtpa::train::trainable::Part;

use super::arguments::Train;
use crate::arguments::Network;
use crate::exit::{Failure, Outcome};
use crate::{choice, screen};

/// The model before its first step.
pub(super) struct Subject {
    /// Its configuration, adapter and classes included.
    pub(super) config: Config,
    pub(super) trainable: Trainable,
    pub(super) info: ModelInfo,
    /// What messages and files call the base; the network's name from scratch.
    pub(super) name: String,
    pub(super) is_from_scratch: bool,
    /// A base's weights; made when they are needed from scratch.
    file: Option<ModelFile>,
    seed: u64,
}

impl Subject {
    pub(super) fn of(command: &Train) -> Outcome<Self> {
        let subject = match command.subject.config {
            Some(network) => Self::from_scratch(command, network)?,
            None => Self::from_base(command)?,
        };
        if subject.trainable.train == Part::Decoder && subject.config.backbone.decoder_stages() == 0 {
            return Err(Failure::usage(format!(
                "--train decoder: {} has no decoder, its head reads the encoder. Use `--train head` or `full`",
                subject.name
            )));
        }
        if command.paths.adapter_only && (subject.is_from_scratch || subject.trainable.train == Part::Full) {
            return Err(Failure::usage(
                "--adapter-only: all of the model is trained, so there is no base to lay an adapter over. Leave it out, or \
                 train `--model BASE` with `--train head` or `decoder`",
            ));
        }
        Ok(subject)
    }

    fn from_scratch(command: &Train, network: Network) -> Outcome<Self> {
        let default = if network == Network::Rooms { "rooms" } else { "scannet20" };
        let labels = LabelSet::find(command.subject.classes.as_deref().unwrap_or(default))?;
        let adapter = command.subject.adapter.map_or(AdapterChoice::None, Into::into);
        let settings = command.subject.settings();
        let config = Config::preset_with(network.into(), adapter, &settings, labels.len())?;
        let train = command.subject.train.map_or(Part::Full, Into::into);
        let trainable = Trainable { adapter: config.adapter() != Adapter::None, train };
        if train != Part::Full && !command.paths.dry_run {
            screen::say(
                "warning: the model starts at random, and what is not trained stays so: `--train full` trains all",
            );
        }
        let mut info = ModelInfo::new(labels);
        info.grid_size = command.recipe.grid.unwrap_or(DEFAULT_GRID_SIZE);
        let name = match network {
            Network::Base => "base",
            Network::Small => "small",
            Network::Rooms => "rooms",
        };
        let seed = command.recipe.seed;
        Ok(Self { config, trainable, info, name: name.to_owned(), is_from_scratch: true, file: None, seed })
    }

    fn from_base(command: &Train) -> Outcome<Self> {
        let base = choice::model(command.subject.model.as_deref())?;
        let name = base.path().file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let labels = match &command.subject.classes {
            Some(set) => LabelSet::find(set)?,
            None => base.info().labels.clone(),
        };
        let train = command.subject.train.map_or(Part::Head, Into::into);
        let has_adapter = base.config().adapter() != Adapter::None;
        let adapter = match command.subject.adapter {
            Some(adapter) => Some(adapter.into()),
            None if has_adapter || train == Part::Full => None,
            None => Some(AdapterChoice::LowRank),
        };
        let adapted = adapt::adapt(
            base,
            &Adaptation {
                adapter,
                settings: &command.subject.settings(),
                labels: &labels,
                seed: command.recipe.seed,
                may_start: &|name| Trainable { adapter: true, train }.trains(name),
            },
        )?;
        if adapted.has_new_head {
            screen::say(&format!(
                "the head is new: {name} was not made for these {} classes; those that it knows by name keep their rows",
                labels.len()
            ));
        }
        if !adapted.started.is_empty() {
            screen::say(&format!(
                "warning: {} parameters are not in {name} and start at random: {}",
                adapted.started.len(),
                adapted.started.join(", ")
            ));
        }
        let config = adapted.file.config().clone();
        let mut info = adapted.file.info().clone();
        info.grid_size = command.recipe.grid.unwrap_or(info.grid_size);
        let trainable = Trainable { adapter: config.adapter() != Adapter::None, train };
        let seed = command.recipe.seed;
        Ok(Self { config, trainable, info, name, is_from_scratch: false, file: Some(adapted.file), seed })
    }

    /// The model in memory, or over its base's file.
    pub(super) fn into_file(self) -> Outcome<ModelFile> {
        match self.file {
            Some(file) => Ok(file.with_info(self.info)?),
            None => Ok(adapt::fresh(&self.name, self.config, self.info, self.seed)?),
        }
    }
}
