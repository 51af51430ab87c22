//! How the parameters of a fresh model start.
//!
//! The distributions are the reference's, family by family; the random numbers are not. Each parameter has a
//! generator of its own, seeded by the model's seed and the parameter's name, so its values depend neither on
//! the other parameters nor on the order in which they are made. Only additions, multiplications, divisions and
//! square roots are used, which IEEE 754 rounds the same way everywhere: a seed gives the same model on every
//! platform.

use std::path::Path;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

use super::config::Config;
use super::parameters::Parameter;
use super::tensor_file::{Dtype, HostTensor};
use super::weights::ModelInfo;
use super::write::write_model;
use crate::Result;

/// Distribution of a parameter's first values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
}

impl Init {
    /// Linear and sparse convolution weights of the backbone (reference: `_init_weights`, applied to the whole
    /// backbone at the end of its construction). The reference's `trunc_normal_` cuts at ±2, a hundred standard
    /// deviations away, so it is a normal distribution.
    pub const BACKBONE_WEIGHT: Self = Self::Normal { std: 0.02 };

    /// Weight of a torch `Linear`, also the usual start of a low-rank adapter's input matrix: Kaiming uniform
    /// with a = √5, which is uniform within `1/√inputs`.
    pub fn linear_default(inputs: usize) -> Self {
        Self::Uniform { bound: 1.0 / (inputs.max(1) as f64).sqrt() }
    }

    /// Kaiming uniform for a `ReLU`, over the inputs: bases of a dynamic projection.
    pub fn relu_uniform(inputs: usize) -> Self {
        Self::Uniform { bound: (6.0 / inputs.max(1) as f64).sqrt() }
    }

    /// Kaiming normal for a `ReLU`, over the outputs: layers of a gate.
    pub fn relu_normal(outputs: usize) -> Self {
        Self::Normal { std: (2.0 / outputs.max(1) as f64).sqrt() }
    }
}

impl Parameter {
    /// The parameter's first values, f32, for a model with this seed.
    pub fn initial(&self, seed: u64) -> HostTensor {
        let count = usize::try_from(self.elements()).unwrap_or(usize::MAX);
        let values = match self.init {
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
            Init::Normal { std } => {
                let mut normal = Normal { generator: generator(seed, &self.name), spare: None };
                (0..count).map(|_| (normal.next() * std) as f32).collect()
            }
            Init::Uniform { bound } => {
                let mut generator = generator(seed, &self.name);
                (0..count).map(|_| ((2.0 * unit(&mut generator) - 1.0) * bound) as f32).collect()
            }
        };
        HostTensor::from_f32(&self.name, &self.shape, &values)
    }
}

/// Writes a fresh model.
///
/// # Errors
/// [`crate::Error::Argument`] for a configuration that is not valid or does not fit `info`, and
/// [`crate::Error::Io`] if the file cannot be written.
pub fn init_model(config: &Config, info: &ModelInfo, seed: u64, dtype: Dtype, path: &Path) -> Result<()> {
    write_model(path, config, info, dtype, |parameter| Ok(parameter.initial(seed)))
}

/// The generator of one parameter.
fn generator(seed: u64, name: &str) -> Pcg64 {
    // FNV-1a of the name; SplitMix64 spreads both numbers over the generator's state and stream.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut state = split_mix(seed) ^ hash;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        u128::from(split_mix(state))
    };
    Pcg64::new(next() << 64 | next(), next() << 64 | next())
}

fn split_mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in [0, 1), a multiple of 2^-53.
fn unit(generator: &mut Pcg64) -> f64 {
    (generator.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Standard normal numbers by Marsaglia's polar method.
struct Normal {
    generator: Pcg64,
    spare: Option<f64>,
}

impl Normal {
    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * unit(&mut self.generator) - 1.0;
            let y = 2.0 * unit(&mut self.generator) - 1.0;
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                let factor = (-2.0 * ln(s) / s).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }
}

/// Natural logarithm of a positive normal number, to about 1e-16. The standard library's differs between
/// platforms in the last bit.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh z with z = (m - 1) / (m + 1), |z| < 0.172, so z^22 is below 1e-16.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let series = (0..11).rev().fold(0.0, |sum, i| sum * square + 1.0 / f64::from(2 * i + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * z * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parameters::Role;
    use crate::model::preset::{AdapterChoice, Preset};

    fn values(name: &str, shape: &[usize], init: Init, seed: u64) -> Vec<f32> {
        let parameter = Parameter { name: name.to_owned(), shape: shape.to_vec(), init, role: Role::Backbone };
        parameter.initial(seed).to_f32().unwrap()
    }

    /// Mean, standard deviation, excess kurtosis, largest magnitude.
    fn moments(values: &[f32]) -> [f64; 4] {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let moment = |k| values.iter().map(|&v| (f64::from(v) - mean).powi(k)).sum::<f64>() / n;
        let largest = values.iter().fold(0.0, |m, &v| f64::max(m, f64::from(v).abs()));
        [mean, moment(2).sqrt(), moment(4) / moment(2).powi(2) - 3.0, largest]
    }

    #[test]
    fn the_logarithm_is_a_logarithm() {
        for i in 1..4000_i32 {
            let x = f64::from(i) / 4000.0;
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1e-3), "{x}: {} {}", ln(x), x.ln());
            let tiny = x * 2f64.powi(-100);
            assert!((ln(tiny) / tiny.ln() - 1.0).abs() < 1e-15);
        }
    }

    /// 640,000 values: the mean is off by at most 5 σ/800, the deviation by at most 0.5 %.
    #[test]
    fn normal_values_are_normal() {
        let [mean, std, kurtosis, largest] = moments(&values("w", &[800, 800], Init::BACKBONE_WEIGHT, 7));
        assert!(mean.abs() < 0.02 * 5.0 / 800.0, "{mean}");
        assert!((std / 0.02 - 1.0).abs() < 5e-3, "{std}");
        assert!(kurtosis.abs() < 0.04, "{kurtosis}");
        assert!(largest > 0.08 && largest < 0.13, "{largest}");
    }

    #[test]
    fn uniform_values_fill_their_interval() {
        let [mean, std, kurtosis, largest] = moments(&values("w", &[800, 800], Init::linear_default(25), 7));
        assert!(mean.abs() < 0.2 / 3f64.sqrt() * 5.0 / 800.0, "{mean}");
        assert!((std * 3f64.sqrt() / 0.2 - 1.0).abs() < 5e-3, "{std}");
        assert!((kurtosis + 1.2).abs() < 0.02, "{kurtosis}");
        assert!(largest <= f64::from(0.2_f32) && largest > 0.199_9, "{largest}");
    }

    #[test]
    fn a_parameter_depends_on_its_seed_and_name_only() {
        let a = values("a", &[4], Init::BACKBONE_WEIGHT, 1);
        assert_eq!(a, values("a", &[4], Init::BACKBONE_WEIGHT, 1));
        assert_eq!(a, values("a", &[2, 4], Init::BACKBONE_WEIGHT, 1)[..4]);
        assert_ne!(a, values("b", &[4], Init::BACKBONE_WEIGHT, 1));
        assert_ne!(a, values("a", &[4], Init::BACKBONE_WEIGHT, 2));
        // Pinned, so that a seed keeps giving the same model.
        let bits: Vec<u32> = a.iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, [0x3cb2_2093, 0xbba9_46c5, 0xbc4f_5e5d, 0x3c3f_f1a9], "{a:?}");
    }

    /// Bounds and deviations of every family in the released model, by the end of the name.
    #[test]
    fn families_start_as_in_the_reference() {
        let released = Config::preset(Preset::Base, AdapterChoice::BasisMix, 20).unwrap().parameters();
        let low_rank = Config::preset(Preset::Base, AdapterChoice::LowRank, 20).unwrap().parameters();
        let lora = Config::preset(Preset::Base, AdapterChoice::Lora, 20).unwrap().parameters();
        let init = |name: &str| {
            let found = released.iter().chain(&low_rank).chain(&lora).find(|p| p.name.ends_with(name));
            found.unwrap_or_else(|| panic!("no parameter {name}")).init
        };
        let normal = Init::Normal { std: 0.02 };
        for name in [
            "stem.linear.weight",
            "enc1.down.proj.weight",
            "block0.cpe.0.weight",
            "cpe.1.weight",
            "qkv.weight",
            "block0.adaptive_module.down.weight",
            "block0.adaptive_module.up.weight",
        ] {
            assert_eq!(init(name), normal, "{name}");
        }
        for name in ["norm1.0.weight", "cpe.2.weight", "stem.norm.weight", "adaptive_module.norm.weight"] {
            assert_eq!(init(name), Init::Ones, "{name}");
        }
        for name in [
            "cpe.0.bias",
            "qkv.bias",
            "up.bias",
            "fc2.bias",
            "dpp.bias",
            "gen.0.bias",
            "gen.2.weight",
            "gen.2.bias",
            "lora.a",
        ] {
            assert_eq!(init(name), Init::Zeros, "{name}");
        }
        let head = 1.0 / 1232_f64.sqrt();
        assert_eq!(init("seg_head.weight"), Init::Uniform { bound: head });
        assert_eq!(init("seg_head.bias"), Init::Uniform { bound: head });
        assert_eq!(
            init("enc0.block2.adaptive_module.down.attn.fc1.weight"),
            Init::Normal { std: (2.0 / 16_f64).sqrt() }
        );
        assert_eq!(
            init("enc0.block2.adaptive_module.down.attn.fc2.weight"),
            Init::Normal { std: (2.0 / 4_f64).sqrt() }
        );
        assert_eq!(init("enc0.block2.adaptive_module.down.dpp.weight"), Init::Uniform { bound: (6.0 / 48_f64).sqrt() });
        assert_eq!(init("enc0.block2.attn.qkv.dpp.gen.0.weight"), Init::Uniform { bound: 1.0 / 48_f64.sqrt() });
        assert_eq!(init("enc0.block2.attn.qkv.dpp.down.weight"), Init::Uniform { bound: 1.0 / 48_f64.sqrt() });
        assert_eq!(init("enc0.block2.attn.qkv.lora.b"), Init::Uniform { bound: 1.0 / 48_f64.sqrt() });
    }
}
