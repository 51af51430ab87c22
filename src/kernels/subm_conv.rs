//! `subm_conv`: the submanifold 3³ convolution of the network's position encoding (spconv's `SubMConv3d`),
//! `out[p, :] = bias + Σ_o weight[:, o, :] · x[neighbors[p, o], :]` over the 27 offsets o = 9a + 3b + c of
//! (a - 1, b - 1, c - 1). Outputs exist only at input voxels, absent neighbours contribute nothing.

use super::{
    ensure,
    gemm::{Strides, Write, gemm},
    linear::{BLOCK, variant, widened},
    neighbor_table::ABSENT,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, subm_conv as table},
    },
};
use rayon::prelude::*;

params!(subm_conv { rows: u32, columns: u32, inner: u32, lo: u32, hi: u32, accumulate: u32 });

/// Offsets of a 3³ neighbourhood.
pub const OFFSETS: usize = 27;
/// The offset of the voxel itself.
const CENTRE: usize = 13;

/// `x` `[n, i]`, `weight` `[o, 3, 3, 3, i]`, `bias` `[o]`, `neighbors` `[n, 27]` u32 → `[n, o]`.
pub fn subm_conv(x: &Tensor, weight: &Tensor, bias: &Tensor, neighbors: &Tensor) -> Result<Tensor> {
    let (rows, inner, columns) = (x.rows(), x.columns(), weight.rows());
    ensure!("subm_conv", weight.columns() == OFFSETS * inner, "x {x:?} against weight {weight:?}");
    ensure!("subm_conv", bias.len() == columns && bias.dtype() == DType::F32, "bias {bias:?} for weight {weight:?}");
    let table_fits = neighbors.shape() == [rows, OFFSETS] && neighbors.dtype() == DType::U32;
    ensure!("subm_conv", table_fits, "neighbors {neighbors:?} for x {x:?}");
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(2 * (rows * OFFSETS * inner * columns) as u64);
            device.run("subm_conv", work, bytes_of(&[x, weight, neighbors, &out]), || {
                cpu(x.host(), &widened(weight), bias.host(), neighbors.host(), inner, out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, x, weight, bias, neighbors, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, x: &Tensor, weight: &Tensor, bias: &Tensor, neighbors: &Tensor, out: &Tensor) -> Result<()> {
    let (inner, columns, limit) = (x.columns(), out.columns(), gpu.max_binding());
    let all = [&table::F32, &table::F32_VEC4, &table::F16, &table::F16_VEC4, &table::BF16, &table::BF16_VEC4];
    // An upper bound: scans are surfaces, a third of the offsets is usual.
    let work_per_row = (2 * OFFSETS * inner * columns) as u64;
    for (pass, seen) in row_chunks(x.rows(), x.row_bytes(), 1, limit).enumerate() {
        for rows in row_chunks(x.rows(), out.row_bytes().max(neighbors.row_bytes()), work_per_row, limit) {
            let params = Params {
                rows: rows.len() as u32,
                columns: columns as u32,
                inner: inner as u32,
                lo: seen.start as u32,
                hi: seen.end as u32,
                accumulate: u32::from(pass > 0),
            };
            gpu.dispatch(&Dispatch {
                variant: variant(weight.dtype(), inner, all),
                entry: "main",
                bind: &[
                    Bind::rows(x, seen.clone()),
                    Bind::all(weight),
                    Bind::all(bias),
                    Bind::rows(neighbors, rows.clone()),
                    Bind::rows(out, rows.clone()),
                ],
                params: bytemuck::bytes_of(&params),
                groups: (rows.len().div_ceil(BLOCK) * columns.div_ceil(BLOCK)) as u32,
                work: Work::Flops(work_per_row * rows.len() as u64),
            })?;
        }
    }
    Ok(())
}

/// Points of a block whose outputs stay in a thread's cache over the offsets.
const CPU_ROWS: usize = 512;

/// Offset by offset, the neighbours that exist are gathered, multiplied, and added to their points.
fn cpu(x: &[f32], weight: &[f32], bias: &[f32], neighbors: &[u32], inner: usize, out: &mut [f32]) {
    let columns = bias.len();
    if out.is_empty() {
        return;
    }
    let rows = out.len() / columns;
    let block_rows = rows.div_ceil(rayon::current_num_threads()).clamp(1, CPU_ROWS);
    let scratch = || (Vec::new(), Vec::new(), Vec::new());
    out.par_chunks_mut(block_rows * columns).enumerate().for_each_init(
        scratch,
        |(points, gathered, products), (i, out)| {
            let first = i * block_rows;
            let block = out.len() / columns;
            let neighbors = &neighbors[first * OFFSETS..][..block * OFFSETS];
            out.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
            for offset in 0..OFFSETS {
                let right = (&weight[offset * inner..], Strides::transposed(OFFSETS * inner));
                if offset == CENTRE && (0..block).all(|p| neighbors[p * OFFSETS + offset] as usize == first + p) {
                    let left = (&x[first * inner..][..block * inner], Strides::rows(inner));
                    gemm([block, columns, inner], out, columns, Write::Add, left, right, 1.0, false);
                    continue;
                }
                points.clear();
                gathered.clear();
                for point in 0..block {
                    let source = neighbors[point * OFFSETS + offset];
                    if source != ABSENT {
                        points.push(point);
                        gathered.extend_from_slice(&x[source as usize * inner..][..inner]);
                    }
                }
                if points.is_empty() {
                    continue;
                }
                products.resize(points.len() * columns, 0.0);
                let left = (gathered.as_slice(), Strides::rows(inner));
                gemm([points.len(), columns, inner], products, columns, Write::Set, left, right, 1.0, false);
                for (point, product) in points.iter().zip(products.chunks_exact(columns)) {
                    out[point * columns..][..columns].iter_mut().zip(product).for_each(|(y, p)| *y += p);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        testing::{Noise, SIZES, put},
    };

    /// A random symmetric table: every point has itself in the middle, others where chance puts them.
    fn random_table(n: usize, noise: &mut Noise) -> Vec<u32> {
        let mut table = vec![ABSENT; n * OFFSETS];
        for point in 0..n {
            table[point * OFFSETS + CENTRE] = point as u32;
            for offset in 0..CENTRE {
                let other = noise.below(n);
                if noise.below(3) == 0 && table[other * OFFSETS + OFFSETS - 1 - offset] == ABSENT {
                    table[point * OFFSETS + offset] = other as u32;
                    table[other * OFFSETS + OFFSETS - 1 - offset] = point as u32;
                }
            }
        }
        table
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            for (i, o) in [(16, 16), (9, 5), (48, 80)] {
                let mut noise = Noise::new((n * 100 + i) as u64);
                let (x, weight, bias) = (noise.floats(n * i), noise.floats(o * OFFSETS * i), noise.floats(o));
                let neighbors = random_table(n, &mut noise);
                // Sums of up to 1,300 products below 1.
                let result = agree_split(3e-5, (weight.len() * 4).max(16 << 10) as u64, |device| {
                    let weight = put(device, &[o, OFFSETS * i], &weight);
                    let (x, bias) = (put(device, &[n, i], &x), put(device, &[o], &bias));
                    subm_conv(&x, &weight, &bias, &put(device, &[n, OFFSETS], &neighbors)).unwrap()
                });
                for (at, y) in result.iter().enumerate().step_by(11) {
                    let (p, c) = (at / o, at % o);
                    let mut expected = f64::from(bias[c]);
                    for offset in 0..OFFSETS {
                        let source = neighbors[p * OFFSETS + offset];
                        if source != ABSENT {
                            for k in 0..i {
                                let w = weight[(c * OFFSETS + offset) * i + k];
                                expected += f64::from(w) * f64::from(x[source as usize * i + k]);
                            }
                        }
                    }
                    assert!((f64::from(*y) - expected).abs() < 3e-5, "n {n}: {y} against {expected}");
                }
            }
        }
    }
}
