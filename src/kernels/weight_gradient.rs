//! `weight_gradient`: the gradient of the weight of a [`linear`](super::linear) or a [`subm_conv`](super::subm_conv),
//! `out[o, t, i] = Σ_p dy[p, o] · x[source(p, t), i]` over all rows p. Of a linear layer there is one tap and p itself is
//! the source; of a convolution it is `neighbors[p, t]`, and where that is absent there is nothing to add.
//!
//! Rows are cut into blocks whose sums are added up in order. How many there are depends on shapes and, for the room
//! they take, on what the device binds: the same operands on the same device give the same bits.

use super::{
    column_sum::column_sum, ensure, linear::whole_quads, neighbor_table::ABSENT, outer::OuterSum, subm_conv::OFFSETS,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, weight_gradient as table},
    },
};
use pulp::Arch;

params!(weight_gradient {
    rows: u32,
    columns: u32,
    inner: u32,
    taps: u32,
    blocks: u32,
    block_rows: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
    scale: f32,
});

/// Fewer rows than this are not worth a block of their own.
const LEAST_ROWS: usize = 512;
/// More blocks than this keep no device busier.
const MOST_BLOCKS: usize = 64;
/// Elements that the sums of all blocks may take together, unless one block takes more: 16 MiB.
const SCRATCH: usize = 1 << 22;
/// Side of the tile of outputs that a workgroup computes.
const TILE: usize = 64;

/// `x` `[n, i]` and the gradient `dy` `[n, o]` → `[o, i]`. With `neighbors` `[n, 27]` u32 into the rows of `x`
/// → `[o, 27 · i]`.
pub fn weight_gradient(x: &Tensor, dy: &Tensor, neighbors: Option<&Tensor>) -> Result<Tensor> {
    scaled(x, dy, neighbors, 1.0)
}

/// `scale` times [`weight_gradient`].
pub(super) fn scaled(x: &Tensor, dy: &Tensor, neighbors: Option<&Tensor>, scale: f32) -> Result<Tensor> {
    let (rows, columns, inner) = (dy.rows(), dy.columns(), x.columns());
    ensure!("weight_gradient", x.dtype() == DType::F32 && dy.dtype() == DType::F32, "x {x:?}, dy {dy:?}");
    match neighbors {
        None => ensure!("weight_gradient", x.rows() == rows, "x {x:?} for dy {dy:?}"),
        Some(table) => {
            let fits = table.shape() == [rows, OFFSETS] && table.dtype() == DType::U32;
            ensure!("weight_gradient", fits, "neighbors {table:?} for dy {dy:?}");
        }
    }
    let taps = neighbors.map_or(1, |_| OFFSETS);
    let size = columns * taps * inner;
    let limit = match x.device() {
        Device::Cpu(_) => SCRATCH,
        Device::Gpu(gpu) => SCRATCH.min((gpu.max_binding() / 4) as usize),
    };
    let blocks = (rows / LEAST_ROWS).min(MOST_BLOCKS).min(limit / size.max(1)).max(1);
    let mut sums = Tensor::uninit(x.device(), &[blocks, size], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(2 * (rows * size) as u64);
            device.run("weight_gradient", work, bytes_of(&[x, dy, &sums]), || {
                cpu(x, dy, neighbors.map(Tensor::host), scale, blocks, sums.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, dy, neighbors, scale, &sums)?,
    }
    let sums = if blocks == 1 { sums } else { column_sum(&sums)? };
    sums.reshaped(&[columns, taps * inner])
}

fn gpu(gpu: &Gpu, x: &Tensor, dy: &Tensor, neighbors: Option<&Tensor>, scale: f32, sums: &Tensor) -> Result<()> {
    let (blocks, columns, inner) = (sums.rows(), dy.columns(), x.columns());
    let taps = neighbors.map_or(1, |_| OFFSETS);
    let variant = match (neighbors.is_some(), whole_quads(inner, columns)) {
        (false, false) => &table::ROWS,
        (false, true) => &table::ROWS_VEC4,
        (true, false) => &table::NEIGHBORS,
        (true, true) => &table::NEIGHBORS_VEC4,
    };
    let limit = gpu.max_binding();
    let work_per_row = 2 * sums.columns() as u64;
    let mut accumulate = 0;
    let mut record = |rows: std::ops::Range<usize>, seen: std::ops::Range<usize>| {
        let params = Params {
            rows: rows.len() as u32,
            columns: columns as u32,
            inner: inner as u32,
            taps: taps as u32,
            blocks: blocks as u32,
            block_rows: rows.len().div_ceil(blocks) as u32,
            lo: seen.start as u32,
            hi: seen.end as u32,
            accumulate,
            scale,
        };
        let mut bind = vec![Bind::rows(x, seen), Bind::rows(dy, rows.clone())];
        bind.extend(neighbors.map(|neighbors| Bind::rows(neighbors, rows.clone())));
        bind.push(Bind::all(sums));
        accumulate = 1;
        gpu.dispatch(&Dispatch {
            variant,
            entry: "main",
            bind: &bind,
            params: bytemuck::bytes_of(&params),
            groups: (blocks * taps * columns.div_ceil(TILE) * inner.div_ceil(TILE)) as u32,
            work: Work::Flops(work_per_row * rows.len() as u64),
        })
    };
    let Some(neighbors) = neighbors else {
        let widest = x.row_bytes().max(dy.row_bytes());
        return row_chunks(dy.rows(), widest, work_per_row, limit).try_for_each(|rows| record(rows.clone(), rows));
    };
    let widest = neighbors.row_bytes().max(dy.row_bytes());
    row_chunks(x.rows(), x.row_bytes(), 1, limit).try_for_each(|seen| {
        row_chunks(dy.rows(), widest, work_per_row, limit).try_for_each(|rows| record(rows, seen.clone()))
    })
}

/// Rows whose sources stay in a thread's first-level cache while the outputs pass by.
const CPU_ROWS: usize = 128;
/// Outputs of one task.
const CPU_OUTPUTS: usize = 32;

fn cpu(x: &Tensor, dy: &Tensor, neighbors: Option<&[u32]>, scale: f32, blocks: usize, sums: &mut [f32]) {
    let (rows, columns, inner) = (dy.rows(), dy.columns(), x.columns());
    if sums.is_empty() {
        return;
    }
    let taps = neighbors.map_or(1, |_| OFFSETS);
    let block_rows = rows.div_ceil(blocks);
    let (x, y) = (x.host::<f32>(), dy.host::<f32>());
    sums.par_chunks_exact_mut(columns * taps * inner).enumerate().for_each(|(block, sums)| {
        let end = rows.min((block + 1) * block_rows);
        sums.par_chunks_mut(CPU_OUTPUTS * taps * inner).enumerate().for_each(|(part, out)| {
            let outputs = part * CPU_OUTPUTS..columns.min((part + 1) * CPU_OUTPUTS);
            out.fill(0.0);
            let mut pairs = Vec::with_capacity(CPU_ROWS);
            for first in (block * block_rows..end).step_by(CPU_ROWS) {
                for tap in 0..taps {
                    let source = |row: usize| neighbors.map_or(row as u32, |table| table[row * OFFSETS + tap]);
                    let rows = (first..end.min(first + CPU_ROWS)).map(|row| (row as u32, source(row)));
                    pairs.clear();
                    pairs.extend(rows.filter(|(_, source)| *source != ABSENT));
                    Arch::new().dispatch(OuterSum {
                        y,
                        y_columns: columns,
                        x,
                        x_columns: inner,
                        pairs: &pairs,
                        outputs: outputs.clone(),
                        out: &mut out[tap * inner..],
                        stride: taps * inner,
                    });
                }
            }
            if scale != 1.0 {
                for sum in out {
                    *sum *= scale;
                }
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        differences::{check_gradient, weighted_sum},
        linear::{Epilogue, linear},
        subm_conv::subm_conv,
        testing::{Noise, SIZES, cpu as cpu_device, devices, get, neighbors, put},
        weight::Weight,
    };

    /// The formula in f64, for every seventh element.
    fn check(found: &[f32], x: &[f32], dy: &[f32], table: Option<&[u32]>, [n, o, i]: [usize; 3]) {
        let taps = found.len() / (o * i).max(1);
        for (at, value) in found.iter().enumerate().step_by(7) {
            let (output, tap, k) = (at / i / taps, at / i % taps, at % i);
            let source = |p: usize| table.map_or(p as u32, |table| table[p * OFFSETS + tap]);
            let expected: f64 = (0..n)
                .filter(|p| source(*p) != ABSENT)
                .map(|p| f64::from(dy[p * o + output]) * f64::from(x[source(p) as usize * i + k]))
                .sum();
            // Sums of up to 3,000 products below 1.
            assert!((f64::from(*value) - expected).abs() < 1e-4, "n {n}: {value} against {expected}");
        }
    }

    #[test]
    fn every_size_of_a_linear_layer_agrees_with_the_formula() {
        for n in SIZES.into_iter().chain([3000]) {
            for [o, i] in [[48, 16], [5, 9], [144, 48], [20, 130]] {
                let mut noise = Noise::new((n * 100 + i) as u64);
                let (x, dy) = (noise.floats(n * i), noise.floats(n * o));
                // What must be bound whole: the weight, and 64 rows.
                let found = agree_split(3e-5, (4 * (o * i).max(64 * i.max(o))) as u64, |device| {
                    weight_gradient(&put(device, &[n, i], &x), &put(device, &[n, o], &dy), None).unwrap()
                });
                check(&found, &x, &dy, None, [n, o, i]);
            }
        }
    }

    #[test]
    fn every_size_of_a_convolution_agrees_with_the_formula() {
        for n in SIZES.into_iter().chain([3000]) {
            for [o, i] in [[16, 16], [5, 9], [80, 68]] {
                let mut noise = Noise::new((n * 100 + i) as u64);
                let (x, dy, table) = (noise.floats(n * i), noise.floats(n * o), neighbors(n, &mut noise));
                let found = agree_split(3e-5, (4 * OFFSETS * o * i).max(64 * 4 * 80) as u64, |device| {
                    let table = put(device, &[n, OFFSETS], &table);
                    weight_gradient(&put(device, &[n, i], &x), &put(device, &[n, o], &dy), Some(&table)).unwrap()
                });
                check(&found, &x, &dy, Some(&table), [n, o, i]);
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forwards() {
        // The forwards are linear in the weight: nothing is truncated, whatever the step, and a loss of order 10 is
        // rounded by 1e-6.
        let (n, o, i, device) = (30, 5, 9, cpu_device());
        let mut noise = Noise::new(4);
        let (x, dy, bias) = (noise.floats(n * i), noise.floats(n * o), vec![0.0f32; o]);
        let (x, gradient) = (put(&device, &[n, i], &x), put(&device, &[n, o], &dy));
        let weight = noise.floats(o * i);
        let found = get::<f32>(&weight_gradient(&x, &gradient, None).unwrap());
        check_gradient(&weight, &found, 0.5, 1e-4, |weight| {
            let weight = Weight::from_slice(&device, o, 1, weight).unwrap();
            weighted_sum(&get::<f32>(&linear(&x, &weight, Epilogue::default()).unwrap()), &dy)
        });
        let (weight, bias) = (noise.floats(o * OFFSETS * i), put(&device, &[o], &bias));
        let table = put(&device, &[n, OFFSETS], &neighbors(n, &mut noise));
        let found = get::<f32>(&weight_gradient(&x, &gradient, Some(&table)).unwrap());
        check_gradient(&weight, &found, 0.5, 1e-4, |weight| {
            let weight = Weight::from_slice(&device, o, OFFSETS, weight).unwrap();
            weighted_sum(&get::<f32>(&subm_conv(&x, &weight, &bias, &table, None).unwrap()), &dy)
        });
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let (n, c) = (3000, 48);
        let mut noise = Noise::new(9);
        let (x, dy, table) = (noise.floats(n * c), noise.floats(n * c), neighbors(n, &mut noise));
        for device in devices() {
            let [x, dy] = [&x, &dy].map(|values| put(&device, &[n, c], values));
            let table = put(&device, &[n, OFFSETS], &table);
            for table in [None, Some(&table)] {
                let run = || get::<f32>(&weight_gradient(&x, &dy, table).unwrap());
                assert_eq!(run(), run());
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // 65,537 tiles of one output.
        let i = 64 * 65_536 + 4;
        let x: Vec<f32> = (0..i).map(|v| (v % 9) as f32).collect();
        let found = agree_split(0.0, 32 << 20, |device| {
            weight_gradient(&put(device, &[1, i], &x), &put(device, &[1, 1], &[3.0f32]), None).unwrap()
        });
        assert!(found.iter().zip(&x).all(|(w, x)| *w == 3.0 * x));
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let device = cpu_device();
        let (x, dy) = (put(&device, &[2, 3], &[0.0f32; 6]), put(&device, &[4, 2], &[0.0f32; 8]));
        let error = weight_gradient(&x, &dy, None).unwrap_err().to_string();
        assert_eq!(error, "kernel weight_gradient: x Tensor [2, 3] F32 on cpu for dy Tensor [4, 2] F32 on cpu");
        assert!(weight_gradient(&x, &dy, Some(&x)).is_err());
    }
}
