//! `low_rank_delta_backward`: gradients of [`low_rank_delta`](super::low_rank_delta)'s factors. Of the delta
//! `scale · Σ_r a[patch(i), o, r] z[i, r]`, whose gradient is dy,
//! `dz[i, r] = scale · Σ_o a[patch(i), o, r] dy[i, o]` and `da[p, o, r] = scale · Σ_{i in p} dy[i, o] z[i, r]`.
//!
//! What the delta is added to has the gradient dy itself. The points of a patch follow each other in the serialized
//! order, and are summed in it.

use super::{
    ELEMENTS_PER_GROUP, ensure, groups_for,
    low_rank_delta::LowRank,
    outer::OuterSum,
    product::{add_products, store},
    weight_gradient,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{low_rank_delta_backward as table, params},
    },
};
use pulp::{Arch, Simd, WithSimd};
use std::borrow::Cow;

params!(low_rank_delta_backward {
    rows: u32,
    columns: u32,
    rank: u32,
    base: u32,
    points: u32,
    patches: u32,
    one_patch: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
    scale: f32,
});

/// Gradients of a [`LowRank`].
#[derive(Clone, Debug)]
pub struct LowRankGradient {
    /// `[n, r]`
    pub z: Tensor,
    /// `[p, o, r]`
    pub a: Tensor,
}

/// `dy` `[n, o]`, the gradient of `delta`, and the point at every rank in each serialized order, `orders` `[.., n]` u32,
/// where the delta has patches → the gradients of its factors.
pub fn low_rank_delta_backward(dy: &Tensor, delta: LowRank<'_>, orders: Option<&Tensor>) -> Result<LowRankGradient> {
    let (rows, columns) = (dy.rows(), dy.columns());
    delta.check(rows, columns)?;
    let LowRank { z, a, patches, .. } = delta;
    let floats = [dy, z, a].iter().all(|tensor| tensor.dtype() == DType::F32);
    ensure!("low_rank_delta_backward", floats, "dy {dy:?}, z {z:?}, a {a:?}");
    let fits = patches.is_none_or(|p| orders.is_some_and(|orders| orders.len() >= (p.row + 1) * rows));
    ensure!("low_rank_delta_backward", fits, "orders {orders:?} of {rows} points for patches");
    ensure!("low_rank_delta_backward", patches.is_some() || a.rows() == 1, "a {a:?} without patches");
    Ok(LowRankGradient { z: of_z(dy, delta, orders)?, a: of_a(dy, delta, orders)? })
}

/// Operations of one of the two gradients, per point.
fn flops(dy: &Tensor, delta: LowRank<'_>) -> u64 {
    2 * (dy.columns() * delta.z.columns()) as u64
}

fn of_z(dy: &Tensor, delta: LowRank<'_>, orders: Option<&Tensor>) -> Result<Tensor> {
    let mut out = Tensor::uninit(dy.device(), delta.z.shape(), DType::F32)?;
    match dy.device() {
        Device::Cpu(device) => {
            let mut ranked = Tensor::uninit(dy.device(), delta.z.shape(), DType::F32)?;
            let work = Work::Flops(flops(dy, delta) * dy.rows() as u64);
            device.run("low_rank_delta_backward", work, bytes_of(&[dy, delta.a, &out]), || {
                cpu_z(dy, delta, orders, ranked.host_mut(), out.host_mut());
            });
        }
        Device::Gpu(gpu) => {
            let widest = dy.row_bytes().max(out.row_bytes());
            for rows in row_chunks(dy.rows(), widest, flops(dy, delta), gpu.max_binding()) {
                let params = Params {
                    rows: rows.len() as u32,
                    base: delta.patches.map_or(0, |p| p.row * dy.rows() + rows.start) as u32,
                    one_patch: u32::from(delta.patches.is_none()),
                    ..common(dy, delta)
                };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "points",
                    bind: &[
                        Bind::rows(dy, rows.clone()),
                        Bind::all(delta.a),
                        Bind::all(delta.patches.map_or(delta.a, |p| p.inverse)),
                        Bind::all(delta.patches.map_or(delta.a, |p| p.patch_of_rank)),
                        Bind::rows(&out, rows.clone()),
                    ],
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(rows.len() * out.columns(), ELEMENTS_PER_GROUP),
                    work: Work::Flops(flops(dy, delta) * rows.len() as u64),
                })?;
            }
        }
    }
    Ok(out)
}

fn of_a(dy: &Tensor, delta: LowRank<'_>, orders: Option<&Tensor>) -> Result<Tensor> {
    let LowRank { z, a, patches, scale } = delta;
    let (Some(patches), Some(orders), false) = (patches, orders, a.rows() == 1) else {
        // All points share one A: it is the weight of a linear layer.
        return weight_gradient::scaled(z, dy, None, scale)?.reshaped(a.shape());
    };
    let mut out = Tensor::uninit(a.device(), a.shape(), DType::F32)?;
    let work = flops(dy, delta);
    match dy.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(work * dy.rows() as u64);
            device.run("low_rank_delta_backward", work, bytes_of(&[dy, z, &out]), || {
                let order = &orders.host::<u32>()[patches.row * dy.rows()..][..dy.rows()];
                cpu_a(dy, delta, order, patches.patch_of_rank.host(), out.host_mut());
            });
        }
        Device::Gpu(gpu) => {
            let widest = dy.row_bytes().max(z.row_bytes());
            for (pass, seen) in row_chunks(dy.rows(), widest, work, gpu.max_binding()).enumerate() {
                let params = Params {
                    base: (patches.row * dy.rows()) as u32,
                    lo: seen.start as u32,
                    hi: seen.end as u32,
                    accumulate: u32::from(pass > 0),
                    ..common(dy, delta)
                };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "patches",
                    bind: &[
                        Bind::rows(dy, seen.clone()),
                        Bind::rows(z, seen.clone()),
                        Bind::all(patches.patch_of_rank),
                        Bind::all(orders),
                        Bind::all(&out),
                    ],
                    params: bytemuck::bytes_of(&params),
                    groups: (out.rows() * out.columns().div_ceil(ELEMENTS_PER_GROUP)) as u32,
                    work: Work::Flops(work * seen.len() as u64),
                })?;
            }
        }
    }
    Ok(out)
}

/// What both passes have in common.
fn common(dy: &Tensor, delta: LowRank<'_>) -> Params {
    Params {
        rows: 0,
        columns: dy.columns() as u32,
        rank: delta.z.columns() as u32,
        base: 0,
        points: dy.rows() as u32,
        patches: delta.a.rows() as u32,
        one_patch: 0,
        lo: 0,
        hi: 0,
        accumulate: 0,
        scale: delta.scale,
    }
}

/// Points of one task of the twin.
const CPU_POINTS: usize = 256;
/// Outputs of one task of the twin.
const CPU_OUTPUTS: usize = 32;

/// In serialized order, `ranked`, so that a patch is laid out once for all of its points; then brought back to the
/// points' order.
fn cpu_z(dy: &Tensor, delta: LowRank<'_>, orders: Option<&Tensor>, ranked: &mut [f32], out: &mut [f32]) {
    let (rows, rank) = (dy.rows(), delta.z.columns());
    if out.is_empty() {
        return;
    }
    let order = match (delta.patches, orders) {
        (Some(patches), Some(orders)) => Cow::Borrowed(&orders.host::<u32>()[patches.row * rows..][..rows]),
        _ => Cow::Owned((0..rows as u32).collect()),
    };
    let patch_of = |rank: usize| delta.patches.map_or(0, |p| p.patch_of_rank.host::<u32>()[rank]);
    ranked.par_chunks_mut(CPU_POINTS * rank).enumerate().for_each(|(block, out)| {
        let mut rest = &mut *out;
        let mut first = block * CPU_POINTS;
        while !rest.is_empty() {
            let count = (first..first + rest.len() / rank).take_while(|at| patch_of(*at) == patch_of(first)).count();
            let (run, tail) = rest.split_at_mut(count * rank);
            rest = tail;
            let a = &delta.a.host::<f32>()[patch_of(first) as usize * delta.a.columns()..][..delta.a.columns()];
            let points = &order[first..first + count];
            Arch::new().dispatch(PatchPoints { dy: dy.host(), points, a, rank, scale: delta.scale, out: run });
            first += count;
        }
    });
    match delta.patches {
        None => out.copy_from_slice(ranked),
        Some(patches) => {
            let inverse = &patches.inverse.host::<u32>()[patches.row * rows..][..rows];
            out.par_chunks_exact_mut(rank).zip(inverse).for_each(|(out, at)| {
                out.copy_from_slice(&ranked[*at as usize * rank..][..rank]);
            });
        }
    }
}

/// `out[i, r] = scale · Σ_o a[o, r] dy[points[i], o]` of the points of one patch.
struct PatchPoints<'a> {
    dy: &'a [f32],
    points: &'a [u32],
    a: &'a [f32],
    rank: usize,
    scale: f32,
    out: &'a mut [f32],
}

impl WithSimd for PatchPoints<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dy, points, a, rank, scale, out } = self;
        let columns = a.len() / rank;
        let mut sums = vec![[simd.splat_f32s(0.0)]; points.len()];
        for first in (0..rank).step_by(S::F32_LANES) {
            let lanes = S::F32_LANES.min(rank - first);
            let by: Vec<[S::f32s; 1]> =
                a.chunks_exact(rank).map(|a| [simd.partial_load_f32s(&a[first..first + lanes])]).collect();
            sums.fill([simd.splat_f32s(0.0)]);
            let row = |i: usize| &dy[points[i] as usize * columns..][..columns];
            add_products::<S, 8, 1>(simd, row, &by, &mut sums);
            for (out, [sum]) in out.chunks_exact_mut(rank).zip(&sums) {
                store(simd, out, first, simd.mul_f32s(*sum, simd.splat_f32s(scale)));
            }
        }
    }
}

fn cpu_a(dy: &Tensor, delta: LowRank<'_>, order: &[u32], patch_of_rank: &[u32], out: &mut [f32]) {
    let (columns, rank) = (dy.columns(), delta.z.columns());
    if out.is_empty() {
        return;
    }
    out.par_chunks_exact_mut(columns * rank).enumerate().for_each(|(patch, out)| {
        let start = patch_of_rank.partition_point(|p| (*p as usize) < patch);
        let end = patch_of_rank.partition_point(|p| (*p as usize) <= patch);
        let pairs: Vec<(u32, u32)> = order[start..end].iter().map(|point| (*point, *point)).collect();
        out.par_chunks_mut(CPU_OUTPUTS * rank).enumerate().for_each(|(part, out)| {
            out.fill(0.0);
            Arch::new().dispatch(OuterSum {
                y: dy.host(),
                y_columns: columns,
                x: delta.z.host(),
                x_columns: rank,
                pairs: &pairs,
                outputs: part * CPU_OUTPUTS..columns.min((part + 1) * CPU_OUTPUTS),
                out: &mut *out,
                stride: rank,
            });
            for sum in out {
                *sum *= delta.scale;
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        Activation,
        agreement::agree_split,
        differences::{check_gradient, weighted_sum},
        low_rank_delta::{PatchOf, low_rank_delta},
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    struct Case {
        shape: [usize; 3],
        patches: usize,
        z: Vec<f32>,
        a: Vec<f32>,
        dy: Vec<f32>,
        order: Vec<u32>,
        inverse: Vec<u32>,
        patch_of_rank: Vec<u32>,
    }

    impl Case {
        /// n points of o channels in a random order; the patches are of any length, none included.
        fn new([n, o, r]: [usize; 3], patches: usize) -> Self {
            let mut noise = Noise::new((n * 10 + o) as u64);
            let mut order: Vec<u32> = (0..n as u32).collect();
            for i in (1..n).rev() {
                order.swap(i, noise.below(i + 1));
            }
            let mut inverse = vec![0; n];
            order.iter().enumerate().for_each(|(rank, point)| inverse[*point as usize] = rank as u32);
            let mut patch_of_rank: Vec<u32> = (0..n).map(|_| noise.below(patches) as u32).collect();
            patch_of_rank.sort_unstable();
            let (z, a, dy) = (noise.floats(n * r), noise.floats(patches * o * r), noise.floats(n * o));
            Self { shape: [n, o, r], patches, z, a, dy, order, inverse, patch_of_rank }
        }

        /// Calls `run` with the delta on a device; without patches, only the first A is there.
        fn on<R>(
            &self,
            device: &Device,
            (z, a): (&[f32], &[f32]),
            has_patches: bool,
            run: impl Fn(&Tensor, LowRank<'_>, Option<&Tensor>) -> R,
        ) -> R {
            let [n, o, r] = self.shape;
            // A second row, so that the row's offset matters.
            let [orders, inverse] =
                [&self.order, &self.inverse].map(|row| put(device, &[2, n], &[&vec![0; n], &row[..]].concat()));
            let patch_of_rank = put(device, &[n], &self.patch_of_rank);
            let place = PatchOf { inverse: &inverse, row: 1, patch_of_rank: &patch_of_rank };
            let patches = if has_patches { self.patches } else { 1 };
            let (z, a) = (put(device, &[n, r], z), put(device, &[patches, o, r], &a[..patches * o * r]));
            let delta = LowRank { z: &z, a: &a, patches: has_patches.then_some(place), scale: 1.5 };
            run(&put(device, &[n, o], &self.dy), delta, has_patches.then_some(&orders))
        }

        fn gradients(&self, device: &Device, has_patches: bool) -> LowRankGradient {
            self.on(device, (&self.z, &self.a), has_patches, |dy, delta, orders| {
                low_rank_delta_backward(dy, delta, orders).unwrap()
            })
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            for ([o, r], has_patches) in [([21, 3], true), ([48, 16], true), ([48, 16], false), ([9, 20], true)] {
                let case = Case::new([n, o, r], 7);
                // What must be bound whole: A, and 64 rows.
                let binding = (4 * 7 * o * r).max(16 << 10) as u64;
                // Sums of up to 1,025 products below 1.
                let dz = agree_split(2e-5, binding, |device| case.gradients(device, has_patches).z);
                let da = agree_split(2e-5, binding, |device| case.gradients(device, has_patches).a);
                let patch_of =
                    |i: usize| if has_patches { case.patch_of_rank[case.inverse[i] as usize] as usize } else { 0 };
                let (mut expected_z, mut expected_a) = (vec![0.0f64; dz.len()], vec![0.0f64; da.len()]);
                for at in 0..n * o * r {
                    let (i, c, k) = (at / r / o, at / r % o, at % r);
                    let weight = (patch_of(i) * o + c) * r + k;
                    expected_z[i * r + k] += 1.5 * f64::from(case.a[weight]) * f64::from(case.dy[i * o + c]);
                    expected_a[weight] += 1.5 * f64::from(case.dy[i * o + c]) * f64::from(case.z[i * r + k]);
                }
                for (found, expected) in [(dz, expected_z), (da, expected_a)] {
                    assert_eq!(found.len(), expected.len());
                    assert!(found.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 5e-5));
                }
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        let (case, device) = (Case::new([30, 5, 3], 4), cpu());
        for has_patches in [true, false] {
            let found = case.gradients(&device, has_patches);
            let loss = |z: &[f32], a: &[f32]| {
                case.on(&device, (z, a), has_patches, |dy, delta, _| {
                    let zero = put(&device, dy.shape(), &vec![0.0f32; dy.len()]);
                    let y = low_rank_delta(&zero, delta, Activation::None).unwrap();
                    weighted_sum(&get::<f32>(&y), &case.dy)
                })
            };
            // Linear in either factor: nothing is truncated, and a loss of order 10 is rounded by 1e-6.
            check_gradient(&case.z, &get::<f32>(&found.z), 0.5, 1e-4, |z| loss(z, &case.a));
            let a = get::<f32>(&found.a);
            check_gradient(&case.a[..a.len()], &a, 0.5, 1e-4, |a| loss(&case.z, a));
        }
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let case = Case::new([1025, 48, 16], 30);
        for device in devices() {
            let run = || {
                let found = case.gradients(&device, true);
                (get::<f32>(&found.z), get::<f32>(&found.a))
            };
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // As many patches as points: da = scale · dy z, dz = scale · dy a, of one channel and rank 1, then many points.
        let case = Case::new([65_537, 1, 1], 65_537);
        let da = agree_split(1e-6, 1 << 20, |device| case.gradients(device, true).a);
        let total: f64 = da.iter().map(|v| f64::from(*v)).sum();
        let expected = 1.5 * weighted_sum(&case.dy, &case.z);
        assert!((total - expected).abs() < 1e-2, "{total} against {expected}");
        let n = 65_536 * 256 + 1;
        let values: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
        for device in devices() {
            let (dy, a) = (put(&device, &[n, 1], &values), put(&device, &[1, 1], &[2.0f32]));
            let delta = LowRank { z: &dy, a: &a, patches: None, scale: 0.5 };
            let found = low_rank_delta_backward(&dy, delta, None).unwrap();
            assert!(get::<f32>(&found.z).iter().zip(&values).all(|(dz, dy)| dz == dy));
        }
    }

    #[test]
    fn patches_without_an_order_are_refused() {
        let case = Case::new([4, 2, 1], 2);
        case.on(&cpu(), (&case.z, &case.a), true, |dy, delta, _| {
            assert!(low_rank_delta_backward(dy, delta, None).is_err());
        });
    }
}
