//! Pictures of one scan: as it is, with the true classes, with the predicted ones, and where they differ.

use pointtpa::LabelSet;
use pointtpa::render::{Picture, Shot, ShotOptions, View, paint};
use pointtpa::train::LabelledScan;

use crate::png;

/// PNG files.
pub(super) struct Pictures {
    pub(super) input: Vec<u8>,
    pub(super) truth: Vec<u8>,
    pub(super) prediction: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

const SIZE: (usize, usize) = (640, 500);

pub(super) fn draw(scan: &LabelledScan, prediction: &[i32], labels: &LabelSet) -> Pictures {
    let options = ShotOptions { size: SIZE, view: View::Iso, cut_ceiling: true, point_size: None };
    let shot = Shot::take(&scan.coord, Some(&scan.normal), &options);
    let png = |colors: &[[u8; 3]]| {
        let Picture { width, height, pixels } = shot.paint(colors);
        png::encode(width as u32, height as u32, &pixels)
    };
    let rgb = paint::rgb(Some(&scan.color), scan.len());
    Pictures {
        input: png(&rgb),
        truth: png(&paint::labels(&scan.segment, labels)),
        prediction: png(&paint::labels(prediction, labels)),
        errors: png(&paint::errors(&scan.segment, prediction, &rgb)),
    }
}
