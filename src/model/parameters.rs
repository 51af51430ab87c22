//! Every parameter a configuration needs: its name, shape, start, and the part of the network it belongs to.
//!
//! Names and order are those of the reference's state dict (the order in which its modules register their
//! parameters), and of the `low_rank` and `lora` adapters beside the linear layer they wrap.

use super::config::Config;
use super::init::Init;
use super::plan::{BlockPlan, BottleneckPlan, DeltaPlan, Projection};

/// One parameter of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name in the state dict, starting with `backbone.` or `seg_head.`.
    pub name: String,
    /// Shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// Distribution of its values in a fresh model.
    pub init: Init,
    /// The part of the network it belongs to.
    pub role: Role,
}

/// The part of the network a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Embedding and encoder, without adapters.
    Backbone,
    /// Adapters, of the encoder or the decoder.
    Adapter,
    /// Decoder, without adapters.
    Decoder,
    /// The linear head.
    Head,
}

impl Role {
    /// The part that the parameter `name` belongs to.
    pub fn of(name: &str) -> Self {
        if [".adaptive_module.", ".dpp.", ".lora."].iter().any(|part| name.contains(part)) {
            Self::Adapter
        } else if name.starts_with("seg_head.") {
            Self::Head
        } else if name.starts_with("backbone.dec.") {
            Self::Decoder
        } else {
            Self::Backbone
        }
    }

    /// Its name: `backbone`, `adapter`, `decoder` or `head`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backbone => "backbone",
            Self::Adapter => "adapter",
            Self::Decoder => "decoder",
            Self::Head => "head",
        }
    }
}

impl Parameter {
    /// Values in it. Saturates instead of wrapping; a validated configuration is far from that.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, &d| product.saturating_mul(d as u64))
    }

    /// Whether the reference's recipe trains it at the lower rate it gives to names that contain `block`.
    pub fn in_block(&self) -> bool {
        self.name.contains("block")
    }
}

impl Config {
    /// All parameters, in the reference's order of registration.
    pub fn parameters(&self) -> Vec<Parameter> {
        let backbone = &self.backbone;
        let mut list = List { parameters: Vec::new(), role: Role::Head };
        let bound = 1.0 / (self.backbone_out_channels as f64).sqrt();
        // The head lies outside the backbone, whose last step starts all its linear layers anew, so it keeps the
        // start of a torch `Linear`.
        list.add("seg_head.weight", &[self.num_classes, self.backbone_out_channels], Init::Uniform { bound });
        list.add("seg_head.bias", &[self.num_classes], Init::Uniform { bound });

        list.role = Role::Backbone;
        let first = backbone.enc_channels.first().copied().unwrap_or(0);
        if backbone.mask_token {
            list.add("backbone.embedding.mask_token", &[1, first], Init::Zeros);
        }
        list.linear("backbone.embedding.stem.linear", first, backbone.in_channels, true);
        list.norm("backbone.embedding.stem.norm", first);
        for (stage, &channels) in backbone.enc_channels.iter().enumerate() {
            if stage > 0 {
                let down = format!("backbone.enc.enc{stage}.down");
                list.linear(&format!("{down}.proj"), channels, backbone.enc_channels[stage - 1], true);
                list.norm(&format!("{down}.norm.0"), channels);
            }
            for plan in self.stage_plans(stage, false) {
                list.block(&plan);
            }
        }

        list.role = Role::Decoder;
        for stage in (0..backbone.decoder_stages()).rev() {
            let (Some(&skip), Some(&channels)) = (backbone.enc_channels.get(stage), backbone.dec_channels.get(stage))
            else {
                continue;
            };
            let coarser = if stage + 1 < backbone.decoder_stages() {
                backbone.dec_channels.get(stage + 1)
            } else {
                backbone.enc_channels.last()
            };
            let up = format!("backbone.dec.dec{stage}.up");
            list.linear(&format!("{up}.proj.0"), channels, coarser.copied().unwrap_or(0), true);
            list.norm(&format!("{up}.proj.1"), channels);
            list.linear(&format!("{up}.proj_skip.0"), channels, skip, true);
            list.norm(&format!("{up}.proj_skip.1"), channels);
            for plan in self.stage_plans(stage, true) {
                list.block(&plan);
            }
        }
        list.parameters
    }
}

/// Values in all parameters together.
pub fn count(config: &Config) -> u64 {
    config.parameters().iter().fold(0, |sum: u64, p| sum.saturating_add(p.elements()))
}

/// Values in the parameters of one part of the network.
pub fn count_role(config: &Config, role: Role) -> u64 {
    config.parameters().iter().filter(|p| p.role == role).fold(0, |sum: u64, p| sum.saturating_add(p.elements()))
}

struct List {
    parameters: Vec<Parameter>,
    role: Role,
}

impl List {
    fn add(&mut self, name: &str, shape: &[usize], init: Init) {
        self.parameters.push(Parameter { name: name.to_owned(), shape: shape.to_vec(), init, role: self.role });
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) {
        self.add(&format!("{name}.weight"), &[outputs, inputs], Init::BACKBONE_WEIGHT);
        if bias {
            self.add(&format!("{name}.bias"), &[outputs], Init::Zeros);
        }
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.add(&format!("{name}.weight"), &[channels], Init::Ones);
        self.add(&format!("{name}.bias"), &[channels], Init::Zeros);
    }

    fn block(&mut self, plan: &BlockPlan) {
        let at = |part: &str| format!("{}.{part}", plan.prefix);
        let (c, hidden) = (plan.channels, plan.mlp_channels);
        self.add(&at("cpe.0.weight"), &[c, 3, 3, 3, c], Init::BACKBONE_WEIGHT);
        self.add(&at("cpe.0.bias"), &[c], Init::Zeros);
        self.linear(&at("cpe.1"), c, c, true);
        self.norm(&at("cpe.2"), c);
        self.norm(&at("norm1.0"), c);
        self.wrapped_linear(&at("attn.qkv"), c.saturating_mul(3), c, plan.qkv_bias, plan.qkv.as_ref());
        self.linear(&at("attn.proj"), c, c, true);
        self.norm(&at("norm2.0"), c);
        self.wrapped_linear(&at("mlp.0.fc1"), hidden, c, true, plan.fc1.as_ref());
        self.wrapped_linear(&at("mlp.0.fc2"), c, hidden, true, plan.fc2.as_ref());
        if let Some(bottleneck) = &plan.adaptive {
            self.as_adapter(|list| list.bottleneck(&at("adaptive_module"), c, bottleneck));
        }
    }

    fn wrapped_linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool, delta: Option<&DeltaPlan>) {
        self.linear(name, outputs, inputs, bias);
        let Some(delta) = delta else { return };
        self.as_adapter(|list| list.delta(name, outputs, inputs, delta));
    }

    /// Adapters of a decoder are adapters all the same.
    fn as_adapter(&mut self, add: impl FnOnce(&mut Self)) {
        let role = std::mem::replace(&mut self.role, Role::Adapter);
        add(self);
        self.role = role;
    }

    fn delta(&mut self, name: &str, outputs: usize, inputs: usize, delta: &DeltaPlan) {
        let from_inputs = Init::linear_default(inputs);
        match *delta {
            DeltaPlan::Lora { rank, .. } => {
                self.add(&format!("{name}.lora.a"), &[outputs, rank], Init::Zeros);
                self.add(&format!("{name}.lora.b"), &[rank, inputs], from_inputs);
            }
            DeltaPlan::LowRank { rank, hidden, .. } => {
                let generated = outputs.saturating_mul(rank);
                self.add(&format!("{name}.dpp.down.weight"), &[rank, inputs], from_inputs);
                self.add(&format!("{name}.dpp.gen.0.weight"), &[hidden, inputs], from_inputs);
                self.add(&format!("{name}.dpp.gen.0.bias"), &[hidden], Init::Zeros);
                self.add(&format!("{name}.dpp.gen.2.weight"), &[generated, hidden], Init::Zeros);
                self.add(&format!("{name}.dpp.gen.2.bias"), &[generated], Init::Zeros);
            }
        }
    }

    fn bottleneck(&mut self, name: &str, channels: usize, plan: &BottleneckPlan) {
        self.norm(&format!("{name}.norm"), channels);
        self.projection(&format!("{name}.down"), plan.mid, channels, &plan.down, Init::relu_uniform(channels));
        self.projection(&format!("{name}.up"), channels, plan.mid, &plan.up, Init::Zeros);
    }

    fn projection(&mut self, name: &str, outputs: usize, inputs: usize, projection: &Projection, bases: Init) {
        match *projection {
            // The released code means a static `up` to start at zero, but the backbone's last step starts every
            // `Linear` anew, so it does not.
            Projection::Static => self.linear(name, outputs, inputs, true),
            Projection::Dynamic { k, gate_hidden, .. } => {
                self.add(&format!("{name}.attn.fc1.weight"), &[gate_hidden, inputs, 1], Init::relu_normal(gate_hidden));
                self.add(&format!("{name}.attn.fc2.weight"), &[k, gate_hidden, 1], Init::relu_normal(k));
                self.add(&format!("{name}.attn.fc2.bias"), &[k], Init::Zeros);
                self.add(&format!("{name}.dpp.weight"), &[k, outputs, inputs, 1], bases);
                self.add(&format!("{name}.dpp.bias"), &[k, outputs], Init::Zeros);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::{AdapterConfig, POINTTPA_BACKBONE, Target};
    use crate::model::preset::{AdapterChoice, Preset};

    /// The `ScanNet` configuration.
    fn base(decoder: bool, adapter: AdapterChoice) -> Config {
        let mut config = Config::preset(Preset::Base, adapter, 20).unwrap();
        if decoder {
            config.backbone.enc_mode = false;
            config.backbone.dec_channels = vec![64, 96, 192, 384];
            config.backbone.dec_num_head = vec![4, 6, 12, 24];
            config.backbone_out_channels = 64;
        }
        config.validate().unwrap();
        config
    }

    fn by_role(config: &Config) -> [u64; 4] {
        [Role::Backbone, Role::Adapter, Role::Decoder, Role::Head].map(|role| count_role(config, role))
    }

    /// Values in parameters of these roles, outside and inside of blocks.
    fn rate_groups(config: &Config, roles: &[Role]) -> (u64, u64) {
        let parameters = config.parameters();
        let sum = |block| {
            parameters
                .iter()
                .filter(|p| roles.contains(&p.role) && p.in_block() == block)
                .map(Parameter::elements)
                .sum::<u64>()
        };
        (sum(false), sum(true))
    }

    /// Counted on the reference's modules.
    #[test]
    fn counts_of_the_scannet_models() {
        let lin = base(false, AdapterChoice::None);
        assert_eq!(count(&lin), 108_485_988);
        assert_eq!(by_role(&lin), [108_461_328, 0, 0, 24_660]);

        let lin_tpa = base(false, AdapterChoice::BasisMix);
        assert_eq!(lin_tpa.backbone.kind, POINTTPA_BACKBONE);
        assert_eq!(count(&lin_tpa), 109_638_892);
        assert_eq!(by_role(&lin_tpa), [108_461_328, 1_152_904, 0, 24_660]);

        let dec = base(true, AdapterChoice::None);
        assert_eq!(count(&dec), 124_794_148);
        assert_eq!(by_role(&dec), [108_461_328, 0, 16_331_520, 1_300]);
        assert_eq!(rate_groups(&dec, &[Role::Decoder, Role::Head]), (497_236, 15_835_584));
        let all = [Role::Backbone, Role::Decoder, Role::Head];
        assert_eq!(rate_groups(&dec, &all), (794_740, 123_999_408));

        let dec_tpa = base(true, AdapterChoice::BasisMix);
        assert_eq!(count(&dec_tpa), 126_140_396);
        assert_eq!(by_role(&dec_tpa), [108_461_328, 1_346_248, 16_331_520, 1_300]);
        let trained = [Role::Adapter, Role::Decoder, Role::Head];
        assert_eq!(trained.map(|role| count_role(&dec_tpa, role)).iter().sum::<u64>(), 17_679_068);
    }

    #[test]
    fn a_name_says_which_part_it_belongs_to() {
        for preset in [Preset::Base, Preset::Small, Preset::Rooms] {
            for adapter in
                [AdapterChoice::BasisMix, AdapterChoice::LowRank, AdapterChoice::Lora, AdapterChoice::Bottleneck]
            {
                for parameter in Config::preset(preset, adapter, 20).unwrap().parameters() {
                    assert_eq!(Role::of(&parameter.name), parameter.role, "{}", parameter.name);
                }
            }
        }
    }

    /// Static and dynamic adapters of each stage, counted on the reference's modules.
    #[test]
    fn counts_of_single_adapters() {
        let config = base(false, AdapterChoice::BasisMix);
        let adapter = |stage: usize, index: usize| {
            let prefix = format!("backbone.enc.enc{stage}.block{index}.adaptive_module.");
            config.parameters().iter().filter(|p| p.name.starts_with(&prefix)).map(Parameter::elements).sum::<u64>()
        };
        assert_eq!([0, 1, 2, 3, 4].map(|stage| adapter(stage, 0)), [6_352, 12_640, 25_216, 50_368, 67_136]);
        let last = [(0, 2), (1, 2), (2, 2), (3, 11), (4, 2)];
        assert_eq!(last.map(|(s, i)| adapter(s, i)), [16_596, 33_768, 47_076, 112_452, 166_276]);
    }

    #[test]
    fn registration_order_of_a_block() {
        let mut config = base(false, AdapterChoice::None);
        config.backbone.adapter = Some(AdapterConfig::LowRank {
            rank: 2,
            alpha: 2.0,
            hidden: 3,
            window: 4,
            stride: 4,
            targets: vec![Target::Fc2],
            layers: Some(vec![0]),
        });
        let names: Vec<String> = config.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(names[..3], ["seg_head.weight", "seg_head.bias", "backbone.embedding.stem.linear.weight"]);
        let block: Vec<&str> = names
            .iter()
            .filter_map(|n| n.strip_prefix("backbone.enc.enc0.block0."))
            .filter(|n| !n.ends_with("bias"))
            .collect();
        let expected = [
            "cpe.0.weight",
            "cpe.1.weight",
            "cpe.2.weight",
            "norm1.0.weight",
            "attn.qkv.weight",
            "attn.proj.weight",
            "norm2.0.weight",
            "mlp.0.fc1.weight",
            "mlp.0.fc2.weight",
            "mlp.0.fc2.dpp.down.weight",
            "mlp.0.fc2.dpp.gen.0.weight",
            "mlp.0.fc2.dpp.gen.2.weight",
        ];
        assert_eq!(block, expected);
        let generator = config.parameters().into_iter().find(|p| p.name.ends_with("fc2.dpp.gen.2.weight")).unwrap();
        assert_eq!(generator.shape, [48 * 2, 3]);
    }
}
