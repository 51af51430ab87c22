//! From points to serialized voxels with neighbours. Everything but normals is whole numbers, or the same decision about f32s.

use super::Case;
use crate::{
    Device, Result,
    device::Tensor,
    doctor::operands::Operands,
    geometry::voxel::voxelize,
    kernels::{
        cell_coords::cell_coords,
        coord_max::coord_max,
        invert_permutation::invert_permutation,
        key64,
        neighbor_mask::neighbor_mask,
        neighbor_table::neighbor_table,
        radix_sort::radix_sort,
        scan::scan,
        serialize::{Curve, serialize},
        unique::unique,
        voxel_key::{Lattice, voxel_key},
    },
};
use pollster::block_on;

pub(super) const CASES: &[Case] = &[
    Case { kernel: "cell_coords", what: "1025 cells of 11 bits", tolerance: 0.0, run: cells },
    Case { kernel: "coord_max", what: "30,000 cells", tolerance: 0.0, run: largest },
    Case { kernel: "invert_permutation", what: "3 of 5000", tolerance: 0.0, run: inverses },
    // Eigenvectors by iterations on both sides, of sums that round differently.
    Case { kernel: "knn_normals", what: "a bent sheet of 3600 points", tolerance: 1e-4, run: normals },
    Case { kernel: "neighbor_mask", what: "1025 voxels", tolerance: 0.0, run: masks },
    Case { kernel: "neighbor_table", what: "1025 voxels of 2 scenes", tolerance: 0.0, run: table },
    Case { kernel: "radix_sort", what: "3 rows of 5000 keys of 64 bits", tolerance: 0.0, run: sorted },
    Case { kernel: "scan", what: "70,000 words", tolerance: 0.0, run: sums },
    Case { kernel: "serialize", what: "5000 cells along 5 curves", tolerance: 0.0, run: codes },
    Case { kernel: "unique", what: "5000 points in 700 cells", tolerance: 0.0, run: runs },
    Case { kernel: "voxel_key", what: "5000 points on faces of voxels", tolerance: 0.0, run: voxels },
];

/// Cells of `depth` bits per axis, and their scenes.
fn grid(make: &mut Operands<'_>, n: usize, depth: u32, scenes: usize) -> Result<[Tensor; 2]> {
    let grid: Vec<i32> = (0..3 * n).map(|_| make.noise.below(1 << depth) as i32).collect();
    Ok([make.put(&[n, 3], &grid)?, make.indices(&[n], scenes)?])
}

fn cells(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [grid, batch] = grid(&mut make, 1025, 11, 30_000)?;
    let keys = serialize(&grid, &batch, 11, 1, &[Curve::Raster])?.reshaped(&[1025, 2])?;
    let starts: Vec<u32> = (0..=1025).collect();
    let (grid, batch) = cell_coords(&keys, &make.put(&[1026], &starts)?, 11)?;
    Ok(vec![grid, batch])
}

fn largest(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [grid, _] = grid(&mut make, 30_000, 16, 1)?;
    let largest = block_on(coord_max(&grid))?;
    Ok(vec![make.put(&[1], &[largest])?])
}

fn inverses(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let orders: Vec<u32> = (0..3).flat_map(|_| make.noise.order(5000)).collect();
    Ok(vec![invert_permutation(&make.put(&[3, 5000], &orders)?)?])
}

fn normals(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    // Well inside of what rounding could turn: no edges, no lines, and seen from far above.
    let mut points: Vec<[f32; 3]> = Vec::new();
    for at in 0..3600u16 {
        let [x, y] = [at / 60, at % 60].map(|i| f32::from(i) * 0.01 + 0.002 * make.noise.float());
        points.push([x, y, 0.1 * x * x + 0.05 * y * y + 0.001 * make.noise.float()]);
    }
    Ok(vec![block_on(voxelize(device, &points, 0.02))?.normals([0.3, 0.3, 5.0])?])
}

fn masks(device: &Device) -> Result<Vec<Tensor>> {
    Ok(vec![neighbor_mask(&Operands::new(device).neighbors(1025)?)?])
}

fn table(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [grid, batch] = grid(&mut make, 1025, 3, 2)?;
    let sorted = radix_sort(&serialize(&grid, &batch, 3, 1, &[Curve::Raster])?, 64)?;
    let (keys, order) = (sorted.keys.reshaped(&[1025, 2])?, sorted.order.reshaped(&[1025])?);
    Ok(vec![neighbor_table(&keys, &order, &grid, &batch, 3)?])
}

fn sorted(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let words: Vec<u32> = (0..3 * 5000).flat_map(|_| key64::split(make.noise.bits())).collect();
    let sorted = radix_sort(&make.put(&[3, 5000, 2], &words)?, 64)?;
    Ok(vec![sorted.keys, sorted.order])
}

fn sums(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    // Sums that wrap around, over more blocks than one level holds.
    let words: Vec<u32> = (0..70_000).map(|_| make.noise.bits() as u32).collect();
    Ok(vec![scan(&make.put(&[70_000], &words)?)?])
}

fn codes(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [grid, batch] = grid(&mut make, 5000, 16, 100)?;
    let curves = [Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans, Curve::Raster];
    Ok(vec![serialize(&grid, &batch, 16, 1, &curves)?])
}

fn runs(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let keys: Vec<u64> = (0..5000).map(|_| make.noise.below(700) as u64 * 0x1_0000_0001).collect();
    let mut order: Vec<u32> = (0..5000).collect();
    order.sort_by_key(|i| keys[*i as usize]);
    let words: Vec<u32> = order.iter().flat_map(|i| key64::split(keys[*i as usize])).collect();
    let cells = block_on(unique(&make.put(&[5000, 2], &words)?, &make.put(&[5000], &order)?, &[1700, 5000]))?;
    let ends: Vec<u32> = cells.ends.iter().map(|end| *end as u32).collect();
    Ok(vec![cells.cluster, cells.starts, cells.first, make.put(&[ends.len()], &ends)?])
}

fn voxels(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    // Multiples of the voxel, rounded to f32: which side of a face they are on is a matter of the last bit.
    let coordinate = |make: &mut Operands<'_>| ((make.noise.below(600) as f64 - 300.0) * 0.02) as f32;
    let points: Vec<[f32; 3]> = (0..5000).map(|_| [(); 3].map(|()| coordinate(&mut make))).collect();
    let lattice = Lattice::covering(&points, 0.02)?;
    Ok(vec![voxel_key(&make.put(&[5000, 3], points.as_flattened())?, &lattice)?])
}
