//! `sum_squares`: the sum of squares of all elements of many tensors, the square of their global norm.
//!
//! Tensors `x_t` of any shapes → `[1]`: `Σ_t Σ_i x_t[i]²`. It stays on the device: [`super::adamw::Clip`] reads it there.

use super::ensure;
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, sum_squares as table},
    },
};

params!(sum_squares { n: u32, first_part: u32 });

const PER_GROUP: usize = 4096;

/// The sum of squares of f32 `tensors` on `device` → `[1]`; 0 of none.
pub fn sum_squares(device: &Device, tensors: &[&Tensor]) -> Result<Tensor> {
    for x in tensors {
        let fits = x.dtype() == DType::F32 && x.device().is(device);
        ensure!("sum_squares", fits, "{x:?} is not f32 on {device:?}");
    }
    let mut out = Tensor::uninit(device, &[1], DType::F32)?;
    let elements: usize = tensors.iter().map(|x| x.len()).sum();
    match device {
        Device::Cpu(cpu) => cpu.run("sum_squares", Work::Flops(2 * elements as u64), 4 * elements as u64, || {
            out.host_mut::<f32>()[0] = tensors.iter().map(|x| twin(x.host())).sum::<f64>() as f32;
        }),
        Device::Gpu(gpu) => record(gpu, device, tensors, &out)?,
    }
    Ok(out)
}

fn record(gpu: &Gpu, device: &Device, tensors: &[&Tensor], out: &Tensor) -> Result<()> {
    let chunks = |x: &Tensor| row_chunks(x.len(), 4, 2, gpu.max_binding());
    let count: usize = tensors.iter().flat_map(|x| chunks(x)).map(|range| range.len().div_ceil(PER_GROUP)).sum();
    let parts = Tensor::uninit(device, &[count], DType::F32)?;
    let mut first_part = 0;
    for x in tensors {
        let flat = x.reshaped(&[x.len()])?;
        for range in chunks(x) {
            let (n, groups) = (range.len(), range.len().div_ceil(PER_GROUP));
            gpu.dispatch(&Dispatch {
                variant: &table::PLAIN,
                entry: "squares",
                bind: &[Bind::rows(&flat, range), Bind::all(&parts)],
                params: bytemuck::bytes_of(&Params { n: n as u32, first_part: first_part as u32 }),
                groups: groups as u32,
                work: Work::Flops(2 * n as u64),
            })?;
            first_part += groups;
        }
    }
    gpu.dispatch(&Dispatch {
        variant: &table::PLAIN,
        entry: "total",
        bind: &[Bind::all(&parts), Bind::all(out)],
        params: bytemuck::bytes_of(&Params { n: count as u32, first_part: 0 }),
        groups: 1,
        work: Work::Flops(count as u64),
    })
}

/// In f64, block by block, so that the threads' number does not show.
fn twin(x: &[f32]) -> f64 {
    let blocks = x.par_chunks(PER_GROUP).map(|block| block.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>());
    blocks.collect::<Vec<_>>().iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES.into_iter().chain([9000]) {
            let mut noise = Noise::new(n as u64);
            let (x, y) = (noise.floats(n), noise.floats(3 * n));
            let sum = agree(1e-6, |device| {
                let (x, y) = (put(device, &[n], &x), put(device, &[n, 3], &y));
                sum_squares(device, &[&x, &y, &x]).unwrap()
            });
            let naive = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let expected = 2.0 * naive(&x) + naive(&y);
            assert!((f64::from(sum[0]) - expected).abs() <= 1e-6 * expected, "{n}: {} against {expected}", sum[0]);
        }
    }

    #[test]
    fn many_tensors_have_one_norm() {
        // A hundred tensors of one element, and none at all.
        let x: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let sum = agree(0.0, |device| {
            let tensors: Vec<Tensor> = x.iter().map(|v| put(device, &[1, 1], &[*v])).collect();
            sum_squares(device, &tensors.iter().collect::<Vec<_>>()).unwrap()
        });
        assert_eq!(sum, [328_350.0]);
        assert_eq!(agree(0.0, |device| sum_squares(device, &[]).unwrap()), [0.0]);
    }

    #[test]
    fn the_same_bits_every_time() {
        let x = Noise::new(3).floats(100_000);
        for device in devices() {
            let tensor = put(&device, &[1000, 100], &x);
            let bits = || get::<f32>(&sum_squares(&device, &[&tensor, &tensor]).unwrap())[0].to_bits();
            assert_eq!(bits(), bits());
        }
    }

    #[test]
    fn other_types_and_devices_are_refused() {
        let device = cpu();
        let (words, elsewhere) = (put(&device, &[1], &[1u32]), put(&cpu(), &[1], &[1.0f32]));
        assert!(sum_squares(&device, &[&words]).is_err() && sum_squares(&device, &[&elsewhere]).is_err());
    }

    #[test]
    fn a_large_tensor_is_summed_in_several_dispatches() {
        // 65,536 groups would take a binding of 1 GiB; here are 4097, in bindings of 1 MiB. Ones are summed exactly.
        let n = 4096 * PER_GROUP + 1;
        let ones = vec![1.0f32; n];
        let sum = agree_split(0.0, 1 << 20, |device| sum_squares(device, &[&put(device, &[n], &ones)]).unwrap());
        assert_eq!(sum, [16_777_216.0]);
    }
}
