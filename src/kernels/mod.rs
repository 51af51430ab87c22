//! Kernels.
mod gather_rows;

pub mod radix_sort;
pub mod scan;

pub(crate) mod expect;
pub(crate) mod key64;
#[cfg(test)]
pub(crate) mod testing;
