//! One run over a scan: what the caller is told, and the clock.

use super::{Progress, SegmentOptions, Segmentation};
use crate::{Device, Error, Result};
use std::sync::atomic::Ordering;
// The standard library's clock is not there in a browser.
use web_time::Instant;

/// One run: what the caller is told, and the clock.
pub(super) struct Run<'a> {
    pub(super) options: &'a SegmentOptions<'a>,
    stages: Vec<(String, f64)>,
    pub(super) warnings: Vec<String>,
    since: Instant,
    /// Points that stand for a voxel, or with views all of them, whose normal says nothing.
    pub(super) unusable_normals: usize,
    /// The part of the run that steps are of, if they are of a part: its name, where it begins and where it ends.
    part: Option<(String, f64, f64)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(options: &'a SegmentOptions<'a>) -> Self {
        Self {
            options,
            stages: Vec::new(),
            warnings: Vec::new(),
            since: Instant::now(),
            unusable_normals: 0,
            part: None,
        }
    }

    /// Says what comes next; an error if the caller asked to stop.
    pub(super) fn step(&self, stage: &str, done: f64) -> Result<()> {
        if self.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Error::Cancelled);
        }
        if let Some(progress) = self.options.progress {
            progress(match &self.part {
                Some((name, from, to)) => Progress { stage: name, done: from + (to - from) * done },
                None => Progress { stage, done },
            });
        }
        Ok(())
    }

    /// What follows is a part of the run, to be told under this name, from one share of the whole to another.
    pub(super) fn within(&mut self, name: &str, from: f64, to: f64) {
        self.part = Some((name.to_owned(), from, to));
    }

    /// What follows is no part any more.
    pub(super) fn whole(&mut self) {
        self.part = None;
    }

    /// Notes the time since the last stage ended; a stage that comes again takes longer.
    pub(super) fn finish(&mut self, stage: &str) {
        let seconds = self.since.elapsed().as_secs_f64();
        match self.stages.iter_mut().find(|(name, _)| name == stage) {
            Some((_, sum)) => *sum += seconds,
            None => self.stages.push((stage.to_owned(), seconds)),
        }
        self.since = Instant::now();
    }

    /// Warns, once.
    pub(super) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Completes what was found by what the run saw.
    pub(super) fn end(mut self, device: &Device, found: Segmentation) -> Segmentation {
        if found.skipped > 0 {
            let warning = format!("{} points have no finite coordinates; they keep the label -1", found.skipped);
            self.warn(warning);
        }
        if self.unusable_normals > 0 {
            let what = if self.options.tta { "points" } else { "voxels" };
            self.warn(format!("{} {what} have a normal of zero or NaN; up is used instead", self.unusable_normals));
        }
        self.finish("labels");
        Segmentation { stages: self.stages, peak_bytes: device.memory().peak, warnings: self.warnings, ..found }
    }
}
