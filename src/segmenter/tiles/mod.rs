//! Scenes of any size: tiles that overlap, labelled one after the other.
//!
//! ```text
//! scene ─bounds─▶ lattice ─survey─▶ points and voxels per column ─▶ size of tiles ─▶ layout
//! for every tile:  its points ─network─▶ probabilities of its voxels ─blend─▶ labels of those that no later tile is in
//! ```
//!
//! All tiles stand on one lattice, that of the scene: a voxel of two tiles is the same voxel, of the same points, with the same
//! codes and in the same pooling cells. Where tiles overlap their probabilities are added up, each with a weight that falls to
//! nothing at the tile's edge, where it sees least. Tiles, points and sums come in a fixed order, so that the same scene gets
//! the same labels.
//!
//! A network that reads coordinates gets them centred on the tile: tiles are then like the rooms that it has learned from,
//! wherever in a building they are.

mod blend;
mod buckets;
mod layout;
#[cfg(not(target_arch = "wasm32"))]
mod spill;
mod survey;

use super::{Details, Run, SegmentOptions, Segmentation, Segmenter, no_points, too_wide};
use crate::{
    Error, PointCloud, Result,
    device::Tensor,
    extent::extent,
    geometry::{center_shift::shift_of, normals::is_usable},
    kernels::{softmax::softmax, voxel_key::Lattice},
    model::weights::Feature,
    scan::Blocks,
};
use blend::Blend;
use buckets::{Buckets, Picked};
use layout::{BLOCK, Layout};
use survey::{Columns, Load, Survey};

/// Whether a scene is cut into tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Tiles {
    /// The whole scene is labelled at once, as the reference does.
    #[default]
    Off,
    /// At once if that takes at most so many bytes, of the device and the host together and the scan itself not counted; else
    /// in tiles that do.
    Within(u64),
    /// Tiles of this edge in metres, seen from above.
    Edge(f64),
}

/// What a run will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Voxels that the network will see.
    pub voxels: usize,
    /// Bytes of the device and of the host, about, beside the scan and the model.
    pub bytes: u64,
}

/// What tiles share with their neighbours on every side, in metres, unless they are too narrow for it.
const MARGIN: f64 = 1.5;
/// The widest tile of a scene that has to be cut, for models that read coordinates: they learned from rooms.
const ROOM: f64 = 6.0;
/// The narrowest tile that is tried where memory is short, in metres: of a smaller one most would be margin.
const NARROWEST: f64 = 1.5;
/// How much narrower the next try is.
const NARROWER: f64 = 0.85;

/// What a run takes beyond the scan itself and the model, for [`Tiles::Within`]: of the device and of the host.
const BYTES_PER_POINT: u64 = 160;
/// Per voxel and channel of the finest stage: 34 to 38 were measured on the bundled model and the published ones. Where it is more,
/// the device says so, and the tiles get smaller.
const BYTES_PER_CHANNEL: u64 = 40;
/// Of every value that the host gets of a voxel: itself, and once more where tiles overlap.
const BYTES_PER_VALUE: u64 = 8;

/// Shares of a run that looking at the scene takes, and all its tiles.
const SURVEYED: f64 = 0.08;
const TILES: f64 = 0.9;

/// A scene that is to be cut.
struct Plot {
    /// What centring takes from every position.
    shift: [f32; 3],
    lattice: Lattice,
    columns: Columns,
    /// Points without finite coordinates.
    skipped: usize,
    /// Whether any point has a normal that says something: then no tile has them estimated.
    normals: bool,
}

/// How it is cut.
struct Cut {
    layout: Layout,
    /// Cells along the edge of a tile, about.
    edge: u32,
    /// What smaller tiles should take, if they are worth a try where these do not fit.
    narrower: Option<u64>,
}

impl Plot {
    /// Cells along x and y.
    fn cells(&self) -> [u32; 2] {
        [0, 1].map(|axis| self.lattice.last[axis] + 1)
    }

    /// What the whole scene holds.
    fn whole(&self) -> Load {
        self.columns.within(&self.cells().map(|cells| 0..cells))
    }

    /// Tiles of about so many cells along the edge.
    fn layout(&self, edge: u32) -> Layout {
        Layout::new(self.cells(), edge, (MARGIN / self.lattice.size).ceil() as u32)
    }
}

impl Segmenter {
    /// [`Segmenter::segment`] in tiles, if the options ask for it and the scene is large enough; else `None`.
    pub(super) async fn segment_tiles(
        &self,
        cloud: &PointCloud,
        options: &SegmentOptions<'_>,
    ) -> Result<Option<Segmentation>> {
        if options.tiles == Tiles::Off || self.fits(cloud.len(), options) {
            return Ok(None);
        }
        let mut run = Run::new(options);
        let plot = self.survey(cloud, &mut run)?;
        let cut = self.cut(&plot, options)?;
        if cut.layout.len() == 1 {
            return Ok(None);
        }
        self.label_in(cut, cloud, &plot, &|tiles| Ok(Box::new(Picked::new(cloud, tiles))), run).await.map(Some)
    }

    /// [`Segmenter::segment`] of a scene that should have fit at once, and did not.
    pub(super) async fn segment_smaller(
        &self,
        cloud: &PointCloud,
        options: &SegmentOptions<'_>,
    ) -> Result<Segmentation> {
        log::warn!("the device has less memory than there should be: the scan is labelled in tiles");
        let mut run = Run::new(options);
        let plot = self.survey(cloud, &mut run)?;
        let cut = self.cut_within(&plot, self.needs(plot.whole(), options) / 2, options);
        self.label_in(cut, cloud, &plot, &|tiles| Ok(Box::new(Picked::new(cloud, tiles))), run).await
    }

    /// Labels a scan that need not fit into memory, in tiles whose points wait in a temporary file in `folder`; the file has
    /// no name there and is gone when the run is, however that ends. What stays in memory of all points is their answer.
    ///
    /// # Errors
    /// As [`Segmenter::segment`], and [`Error::Io`] of the temporary file and the scan.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn segment_blocks(
        &self,
        scan: &dyn Blocks,
        folder: &std::path::Path,
        options: &SegmentOptions<'_>,
    ) -> Result<Segmentation> {
        let mut run = Run::new(options);
        let plot = self.survey(scan, &mut run)?;
        let cut = self.cut(&plot, options)?;
        self.label_in(cut, scan, &plot, &|tiles| Ok(Box::new(spill::Spilled::new(folder, tiles)?)), run).await
    }

    /// [`Self::segment_blocks`], waiting for it.
    ///
    /// # Errors
    /// As [`Self::segment_blocks`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn segment_blocks_blocking(
        &self,
        scan: &dyn Blocks,
        folder: &std::path::Path,
        options: &SegmentOptions<'_>,
    ) -> Result<Segmentation> {
        pollster::block_on(self.segment_blocks(scan, folder, options))
    }

    /// Whether so many points fit the options' memory if every one is a voxel of its own.
    fn fits(&self, points: usize, options: &SegmentOptions<'_>) -> bool {
        matches!(options.tiles, Tiles::Within(bytes) if self.at_most(points, options) <= bytes)
    }

    /// Whether where a point lies in its scene is something that the model looks at.
    fn reads_coordinates(&self) -> bool {
        self.model.info().features.contains(&Feature::Coord)
    }

    /// Bytes that a run over so many points and voxels takes, of the device and of the host, at most.
    fn needs(&self, load: Load, options: &SegmentOptions<'_>) -> u64 {
        let config = self.model.config();
        let finest = config.backbone.enc_channels.first().copied().unwrap_or(0);
        let per_voxel = BYTES_PER_CHANNEL * finest as u64 + BYTES_PER_VALUE * self.row(options) as u64;
        load.points * BYTES_PER_POINT + load.voxels * per_voxel
    }

    /// Values that the host gets of a voxel.
    fn row(&self, options: &SegmentOptions<'_>) -> usize {
        let config = self.model.config();
        config.num_classes + if options.details { config.backbone_out_channels } else { 0 }
    }

    /// Bytes that a run over so many points takes at most, beside the scan and the model: each may be a voxel of its own.
    pub fn at_most(&self, points: usize, options: &SegmentOptions<'_>) -> u64 {
        self.needs(Load { points: points as u64, voxels: points as u64 }, options)
    }

    /// What a run over `cloud` at once would take; see [`Self::count_voxels`].
    ///
    /// # Errors
    /// As [`Self::count_voxels`].
    pub fn estimate(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<Estimate> {
        let voxels = self.count_voxels(cloud, options.grid_size)?;
        let load = Load { points: cloud.len() as u64, voxels: voxels as u64 };
        Ok(Estimate { voxels, bytes: self.needs(load, options) })
    }

    /// Goes over the scene twice: for its bounds, and for what lies where.
    fn survey(&self, scan: &dyn Blocks, run: &mut Run<'_>) -> Result<Plot> {
        self.check_features()?;
        if run.options.tta {
            return Err(Error::Argument {
                what: "test-time augmentation".into(),
                problem: "it turns the whole scene, and this one is to be cut into tiles".into(),
                advice: "Leave one of the two out".into(),
            });
        }
        if u32::try_from(scan.len()).is_err() {
            return Err(Error::Argument {
                what: "scan".into(),
                problem: format!("it has {} points, and {} can be numbered", scan.len(), u32::MAX),
                advice: "Cut it into several files".into(),
            });
        }
        run.step("survey", 0.0)?;
        let mut bounds: Option<([f32; 3], [f32; 3])> = None;
        let (mut finite, mut normals) = (0, false);
        scan.visit(&mut |_, block| {
            normals = normals || block.normals.as_ref().is_some_and(|own| own.iter().any(is_usable));
            let positions = block.positions.iter().copied().filter(|p| p.iter().all(|v| v.is_finite()));
            finite += positions.clone().count();
            let corners = extent(positions).into_iter().chain(bounds).flat_map(|(low, high)| [low, high]);
            bounds = extent(corners);
            run.step("survey", 0.0)
        })?;
        let (low, high) = bounds.ok_or_else(|| no_points(scan.len()))?;
        let shift = shift_of(low, high, true);
        let corners = [low, high].map(|corner| centred(corner, shift));
        if corners.iter().flatten().any(|v| !v.is_finite()) {
            return Err(too_wide("scan", low));
        }
        let lattice = Lattice::covering(&corners, self.grid_size(run.options))?;
        let mut survey = Survey::new(lattice);
        scan.visit(&mut |first, block| {
            let positions = block.positions.iter().filter(|p| p.iter().all(|v| v.is_finite()));
            positions.for_each(|position| survey.add(centred(*position, shift)));
            run.step("survey", SURVEYED / 2.0 * first as f64 / scan.len() as f64)
        })?;
        run.finish("survey");
        Ok(Plot { shift, lattice, columns: survey.finish(), skipped: scan.len() - finite, normals })
    }

    /// Tiles of the size that was asked for, or the largest that fit.
    fn cut(&self, plot: &Plot, options: &SegmentOptions<'_>) -> Result<Cut> {
        let edge = match options.tiles {
            Tiles::Off => u32::MAX,
            Tiles::Edge(metres) if metres.is_finite() && metres > 0.0 => (metres / plot.lattice.size).ceil() as u32,
            Tiles::Edge(metres) => {
                return Err(Error::Argument {
                    what: "tiles".into(),
                    problem: format!("{metres} is not a positive length"),
                    advice: "Give their edge in metres, for example 10".into(),
                });
            }
            Tiles::Within(bytes) => return Ok(self.cut_within(plot, bytes, options)),
        };
        Ok(Cut { layout: plot.layout(edge), edge, narrower: None })
    }

    /// The largest tiles that take at most so many bytes; the narrowest if none do, because what they take is an estimate and
    /// the device will say.
    fn cut_within(&self, plot: &Plot, bytes: u64, options: &SegmentOptions<'_>) -> Cut {
        // Details stay, of all tiles; while they grow, twice.
        let kept = if options.details { 8 * self.row(options) as u64 * plot.whole().voxels } else { 0 };
        let bytes = bytes.saturating_sub(kept);
        let needs = |layout: &Layout| {
            let loads = (0..layout.len()).map(|tile| plot.columns.within(&layout.cells(tile)));
            loads.map(|load| self.needs(load, options)).max().unwrap_or(0)
        };
        let narrowest = ((NARROWEST / plot.lattice.size) as u32).max(BLOCK);
        let mut edge = plot.cells().into_iter().fold(narrowest, u32::max);
        let mut layout = plot.layout(edge);
        let mut needed = needs(&layout);
        if needed > bytes && self.reads_coordinates() {
            edge = edge.min((ROOM / plot.lattice.size) as u32).max(narrowest);
        }
        while needed > bytes && edge > narrowest {
            layout = plot.layout(edge);
            needed = needs(&layout);
            edge = if needed > bytes { ((f64::from(edge) * NARROWER) as u32).max(narrowest) } else { edge };
        }
        Cut { layout: plot.layout(edge), edge, narrower: (edge > narrowest).then_some(needed.min(bytes) / 2) }
    }

    /// Labels tile after tile; where the device has less memory than it should, again in smaller ones.
    async fn label_in<'b>(
        &self,
        mut cut: Cut,
        scan: &dyn Blocks,
        plot: &Plot,
        buckets: &dyn Fn(usize) -> Result<Box<dyn Buckets + 'b>>,
        mut run: Run<'_>,
    ) -> Result<Segmentation> {
        loop {
            let options = run.options;
            if cut.layout.len() > 1 {
                let metres = f64::from(cut.edge) * plot.lattice.size;
                log::info!("{} voxels in {} tiles of about {metres:.1} m", plot.whole().voxels, cut.layout.len());
            }
            let mut points = buckets(cut.layout.len())?;
            let found = self.label(scan, plot, &cut.layout, &mut *points, run).await;
            match (found, cut.narrower) {
                (Err(Error::OutOfMemory { problem, .. }), Some(bytes)) => {
                    let metres = f64::from(cut.edge) * plot.lattice.size;
                    log::warn!("tiles of {metres:.1} m do not fit ({problem}): trying again in smaller ones");
                    cut = self.cut_within(plot, bytes, options);
                    run = Run::new(options);
                }
                (found, _) => return found,
            }
        }
    }

    /// Labels tile after tile.
    async fn label(
        &self,
        scan: &dyn Blocks,
        plot: &Plot,
        layout: &Layout,
        buckets: &mut dyn Buckets,
        mut run: Run<'_>,
    ) -> Result<Segmentation> {
        let device = self.model.device();
        device.reset_peak();
        scan.visit(&mut |first, block| {
            for (row, position) in block.positions.iter().enumerate() {
                if position.iter().all(|v| v.is_finite()) {
                    let position = centred(*position, plot.shift);
                    let cell = [0, 1].map(|axis| plot.lattice.cell(axis, position[axis]));
                    for tile in layout.covering(cell) {
                        buckets.put(tile, (first + row) as u32, block, row)?;
                    }
                }
            }
            run.step("survey", SURVEYED * f64::midpoint(1.0, first as f64 / scan.len() as f64))
        })?;
        run.finish("survey");

        let loads: Vec<u64> =
            (0..layout.len()).map(|tile| self.needs(plot.columns.within(&layout.cells(tile)), run.options)).collect();
        let whole = loads.iter().sum::<u64>().max(1) as f64;
        let mut answer = Answer::new(scan.len(), self.model.config().num_classes, run.options.details);
        let mut done = 0;
        for (tile, load) in loads.into_iter().enumerate() {
            let part = |load: u64| SURVEYED + TILES * load as f64 / whole;
            run.within(&format!("tile {} of {}", tile + 1, layout.len()), part(done), part(done + load));
            done += load;
            let (points, mut cloud) = buckets.take(tile)?;
            if points.is_empty() {
                continue;
            }
            cloud.positions.iter_mut().for_each(|position| *position = centred(*position, plot.shift));
            self.label_tile(tile, &points, &cloud, plot, layout, &mut answer, &mut run).await?;
        }
        run.whole();
        debug_assert_eq!(answer.blend.waiting(), 0);
        Ok(run.end(device, answer.into_segmentation(plot.skipped)))
    }

    /// Labels those voxels of a tile that no later tile is in.
    async fn label_tile(
        &self,
        tile: usize,
        points: &[u32],
        cloud: &PointCloud,
        plot: &Plot,
        layout: &Layout,
        answer: &mut Answer,
        run: &mut Run<'_>,
    ) -> Result<()> {
        let all: Vec<u32> = (0..points.len() as u32).collect();
        let seen = self.look(cloud, &all, cloud.positions.clone(), plot.lattice, plot.normals, run).await?;
        drop(all);
        let grid: Vec<i32> = seen.pyramid.stages[0].grid_coord.to_vec().await?;
        let voxel_of_point: Vec<u32> = seen.cell_of_point.to_vec().await?;
        let (logits, features) = self.forward(&seen, run)?;
        drop(seen);
        let probabilities: Vec<f32> = softmax(&logits, 1.0)?.to_vec().await?;
        let channels = features.as_ref().map_or(0, Tensor::columns);
        let features: Vec<f32> = match features {
            Some(features) => features.to_vec().await?,
            None => Vec::new(),
        };
        run.finish("network");
        run.step("labels", 1.0)?;

        let classes = answer.classes;
        answer.set_channels(channels);
        let mut row = vec![0.0; classes + channels];
        let mut final_of_voxel = Vec::with_capacity(grid.len() / 3);
        for (voxel, cell) in grid.chunks_exact(3).enumerate() {
            row[..classes].copy_from_slice(&probabilities[voxel * classes..][..classes]);
            row[classes..].copy_from_slice(&features[voxel * channels..][..channels]);
            let cell = [cell[0], cell[1], cell[2]].map(|c| c as u32);
            let above = [cell[0], cell[1]];
            let (tiles, last) = layout.covering(above).fold((0, 0), |(count, _), tile| (count + 1, tile));
            if tiles > 1 {
                let key = cell.iter().fold(0, |key, c| key << 16 | u64::from(*c));
                answer.blend.add(key, &mut row, layout.weight(tile, above), last == tile);
            }
            final_of_voxel.push((last == tile).then(|| answer.voxel(&row)));
        }
        for (point, voxel) in points.iter().zip(voxel_of_point) {
            if let Some(found) = final_of_voxel[voxel as usize] {
                answer.point(*point as usize, found);
            }
        }
        run.finish("labels");
        Ok(())
    }
}

/// The answer of a scene as it grows.
struct Answer {
    classes: usize,
    channels: usize,
    labels: Vec<i32>,
    confidence: Vec<f32>,
    blend: Blend,
    voxels: usize,
    passes: usize,
    details: Option<Details>,
}

/// The answer of a voxel.
#[derive(Clone, Copy)]
struct Found {
    voxel: u32,
    label: i32,
    confidence: f32,
}

impl Answer {
    fn new(points: usize, classes: usize, details: bool) -> Self {
        let details =
            details.then(|| Details { voxel_of_point: vec![Details::NO_VOXEL; points], classes, ..Details::default() });
        let (labels, confidence) = (vec![-1; points], vec![0.0; points]);
        Self { classes, channels: 0, labels, confidence, blend: Blend::new(classes), voxels: 0, passes: 0, details }
    }

    /// Begins a tile; the features of the first say how many channels all have.
    fn set_channels(&mut self, channels: usize) {
        if self.passes == 0 {
            self.channels = channels;
            self.blend = Blend::new(self.classes + channels);
        }
        self.passes += 1;
    }

    /// Takes the final row of a voxel: its probabilities, which add up to 1, and its features.
    fn voxel(&mut self, row: &[f32]) -> Found {
        let (probabilities, features) = row.split_at(self.classes);
        // The first of equals, as the kernel has it.
        let best = (1..self.classes).fold(0, |best, c| if probabilities[c] > probabilities[best] { c } else { best });
        let found = Found { voxel: self.voxels as u32, label: best as i32, confidence: probabilities[best] };
        self.voxels += 1;
        if let Some(details) = &mut self.details {
            details.channels = self.channels;
            details.probabilities.extend_from_slice(probabilities);
            details.features.extend_from_slice(features);
        }
        found
    }

    fn point(&mut self, point: usize, found: Found) {
        self.labels[point] = found.label;
        self.confidence[point] = found.confidence;
        if let Some(details) = &mut self.details {
            details.voxel_of_point[point] = found.voxel;
        }
    }

    fn into_segmentation(self, skipped: usize) -> Segmentation {
        let Self { labels, confidence, voxels, passes, details, .. } = self;
        Segmentation { labels, confidence, voxels, passes, skipped, details, ..Segmentation::default() }
    }
}

fn centred(position: [f32; 3], shift: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| position[axis] - shift[axis])
}
