//! Kernels: one file each, with the typed call, the WGSL dispatch, the CPU twin and its tests.
//!
//! This module is public for benchmarks, tests and self-checks, and follows no version promise.

pub mod accumulate;
pub mod activation;
pub mod activation_backward;
pub mod adamw;
pub mod add;
#[cfg(test)]
pub(crate) mod agreement;
pub mod argmax;
pub mod basis_mix;
pub mod basis_mix_backward;
pub mod cell_coords;
pub mod column_sum;
pub mod coord_max;
pub mod cross_entropy;
#[cfg(test)]
pub(crate) mod differences;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod distance;
pub mod drop_path;
pub(crate) mod expect;
pub mod fma_peak;
pub mod gather_rows;
pub mod invert_permutation;
pub(crate) mod key64;
pub mod knn_normals;
pub mod layer_norm;
pub mod layer_norm_backward;
pub mod linear;
pub mod loss;
pub mod lovasz;
pub mod low_rank_delta;
pub mod low_rank_delta_backward;
mod math;
pub mod mlp;
pub mod neighbor_mask;
pub mod neighbor_table;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod noise;
pub mod norm_linear;
mod outer;
pub mod patch_attention;
pub mod patch_attention_backward;
pub mod position_encoding;
mod product;
pub mod radix_sort;
pub mod scan;
mod scratch;
pub mod segment_max;
pub mod segment_max_backward;
pub mod segment_mean;
pub mod segment_mean_backward;
pub mod segment_sum;
pub mod serialize;
pub mod slice_columns;
pub mod softmax;
pub mod softmax_backward;
pub mod subm_conv;
pub mod sum_squares;
#[cfg(test)]
pub(crate) mod testing;
pub mod unique;
pub mod voxel_key;
pub mod weight;
pub mod weight_gradient;
pub mod weight_layout;
pub mod weighted_mean;

pub use activation::Activation;

/// Returns [`crate::Error::Shape`] unless the condition holds.
macro_rules! ensure {
    ($kernel:literal, $condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Error::Shape { kernel: $kernel, problem: format!($($message)+) });
        }
    };
}
pub(crate) use ensure;

/// Invocations per workgroup of the kernels that take one element each.
const ELEMENTS_PER_GROUP: usize = 256;

/// Workgroups for `items` at `per_group`.
fn groups_for(items: usize, per_group: usize) -> u32 {
    items.div_ceil(per_group) as u32
}
