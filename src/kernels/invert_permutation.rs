//! `invert_permutation`: the rank of every point.
//!
//! order `[r, n]` → inverse `[r, n]`: `inverse[k][order[k][i]] = i`. Each row of `order` must be a permutation.

use super::expect::{self, Size::Any};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{invert_permutation as shader, params},
    },
};

params!(invert_permutation { n: u32, total: u32 });

/// Inverts each row of `order`.
pub fn invert_permutation(order: &Tensor) -> Result<Tensor> {
    expect::operand("invert_permutation", "order", order, order.device(), DType::U32, &[Any, Any])?;
    match order.device() {
        Device::Cpu(cpu) => cpu.run("invert_permutation", Work::Other(0), bytes_of(&[order, order]), || twin(order)),
        Device::Gpu(gpu) => record(gpu, order),
    }
}

fn record(gpu: &Gpu, order: &Tensor) -> Result<Tensor> {
    expect::one_binding("invert_permutation", "the order", order.len() * 4, gpu.max_binding())?;
    let out = Tensor::uninit(order.device(), order.shape(), DType::U32)?;
    gpu.dispatch(&Dispatch {
        variant: &shader::PLAIN,
        entry: "",
        bind: &[Bind::all(order), Bind::all(&out)],
        params: bytemuck::bytes_of(&Params { n: order.columns() as u32, total: order.len() as u32 }),
        groups: order.len().div_ceil(256) as u32,
        work: Work::Other(order.len() as u64 * 8),
    })?;
    Ok(out)
}

fn twin(order: &Tensor) -> Result<Tensor> {
    let mut out = Tensor::uninit(order.device(), order.shape(), DType::U32)?;
    let n = order.columns().max(1);
    for (inverse, order) in out.host_mut::<u32>().chunks_mut(n).zip(order.host::<u32>().chunks(n)) {
        for (rank, point) in order.iter().enumerate() {
            inverse[*point as usize] = rank as u32;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, devices, get, gpu, put};
    use super::*;

    #[test]
    fn an_order_composed_with_its_inverse_is_the_identity() {
        for device in devices() {
            for n in SIZES {
                let mut noise = Noise::new(n as u64);
                let mut order: Vec<u32> = (0..3).flat_map(|_| 0..n as u32).collect();
                for row in order.chunks_mut(n.max(1)) {
                    for i in (1..row.len()).rev() {
                        row.swap(i, noise.below(i + 1));
                    }
                }
                let inverse = get::<u32>(&invert_permutation(&put(&device, &[3, n], &order)).unwrap());
                for k in 0..3 {
                    for i in 0..n {
                        assert_eq!(inverse[k * n + order[k * n + i] as usize] as usize, i);
                    }
                }
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        let Some(gpu) = gpu() else { return };
        let n = 65_536 * 256 + 1;
        let reversed: Vec<u32> = (0..n as u32).rev().collect();
        assert_eq!(get::<u32>(&invert_permutation(&put(&gpu, &[1, n], &reversed)).unwrap()), reversed);
    }
}
