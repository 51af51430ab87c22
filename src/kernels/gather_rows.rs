//! `gather_rows`.
use crate::device::shader_table::params;
params!(gather_rows { n: u32, c: u32, lo: u32, hi: u32 });
