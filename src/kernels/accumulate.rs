//! `accumulate`: `y[i] ← y[i] + a · x[i]`, for gradients that are gathered over several batches.
//!
//! y becomes a tensor of its own: whoever holds a clone of what it was keeps that.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{accumulate as table, params},
    },
};

params!(accumulate { n: u32, a: f32 });

/// Adds `a` times x to y, both f32 of one shape.
pub fn accumulate(y: &mut Tensor, a: f32, x: &Tensor) -> Result<()> {
    let fits = y.shape() == x.shape() && y.dtype() == DType::F32 && x.dtype() == DType::F32;
    ensure!("accumulate", fits && y.device().is(x.device()), "y {y:?} and x {x:?}");
    let mut out = Tensor::uninit(y.device(), y.shape(), DType::F32)?;
    match y.device() {
        Device::Cpu(cpu) => cpu.run("accumulate", Work::Flops(2 * y.len() as u64), bytes_of(&[y, x, &out]), || {
            let operands = y.host::<f32>().par_iter().zip(x.host::<f32>());
            out.host_mut::<f32>().par_iter_mut().zip(operands).for_each(|(out, (y, x))| *out = y + a * x);
        }),
        Device::Gpu(gpu) => {
            let [old, x, new] = [y, x, &out].map(|tensor| tensor.reshaped(&[tensor.len()]));
            let (old, x, new) = (old?, x?, new?);
            for range in row_chunks(y.len(), 4, 2, gpu.max_binding()) {
                let n = range.len();
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(&old, range.clone()), Bind::rows(&x, range.clone()), Bind::rows(&new, range)],
                    params: bytemuck::bytes_of(&Params { n: n as u32, a }),
                    groups: groups_for(n, ELEMENTS_PER_GROUP),
                    work: Work::Flops(2 * n as u64),
                })?;
            }
        }
    }
    *y = out;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, cpu, devices, get, put},
    };

    #[test]
    fn sums_of_every_size_past_one_dimension_of_groups() {
        for n in [0, 1, 15, 1025, 65_536 * 256 + 3] {
            let x = Noise::new(n as u64).floats(n);
            let sum = agree(0.0, |device| {
                let mut y = put(device, &[n], &x);
                // A quarter is exact, whether or not the device fuses the product with the sum.
                accumulate(&mut y, 0.25, &put(device, &[n], &x)).unwrap();
                y
            });
            assert!(sum.iter().zip(&x).all(|(sum, x)| *sum == x + 0.25 * x));
        }
    }

    #[test]
    fn a_clone_keeps_what_was() {
        for device in devices() {
            let mut y = put(&device, &[1, 2], &[1.0f32, 2.0]);
            let before = y.clone();
            accumulate(&mut y, 2.0, &before).unwrap();
            assert_eq!((get::<f32>(&y), get::<f32>(&before)), (vec![3.0, 6.0], vec![1.0, 2.0]));
            assert_eq!(y.shape(), [1, 2]);
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let mut y = put(&device, &[2], &[1.0f32, 2.0]);
        for x in [put(&device, &[1, 2], &[0.0f32; 2]), put(&device, &[2], &[0u32; 2]), put(&cpu(), &[2], &[0.0f32; 2])]
        {
            assert!(accumulate(&mut y, 1.0, &x).is_err());
        }
    }
}
