//! Weights, laid out once for the device that multiplies by them.

use super::{ensure, product};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{DType, Device, Tensor},
};
use bytemuck::{Pod, cast_slice};
use half::{bf16, f16};

/// The weight of a `linear` (one tap) or of a `subm_conv` (27 taps).
///
/// On a GPU it keeps the type it is stored in, and lies `[tap][inner][column]`, both filled up to multiples of four, so
/// that four columns are one load (`shaders/shared/weight.wgsl`). On the CPU it is widened and cut into the tiles of
/// `product`. Either way no product has to rearrange it.
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
        let inner = inner_of(outputs, taps, dtype, bytes)?;
        let tensor = match device {
            Device::Cpu(_) => {
                let mut tiles = Tensor::uninit(device, &[product::tiled_len(outputs, taps, inner)], DType::F32)?;
                product::tile_weight(&widened(dtype, bytes), outputs, taps, inner, tiles.host_mut());
                tiles
            }
            Device::Gpu(_) => {
                let shape = padded_shape(outputs, taps, inner);
                let quads = in_quads(bytes, dtype.size(), outputs, taps, inner);
                Tensor::from_bytes(device, &shape, dtype, &quads)?
            }
        };
        Ok(Self { tensor, outputs, taps, inner, dtype })
    }

    /// Brings to a device the weight that carries the gradient of the output back to the input, of a layer whose weight
    /// is the matrix `[outputs, taps · inner]`: with it, [`super::linear`] and, over the same neighbour table,
    /// [`super::subm_conv`] turn dy into dx.
    ///
    /// The latter needs a symmetric table: where q is the neighbour of p at offset t, p is that of q at 26 - t. It is one
    /// where no two points share a cell.
    pub fn transposed(device: &Device, outputs: usize, taps: usize, dtype: DType, bytes: &[u8]) -> Result<Self> {
        let inner = inner_of(outputs, taps, dtype, bytes)?;
        // Elements are moved, not read: bytes of a file need no alignment.
        if dtype.size() == 2 {
            let turned = transposed::<[u8; 2]>(cast_slice(bytes), outputs, taps, inner);
            Self::from_bytes(device, inner, taps, dtype, cast_slice(&turned))
        } else {
            let turned = transposed::<[u8; 4]>(cast_slice(bytes), outputs, taps, inner);
            Self::from_bytes(device, inner, taps, dtype, cast_slice(&turned))
        }
    }

    /// A weight whose f32 `tensor` is already laid out for its device.
    pub(super) fn laid_out(tensor: Tensor, outputs: usize, taps: usize, inner: usize) -> Self {
        Self { tensor, outputs, taps, inner, dtype: DType::F32 }
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

/// Shape of a weight on a GPU.
pub(super) fn padded_shape(outputs: usize, taps: usize, inner: usize) -> [usize; 2] {
    [taps * inner.next_multiple_of(4), outputs.next_multiple_of(4)]
}

/// Inner channels of a matrix of floats that fills `bytes`.
fn inner_of(outputs: usize, taps: usize, dtype: DType, bytes: &[u8]) -> Result<usize> {
    let rows = outputs * taps;
    let inner = bytes.len() / dtype.size() / rows.max(1);
    let fits = bytes.len() == rows * inner * dtype.size() && !matches!(dtype, DType::U32 | DType::I32);
    ensure!("weight", fits, "{} bytes of {dtype:?} for {outputs} outputs of {taps} taps", bytes.len());
    Ok(inner)
}

/// `[outputs, taps, inner]` as `[inner, taps, outputs]`, the taps in reverse: the neighbour at offset 26 - t is the one
/// whose neighbour at t this is.
pub(super) fn transposed<E: Pod + Send + Sync>(matrix: &[E], outputs: usize, taps: usize, inner: usize) -> Vec<E> {
    let mut turned = vec![E::zeroed(); matrix.len()];
    if turned.is_empty() {
        return turned;
    }
    turned.par_chunks_exact_mut(taps * outputs).enumerate().for_each(|(k, turned)| {
        for (place, element) in turned.iter_mut().enumerate() {
            let (tap, output) = (taps - 1 - place / outputs, place % outputs);
            *element = matrix[(output * taps + tap) * inner + k];
        }
    });
    turned
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        differences::{check_gradient, weighted_sum},
        linear::{Epilogue, linear},
        neighbor_table::ABSENT,
        subm_conv::{OFFSETS, subm_conv},
        testing::{Noise, cpu, get, neighbors, put},
    };

    /// A matrix in each type, as its bytes and as what they stand for.
    fn stored(matrix: &[f32]) -> [(DType, Vec<u8>, Vec<f32>); 3] {
        let halves: Vec<f16> = matrix.iter().map(|w| f16::from_f32(*w)).collect();
        let brains: Vec<bf16> = matrix.iter().map(|w| bf16::from_f32(*w)).collect();
        [
            (DType::F32, cast_slice(matrix).to_vec(), matrix.to_vec()),
            (DType::F16, cast_slice(&halves).to_vec(), halves.iter().map(|h| h.to_f32()).collect()),
            (DType::BF16, cast_slice(&brains).to_vec(), brains.iter().map(|h| h.to_f32()).collect()),
        ]
    }

    #[test]
    fn transposed_weights_carry_gradients_back_through_a_linear_layer() {
        for [n, o, i] in [[15, 20, 9], [70, 24, 16]] {
            let mut noise = Noise::new(n as u64);
            let (x, dy) = (noise.floats(n * i), noise.floats(n * o));
            for (dtype, bytes, wide) in stored(&noise.floats(o * i)) {
                let dx = agree_split(1e-5, 16 << 10, |device| {
                    let weight = Weight::transposed(device, o, 1, dtype, &bytes).unwrap();
                    linear(&put(device, &[n, o], &dy), &weight, Epilogue::default()).unwrap()
                });
                for (at, value) in dx.iter().enumerate() {
                    let term = |c: usize| f64::from(dy[at / i * o + c]) * f64::from(wide[c * i + at % i]);
                    assert!((f64::from(*value) - (0..o).map(term).sum::<f64>()).abs() < 1e-5);
                }
                // Linear in x: nothing is truncated, and a loss of order 10 is rounded by 1e-6.
                let device = cpu();
                check_gradient(&x, &dx, 0.5, 1e-4, |x| {
                    let weight = Weight::from_bytes(&device, o, 1, dtype, &bytes).unwrap();
                    let y = linear(&put(&device, &[n, i], x), &weight, Epilogue::default()).unwrap();
                    weighted_sum(&get::<f32>(&y), &dy)
                });
            }
        }
    }

    #[test]
    fn transposed_weights_carry_gradients_back_through_a_convolution() {
        for [n, o, i] in [[15, 5, 9], [300, 12, 16]] {
            let mut noise = Noise::new(n as u64);
            let (x, dy, table) = (noise.floats(n * i), noise.floats(n * o), neighbors(n, &mut noise));
            for (dtype, bytes, wide) in stored(&noise.floats(o * OFFSETS * i)) {
                let dx = agree_split(3e-5, 64 << 10, |device| {
                    let weight = Weight::transposed(device, o, OFFSETS, dtype, &bytes).unwrap();
                    let (bias, table) = (put(device, &[i], &vec![0.0f32; i]), put(device, &[n, OFFSETS], &table));
                    subm_conv(&put(device, &[n, o], &dy), &weight, &bias, &table, None).unwrap()
                });
                let mut expected = vec![0.0f64; n * i];
                for (place, source) in table.iter().enumerate().filter(|(_, source)| **source != ABSENT) {
                    let (p, tap) = (place / OFFSETS, place % OFFSETS);
                    for at in 0..o * i {
                        let (c, k) = (at / i, at % i);
                        let w = f64::from(wide[(c * OFFSETS + tap) * i + k]);
                        expected[*source as usize * i + k] += w * f64::from(dy[p * o + c]);
                    }
                }
                assert!(dx.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 3e-5));
                let device = cpu();
                check_gradient(&x, &dx, 0.5, 1e-4, |x| {
                    let weight = Weight::from_bytes(&device, o, OFFSETS, dtype, &bytes).unwrap();
                    let (bias, table) = (put(&device, &[o], &vec![0.0f32; o]), put(&device, &[n, OFFSETS], &table));
                    let y = subm_conv(&put(&device, &[n, i], x), &weight, &bias, &table, None).unwrap();
                    weighted_sum(&get::<f32>(&y), &dy)
                });
            }
        }
    }
}
