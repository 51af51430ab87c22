//! What the kernels' tests share: devices, sizes and golden files.

pub(crate) use super::noise::{Noise, neighbors};
use crate::{
    Device,
    device::{DeviceChoice, DeviceOptions, Element, Tensor},
};
use safetensors::{Dtype, SafeTensors};
use std::{collections::HashMap, path::PathBuf, sync::OnceLock};

/// Row counts of the kernel test matrix: nothing, one, less than a workgroup, and not a multiple of one.
pub(crate) const SIZES: [usize; 4] = [0, 1, 15, 1025];

/// The adapter under test, with poisoned buffers: the one that `POINTTPA_TEST_DEVICE` names, else the best there is,
/// software included. `None`, said once, on a machine without any.
pub(crate) fn gpu() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let device = gpu_with(|_| {});
            if device.is_none() {
                eprintln!("skipped: no adapter");
            }
            device
        })
        .clone()
}

/// Another device on the adapter of [`gpu`], with poisoned buffers and options of its own.
pub(crate) fn gpu_with(change: impl FnOnce(&mut DeviceOptions)) -> Option<Device> {
    let named = std::env::var("POINTTPA_TEST_DEVICE").ok();
    // Every name contains the empty one.
    let choice = DeviceChoice::Named(named.clone().unwrap_or_default());
    let mut options = DeviceOptions { choice, poison: true, ..DeviceOptions::default() };
    change(&mut options);
    match Device::open_blocking(options) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(named.is_none(), "POINTTPA_TEST_DEVICE: {error}");
            None
        }
    }
}

/// The CPU, with poisoned buffers.
pub(crate) fn cpu() -> Device {
    let options = DeviceOptions { choice: DeviceChoice::Cpu, poison: true, ..DeviceOptions::default() };
    Device::open_blocking(options).expect("the CPU always opens")
}

/// The CPU and, where there is one, the adapter of [`gpu`].
pub(crate) fn devices() -> Vec<Device> {
    std::iter::once(cpu()).chain(gpu()).collect()
}

/// `data` on `device`.
pub(crate) fn put<T: Element>(device: &Device, shape: &[usize], data: &[T]) -> Tensor {
    Tensor::from_slice(device, shape, data).expect("test data fits")
}

/// The elements of `tensor`.
pub(crate) fn get<T: Element>(tensor: &Tensor) -> Vec<T> {
    pollster::block_on(tensor.to_vec()).expect("test data can be read back")
}

/// A golden file: tensors recorded from the reference.
pub(crate) struct Golden {
    bytes: Vec<u8>,
    /// The header's `__metadata__`.
    pub(crate) metadata: HashMap<String, String>,
}

/// A golden that is part of this repository.
pub(crate) fn golden(name: &str) -> Golden {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    Golden::read(&path).unwrap_or_else(|| panic!("{} is part of the repository", path.display()))
}

/// A golden of the shared data folder: `POINTTPA_SHARED`, else `../shared` beside the manifest.
pub(crate) fn shared_golden(name: &str) -> Option<Golden> {
    let folder = std::env::var_os("POINTTPA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let golden = Golden::read(&folder.join("goldens").join(name));
    if golden.is_none() {
        eprintln!("skipped: no shared data ({name})");
    }
    golden
}

impl Golden {
    fn read(path: &std::path::Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a golden is a safetensors file");
        Some(Self { metadata: header.metadata().clone().unwrap_or_default(), bytes })
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("a golden is a safetensors file")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors().tensor(name).is_ok()
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).unwrap_or_else(|_| panic!("golden tensor {name}")).shape().to_vec()
    }

    /// A tensor of integers.
    pub(crate) fn integers(&self, name: &str) -> Vec<i64> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap_or_else(|_| panic!("golden tensor {name}"));
        match tensor.dtype() {
            Dtype::I64 => bytemuck::pod_collect_to_vec(tensor.data()),
            Dtype::I32 => bytemuck::pod_collect_to_vec::<u8, i32>(tensor.data()).into_iter().map(i64::from).collect(),
            other => panic!("golden tensor {name} holds {other:?}, not integers"),
        }
    }

    /// A tensor of floats.
    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap_or_else(|_| panic!("golden tensor {name}"));
        assert_eq!(tensor.dtype(), Dtype::F32, "golden tensor {name}");
        bytemuck::pod_collect_to_vec(tensor.data())
    }
}
