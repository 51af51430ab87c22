//! Capability tiers: what a kernel may count on.

use super::{dispatch::MAX_GROUPS, shader_table};
use serde::Serialize;

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

    /// Why a device has this tier, for people.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn reason(self) -> String {
        match (std::env::var("POINTTPA_TIER").ok(), self) {
            (Some(asked), _) if asked == self.to_string() => format!("POINTTPA_TIER={asked} asks for it"),
            (_, Self::Native) => "the adapter's own limits are taken unless POINTTPA_TIER=portable is set".into(),
            (_, Self::Portable) => "the program that opened the device asked for WebGPU's default limits".into(),
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

/// A limit of an adapter that kernels depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub name: &'static str,
    /// What kernels need at least; 0 where they make do with any.
    pub needed: u64,
    /// What the portable tier asks for: WebGPU's default.
    pub portable: u64,
    /// What the adapter offers, which the native tier asks for.
    pub offered: u64,
}

/// The limits of `offered` that kernels depend on.
pub(super) fn limits_that_matter(offered: &wgpu::Limits) -> Vec<Limit> {
    let entries = || shader_table::ALL.iter().flat_map(|variant| variant.entries);
    let buffers = entries().map(|e| e.storage.len() as u64).max().unwrap_or(0);
    let invocations = entries().map(|e| e.workgroup.iter().map(|n| u64::from(*n)).product()).max().unwrap_or(0);
    let bytes = entries().map(|e| u64::from(e.workgroup_bytes)).max().unwrap_or(0);
    let portable = wgpu::Limits::default();
    let limit = |name, needed, of: fn(&wgpu::Limits) -> u64| Limit {
        name,
        needed,
        portable: of(&portable),
        offered: of(offered),
    };
    vec![
        limit("storage buffers per stage", buffers, |l| l.max_storage_buffers_per_shader_stage.into()),
        limit("invocations per workgroup", invocations, |l| l.max_compute_invocations_per_workgroup.into()),
        limit("bytes of workgroup memory", bytes, |l| l.max_compute_workgroup_storage_size.into()),
        limit("workgroups per dimension", MAX_GROUPS.into(), |l| l.max_compute_workgroups_per_dimension.into()),
        limit("bytes of a storage binding", 0, |l| l.max_storage_buffer_binding_size),
        limit("bytes of a buffer", 0, |l| l.max_buffer_size),
    ]
}

/// What the kernels need of an adapter, against what it offers; `None` where it suffices.
pub(super) fn shortfall(offered: &wgpu::Limits) -> Option<String> {
    let failed = limits_that_matter(offered).into_iter().find(|limit| limit.needed > limit.offered)?;
    Some(format!("{} {} are required, it has {}", failed.needed, failed.name, failed.offered))
}
