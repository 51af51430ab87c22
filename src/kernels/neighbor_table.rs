//! `neighbor_table`: the occupied cells around each point.
//!
//! sorted raster keys `[n, 2]` with their order `[n]`, grid `[n, 3]`, batch `[n]` → table `[n, 27]`:
//! `table[i][9a + 3b + c]` is the point of i's scene at `grid[i] + (a - 1, b - 1, c - 1)`, or [`ABSENT`].
//!
//! The offsets are numbered as the weights `[27, …]` of a submanifold 3³ convolution; entry 13 is the cell itself.
//! Where several points share a cell, the first in the sorted order stands for it, in entry 13 of the others too.

use super::{
    expect::{self, Size::Is},
    key64,
    serialize::MAX_DEPTH,
};
use crate::parallel::prelude::*;
use crate::{
    Error, Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{neighbor_table as shader, params},
    },
};

params!(neighbor_table { n: u32, rows: u32, depth: u32 });

/// The entry of a cell without a point.
pub const ABSENT: u32 = u32::MAX;

/// Neighbours `[n, 27]` of the cells `grid` of `batch`, whose raster keys of `depth` bits per axis are `keys`,
/// sorted, with their `order`.
pub fn neighbor_table(keys: &Tensor, order: &Tensor, grid: &Tensor, batch: &Tensor, depth: u32) -> Result<Tensor> {
    let device = keys.device();
    let n = batch.rows();
    expect::operand("neighbor_table", "keys", keys, device, DType::U32, &[Is(n), Is(2)])?;
    expect::operand("neighbor_table", "order", order, device, DType::U32, &[Is(n)])?;
    expect::operand("neighbor_table", "grid", grid, device, DType::I32, &[Is(n), Is(3)])?;
    expect::operand("neighbor_table", "batch", batch, device, DType::U32, &[Is(n)])?;
    if depth > MAX_DEPTH {
        return Err(Error::Shape {
            kernel: "neighbor_table",
            problem: format!("depth {depth} is at most {MAX_DEPTH}"),
        });
    }
    match device {
        Device::Cpu(cpu) => cpu.run("neighbor_table", Work::Other(0), bytes_of(&[keys, order, grid]), || {
            twin(keys, order, grid, batch, depth)
        }),
        Device::Gpu(gpu) => record(gpu, keys, order, grid, batch, depth),
    }
}

fn record(gpu: &Gpu, keys: &Tensor, order: &Tensor, grid: &Tensor, batch: &Tensor, depth: u32) -> Result<Tensor> {
    let n = batch.rows();
    expect::one_binding("neighbor_table", "the array of keys", n * 8, gpu.max_binding())?;
    let table = Tensor::uninit(keys.device(), &[n, 27], DType::U32)?;
    for rows in row_chunks(n, 27 * 4, 512, gpu.max_binding()) {
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry: "",
            bind: &[
                Bind::all(keys),
                Bind::all(order),
                Bind::rows(grid, rows.clone()),
                Bind::rows(batch, rows.clone()),
                Bind::rows(&table, rows.clone()),
            ],
            params: bytemuck::bytes_of(&Params { n: n as u32, rows: rows.len() as u32, depth }),
            groups: (rows.len() * 9).div_ceil(256) as u32,
            work: Work::Other(rows.len() as u64 * 9 * 200),
        })?;
    }
    Ok(table)
}

fn twin(keys: &Tensor, order: &Tensor, grid: &Tensor, batch: &Tensor, depth: u32) -> Result<Tensor> {
    let mut table = Tensor::uninit(keys.device(), &[batch.rows(), 27], DType::U32)?;
    let (keys, order) = (key64::keys(keys), order.host::<u32>());
    let (grid, batch) = (grid.host::<i32>(), batch.host::<u32>());
    let side = 1i64 << depth;
    table.host_mut::<u32>().par_chunks_mut(27).enumerate().for_each(|(i, row)| {
        let centre: [i64; 3] = std::array::from_fn(|axis| i64::from(grid[3 * i + axis]));
        for (line, entries) in row.chunks_exact_mut(3).enumerate() {
            entries.fill(ABSENT);
            let (x, y) = (centre[0] + line as i64 / 3 - 1, centre[1] + line as i64 % 3 - 1);
            if !(0..side).contains(&x) || !(0..side).contains(&y) {
                continue;
            }
            let line = ((u64::from(batch[i]) << depth | x as u64) << depth | y as u64) << depth;
            // The cells of a line follow each other in the sorted keys: what lies before one lies before the next.
            let mut rest = 0;
            for (entry, z) in entries.iter_mut().zip(centre[2] - 1..) {
                if !(0..side).contains(&z) {
                    continue;
                }
                let key = line | z as u64;
                // After the first search the cell, if it is there, is the next or nearly so.
                let near = keys[rest..].iter().take(2).position(|other| key64::join(*other) >= key);
                rest += match near.filter(|_| rest > 0) {
                    Some(near) => near,
                    None => keys[rest..].partition_point(|other| key64::join(*other) < key),
                };
                if keys.get(rest).is_some_and(|other| key64::join(*other) == key) {
                    // The first of the points that share the cell.
                    *entry = order[rest];
                }
            }
        }
    });
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::super::{
        radix_sort::radix_sort,
        serialize::{Curve, serialize},
        testing::{Noise, SIZES, cpu, devices, get, gpu, gpu_with, put},
    };
    use super::*;
    use std::collections::HashMap;

    fn table(device: &Device, grid: &[i32], batch: &[u32], depth: u32) -> Vec<u32> {
        let n = batch.len();
        let (grid, batch) = (put(device, &[n, 3], grid), put(device, &[n], batch));
        let keys = serialize(&grid, &batch, depth, 1, &[Curve::Raster]).unwrap();
        let sorted = radix_sort(&keys, 64).unwrap();
        let (keys, order) = (sorted.keys.reshaped(&[n, 2]).unwrap(), sorted.order.reshaped(&[n]).unwrap());
        get(&neighbor_table(&keys, &order, &grid, &batch, depth).unwrap())
    }

    /// `n` cells, distinct within their scene where `distinct`.
    fn cloud(n: usize, depth: u32, scenes: u32, distinct: bool) -> (Vec<i32>, Vec<u32>) {
        let mut noise = Noise::new(n as u64);
        let mut seen = std::collections::HashSet::new();
        let (mut grid, mut batch) = (Vec::new(), Vec::new());
        while batch.len() < n {
            let cell = [0; 3].map(|_: i32| noise.below(1 << depth) as i32);
            let scene = noise.below(scenes as usize) as u32;
            if !distinct || seen.insert((scene, cell)) {
                grid.extend(cell);
                batch.push(scene);
            }
        }
        (grid, batch)
    }

    #[test]
    fn many_points_of_one_cell_and_cells_below_zero_are_no_trouble() {
        let grid: Vec<i32> = [3, 3, 3].repeat(20_000).into_iter().chain([0, 0, -2, 3, 3, 4]).collect();
        let batch = vec![0u32; grid.len() / 3];
        // Keys are made of what is not negative.
        let device = cpu();
        let cells: Vec<i32> = grid.iter().map(|v| (*v).max(0)).collect();
        let n = batch.len();
        let codes = serialize(&put(&device, &[n, 3], &cells), &put(&device, &[n], &batch), 3, 1, &[Curve::Raster]);
        let sorted = radix_sort(&codes.unwrap(), 9).unwrap();
        let (keys, order) = (sorted.keys.reshaped(&[n, 2]).unwrap(), sorted.order.reshaped(&[n]).unwrap());
        let (grid, batch) = (put(&device, &[n, 3], &grid), put(&device, &[n], &batch));
        let table: Vec<u32> = get(&neighbor_table(&keys, &order, &grid, &batch, 3).unwrap());
        assert_eq!((table[13], table[14]), (0, n as u32 - 1));
        assert!(table[20_000 * 27..20_001 * 27].iter().all(|entry| *entry == ABSENT));
    }

    #[test]
    fn neighbours_are_those_a_map_of_cells_finds() {
        for device in devices() {
            for (n, depth, distinct) in [(0, 4, true), (1, 1, true), (15, 1, true), (1025, 3, false), (1025, 4, true)] {
                let (grid, batch) = cloud(n, depth, 3, distinct);
                let mut cells = HashMap::new();
                for i in 0..n {
                    // The first in the stable order of equal keys is the one of smallest index.
                    cells.entry((batch[i], [grid[3 * i], grid[3 * i + 1], grid[3 * i + 2]])).or_insert(i as u32);
                }
                let found = table(&device, &grid, &batch, depth);
                for i in 0..n {
                    for (a, b, c) in (0..27).map(|o: i32| (o / 9, o / 3 % 3, o % 3)) {
                        let cell = [grid[3 * i] + a - 1, grid[3 * i + 1] + b - 1, grid[3 * i + 2] + c - 1];
                        let expected = cells.get(&(batch[i], cell)).copied().unwrap_or(ABSENT);
                        let entry = found[27 * i + (9 * a + 3 * b + c) as usize];
                        assert_eq!(entry, expected, "point {i} of {n}, offset {a} {b} {c}, {device:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_shader_equals_its_twin_whole_and_split() {
        let Some(gpu) = gpu() else { return };
        // 1025 keys take 8,200 bytes; their table 110,700.
        let tiny = gpu_with(|options| options.max_binding = Some(12_300)).expect("the adapter opened before");
        for n in SIZES {
            for (depth, distinct) in [(4, true), (2, false), (16, true)] {
                let distinct = distinct && n <= 1 << (3 * depth);
                let (grid, batch) = cloud(n, depth, 2, distinct);
                let expected = table(&cpu(), &grid, &batch, depth);
                assert_eq!(table(&gpu, &grid, &batch, depth), expected);
                assert_eq!(table(&tiny, &grid, &batch, depth), expected);
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        // A portable binding holds the table of 1.2 million points, 43,691 groups: a full 124³ grid reaches 67,028
        // groups where the adapter binds more, and elsewhere splits.
        let Some(gpu) = gpu() else { return };
        let side = 124;
        let n = (side * side * side) as usize;
        let grid: Vec<i32> = (0..n as i32).flat_map(|i| [i / (side * side), i / side % side, i % side]).collect();
        let words: Vec<u32> = grid.chunks(3).flat_map(|g| [0, ((g[0] << 7 | g[1]) << 7 | g[2]) as u32]).collect();
        let order: Vec<u32> = (0..n as u32).collect();
        let found = neighbor_table(
            &put(&gpu, &[n, 2], &words),
            &put(&gpu, &[n], &order),
            &put(&gpu, &[n, 3], &grid),
            &put(&gpu, &[n], &vec![0u32; n]),
            7,
        )
        .unwrap();
        let found = get::<u32>(&found);
        for (i, row) in found.chunks(27).enumerate() {
            let expected = if grid[3 * i + 2] + 1 < side { i as u32 + 1 } else { ABSENT };
            assert_eq!((row[13], row[14]), (i as u32, expected), "point {i}");
        }
    }
}
