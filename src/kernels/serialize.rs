//! `serialize`: places on space-filling curves.
//!
//! grid `[n, 3]`, batch `[n]` → codes `[r, n, 2]` (high word, low word): `code[k][i] = batch[i] << 3·depth |
//! curve_k(grid[i] / stride)`, for cells of `depth` bits per axis.
//!
//! Source: Point Transformer V3's `serialization`: z-order, and Hilbert after Skilling, 2004; the `-trans` forms swap
//! x and y. A Hilbert code depends on the depth, a z code does not.

use super::{
    expect::{self, Size::Any, Size::Is},
    key64,
};
use crate::parallel::prelude::*;
use crate::{
    Error, Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{params, serialize as shader},
    },
};
use std::str::FromStr;

params!(serialize { n: u32, rows: u32, depth: u32, stride: u32, curves: u32 });

/// Bits per axis that codes have room for.
pub const MAX_DEPTH: u32 = 16;

/// Curves of one call: four bits each of a word.
const MAX_CURVES: usize = 8;

/// A way to number the cells of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// Interleaved bits, x highest.
    Z,
    /// [`Curve::Z`] with x and y swapped.
    ZTrans,
    /// The Hilbert curve: consecutive codes are adjacent cells.
    Hilbert,
    /// [`Curve::Hilbert`] with x and y swapped.
    HilbertTrans,
    /// Lexicographic: x, then y, then z.
    Raster,
}

impl Curve {
    /// The reference's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Z => "z",
            Self::ZTrans => "z-trans",
            Self::Hilbert => "hilbert",
            Self::HilbertTrans => "hilbert-trans",
            Self::Raster => "raster",
        }
    }
}

impl FromStr for Curve {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "z" => Ok(Self::Z),
            "z-trans" => Ok(Self::ZTrans),
            "hilbert" => Ok(Self::Hilbert),
            "hilbert-trans" => Ok(Self::HilbertTrans),
            _ => Err(Error::Argument {
                what: "serialization order".into(),
                problem: format!("'{text}' is not a known curve"),
                advice: "Use z, z-trans, hilbert or hilbert-trans".into(),
            }),
        }
    }
}

/// Codes of the cells `grid / stride`, whose coordinates must lie in `0..2^depth`, one row per curve.
pub fn serialize(grid: &Tensor, batch: &Tensor, depth: u32, stride: usize, curves: &[Curve]) -> Result<Tensor> {
    let device = grid.device();
    expect::operand("serialize", "grid", grid, device, DType::I32, &[Any, Is(3)])?;
    expect::operand("serialize", "batch", batch, device, DType::U32, &[Is(grid.rows())])?;
    if depth > MAX_DEPTH || stride == 0 || curves.len() > MAX_CURVES {
        return Err(Error::Shape {
            kernel: "serialize",
            problem: format!(
                "depth {depth}, stride {stride} and {} curves must be at most {MAX_DEPTH}, at least 1 and at most \
                 {MAX_CURVES}",
                curves.len()
            ),
        });
    }
    match device {
        Device::Cpu(cpu) => {
            cpu.run("serialize", Work::Other(0), bytes_of(&[grid, batch]), || twin(grid, batch, depth, stride, curves))
        }
        Device::Gpu(gpu) => record(gpu, grid, batch, depth, stride, curves),
    }
}

fn record(gpu: &Gpu, grid: &Tensor, batch: &Tensor, depth: u32, stride: usize, curves: &[Curve]) -> Result<Tensor> {
    let (r, n) = (curves.len(), grid.rows());
    let out = Tensor::uninit(grid.device(), &[r, n, 2], DType::U32)?;
    // Rows of one curve are contiguous; those of several are not, so that only a single curve can be split.
    let chunks: Vec<_> = if r == 1 {
        row_chunks(n, 12, 512, gpu.max_binding()).collect()
    } else {
        expect::one_binding("serialize", "the array of codes", n * (r * 8).max(12), gpu.max_binding())?;
        std::iter::once(0..n).collect()
    };
    let codes = if r == 1 { out.reshaped(&[n, 2])? } else { out.reshaped(&[r * n, 2])? };
    for rows in chunks {
        let params = Params {
            n: rows.len() as u32,
            rows: r as u32,
            depth,
            stride: stride as u32,
            curves: curves.iter().rev().fold(0, |word, curve| word << 4 | *curve as u32),
        };
        let written = if r == 1 { rows.clone() } else { 0..r * n };
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry: "",
            bind: &[Bind::rows(grid, rows.clone()), Bind::rows(batch, rows.clone()), Bind::rows(&codes, written)],
            params: bytemuck::bytes_of(&params),
            groups: (r * rows.len()).div_ceil(256) as u32,
            work: Work::Other((r * rows.len()) as u64 * 24),
        })?;
    }
    Ok(out)
}

fn twin(grid: &Tensor, batch: &Tensor, depth: u32, stride: usize, curves: &[Curve]) -> Result<Tensor> {
    let n = grid.rows();
    let mut out = Tensor::uninit(grid.device(), &[curves.len(), n, 2], DType::U32)?;
    let (grid, batch) = (grid.host::<i32>(), batch.host::<u32>());
    for (row, curve) in key64::keys_mut(&mut out).chunks_mut(n.max(1)).zip(curves) {
        row.par_iter_mut().enumerate().for_each(|(i, code)| {
            let cell = [0, 1, 2].map(|axis| grid[3 * i + axis] as u32 / stride as u32);
            *code = key64::split(u64::from(batch[i]) << (3 * depth) | curve_code(*curve, cell, depth));
        });
    }
    Ok(out)
}

/// The place of `cell` on `curve` in a grid of `depth` bits per axis.
fn curve_code(curve: Curve, cell: [u32; 3], depth: u32) -> u64 {
    let [x, y, z] = cell;
    match curve {
        Curve::Z => z_order(cell, depth),
        Curve::ZTrans => z_order([y, x, z], depth),
        Curve::Hilbert => hilbert(cell, depth),
        Curve::HilbertTrans => hilbert([y, x, z], depth),
        Curve::Raster => (u64::from(x) << depth | u64::from(y)) << depth | u64::from(z),
    }
}

fn z_order(cell: [u32; 3], depth: u32) -> u64 {
    let mut code = 0;
    for bit in (0..depth).rev() {
        for coordinate in cell {
            code = code << 1 | u64::from(coordinate >> bit & 1);
        }
    }
    code
}

fn hilbert(cell: [u32; 3], depth: u32) -> u64 {
    let mut x = cell;
    for bit in (0..depth).rev() {
        let below = (1 << bit) - 1;
        for axis in 0..3 {
            if x[axis] >> bit & 1 == 1 {
                x[0] ^= below;
            } else {
                let swapped = (x[0] ^ x[axis]) & below;
                x[0] ^= swapped;
                x[axis] ^= swapped;
            }
        }
    }
    let gray = z_order(x, depth);
    let mut code = 0;
    let mut parity = 0;
    for bit in (0..3 * depth).rev() {
        parity ^= gray >> bit & 1;
        code = code << 1 | parity;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Golden, Noise, SIZES, cpu, devices, get, golden, gpu, gpu_with, put, shared_golden};
    use super::*;

    const ALL: [Curve; 5] = [Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans, Curve::Raster];

    fn codes_of(device: &Device, grid: &[i32], batch: &[u32], depth: u32, curves: &[Curve]) -> Vec<u64> {
        let n = batch.len();
        let codes = serialize(&put(device, &[n, 3], grid), &put(device, &[n], batch), depth, 1, curves).unwrap();
        get::<u32>(&codes).chunks(2).map(|pair| key64::join([pair[0], pair[1]])).collect()
    }

    fn matches(golden: &Golden) {
        for depth in [1, 2, 3, 5, 6, 8, 9, 10, 12, 16] {
            let grid: Vec<i32> =
                golden.integers(&format!("d{depth}.grid_coord")).into_iter().map(|v| v as i32).collect();
            let batch: Vec<u32> = golden.integers(&format!("d{depth}.batch")).into_iter().map(|v| v as u32).collect();
            for device in devices() {
                let all = codes_of(&device, &grid, &batch, depth, &ALL[..4]);
                for (k, curve) in ALL[..4].iter().enumerate() {
                    let expected: Vec<u64> =
                        golden.integers(&format!("d{depth}.{}", curve.name())).into_iter().map(|v| v as u64).collect();
                    let n = batch.len();
                    assert_eq!(all[k * n..(k + 1) * n], expected, "{} at depth {depth} on {device:?}", curve.name());
                }
            }
        }
    }

    #[test]
    fn codes_are_the_reference_s() {
        matches(&golden("serialization.safetensors"));
        if let Some(shared) = shared_golden("serialization.safetensors") {
            matches(&shared);
        }
    }

    #[test]
    fn every_curve_visits_every_cell_once() {
        for depth in 0..=4u32 {
            let side = 1 << depth;
            let cells: Vec<i32> =
                (0..side).flat_map(|x| (0..side).flat_map(move |y| (0..side).flat_map(move |z| [x, y, z]))).collect();
            let n = cells.len() / 3;
            for device in devices() {
                let codes = codes_of(&device, &cells, &vec![0; n], depth, &ALL);
                for (k, curve) in ALL.iter().enumerate() {
                    let mut path = vec![usize::MAX; n];
                    for (cell, code) in codes[k * n..(k + 1) * n].iter().enumerate() {
                        path[*code as usize] = cell;
                    }
                    assert!(!path.contains(&usize::MAX), "{} at depth {depth}", curve.name());
                    if matches!(curve, Curve::Hilbert | Curve::HilbertTrans) {
                        for pair in path.windows(2) {
                            let step: i32 =
                                (0..3).map(|a| (cells[3 * pair[0] + a] - cells[3 * pair[1] + a]).abs()).sum();
                            assert_eq!(step, 1, "{} jumps at depth {depth}", curve.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_shader_equals_its_twin() {
        let Some(gpu) = gpu() else { return };
        let tiny = gpu_with(|options| options.max_binding = Some(4096)).expect("the adapter opened before");
        for n in SIZES {
            let mut noise = Noise::new(n as u64);
            for (depth, stride) in [(16, 1), (11, 3), (1, 2)] {
                let grid: Vec<i32> = (0..3 * n).map(|_| noise.below(stride << depth) as i32).collect();
                let batch: Vec<u32> = (0..n).map(|_| noise.below(100) as u32).collect();
                let run = |device: &Device, curves: &[Curve]| {
                    let (grid, batch) = (put(device, &[n, 3], &grid), put(device, &[n], &batch));
                    serialize(&grid, &batch, depth, stride, curves).map(|codes| get::<u32>(&codes))
                };
                let expected = run(&cpu(), &ALL).unwrap();
                assert_eq!(run(&gpu, &ALL).unwrap(), expected, "{n} cells of depth {depth}");
                assert_eq!(run(&tiny, &ALL[4..]).unwrap(), expected[8 * n..], "{n} cells of depth {depth}, split");
                assert_eq!(run(&tiny, &ALL).is_err(), n == 1025);
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        let Some(gpu) = gpu() else { return };
        // 65,536 groups, whose codes just fit a portable binding.
        let n = 65_536 * 256 / 4;
        let grid: Vec<i32> = (0..3 * n as i32).map(|v| v % 1024).collect();
        let four = [Curve::Raster, Curve::Z, Curve::Raster, Curve::ZTrans];
        let codes = serialize(&put(&gpu, &[n, 3], &grid), &put(&gpu, &[n], &vec![0u32; n]), 10, 1, &four).unwrap();
        let codes = pollster::block_on(codes.rows_to_vec::<u32>(3..4)).unwrap();
        for (i, code) in codes.chunks(2).enumerate() {
            let cell = [0, 1, 2].map(|axis| grid[3 * i + axis] as u32);
            assert_eq!(key64::join([code[0], code[1]]), curve_code(Curve::ZTrans, cell, 10), "cell {i}");
        }
    }

    #[test]
    fn curves_have_the_reference_s_names() {
        for curve in &ALL[..4] {
            assert_eq!(curve.name().parse::<Curve>().unwrap(), *curve);
        }
        assert!("peano".parse::<Curve>().is_err());
    }
}
