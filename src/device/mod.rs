//! Devices and tensors: one seam, two sides.
//!
//! A [`Device`] is a GPU adapter or the CPU. Kernels record dispatches on the one and call their twins on the
//! other; everything above the kernels is written once.

pub(crate) mod command;
mod compile;
mod cpu;
pub(crate) mod dispatch;
mod fault;
pub(crate) mod gpu;
mod host_buffer;
#[cfg(test)]
pub(crate) mod injection;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod inspect;
mod pipeline;
mod pool;
mod profile;
mod readback;
mod recorder;
mod select;
pub(crate) mod shader_table;
mod shared;
mod tensor;
mod tier;

pub use compile::Compiled;
#[cfg(not(target_arch = "wasm32"))]
pub use inspect::AdapterDetails;
pub use pool::MemoryUse;
pub use profile::Timing;
pub use select::{AdapterSummary, DeviceChoice, names_software};
pub use tensor::{DType, Element, Tensor};
pub use tier::{Limit, Tier};

use crate::Result;
use cpu::Cpu;
use gpu::Gpu;
use std::sync::Arc;

/// What fresh buffers hold under [`DeviceOptions::poison`]: a quiet NaN as a float, a wild index as an integer.
const POISON: u32 = 0x7fc0_dead;

/// Where tensors live and kernels run. Cloning shares the device.
#[derive(Clone)]
pub enum Device {
    /// A GPU adapter, through wgpu.
    Gpu(Arc<Gpu>),
    /// The CPU twins of the kernels.
    Cpu(Arc<Cpu>),
}

/// How to open a [`Device`].
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Which device.
    pub choice: DeviceChoice,
    /// Bytes that tensors may hold at once, free buffers kept for reuse included.
    pub budget: u64,
    /// Capability tier; `None` takes `POINTTPA_TIER`, else the adapter's own.
    pub tier: Option<Tier>,
    /// Fills every fresh buffer with noise, so that a kernel that reads what nobody wrote is caught.
    pub poison: bool,
    /// Lowers the largest binding, so that small tensors already split by rows.
    pub max_binding: Option<u64>,
    /// Measures every dispatch, where the adapter has timestamps, and every twin on the CPU.
    pub profile: bool,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self {
            choice: DeviceChoice::Auto,
            budget: u64::MAX,
            tier: None,
            poison: false,
            max_binding: None,
            profile: false,
        }
    }
}

impl Device {
    /// Opens a device. The choice and its reason are logged once, at `info`.
    pub async fn open(options: DeviceOptions) -> Result<Self> {
        select::open(options).await
    }

    /// [`Self::open`], waiting for it.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_blocking(options: DeviceOptions) -> Result<Self> {
        pollster::block_on(Self::open(options))
    }

    /// The CPU.
    pub fn cpu() -> Self {
        Self::Cpu(Arc::new(Cpu::new(u64::MAX, false, false)))
    }

    /// `cpu`, or the adapter's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(gpu) => &gpu.info.name,
        }
    }

    /// One line for people: name, driver and tier, or the number of threads.
    pub fn description(&self) -> String {
        match self {
            Self::Cpu(_) => match crate::parallel::current_num_threads() {
                1 => "cpu, 1 thread".to_owned(),
                threads => format!("cpu, {threads} threads"),
            },
            Self::Gpu(gpu) => {
                let info = &gpu.info;
                format!("{} ({:?}, {} {}), {} tier", info.name, info.backend, info.driver, info.driver_info, gpu.tier)
            }
        }
    }

    /// Its tier; `None` on the CPU, which has no limits to choose from.
    pub fn tier(&self) -> Option<Tier> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(gpu.tier),
        }
    }

    /// Memory of its tensors.
    pub fn memory(&self) -> MemoryUse {
        match self {
            Self::Cpu(cpu) => cpu.pool().memory(),
            Self::Gpu(gpu) => gpu.pool().memory(),
        }
    }

    /// Starts a new measurement of [`MemoryUse::peak`].
    pub fn reset_peak(&self) {
        match self {
            Self::Cpu(cpu) => cpu.pool().reset_peak(),
            Self::Gpu(gpu) => gpu.pool().reset_peak(),
        }
    }

    /// Lets go of the free buffers kept for reuse.
    pub fn trim(&self) {
        match self {
            Self::Cpu(cpu) => cpu.pool().trim(),
            Self::Gpu(gpu) => gpu.pool().trim(),
        }
    }

    /// Keeps the host at most one batch of work ahead of the device, so that progress is what has been done and a
    /// caller who wants to stop is heard.
    pub(crate) fn pace(&self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(gpu) => gpu.pace(),
        }
    }

    /// Hands everything recorded to the device, so that what the application submits after it finds it done.
    pub(crate) fn submit(&self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(gpu) => gpu.submit(),
        }
    }

    /// The allocations of a test that are to be refused.
    #[cfg(test)]
    pub(crate) fn refusals(&self) -> &injection::Injection {
        match self {
            Self::Cpu(cpu) => &cpu.pool().refusals,
            Self::Gpu(gpu) => &gpu.pool().refusals,
        }
    }

    /// The submits of a test after which its GPU is lost; `None` on the CPU.
    #[cfg(test)]
    pub(crate) fn losses(&self) -> Option<&injection::Losses> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(gpu) => Some(&gpu.losses),
        }
    }

    /// A GPU whose loss was only said can be used again by the test that said it.
    #[cfg(test)]
    pub(crate) fn forget_loss(&self) {
        if let Self::Gpu(gpu) = self {
            gpu.faults().forget();
        }
    }

    /// In a measurement, what follows belongs to the next part of the run.
    pub fn mark(&self) {
        match self {
            Self::Cpu(cpu) => cpu.mark(),
            Self::Gpu(gpu) => gpu.mark(),
        }
    }

    /// Times of the dispatches, or of the twins, since the last call; empty unless the device was opened with
    /// [`DeviceOptions::profile`], and on adapters without timestamps.
    pub async fn take_timings(&self) -> Result<Vec<Timing>> {
        match self {
            Self::Cpu(cpu) => Ok(cpu.take_timings()),
            Self::Gpu(gpu) => gpu.take_timings().await,
        }
    }

    /// Whether both are the same opened device.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cpu(a), Self::Cpu(b)) => Arc::ptr_eq(a, b),
            (Self::Gpu(a), Self::Gpu(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Device;

    #[test]
    fn the_cpu_counts_its_threads_in_words() {
        let described = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Device::cpu().description())
        };
        assert_eq!(described(1), "cpu, 1 thread");
        assert_eq!(described(2), "cpu, 2 threads");
    }
}
