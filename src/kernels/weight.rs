//! Weights, laid out once for the device that multiplies by them.

use super::{ensure, product};
use crate::{
    Result,
    device::{DType, Device, Tensor},
};
use half::{bf16, f16};
use std::borrow::Cow;

/// The weight of a `linear` (one tap) or of a `subm_conv` (27 taps).
///
/// On a GPU it is the matrix `[outputs, taps · inner]` in the type it is stored in, widened where it is read. On the
/// CPU it is widened and cut into the tiles of [`product`], so that no product has to rearrange it.
#[derive(Clone)]
pub struct Weight {
    tensor: Tensor,
    outputs: usize,
    taps: usize,
    inner: usize,
    dtype: DType,
}

impl Weight {
    /// Lays out a matrix `[outputs, taps · inner]` of F32, F16 or BF16 that is on its device.
    pub fn new(matrix: &Tensor, taps: usize) -> Result<Self> {
        let (outputs, columns, dtype) = (matrix.rows(), matrix.columns(), matrix.dtype());
        ensure!("weight", taps > 0 && columns.is_multiple_of(taps), "{matrix:?} for {taps} taps");
        let tensor = match matrix.device() {
            Device::Gpu(_) => matrix.clone(),
            Device::Cpu(_) => tiled(matrix.device(), &widened(matrix), outputs, taps)?,
        };
        Ok(Self { tensor, outputs, taps, inner: columns / taps, dtype })
    }

    /// Brings the little-endian elements of a matrix `[outputs, taps · inner]` to a device.
    pub fn from_bytes(device: &Device, outputs: usize, taps: usize, dtype: DType, bytes: &[u8]) -> Result<Self> {
        let columns = bytes.len() / dtype.size() / outputs.max(1);
        // The matrix as it comes is not to count among the device's tensors once it is in tiles.
        let staging = Device::cpu();
        let place = if matches!(device, Device::Cpu(_)) { &staging } else { device };
        let matrix = Tensor::from_bytes(place, &[outputs, columns], dtype, bytes)?;
        if !matches!(device, Device::Cpu(_)) {
            return Self::new(&matrix, taps);
        }
        ensure!("weight", taps > 0 && columns.is_multiple_of(taps), "{matrix:?} for {taps} taps");
        let tensor = tiled(device, &widened(&matrix), outputs, taps)?;
        Ok(Self { tensor, outputs, taps, inner: columns / taps, dtype })
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

fn tiled(device: &Device, matrix: &[f32], outputs: usize, taps: usize) -> Result<Tensor> {
    let inner = matrix.len() / outputs.max(1) / taps;
    let mut tiles = Tensor::uninit(device, &[product::tiled_len(outputs, taps, inner)], DType::F32)?;
    product::tile_weight(matrix, outputs, taps, inner, tiles.host_mut());
    Ok(tiles)
}

/// A matrix on the CPU in f32.
fn widened(matrix: &Tensor) -> Cow<'_, [f32]> {
    match matrix.dtype() {
        DType::F16 => Cow::Owned(matrix.host::<f16>().iter().map(|w| w.to_f32()).collect()),
        DType::BF16 => Cow::Owned(matrix.host::<bf16>().iter().map(|w| w.to_f32()).collect()),
        _ => Cow::Borrowed(matrix.host()),
    }
}
