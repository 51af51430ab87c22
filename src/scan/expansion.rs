//! How much a compressed file may grow.

/// Scans shrink to a half or a tenth; beyond this factor a file is made to fill memory.
const FACTOR: usize = 100;
/// Small files of zeros are no danger.
const FREE: usize = 1 << 20;

/// The most bytes that `compressed` bytes are unpacked to.
pub(crate) fn limit(compressed: usize) -> usize {
    compressed.saturating_mul(FACTOR).saturating_add(FREE)
}
