//! `argmax`: the label of every row of logits, and its softmax probability as confidence.

use super::{ensure, groups_for};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{argmax as table, params},
    },
};

params!(argmax { rows: u32, columns: u32 });

/// `x` `[n, c]`, c at least 1 → label `[n]` u32, the first of equals, and confidence `[n]` in (0, 1].
pub fn argmax(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, columns) = (x.rows(), x.columns());
    ensure!("argmax", columns > 0, "x {:?} has no columns", x.shape());
    let work = |rows: usize| Work::Flops(4 * (columns * rows) as u64);
    let mut label = Tensor::uninit(x.device(), &[rows], DType::U32)?;
    let mut confidence = Tensor::uninit(x.device(), &[rows], DType::F32)?;
    match x.device() {
        Device::Cpu(cpu) => cpu.run("argmax", work(rows), bytes_of(&[x]), || {
            let out = label.host_mut::<u32>().iter_mut().zip(confidence.host_mut::<f32>());
            for ((label, confidence), x) in out.zip(x.host::<f32>().chunks_exact(columns)) {
                let best = (1..columns).fold(0, |best, c| if x[c] > x[best] { c } else { best });
                *label = best as u32;
                *confidence = 1.0 / x.iter().map(|v| (v - x[best]).exp()).sum::<f32>();
            }
        }),
        Device::Gpu(gpu) => {
            for chunk in row_chunks(rows, x.row_bytes(), 4 * columns as u64, gpu.max_binding()) {
                let params = Params { rows: chunk.len() as u32, columns: columns as u32 };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[
                        Bind::rows(x, chunk.clone()),
                        Bind::rows(&label, chunk.clone()),
                        Bind::rows(&confidence, chunk.clone()),
                    ],
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(chunk.len(), 64),
                    work: work(chunk.len()),
                })?;
            }
        }
    }
    Ok((label, confidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{Noise, SIZES, devices, get, put};

    #[test]
    fn labels_and_their_probabilities() {
        for n in SIZES {
            for c in [1, 20] {
                let x = Noise::new((n + c) as u64).floats(n * c);
                for device in devices() {
                    let (label, confidence) = argmax(&put(&device, &[n, c], &x)).unwrap();
                    for ((label, confidence), x) in
                        get::<u32>(&label).iter().zip(get::<f32>(&confidence)).zip(x.chunks(c))
                    {
                        assert!(x.iter().all(|v| *v <= x[*label as usize]));
                        let total: f64 = x.iter().map(|v| f64::from(*v).exp()).sum();
                        let expected = f64::from(x[*label as usize]).exp() / total;
                        assert!((f64::from(confidence) - expected).abs() < 1e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_equals_wins() {
        for device in devices() {
            let (label, _) = argmax(&put(&device, &[1, 4], &[1.0f32, 3.0, 3.0, 2.0])).unwrap();
            assert_eq!(get::<u32>(&label), [1]);
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 64 + 1;
        let x: Vec<f32> = (0..n).flat_map(|i| if i % 3 == 0 { [0.0, 1.0] } else { [1.0, 0.0] }).collect();
        for device in devices() {
            let (label, _) = argmax(&put(&device, &[n, 2], &x)).unwrap();
            assert!(get::<u32>(&label).iter().enumerate().all(|(i, label)| *label == u32::from(i % 3 == 0)));
        }
    }
}
