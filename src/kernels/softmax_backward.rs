//! `softmax_backward`: the gradient of [`softmax`](super::softmax):
//! `dx[i, :] = scale · y[i, :] · (dy[i, :] - Σ_j y[i, j] dy[i, j])`, from its output y.

use super::{ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{params, softmax_backward as table},
    },
};

params!(softmax_backward { rows: u32, columns: u32, scale: f32 });

/// The softmax's output `y` `[n, c]` and its `scale`, `dy` `[n, c]` → dx `[n, c]`.
pub fn softmax_backward(y: &Tensor, scale: f32, dy: &Tensor) -> Result<Tensor> {
    let columns = y.columns();
    let fits = columns > 0 && dy.shape() == y.shape() && [y, dy].iter().all(|tensor| tensor.dtype() == DType::F32);
    ensure!("softmax_backward", fits, "y {y:?}, dy {dy:?}");
    let work = |rows: usize| Work::Flops(5 * (columns * rows) as u64);
    let mut dx = Tensor::uninit(y.device(), y.shape(), DType::F32)?;
    match y.device() {
        Device::Cpu(device) => device.run("softmax_backward", work(y.rows()), bytes_of(&[y, dy, &dx]), || {
            cpu(y.host(), scale, dy.host(), columns, dx.host_mut());
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(y.rows(), y.row_bytes(), 5 * columns as u64, gpu.max_binding()) {
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[y, dy, &dx].map(|tensor| Bind::rows(tensor, rows.clone())),
                    params: bytemuck::bytes_of(&Params { rows: rows.len() as u32, columns: columns as u32, scale }),
                    groups: groups_for(rows.len(), 64),
                    work: work(rows.len()),
                })?;
            }
        }
    }
    Ok(dx)
}

fn cpu(y: &[f32], scale: f32, dy: &[f32], columns: usize, dx: &mut [f32]) {
    let operands = y.par_chunks(columns).zip(dy.par_chunks(columns));
    dx.par_chunks_mut(columns).zip(operands).for_each(|(dx, (y, dy))| {
        let dot: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
        for c in 0..columns {
            dx[c] = scale * y[c] * (dy[c] - dot);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        differences::{check_gradient, weighted_sum},
        softmax::softmax,
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            for c in [1, 4, 21] {
                let mut noise = Noise::new((n + c) as u64);
                let (x, dy) = (noise.floats(n * c), noise.floats(n * c));
                let y: Vec<f32> = get(&softmax(&put(&cpu(), &[n, c], &x), 3.0).unwrap());
                let result = agree(1e-6, |device| {
                    let [y, dy] = [&y, &dy].map(|v| put(device, &[n, c], v));
                    softmax_backward(&y, 3.0, &dy).unwrap()
                });
                for (i, dx) in result.chunks(c).enumerate() {
                    // The whole Jacobian: 3 y_j ((j = k) - y_k).
                    let (y, dy) = (&y[i * c..][..c], &dy[i * c..][..c]);
                    for (j, dx) in dx.iter().enumerate() {
                        let terms = (0..c).map(|k| {
                            let own = if j == k { 1.0 } else { 0.0 };
                            3.0 * f64::from(dy[k]) * f64::from(y[j]) * (own - f64::from(y[k]))
                        });
                        assert!((f64::from(*dx) - terms.sum::<f64>()).abs() < 2e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        let (n, c, scale) = (5, 4, 0.25);
        let mut noise = Noise::new(8);
        let (x, dy) = (noise.floats(n * c), noise.floats(n * c));
        let device = cpu();
        let forward = |x: &[f32]| softmax(&put(&device, &[n, c], x), scale).unwrap();
        let dx: Vec<f32> = get(&softmax_backward(&forward(&x), scale, &put(&device, &[n, c], &dy)).unwrap());
        check_gradient(&x, &dx, 1e-2, 1e-4, |x| weighted_sum(&get::<f32>(&forward(x)), &dy));
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // One column is always 1, whatever it came from.
        let n = 65_536 * 64 + 1;
        for device in devices() {
            let ones = put(&device, &[n, 1], &vec![1.0f32; n]);
            assert!(get::<f32>(&softmax_backward(&ones, 2.0, &ones).unwrap()).iter().all(|v| *v == 0.0));
        }
    }
}
