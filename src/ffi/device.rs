//! Devices.

use super::{
    pointer::{free, out, put, put_handle, shared, text},
    status::{Status, answer},
};
use crate::device::{DeviceChoice, DeviceOptions};
use std::ffi::c_char;

/// A GPU, or the CPU.
pub struct Device(pub(super) crate::Device);

/// Memory of a device, in bytes.
#[repr(C)]
pub struct Memory {
    /// Held by models and by what is being computed.
    pub live: u64,
    /// The same, and what is kept for reuse.
    pub held: u64,
    /// The limit of `held`.
    pub budget: u64,
}

/// Opens a device. `choice` is `"auto"` (a GPU, else the CPU; so is null), `"gpu"`, `"cpu"`, or part of an adapter's name;
/// `budget` is the most bytes that it may hold, 0 for no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_device_open(choice: *const c_char, budget: u64, device: *mut *mut Device) -> Status {
    answer(|| {
        let device = out(device, "device")?;
        // SAFETY: the caller ends the text with a zero.
        let choice = if choice.is_null() { "auto" } else { unsafe { text(choice, "choice") }? };
        let choice = match choice.parse() {
            Ok(choice) => choice,
            Err(never) => match never {},
        };
        let budget = if budget == 0 { u64::MAX } else { budget };
        let choice: DeviceChoice = choice;
        let opened = crate::Device::open_blocking(DeviceOptions { choice, budget, ..DeviceOptions::default() })?;
        // SAFETY: the caller owns the place.
        unsafe { put_handle(device, Device(opened)) };
        Ok(())
    })
}

/// What a device holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_device_memory(device: *const Device, memory: *mut Memory) -> Status {
    answer(|| {
        // SAFETY: the caller keeps the device alive and owns the place.
        let use_ = unsafe { shared(device, "device") }?.0.memory();
        let memory = out(memory, "memory")?;
        // SAFETY: as above.
        unsafe { put(memory, Memory { live: use_.live, held: use_.held, budget: use_.budget }) };
        Ok(())
    })
}

/// Frees a device; its segmenters go on. Null is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_device_free(device: *mut Device) {
    // SAFETY: the caller frees it once.
    unsafe { free(device) }
}
