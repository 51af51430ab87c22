//! `linear`: `out[n, o] = act(x[n, i] · weight[o, i]ᵀ + bias[o] + delta[n, o]) + residual[n, o]`, torch's `nn.Linear` with
//! its neighbours fused.
//!
//! The weight is f32, or f16 or bf16 packed two to a word and widened where it is read; sums are in f32. The delta is
//! that of [`low_rank_delta`]. For the backward pass nothing is saved but the operands.

mod twin;

pub(super) use self::twin::{FEW_ROWS, Finish, Operand, cpu_block, finish_rows, multiply_rows};
use super::{
    Activation, ensure,
    low_rank_delta::{LowRank, low_rank_delta},
    product::Tiles,
    weight::Weight,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{Variant, linear as table, params},
    },
};
params!(linear {
    rows: u32,
    columns: u32,
    inner: u32,
    activation: u32,
    has_bias: u32,
    has_residual: u32,
    rank: u32,
    inverse_base: u32,
    one_patch: u32,
    scale: f32,
});

/// What follows the product.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to every row, `[o]`.
    pub bias: Option<&'a Tensor>,
    /// A weight delta of low rank, one per patch.
    pub delta: Option<LowRank<'a>>,
    /// Applied after the bias and the delta.
    pub activation: Activation,
    /// Added after the activation, `[n, o]`; not together with both a delta and an activation.
    pub residual: Option<&'a Tensor>,
}

/// The parameters of a linear layer, for kernels that fuse several.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[o, i]`
    pub weight: &'a Weight,
    /// `[o]`
    pub bias: Option<&'a Tensor>,
}

impl Layer<'_> {
    /// The layer by itself, see [`linear`].
    pub(super) fn of(&self, x: &Tensor, activation: Activation, residual: Option<&Tensor>) -> Result<Tensor> {
        linear(x, self.weight, Epilogue { bias: self.bias, delta: None, activation, residual })
    }

    /// Whether it has this shape.
    pub(super) fn fits(&self, inner: usize, outputs: usize) -> bool {
        let shape = [self.weight.taps(), self.weight.inner(), self.weight.outputs()];
        shape == [1, inner, outputs] && self.bias.is_none_or(|bias| bias.len() == outputs && bias.dtype() == DType::F32)
    }

    /// Floating-point operations per row.
    pub(super) fn flops(&self) -> usize {
        2 * self.weight.inner() * self.weight.outputs()
    }

    /// Bytes of its parameters.
    pub(super) fn bytes(&self) -> u64 {
        bytes_of(&[self.weight.tensor()]) + self.bias.map_or(0, |bias| bytes_of(&[bias]))
    }

    /// A block of rows on the CPU, with the bits of [`linear`].
    pub(super) fn rows(&self, x: &[f32], activation: Activation, residual: Option<&[f32]>, out: &mut [f32]) {
        let (columns, inner) = (self.weight.outputs(), self.weight.inner());
        let finish = Finish { columns, bias: self.bias.map(Tensor::host), activation, residual, ..Finish::default() };
        let tiles = Tiles::tap(self.weight.tensor().host(), 0, columns, inner);
        multiply_rows(Operand { x, inner, order: None }, tiles, &finish, out);
    }
}

/// `x` `[n, i]`, `weight` `[o, i]` → `[n, o]`.
pub fn linear(x: &Tensor, weight: &Weight, epilogue: Epilogue<'_>) -> Result<Tensor> {
    let (rows, inner, columns) = (x.rows(), x.columns(), weight.outputs());
    ensure!("linear", weight.inner() == inner && weight.taps() == 1, "x {:?} against {weight:?}", x.shape());
    ensure!("linear", x.dtype() == DType::F32, "x is {:?}, expected F32", x.dtype());
    for (name, tensor, expected) in [("bias", epilogue.bias, columns), ("residual", epilogue.residual, rows * columns)]
    {
        let fits = tensor.is_none_or(|t| t.len() == expected && t.dtype() == DType::F32);
        ensure!("linear", fits, "{name} {tensor:?}, expected {expected} of F32");
    }
    if let Some(delta) = &epilogue.delta {
        delta.check(rows, columns)?;
        let alone = epilogue.residual.is_none() || epilogue.activation == Activation::None;
        ensure!("linear", alone, "a delta before {:?} and a residual", epilogue.activation);
    }
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            let more = [epilogue.bias, epilogue.residual].into_iter().flatten().map(|t| bytes_of(&[t])).sum::<u64>()
                + epilogue.delta.map_or(0, |delta| delta.bytes());
            let rank = epilogue.delta.map_or(0, |delta| delta.z.columns());
            let work = Work::Flops(2 * (rows * (inner + rank) * columns) as u64);
            device.run("linear", work, bytes_of(&[x, weight.tensor(), &out]) + more, || {
                twin::cpu(x.host(), weight, epilogue, out.host_mut());
            });
        }
        Device::Gpu(device) => match epilogue.delta {
            Some(delta) if !fuses_delta(weight, epilogue.residual.is_some()) => {
                gpu(device, x, weight, Epilogue { delta: None, activation: Activation::None, ..epilogue }, &out)?;
                return low_rank_delta(&out, delta, epilogue.activation);
            }
            _ => gpu(device, x, weight, epilogue, &out)?,
        },
    }
    Ok(out)
}

/// Whether rows of both operands can be read four elements at a time.
pub(super) fn whole_quads(inner: usize, columns: usize) -> bool {
    inner.is_multiple_of(4) && columns.is_multiple_of(4)
}

/// Whether a GPU adds a delta in the epilogue: there is a binding for it or for a residual, and it comes in quads.
pub(crate) fn fuses_delta(weight: &Weight, has_residual: bool) -> bool {
    !has_residual && whole_quads(weight.inner(), weight.outputs())
}

/// Rows and columns that a workgroup computes: see `shaders/shared/broadcast_product.wgsl` and `tile_product.wgsl`.
fn block(gpu: &Gpu) -> [usize; 2] {
    if gpu.broadcasts() { [128, 16] } else { [64, 64] }
}

/// The permutation for an adapter, a weight and a shape.
pub(crate) fn variant(gpu: &Gpu, weight: &Weight, has_delta: bool) -> &'static Variant {
    use table::{
        BROADCAST_BF16, BROADCAST_BF16_DELTA, BROADCAST_BF16_VEC4, BROADCAST_F16, BROADCAST_F16_DELTA,
        BROADCAST_F16_VEC4, BROADCAST_F32, BROADCAST_F32_DELTA, BROADCAST_F32_VEC4, TILE_BF16, TILE_BF16_DELTA,
        TILE_BF16_VEC4, TILE_F16, TILE_F16_DELTA, TILE_F16_VEC4, TILE_F32, TILE_F32_DELTA, TILE_F32_VEC4,
    };
    let of_type = |f32: [_; 2], f16: [_; 2], bf16: [_; 2]| {
        let [tile, broadcast] = match weight.dtype() {
            DType::F16 => f16,
            DType::BF16 => bf16,
            _ => f32,
        };
        if gpu.broadcasts() { broadcast } else { tile }
    };
    match (has_delta, whole_quads(weight.inner(), weight.outputs())) {
        (true, _) => of_type(
            [&TILE_F32_DELTA, &BROADCAST_F32_DELTA],
            [&TILE_F16_DELTA, &BROADCAST_F16_DELTA],
            [&TILE_BF16_DELTA, &BROADCAST_BF16_DELTA],
        ),
        (false, true) => of_type(
            [&TILE_F32_VEC4, &BROADCAST_F32_VEC4],
            [&TILE_F16_VEC4, &BROADCAST_F16_VEC4],
            [&TILE_BF16_VEC4, &BROADCAST_BF16_VEC4],
        ),
        (false, false) => {
            of_type([&TILE_F32, &BROADCAST_F32], [&TILE_F16, &BROADCAST_F16], [&TILE_BF16, &BROADCAST_BF16])
        }
    }
}

fn gpu(gpu: &Gpu, x: &Tensor, weight: &Weight, epilogue: Epilogue<'_>, out: &Tensor) -> Result<()> {
    let (inner, columns) = (x.columns(), out.columns());
    let Epilogue { bias, delta, activation, residual } = epilogue;
    let work_per_row = 2 * ((inner + delta.map_or(0, |delta| delta.z.columns())) * columns) as u64;
    let patches = delta.and_then(|delta| delta.patches);
    let [block_rows, block_columns] = block(gpu);
    let widest = x.row_bytes().max(out.row_bytes()).max(delta.map_or(0, |delta| delta.z.row_bytes()));
    for chunk in row_chunks(x.rows(), widest, work_per_row, gpu.max_binding()) {
        let params = Params {
            rows: chunk.len() as u32,
            columns: columns as u32,
            inner: inner as u32,
            activation: activation.code(),
            has_bias: u32::from(bias.is_some()),
            has_residual: u32::from(residual.is_some()),
            rank: delta.map_or(0, |delta| delta.z.columns()) as u32,
            inverse_base: patches.map_or(0, |patches| patches.row * x.rows() + chunk.start) as u32,
            one_patch: u32::from(patches.is_none()),
            scale: delta.map_or(0.0, |delta| delta.scale),
        };
        // What is absent is not read: any buffer fills its place.
        let nothing = || Bind::all(weight.tensor());
        let mut bind = vec![
            Bind::rows(x, chunk.clone()),
            nothing(),
            bias.map_or_else(nothing, Bind::all),
            match (delta, residual) {
                (Some(delta), _) => Bind::rows(delta.z, chunk.clone()),
                (None, Some(residual)) => Bind::rows(residual, chunk.clone()),
                (None, None) => nothing(),
            },
            Bind::rows(out, chunk.clone()),
        ];
        if let Some(delta) = delta {
            bind.push(Bind::all(delta.a));
            bind.push(patches.map_or_else(nothing, |patches| Bind::all(patches.inverse)));
            bind.push(patches.map_or_else(nothing, |patches| Bind::all(patches.patch_of_rank)));
        }
        gpu.dispatch(&Dispatch {
            variant: variant(gpu, weight, delta.is_some()),
            entry: "main",
            bind: &bind,
            params: bytemuck::bytes_of(&params),
            groups: (chunk.len().div_ceil(block_rows) * columns.div_ceil(block_columns)) as u32,
            work: Work::Flops(work_per_row * chunk.len() as u64),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::{agree, agree_split},
        low_rank_delta::PatchOf,
        testing::{Noise, put},
    };
    use half::{bf16, f16};

    fn weigh(device: &Device, shape: [usize; 2], weight: &[f32]) -> Weight {
        Weight::from_slice(device, shape[0], 1, weight).unwrap()
    }

    /// The formula in f64, element by element.
    fn naive(x: &[f32], weight: &[f32], bias: &[f32], [n, i, o]: [usize; 3]) -> Vec<f64> {
        let dot = |r: usize, c: usize| -> f64 {
            (0..i).map(|k| f64::from(x[r * i + k]) * f64::from(weight[c * i + k])).sum::<f64>() + f64::from(bias[c])
        };
        (0..n * o).map(|at| dot(at / o, at % o)).collect()
    }

    #[test]
    fn every_size_and_epilogue_agrees_with_the_formula() {
        let shapes = [[0, 16, 16], [1, 9, 48], [15, 3, 7], [1025, 48, 144], [600, 20, 65], [70, 512, 20]];
        for (seed, [n, i, o]) in shapes.into_iter().enumerate() {
            let mut noise = Noise::new(seed as u64);
            let (x, weight, bias) = (noise.floats(n * i), noise.floats(o * i), noise.floats(o));
            let residual = noise.floats(n * o);
            // What must be bound whole: the weight, and 64 rows.
            let binding = (4 * (o * i).max(64 * i.max(o))) as u64;
            // Sums of up to 512 products below 1: f32 loses up to 512 half units in the last place of their sizes.
            let plain = agree_split(3e-5, binding, |device| {
                let bias = put(device, &[o], &bias);
                let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
                linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &weight), epilogue).unwrap()
            });
            let expected = naive(&x, &weight, &bias, [n, i, o]);
            assert!(plain.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 3e-5));
            let fused = agree_split(3e-5, binding, |device| {
                let (bias, residual) = (put(device, &[o], &bias), put(device, &[n, o], &residual));
                let epilogue = Epilogue {
                    bias: Some(&bias),
                    activation: Activation::Relu,
                    residual: Some(&residual),
                    delta: None,
                };
                linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &weight), epilogue).unwrap()
            });
            let unfused = plain.iter().zip(&residual).map(|(y, r)| y.max(0.0) + r);
            assert!(fused.iter().zip(unfused).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn a_fused_delta_is_the_delta_after_the_product() {
        // Whole quads, where a GPU fuses it, and not.
        for [n, i, o, rank] in [[300, 16, 24, 16], [65, 8, 12, 3], [70, 9, 5, 2]] {
            let mut noise = Noise::new((n + i) as u64);
            let (x, weight, bias) = (noise.floats(n * i), noise.floats(o * i), noise.floats(o));
            let (z, a) = (noise.floats(n * rank), noise.floats(4 * o * rank));
            let ranks: Vec<u32> = (0..2 * n).map(|at| ((at * 7) % n) as u32).collect();
            let patches: Vec<u32> = (0..n).map(|_| noise.below(4) as u32).collect();
            for (one_patch, activation) in [(false, Activation::Gelu), (true, Activation::None)] {
                let run = |fused: bool| {
                    agree_split(2e-5, (4 * o * i.max(64)).max(4 << 10) as u64, |device| {
                        let (inverse, patch_of_rank) = (put(device, &[2, n], &ranks), put(device, &[n], &patches));
                        let place = PatchOf { inverse: &inverse, row: 1, patch_of_rank: &patch_of_rank };
                        let (z, a) = (put(device, &[n, rank], &z), put(device, &[4, o, rank], &a));
                        let delta = LowRank { z: &z, a: &a, patches: (!one_patch).then_some(place), scale: 0.5 };
                        let (x, bias) = (put(device, &[n, i], &x), put(device, &[o], &bias));
                        let (weight, bias) = (weigh(device, [o, i], &weight), Some(&bias));
                        if fused {
                            let delta = Some(delta);
                            return linear(&x, &weight, Epilogue { bias, delta, activation, residual: None }).unwrap();
                        }
                        let y = linear(&x, &weight, Epilogue { bias, ..Epilogue::default() }).unwrap();
                        low_rank_delta(&y, delta, activation).unwrap()
                    })
                };
                // Another order of summation over some forty products below 1.
                assert!(run(true).iter().zip(&run(false)).all(|(a, b)| (a - b).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn packed_weights_are_widened_exactly() {
        for [n, i, o] in [[33, 16, 24], [5, 9, 3]] {
            let mut noise = Noise::new(7);
            let x = noise.floats(n * i);
            let weight = noise.floats(o * i);
            let halves: Vec<f16> = weight.iter().map(|w| f16::from_f32(*w)).collect();
            let brains: Vec<bf16> = weight.iter().map(|w| bf16::from_f32(*w)).collect();
            let packed: [(DType, &[u8], Vec<f32>); 2] = [
                (DType::F16, bytemuck::cast_slice(&halves), halves.iter().map(|h| h.to_f32()).collect()),
                (DType::BF16, bytemuck::cast_slice(&brains), brains.iter().map(|h| h.to_f32()).collect()),
            ];
            for (dtype, bytes, wide) in packed {
                let from_packed = agree(1e-5, |device| {
                    let weight = Weight::from_bytes(device, o, 1, dtype, bytes).unwrap();
                    linear(&put(device, &[n, i], &x), &weight, Epilogue::default()).unwrap()
                });
                let from_wide = agree(1e-5, |device| {
                    linear(&put(device, &[n, i], &x), &weigh(device, [o, i], &wide), Epilogue::default()).unwrap()
                });
                assert_eq!(from_packed, from_wide);
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // 65,537 blocks of 64 rows.
        let n = 65_536 * 64 + 1;
        let x: Vec<f32> = (0..n).map(|i| (i % 1000) as f32).collect();
        agree(0.0, |device| {
            linear(&put(device, &[n, 1], &x), &weigh(device, [1, 1], &[2.0f32]), Epilogue::default()).unwrap()
        });
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let device = Device::cpu();
        let (x, weight) = (put(&device, &[2, 3], &[0.0f32; 6]), weigh(&device, [4, 2], &[0.0f32; 8]));
        let error = linear(&x, &weight, Epilogue::default()).unwrap_err().to_string();
        assert_eq!(error, "kernel linear: x [2, 3] against Weight [4, 1 x 2] F32");
    }
}
