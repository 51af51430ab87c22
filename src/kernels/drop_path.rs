//! `drop_path`: drops whole rows of a residual branch at random, and scales the others so that the mean stays:
//! `out[i, :] = residual[i, :] + keep(i) / probability · x[i, :]`, keep(i) being 1 with that probability, else 0.
//!
//! keep(i) is a hash of (seed, step, branch, row): the same on every device and in every order, and nothing is saved
//! for the backward pass, which is this kernel over dy, without the residual.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{drop_path as table, params},
    },
};

params!(drop_path {
    rows: u32,
    columns: u32,
    row_base: u32,
    seed: u32,
    step: u32,
    branch: u32,
    threshold: u32,
    has_residual: u32,
    scale: f32,
});

/// Which rows of a branch are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropPath {
    /// The run's.
    pub seed: u32,
    /// The forward pass, counted through the run.
    pub step: u32,
    /// The residual branch, counted through the network: two in one pass never share a number.
    pub branch: u32,
    /// The probability of a row to be kept, above 0 and up to 1.
    pub keep: f32,
}

impl DropPath {
    /// Rows whose hash has its upper 24 bits below this are kept.
    fn threshold(&self) -> u32 {
        (f64::from(self.keep) * f64::from(1u32 << 24)).round() as u32
    }

    /// Whether a row is kept.
    #[inline(always)]
    fn keeps(&self, row: u32) -> bool {
        hash([self.seed, self.step, self.branch, row]) >> 8 < self.threshold()
    }
}

/// PCG4D, as in `shaders/drop_path.wgsl`.
#[inline(always)]
fn hash(counter: [u32; 4]) -> u32 {
    let [mut x, mut y, mut z, mut w] = counter.map(|v| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let mut stir = |shift: u32| {
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        if shift > 0 {
            [x, y, z, w] = [x, y, z, w].map(|v| v ^ (v >> shift));
        }
    };
    stir(16);
    stir(0);
    w
}

/// `x` and `residual` `[n, c]` → `[n, c]`. The gradient of x is `drop_path(dy, drop, None)`, the residual's is dy.
pub fn drop_path(x: &Tensor, drop: DropPath, residual: Option<&Tensor>) -> Result<Tensor> {
    let fits = residual.is_none_or(|r| r.len() == x.len() && r.dtype() == DType::F32) && x.dtype() == DType::F32;
    ensure!("drop_path", fits, "residual {residual:?} for x {x:?}");
    ensure!("drop_path", drop.threshold() > 0 && drop.keep <= 1.0, "a row is kept with probability {}", drop.keep);
    let columns = x.columns();
    let scale = 1.0 / drop.keep;
    let mut out = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let bytes = bytes_of(&[x, &out]) + residual.map_or(0, |residual| bytes_of(&[residual]));
            device.run("drop_path", Work::Flops(2 * x.len() as u64), bytes, || {
                cpu(x, drop, scale, residual.map(Tensor::host), out.host_mut());
            });
        }
        Device::Gpu(gpu) => {
            for rows in row_chunks(x.rows(), x.row_bytes(), 2 * columns as u64, gpu.max_binding()) {
                let params = Params {
                    rows: rows.len() as u32,
                    columns: columns as u32,
                    row_base: rows.start as u32,
                    seed: drop.seed,
                    step: drop.step,
                    branch: drop.branch,
                    threshold: drop.threshold(),
                    has_residual: u32::from(residual.is_some()),
                    scale,
                };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[x, residual.unwrap_or(x), &out].map(|tensor| Bind::rows(tensor, rows.clone())),
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(rows.len() * columns, ELEMENTS_PER_GROUP),
                    work: Work::Flops((2 * rows.len() * columns) as u64),
                })?;
            }
        }
    }
    Ok(out)
}

fn cpu(x: &Tensor, drop: DropPath, scale: f32, residual: Option<&[f32]>, out: &mut [f32]) {
    let columns = x.columns();
    if columns == 0 {
        return;
    }
    let rows = out.par_chunks_exact_mut(columns).zip(x.host::<f32>().par_chunks_exact(columns));
    rows.enumerate().for_each(|(i, (out, x))| {
        if drop.keeps(i as u32) {
            out.iter_mut().zip(x).for_each(|(y, x)| *y = scale * x);
        } else {
            out.fill(0.0);
        }
        if let Some(residual) = residual {
            out.iter_mut().zip(&residual[i * columns..]).for_each(|(y, r)| *y += r);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        differences::{check_gradient, weighted_sum},
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    const DROP: DropPath = DropPath { seed: 42, step: 1000, branch: 7, keep: 0.7 };

    const HASHES: [([u32; 4], u32); 4] = [
        ([0, 0, 0, 0], 3_542_436_074),
        ([1, 2, 3, 4], 45_698_095),
        ([42, 1_000, 7, 102_399], 344_284_759),
        ([4_294_967_295, 4_294_967_295, 4_294_967_295, 4_294_967_295], 2_713_428_488),
    ];

    #[test]
    fn the_hash_gives_the_values_of_an_independent_implementation() {
        // PCG4D in Python, with integers modulo 2^32.
        for (counter, expected) in HASHES {
            assert_eq!(hash(counter), expected, "{counter:?}");
        }
    }

    #[test]
    fn rows_are_kept_whole_or_not_at_all_and_by_the_same_bits_everywhere() {
        for n in SIZES {
            for c in [1, 48] {
                let mut noise = Noise::new(n as u64);
                let x: Vec<f32> = noise.floats(n * c).iter().map(|v| v + 2.0).collect();
                let residual = noise.floats(n * c);
                let rows = agree(1e-6, |device| drop_path(&put(device, &[n, c], &x), DROP, None).unwrap());
                let sum = agree(1e-6, |device| {
                    let [x, residual] = [&x, &residual].map(|v| put(device, &[n, c], v));
                    drop_path(&x, DROP, Some(&residual)).unwrap()
                });
                for (at, (y, s)) in rows.iter().zip(&sum).enumerate() {
                    let kept = DROP.keeps((at / c) as u32);
                    assert_eq!(*y == 0.0, !kept);
                    assert!((y - f32::from(u8::from(kept)) / 0.7 * x[at]).abs() < 1e-6);
                    assert!((s - y - residual[at]).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn every_counter_changes_which_rows_are_kept_and_none_their_number() {
        let n = 20_000;
        let kept = |drop: DropPath| (0..n).map(|row| drop.keeps(row)).collect::<Vec<bool>>();
        let base = kept(DROP);
        let others = [
            DropPath { seed: 43, ..DROP },
            DropPath { step: 1001, ..DROP },
            DropPath { branch: 8, ..DROP },
            DropPath { seed: 0, step: 0, branch: 0, keep: 0.7 },
        ];
        for other in others.map(kept).iter().chain([&base]) {
            let count = other.iter().filter(|kept| **kept).count() as f64;
            // Four standard deviations of 20,000 draws at 0.7: 259.
            assert!((count - 14_000.0).abs() < 260.0, "{count}");
            // Neighbouring rows are independent: both kept with probability 0.49.
            let both = other.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
            assert!((both - 9_800.0).abs() < 400.0, "{both}");
        }
        for other in others.map(kept) {
            // Two independent masks agree with probability 0.7² + 0.3² = 0.58.
            let same = other.iter().zip(&base).filter(|(a, b)| a == b).count() as f64;
            assert!((same - 11_600.0).abs() < 280.0, "{same}");
        }
    }

    #[test]
    fn the_gradient_is_the_same_kernel_over_dy() {
        let (n, c) = (15, 3);
        let mut noise = Noise::new(3);
        let (x, residual, dy) = (noise.floats(n * c), noise.floats(n * c), noise.floats(n * c));
        let device = cpu();
        let rows = |data: &[f32]| put(&device, &[n, c], data);
        let dx: Vec<f32> = get(&drop_path(&rows(&dy), DROP, None).unwrap());
        // Linear: a large step rounds least.
        check_gradient(&x, &dx, 0.5, 1e-5, |x| {
            weighted_sum(&get::<f32>(&drop_path(&rows(x), DROP, Some(&rows(&residual))).unwrap()), &dy)
        });
    }

    #[test]
    fn one_keeps_everything_and_what_is_no_probability_is_refused() {
        let x = Noise::new(1).floats(3000);
        let whole =
            agree(0.0, |device| drop_path(&put(device, &[1000, 3], &x), DropPath { keep: 1.0, ..DROP }, None).unwrap());
        assert_eq!(whole, x);
        for keep in [0.0, -0.5, 1.5, f32::NAN] {
            assert!(drop_path(&put(&cpu(), &[1000, 3], &x), DropPath { keep, ..DROP }, None).is_err());
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 1;
        for device in devices() {
            let kept: Vec<f32> = get(&drop_path(
                &put(&device, &[n, 1], &vec![1.0f32; n]),
                DropPath { keep: 0.5, ..DROP },
                None,
            )
            .unwrap());
            let expected = (0..n as u32).map(|row| DropPath { keep: 0.5, ..DROP }.keeps(row));
            assert!(kept.iter().zip(expected).all(|(y, kept)| *y == if kept { 2.0 } else { 0.0 }));
        }
    }
}
