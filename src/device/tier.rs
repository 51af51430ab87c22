//! Capability tiers: what a kernel may count on.

use super::{dispatch::MAX_GROUPS, shader_table};

/// How much of an adapter's ability is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// WebGPU's default limits and no optional feature: what every browser and every adapter has.
    Portable,
    /// The adapter's own limits.
    Native,
}

impl Tier {
    /// `POINTTPA_TIER=portable` forces the floor, for tests and to bisect a driver's fault.
    pub(super) fn from_environment() -> Self {
        match std::env::var("POINTTPA_TIER").as_deref() {
            Ok("portable") => Self::Portable,
            Ok("native") | Err(_) => Self::Native,
            Ok(other) => {
                log::warn!("POINTTPA_TIER={other} is neither `portable` nor `native`; using `native`");
                Self::Native
            }
        }
    }

    /// The limits to request of an adapter.
    pub(super) fn limits(self, adapter: &wgpu::Limits) -> wgpu::Limits {
        match self {
            Self::Portable => wgpu::Limits::default(),
            Self::Native => adapter.clone(),
        }
    }

    /// The optional features to request: timestamps only, and only to measure.
    pub(super) fn features(self, adapter: wgpu::Features) -> wgpu::Features {
        match self {
            Self::Portable => wgpu::Features::empty(),
            Self::Native => adapter & wgpu::Features::TIMESTAMP_QUERY,
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Native => "native",
        })
    }
}

/// What the kernels need of an adapter, against what it offers; `None` where it suffices.
pub(super) fn shortfall(offered: &wgpu::Limits) -> Option<String> {
    let entries = || shader_table::ALL.iter().flat_map(|variant| variant.entries);
    let buffers = entries().map(|e| e.storage.len() as u32).max().unwrap_or(0);
    let invocations = entries().map(|e| e.workgroup.iter().product::<u32>()).max().unwrap_or(0);
    let bytes = entries().map(|e| e.workgroup_bytes).max().unwrap_or(0);
    let checks = [
        ("storage buffers per stage", buffers, offered.max_storage_buffers_per_shader_stage),
        ("invocations per workgroup", invocations, offered.max_compute_invocations_per_workgroup),
        ("bytes of workgroup memory", bytes, offered.max_compute_workgroup_storage_size),
        ("workgroups per dimension", MAX_GROUPS, offered.max_compute_workgroups_per_dimension),
    ];
    let failed = checks.iter().find(|(_, needed, offered)| needed > offered)?;
    Some(format!("{} {} are required, it has {}", failed.1, failed.0, failed.2))
}
