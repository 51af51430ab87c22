//! What `pointtpa segment` says about a labelled scan.

use pointtpa::scan::{Up, Warning};
use pointtpa::{LabelSet, Segmentation};
use serde_json::{Map, Value, json};

use super::inputs::Job;
use super::memory_size::spoken;
use super::table::table;

/// A labelled scan, and what it took.
pub(crate) struct Summary {
    pub(crate) job: Job,
    pub(crate) points: usize,
    pub(crate) device: String,
    pub(crate) model: String,
    /// The adapter file that lies over it.
    pub(crate) adapter: Option<String>,
    pub(crate) grid_size: f64,
    pub(crate) labels: LabelSet,
    /// Which direction of the scan the model saw as up.
    pub(crate) up: Up,
    /// What its coordinates were multiplied by for the model.
    pub(crate) scale: f64,
    /// Seconds.
    pub(crate) read: f64,
    /// Seconds.
    pub(crate) write: f64,
    /// Seconds.
    pub(crate) total: f64,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) segmentation: Segmentation,
}

impl Summary {
    pub(crate) fn json(&self) -> Value {
        let mut seconds = Map::new();
        let stages = self.segmentation.stages.iter().map(|(stage, time)| (stage.as_str(), *time));
        let all = [("read", self.read)].into_iter().chain(stages).chain([("write", self.write), ("total", self.total)]);
        for (stage, time) in all {
            seconds.insert(stage.to_owned(), json!(time));
        }
        let counts: Vec<Value> = self
            .counts()
            .into_iter()
            .map(|(class, count)| {
                let class = &self.labels.classes[class];
                let percent = self.percent(count);
                json!({"id": class.id, "name": class.name, "count": count, "percent": percent})
            })
            .collect();
        json!({
            "file": self.job.input.display().to_string(),
            "output": self.job.output.display().to_string(),
            "points": self.points,
            "voxels": self.segmentation.voxels,
            "passes": self.segmentation.passes,
            "skipped_points": self.segmentation.skipped,
            "grid_size": self.grid_size,
            "up": self.up.name(),
            "scale": self.scale,
            "seconds": seconds,
            "peak_memory_bytes": self.segmentation.peak_bytes,
            "class_counts": counts,
            "label_set": self.labels.name,
            "device": self.device,
            "model": self.model,
            "adapter": self.adapter,
            "warnings": self.warnings,
        })
    }

    pub(crate) fn text(&self) -> String {
        let Segmentation { voxels, skipped, peak_bytes, .. } = &self.segmentation;
        let (input, output) = (self.job.input.display(), self.job.output.display());
        let without = if *skipped > 0 { format!(", {skipped} points without a class") } else { String::new() };
        let title = format!("{input}: {} points, {voxels} voxels of {} m{without}", self.points, self.grid_size);
        let rows: Vec<Vec<String>> = self
            .counts()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| {
                let name = self.labels.classes[class].name.clone();
                vec![String::new(), name, count.to_string(), format!("{:.1} %", self.percent(count))]
            })
            .collect();
        let device: f64 = self.segmentation.stages.iter().map(|(_, time)| time).sum();
        let end = format!(
            "{:.2} s ({device:.2} s of it on the device), {} at most, written to {output}",
            self.total,
            spoken(*peak_bytes)
        );
        [title, table(&rows, &[false, false, true, true]), end].join("\n")
    }

    /// Class and points of each class, most frequent first.
    fn counts(&self) -> Vec<(usize, usize)> {
        let mut counts: Vec<(usize, usize)> = (0..self.labels.classes.len()).map(|class| (class, 0)).collect();
        for label in &self.segmentation.labels {
            if let Some((_, count)) = usize::try_from(*label).ok().and_then(|label| counts.get_mut(label)) {
                *count += 1;
            }
        }
        counts.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
        counts
    }

    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.points.max(1) as f64
    }
}
