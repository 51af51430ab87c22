//! `column_sum`: `out[j] = Σ_r x[r, j]`, the gradient of a bias, and the last step of every sum that was split.
//!
//! Rows are summed in blocks of 64, then the blocks' sums in the same way: a tree that depends on nothing but the
//! number of rows, and loses little to rounding.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for, math::vectorised};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{column_sum as table, params},
    },
};

params!(column_sum { rows: u32, columns: u32, first_block: u32, blocks: u32 });

/// Rows that one invocation sums; cuts of [`row_chunks`] fall between them.
const BLOCK_ROWS: usize = 64;
/// Columns of one task of the twin.
const CPU_COLUMNS: usize = 4096;

/// `x` `[n, c]` → `[c]`.
pub fn column_sum(x: &Tensor) -> Result<Tensor> {
    ensure!("column_sum", x.dtype() == DType::F32, "x is {:?}, expected F32", x.dtype());
    let columns = x.columns();
    let mut sums = of_blocks(x)?;
    while sums.rows() > 1 {
        sums = of_blocks(&sums)?;
    }
    sums.reshaped(&[columns])
}

/// The sums of blocks of rows, of which there is always one.
fn of_blocks(x: &Tensor) -> Result<Tensor> {
    let (blocks, columns) = (x.rows().div_ceil(BLOCK_ROWS).max(1), x.columns());
    let mut out = Tensor::uninit(x.device(), &[blocks, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => device.run("column_sum", Work::Flops(x.len() as u64), bytes_of(&[x, &out]), || {
            cpu(x.host(), columns, out.host_mut());
        }),
        Device::Gpu(device) => gpu(device, x, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, x: &Tensor, out: &Tensor) -> Result<()> {
    let columns = x.columns();
    for rows in row_chunks(x.rows(), x.row_bytes(), columns as u64, gpu.max_binding()) {
        let blocks = rows.len().div_ceil(BLOCK_ROWS).max(1);
        let params = Params {
            rows: rows.len() as u32,
            columns: columns as u32,
            first_block: (rows.start / BLOCK_ROWS) as u32,
            blocks: blocks as u32,
        };
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[Bind::rows(x, rows.clone()), Bind::all(out)],
            params: bytemuck::bytes_of(&params),
            groups: groups_for(blocks * columns, ELEMENTS_PER_GROUP),
            work: Work::Flops((rows.len() * columns) as u64),
        })?;
    }
    Ok(())
}

fn cpu(x: &[f32], columns: usize, out: &mut [f32]) {
    if columns == 0 {
        return;
    }
    out.par_chunks_exact_mut(columns).enumerate().for_each(|(block, out)| {
        let rows = x.chunks_exact(columns).skip(block * BLOCK_ROWS).take(BLOCK_ROWS);
        out.par_chunks_mut(CPU_COLUMNS).enumerate().for_each(|(part, out)| {
            vectorised(|| {
                out.fill(0.0);
                for row in rows.clone() {
                    let row = &row[part * CPU_COLUMNS..][..out.len()];
                    out.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, cpu as cpu_device, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula_bit_for_bit() {
        for n in SIZES.into_iter().chain([64, 65, 5000]) {
            for c in [1, 20, 144] {
                let x = Noise::new((n + c) as u64).floats(n * c);
                // The same additions in the same order on both sides.
                let sums = agree_split(0.0, (128 * 4 * c).max(16 << 10) as u64, |device| {
                    column_sum(&put(device, &[n, c], &x)).unwrap()
                });
                assert_eq!(sums.len(), c);
                for (column, sum) in sums.iter().enumerate() {
                    let expected: f64 = x.iter().skip(column).step_by(c).map(|v| f64::from(*v)).sum();
                    // Three levels of 64 additions of values below 1.
                    assert!((f64::from(*sum) - expected).abs() < 1e-4, "n {n}, c {c}: {sum} against {expected}");
                }
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // Two rows of more columns than one dimension of groups holds, and more blocks of rows than that.
        let n = 65_536 * 256 + 1;
        let x: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
        let wide = agree_split(0.0, 128 << 20, |device| column_sum(&put(device, &[1, n], &x)).unwrap());
        assert_eq!(wide, x);
        let tall = agree_split(0.0, 2 << 20, |device| column_sum(&put(device, &[n, 1], &x)).unwrap());
        // A whole number below 2^26 that f32 may have to round.
        let expected = (n / 5 * 10 + (0..n % 5).sum::<usize>()) as f32;
        assert!((tall[0] - expected).abs() < 16.0, "{} against {expected}", tall[0]);
    }

    #[test]
    fn integers_are_refused() {
        assert!(column_sum(&put(&cpu_device(), &[1, 1], &[1u32])).is_err());
    }
}
