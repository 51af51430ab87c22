//! The reference's augmentations of a training scan.

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
    /// The reference's for `ScanNet`.
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
}
