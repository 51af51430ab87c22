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
    let hardware = |adapter: &&wgpu::Adapter| !summary(adapter).software;
    let (found, reason) = match &options.choice {
        DeviceChoice::Auto => match adapters.iter().find(hardware) {
            Some(adapter) => (Some(adapter), "the GPU of this machine"),
            None => return Ok(cpu("no GPU was found")),
        },
        DeviceChoice::Gpu => (adapters.iter().find(hardware), "the GPU of this machine"),
        DeviceChoice::Named(name) => {
            let wanted = name.to_lowercase();
            (adapters.iter().find(|adapter| summary(adapter).name.to_lowercase().contains(&wanted)), "as asked")
        }
        DeviceChoice::Cpu => unreachable!("answered above"),
    };
    let Some(adapter) = found else {
        let names: Vec<String> = adapters
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
        let wanted = match options.choice {
            DeviceChoice::Named(name) => name,
            _ => "gpu".into(),
        };
        return Err(Error::NoAdapter { wanted, found });
    };
    let opened = Gpu::open(
        adapter,
        &gpu::Options {
            tier: options.tier.unwrap_or_else(Tier::from_environment),
            budget: options.budget,
            poison: options.poison,
            max_binding: options.max_binding,
            profile: options.profile,
        },
    )
    .await;
    match opened {
        Ok(gpu) => {
            let device = Device::Gpu(Arc::new(gpu));
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

/// The adapters of this machine, discrete before integrated before software, then by name.
async fn adapters() -> Vec<wgpu::Adapter> {
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
fn is_software(info: &wgpu::AdapterInfo) -> bool {
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
