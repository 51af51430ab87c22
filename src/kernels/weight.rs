//! Weights, laid out once for the device that multiplies by them.

use super::{ensure, product};
use crate::{
    Result,
    device::{DType, Device, Tensor},
};
use bytemuck::cast_slice;
use half::{bf16, f16};
use rayon::prelude::*;

/// The weight of a `linear` (one tap) or of a `subm_conv` (27 taps).
///
/// On a GPU it keeps the type it is stored in, and lies `[tap][inner][column]`, both filled up to multiples of four, so
/// that four columns are one load (`shaders/shared/weight.wgsl`). On the CPU it is widened and cut into the tiles of
/// [`product`]. Either way no product has to rearrange it.
#[derive(Clone)]
pub struct Weight {
    tensor: Tensor,
    outputs: usize,
    taps: usize,
    inner: usize,
    dtype: DType,
}

impl Weight {
    /// Brings a matrix `[outputs, taps · inner]` to a device.
    pub fn from_slice(device: &Device, outputs: usize, taps: usize, matrix: &[f32]) -> Result<Self> {
        Self::from_bytes(device, outputs, taps, DType::F32, cast_slice(matrix))
    }

    /// Brings the little-endian elements of a matrix `[outputs, taps · inner]` of F32, F16 or BF16 to a device.
    pub fn from_bytes(device: &Device, outputs: usize, taps: usize, dtype: DType, bytes: &[u8]) -> Result<Self> {
        let rows = outputs * taps;
        let inner = bytes.len() / dtype.size() / rows.max(1);
        let fits = bytes.len() == rows * inner * dtype.size() && !matches!(dtype, DType::U32 | DType::I32);
        ensure!("weight", fits, "{} bytes of {dtype:?} for {outputs} outputs of {taps} taps", bytes.len());
        let tensor = match device {
            Device::Cpu(_) => {
                let mut tiles = Tensor::uninit(device, &[product::tiled_len(outputs, taps, inner)], DType::F32)?;
                product::tile_weight(&widened(dtype, bytes), outputs, taps, inner, tiles.host_mut());
                tiles
            }
            Device::Gpu(_) => {
                let shape = [taps * inner.next_multiple_of(4), outputs.next_multiple_of(4)];
                let quads = in_quads(bytes, dtype.size(), outputs, taps, inner);
                Tensor::from_bytes(device, &shape, dtype, &quads)?
            }
        };
        Ok(Self { tensor, outputs, taps, inner, dtype })
    }

    /// Rows of the matrix: channels of what it gives.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Neighbours it looks at: 27, or 1.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Channels of what it is multiplied with.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// The type it was given in.
    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// What is on the device.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weight [{}, {} x {}] {:?}", self.outputs, self.taps, self.inner, self.dtype)
    }
}

/// `[outputs, taps, inner]` elements of `size` bytes as `[tap][inner][output]`, with zeros up to multiples of four.
fn in_quads(matrix: &[u8], size: usize, outputs: usize, taps: usize, inner: usize) -> Vec<u8> {
    let (row, padded_inner) = (outputs.next_multiple_of(4) * size, inner.next_multiple_of(4));
    let mut quads = vec![0; taps * padded_inner * row];
    if quads.is_empty() {
        return quads;
    }
    quads.par_chunks_exact_mut(padded_inner * row).enumerate().for_each(|(tap, quads)| {
        for output in 0..outputs {
            let weights = &matrix[(output * taps + tap) * inner * size..][..inner * size];
            for (k, weight) in weights.chunks_exact(size).enumerate() {
                quads[k * row + output * size..][..size].copy_from_slice(weight);
            }
        }
    });
    quads
}

/// Elements in f32.
fn widened(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.par_chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match dtype {
        DType::F16 => halves().map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        DType::BF16 => halves().map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        _ => bytes.par_chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}
