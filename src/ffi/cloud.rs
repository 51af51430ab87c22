//! Scans.

use super::{
    Segmentation, Segmenter,
    pointer::{free, out, put_handle, rows, shared, text},
    status::{Failure, Status, answer},
};
use crate::{PointCloud, scan};
use std::{ffi::c_char, path::Path};

/// The points of a scan.
pub struct Cloud(Origin);

/// Where the points came from, and so how they are written.
enum Origin {
    File(Box<scan::Scan>),
    Memory(PointCloud),
}

impl Cloud {
    pub(super) fn points(&self) -> &PointCloud {
        match &self.0 {
            Origin::File(scan) => &scan.cloud,
            Origin::Memory(cloud) => cloud,
        }
    }
}

/// Reads a scan from a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_cloud_read(path: *const c_char, cloud: *mut *mut Cloud) -> Status {
    answer(|| {
        // SAFETY: the caller ends the text with a zero, and owns the place.
        let (path, cloud) = (unsafe { text(path, "path") }?, out(cloud, "cloud")?);
        let read = scan::read(Path::new(path))?;
        // SAFETY: as above.
        unsafe { put_handle(cloud, Cloud(Origin::File(Box::new(read)))) };
        Ok(())
    })
}

/// Makes a scan of `n` points, copying what is given: `positions` `[n, 3]` in metres with z up; `colors` `[n, 3]`, red, green and
/// blue in 0 to 255, or null; `normals` `[n, 3]`, or null, where they are estimated if the model wants them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_cloud_new(
    n: usize,
    positions: *const f32,
    colors: *const f32,
    normals: *const f32,
    cloud: *mut *mut Cloud,
) -> Status {
    answer(|| {
        let cloud = out(cloud, "cloud")?;
        // SAFETY: the caller has `n` rows at each.
        let column = |pointer, what| unsafe { rows(pointer, n, what) }.map(|rows| rows.map(<[[f32; 3]]>::to_vec));
        let positions = column(positions, "positions")?.ok_or_else(|| Failure::argument("positions", "is null"))?;
        let made = PointCloud::new(positions, [0.0; 3], column(colors, "colors")?, column(normals, "normals")?, None)?;
        // SAFETY: the caller owns the place.
        unsafe { put_handle(cloud, Cloud(Origin::Memory(made))) };
        Ok(())
    })
}

/// The number of points; 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_cloud_len(cloud: *const Cloud) -> usize {
    // SAFETY: the caller keeps it alive.
    unsafe { cloud.as_ref() }.map_or(0, |cloud| cloud.points().len())
}

/// Writes a scan with its labels as PLY: what a scan from a file had is kept. The file appears whole or not at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_cloud_write(
    cloud: *const Cloud,
    segmentation: *const Segmentation,
    segmenter: *const Segmenter,
    path: *const c_char,
) -> Status {
    answer(|| {
        // SAFETY: the caller keeps the handles alive, and ends the text with a zero.
        let (cloud, found, segmenter, path) = unsafe {
            let found = &shared(segmentation, "segmentation")?.found;
            let segmenter = &shared(segmenter, "segmenter")?.segmenter;
            (shared(cloud, "cloud")?, found, segmenter, Path::new(text(path, "path")?))
        };
        let set = &segmenter.model().info().labels;
        match &cloud.0 {
            Origin::File(scan) => scan::write_labelled(path, scan, &found.labels, &found.confidence, set, false)?,
            Origin::Memory(cloud) => {
                let rows = (found.labels.len(), cloud.len());
                if rows.0 != rows.1 {
                    let problem = format!("has {} labels, and there are {} points", rows.0, rows.1);
                    return Err(Failure::argument("segmentation", &problem));
                }
                let labelled = PointCloud { labels: Some(found.labels.clone()), ..cloud.clone() };
                scan::write_cloud(path, &labelled, set)?;
            }
        }
        Ok(())
    })
}

/// Frees a scan; null is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pointtpa_cloud_free(cloud: *mut Cloud) {
    // SAFETY: the caller frees it once.
    unsafe { free(cloud) }
}
