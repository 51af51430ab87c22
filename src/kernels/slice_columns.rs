//! `slice_columns`: `out[i, j] = x[i, column + j]`, the gradient of a part of
//! [`gather_columns`](super::gather_rows::gather_columns) that was taken as it is.

use super::{ELEMENTS_PER_GROUP, ensure, groups_for};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        shader_table::{params, slice_columns as table},
    },
};
use std::ops::Range;

params!(slice_columns { rows: u32, columns: u32, stride: u32, column: u32 });

/// `columns` of `x` `[n, ..]` → `[n, columns]`.
pub fn slice_columns(x: &Tensor, columns: Range<usize>) -> Result<Tensor> {
    let fits = x.dtype() == DType::F32 && columns.start <= columns.end && columns.end <= x.columns();
    ensure!("slice_columns", fits, "columns {columns:?} of x {x:?}");
    let mut out = Tensor::uninit(x.device(), &[x.rows(), columns.len()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => device.run("slice_columns", Work::Other(0), bytes_of(&[&out, &out]), || {
            if !columns.is_empty() {
                let rows = x.host::<f32>().par_chunks_exact(x.columns());
                let out = out.host_mut::<f32>().par_chunks_exact_mut(columns.len());
                out.zip(rows).for_each(|(out, row)| out.copy_from_slice(&row[columns.clone()]));
            }
        }),
        Device::Gpu(gpu) => {
            for rows in row_chunks(x.rows(), x.row_bytes(), columns.len() as u64, gpu.max_binding()) {
                let params = Params {
                    rows: rows.len() as u32,
                    columns: columns.len() as u32,
                    stride: x.columns() as u32,
                    column: columns.start as u32,
                };
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[Bind::rows(x, rows.clone()), Bind::rows(&out, rows.clone())],
                    params: bytemuck::bytes_of(&params),
                    groups: groups_for(rows.len() * columns.len(), ELEMENTS_PER_GROUP),
                    work: Work::Other((rows.len() * columns.len()) as u64),
                })?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        differences::{check_gradient, weighted_sum},
        gather_rows::gather_columns,
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    #[test]
    fn columns_of_every_size() {
        for n in SIZES {
            for columns in [0..19, 5..6, 18..19, 4..17] {
                let x = Noise::new(n as u64).floats(n * 19);
                let result = agree(0.0, |device| slice_columns(&put(device, &[n, 19], &x), columns.clone()).unwrap());
                let expected: Vec<f32> = x.chunks(19).flat_map(|row| row[columns.clone()].to_vec()).collect();
                assert_eq!(result, expected);
            }
        }
        let none = agree(0.0, |device| slice_columns(&put(device, &[3, 2], &[1.0f32; 6]), 1..1).unwrap());
        assert!(none.is_empty());
    }

    #[test]
    fn it_is_the_gradient_of_columns_that_stand_side_by_side() {
        let mut noise = Noise::new(2);
        let (own, other, dy) = (noise.floats(15), noise.floats(10), noise.floats(25));
        let device = cpu();
        let dx: Vec<f32> = get(&slice_columns(&put(&device, &[5, 5], &dy), 2..5).unwrap());
        // Linear: a large step rounds least.
        check_gradient(&own, &dx, 0.5, 1e-5, |own| {
            let [own, other] = [put(&device, &[5, 3], own), put(&device, &[5, 2], &other)];
            weighted_sum(&get::<f32>(&gather_columns(5, &[(None, &other), (None, &own)]).unwrap()), &dy)
        });
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 128 + 1;
        let x: Vec<f32> = (0..3 * n).map(|i| (i % 1000) as f32).collect();
        for device in devices() {
            let result: Vec<f32> = get(&slice_columns(&put(&device, &[n, 3], &x), 1..3).unwrap());
            assert!(result.chunks(2).zip(x.chunks(3)).all(|(y, x)| y == &x[1..3]));
        }
    }

    #[test]
    fn columns_that_are_not_there_are_refused() {
        let x = put(&cpu(), &[2, 3], &[0.0f32; 6]);
        assert!(slice_columns(&x, 2..4).is_err());
    }
}
