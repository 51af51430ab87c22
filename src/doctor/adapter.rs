//! One adapter: opened, its shaders compiled, its kernels run.

use super::{AdapterReport, Clock, Examined, cases, twin::compare};
use crate::{
    Device, Result,
    device::{DeviceChoice, DeviceOptions, Tier, inspect::Inspected},
};
use pollster::block_on;

/// Examines an adapter; `step` is told of every kernel and may end it.
pub(super) fn report(adapter: &Inspected, automatic: bool, step: &dyn Fn(&str) -> Result<()>) -> Result<AdapterReport> {
    let mut report = AdapterReport { details: adapter.details.clone(), automatic, examined: None };
    if report.details.problem.is_none() {
        match block_on(adapter.open(&options())) {
            Ok(device) => report.examined = Some(examine(adapter, device, step)?),
            Err(error) => report.details.problem = Some(error.to_string()),
        }
    }
    Ok(report)
}

/// Measured, and with noise in fresh buffers, so that a kernel that reads what nobody wrote is caught.
fn options() -> DeviceOptions {
    DeviceOptions { choice: DeviceChoice::Cpu, poison: true, profile: true, ..DeviceOptions::default() }
}

fn examine(adapter: &Inspected, mut device: Device, step: &dyn Fn(&str) -> Result<()>) -> Result<Examined> {
    let tier = device.tier().unwrap_or(Tier::Portable);
    let has_timestamps = adapter.details.features.iter().any(|feature| feature == "TIMESTAMP_QUERY");
    let clock = if has_timestamps && tier == Tier::Native { Clock::Timestamps } else { Clock::Host };
    let compiled = block_on(device.compile_shaders());
    let cpu = Device::open_blocking(options())?;
    let mut kernels = Vec::new();
    for case in cases::all() {
        step(case.kernel)?;
        let row = compare(case, &device, clock, &cpu)?;
        if row.problem.is_some() {
            // A device that once reported a fault refuses everything after it, and the next kernel may be right.
            device = block_on(adapter.open(&options())).unwrap_or(device);
        }
        kernels.push(row);
    }
    kernels.sort_by_key(|row| row.kernel);
    Ok(Examined {
        tier: tier.to_string(),
        tier_reason: tier.reason(),
        compiled: compiled.entry_points,
        not_compiled: compiled.problems,
        timed_by: clock,
        kernels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{inspect::inspect, shader_table},
        kernels::testing::{gpu, gpu_with},
    };
    use std::collections::BTreeSet;

    #[test]
    fn a_software_adapter_runs_every_permutation_on_its_two_tiers() {
        let (Some(native), Some(portable)) = (gpu(), gpu_with(|options| options.tier = Some(Tier::Portable))) else {
            return;
        };
        let Device::Gpu(opened) = &native else { unreachable!("the tests' adapter is one") };
        if !opened.broadcasts() {
            eprintln!("skipped: this adapter has no use for the permutations of software");
            return;
        }
        for case in cases::all() {
            (case.run)(&native).unwrap();
            (case.run)(&portable).unwrap();
        }
        let ran: BTreeSet<_> = [&native, &portable]
            .into_iter()
            .flat_map(|device| match device {
                Device::Gpu(gpu) => gpu.pipelines_made(),
                Device::Cpu(_) => Vec::new(),
            })
            .map(|(kernel, variant, _)| (kernel, variant))
            .collect();
        let all: BTreeSet<_> = shader_table::ALL.iter().map(|variant| (variant.kernel, variant.name)).collect();
        let missing: Vec<_> = all.difference(&ran).collect();
        assert!(missing.is_empty(), "no case runs {missing:?}");
    }

    #[test]
    fn an_adapter_that_lacks_something_is_not_opened() {
        for mut adapter in block_on(inspect(&DeviceChoice::Auto)).unwrap() {
            adapter.details.problem = Some("too small".into());
            let report = report(&adapter, false, &|_| panic!("no kernel is to run")).unwrap();
            assert!(report.examined.is_none() && report.holds());
        }
    }
}
