//! Models at work.

use super::{
    Cloud, Device, Segmentation,
    pointer::{free, out, put, put_handle, shared, text},
    status::{Failure, Status, answer, c_text},
};
use crate::{Progress, SegmentOptions, model::bundled, model::weights::ModelFile};
use std::{
    ffi::{CString, c_char, c_void},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// A model on a device.
pub struct Segmenter {
    pub(super) segmenter: crate::Segmenter,
    names: Vec<CString>,
}

/// A class.
#[repr(C)]
pub struct Class {
    /// Its name; it lives as long as the segmenter.
    pub name: *const c_char,
    /// Its colour: red, green and blue.
    pub color: [u8; 3],
}

/// How to segment a scan. Fill it with zeros for the defaults.
#[repr(C)]
pub struct Options {
    /// Edge of a voxel in metres; 0 takes the model's.
    pub grid_size: f64,
    /// Look from 13 directions: more accurate, and many times slower.
    pub tta: bool,
    /// Told of every step, on the thread that called `pointtpa_segment`, or null. `stage` is valid during the call, `done`
    /// is the share of the run, 0 to 1. It must not unwind or jump out.
    pub progress: Option<unsafe extern "C" fn(stage: *const c_char, done: f64, user: *mut c_void)>,
    /// Asked at every step, on the same thread, whether to stop; or null. The run then ends with `POINTTPA_STATUS_CANCELLED`.
    pub cancel: Option<unsafe extern "C" fn(user: *mut c_void) -> bool>,
    /// Handed to both.
    pub user: *mut c_void,
}

/// Brings a model file to a device; null takes the model for rooms that comes with the library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmenter_open(
    device: *const Device,
    path: *const c_char,
    segmenter: *mut *mut Segmenter,
) -> Status {
    answer(|| {
        // SAFETY: the caller keeps the device alive, ends the text with a zero, and owns the place.
        let device = unsafe { shared(device, "device") }?;
        let segmenter = out(segmenter, "segmenter")?;
        let file = if path.is_null() {
            bundled::rooms().ok_or_else(|| Failure::argument("path", "is null, and this build brings no model"))??
        } else {
            // SAFETY: as above.
            ModelFile::open(Path::new(unsafe { text(path, "path") }?))?
        };
        let (opened, _) = crate::Segmenter::open(&device.0, &file, None)?;
        let names = file.info().labels.classes.iter().map(|class| c_text(&class.name)).collect();
        // SAFETY: as above.
        unsafe { put_handle(segmenter, Segmenter { segmenter: opened, names }) };
        Ok(())
    })
}

/// The number of classes; 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmenter_classes(segmenter: *const Segmenter) -> usize {
    // SAFETY: the caller keeps it alive.
    unsafe { segmenter.as_ref() }.map_or(0, |segmenter| segmenter.names.len())
}

/// Tells `about` what label `index` stands for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmenter_class(
    segmenter: *const Segmenter,
    index: usize,
    about: *mut Class,
) -> Status {
    answer(|| {
        // SAFETY: the caller keeps the segmenter alive, and owns the place.
        let segmenter = unsafe { shared(segmenter, "segmenter") }?;
        let about = out(about, "about")?;
        let classes = &segmenter.segmenter.model().info().labels.classes;
        let (Some(class), Some(name)) = (classes.get(index), segmenter.names.get(index)) else {
            let problem = format!("is {index}, and there are {} classes", segmenter.names.len());
            return Err(Failure::argument("index", &problem));
        };
        // SAFETY: as above.
        unsafe { put(about, Class { name: name.as_ptr(), color: class.color }) };
        Ok(())
    })
}

/// Labels every point of a scan. `options` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segment(
    segmenter: *const Segmenter,
    cloud: *const Cloud,
    options: *const Options,
    segmentation: *mut *mut Segmentation,
) -> Status {
    answer(|| {
        // SAFETY: the caller keeps handles and options alive, and owns the place.
        let (segmenter, cloud, options) =
            unsafe { (shared(segmenter, "segmenter")?, shared(cloud, "cloud")?, options.as_ref()) };
        let segmentation = out(segmentation, "segmentation")?;
        let grid_size = options.map_or(0.0, |options| options.grid_size);
        if !(grid_size.is_finite() && grid_size >= 0.0) {
            return Err(Failure::argument("grid_size", &format!("is {grid_size}, a length in metres is needed")));
        }
        let stop = AtomicBool::new(false);
        let hear = |Progress { stage, done }: Progress<'_>| {
            let Some(options) = options else { return };
            if let Some(progress) = options.progress {
                // SAFETY: it is the caller's function, called with what it asked for.
                unsafe { progress(c_text(stage).as_ptr(), done, options.user) };
            }
            // SAFETY: as above.
            if options.cancel.is_some_and(|cancel| unsafe { cancel(options.user) }) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let heard = options.is_some_and(|options| options.progress.is_some() || options.cancel.is_some());
        let options = SegmentOptions {
            grid_size: (grid_size > 0.0).then_some(grid_size),
            tta: options.is_some_and(|options| options.tta),
            progress: heard.then_some(&hear),
            cancel: heard.then_some(&stop),
            ..SegmentOptions::default()
        };
        let found = segmenter.segmenter.segment_blocking(cloud.points(), &options)?;
        // The last step has nothing after it that would notice.
        if stop.into_inner() {
            return Err(crate::Error::Cancelled.into());
        }
        // SAFETY: as above.
        unsafe { put_handle(segmentation, found.into()) };
        Ok(())
    })
}

/// Frees a model; null is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmenter_free(segmenter: *mut Segmenter) {
    // SAFETY: the caller frees it once.
    unsafe { free(segmenter) }
}
