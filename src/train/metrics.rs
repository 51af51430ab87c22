//! How well predicted labels agree with true ones: the confusion matrix, and the scores of it.
//!
//! With TP, FP and FN the points of a class that are found, wrongly named, and missed, over all scans together:
//!
//! ```text
//! IoU      = TP / (TP + FP + FN + 1e-10)      mIoU   = mean of IoU over classes
//! accuracy = TP / (TP + FN + 1e-10)           mAcc   = mean of accuracy over classes
//!                                             allAcc = sum of TP / (points + 1e-10)
//! ```
//!
//! Source: Pointcept's `SemSegTester` and `intersection_and_union`. As there, the headline means are over all classes
//! of the model, and a class without a true point counts with an IoU and an accuracy of 0; [`Scores::miou_present`]
//! and [`Scores::macc_present`] are the means over the classes that have one. Points whose truth is -1 are ignored
//! whatever was predicted there.

use serde_json::{Value, json};

use crate::{Error, LabelSet, Result, scan::Class};

/// Added to every denominator, as the reference does.
const EPSILON: f64 = 1e-10;

/// How often each true class was given each label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `[classes, classes + 1]`: row the truth, column the prediction, the last one for points without a prediction.
    counts: Vec<u64>,
    ignored: u64,
}

/// The scores of a [`ConfusionMatrix`]; shares from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Mean IoU over all classes.
    pub miou: f64,
    /// Mean accuracy over all classes.
    pub macc: f64,
    /// Share of points with the right label.
    pub all_acc: f64,
    /// Mean IoU over the classes with a true point; 0 without any.
    pub miou_present: f64,
    /// Mean accuracy over the classes with a true point; 0 without any.
    pub macc_present: f64,
    /// Number of classes with a true point.
    pub present: usize,
    /// Points with a true class.
    pub points: u64,
    /// Points without one, which count nowhere.
    pub ignored: u64,
    /// One per class, in the order of their ids.
    pub classes: Vec<ClassScores>,
}

/// The scores of one class; shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Points found, of those that are of the class or were taken for it.
    pub iou: f64,
    /// Points found, of those that are of the class (recall).
    pub accuracy: f64,
    /// Points that are of the class.
    pub points: u64,
    /// Points that were taken for it, right or wrong.
    pub predicted: u64,
}

impl Scores {
    /// An object per class, as logs and results have it: `id`, `name`, `iou`, `accuracy`, `points`, `predicted`.
    pub fn class_rows(&self, labels: &LabelSet) -> Vec<Value> {
        let row = |(class, of): (&Class, &ClassScores)| {
            json!({
                "id": class.id,
                "name": class.name,
                "iou": of.iou,
                "accuracy": of.accuracy,
                "points": of.points,
                "predicted": of.predicted,
            })
        };
        labels.classes.iter().zip(&self.classes).map(row).collect()
    }
}

impl ConfusionMatrix {
    /// An empty matrix of that many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * (classes + 1)], ignored: 0 }
    }

    /// Counts points: `truth` `[n]`, class ids or negative for points to ignore; `prediction` `[n]`, class ids or
    /// negative for points without a prediction, which are missed.
    ///
    /// # Errors
    /// [`Error::Argument`] for columns of different length and ids beyond the last class; nothing is counted then.
    pub fn add(&mut self, truth: &[i32], prediction: &[i32]) -> Result<()> {
        let refuse =
            |problem: String, advice: &str| Error::Argument { what: "labels".into(), problem, advice: advice.into() };
        if truth.len() != prediction.len() {
            let problem = format!("{} true ones and {} predicted ones", truth.len(), prediction.len());
            return Err(refuse(problem, "Give one of each per point"));
        }
        let beyond = |label: &&i32| usize::try_from(**label).is_ok_and(|label| label >= self.classes);
        if let Some(label) = truth.iter().chain(prediction).find(beyond) {
            let problem = format!("{label} is not the id of one of {} classes", self.classes);
            return Err(refuse(problem, "Use ids from 0, and -1 for points to ignore"));
        }
        for (truth, prediction) in truth.iter().zip(prediction) {
            let Ok(truth) = usize::try_from(*truth) else {
                self.ignored += 1;
                continue;
            };
            let prediction = usize::try_from(*prediction).unwrap_or(self.classes);
            self.counts[truth * (self.classes + 1) + prediction] += 1;
        }
        Ok(())
    }

    /// Adds the counts of another matrix, for example of another scan.
    ///
    /// # Errors
    /// [`Error::Argument`] if it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.classes != other.classes {
            return Err(Error::Argument {
                what: "confusion matrix".into(),
                problem: format!("one of {} classes cannot be added to one of {}", other.classes, self.classes),
                advice: "Add up runs of models with the same classes".into(),
            });
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.ignored += other.ignored;
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Points of class `truth` that were labelled `prediction`.
    ///
    /// # Panics
    /// If one of the two is not below [`Self::classes`].
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        assert!(prediction < self.classes, "class {prediction} of {}", self.classes);
        self.row(truth)[prediction]
    }

    /// Points of class `truth` that have no prediction.
    ///
    /// # Panics
    /// If it is not below [`Self::classes`].
    pub fn missing(&self, truth: usize) -> u64 {
        self.row(truth)[self.classes]
    }

    /// What each score is.
    pub fn scores(&self) -> Scores {
        let share = |part: u64, whole: u64| part as f64 / (whole as f64 + EPSILON);
        let mut found = 0;
        let classes: Vec<ClassScores> = (0..self.classes)
            .map(|class| {
                let right = self.count(class, class);
                let points: u64 = self.row(class).iter().sum();
                let predicted: u64 = (0..self.classes).map(|truth| self.count(truth, class)).sum();
                found += right;
                let (iou, accuracy) = (share(right, points + predicted - right), share(right, points));
                ClassScores { iou, accuracy, points, predicted }
            })
            .collect();
        let present: Vec<&ClassScores> = classes.iter().filter(|class| class.points > 0).collect();
        let mean = |sum: f64, count: usize| sum / count.max(1) as f64;
        let points = classes.iter().map(|class| class.points).sum();
        Scores {
            miou: mean(classes.iter().map(|class| class.iou).sum(), classes.len()),
            macc: mean(classes.iter().map(|class| class.accuracy).sum(), classes.len()),
            all_acc: share(found, points),
            miou_present: mean(present.iter().map(|class| class.iou).sum(), present.len()),
            macc_present: mean(present.iter().map(|class| class.accuracy).sum(), present.len()),
            present: present.len(),
            points,
            ignored: self.ignored,
            classes,
        }
    }

    fn row(&self, truth: usize) -> &[u64] {
        &self.counts[truth * (self.classes + 1)..][..=self.classes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three classes, worked by hand: class 0 has 4 points of which 2 are found, one is taken for class 1 and one has no
    /// prediction; class 1 has 2, both found; class 2 has none and was seen once, where class 1... is ignored.
    fn worked() -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(3);
        matrix.add(&[0, 0, 0, 0, 1, 1, -1, -1], &[0, 0, 1, -1, 1, 1, 2, 0]).unwrap();
        matrix
    }

    #[test]
    fn scores_are_those_worked_by_hand() {
        let scores = worked().scores();
        // The only rounding is that of the 1e-10 in the denominators: below 1e-9 of a share.
        let close = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} against {expected}");
        let [zero, one, two] = scores.classes[..] else { panic!("three classes") };
        close(zero.iou, 2.0 / 4.0);
        close(zero.accuracy, 2.0 / 4.0);
        close(one.iou, 2.0 / 3.0);
        close(one.accuracy, 1.0);
        assert_eq!((two.iou, two.accuracy, two.points, two.predicted), (0.0, 0.0, 0, 0));
        assert_eq!((zero.points, zero.predicted, one.points, one.predicted), (4, 2, 2, 3));
        close(scores.miou, (0.5 + 2.0 / 3.0) / 3.0);
        close(scores.miou_present, f64::midpoint(0.5, 2.0 / 3.0));
        close(scores.macc, 0.5);
        close(scores.macc_present, 0.75);
        close(scores.all_acc, 4.0 / 6.0);
        assert_eq!((scores.present, scores.points, scores.ignored), (2, 6, 2));
        assert_eq!((worked().count(0, 1), worked().missing(0), worked().missing(1)), (1, 1, 0));
    }

    #[test]
    fn the_reference_s_epsilon_is_in_the_union() {
        let mut matrix = ConfusionMatrix::new(1);
        matrix.add(&[0], &[0]).unwrap();
        assert_eq!(matrix.scores().classes[0].iou, 1.0 / (1.0 + 1e-10));
    }

    #[test]
    fn scans_add_up_and_other_classes_do_not() {
        let mut parts = ConfusionMatrix::new(3);
        parts.add(&[0, 0, 0], &[0, 0, 1]).unwrap();
        let mut rest = ConfusionMatrix::new(3);
        rest.add(&[0, 1, 1, -1, -1], &[-1, 1, 1, 2, 0]).unwrap();
        parts.merge(&rest).unwrap();
        assert_eq!(parts, worked());
        assert!(parts.merge(&ConfusionMatrix::new(2)).is_err());
    }

    #[test]
    fn labels_outside_the_classes_are_refused_and_counted_nowhere() {
        let mut matrix = worked();
        for (truth, prediction) in [(vec![0, 3], vec![0, 0]), (vec![0, 0], vec![0, 3]), (vec![0], vec![])] {
            assert!(matrix.add(&truth, &prediction).is_err());
        }
        assert_eq!(matrix, worked());
    }

    #[test]
    fn nothing_to_score_scores_nothing() {
        for classes in [0, 2] {
            let scores = ConfusionMatrix::new(classes).scores();
            assert_eq!((scores.miou, scores.macc, scores.all_acc, scores.miou_present), (0.0, 0.0, 0.0, 0.0));
        }
    }
}
