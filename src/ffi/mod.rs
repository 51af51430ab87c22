//! The library for C and whatever calls C: opaque handles, status codes, and a message for every failure.
//!
//! `capi/` builds it as a shared and a static library; `capi/include/pointtpa.h` is made from this module by
//! `cargo xtask header`. What holds for all of it:
//!
//! - A function that can fail returns a [`Status`]; what went wrong stands in [`pointtpa_last_error`], kept per thread. Where
//!   it fails, what its out-parameters point to is left as it was.
//! - A handle is made by one function and freed by another, once, when no call uses it any more. Until then any number of
//!   threads may use it at once. Handles do not depend on each other's lifetime: a device may be freed before its segmenters.
//! - Null and wrong lengths are errors, never a crash, where C allows them to be seen: what a pointer points to has to be there.
//! - Text is UTF-8 and ends with a zero. A panic, which would be a fault of this library, becomes [`Status::Internal`].
//!
//! This module alone may use `unsafe`, because it is handed pointers; [`pointer`] is where it looks at them.
#![allow(unsafe_code, reason = "C hands over pointers")]
#![allow(clippy::missing_safety_doc, reason = "what callers owe stands above, once for all functions")]

mod cloud;
mod device;
mod pointer;
mod segmentation;
mod segmenter;
mod status;

pub use cloud::{
    Cloud, pointtpa_cloud_free, pointtpa_cloud_len, pointtpa_cloud_new, pointtpa_cloud_read, pointtpa_cloud_write,
};
pub use device::{Device, Memory, pointtpa_device_free, pointtpa_device_memory, pointtpa_device_open};
pub use segmentation::{
    Segmentation, pointtpa_segmentation_confidence, pointtpa_segmentation_free, pointtpa_segmentation_labels,
    pointtpa_segmentation_len, pointtpa_segmentation_voxels, pointtpa_segmentation_warning,
};
pub use segmenter::{
    Class, Options, Segmenter, pointtpa_segment, pointtpa_segmenter_class, pointtpa_segmenter_classes,
    pointtpa_segmenter_free, pointtpa_segmenter_open,
};
pub use status::{Status, pointtpa_last_error, pointtpa_version};
