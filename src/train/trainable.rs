//! Which parameters a run trains.
//!
//! The rule goes by names, which say the part of the network they belong to ([`Role::of`]). What is frozen gets no
//! gradient, no decay and no moments, but gradients flow through it to what lies below.

use crate::model::config::Config;
use crate::model::parameters::{Parameter, Role};

/// What learns besides the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The head alone.
    Head,
    /// Decoder and head; the head alone where there is no decoder.
    Decoder,
    /// Everything.
    Full,
}

/// A rule that says of every parameter whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trainable {
    /// Whether adapters learn, those of a decoder among them.
    pub adapter: bool,
    /// What learns besides them.
    pub train: Part,
}

/// The pretraining's token; nothing reads it, so it has no gradient.
const MASK_TOKEN: &str = "backbone.embedding.mask_token";

impl Trainable {
    /// Whether the parameter `name` is trained.
    pub fn trains(&self, name: &str) -> bool {
        match Role::of(name) {
            Role::Adapter => self.adapter,
            Role::Head => true,
            Role::Decoder => self.train != Part::Head,
            Role::Backbone => self.train == Part::Full && name != MASK_TOKEN,
        }
    }

    /// The trained parameters of a model, in the order of [`Config::parameters`].
    pub fn of(&self, config: &Config) -> Vec<Parameter> {
        config.parameters().into_iter().filter(|parameter| self.trains(&parameter.name)).collect()
    }

    /// How much of each part of a model is trained.
    pub fn groups(&self, config: &Config) -> Vec<Group> {
        let parameters = config.parameters();
        let groups = [Role::Adapter, Role::Head, Role::Decoder, Role::Backbone].map(|role| {
            let mut group = Group { role, tensors: 0, parameters: 0, trained: 0, trained_in_blocks: 0 };
            for parameter in parameters.iter().filter(|parameter| parameter.role == role) {
                let elements = parameter.elements();
                group.parameters += elements;
                if self.trains(&parameter.name) {
                    group.tensors += 1;
                    group.trained += elements;
                    group.trained_in_blocks += if parameter.in_block() { elements } else { 0 };
                }
            }
            group
        });
        groups.into_iter().filter(|group| group.parameters > 0).collect()
    }
}

/// One part of a model, and how much of it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The part.
    pub role: Role,
    /// Its trained tensors.
    pub tensors: usize,
    /// Values in all its parameters.
    pub parameters: u64,
    /// Values in the trained ones.
    pub trained: u64,
    /// Those of them that learn at the rate of blocks ([`super::schedule::Rates`]).
    pub trained_in_blocks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parameters::count;
    use crate::model::preset::{AdapterChoice, Preset};

    fn trained(config: &Config, adapter: bool, train: Part) -> u64 {
        let rule = Trainable { adapter, train };
        let total = rule.of(config).iter().map(Parameter::elements).sum::<u64>();
        assert_eq!(rule.groups(config).iter().map(|group| group.trained).sum::<u64>(), total);
        assert_eq!(rule.groups(config).iter().map(|group| group.parameters).sum::<u64>(), count(config));
        total
    }

    /// The published configuration with an encoder head, or with a decoder.
    fn base(decoder: bool, adapter: AdapterChoice) -> Config {
        let mut config = Config::preset(Preset::Base, adapter, 20).unwrap();
        if decoder {
            config.backbone.enc_mode = false;
            config.backbone.dec_depths = vec![2; 4];
            config.backbone.dec_channels = vec![64, 96, 192, 384];
            config.backbone.dec_num_head = vec![4, 6, 12, 24];
            config.backbone_out_channels = config.head_channels();
            config.validate().unwrap();
        }
        config
    }

    /// Counted on the reference's modules, as were the totals in `model/parameters.rs`.
    #[test]
    fn counts_are_the_references() {
        let plain = base(false, AdapterChoice::None);
        assert_eq!(trained(&plain, false, Part::Head), 24_660);
        assert_eq!(trained(&plain, true, Part::Decoder), 24_660);
        let released = base(false, AdapterChoice::BasisMix);
        assert_eq!(trained(&released, true, Part::Head), 1_177_564);
        assert_eq!(trained(&released, false, Part::Head), 24_660);
        assert_eq!(trained(&released, true, Part::Full), 109_638_892);

        let decoder = base(true, AdapterChoice::None);
        assert_eq!(trained(&decoder, false, Part::Decoder), 16_332_820);
        assert_eq!(trained(&decoder, false, Part::Full), 124_794_148);
        let released = base(true, AdapterChoice::BasisMix);
        assert_eq!(trained(&released, true, Part::Head), 1_347_548);
        assert_eq!(trained(&released, true, Part::Decoder), 17_679_068);
    }

    #[test]
    fn rates_divide_the_trained_parameters_as_the_reference_does() {
        let rule = Trainable { adapter: true, train: Part::Head };
        let groups = rule.groups(&base(false, AdapterChoice::BasisMix));
        let rows: Vec<(Role, u64, u64)> = groups.iter().map(|g| (g.role, g.trained, g.trained_in_blocks)).collect();
        let expected = [(Role::Adapter, 1_152_904, 1_152_904), (Role::Head, 24_660, 0), (Role::Backbone, 0, 0)];
        assert_eq!(rows, expected);
    }

    #[test]
    fn the_default_adapter_of_the_base_model_is_under_two_per_cent() {
        let config = base(false, AdapterChoice::LowRank);
        let share = trained(&config, true, Part::Head) as f64 / count(&config) as f64;
        assert!(share > 0.005 && share < 0.02, "{share}");
    }

    #[test]
    fn the_mask_token_is_never_trained() {
        let mut config = base(false, AdapterChoice::None);
        config.backbone.mask_token = true;
        assert_eq!(trained(&config, true, Part::Full) + 48, count(&config));
    }
}
