//! `fma_peak`: fused multiply-adds in registers and nothing else, what a device's other kernels are held against.
//!
//! out `[n]`: `out[i] = Σ_c x_c`, each of the 12 chains c being `8 · rounds` steps of `x ← x · a + b` from
//! `x_c = (i mod 97) / 8 + c`. The chains are independent, which hides the latency of a step.

use super::{ELEMENTS_PER_GROUP, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        shader_table::{fma_peak as table, params},
    },
};
use pulp::{Simd, WithSimd};

params!(fma_peak { n: u32, rounds: u32, a: f32, b: f32 });

const CHAINS: usize = 12;
const STEPS: usize = 8;
/// The chains settle at `B / (1 - A)`, so no number of steps leads to an infinity or a denormal.
const A: f32 = 0.75;
const B: f32 = 0.5;

/// Elements that a thread of the CPU computes at a time.
const CPU_ELEMENTS: usize = 64;

/// Floating-point operations of `n` elements and a number of rounds.
pub fn flops(n: usize, rounds: u32) -> u64 {
    2 * (n * CHAINS * STEPS) as u64 * u64::from(rounds)
}

/// `n` elements on `device`, in one dispatch, whose length is the caller's to bound.
pub fn fma_peak(device: &Device, n: usize, rounds: u32) -> Result<Tensor> {
    let mut out = Tensor::uninit(device, &[n], DType::F32)?;
    let work = Work::Flops(flops(n, rounds));
    match device {
        Device::Cpu(cpu) => cpu.run("fma_peak", work, bytes_of(&[&out]), || {
            out.host_mut::<f32>().par_chunks_mut(CPU_ELEMENTS).enumerate().for_each(|(chunk, out)| {
                pulp::Arch::new().dispatch(Chains { first: chunk * CPU_ELEMENTS, rounds, out });
            });
        }),
        Device::Gpu(gpu) => gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[Bind::all(&out)],
            params: bytemuck::bytes_of(&Params { n: n as u32, rounds, a: A, b: B }),
            groups: groups_for(n, ELEMENTS_PER_GROUP),
            work,
        })?,
    }
    Ok(out)
}

/// The elements from `first`, one to a lane of the vector registers.
struct Chains<'a> {
    first: usize,
    rounds: u32,
    out: &'a mut [f32],
}

impl WithSimd for Chains<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { first, rounds, out } = self;
        let (a, b) = (simd.splat_f32s(A), simd.splat_f32s(B));
        for (i, out) in out.chunks_mut(S::F32_LANES).enumerate() {
            let mut start = simd.splat_f32s(0.0);
            for (lane, x) in bytemuck::cast_slice_mut::<_, f32>(std::slice::from_mut(&mut start)).iter_mut().enumerate()
            {
                *x = ((first + i * S::F32_LANES + lane) % 97) as f32 * 0.125;
            }
            let mut chains: [S::f32s; CHAINS] =
                std::array::from_fn(|c| simd.add_f32s(start, simd.splat_f32s(c as f32)));
            for _ in 0..rounds {
                for _ in 0..STEPS {
                    for x in &mut chains {
                        *x = simd.mul_add_e_f32s(*x, a, b);
                    }
                }
            }
            // In the shader's order: three vectors of four chains, then the vector's elements.
            let [x, y, z, w] =
                std::array::from_fn(|c| simd.add_f32s(simd.add_f32s(chains[c], chains[c + 4]), chains[c + 8]));
            let sum = [simd.add_f32s(simd.add_f32s(x, y), simd.add_f32s(z, w))];
            out.copy_from_slice(&bytemuck::cast_slice::<_, f32>(&sum)[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::agreement::agree_split;

    /// The formula in f64.
    fn naive(i: usize, rounds: u32) -> f64 {
        let chain = |c: usize| {
            let start = (i % 97) as f64 / 8.0 + c as f64;
            (0..STEPS as u32 * rounds).fold(start, |x, _| x * f64::from(A) + f64::from(B))
        };
        (0..CHAINS).map(chain).sum()
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in [0, 1, 15, 1025, 65_536 * 256 + 3] {
            // After more rounds all elements are the same.
            for rounds in [0, 1, 2] {
                // A step rounds once or twice; 12 chains below 20, 16 steps of a factor below 1.
                let whole = (4 * n).max(256) as u64;
                let result = agree_split(1e-6, whole, |device| fma_peak(device, n, rounds).unwrap());
                let step = (n / 1000).max(1);
                for i in (0..n).step_by(step) {
                    let expected = naive(i, rounds);
                    assert!((f64::from(result[i]) - expected).abs() < 1e-6 * expected, "{i}: {}", result[i]);
                }
            }
        }
    }

    #[test]
    fn operations_are_counted_as_they_are_made() {
        assert_eq!(flops(100, 3), 100 * 12 * 8 * 3 * 2);
    }
}
