//! Which device, and which model.

use std::path::Path;

use pointtpa::Device;
use pointtpa::device::DeviceOptions;
use pointtpa::model::adapter_file::AdapterFile;
use pointtpa::model::bundled;
use pointtpa::model::weights::ModelFile;

use super::arguments::Global;
use super::exit::{Failure, Outcome};

/// The device that the options ask for; the library says which one it is and why.
pub(crate) fn device(global: &Global) -> Outcome<Device> {
    Ok(Device::open_blocking(device_options(global))?)
}

/// How to open the device that the options ask for.
pub(crate) fn device_options(global: &Global) -> DeviceOptions {
    DeviceOptions {
        choice: global.device.clone(),
        budget: global.memory.map_or(u64::MAX, |size| size.0),
        ..DeviceOptions::default()
    }
}

/// The model that `--model` names, or the one that comes with the program.
pub(crate) fn model(path: Option<&Path>) -> Outcome<ModelFile> {
    match path {
        Some(path) => Ok(ModelFile::open(path)?),
        None => match bundled::rooms() {
            Some(file) => Ok(file?),
            None => Err(Failure::usage(
                "no model is built into this program: name one with `--model FILE`. \
                 `pointtpa init -o model.safetensors` writes an untrained one",
            )),
        },
    }
}

/// [`model`] with what `--adapter` names laid over it.
pub(crate) fn adapted_model(path: Option<&Path>, adapter: Option<&Path>) -> Outcome<ModelFile> {
    let Some(adapter) = adapter else { return model(path) };
    // A damaged adapter is told before a large base is read.
    let adapter = AdapterFile::open(adapter)?;
    Ok(adapter.overlay(model(path)?)?)
}
