//! What adapters say of themselves, for reports.

use super::{
    Device, DeviceChoice, DeviceOptions,
    select::{self, is_software, matching},
    tier::{self, Limit},
};
use crate::Result;
use serde::Serialize;

/// One adapter with everything that a report of a fault should hold.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterDetails {
    /// Its name.
    pub name: String,
    /// Vulkan, Metal or Dx12.
    pub backend: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub kind: String,
    /// Whether it is a program on the CPU rather than a GPU.
    pub software: bool,
    /// The driver's name, and what it says of its version.
    pub driver: String,
    /// Vendor and device, as PCI numbers.
    pub ids: [u32; 2],
    /// The limits that kernels depend on.
    pub limits: Vec<Limit>,
    /// Optional features that it offers, by WebGPU's and wgpu's names. Kernels use none; measurements use timestamps.
    pub features: Vec<String>,
    /// Why kernels cannot run on it, if they cannot.
    pub problem: Option<String>,
}

/// An adapter that can be opened.
pub(crate) struct Inspected {
    pub(crate) details: AdapterDetails,
    adapter: wgpu::Adapter,
}

impl Inspected {
    fn new(adapter: wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let offered = adapter.limits();
        let details = AdapterDetails {
            backend: format!("{:?}", info.backend),
            kind: format!("{:?}", info.device_type),
            software: is_software(&info),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            ids: [info.vendor, info.device],
            limits: tier::limits_that_matter(&offered),
            features: adapter.features().iter_names().map(|(name, _)| name.to_owned()).collect(),
            problem: tier::shortfall(&offered),
            name: info.name,
        };
        Self { details, adapter }
    }

    /// Opens this very adapter, whatever the choice in `options` says.
    pub(crate) async fn open(&self, options: &DeviceOptions) -> Result<Device> {
        select::open_adapter(&self.adapter, options).await
    }
}

/// The adapters that a choice leaves, best first: all of them for [`DeviceChoice::Auto`].
pub(crate) async fn inspect(choice: &DeviceChoice) -> Result<Vec<Inspected>> {
    let mut adapters = select::adapters().await;
    match choice {
        DeviceChoice::Auto => {}
        DeviceChoice::Cpu => adapters.clear(),
        _ => {
            if !adapters.iter().any(|adapter| matching(choice, adapter)) {
                return Err(select::no_adapter(choice, &adapters));
            }
            adapters.retain(|adapter| matching(choice, adapter));
        }
    }
    Ok(adapters.into_iter().map(Inspected::new).collect())
}
