//! A GPU that the application has opened itself: its renderer and this library share one `wgpu` device and queue.

use super::{
    Device,
    fault::Fault,
    gpu::{Gpu, Options},
    tier::Tier,
};
use crate::Result;
use std::sync::Arc;

impl Device {
    /// A device over one that the application has opened, for example to draw with; `budget` is the bytes that tensors may hold
    /// at once (`u64::MAX` for no limit). The version of `wgpu` must be this library's, [`crate::wgpu`].
    ///
    /// It needs WebGPU's default limits (`wgpu::Limits::default()`) or more, and no feature. Work is submitted to `queue` in
    /// batches, in between whatever else the application submits from any thread. The device's handlers of errors and of loss
    /// stay the application's: what they hear is to be handed on by [`Self::report_error`] and [`Self::report_lost`], and so is
    /// that the application is about to destroy the device.
    ///
    /// # Errors
    /// [`crate::Error::Adapter`] where the device was opened with less than the kernels need.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, budget: u64) -> Result<Self> {
        let tier = Tier::from_environment();
        let options = Options { tier, budget, poison: false, max_binding: None, profile: false };
        let device = Self::Gpu(Arc::new(Gpu::over(device, queue, &options)?));
        log::info!("device: {} (the application's)", device.description());
        Ok(device)
    }

    /// Hands on what the application's handler of uncaptured errors has heard; runs end with
    /// [`crate::Error::OutOfMemory`] or [`crate::Error::Refused`] from then on. An error of the application's own
    /// commands is better kept.
    pub fn report_error(&self, error: &wgpu::Error) {
        if let Self::Gpu(gpu) = self {
            gpu.faults().report_error(error);
        }
    }

    /// Hands on that the GPU was lost; runs end with [`crate::Error::DeviceLost`] from then on.
    pub fn report_lost(&self, reason: &str) {
        if let Self::Gpu(gpu) = self {
            gpu.faults().report(Fault::Lost(reason.to_owned()));
        }
    }

    /// The `wgpu` device and queue it computes on; `None` for the CPU.
    pub fn wgpu(&self) -> Option<(&wgpu::Device, &wgpu::Queue)> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(gpu.handles()),
        }
    }
}
