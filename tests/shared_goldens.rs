//! `pointtpa check` over the reference's recorded runs that are too large for this repository.

mod program;

use program::{adapter, command, shared};

/// Checks every recorded run on a device.
fn all_hold(device: &str, tier: Option<&str>) {
    let Some(folder) = shared("goldens") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "safetensors"));
    files.sort();
    let mut arguments: Vec<_> = ["check", "--json", "--device", device].map(std::ffi::OsString::from).to_vec();
    arguments.extend(files.iter().map(Into::into));
    let mut command = command(&arguments);
    if let Some(tier) = tier {
        command.env("POINTTPA_TIER", tier);
    }
    let run: program::Run = command.output().unwrap().into();
    let value = run.succeeds().json();
    let reports = value.as_array().unwrap();
    assert_eq!(reports.len(), files.len());
    for report in reports {
        assert_eq!(report["holds"], true, "{report:#}");
        println!("{}: {} compared", report["file"], report["compared"].as_array().unwrap().len());
    }
}

#[test]
fn they_hold_on_the_cpu() {
    all_hold("cpu", None);
}

#[test]
fn they_hold_on_the_adapter() {
    if let Some(name) = adapter() {
        all_hold(&name, None);
    }
}

#[test]
fn they_hold_on_the_adapter_with_portable_limits() {
    if let Some(name) = adapter() {
        all_hold(&name, Some("portable"));
    }
}
