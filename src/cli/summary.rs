//! What `pointtpa segment` says about a labelled scan.

use std::cmp::Reverse;
use std::collections::HashMap;

use pointtpa::scan::{Class, Up, Warning};
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
    /// Channels of the features, if those were written and no labels.
    pub(crate) features: Option<usize>,
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
                let percent = self.percent(count);
                json!({"id": class.id, "name": class.name, "count": count, "percent": percent})
            })
            .collect();
        let mut value = json!({
            "file": self.job.input.display().to_string(),
            "output": self.job.output.display().to_string(),
            "points": self.points,
            "voxels": self.segmentation.voxels,
            "passes": self.segmentation.passes,
            "skipped_points": self.segmentation.skipped,
            "unlabelled_points": self.unlabelled(),
            "grid_size": self.grid_size,
            "up": self.up.name(),
            "scale": self.scale,
            "seconds": seconds,
            "peak_memory_bytes": self.segmentation.peak_bytes,
            "class_counts": counts,
            "label_set": (self.features.is_none()).then_some(&self.labels.name),
            "device": self.device,
            "model": self.model,
            "adapter": self.adapter,
            "warnings": self.warnings,
        });
        if let (Some(channels), Value::Object(value)) = (self.features, &mut value) {
            value.insert("feature_channels".to_owned(), json!(channels));
        }
        value
    }

    pub(crate) fn text(&self) -> String {
        let Segmentation { voxels, peak_bytes, .. } = &self.segmentation;
        let (input, output) = (self.job.input.display(), self.job.output.display());
        let unlabelled = self.unlabelled();
        let without = if unlabelled > 0 { format!(", {unlabelled} points without a class") } else { String::new() };
        let title = format!("{input}: {} points, {voxels} voxels of {} m{without}", self.points, self.grid_size);
        let rows: Vec<Vec<String>> = self
            .counts()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| {
                vec![String::new(), class.name.clone(), count.to_string(), format!("{:.1} %", self.percent(count))]
            })
            .collect();
        let device: f64 = self.segmentation.stages.iter().map(|(_, time)| time).sum();
        let end = format!(
            "{:.2} s ({device:.2} s of it on the device), {} at most, written to {output}",
            self.total,
            spoken(*peak_bytes)
        );
        let middle = match self.features {
            Some(channels) => format!("  features of {channels} channels"),
            None => table(&rows, &[false, false, true, true]),
        };
        [title, middle, end].join("\n")
    }

    /// Points without a class: those without coordinates, and those whose class a map drops.
    fn unlabelled(&self) -> usize {
        self.segmentation.labels.iter().filter(|label| **label < 0).count()
    }

    /// Class and points of each class, most frequent first; none where no labels were written.
    fn counts(&self) -> Vec<(&Class, usize)> {
        if self.features.is_some() {
            return Vec::new();
        }
        let mut points: HashMap<i32, usize> = HashMap::new();
        for label in &self.segmentation.labels {
            *points.entry(*label).or_default() += 1;
        }
        let of = |class: &Class| i32::try_from(class.id).ok().and_then(|id| points.get(&id)).copied().unwrap_or(0);
        let mut counts: Vec<(&Class, usize)> = self.labels.classes.iter().map(|class| (class, of(class))).collect();
        counts.sort_by_key(|(class, count)| (Reverse(*count), class.id));
        counts
    }

    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.points.max(1) as f64
    }
}
