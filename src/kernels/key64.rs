//! 64-bit keys as pairs of words, high word first: the host's side of `shaders/shared/key64.wgsl`.

use crate::device::Tensor;

/// The keys of a CPU tensor `[…, 2]`.
pub(crate) fn keys(tensor: &Tensor) -> &[[u32; 2]] {
    bytemuck::cast_slice(tensor.host::<u32>())
}

/// The keys of a CPU tensor `[…, 2]` nobody else holds.
pub(crate) fn keys_mut(tensor: &mut Tensor) -> &mut [[u32; 2]] {
    bytemuck::cast_slice_mut(tensor.host_mut::<u32>())
}

/// The number of a pair.
pub(crate) fn join([high, low]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The pair of a number.
pub(crate) fn split(key: u64) -> [u32; 2] {
    [(key >> 32) as u32, key as u32]
}
