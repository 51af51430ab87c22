//! `segment_max_backward`: the gradient of [`segment_max`](super::segment_max) goes to the row that held the maximum,
//! channel by channel, and on a tie to the first such member of the segment, as in the reference's `segment_csr`:
//! `dx[members[r], j] = dy[s, j]` for the first r of segment s with `x[members[r], j] = out[s, j]`, and 0 elsewhere.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, segment_max_backward as table},
    },
};

params!(segment_max_backward { segments: u32, columns: u32, segment_base: u32, lo: u32, hi: u32, accumulate: u32 });

/// The forward's `x` `[m, c]`, `members` `[m]` u32 (every row once), `starts` `[s + 1]` u32 and result `out` `[s, c]`,
/// with `dy` `[s, c]` → dx `[m, c]`.
pub fn segment_max_backward(
    x: &Tensor,
    members: &Tensor,
    starts: &Tensor,
    out: &Tensor,
    dy: &Tensor,
) -> Result<Tensor> {
    let indices = members.dtype() == DType::U32 && starts.dtype() == DType::U32 && !starts.is_empty();
    ensure!("segment_max_backward", indices, "members {members:?}, starts {starts:?}");
    let shape = [starts.len() - 1, x.columns()];
    let fits = out.shape() == shape && dy.shape() == shape && members.len() == x.rows();
    let floats = [x, out, dy].iter().all(|tensor| tensor.dtype() == DType::F32);
    ensure!("segment_max_backward", fits && floats, "x {x:?}, members {members:?}, out {out:?}, dy {dy:?}");
    let mut dx = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            device.run("segment_max_backward", Work::Other(0), bytes_of(&[x, members, out, dy, &dx]), || {
                cpu(x, members.host(), starts.host(), out.host(), dy.host(), dx.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, members, starts, out, dy, &dx)?,
    }
    Ok(dx)
}

fn gpu(gpu: &Gpu, x: &Tensor, members: &Tensor, starts: &Tensor, out: &Tensor, dy: &Tensor, dx: &Tensor) -> Result<()> {
    let (columns, limit) = (x.columns(), gpu.max_binding());
    let first = Tensor::uninit(x.device(), out.shape(), DType::U32)?;
    // Every first place has to be found before the first gradient is written: a segment's rows may lie in two bindings.
    for entry in ["find", "main"] {
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
                let [out, first, dy] = [out, &first, dy].map(|tensor| Bind::rows(tensor, rows.clone()));
                let [x, dx] = [x, dx].map(|tensor| Bind::rows(tensor, seen.clone()));
                let [members, starts] = [members, starts].map(Bind::all);
                let bind = match entry {
                    "find" => [x, members, starts, out, first],
                    _ => [members, starts, first, dy, dx],
                };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry,
                    bind: &bind,
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(rows.len() * columns, ELEMENTS_PER_GROUP),
                    work: Work::Other((seen.len() * columns) as u64),
                })?;
            }
        }
    }
    Ok(())
}

fn cpu(x: &Tensor, members: &[u32], starts: &[u32], out: &[f32], dy: &[f32], dx: &mut [f32]) {
    let columns = x.columns();
    if columns == 0 {
        return;
    }
    let x: &[f32] = x.host();
    // The member that gets the gradient, of every segment and channel.
    let mut chosen = vec![u32::MAX; out.len()];
    let segments = chosen.par_chunks_exact_mut(columns).zip(out.par_chunks_exact(columns));
    segments.zip(starts.par_windows(2)).for_each(|((chosen, out), bounds)| {
        for row in members[bounds[0] as usize..bounds[1] as usize].iter().rev() {
            let x = &x[*row as usize * columns..][..columns];
            for c in 0..columns {
                if x[c] == out[c] {
                    chosen[c] = *row;
                }
            }
        }
    });
    let mut segment_of = vec![0; members.len()];
    for (segment, bounds) in starts.windows(2).enumerate() {
        for row in &members[bounds[0] as usize..bounds[1] as usize] {
            segment_of[*row as usize] = segment;
        }
    }
    dx.par_chunks_exact_mut(columns).zip(&segment_of).enumerate().for_each(|(row, (dx, segment))| {
        let at = segment * columns;
        for c in 0..columns {
            dx[c] = if chosen[at + c] as usize == row { dy[at + c] } else { 0.0 };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        differences::{check_gradient, weighted_sum},
        segment_max::segment_max,
        testing::{Noise, cpu, devices, get, put},
    };

    /// Segments of one to six members, in random order.
    fn segments_of(noise: &mut Noise, segments: usize) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32];
        for s in 0..segments {
            starts.push(starts[s] + 1 + noise.below(6) as u32);
        }
        let m = starts[segments] as usize;
        let mut members: Vec<u32> = (0..m as u32).collect();
        for i in (1..m).rev() {
            members.swap(i, noise.below(i + 1));
        }
        (members, starts)
    }

    fn backward(device: &Device, c: usize, x: &[f32], members: &[u32], starts: &[u32], dy: &[f32]) -> Tensor {
        let (m, segments) = (members.len(), starts.len() - 1);
        let (members, starts) = (put(device, &[m], members), put(device, &[segments + 1], starts));
        let (x, dy) = (put(device, &[m, c], x), put(device, &[segments, c], dy));
        let out = segment_max(&x, &members, &starts).unwrap();
        segment_max_backward(&x, &members, &starts, &out, &dy).unwrap()
    }

    #[test]
    fn the_first_of_the_largest_members_gets_the_gradient() {
        for (segments, c) in [(0, 4), (1, 3), (15, 16), (1025, 20)] {
            let mut noise = Noise::new(segments as u64);
            let (members, starts) = segments_of(&mut noise, segments);
            // Five values: most segments have ties, within a binding and across two.
            let x: Vec<f32> = (0..members.len() * c).map(|_| noise.below(5) as f32 - 7.0).collect();
            let dy = noise.floats(segments * c);
            let result = agree(0.0, |device| backward(device, c, &x, &members, &starts, &dy));
            let mut expected = vec![0.0; x.len()];
            for (s, bounds) in starts.windows(2).enumerate() {
                for j in 0..c {
                    let mut best = members[bounds[0] as usize] as usize;
                    for row in &members[bounds[0] as usize..bounds[1] as usize] {
                        if x[*row as usize * c + j] > x[best * c + j] {
                            best = *row as usize;
                        }
                    }
                    expected[best * c + j] = dy[s * c + j];
                }
            }
            assert_eq!(result, expected);
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        let c = 3;
        let mut noise = Noise::new(5);
        let (members, starts) = segments_of(&mut noise, 12);
        // Multiples of 1/16 in a random order: no step of 1/64 changes which is the largest.
        let count = members.len() * c;
        let mut x: Vec<f32> = (0..count).map(|i| i as f32 / 16.0).collect();
        for i in (1..count).rev() {
            x.swap(i, noise.below(i + 1));
        }
        let dy = noise.floats(12 * c);
        let device = cpu();
        let dx: Vec<f32> = get(&backward(&device, c, &x, &members, &starts, &dy));
        let (members, starts) = (put(&device, &[members.len()], &members), put(&device, &[13], &starts));
        // Between two changes of the largest the forward is linear: only rounding is left.
        check_gradient(&x, &dx, 1.0 / 64.0, 1e-5, |x| {
            let y = segment_max(&put(&device, &[x.len() / c, c], x), &members, &starts).unwrap();
            weighted_sum(&get::<f32>(&y), &dy)
        });
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let segments = 65_536 * 256 + 1;
        let starts: Vec<u32> = (0..=segments as u32).collect();
        let dy: Vec<f32> = (0..segments).map(|i| (i % 9) as f32).collect();
        let members: Vec<u32> = (0..segments as u32).rev().collect();
        for device in devices() {
            let dx: Vec<f32> = get(&backward(&device, 1, &dy, &members, &starts, &dy));
            assert!(dx.iter().eq(dy.iter().rev()));
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let (x, members) = (put(&device, &[2, 1], &[0.0f32; 2]), put(&device, &[2], &[0u32, 1]));
        let (starts, out) = (put(&device, &[2], &[0u32, 2]), put(&device, &[1, 1], &[0.0f32]));
        assert!(segment_max_backward(&x, &members, &starts, &out, &out).is_ok());
        assert!(segment_max_backward(&x, &members, &starts, &out, &x).is_err());
        assert!(segment_max_backward(&x, &starts, &x, &out, &out).is_err());
    }
}
