//! `segment_sum`: the sum of every segment's rows: `out[s, j] = Σ x[members[r], column + j]` over r in
//! `[starts[s], starts[s + 1])`.
//!
//! The gradient of what a gather by cluster reads: of `x` in [`gather_rows`](super::gather_rows) and `add_rows`, and,
//! from the columns it went to, of a part of `gather_columns`; also of what the points of a patch share.

use super::{ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, segment_sum as table},
    },
};
use std::ops::Range;

params!(segment_sum {
    segments: u32,
    columns: u32,
    segment_base: u32,
    member_base: u32,
    stride: u32,
    column: u32,
    lo: u32,
    hi: u32,
    lanes: u32,
    accumulate: u32,
});

/// Members that one invocation adds up before others are asked to help.
const MEMBERS_PER_LANE: usize = 8;
const MAX_LANES: usize = 64;
/// Members that the twin sums before it adds their sum to the others': a whole scene in one segment keeps its precision.
const CPU_MEMBERS: usize = 256;

/// `columns` of `x` `[m, ..]`, `members` u32 `[.., m]` of which row `member_row` is used (rows sorted by segment),
/// `starts` `[s + 1]` u32 → `[s, columns]`. An empty segment gives zeros.
pub fn segment_sum(
    x: &Tensor,
    columns: Range<usize>,
    members: &Tensor,
    member_row: usize,
    starts: &Tensor,
) -> Result<Tensor> {
    let base = member_row * x.rows();
    let indices = members.dtype() == DType::U32 && starts.dtype() == DType::U32 && !starts.is_empty();
    let fits = indices && base + x.rows() <= members.len() && x.dtype() == DType::F32;
    ensure!("segment_sum", fits, "row {member_row} of members {members:?}, starts {starts:?} for x {x:?}");
    let has_columns = columns.start <= columns.end && columns.end <= x.columns();
    ensure!("segment_sum", has_columns, "columns {columns:?} of x {x:?}");
    let mut out = Tensor::uninit(x.device(), &[starts.len() - 1, columns.len()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let work = Work::Flops((x.rows() * columns.len()) as u64);
            device.run("segment_sum", work, bytes_of(&[x, members, &out]), || {
                cpu(x, columns, &members.host::<u32>()[base..], starts.host(), out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, columns, members, base, starts, &out)?,
    }
    Ok(out)
}

fn gpu(
    gpu: &Gpu,
    x: &Tensor,
    columns: Range<usize>,
    members: &Tensor,
    member_base: usize,
    starts: &Tensor,
    out: &Tensor,
) -> Result<()> {
    let limit = gpu.max_binding();
    let mean_length = x.rows() / out.rows().max(1);
    let lanes = (mean_length / MEMBERS_PER_LANE).next_power_of_two().min(MAX_LANES);
    let work_per_row = (mean_length.max(1) * columns.len()) as u64;
    for (pass, seen) in row_chunks(x.rows(), x.row_bytes(), 1, limit).enumerate() {
        for rows in row_chunks(out.rows(), out.row_bytes(), work_per_row, limit) {
            let params = Params {
                segments: rows.len() as u32,
                columns: columns.len() as u32,
                segment_base: rows.start as u32,
                member_base: member_base as u32,
                stride: x.columns() as u32,
                column: columns.start as u32,
                lo: seen.start as u32,
                hi: seen.end as u32,
                lanes: lanes as u32,
                accumulate: u32::from(pass > 0),
            };
            gpu.dispatch(&Dispatch {
                variant: &table::PLAIN,
                entry: "main",
                bind: &[
                    Bind::rows(x, seen.clone()),
                    Bind::all(members),
                    Bind::all(starts),
                    Bind::rows(out, rows.clone()),
                ],
                params: bytemuck::bytes_of(&params),
                groups: groups_for(rows.len() * columns.len() * lanes, 256),
                work: Work::Flops(work_per_row * rows.len() as u64),
            })?;
        }
    }
    Ok(())
}

fn cpu(x: &Tensor, columns: Range<usize>, members: &[u32], starts: &[u32], out: &mut [f32]) {
    if columns.is_empty() {
        return;
    }
    let (stride, x) = (x.columns(), x.host::<f32>());
    out.par_chunks_exact_mut(columns.len()).zip(starts.par_windows(2)).for_each(|(out, bounds)| {
        sum_rows(x, stride, columns.start, &members[bounds[0] as usize..bounds[1] as usize], out);
    });
}

/// Sets `out` to the sum of `x[row, column..]` over `rows`.
pub(super) fn sum_rows(x: &[f32], stride: usize, column: usize, rows: &[u32], out: &mut [f32]) {
    let add = |rows: &[u32], sums: &mut [f32]| {
        sums.fill(0.0);
        for row in rows {
            let row = &x[*row as usize * stride + column..][..sums.len()];
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
    };
    let (first, others) = rows.split_at(rows.len().min(CPU_MEMBERS));
    add(first, out);
    if others.is_empty() {
        return;
    }
    let mut partial = vec![0.0; out.len()];
    for rows in others.chunks(CPU_MEMBERS) {
        add(rows, &mut partial);
        out.iter_mut().zip(&partial).for_each(|(sum, v)| *sum += v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        differences::{check_gradient, weighted_sum},
        gather_rows::add_rows,
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    /// `m` rows in `segments`, some empty: members in random order, and where each segment starts.
    fn shuffled(noise: &mut Noise, m: usize, segments: usize) -> (Vec<u32>, Vec<u32>) {
        let mut members: Vec<u32> = (0..m as u32).collect();
        for i in (1..m).rev() {
            members.swap(i, noise.below(i + 1));
        }
        let mut starts: Vec<u32> = (1..segments).map(|_| noise.below(m + 1) as u32).collect();
        starts.extend([0, m as u32]);
        starts.sort_unstable();
        (members, starts)
    }

    #[test]
    fn every_size_agrees_with_the_formula_at_every_number_of_lanes() {
        for m in SIZES {
            for (segments, stride, columns) in [(1, 3, 0..3), (40, 7, 2..5), (600, 20, 0..20)] {
                let mut noise = Noise::new((m * segments) as u64);
                let x = noise.floats(m * stride);
                let (members, starts) = shuffled(&mut noise, m, segments);
                // The second row of two, the first being out of range on purpose.
                let rows: Vec<u32> = vec![u32::MAX; m].into_iter().chain(members.iter().copied()).collect();
                // Sums of up to 1,025 terms below 1.
                let result = agree(2e-5, |device| {
                    let (members, starts) = (put(device, &[2, m], &rows), put(device, &[segments + 1], &starts));
                    segment_sum(&put(device, &[m, stride], &x), columns.clone(), &members, 1, &starts).unwrap()
                });
                for (at, y) in result.iter().enumerate() {
                    let (s, j) = (at / columns.len(), columns.start + at % columns.len());
                    let rows = &members[starts[s] as usize..starts[s + 1] as usize];
                    let expected: f64 = rows.iter().map(|r| f64::from(x[*r as usize * stride + j])).sum();
                    assert!((f64::from(*y) - expected).abs() < 2e-5 * (1.0 + expected.abs()), "{y} for {expected}");
                }
            }
        }
    }

    #[test]
    fn it_is_the_gradient_of_rows_added_by_cluster() {
        let (n, cells, c) = (30, 7, 4);
        let mut noise = Noise::new(1);
        let (members, starts) = shuffled(&mut noise, n, cells);
        let mut cluster = vec![0u32; n];
        for (cell, bounds) in starts.windows(2).enumerate() {
            members[bounds[0] as usize..bounds[1] as usize].iter().for_each(|p| cluster[*p as usize] = cell as u32);
        }
        let (base, x, dy) = (noise.floats(n * c), noise.floats(cells * c), noise.floats(n * c));
        let device = cpu();
        let put_rows = |rows: usize, data: &[f32]| put(&device, &[rows, c], data);
        let [members, starts, cluster] = [members, starts, cluster].map(|v| put(&device, &[v.len()], &v));
        let dx: Vec<f32> = get(&segment_sum(&put_rows(n, &dy), 0..c, &members, 0, &starts).unwrap());
        // Linear: a large step rounds least.
        check_gradient(&x, &dx, 0.5, 1e-5, |x| {
            let y = add_rows(&put_rows(n, &base), &cluster, &put_rows(cells, x)).unwrap();
            weighted_sum(&get::<f32>(&y), &dy)
        });
    }

    #[test]
    fn no_segments_and_more_groups_than_one_dimension_holds() {
        for segments in [0, 65_536 * 256 + 1] {
            let starts: Vec<u32> = (0..=segments as u32).collect();
            let members: Vec<u32> = (0..segments as u32).rev().collect();
            let x: Vec<f32> = (0..segments).map(|i| (i % 9) as f32).collect();
            for device in devices() {
                let (members, starts) = (put(&device, &[segments], &members), put(&device, &[segments + 1], &starts));
                let result = segment_sum(&put(&device, &[segments, 1], &x), 0..1, &members, 0, &starts).unwrap();
                assert!(get::<f32>(&result).iter().eq(x.iter().rev()));
            }
        }
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let mut noise = Noise::new(9);
        let x = noise.floats(5000);
        let (members, starts) = shuffled(&mut noise, 5000, 12);
        for device in devices() {
            let [members, starts] = [&members, &starts].map(|v| put(&device, &[v.len()], v));
            let x = put(&device, &[5000, 1], &x);
            let run = || get::<f32>(&segment_sum(&x, 0..1, &members, 0, &starts).unwrap());
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let (x, indices) = (put(&device, &[2, 3], &[0.0f32; 6]), put(&device, &[2], &[0u32, 1]));
        assert!(segment_sum(&x, 0..4, &indices, 0, &indices).is_err());
        assert!(segment_sum(&x, 0..3, &indices, 1, &indices).is_err());
        assert!(segment_sum(&x, 0..3, &x, 0, &indices).is_err());
    }
}
