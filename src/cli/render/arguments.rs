//! The command line of `pointtpa render`.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Draw a picture of a scan
#[derive(Debug, Args)]
#[command(after_help = "\
Near walls are left out if the scan's normals face the inside of a room, as estimated ones do. Points are as large as
the scan is sparse.

Examples:
  pointtpa render scan.ply -o scan.png
  pointtpa render labelled.ply -o classes.png --color label --cut-ceiling
  pointtpa render scan.ply -o plan.png --view top --size 1600x1200")]
pub(crate) struct Render {
    /// A scan; `-` is standard input
    #[arg(value_name = "SCAN")]
    pub(crate) scan: PathBuf,

    /// The picture, a PNG file; `-` is standard output
    #[arg(short, long, value_name = "OUT.png")]
    pub(crate) output: PathBuf,

    /// What the colours say [default: rgb, else label, else height: the first that the scan has]
    #[arg(long, value_enum)]
    pub(crate) color: Option<Color>,

    /// From where
    #[arg(long, value_enum, default_value_t = From::Iso)]
    pub(crate) view: From,

    /// Width and height in pixels
    #[arg(long, value_name = "WxH", default_value = "900x700", value_parser = size)]
    pub(crate) size: (usize, usize),

    /// Leave the ceiling out; the view from above always does
    #[arg(long)]
    pub(crate) cut_ceiling: bool,

    /// Diameter of a point in metres [default: fitted to the distance between points]
    #[arg(long, value_name = "METRES", value_parser = crate::arguments::length::<f32>)]
    pub(crate) point_size: Option<f32>,

    /// The classes whose colours labels get: scannet20, scannet200, scannetpp100, s3dis13, rooms, or a JSON file
    /// [default: those in the file, else rooms]
    #[arg(long, value_name = "SET|FILE")]
    pub(crate) classes: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// The scan's own
    Rgb,
    /// Classes
    Label,
    /// Low to high
    Height,
    /// Directions of surfaces
    Normal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// From above a corner
    Iso,
    /// From above
    Top,
    /// Along y
    Front,
}

/// `900x700`.
fn size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|side| (16..=8192).contains(side));
    let (width, height) = text.split_once(['x', 'X', '×']).unwrap_or_default();
    match (side(width), side(height)) {
        (Some(width), Some(height)) => Ok((width, height)),
        _ => Err("width and height from 16 to 8192 are needed, like 900x700".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_two_numbers() {
        assert_eq!(size("900x700"), Ok((900, 700)));
        for wrong in ["900", "900x", "x", "15x900", "900x8193", "axb", "-9x9"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
