//! Kernels.
mod gather_rows;
