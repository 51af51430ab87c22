//! The file that comes of a scan.

use pointtpa::scan::{OutputFormat, Scan, Streamed, Warning, las_codes, write_npy};
use pointtpa::{Details, LabelSet, Segmentation};

use crate::arguments::Features;
use crate::exit::Outcome;
use crate::inputs::Job;
use crate::output;

/// Writes the labelled scan, and a table of its classes where the format needs one; what has to be said of it.
pub(super) fn labelled(
    job: &Job,
    format: OutputFormat,
    scan: &Scan,
    segmentation: &Segmentation,
    set: &LabelSet,
    recolor: bool,
) -> Outcome<Vec<Warning>> {
    // First, because the scan's file is the sign that all is done. What goes to standard output has nothing beside it. It is the
    // same for every format, because files of several may stand side by side.
    if format.needs_class_table() && !output::is_stdout(&job.output) {
        let table = format!("{:#}\n", las_codes(set));
        output::write_bytes(&job.output.with_extension("classes.json"), table.as_bytes())?;
    }
    let Segmentation { labels, confidence, .. } = segmentation;
    let mut left_out = 0;
    output::write_whole(&job.output, |out| {
        left_out = scan.labelled_as(format, out, labels, confidence, set, recolor)?;
        Ok(())
    })?;
    let name = format.ending().to_uppercase();
    let message = format!("{left_out} points without coordinates have no place in a {name} file and are not in it");
    let warning = Warning::new("left-out", message, "Write PLY to keep every point");
    Ok((left_out > 0).then_some(warning).into_iter().collect())
}

/// Writes the labelled scan from its file to another.
pub(super) fn streamed(
    job: &Job,
    scan: &Streamed,
    segmentation: &Segmentation,
    set: &LabelSet,
    recolor: bool,
) -> Outcome {
    let Segmentation { labels, confidence, .. } = segmentation;
    Ok(output::write_whole(&job.output, |out| scan.labelled_to(out, labels, confidence, set, recolor))?)
}

/// Writes what the backbone says of every point.
pub(super) fn features(job: &Job, kind: Features, scan: &Scan, details: &Details) -> Outcome {
    match kind {
        Features::Pca => {
            let colors = details.principal_colors();
            output::write_whole(&job.output, |out| scan.painted_to(out, &colors))?;
        }
        Features::Raw => {
            let missing = vec![f32::NAN; details.channels];
            output::write_whole(&job.output, |out| {
                let rows = (0..scan.cloud.len()).map(|point| details.features_of(point).unwrap_or(&missing));
                write_npy(out, details.channels, rows)
            })?;
        }
    }
    Ok(())
}
