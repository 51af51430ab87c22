//! A scan that is to be labelled: in memory, or left in its file because it is too large for that.

use std::path::Path;

use pointtpa::scan::{self, Blocks, Description, Placed, Scan, Streamed, Up};
use pointtpa::{Error, Estimate, SegmentOptions, Segmentation, Segmenter, Tiles};

use super::arguments::Tiling;
use super::memory_size::{MemorySize, spoken};
use super::output::is_stdout;
use super::screen;

/// Bytes in memory per byte of a file that is read whole: itself, the columns of its points, and what is made of them.
const TIMES_FILE: u64 = 4;
/// Of the memory that may be used, the share that a scan may take before it is left in its file.
const LARGE: f64 = 0.5;
/// Bytes in memory of every point of a scan that is read whole, and of its answer.
const PER_POINT_IN_MEMORY: u64 = 80;
/// Bytes in memory of every point of a scan that is left in its file: its label and confidence.
const PER_POINT: u64 = 8;
/// Of the memory that may be used, what is left to the program itself.
const SPARE: f64 = 0.1;

/// What may be used, and how the user wants scans to be cut.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) tiling: Tiling,
    /// Bytes for everything.
    pub(crate) memory: u64,
    /// Scans that share them.
    jobs: usize,
}

/// A scan as it is held.
pub(crate) enum Opened {
    Whole(Box<Scan>),
    Streamed(Box<Streamed>),
}

impl Limits {
    /// As `--tiles` and `--memory` say; without `--memory`, what is free.
    pub(crate) fn of(tiling: Tiling, memory: Option<MemorySize>, jobs: usize) -> Self {
        let memory = memory.map_or_else(available, |size| size.0);
        Self { tiling, memory, jobs }
    }

    /// Whether a scan may take more than its share, so that it has to be labelled alone. How it is labelled does not depend on
    /// that: it would be the same beside others, if there were memory for all.
    pub(crate) fn is_large(self, scan: &Opened, segmenter: &Segmenter, options: &SegmentOptions<'_>) -> bool {
        self.jobs > 1 && segmenter.at_most(scan.len(), options) > self.memory / self.jobs as u64
    }

    /// Opens a scan: it is read whole if there is room for it, or if it has to be.
    pub(crate) fn open(self, path: &Path, must_be_whole: bool) -> Result<Opened, Error> {
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        let is_large = size.saturating_mul(TIMES_FILE) as f64 > LARGE * self.memory as f64;
        let stays = is_large && self.tiling != Tiling::Off && !must_be_whole && !is_stdout(path);
        match if stays { Streamed::open(path)? } else { None } {
            Some(streamed) => Ok(Opened::Streamed(Box::new(streamed))),
            None => Ok(Opened::Whole(Box::new(scan::read(path)?))),
        }
    }

    /// How a scan is to be cut for a model that takes so many bytes itself.
    fn tiles(self, scan: &Opened, model: u64) -> Tiles {
        let own = model
            + match scan {
                Opened::Whole(scan) => PER_POINT_IN_MEMORY * scan.cloud.len() as u64,
                Opened::Streamed(scan) => PER_POINT * scan.len() as u64,
            };
        match self.tiling {
            Tiling::Off => Tiles::Off,
            Tiling::Edge(metres) => Tiles::Edge(metres),
            // A scan that takes nearly all is worth a try in what is left: the device says when it is too little.
            Tiling::Auto => Tiles::Within(((1.0 - SPARE) * self.memory as f64) as u64 - own.min(self.memory / 2)),
        }
    }

    /// Labels a scan turned so that `up` is up, and scaled to metres, by a model that takes so many bytes itself. Points that wait for their tile do so in `folder`.
    pub(crate) fn segment(
        self,
        scan: &Opened,
        segmenter: &Segmenter,
        up: Up,
        scale: Option<f64>,
        model: u64,
        folder: &Path,
        options: &SegmentOptions<'_>,
    ) -> Result<Segmentation, Error> {
        let tiles = if options.tta { Tiles::Off } else { self.tiles(scan, model) };
        let options = SegmentOptions { tiles, ..*options };
        match scan {
            Opened::Whole(scan) => {
                let upright = (up != Up::default()).then(|| scan.cloud.upright(up));
                let scaled = scale.map(|factor| upright.as_ref().unwrap_or(&scan.cloud).scaled(factor));
                let cloud = scaled.as_ref().or(upright.as_ref()).unwrap_or(&scan.cloud);
                if matches!(tiles, Tiles::Within(_)) && !screen::is_quiet() {
                    let Estimate { voxels, bytes } = segmenter.estimate(cloud, &options)?;
                    screen::say(&format!("{voxels} voxels, which take about {} beside the model", spoken(bytes)));
                }
                segmenter.segment_blocking(cloud, &options)
            }
            Opened::Streamed(scan) => {
                let placed = Placed { scan: &**scan, up, scale: scale.unwrap_or(1.0) };
                segmenter.segment_blocks_blocking(&placed, folder, &options)
            }
        }
    }
}

/// Bytes that the system could give to the program.
fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    match system.available_memory() {
        // Where nobody says.
        0 => u64::MAX,
        bytes => bytes,
    }
}

impl Opened {
    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(scan) => scan.cloud.len(),
            Self::Streamed(scan) => scan.len(),
        }
    }

    pub(crate) fn describe(&self) -> Description {
        match self {
            Self::Whole(scan) => scan.describe(),
            Self::Streamed(scan) => scan.describe(),
        }
    }

    pub(crate) fn has_labels(&self) -> bool {
        match self {
            Self::Whole(scan) => scan.cloud.labels.is_some(),
            Self::Streamed(scan) => scan.describe().labels.is_some(),
        }
    }
}
