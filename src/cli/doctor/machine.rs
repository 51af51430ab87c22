//! The machine around the adapters.

use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// What a report of a fault should say of a machine, and nothing that names its user.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// Name and version of the operating system.
    pub(super) system: String,
    /// `x86_64`, `aarch64`, …
    pub(super) architecture: &'static str,
    /// The processor, by its maker's name for it.
    pub(super) processor: String,
    /// Cores, where the system tells them from threads.
    pub(super) cores: Option<usize>,
    /// Threads that this program may run at a time.
    pub(super) threads: usize,
    /// Bytes of memory, and those that are free for programs.
    pub(super) memory: u64,
    pub(super) memory_free: u64,
}

impl Machine {
    pub(super) fn this() -> Self {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what);
        let brand = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
        Self {
            system: System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            architecture: std::env::consts::ARCH,
            processor: brand.filter(|brand| !brand.is_empty()).unwrap_or_else(|| "unnamed".to_owned()),
            cores: System::physical_core_count(),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            memory: system.total_memory(),
            memory_free: system.available_memory(),
        }
    }
}
