//! Kernels.
mod gather_rows;

pub(crate) mod expect;
#[cfg(test)]
pub(crate) mod testing;
