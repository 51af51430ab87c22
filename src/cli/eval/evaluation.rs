//! What an evaluation found.

use pointtpa::LabelSet;
use pointtpa::train::metrics::{ConfusionMatrix, Scores};
use serde_json::{Value, json};

use super::pictures::Pictures;

/// A model against the truth.
pub(super) struct Evaluation {
    pub(super) model: String,
    pub(super) data: String,
    pub(super) device: String,
    pub(super) grid_size: f64,
    pub(super) tta: bool,
    pub(super) labels: LabelSet,
    pub(super) confusion: ConfusionMatrix,
    pub(super) scores: Scores,
    pub(super) scenes: Vec<Scene>,
    /// Of all of it.
    pub(super) seconds: f64,
    pub(super) warnings: Vec<String>,
}

/// One scan.
pub(super) struct Scene {
    pub(super) name: String,
    pub(super) scores: Scores,
    pub(super) voxels: usize,
    pub(super) passes: usize,
    /// From the points to their labels.
    pub(super) seconds: f64,
    pub(super) pictures: Option<Pictures>,
}

/// A class and one that it is taken for.
pub(super) struct Mistake {
    pub(super) truth: usize,
    pub(super) prediction: usize,
    pub(super) points: u64,
    /// Of the points of the true class, 0 to 1.
    pub(super) share: f64,
}

impl Evaluation {
    pub(super) fn json(&self) -> Value {
        let scores = &self.scores;
        let scenes: Vec<Value> = self
            .scenes
            .iter()
            .map(|scene| {
                json!({
                    "name": scene.name,
                    "miou_present": scene.scores.miou_present,
                    "all_acc": scene.scores.all_acc,
                    "points": scene.scores.points,
                    "ignored": scene.scores.ignored,
                    "voxels": scene.voxels,
                    "passes": scene.passes,
                    "seconds": scene.seconds,
                })
            })
            .collect();
        json!({
            "miou": scores.miou,
            "macc": scores.macc,
            "all_acc": scores.all_acc,
            "miou_present": scores.miou_present,
            "macc_present": scores.macc_present,
            "classes_present": scores.present,
            "points": scores.points,
            "ignored": scores.ignored,
            "classes": scores.class_rows(&self.labels),
            "scenes": scenes,
            "model": self.model,
            "data": self.data,
            "label_set": self.labels.name,
            "grid_size": self.grid_size,
            "tta": self.tta,
            "device": self.device,
            "seconds": self.seconds,
            "warnings": self.warnings,
        })
    }

    /// The most frequent mistakes, those of the most points first.
    pub(super) fn mistakes(&self, most: usize) -> Vec<Mistake> {
        let n = self.labels.len();
        let pairs = (0..n).flat_map(|truth| (0..n).map(move |prediction| (truth, prediction)));
        let mut mistakes: Vec<Mistake> = pairs
            .filter(|(truth, prediction)| truth != prediction && self.confusion.count(*truth, *prediction) > 0)
            .map(|(truth, prediction)| {
                let points = self.confusion.count(truth, prediction);
                let share = points as f64 / self.scores.classes[truth].points as f64;
                Mistake { truth, prediction, points, share }
            })
            .collect();
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.points));
        mistakes.truncate(most);
        mistakes
    }
}
