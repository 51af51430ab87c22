//! `segment_mean_backward`: the gradient of [`segment_mean`](super::segment_mean), gathered by every member from the
//! segments that contain it, in their order: `dx[members[r], j] = Σ_s dy[s, j] / divisor[s]` over the s whose range
//! contains r.

use super::{ensure, groups_for, segment_mean::Segments};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, segment_mean_backward as table},
    },
};

params!(segment_mean_backward {
    places: u32,
    columns: u32,
    member_base: u32,
    stride: u32,
    segment_lo: u32,
    segment_hi: u32,
    lo: u32,
    hi: u32,
    has_divisor: u32,
    accumulate: u32,
});

/// Places in `members` per workgroup.
const PLACES_PER_GROUP: usize = 16;

/// `dy` `[s, c]`, and the forward's `members` u32 `[.., rows]`, of which row `member_row` has every row once, and
/// segments → dx `[rows, c]`.
///
/// The starts and the ends of ranges must both ascend, as those of patches do: a member's segments are then
/// neighbours, and are found without a list.
pub fn segment_mean_backward(
    dy: &Tensor,
    members: &Tensor,
    member_row: usize,
    segments: Segments<'_>,
    rows: usize,
) -> Result<Tensor> {
    let (bounds, divisor, count) = match segments {
        Segments::Runs(starts) => (starts, None, starts.len().saturating_sub(1)),
        Segments::Ranges(ranges, divisor) => (ranges, Some(divisor), ranges.rows()),
    };
    let base = member_row * rows;
    let indices = members.dtype() == DType::U32 && bounds.dtype() == DType::U32 && base + rows <= members.len();
    ensure!("segment_mean_backward", indices, "row {member_row} of members {members:?} for {rows} rows");
    let fits = dy.rows() == count && dy.dtype() == DType::F32 && divisor.is_none_or(|d| d.len() == count);
    ensure!("segment_mean_backward", fits, "dy {dy:?}, divisor {divisor:?} for {count} segments");
    let mut dx = Tensor::uninit(dy.device(), &[rows, dy.columns()], DType::F32)?;
    match dy.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(dx.len() as u64);
            device.run("segment_mean_backward", work, bytes_of(&[dy, &dx]), || {
                let members = &members.host::<u32>()[base..base + rows];
                let stride = if divisor.is_some() { 2 } else { 1 };
                cpu(dy, members, bounds.host(), stride, divisor.map(Tensor::host), dx.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, dy, members, base, bounds, divisor, &dx)?,
    }
    Ok(dx)
}

fn gpu(
    gpu: &Gpu,
    dy: &Tensor,
    members: &Tensor,
    member_base: usize,
    bounds: &Tensor,
    divisor: Option<&Tensor>,
    dx: &Tensor,
) -> Result<()> {
    let (columns, limit) = (dy.columns(), gpu.max_binding());
    for rows in row_chunks(dx.rows(), dx.row_bytes(), 1, limit) {
        for (pass, seen) in row_chunks(dy.rows(), dy.row_bytes(), 1, limit).enumerate() {
            let params = Params {
                places: dx.rows() as u32,
                columns: columns as u32,
                member_base: member_base as u32,
                stride: if divisor.is_some() { 2 } else { 1 },
                segment_lo: seen.start as u32,
                segment_hi: seen.end as u32,
                lo: rows.start as u32,
                hi: rows.end as u32,
                has_divisor: u32::from(divisor.is_some()),
                accumulate: u32::from(pass > 0),
            };
            gpu.dispatch(&Dispatch {
                variant: &table::PLAIN,
                entry: "main",
                bind: &[
                    Bind::rows(dy, seen),
                    Bind::all(members),
                    Bind::all(bounds),
                    Bind::all(divisor.unwrap_or(bounds)),
                    Bind::rows(dx, rows.clone()),
                ],
                params: bytemuck::bytes_of(&params),
                groups: groups_for(dx.rows(), PLACES_PER_GROUP),
                work: Work::Flops((rows.len() * columns) as u64),
            })?;
        }
    }
    Ok(())
}

fn cpu(dy: &Tensor, members: &[u32], bounds: &[u32], stride: usize, divisor: Option<&[f32]>, dx: &mut [f32]) {
    let (columns, segments) = (dy.columns(), dy.rows());
    if columns == 0 {
        return;
    }
    let dy: &[f32] = dy.host();
    let mut place_of = vec![0; members.len()];
    for (place, row) in members.iter().enumerate() {
        place_of[*row as usize] = place as u32;
    }
    // The first segment that ends after a place, for every place, in one walk: ends ascend.
    let mut first = 0;
    let first_of: Vec<usize> = (0..members.len() as u32)
        .map(|place| {
            while first < segments && bounds[first * stride + 1] <= place {
                first += 1;
            }
            first
        })
        .collect();
    dx.par_chunks_exact_mut(columns).zip(&place_of).for_each(|(dx, place)| {
        dx.fill(0.0);
        for s in first_of[*place as usize]..segments {
            let [start, end] = [0, 1].map(|i| bounds[s * stride + i]);
            if start > *place {
                break;
            }
            let divide_by = divisor.map_or((end - start) as f32, |d| d[s]);
            dx.iter_mut().zip(&dy[s * columns..]).for_each(|(sum, dy)| *sum += dy / divide_by);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::patches::{PatchRule, Patches},
        kernels::{
            agreement::agree,
            differences::{check_gradient, weighted_sum},
            segment_mean::segment_mean,
            testing::{Noise, SIZES, cpu, devices, get, put},
        },
    };

    /// A random permutation of `0..n`.
    fn order_of(noise: &mut Noise, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, noise.below(i + 1));
        }
        order
    }

    fn rules() -> [PatchRule; 6] {
        [
            PatchRule::Sliding { window: 40, stride: 16 },
            PatchRule::Sliding { window: 33, stride: 20 },
            // Some ranks are in no range.
            PatchRule::Sliding { window: 3, stride: 7 },
            PatchRule::Sliding { window: 0, stride: 0 },
            PatchRule::Num(30),
            PatchRule::Length(24),
        ]
    }

    #[test]
    fn a_point_gathers_from_every_range_that_contains_it() {
        for n in SIZES {
            for rule in rules() {
                // Two scenes, the second with as few points as none.
                let patches = Patches::new(rule, &[n - n / 5, n]).unwrap();
                let (p, c) = (patches.ranges.len(), 20);
                let mut noise = Noise::new(n as u64);
                let order = order_of(&mut noise, n);
                let dy = noise.floats(p * c);
                let rows: Vec<u32> = vec![u32::MAX; n].into_iter().chain(order.iter().copied()).collect();
                // A window of 40 in strides of 16 covers a point three times.
                let result = agree(1e-6, |device| {
                    let table = patches.upload(device).unwrap();
                    let (dy, members) = (put(device, &[p, c], &dy), put(device, &[2, n], &rows));
                    let ranges = Segments::Ranges(&table.ranges, &table.divisor);
                    segment_mean_backward(&dy, &members, 1, ranges, n).unwrap()
                });
                let mut expected = vec![0.0f64; n * c];
                for (s, [start, end]) in patches.ranges.iter().enumerate() {
                    for point in &order[*start as usize..*end as usize] {
                        for j in 0..c {
                            let share = f64::from(dy[s * c + j]) / f64::from(patches.divisor[s]);
                            expected[*point as usize * c + j] += share;
                        }
                    }
                }
                for (at, (y, expected)) in result.iter().zip(&expected).enumerate() {
                    assert!((f64::from(*y) - expected).abs() < 1e-6, "{rule:?}, element {at}: {y} for {expected}");
                }
            }
        }
    }

    #[test]
    fn runs_give_each_member_its_part_and_an_empty_one_nothing() {
        let result = agree(0.0, |device| {
            let dy = put(device, &[3, 2], &[8.0f32, 80.0, 5.0, 50.0, 2.0, 20.0]);
            let (members, starts) = (put(device, &[3], &[2u32, 0, 1]), put(device, &[4], &[0u32, 1, 1, 3]));
            segment_mean_backward(&dy, &members, 0, Segments::Runs(&starts), 3).unwrap()
        });
        assert_eq!(result, [1.0, 10.0, 1.0, 10.0, 8.0, 80.0]);
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        let (n, c) = (90, 2);
        let mut noise = Noise::new(4);
        let order = order_of(&mut noise, n);
        let x = noise.floats(n * c);
        let device = cpu();
        let members = put(&device, &[n], &order);
        for rule in rules() {
            let patches = Patches::new(rule, &[70, n]).unwrap();
            let table = patches.upload(&device).unwrap();
            let dy = noise.floats(patches.ranges.len() * c);
            for segments in [Segments::Ranges(&table.ranges, &table.divisor), Segments::Runs(&table.starts)] {
                let dy_there = put(&device, &[patches.ranges.len(), c], &dy);
                let dx: Vec<f32> = get(&segment_mean_backward(&dy_there, &members, 0, segments, n).unwrap());
                // Linear: a large step rounds least.
                check_gradient(&x, &dx, 0.5, 1e-5, |x| {
                    let y = segment_mean(&put(&device, &[n, c], x), &members, 0, segments).unwrap();
                    weighted_sum(&get::<f32>(&y), &dy)
                });
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 16 + 1;
        let starts: Vec<u32> = (0..=n as u32).collect();
        let members: Vec<u32> = (0..n as u32).rev().collect();
        let dy: Vec<f32> = (0..n).map(|i| i as f32).collect();
        for device in devices() {
            let (members, starts) = (put(&device, &[n], &members), put(&device, &[n + 1], &starts));
            let dy_there = put(&device, &[n, 1], &dy);
            let dx = segment_mean_backward(&dy_there, &members, 0, Segments::Runs(&starts), n).unwrap();
            assert!(get::<f32>(&dx).iter().eq(dy.iter().rev()));
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let (dy, members) = (put(&device, &[2, 1], &[0.0f32; 2]), put(&device, &[3], &[0u32, 1, 2]));
        let run = |rows, starts| segment_mean_backward(&dy, &members, 0, Segments::Runs(starts), rows);
        assert!(run(3, &members).is_ok());
        assert!(run(4, &members).is_err());
        assert!(run(3, &put(&device, &[2], &[0u32, 3])).is_err());
    }
}
