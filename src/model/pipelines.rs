//! What the passes of a model dispatch on a GPU: noted while its parameters are loaded, compiled side by side after it.

use crate::{
    device::{
        Device, Tensor,
        shader_table::{
            Variant, argmax, basis_mix, cell_coords, coord_max, gather_rows, invert_permutation, low_rank_delta,
            neighbor_mask, neighbor_table, radix_sort, scan, segment_max, segment_mean, serialize, softmax, unique,
            voxel_key,
        },
    },
    kernels::{layer_norm, linear, patch_attention, subm_conv, weight::Weight},
};
use std::cell::RefCell;

/// What every scan goes through on its way to labels.
const ALWAYS: [&Variant; 14] = [
    &voxel_key::PLAIN,
    &serialize::PLAIN,
    &radix_sort::PLAIN,
    &scan::PLAIN,
    &unique::PLAIN,
    &cell_coords::PLAIN,
    &coord_max::PLAIN,
    &invert_permutation::PLAIN,
    &neighbor_table::PLAIN,
    &neighbor_mask::PLAIN,
    &segment_max::PLAIN,
    &gather_rows::PLAIN,
    &gather_rows::SUM,
    &argmax::PLAIN,
];

/// The permutations that a model's layers will ask for.
pub(super) struct Pipelines {
    device: Device,
    noted: RefCell<Vec<&'static Variant>>,
}

impl Pipelines {
    pub(super) fn new(device: &Device) -> Self {
        Self { device: device.clone(), noted: RefCell::new(ALWAYS.to_vec()) }
    }

    fn note(&self, variants: impl IntoIterator<Item = &'static Variant>) {
        self.noted.borrow_mut().extend(variants);
    }

    /// A linear layer or a sparse convolution.
    pub(super) fn weight(&self, weight: &Weight) {
        if let Device::Gpu(gpu) = &self.device {
            self.note([match weight.taps() {
                1 => linear::variant(gpu, weight, false),
                _ => subm_conv::variant(gpu, weight),
            }]);
        }
    }

    /// A low-rank delta of a linear layer, in its epilogue where that can be.
    pub(super) fn delta(&self, weight: &Weight, has_residual: bool) {
        if let Device::Gpu(gpu) = &self.device {
            let fused = linear::fuses_delta(weight, has_residual);
            let delta = if fused { linear::variant(gpu, weight, true) } else { &low_rank_delta::PLAIN };
            self.note([delta, &segment_mean::PLAIN]);
        }
    }

    /// A normalisation by `gamma`.
    pub(super) fn norm(&self, gamma: &Tensor) {
        self.note([layer_norm::variant(gamma.len())]);
    }

    /// Attention with heads of `head_dim`.
    pub(super) fn attention(&self, head_dim: usize) {
        if let Device::Gpu(gpu) = &self.device {
            self.note([patch_attention::variant(gpu, head_dim)]);
        }
    }

    /// A mixture of bases, gated per patch.
    pub(super) fn mixture(&self) {
        self.note([&segment_mean::PLAIN, &softmax::PLAIN, &basis_mix::PLAIN]);
    }

    /// Compiles what was noted. In the browser, where there is one thread, each is left to its first use.
    pub(super) fn prepare(self) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Device::Gpu(gpu) = &self.device {
            gpu.prepare(&self.noted.into_inner());
        }
    }
}
