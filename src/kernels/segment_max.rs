//! `segment_max`: the largest row of every segment, channel by channel (grid pooling's reduction):
//! `out[s, j] = max of x[members[r], j] over r in [starts[s], starts[s + 1])`.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, segment_max as table},
    },
};

params!(segment_max { segments: u32, columns: u32, segment_base: u32, lo: u32, hi: u32, accumulate: u32 });

/// `x` `[m, c]`, `members` `[m]` u32 (rows sorted by segment), `starts` `[s + 1]` u32 → `[s, c]`. Every segment has a
/// member.
pub fn segment_max(x: &Tensor, members: &Tensor, starts: &Tensor) -> Result<Tensor> {
    let indices = members.dtype() == DType::U32 && starts.dtype() == DType::U32 && !starts.is_empty();
    ensure!("segment_max", indices, "members {members:?}, starts {starts:?}");
    let mut out = Tensor::uninit(x.device(), &[starts.len() - 1, x.columns()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => device.run("segment_max", Work::Other(0), bytes_of(&[x, members, &out]), || {
            cpu(x, members.host(), starts.host(), out.host_mut());
        }),
        Device::Gpu(device) => gpu(device, x, members, starts, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, x: &Tensor, members: &Tensor, starts: &Tensor, out: &Tensor) -> Result<()> {
    let (columns, limit) = (x.columns(), gpu.max_binding());
    for (pass, seen) in row_chunks(x.rows(), x.row_bytes(), 1, limit).enumerate() {
        for rows in row_chunks(out.rows(), out.row_bytes(), columns as u64, limit) {
            let params = Params {
                segments: rows.len() as u32,
                columns: columns as u32,
                segment_base: rows.start as u32,
                lo: seen.start as u32,
                hi: seen.end as u32,
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
                groups: groups_for(rows.len() * columns, ELEMENTS_PER_GROUP),
                work: Work::Other(x.len() as u64),
            })?;
        }
    }
    Ok(())
}

fn cpu(x: &Tensor, members: &[u32], starts: &[u32], out: &mut [f32]) {
    let columns = x.columns();
    if columns == 0 {
        return;
    }
    let x: &[f32] = x.host();
    out.par_chunks_exact_mut(columns).zip(starts.par_windows(2)).for_each(|(out, bounds)| {
        out.fill(f32::MIN);
        for row in &members[bounds[0] as usize..bounds[1] as usize] {
            let row = &x[*row as usize * columns..][..columns];
            out.iter_mut().zip(row).for_each(|(y, v)| *y = y.max(*v));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, devices, get, put},
    };

    #[test]
    fn the_largest_member_of_every_segment() {
        for (segments, c) in [(1, 3), (15, 16), (1025, 20)] {
            let mut noise = Noise::new(segments as u64);
            let mut starts = vec![0u32];
            for s in 0..segments {
                starts.push(starts[s] + 1 + noise.below(6) as u32);
            }
            let m = starts[segments] as usize;
            let mut members: Vec<u32> = (0..m as u32).collect();
            for i in (1..m).rev() {
                members.swap(i, noise.below(i + 1));
            }
            // All negative: a start at zero would show.
            let x: Vec<f32> = noise.floats(m * c).iter().map(|v| v - 2.0).collect();
            let result = agree(0.0, |device| {
                let (members, starts) = (put(device, &[m], &members), put(device, &[segments + 1], &starts));
                segment_max(&put(device, &[m, c], &x), &members, &starts).unwrap()
            });
            for (at, y) in result.iter().enumerate() {
                let rows = &members[starts[at / c] as usize..starts[at / c + 1] as usize];
                let expected = rows.iter().map(|r| x[*r as usize * c + at % c]).fold(f32::MIN, f32::max);
                assert_eq!(*y, expected);
            }
        }
    }

    #[test]
    fn no_segments_and_more_groups_than_one_dimension_holds() {
        for segments in [0, 65_536 * 256 + 1] {
            let starts: Vec<u32> = (0..=segments as u32).collect();
            let x: Vec<f32> = (0..segments).map(|i| (i % 9) as f32).collect();
            let members: Vec<u32> = (0..segments as u32).rev().collect();
            for device in devices() {
                let (members, starts) = (put(&device, &[segments], &members), put(&device, &[segments + 1], &starts));
                let result = segment_max(&put(&device, &[segments, 1], &x), &members, &starts).unwrap();
                assert!(get::<f32>(&result).iter().eq(x.iter().rev()));
            }
        }
    }
}
