//! `segment_mean`: the mean row of every segment, `out[s, j] = (sum of x[members[r], j] over the segment) / divisor[s]`.
//!
//! One kernel serves pooled coordinates (CSR segments), SNG patch features with zero padding (`divisor` = the padded
//! length) and the overlapping windows of `low_rank` (ranges, `divisor` = the points that are there).

use super::{ensure, segment_sum::sum_rows};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, segment_mean as table},
    },
};

params!(segment_mean {
    segments: u32,
    columns: u32,
    member_base: u32,
    stride: u32,
    lo: u32,
    hi: u32,
    has_divisor: u32,
    accumulate: u32,
});

/// Which rows form a segment: positions in `members`.
#[derive(Clone, Copy)]
pub enum Segments<'a> {
    /// `starts` `[s + 1]`: consecutive runs, divided by their length.
    Runs(&'a Tensor),
    /// `ranges` `[s, 2]` as (start, end), and the number to divide each sum by, `[s]` f32.
    Ranges(&'a Tensor, &'a Tensor),
}

/// `x` `[m, c]`, `members` u32 `[.., m]` of which row `member_row` is used → `[s, c]`. An empty segment gives zeros.
pub fn segment_mean(x: &Tensor, members: &Tensor, member_row: usize, segments: Segments<'_>) -> Result<Tensor> {
    let (bounds, divisor, count) = match segments {
        Segments::Runs(starts) => (starts, None, starts.len().saturating_sub(1)),
        Segments::Ranges(ranges, divisor) => (ranges, Some(divisor), ranges.rows()),
    };
    let base = member_row * x.rows();
    ensure!("segment_mean", base + x.rows() <= members.len(), "row {member_row} of members {members:?} for x {x:?}");
    ensure!("segment_mean", divisor.is_none_or(|d| d.len() == count), "divisor {divisor:?} for {count} segments");
    let mut out = Tensor::uninit(x.device(), &[count, x.columns()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => device.run("segment_mean", Work::Flops(x.len() as u64), bytes_of(&[x, &out]), || {
            let members = &members.host::<u32>()[base..base + x.rows()];
            let stride = if divisor.is_some() { 2 } else { 1 };
            cpu(x, members, bounds.host(), stride, divisor.map(Tensor::host), out.host_mut());
        }),
        Device::Gpu(device) => gpu(device, x, members, base, bounds, divisor, &out)?,
    }
    Ok(out)
}

fn gpu(
    gpu: &Gpu,
    x: &Tensor,
    members: &Tensor,
    member_base: usize,
    bounds: &Tensor,
    divisor: Option<&Tensor>,
    out: &Tensor,
) -> Result<()> {
    let (segments, columns) = (out.rows(), x.columns());
    for (pass, seen) in row_chunks(x.rows(), x.row_bytes(), 1, gpu.max_binding()).enumerate() {
        let params = Params {
            segments: segments as u32,
            columns: columns as u32,
            member_base: member_base as u32,
            stride: if divisor.is_some() { 2 } else { 1 },
            lo: seen.start as u32,
            hi: seen.end as u32,
            has_divisor: u32::from(divisor.is_some()),
            accumulate: u32::from(pass > 0),
        };
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[
                Bind::rows(x, seen),
                Bind::all(members),
                Bind::all(bounds),
                Bind::all(divisor.unwrap_or(bounds)),
                Bind::all(out),
            ],
            params: bytemuck::bytes_of(&params),
            groups: (segments * columns.div_ceil(16)) as u32,
            work: Work::Flops(x.len() as u64),
        })?;
    }
    Ok(())
}

fn cpu(x: &Tensor, members: &[u32], bounds: &[u32], stride: usize, divisor: Option<&[f32]>, out: &mut [f32]) {
    let columns = x.columns();
    if columns == 0 {
        return;
    }
    let x: &[f32] = x.host();
    out.par_chunks_exact_mut(columns).enumerate().for_each(|(s, out)| {
        let rows = &members[bounds[s * stride] as usize..bounds[s * stride + 1] as usize];
        sum_rows(x, columns, 0, rows, out);
        let divide_by = divisor.map_or(rows.len().max(1) as f32, |d| d[s]);
        for sum in out {
            *sum /= divide_by;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        testing::{Noise, put},
    };

    #[test]
    fn overlapping_ranges_with_their_own_divisor() {
        let (m, c) = (1500, 20);
        let mut noise = Noise::new(3);
        let x = noise.floats(m * c);
        let members: Vec<u32> = (0..2 * m).map(|_| noise.below(m) as u32).collect();
        // One range covers everything, one nothing.
        let mut ranges = vec![0u32, m as u32, 7, 7];
        for _ in 0..60 {
            let start = noise.below(m);
            ranges.extend([start as u32, (start + noise.below(m - start)) as u32]);
        }
        let segments = ranges.len() / 2;
        let divisor: Vec<f32> = (0..segments).map(|s| (s + 1) as f32).collect();
        // Means of up to 1,500 values below 1.
        let result = agree(1e-5, |device| {
            let (ranges, divisor) = (put(device, &[segments, 2], &ranges), put(device, &[segments], &divisor));
            let (x, members) = (put(device, &[m, c], &x), put(device, &[2, m], &members));
            segment_mean(&x, &members, 1, Segments::Ranges(&ranges, &divisor)).unwrap()
        });
        for (at, y) in result.iter().enumerate() {
            let rows = &members[m..][ranges[at / c * 2] as usize..ranges[at / c * 2 + 1] as usize];
            let sum: f64 = rows.iter().map(|r| f64::from(x[*r as usize * c + at % c])).sum();
            let expected = sum / f64::from(divisor[at / c]);
            assert!((f64::from(*y) - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{y} against {expected}");
        }
    }

    #[test]
    fn runs_are_divided_by_their_length_and_an_empty_one_is_zero() {
        let result = agree(0.0, |device| {
            let x = put(device, &[3, 2], &[1.0f32, 10.0, 3.0, 30.0, 8.0, 80.0]);
            let (members, starts) = (put(device, &[3], &[2u32, 0, 1]), put(device, &[4], &[0u32, 1, 1, 3]));
            segment_mean(&x, &members, 0, Segments::Runs(&starts)).unwrap()
        });
        assert_eq!(result, [8.0, 80.0, 0.0, 0.0, 2.0, 20.0]);
    }

    #[test]
    fn no_segments_and_more_groups_than_one_dimension_holds() {
        for segments in [0, 65_537] {
            let starts: Vec<u32> = (0..=segments as u32).collect();
            let members: Vec<u32> = (0..segments as u32).rev().collect();
            let x: Vec<f32> = (0..segments).map(|i| i as f32).collect();
            let result = agree_split(0.0, 1 << 20, |device| {
                let (members, starts) = (put(device, &[segments], &members), put(device, &[segments + 1], &starts));
                segment_mean(&put(device, &[segments, 1], &x), &members, 0, Segments::Runs(&starts)).unwrap()
            });
            assert!(result.iter().eq(x.iter().rev()));
        }
    }
}
