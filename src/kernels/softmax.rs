//! `softmax`: `out[i, :] = softmax(x[i, :] · scale)`; the gate of `basis_mix` has scale 1/4.

use super::{ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{params, softmax as table},
    },
};

params!(softmax { rows: u32, columns: u32, scale: f32 });

/// `x` `[n, c]`, c at least 1 → `[n, c]`, rows adding up to 1.
pub fn softmax(x: &Tensor, scale: f32) -> Result<Tensor> {
    let columns = x.columns();
    ensure!("softmax", columns > 0, "x {:?} has no columns", x.shape());
    let work = |rows: usize| Work::Flops(4 * (columns * rows) as u64);
    let mut out = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    match x.device() {
        Device::Cpu(device) => device.run("softmax", work(x.rows()), bytes_of(&[x, &out]), || {
            cpu(x.host(), scale, columns, out.host_mut());
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(x.rows(), x.row_bytes(), 4 * columns as u64, gpu.max_binding()) {
                let params = Params { rows: rows.len() as u32, columns: columns as u32, scale };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(x, rows.clone()), Bind::rows(&out, rows.clone())],
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(rows.len(), 64),
                    work: work(rows.len()),
                })?;
            }
        }
    }
    Ok(out)
}

fn cpu(x: &[f32], scale: f32, columns: usize, out: &mut [f32]) {
    out.par_chunks_mut(columns).zip(x.par_chunks(columns)).for_each(|(out, x)| {
        let largest = x.iter().map(|v| v * scale).fold(f32::MIN, f32::max);
        for (weight, v) in out.iter_mut().zip(x) {
            *weight = (v * scale - largest).exp();
        }
        let total: f32 = out.iter().sum();
        for weight in out {
            *weight /= total;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, SIZES, put},
    };

    #[test]
    fn rows_add_up_to_one_and_follow_the_formula() {
        for n in SIZES {
            for c in [1, 4, 21] {
                let x: Vec<f32> = Noise::new((n + c) as u64).floats(n * c).iter().map(|v| v * 300.0).collect();
                let result = agree(1e-6, |device| softmax(&put(device, &[n, c], &x), 0.25).unwrap());
                for (y, x) in result.chunks(c).zip(x.chunks(c)) {
                    assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                    let total: f64 = x.iter().map(|v| (f64::from(*v) * 0.25).exp()).sum();
                    let expected = (f64::from(x[0]) * 0.25).exp() / total;
                    assert!((f64::from(y[0]) - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 64 + 1;
        let ones = agree(0.0, |device| softmax(&put(device, &[n, 1], &vec![3.0f32; n]), 1.0).unwrap());
        assert!(ones.iter().all(|v| *v == 1.0));
    }
}
