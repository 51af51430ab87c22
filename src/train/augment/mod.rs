//! The reference's augmentations of a training scan.
//!
//! A [`Recipe`] has the numbers. Steps run in the reference's order: the scene's middle over the origin and its lowest
//! point on z = 0; drop points; turn about z, x, y; scale; flip; jitter; bend; colours. Voxels, [`crop`] and the
//! second centring follow in [`super::sample`].
//!
//! Coordinates stay f32 from step to step. The reference's are f32 too, but f64 once a scan has been turned, which no
//! training notices. Source: the reference's `pointcept/datasets/transform.py` and its configurations for `ScanNet`.

mod color;
pub(super) mod crop;
mod elastic;
mod geometry;
mod noise;

use super::LabelledScan;
use crate::{Error, Result, geometry::center_shift::center_shift, synth::dice::Dice};
use geometry::Axis;
use serde::{Deserialize, Serialize};

/// Drops a share of the points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// How often, 0 to 1.
    pub probability: f64,
    /// Share of the points that go, 0 to 1.
    pub ratio: f64,
}

/// Turns a scan about an axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rotate {
    /// How often, 0 to 1.
    pub probability: f64,
    /// The largest angle either way, in half turns.
    pub half_turns: f64,
}

/// Moves every point a little.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// Standard deviation per axis, metres.
    pub sigma: f64,
    /// The farthest a coordinate goes, metres.
    pub clip: f64,
}

/// One scale of an elastic distortion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wave {
    /// Between the nodes of the noise, metres.
    pub granularity: f64,
    /// What the noise is multiplied by, metres.
    pub magnitude: f64,
}

/// Bends a scan by smooth noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Elastic {
    /// How often, 0 to 1.
    pub probability: f64,
    /// One after the other.
    pub waves: [Wave; 2],
}

/// Shifts all colours, or every one for itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColorNoise {
    /// How often, 0 to 1.
    pub probability: f64,
    /// How much, as a share of 255: the largest shift either way, or the standard deviation.
    pub amount: f64,
}

/// How a training scan becomes a sample. `None` and a probability of 0 switch a step off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Edge of a voxel, metres.
    pub grid_size: f64,
    /// The most voxels of a sample: those nearest to a random one stay (`SphereCrop`).
    pub max_points: Option<usize>,
    /// How often neighbouring samples of a batch are merged into one scene.
    pub mix: f64,
    /// Drops points.
    pub dropout: Option<Dropout>,
    /// Turns about z through the origin.
    pub rotate_z: Option<Rotate>,
    /// Turns about x through the middle.
    pub rotate_x: Option<Rotate>,
    /// Turns about y through the middle.
    pub rotate_y: Option<Rotate>,
    /// Range of a factor on all coordinates.
    pub scale: Option<[f64; 2]>,
    /// How often x is negated, and independently y.
    pub flip: f64,
    /// Moves points.
    pub jitter: Option<Jitter>,
    /// Bends the scene.
    pub elastic: Option<Elastic>,
    /// How often colours are stretched towards their full range.
    pub auto_contrast: f64,
    /// Shifts all colours alike.
    pub color_shift: Option<ColorNoise>,
    /// Shifts every colour for itself.
    pub color_jitter: Option<ColorNoise>,
    /// How often all colours become the neutral grey that stands for missing ones.
    pub color_drop: f64,
}

impl Recipe {
    /// The reference's for `ScanNet`: the Sonata fine-tuning configuration, which `PointTPA`'s repeats.
    pub const fn reference() -> Self {
        let small = Some(Rotate { probability: 0.5, half_turns: 1.0 / 64.0 });
        Self {
            grid_size: 0.02,
            max_points: Some(102_400),
            mix: 0.8,
            dropout: Some(Dropout { probability: 1.0, ratio: 0.2 }),
            rotate_z: Some(Rotate { probability: 0.5, half_turns: 1.0 }),
            rotate_x: small,
            rotate_y: small,
            scale: Some([0.9, 1.1]),
            flip: 0.5,
            jitter: Some(Jitter { sigma: 0.005, clip: 0.02 }),
            elastic: Some(Elastic {
                probability: 0.95,
                waves: [Wave { granularity: 0.2, magnitude: 0.4 }, Wave { granularity: 0.8, magnitude: 1.6 }],
            }),
            auto_contrast: 0.2,
            color_shift: Some(ColorNoise { probability: 0.95, amount: 0.05 }),
            color_jitter: Some(ColorNoise { probability: 0.95, amount: 0.05 }),
            color_drop: 0.0,
        }
    }

    /// As [`Self::reference`], but scenes are not bent, lose no points, keep truer colours, and always turn about z: a
    /// short training sees whole shapes, and is not asked for what only hundreds of epochs learn.
    pub const fn mild() -> Self {
        Self {
            mix: 0.0,
            dropout: None,
            rotate_z: Some(Rotate { probability: 1.0, half_turns: 1.0 }),
            elastic: None,
            color_jitter: None,
            ..Self::reference()
        }
    }

    /// Nothing but voxels of 2 cm.
    pub const fn none() -> Self {
        Self {
            grid_size: 0.02,
            max_points: None,
            mix: 0.0,
            dropout: None,
            rotate_z: None,
            rotate_x: None,
            rotate_y: None,
            scale: None,
            flip: 0.0,
            jitter: None,
            elastic: None,
            auto_contrast: 0.0,
            color_shift: None,
            color_jitter: None,
            color_drop: 0.0,
        }
    }

    /// Refuses numbers out of their range.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str, problem: String, advice: &str| {
            Err(Error::Argument { what: what.to_owned(), problem, advice: advice.to_owned() })
        };
        let probabilities = [
            ("mix", Some(self.mix)),
            ("dropout", self.dropout.map(|step| step.probability)),
            ("rotate_z", self.rotate_z.map(|step| step.probability)),
            ("rotate_x", self.rotate_x.map(|step| step.probability)),
            ("rotate_y", self.rotate_y.map(|step| step.probability)),
            ("flip", Some(self.flip)),
            ("elastic", self.elastic.map(|step| step.probability)),
            ("auto_contrast", Some(self.auto_contrast)),
            ("color_shift", self.color_shift.map(|step| step.probability)),
            ("color_jitter", self.color_jitter.map(|step| step.probability)),
            ("color_drop", Some(self.color_drop)),
        ];
        for (what, probability) in probabilities {
            if probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
                return refuse(what, format!("probability {probability:?}"), "Give it from 0 to 1");
            }
        }
        let amounts = [
            ("rotate_z", self.rotate_z.map(|step| step.half_turns)),
            ("rotate_x", self.rotate_x.map(|step| step.half_turns)),
            ("rotate_y", self.rotate_y.map(|step| step.half_turns)),
            ("jitter", self.jitter.map(|step| step.sigma)),
            ("jitter", self.jitter.map(|step| step.clip)),
            ("elastic", self.elastic.map(|step| step.waves[0].magnitude)),
            ("elastic", self.elastic.map(|step| step.waves[1].magnitude)),
            ("color_shift", self.color_shift.map(|step| step.amount)),
            ("color_jitter", self.color_jitter.map(|step| step.amount)),
        ];
        for (what, amount) in amounts {
            if amount.is_some_and(|amount| !(amount.is_finite() && amount >= 0.0)) {
                return refuse(what, format!("amount {amount:?}"), "Give a number from 0 up");
            }
        }
        if !(self.grid_size.is_finite() && self.grid_size > 0.0) {
            return refuse("grid_size", format!("{} is no length", self.grid_size), "Use the model's, in metres");
        }
        if self.max_points == Some(0) {
            return refuse("max_points", "a sample of 0 voxels".into(), "Give at least 1");
        }
        if self.dropout.is_some_and(|step| !(0.0..1.0).contains(&step.ratio)) {
            return refuse("dropout", "the ratio leaves no point".into(), "Give it from 0 to below 1");
        }
        let is_range = |[low, high]: [f64; 2]| low > 0.0 && low <= high && high.is_finite();
        if self.scale.is_some_and(|range| !is_range(range)) {
            return refuse("scale", format!("{:?} is no range of factors", self.scale), "Give for example 0.9 to 1.1");
        }
        let is_length = |wave: Wave| wave.granularity.is_finite() && wave.granularity > 0.0;
        if self.elastic.is_some_and(|step| !step.waves.into_iter().all(is_length)) {
            return refuse("elastic", "a granularity is no length".into(), "Give it in metres, above 0");
        }
        Ok(())
    }

    /// An augmented copy of a scan.
    pub(super) fn augment(&self, scan: &LabelledScan, dice: &mut Dice) -> LabelledScan {
        let mut scan = match self.dropout.filter(|step| dice.chance(step.probability as f32)) {
            Some(Dropout { ratio, .. }) => scan.select(&crop::remaining(scan.len(), ratio, dice)),
            None => scan.clone(),
        };
        center_shift(&mut scan.coord, true);
        let turns = [(self.rotate_z, Axis::Z), (self.rotate_x, Axis::X), (self.rotate_y, Axis::Y)];
        for (step, axis) in turns {
            if let Some(Rotate { half_turns, .. }) = step.filter(|step| dice.chance(step.probability as f32)) {
                let angle = dice.between(-1.0, 1.0) * (half_turns * std::f64::consts::PI) as f32;
                // The scene has been centred over the origin; its height has not.
                let centre = if axis == Axis::Z { [0.0; 3] } else { geometry::middle(&scan.coord) };
                geometry::rotate(&mut scan, axis, angle, centre);
            }
        }
        if let Some([low, high]) = self.scale {
            geometry::scale(&mut scan.coord, dice.between(low as f32, high as f32));
        }
        for axis in [0, 1] {
            if dice.chance(self.flip as f32) {
                geometry::flip(&mut scan, axis);
            }
        }
        if let Some(Jitter { sigma, clip }) = self.jitter {
            geometry::jitter(&mut scan.coord, sigma as f32, clip as f32, dice);
        }
        if let Some(Elastic { waves, .. }) = self.elastic.filter(|step| dice.chance(step.probability as f32)) {
            for wave in waves {
                elastic::distort(&mut scan.coord, wave, dice);
            }
        }
        if dice.chance(self.auto_contrast as f32) {
            color::stretch(&mut scan.color, dice.unit());
        }
        if let Some(ColorNoise { amount, .. }) = self.color_shift.filter(|step| dice.chance(step.probability as f32)) {
            color::shift(&mut scan.color, amount as f32, dice);
        }
        if let Some(ColorNoise { amount, .. }) = self.color_jitter.filter(|step| dice.chance(step.probability as f32)) {
            color::jitter(&mut scan.color, amount as f32, dice);
        }
        if dice.chance(self.color_drop as f32) {
            color::drop(&mut scan.color);
        }
        scan
    }
}

#[cfg(test)]
pub(in crate::train) mod testing {
    use super::*;

    /// Points of a room of 6 by 5 by 3 m, with colours, unit normals and four classes, one point in eight ignored.
    pub(in crate::train) fn scene(n: usize) -> LabelledScan {
        let mut dice = Dice::new(n as u64, 77);
        let mut scan = LabelledScan { name: format!("scene{n}"), ..LabelledScan::default() };
        for i in 0..n {
            scan.coord.push([dice.between(1.0, 7.0), dice.between(-2.0, 3.0), dice.between(0.5, 3.5)]);
            scan.color.push(std::array::from_fn(|_| dice.between(20.0, 200.0).floor()));
            let direction: [f32; 3] = std::array::from_fn(|_| dice.between(0.1, 1.0));
            let length = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
            scan.normal.push(direction.map(|v| v / length));
            scan.segment.push(if i % 8 == 7 { -1 } else { (i % 4) as i32 });
        }
        scan
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::scene, *};
    use crate::geometry::center_shift::center_shift;

    fn augmented(recipe: &Recipe, scan: &LabelledScan, stream: u64) -> LabelledScan {
        recipe.augment(scan, &mut Dice::new(1, stream))
    }

    #[test]
    fn none_only_centres() {
        let scan = scene(300);
        let mut expected = scan.clone();
        center_shift(&mut expected.coord, true);
        assert_eq!(augmented(&Recipe::none(), &scan, 0), expected);
    }

    #[test]
    fn the_same_dice_give_the_same_scan_and_others_another() {
        let (recipe, scan) = (Recipe::reference(), scene(500));
        assert_eq!(augmented(&recipe, &scan, 3), augmented(&recipe, &scan, 3));
        assert_ne!(augmented(&recipe, &scan, 3), augmented(&recipe, &scan, 4));
    }

    #[test]
    fn every_switch_changes_its_own_column_and_no_other() {
        let (none, all, scan) = (Recipe::none(), Recipe::reference(), scene(400));
        let always = |step: Option<ColorNoise>| step.map(|step| ColorNoise { probability: 1.0, ..step });
        let turn = Some(Rotate { probability: 1.0, half_turns: 0.3 });
        let elastic = all.elastic.map(|step| Elastic { probability: 1.0, ..step });
        // Recipe, and whether coordinates, normals and colours change.
        let cases = [
            (Recipe { rotate_z: turn, ..none }, [true, true, false]),
            (Recipe { rotate_x: turn, ..none }, [true, true, false]),
            (Recipe { rotate_y: turn, ..none }, [true, true, false]),
            (Recipe { scale: all.scale, ..none }, [true, false, false]),
            (Recipe { flip: 1.0, ..none }, [true, true, false]),
            (Recipe { jitter: all.jitter, ..none }, [true, false, false]),
            (Recipe { elastic, ..none }, [true, false, false]),
            (Recipe { auto_contrast: 1.0, ..none }, [false, false, true]),
            (Recipe { color_shift: always(all.color_shift), ..none }, [false, false, true]),
            (Recipe { color_jitter: always(all.color_jitter), ..none }, [false, false, true]),
            (Recipe { color_drop: 1.0, ..none }, [false, false, true]),
        ];
        let plain = augmented(&none, &scan, 9);
        for (recipe, expected) in cases {
            let scan = augmented(&recipe, &scan, 9);
            let changed = [scan.coord != plain.coord, scan.normal != plain.normal, scan.color != plain.color];
            assert_eq!(changed, expected, "{recipe:?}");
            assert_eq!(scan.segment, plain.segment);
        }
        let dropped = augmented(&Recipe { dropout: all.dropout, ..none }, &scan, 9);
        assert_eq!(dropped.len(), 320);
    }

    #[test]
    fn steps_come_as_often_as_they_should() {
        let scan = scene(20);
        let recipe = Recipe { rotate_z: Recipe::reference().rotate_z, ..Recipe::none() };
        let plain = augmented(&Recipe::none(), &scan, 0);
        let turned = (0..2000).filter(|stream| augmented(&recipe, &scan, *stream).coord != plain.coord).count();
        // Half of them; five standard errors are 5 * sqrt(500).
        assert!(turned.abs_diff(1000) < 112, "{turned}");
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert!(Recipe::reference().validate().is_ok() && Recipe::none().validate().is_ok());
        let none = Recipe::none();
        let cases = [
            (Recipe { mix: 1.5, ..none }, "mix: probability Some(1.5)"),
            (Recipe { flip: f64::NAN, ..none }, "flip"),
            (Recipe { grid_size: 0.0, ..none }, "grid_size"),
            (Recipe { max_points: Some(0), ..none }, "max_points"),
            (Recipe { dropout: Some(Dropout { probability: 0.5, ratio: 1.0 }), ..none }, "dropout"),
            (Recipe { scale: Some([1.1, 0.9]), ..none }, "scale"),
            (Recipe { jitter: Some(Jitter { sigma: -1.0, clip: 0.1 }), ..none }, "jitter"),
            (
                Recipe {
                    elastic: Some(Elastic { probability: 1.0, waves: [Wave { granularity: 0.0, magnitude: 1.0 }; 2] }),
                    ..none
                },
                "elastic",
            ),
        ];
        for (recipe, expected) in cases {
            let error = recipe.validate().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
