//! `gather_rows`: `out[i, :] = x[index[i], :]`, optionally on top of a base: `out[i, :] = base[i, :] + x[index[i], :]`.
//!
//! Unpooling adds a coarse stage's rows to a fine stage's by the pooling's clusters; the encoder head does the same
//! with logits, and writes features side by side ([`gather_columns`]).

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{gather_rows as table, params},
    },
};

params!(gather_rows { rows: u32, columns: u32, lo: u32, hi: u32, index_base: u32, stride: u32, column: u32 });

/// `index` `[n]` u32 below m, `x` `[m, c]` of 32-bit elements → `[n, c]`.
pub fn gather_rows(index: &Tensor, x: &Tensor) -> Result<Tensor> {
    gather_span(index, 0..index.len(), x)
}

/// The rows `x[index[i], :]` for i in `span`, `index` being read as flat.
pub fn gather_span(index: &Tensor, span: std::ops::Range<usize>, x: &Tensor) -> Result<Tensor> {
    ensure!("gather_rows", index.dtype() == DType::U32, "index is {:?}", index.dtype());
    ensure!("gather_rows", span.end <= index.len(), "indices {span:?} of {:?}", index.shape());
    let mut out = Tensor::uninit(x.device(), &[span.len(), x.columns()], x.dtype())?;
    let place = Place { index_base: span.start, x_base: 0, stride: x.columns(), column: 0 };
    match x.device() {
        Device::Cpu(device) => device.run("gather_rows", Work::Other(0), bytes_of(&[&out, &out]), || {
            cpu(&index.host()[span], x, None, place, out.host_mut());
        }),
        Device::Gpu(device) => gpu(device, index, x, None, place, &out)?,
    }
    Ok(out)
}

/// `base` `[n, c]`, `index` `[n]` u32 below m, `x` `[m, c]` → `base[i, :] + x[index[i], :]`.
pub fn add_rows(base: &Tensor, index: &Tensor, x: &Tensor) -> Result<Tensor> {
    let fits = base.shape() == [index.len(), x.columns()] && index.dtype() == DType::U32;
    ensure!("gather_rows", fits, "base {base:?}, index {index:?}, x {x:?}");
    let mut out = Tensor::uninit(x.device(), base.shape(), DType::F32)?;
    let place = Place { index_base: 0, x_base: 0, stride: x.columns(), column: 0 };
    match x.device() {
        Device::Cpu(device) => device.run("gather_rows", Work::Other(0), bytes_of(&[base, x, index, &out]), || {
            cpu(index.host(), x, Some(base.host()), place, out.host_mut());
        }),
        Device::Gpu(device) => gpu(device, index, x, Some(base), place, &out)?,
    }
    Ok(out)
}

/// Tensors side by side: each part is `(index, x)`, rows taken as they are where there is no index →
/// `[n, sum of the parts' columns]`.
pub fn gather_columns(rows: usize, parts: &[(Option<&Tensor>, &Tensor)]) -> Result<Tensor> {
    let columns = parts.iter().map(|(_, x)| x.columns()).sum();
    ensure!("gather_rows", !parts.is_empty(), "nothing to gather");
    let device = parts[0].1.device();
    let mut out = Tensor::uninit(device, &[rows, columns], DType::F32)?;
    let identity = Tensor::from_slice(device, &[rows], &(0..rows as u32).collect::<Vec<_>>())?;
    let mut column = 0;
    for (index, x) in parts {
        let index = index.unwrap_or(&identity);
        ensure!("gather_rows", index.len() == rows, "index {index:?} for {rows} rows");
        let place = Place { index_base: 0, x_base: 0, stride: columns, column };
        match device {
            Device::Cpu(device) => device.run("gather_rows", Work::Other(0), bytes_of(&[x, index, &out]), || {
                cpu(index.host(), x, None, place, out.host_mut());
            }),
            Device::Gpu(device) => gpu(device, index, x, None, place, &out)?,
        }
        column += x.columns();
    }
    Ok(out)
}

/// Where rows come from in the index, and go to in the output.
#[derive(Clone, Copy)]
struct Place {
    index_base: usize,
    /// Index of the first row of x.
    x_base: usize,
    stride: usize,
    column: usize,
}

fn gpu(gpu: &Gpu, index: &Tensor, x: &Tensor, base: Option<&Tensor>, place: Place, out: &Tensor) -> Result<()> {
    let (columns, limit) = (x.columns(), gpu.max_binding());
    for seen in row_chunks(x.rows(), x.row_bytes(), 1, limit) {
        for rows in row_chunks(out.rows(), out.row_bytes(), columns as u64, limit) {
            let params = Params {
                rows: rows.len() as u32,
                columns: columns as u32,
                lo: (place.x_base + seen.start) as u32,
                hi: (place.x_base + seen.end) as u32,
                index_base: (place.index_base + rows.start) as u32,
                stride: place.stride as u32,
                column: place.column as u32,
            };
            let mut bind = vec![Bind::all(index), Bind::rows(x, seen.clone()), Bind::rows(out, rows.clone())];
            bind.extend(base.map(|base| Bind::rows(base, rows.clone())));
            gpu.dispatch(&Dispatch {
                variant: if base.is_some() { &table::SUM } else { &table::PLAIN },
                entry: "main",
                bind: &bind,
                params: bytemuck::bytes_of(&params),
                groups: groups_for(rows.len() * columns, ELEMENTS_PER_GROUP),
                work: Work::Other((rows.len() * columns) as u64),
            })?;
        }
    }
    Ok(())
}

/// Writes to `out[i, :]` the row `index[index_base + i]` of a matrix of which `x` holds the rows from `x_base`; rows
/// of `out` whose source is not among them stay as they are.
pub(super) fn gather_seen(
    device: &Gpu,
    index: &Tensor,
    index_base: usize,
    x: &Tensor,
    x_base: usize,
    out: &Tensor,
) -> Result<()> {
    gpu(device, index, x, None, Place { index_base, x_base, stride: x.columns(), column: 0 }, out)
}

fn cpu(index: &[u32], x: &Tensor, base: Option<&[f32]>, place: Place, out: &mut [f32]) {
    let columns = x.columns();
    if columns == 0 {
        return;
    }
    let x: &[f32] = x.host();
    out.par_chunks_exact_mut(place.stride).zip(index).enumerate().for_each(|(i, (out, source))| {
        let row = &x[*source as usize * columns..][..columns];
        let out = &mut out[place.column..place.column + columns];
        out.copy_from_slice(row);
        if let Some(base) = base {
            out.iter_mut().zip(&base[i * columns..]).for_each(|(y, b)| *y += b);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, SIZES, devices, get, put},
    };

    #[test]
    fn rows_and_sums_of_every_size() {
        for n in SIZES {
            let (m, c) = (700, 19);
            let mut noise = Noise::new(n as u64);
            let index: Vec<u32> = (0..n).map(|_| noise.below(m) as u32).collect();
            let (x, base) = (noise.floats(m * c), noise.floats(n * c));
            let gathered =
                agree(0.0, |device| gather_rows(&put(device, &[n], &index), &put(device, &[m, c], &x)).unwrap());
            let expected: Vec<f32> = index.iter().flat_map(|i| &x[*i as usize * c..][..c]).copied().collect();
            assert_eq!(gathered, expected);
            let summed = agree(0.0, |device| {
                let (base, index) = (put(device, &[n, c], &base), put(device, &[n], &index));
                add_rows(&base, &index, &put(device, &[m, c], &x)).unwrap()
            });
            assert!(summed.iter().zip(base.iter().zip(&expected)).all(|(s, (b, e))| *s == b + e));
        }
    }

    #[test]
    fn columns_stand_side_by_side() {
        let result = agree(0.0, |device| {
            let own = put(device, &[3, 1], &[1.0f32, 2.0, 3.0]);
            let other = put(device, &[2, 2], &[10.0f32, 11.0, 20.0, 21.0]);
            let index = put(device, &[3], &[1u32, 0, 1]);
            gather_columns(3, &[(None, &own), (Some(&index), &other)]).unwrap()
        });
        assert_eq!(result, [1.0, 20.0, 21.0, 2.0, 10.0, 11.0, 3.0, 20.0, 21.0]);
    }

    #[test]
    fn integers_keep_their_bits() {
        // 1 is a denormal float, 0x7f800001 a signalling NaN.
        let words = [1u32, 0x7f80_0001, 0xffff_ffff];
        for device in devices() {
            let gathered = gather_rows(&put(&device, &[3], &[2u32, 0, 1]), &put(&device, &[3], &words)).unwrap();
            assert_eq!(get::<u32>(&gathered), [words[2], words[0], words[1]]);
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 3;
        let index: Vec<u32> = (0..n).map(|i| (i * 7 % 5) as u32).collect();
        let x = [1.0f32, 2.0, 4.0, 8.0, 16.0];
        for device in devices() {
            let gathered = gather_rows(&put(&device, &[n], &index), &put(&device, &[5, 1], &x)).unwrap();
            let expected = index.iter().map(|i| x[*i as usize]);
            assert!(get::<f32>(&gathered).into_iter().eq(expected));
        }
    }
}
