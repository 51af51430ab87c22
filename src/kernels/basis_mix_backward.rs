//! `basis_mix_backward`: gradients of [`basis_mix`](super::basis_mix). With `h[i, j] = Σ_k gate[patch(i), k] t[i, k, j]`
//! and `g = act'(h) · dy`: `dt[i, k, j] = gate[patch(i), k] · g[i, j]`, and
//! `dgate[p, k] = Σ_i Σ_j g[i, j] t[i, k, j]` over the points i of patch p along the curve.
//!
//! h is recomputed. A point's share of dgate is summed over its channels first, then the shares over the patch.

use super::{Activation, ensure, groups_for, low_rank_delta::PatchOf, math::vectorised, segment_sum::segment_sum};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{basis_mix_backward as table, params},
    },
};

params!(basis_mix_backward { rows: u32, columns: u32, bases: u32, inverse_base: u32, activation: u32 });

const ROWS_PER_GROUP: usize = 16;

/// What [`basis_mix_backward`] finds.
#[derive(Clone, Debug)]
pub struct BasisMixGradients {
    /// `[n, k · c]`.
    pub t: Tensor,
    /// `[p, k]`.
    pub gate: Tensor,
}

/// The forward's `t` `[n, k · c]`, `gate` `[p, k]`, patches and activation, and `dy` `[n, c]` → dt and dgate.
///
/// `orders` `[r, n]` u32 is the inverse of `patches.inverse`, and `starts` `[p + 1]` u32 where the ranks of each
/// patch begin.
pub fn basis_mix_backward(
    t: &Tensor,
    gate: &Tensor,
    patches: PatchOf<'_>,
    orders: &Tensor,
    starts: &Tensor,
    activation: Activation,
    dy: &Tensor,
) -> Result<BasisMixGradients> {
    let (rows, bases) = (t.rows(), gate.columns());
    let fits = bases > 0 && t.columns() == bases * dy.columns() && dy.rows() == rows && patches.fits(rows);
    let floats = [t, gate, dy].iter().all(|tensor| tensor.dtype() == DType::F32);
    ensure!("basis_mix_backward", fits && floats, "t {t:?}, gate {gate:?}, dy {dy:?}");
    ensure!("basis_mix_backward", starts.len() == gate.rows() + 1, "starts {starts:?} for gate {gate:?}");
    let mut dt = Tensor::uninit(t.device(), t.shape(), DType::F32)?;
    let mut shares = Tensor::uninit(t.device(), &[rows, bases], DType::F32)?;
    match t.device() {
        Device::Cpu(device) => {
            let bytes = bytes_of(&[t, gate, dy, &dt, &shares]);
            device.run("basis_mix_backward", Work::Flops(6 * t.len() as u64), bytes, || {
                cpu(t, gate, patches, activation, dy, dt.host_mut(), shares.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, t, gate, patches, activation, dy, &dt, &shares)?,
    }
    let gate = segment_sum(&shares, 0..bases, orders, patches.row, starts)?;
    Ok(BasisMixGradients { t: dt, gate })
}

fn gpu(
    gpu: &Gpu,
    t: &Tensor,
    gate: &Tensor,
    patches: PatchOf<'_>,
    activation: Activation,
    dy: &Tensor,
    dt: &Tensor,
    shares: &Tensor,
) -> Result<()> {
    let work_per_row = 6 * t.columns() as u64;
    let widest = t.row_bytes().max(shares.row_bytes());
    for rows in row_chunks(t.rows(), widest, work_per_row, gpu.max_binding()) {
        let params = Params {
            rows: rows.len() as u32,
            columns: dy.columns() as u32,
            bases: gate.columns() as u32,
            inverse_base: (patches.row * t.rows() + rows.start) as u32,
            activation: activation.code(),
        };
        let [t, dy, dt, shares] = [t, dy, dt, shares].map(|tensor| Bind::rows(tensor, rows.clone()));
        let [gate, inverse, patch_of_rank] = [gate, patches.inverse, patches.patch_of_rank].map(Bind::all);
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[t, gate, inverse, patch_of_rank, dy, dt, shares],
            params: bytemuck::bytes_of(&params),
            groups: groups_for(rows.len(), ROWS_PER_GROUP),
            work: Work::Flops(work_per_row * rows.len() as u64),
        })?;
    }
    Ok(())
}

fn cpu(
    t: &Tensor,
    gate: &Tensor,
    patches: PatchOf<'_>,
    activation: Activation,
    dy: &Tensor,
    dt: &mut [f32],
    shares: &mut [f32],
) {
    let (bases, columns) = (gate.columns(), dy.columns());
    if columns == 0 {
        shares.fill(0.0);
        return;
    }
    let [t, gate, dy] = [t, gate, dy].map(Tensor::host::<f32>);
    let rows = dt.par_chunks_exact_mut(bases * columns).zip(shares.par_chunks_exact_mut(bases));
    rows.enumerate().for_each_init(
        || (vec![0.0; columns], vec![0.0; columns]),
        |(mixed, gradient), (i, (dt, shares))| {
            vectorised(|| {
                let gate = &gate[patches.of(i) * bases..][..bases];
                let t = &t[i * bases * columns..][..bases * columns];
                mixed.fill(0.0);
                for (gate, t) in gate.iter().zip(t.chunks_exact(columns)) {
                    mixed.iter_mut().zip(t).for_each(|(h, t)| *h += gate * t);
                }
                gradient.copy_from_slice(&dy[i * columns..][..columns]);
                activation.apply_slope(gradient, mixed);
                for (k, (dt, t)) in dt.chunks_exact_mut(columns).zip(t.chunks_exact(columns)).enumerate() {
                    shares[k] = gradient.iter().zip(t).map(|(g, t)| g * t).sum();
                    dt.iter_mut().zip(gradient.iter()).for_each(|(dt, g)| *dt = gate[k] * g);
                }
            });
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::patches::{PatchRule, PatchTable, Patches},
        kernels::{
            agreement::agree_split,
            basis_mix::basis_mix,
            differences::{check_gradient, weighted_sum},
            testing::{Noise, SIZES, cpu, devices, get, put},
        },
    };

    struct Case {
        n: usize,
        c: usize,
        bases: usize,
        patches: Patches,
        order: Vec<u32>,
        inverse: Vec<u32>,
        t: Vec<f32>,
        gate: Vec<f32>,
        dy: Vec<f32>,
        activation: Activation,
    }

    /// The operands that both directions take, on a device.
    struct There {
        table: PatchTable,
        inverses: Tensor,
        orders: Tensor,
    }

    impl Case {
        fn new(n: usize, c: usize, bases: usize, activation: Activation) -> Self {
            // Two scenes; with few points, most groups are empty.
            let patches = Patches::new(PatchRule::Num(7), &[n - n / 4, n]).unwrap();
            let mut noise = Noise::new((n * 100 + bases) as u64);
            let mut order: Vec<u32> = (0..n as u32).collect();
            for i in (1..n).rev() {
                order.swap(i, noise.below(i + 1));
            }
            let mut inverse = vec![0; n];
            order.iter().enumerate().for_each(|(rank, point)| inverse[*point as usize] = rank as u32);
            let (t, dy) = (noise.floats(n * bases * c), noise.floats(n * c));
            let gate = noise.floats(patches.ranges.len() * bases);
            Self { n, c, bases, patches, order, inverse, t, gate, dy, activation }
        }

        /// The order in use is the second of two; the first is out of range on purpose.
        fn there(&self, device: &Device) -> There {
            let second = |row: &[u32]| {
                let both: Vec<u32> = vec![u32::MAX; self.n].into_iter().chain(row.iter().copied()).collect();
                put(device, &[2, self.n], &both)
            };
            There {
                table: self.patches.upload(device).unwrap(),
                inverses: second(&self.inverse),
                orders: second(&self.order),
            }
        }

        fn place(there: &There) -> PatchOf<'_> {
            PatchOf { inverse: &there.inverses, row: 1, patch_of_rank: &there.table.patch_of_rank }
        }

        fn t_on(&self, device: &Device, t: &[f32]) -> Tensor {
            put(device, &[self.n, self.bases * self.c], t)
        }

        fn gate_on(&self, device: &Device, gate: &[f32]) -> Tensor {
            put(device, &[self.patches.ranges.len(), self.bases], gate)
        }

        fn backward(&self, device: &Device) -> BasisMixGradients {
            let there = self.there(device);
            let (t, gate) = (self.t_on(device, &self.t), self.gate_on(device, &self.gate));
            let dy = put(device, &[self.n, self.c], &self.dy);
            let (place, starts) = (Self::place(&there), &there.table.starts);
            basis_mix_backward(&t, &gate, place, &there.orders, starts, self.activation, &dy).unwrap()
        }

        /// The formulas in f64.
        fn naive(&self) -> (Vec<f64>, Vec<f64>) {
            let (bases, c) = (self.bases, self.c);
            let (mut dt, mut dgate) = (vec![0.0; self.t.len()], vec![0.0; self.gate.len()]);
            for i in 0..self.n {
                let patch = self.patches.patch_of_rank[self.inverse[i] as usize] as usize;
                for j in 0..c {
                    let of = |k: usize| f64::from(self.t[(i * bases + k) * c + j]);
                    let weight = |k: usize| f64::from(self.gate[patch * bases + k]);
                    let h: f64 = (0..bases).map(|k| weight(k) * of(k)).sum();
                    let flat = self.activation == Activation::Relu && h <= 0.0;
                    let g = if flat { 0.0 } else { f64::from(self.dy[i * c + j]) };
                    for k in 0..bases {
                        dt[(i * bases + k) * c + j] = weight(k) * g;
                        dgate[patch * bases + k] += of(k) * g;
                    }
                }
            }
            (dt, dgate)
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for activation in [Activation::None, Activation::Relu] {
            for n in SIZES {
                // Fewer, as many and more bases than one pass takes.
                for (c, bases) in [(9, 1), (64, 4), (20, 5)] {
                    let case = Case::new(n, c, bases, activation);
                    let (dt, dgate) = case.naive();
                    let binding = (64 * 4 * c * bases) as u64;
                    let close = |found: &[f32], expected: &[f64], tolerance: f64| {
                        for (at, (y, expected)) in found.iter().zip(expected).enumerate() {
                            let near = (f64::from(*y) - expected).abs() < tolerance * (1.0 + expected.abs());
                            assert!(near, "n {n}, c {c}, k {bases}, element {at}: {y} against {expected}");
                        }
                    };
                    close(&agree_split(1e-6, binding.max(16 << 10), |device| case.backward(device).t), &dt, 1e-6);
                    // Sums over up to 110 points of 64 channels.
                    close(&agree_split(2e-5, binding.max(16 << 10), |device| case.backward(device).gate), &dgate, 2e-5);
                }
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        for activation in [Activation::None, Activation::Gelu, Activation::Relu] {
            let case = Case::new(23, 5, 3, activation);
            let device = cpu();
            let there = case.there(&device);
            let loss = |t: &[f32], gate: &[f32]| {
                let (t, gate) = (case.t_on(&device, t), case.gate_on(&device, gate));
                let y = basis_mix(&t, &gate, Case::place(&there), activation).unwrap();
                weighted_sum(&get::<f32>(&y), &case.dy)
            };
            let gradients = case.backward(&device);
            // A step of 2^-9 crosses ReLU's kink at none of these values, and at that step rounding is some 1e-4.
            let step = 1.0 / 512.0;
            check_gradient(&case.t, &get::<f32>(&gradients.t), step, 1e-3, |t| loss(t, &case.gate));
            check_gradient(&case.gate, &get::<f32>(&gradients.gate), step, 1e-3, |gate| loss(&case.t, gate));
        }
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let case = Case::new(1025, 20, 4, Activation::Relu);
        for device in devices() {
            let run = || get::<f32>(&case.backward(&device).gate);
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 16 + 1;
        let t: Vec<f32> = (0..n).map(|i| (i % 3) as f32).collect();
        let ranks: Vec<u32> = (0..n as u32).collect();
        for device in devices() {
            let (ranks, patch_of_rank) = (put(&device, &[1, n], &ranks), put(&device, &[n], &vec![0u32; n]));
            let place = PatchOf { inverse: &ranks, row: 0, patch_of_rank: &patch_of_rank };
            let (t_there, gate) = (put(&device, &[n, 1], &t), put(&device, &[1, 1], &[3.0f32]));
            let starts = put(&device, &[2], &[0, n as u32]);
            let gradients =
                basis_mix_backward(&t_there, &gate, place, &ranks, &starts, Activation::None, &t_there).unwrap();
            assert!(get::<f32>(&gradients.t).iter().zip(&t).all(|(dt, t)| *dt == t * 3.0));
            // Whole numbers below 2^24 add up exactly.
            assert_eq!(get::<f32>(&gradients.gate), [t.iter().map(|t| t * t).sum::<f32>()]);
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let case = Case::new(6, 2, 3, Activation::None);
        let device = cpu();
        let there = case.there(&device);
        let (t, gate) = (case.t_on(&device, &case.t), case.gate_on(&device, &case.gate));
        let run = |dy: &Tensor, starts: &Tensor| {
            basis_mix_backward(&t, &gate, Case::place(&there), &there.orders, starts, Activation::None, dy)
        };
        let dy = put(&device, &[6, 2], &case.dy);
        assert!(run(&dy, &there.table.starts).is_ok());
        assert!(run(&t, &there.table.starts).is_err());
        assert!(run(&dy, &there.table.patch_of_rank).is_err());
    }
}
