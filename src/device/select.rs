//! Choosing a device.

use super::{
    Device, DeviceOptions,
    cpu::Cpu,
    gpu::{self, Gpu},
    tier::Tier,
};
use crate::{Error, Result};
use std::{str::FromStr, sync::Arc};

/// `auto`, `gpu`, `cpu`, or (part of) an adapter's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A real GPU where there is one, else the CPU. A software adapter is used only when it is named.
    Auto,
    /// A real GPU, or an error.
    Gpu,
    /// The CPU twins.
    Cpu,
    /// The adapter whose name contains this, in any case.
    Named(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match text.to_lowercase().as_str() {
            "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            _ => Self::Named(text.to_owned()),
        })
    }
}

/// One adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSummary {
    /// Its name.
    pub name: String,
    /// Vulkan, Metal, Dx12 or `BrowserWebGpu`.
    pub backend: String,
    /// Whether it is a program on the CPU rather than a GPU.
    pub software: bool,
}

pub(super) async fn open(options: DeviceOptions) -> Result<Device> {
    let cpu = |reason: &str| {
        let device = Device::Cpu(Arc::new(Cpu::new(options.budget, options.poison, options.profile)));
        log::info!("device: {} ({reason})", device.description());
        device
    };
    if options.choice == DeviceChoice::Cpu {
        return Ok(cpu("as asked"));
    }
    let adapters = adapters().await;
    let reason = match &options.choice {
        DeviceChoice::Named(_) => "as asked",
        _ => "the GPU of this machine",
    };
    let Some(adapter) = adapters.iter().find(|adapter| matching(&options.choice, adapter)) else {
        if options.choice == DeviceChoice::Auto {
            return Ok(cpu("no GPU was found"));
        }
        return Err(no_adapter(&options.choice, &adapters));
    };
    match open_adapter(adapter, &options).await {
        Ok(device) => {
            log::info!("device: {} ({reason})", device.description());
            Ok(device)
        }
        // Nobody asked for this adapter in particular: the CPU does the work.
        Err(error) if options.choice == DeviceChoice::Auto => {
            log::warn!("{error}");
            Ok(cpu("the GPU cannot be used"))
        }
        Err(error) => Err(error),
    }
}

/// Opens an adapter that was chosen.
pub(super) async fn open_adapter(adapter: &wgpu::Adapter, options: &DeviceOptions) -> Result<Device> {
    let options = gpu::Options {
        tier: options.tier.unwrap_or_else(Tier::from_environment),
        budget: options.budget,
        poison: options.poison,
        max_binding: options.max_binding,
        profile: options.profile,
    };
    Ok(Device::Gpu(Arc::new(Gpu::open(adapter, &options).await?)))
}

/// Whether a choice may end at an adapter.
pub(super) fn matching(choice: &DeviceChoice, adapter: &wgpu::Adapter) -> bool {
    let summary = summary(adapter);
    match choice {
        DeviceChoice::Auto | DeviceChoice::Gpu => !summary.software,
        DeviceChoice::Named(name) => summary.name.to_lowercase().contains(&name.to_lowercase()),
        DeviceChoice::Cpu => false,
    }
}

/// The error of a choice that ends at none of `adapters`.
pub(super) fn no_adapter(choice: &DeviceChoice, adapters: &[wgpu::Adapter]) -> Error {
    let names: Vec<String> =
        adapters
            .iter()
            .map(summary)
            .map(|a| {
                if a.software { format!("'{}' (software, used only by name)", a.name) } else { format!("'{}'", a.name) }
            })
            .collect();
    let found = if names.is_empty() {
        "This machine has none".into()
    } else {
        format!("This machine has {}", names.join(", "))
    };
    let wanted = match choice {
        DeviceChoice::Named(name) => name.clone(),
        _ => "gpu".into(),
    };
    Error::NoAdapter { wanted, found }
}

/// The adapters of this machine, discrete before integrated before software, then by name.
pub(super) async fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::PRIMARY).await;
    // Browsers do not enumerate.
    if adapters.is_empty() {
        adapters.extend(instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await);
    }
    let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    adapters.sort_by_cached_key(|adapter| (rank(adapter), adapter.get_info().name));
    adapters
}

fn summary(adapter: &wgpu::Adapter) -> AdapterSummary {
    let info = adapter.get_info();
    AdapterSummary { software: is_software(&info), name: info.name, backend: format!("{:?}", info.backend) }
}

/// Browsers say of few adapters what they are, but name some that are programs.
pub(super) fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
        || (info.device_type == wgpu::DeviceType::Other && names_software(&info.name))
}

/// Whether an adapter's name is that of a known program on the CPU.
pub fn names_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["llvmpipe", "swiftshader", "basic render"].iter().any(|known| name.contains(known))
}

impl Device {
    /// The adapters of this machine that `--device` can name, best first.
    pub async fn adapters() -> Vec<AdapterSummary> {
        adapters().await.iter().map(summary).collect()
    }
}
