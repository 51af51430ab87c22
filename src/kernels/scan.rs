//! `scan`: exclusive prefix sum of unsigned integers.
//!
//! x `[n]` → out `[n + 1]`: `out[i] = x[0] + … + x[i - 1]`, so that `out[n]` is the total. Sums wrap at 2³².
//!
//! Reduce, then scan (Sengupta et al., "Scan primitives for GPU computing", 2007): blocks of 256 scan themselves
//! and leave their sums, the sums are scanned in the same way, and every block is moved by the sum before it. No
//! workgroup waits for another, so it needs no promise of forward progress.

use super::expect::{self, Size::Any};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{params, scan as shader},
    },
};

params!(scan { n: u32, blocks: u32 });

const BLOCK: usize = 256;

/// Exclusive prefix sum of x `[n]`, with the total as the last of `[n + 1]`.
pub fn scan(x: &Tensor) -> Result<Tensor> {
    expect::operand("scan", "x", x, x.device(), DType::U32, &[Any])?;
    match x.device() {
        Device::Cpu(cpu) => cpu.run("scan", Work::Other(0), bytes_of(&[x, x]), || twin(x)),
        Device::Gpu(gpu) => record(gpu, x),
    }
}

fn record(gpu: &Gpu, x: &Tensor) -> Result<Tensor> {
    let n = x.rows();
    expect::one_binding("scan", "the prefix sum", (n + 1) * 4, gpu.max_binding())?;
    let blocks = n.div_ceil(BLOCK).max(1);
    let out = Tensor::uninit(x.device(), &[n + 1], DType::U32)?;
    let sums = Tensor::uninit(x.device(), &[blocks], DType::U32)?;
    let params = Params { n: n as u32, blocks: blocks as u32 };
    gpu.dispatch(&Dispatch {
        variant: &shader::PLAIN,
        entry: "blocks",
        bind: &[Bind::all(x), Bind::all(&out), Bind::all(&sums)],
        params: bytemuck::bytes_of(&params),
        groups: blocks as u32,
        work: Work::Other(n as u64 * 8),
    })?;
    if blocks > 1 {
        let offsets = record(gpu, &sums)?;
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry: "add",
            bind: &[Bind::all(&out), Bind::all(&offsets)],
            params: bytemuck::bytes_of(&params),
            groups: (n + 1).div_ceil(BLOCK) as u32,
            work: Work::Other(n as u64 * 8),
        })?;
    }
    Ok(out)
}

fn twin(x: &Tensor) -> Result<Tensor> {
    let mut out = Tensor::uninit(x.device(), &[x.rows() + 1], DType::U32)?;
    let sums = out.host_mut::<u32>();
    sums[0] = 0;
    for (i, value) in x.host::<u32>().iter().enumerate() {
        sums[i + 1] = sums[i].wrapping_add(*value);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, devices, get, gpu, put};
    use super::*;

    fn naive(x: &[u32]) -> Vec<u32> {
        std::iter::once(0)
            .chain(x.iter().scan(0u32, |sum, v| {
                *sum = sum.wrapping_add(*v);
                Some(*sum)
            }))
            .collect()
    }

    #[test]
    fn every_element_is_the_sum_of_those_before_it() {
        // 65,537 elements are 257 blocks: one more than a second level holds.
        for n in SIZES.into_iter().chain([256, 257, 65_536, 65_537]) {
            let mut noise = Noise::new(n as u64);
            let x: Vec<u32> = (0..n).map(|_| noise.bits() as u32).collect();
            for device in devices() {
                assert_eq!(get::<u32>(&scan(&put(&device, &[n], &x)).unwrap()), naive(&x), "{n} on {device:?}");
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        let Some(gpu) = gpu() else { return };
        let n = 65_536 * BLOCK + 1;
        let out = get::<u32>(&scan(&put(&gpu, &[n], &vec![3u32; n])).unwrap());
        assert!(out.iter().enumerate().all(|(i, sum)| *sum == 3 * i as u32));
    }
}
