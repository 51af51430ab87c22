//! `add`: `out[i] = a[i] + b[i]`.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{add as table, params},
    },
};

params!(add { n: u32 });

/// `a` and `b` of one shape → their sum.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ensure!("add", a.shape() == b.shape(), "a {:?} and b {:?}", a.shape(), b.shape());
    let mut out = Tensor::uninit(a.device(), a.shape(), DType::F32)?;
    match a.device() {
        Device::Cpu(cpu) => cpu.run("add", Work::Flops(a.len() as u64), bytes_of(&[a, b, &out]), || {
            let operands = a.host::<f32>().par_iter().zip(b.host::<f32>());
            out.host_mut::<f32>().par_iter_mut().zip(operands).for_each(|(y, (a, b))| *y = a + b);
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(a.rows(), a.row_bytes(), a.columns() as u64, gpu.max_binding()) {
                let n = rows.len() * a.columns();
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(a, rows.clone()), Bind::rows(b, rows.clone()), Bind::rows(&out, rows)],
                    params: bytemuck::bytes_of(&Params { n: n as u32 }),
                    groups: groups_for(n, ELEMENTS_PER_GROUP),
                    work: Work::Flops(n as u64),
                })?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, put},
    };

    #[test]
    fn sums_of_every_size_past_one_dimension_of_groups() {
        for n in [0, 1, 15, 1025, 65_536 * 256 + 3] {
            let mut noise = Noise::new(n as u64);
            let a: Vec<f32> = (0..n).map(|_| noise.float()).collect();
            let sum = agree(0.0, |device| add(&put(device, &[n], &a), &put(device, &[n], &a)).unwrap());
            assert!(sum.iter().zip(&a).all(|(s, a)| *s == a + a));
        }
    }
}
