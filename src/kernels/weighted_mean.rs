//! `weighted_mean`: the last step of a loss: partial sums to a mean and the factor of its gradient.
//!
//! parts `[k, 2]` (weighted sum, sum of weights) → mean `[1]` = Σ parts\[:, 0\] / Σ parts\[:, 1\], and inverse `[1]` =
//! 1 / Σ parts\[:, 1\]. Where the weights add up to 0 both are 0: a batch without a label has loss 0 and no gradient.

use super::expect::{self, Size::Any, Size::Is};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        shader_table::{params, weighted_mean as table},
    },
};

params!(weighted_mean { count: u32 });

/// A mean, and one over the sum of its weights.
#[derive(Clone, Debug)]
pub struct WeightedMean {
    /// `[1]`.
    pub mean: Tensor,
    /// `[1]`.
    pub inverse: Tensor,
}

/// Joins `parts` `[k, 2]`.
pub fn weighted_mean(parts: &Tensor) -> Result<WeightedMean> {
    expect::operand("weighted_mean", "parts", parts, parts.device(), DType::F32, &[Any, Is(2)])?;
    let mut mean = Tensor::uninit(parts.device(), &[1], DType::F32)?;
    let mut inverse = Tensor::uninit(parts.device(), &[1], DType::F32)?;
    let work = Work::Flops(parts.len() as u64);
    match parts.device() {
        Device::Cpu(cpu) => cpu.run("weighted_mean", work, bytes_of(&[parts]), || {
            let sum = |column: usize| parts.host::<f32>().chunks_exact(2).map(|part| f64::from(part[column])).sum();
            let (sum, weight): (f64, f64) = (sum(0), sum(1));
            let factor = if weight == 0.0 { 0.0 } else { 1.0 / weight };
            mean.host_mut::<f32>()[0] = (sum * factor) as f32;
            inverse.host_mut::<f32>()[0] = factor as f32;
        }),
        Device::Gpu(gpu) => gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[Bind::all(parts), Bind::all(&mean), Bind::all(&inverse)],
            params: bytemuck::bytes_of(&Params { count: parts.rows() as u32 }),
            groups: 1,
            work,
        })?,
    }
    Ok(WeightedMean { mean, inverse })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        // Each of 256 invocations adds up to 300 numbers of one sign: 300 roundings of 6e-8 at the very worst.
        for n in SIZES.into_iter().chain([70_000]) {
            let mut noise = Noise::new(n as u64);
            let parts: Vec<f32> = noise.floats(2 * n).iter().map(|v| v.abs()).collect();
            let run = |device: &Device| weighted_mean(&put(device, &[n, 2], &parts)).unwrap();
            let mean = agree_split(2e-5, 1 << 20, |device| run(device).mean);
            let inverse = agree_split(2e-5, 1 << 20, |device| run(device).inverse);
            let sum = |column: usize| parts.chunks(2).map(|part| f64::from(part[column])).sum::<f64>();
            let expected = if n == 0 { [0.0, 0.0] } else { [sum(0) / sum(1), 1.0 / sum(1)] };
            assert!((f64::from(mean[0]) - expected[0]).abs() <= 1e-6 * expected[0].abs());
            assert!((f64::from(inverse[0]) - expected[1]).abs() <= 1e-6 * expected[1].abs());
        }
    }

    #[test]
    fn no_weight_is_no_loss() {
        let parts = [3.0f32, 0.0, 1.0, 0.0];
        let run = |device: &Device| weighted_mean(&put(device, &[2, 2], &parts)).unwrap();
        assert_eq!(agree_split(0.0, 256, |device| run(device).mean), [0.0]);
        assert_eq!(agree_split(0.0, 256, |device| run(device).inverse), [0.0]);
    }
}
