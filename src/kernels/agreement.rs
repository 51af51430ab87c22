//! The comparison every network kernel's tests make: GPU against CPU twin, with poisoned buffers, with the adapter's
//! own limits, on the portable tier, and with bindings so small that every operand is split by rows.

use super::{
    distance::distance,
    testing::{cpu, get, gpu, gpu_with},
};
use crate::{
    Device,
    device::{Tensor, Tier},
};

/// Bytes per binding of the device whose operands are split: 64 rows of 64 words.
const TINY_BINDING: u64 = 16 << 10;

/// Runs `kernel` on the CPU and on every variant of the adapter under test, and requires results within `tolerance` of
/// the twin's, see [`distance`]. Returns the twin's result.
pub(crate) fn agree(tolerance: f32, kernel: impl Fn(&Device) -> Tensor) -> Vec<f32> {
    agree_split(tolerance, TINY_BINDING, kernel)
}

/// [`agree`] with a larger small binding, for operands that a kernel binds whole.
pub(crate) fn agree_split(tolerance: f32, binding: u64, kernel: impl Fn(&Device) -> Tensor) -> Vec<f32> {
    let twin = kernel(&cpu());
    let expected: Vec<f32> = get(&twin);
    assert!(expected.iter().all(|v| v.is_finite()), "the twin read what nobody wrote, or overflowed");
    let adapters = [
        gpu(),
        gpu_with(|options| options.tier = Some(Tier::Portable)),
        gpu_with(|options| options.max_binding = Some(binding)),
    ];
    for (i, device) in adapters.iter().flatten().enumerate() {
        let result = kernel(device);
        assert_eq!(result.shape(), twin.shape());
        for (at, (actual, expected)) in get::<f32>(&result).iter().zip(&expected).enumerate() {
            let close = distance(*actual, *expected) <= tolerance;
            assert!(close, "adapter {i}, element {at} of {:?}: {actual} against {expected}", twin.shape());
        }
    }
    expected
}
