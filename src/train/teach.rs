//! Teaching a model on one scan: a person paints a few points, and head and adapter learn from them in seconds.
//!
//! Besides the painted points a lesson holds on to what the model knew: of the points that it was sure of and that do not
//! look like the painted ones to it, a random choice keeps its labels. So a chair that was a table becomes a chair, and
//! the floor stays the floor.

use super::LabelledScan;
use super::augment::Recipe;
use super::objective::LossKind;
use super::sample::{Batch, Sample};
use super::schedule::{Rates, Schedule};
use super::trainable::{Part, Trainable};
use super::trainer::{StepReport, Trainer, TrainerOptions};
use crate::kernels::adamw::AdamW;
use crate::model::adapt::{Adaptation, adapt};
use crate::model::adapter_settings::AdapterSettings;
use crate::model::preset::AdapterChoice;
use crate::model::weights::{ModelFile, ModelInfo};
use crate::synth::dice::Dice;
use crate::{Device, Error, LabelSet, PointCloud, Result, Segmentation};
use std::path::Path;

/// What learns: adapter and head.
pub const LEARNS: Trainable = Trainable { adapter: true, train: Part::Head };

/// Ten times the reference's rates: a lesson has some dozens of steps, and no time to warm up.
const RATES: Rates = Rates { block: 1e-3, other: 1e-2 };
/// The most voxels of a step: enough for what surrounds the painted points, and a fraction of a second on a CPU.
const MOST_VOXELS: usize = 12_000;
/// Parts of the scan that are looked at for a painted point before a step is given up.
const CROPS: u64 = 256;
/// A point is held on to if its label was at least as sure as this …
const SURE: f32 = 0.8;
/// … and if the cosine of its features with the mean of every painted class is below this.
const UNLIKE: f32 = 0.7;
/// Points held on to for every painted one.
const HELD: usize = 3;

/// What is taught.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The scan.
    pub cloud: &'a PointCloud,
    /// `[n]`: the class of every painted point, -1 for the others.
    pub painted: &'a [i32],
    /// The classes: those of the model, in their order, and new ones after them.
    pub labels: &'a LabelSet,
    /// What the model says of the scan, with its details; without it nothing is held on to.
    pub known: Option<&'a Segmentation>,
    /// Edge of a voxel, metres; `None` takes the model's.
    pub grid_size: Option<f64>,
}

/// A model that is being taught.
pub struct Teacher {
    file: ModelFile,
    trainer: Trainer,
    scan: LabelledScan,
    recipe: Recipe,
    seed: u64,
}

impl Teacher {
    /// Prepares a lesson for `base`, which gets a low-rank adapter if it has none.
    ///
    /// # Errors
    /// [`Error::Argument`] for a lesson without a painted point, whose columns do not fit or whose classes do not begin with
    /// the model's; those of [`adapt`], [`LabelledScan::from_cloud`] and [`Trainer::new`].
    pub async fn new(device: &Device, base: ModelFile, lesson: &Lesson<'_>, seed: u64) -> Result<Self> {
        check(lesson, &base.info().labels)?;
        let settings = AdapterSettings::default();
        let adapted = adapt(
            base,
            &Adaptation {
                adapter: Some(AdapterChoice::LowRank),
                settings: &settings,
                labels: lesson.labels,
                seed,
                may_start: &|name| LEARNS.trains(name),
            },
        )?;
        let grid_size = lesson.grid_size.unwrap_or(adapted.file.info().grid_size);
        let cloud = PointCloud { labels: Some(labels_of(lesson, seed)), ..lesson.cloud.clone() };
        let scan = LabelledScan::from_cloud(Path::new("the scan"), cloud, lesson.labels, grid_size).await?;
        let options = TrainerOptions {
            trainable: LEARNS,
            optimizer: AdamW::new(0.0),
            rates: RATES,
            schedule: Schedule::Constant(super::schedule::Setting { share: 1.0, beta1: 0.9 }),
            clip: TrainerOptions::REFERENCE_CLIP,
            loss: LossKind::CrossEntropy,
            class_weights: None,
            drop_path: 0.0,
            seed,
        };
        let trainer = Trainer::new(device, &adapted.file, options)?;
        let recipe = Recipe { grid_size, max_points: Some(MOST_VOXELS), ..Recipe::mild() };
        Ok(Self { file: adapted.file, trainer, scan, recipe, seed })
    }

    /// One step, on the scan turned and lit at random.
    ///
    /// # Errors
    /// As [`Trainer::step`], and [`Error::Argument`] if too little of a large scan is painted to be found.
    pub async fn step(&mut self) -> Result<StepReport> {
        let features = &self.file.info().features;
        // A crop may miss every painted point: then the next one is tried.
        for attempt in 0..CROPS {
            let stream = self.trainer.steps_done() * CROPS + attempt;
            let sample = Sample::augmented(&self.scan, &self.recipe, features, self.seed, stream)?;
            if sample.labels.iter().any(|label| *label >= 0) {
                return self.trainer.step(&[Batch::of(&[sample])]).await;
            }
        }
        Err(Error::Argument {
            what: "painted".to_owned(),
            problem: format!("none of {CROPS} random parts of the scan had a painted point"),
            advice: "Paint more points".to_owned(),
        })
    }

    /// The taught model.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn finish(self) -> Result<ModelFile> {
        let parameters = self.trainer.parameters().await?;
        let info = ModelInfo { provenance: Some(provenance(&self)), ..self.file.info().clone() };
        self.file.with_parameters(parameters.into_values())?.with_info(info)
    }
}

fn provenance(teacher: &Teacher) -> String {
    let before = teacher.file.info().provenance.as_ref().map_or_else(String::new, |before| format!("{before}; "));
    format!("{before}taught on one scan in {} steps", teacher.trainer.steps_done())
}

fn check(lesson: &Lesson<'_>, known: &LabelSet) -> Result<()> {
    let refuse = |what: &str, problem: String, advice: &str| {
        Err(Error::Argument { what: what.to_owned(), problem, advice: advice.to_owned() })
    };
    let n = lesson.cloud.len();
    if lesson.painted.len() != n {
        return refuse("painted", format!("{} rows for {n} points", lesson.painted.len()), "Give one row per point");
    }
    if !lesson.painted.iter().any(|label| *label >= 0) {
        return refuse("painted", "no point is".to_owned(), "Paint some points with a class");
    }
    let begins = lesson.labels.classes.iter().zip(&known.classes).all(|(a, b)| a.name == b.name);
    if !begins || lesson.labels.len() < known.len() {
        let problem = "they do not begin with the model's".to_owned();
        return refuse("classes", problem, "Give the model's classes in their order, and new ones after them");
    }
    Ok(())
}

/// The labels that are learned from: the painted ones, and those held on to.
fn labels_of(lesson: &Lesson<'_>, seed: u64) -> Vec<i32> {
    let mut labels = lesson.painted.to_vec();
    let Some(known) = lesson.known.filter(|known| known.labels.len() == labels.len()) else { return labels };
    let Some(details) = &known.details else { return labels };
    let painted = labels.iter().filter(|label| **label >= 0).count();
    let mut likeness = vec![f32::NEG_INFINITY; labels.len()];
    for class in 0..lesson.labels.len() as i32 {
        let points: Vec<usize> = (0..labels.len()).filter(|point| lesson.painted[*point] == class).collect();
        if points.is_empty() {
            continue;
        }
        let of_class = details.similar_to_all(&points);
        likeness.iter_mut().zip(of_class).for_each(|(most, cosine)| *most = most.max(cosine));
    }
    let mut held: Vec<usize> = (0..labels.len())
        .filter(|i| labels[*i] < 0 && known.labels[*i] >= 0 && known.confidence[*i] >= SURE && likeness[*i] < UNLIKE)
        .collect();
    // The first of a shuffle.
    let mut dice = Dice::new(seed, 0x686f_6c64);
    for place in 0..held.len().min(HELD * painted) {
        let other = place + dice.below(held.len() - place);
        held.swap(place, other);
        labels[held[place]] = known.labels[held[place]];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SegmentOptions;
    use crate::Segmenter;
    use crate::model::{config::Config, preset::Preset};
    use crate::synth::{Options, Room, ScannerOptions, scan};

    fn room() -> PointCloud {
        let camera = ScannerOptions { poses: 6, cell: 0.08, ..ScannerOptions::default() };
        scan(&Room::generate(&Options::default(), 3), &camera, 3)
    }

    fn model() -> ModelFile {
        let config = Config::preset(Preset::Rooms, AdapterChoice::None, 21).unwrap();
        let info = ModelInfo { grid_size: 0.1, ..ModelInfo::new(LabelSet::rooms()) };
        crate::model::adapt::fresh("base", config, info, 5).unwrap()
    }

    fn labels_with(name: &str) -> LabelSet {
        let all = LabelSet::rooms().classes.into_iter().map(|class| (class.name, class.color));
        LabelSet::new("rooms", all.chain([(name.to_owned(), [1, 2, 3])]))
    }

    #[test]
    fn a_lesson_teaches_a_new_class_and_keeps_the_others_rows() {
        let (device, cloud) = (Device::cpu(), room());
        let labels = labels_with("piano");
        // The upper half of the room is the new class, some of the rest is floor.
        let painted: Vec<i32> = cloud
            .positions
            .iter()
            .enumerate()
            .map(|(i, p)| {
                if i % 3 > 0 {
                    -1
                } else if p[2] > 1.3 {
                    21
                } else {
                    1
                }
            })
            .collect();
        let lesson = Lesson { cloud: &cloud, painted: &painted, labels: &labels, known: None, grid_size: None };
        let head = model().read("seg_head.bias").unwrap().to_f32().unwrap();
        let run = || {
            pollster::block_on(async {
                let mut teacher = Teacher::new(&device, model(), &lesson, 1).await.unwrap();
                let start = teacher.file.read("seg_head.bias").unwrap().to_f32().unwrap();
                assert_eq!(start[..21], head[..], "classes that are known keep their rows");
                let mut losses = Vec::new();
                for _ in 0..40 {
                    losses.push(teacher.step().await.unwrap().loss);
                }
                (losses, teacher.finish().await.unwrap())
            })
        };
        let (losses, taught) = run();
        assert!(losses[39] < 0.5 * losses[0], "{losses:?}");
        assert_eq!(run().0, losses, "the same lesson, the same bits");
        assert_eq!(taught.info().labels, labels);
        let (segmenter, _) = Segmenter::open(&device, &taught, None).unwrap();
        let found = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
        let right = (0..cloud.len()).filter(|i| painted[*i] >= 0 && found.labels[*i] == painted[*i]).count();
        let all = painted.iter().filter(|label| **label >= 0).count();
        // Half would be right by saying one class everywhere; an untrained backbone, which stays frozen, tells no more than
        // three quarters of them apart in 40 steps.
        assert!(right * 3 > all * 2, "{right} of {all}");
    }

    #[test]
    fn what_is_held_on_to_was_sure_unlike_and_at_most_so_much() {
        let (device, cloud) = (Device::cpu(), room());
        let (segmenter, _) = Segmenter::open(&device, &model(), None).unwrap();
        let options = SegmentOptions { details: true, ..SegmentOptions::default() };
        let mut known = segmenter.segment_blocking(&cloud, &options).unwrap();
        known.confidence.iter_mut().enumerate().for_each(|(i, c)| *c = if i % 2 == 0 { 0.9 } else { 0.3 });
        let mut painted = vec![-1; cloud.len()];
        painted[..10].fill(4);
        let labels = LabelSet::rooms();
        let lesson = Lesson { cloud: &cloud, painted: &painted, labels: &labels, known: Some(&known), grid_size: None };
        let learned = labels_of(&lesson, 1);
        assert_eq!(learned[..10], [4; 10]);
        let held: Vec<usize> = (10..cloud.len()).filter(|i| learned[*i] >= 0).collect();
        assert!(held.len() <= 10 * HELD && held.iter().all(|i| i % 2 == 0 && learned[*i] == known.labels[*i]));
        let like = known.details.as_ref().unwrap().similar_to_all(&(0..10).collect::<Vec<_>>());
        assert!(held.iter().all(|i| like[*i] < UNLIKE));
        assert_eq!(labels_of(&Lesson { known: None, ..lesson }, 1), painted);
    }

    #[test]
    fn what_is_no_lesson_is_refused() {
        let cloud = room();
        let (rooms, other) = (LabelSet::rooms(), LabelSet::scannet20());
        let none = vec![-1; cloud.len()];
        let some = vec![1; cloud.len()];
        for (painted, labels, message) in [
            (&none, &rooms, "painted: no point is"),
            (&vec![1], &rooms, "painted: 1 rows"),
            (&some, &other, "classes: they do not begin"),
        ] {
            let lesson = Lesson { cloud: &cloud, painted, labels, known: None, grid_size: None };
            let error =
                pollster::block_on(Teacher::new(&Device::cpu(), model(), &lesson, 1)).err().unwrap().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
