//! Labels.

use super::{
    pointer::{copy, free, shared},
    status::{Status, answer, c_text},
};
use std::{
    ffi::{CString, c_char},
    ptr::null,
};

/// The labels of a scan.
pub struct Segmentation {
    pub(super) found: crate::Segmentation,
    warnings: Vec<CString>,
}

impl From<crate::Segmentation> for Segmentation {
    fn from(found: crate::Segmentation) -> Self {
        Self { warnings: found.warnings.iter().map(|warning| c_text(warning)).collect(), found }
    }
}

/// The number of points, which is the scan's; 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_len(segmentation: *const Segmentation) -> usize {
    // SAFETY: the caller keeps it alive.
    unsafe { segmentation.as_ref() }.map_or(0, |segmentation| segmentation.found.labels.len())
}

/// The number of voxels that the network saw; 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_voxels(segmentation: *const Segmentation) -> usize {
    // SAFETY: the caller keeps it alive.
    unsafe { segmentation.as_ref() }.map_or(0, |segmentation| segmentation.found.voxels)
}

/// Copies the class of every point, in the order of the scan, to `labels`, which has room for `n`: as many as there are
/// points. -1 stands where the coordinates are not finite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_labels(
    segmentation: *const Segmentation,
    labels: *mut i32,
    n: usize,
) -> Status {
    // SAFETY: the caller keeps it alive, and has room for `n` values.
    answer(|| unsafe { copy(&shared(segmentation, "segmentation")?.found.labels, labels, n, "labels") })
}

/// Copies the probability of every point's label, 0 to 1, to `confidence`, which has room for `n`: as many as there are points.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_confidence(
    segmentation: *const Segmentation,
    confidence: *mut f32,
    n: usize,
) -> Status {
    // SAFETY: the caller keeps it alive, and has room for `n` values.
    answer(|| unsafe { copy(&shared(segmentation, "segmentation")?.found.confidence, confidence, n, "confidence") })
}

/// What a user should know about the run, from `index` 0 on; null where there is no more. It lives as long as the segmentation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_warning(
    segmentation: *const Segmentation,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps it alive.
    let segmentation = unsafe { segmentation.as_ref() };
    segmentation.and_then(|found| found.warnings.get(index)).map_or(null(), |warning| warning.as_ptr())
}

/// Frees labels; null is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_segmentation_free(segmentation: *mut Segmentation) {
    // SAFETY: the caller frees it once.
    unsafe { free(segmentation) }
}
