//! From a scan to labels: the whole inference path.
//!
//! ```text
//! PointCloud ─voxelize─▶ VoxelGrid ─pyramid─▶ Pyramid ─network─▶ logits ─argmax─▶ labels of all points
//! ```

mod details;
#[cfg(test)]
mod fault_tests;
mod on_device;
mod run;
mod test_time;
mod tiles;

pub use details::Details;
pub use on_device::LabelsOnDevice;
pub use tiles::{Estimate, Tiles};

use run::Run;

use crate::parallel::prelude::*;
use crate::{
    Device, Error, PointCloud, Result,
    device::Tensor,
    geometry::{
        center_shift::center_shift,
        normals::{self, UP},
        pyramid::Pyramid,
        voxel::{VoxelGrid, voxelize_on},
    },
    kernels::{argmax::argmax, gather_rows::gather_rows, softmax::softmax, voxel_key::Lattice},
    model::{
        Context, Model,
        weights::{Feature, Missing, ModelFile},
    },
};
use std::sync::atomic::AtomicBool;

/// A model, ready to segment scans.
pub struct Segmenter {
    model: Model,
}

/// How to segment one scan.
#[derive(Clone, Copy, Default)]
pub struct SegmentOptions<'a> {
    /// Edge of a voxel in metres; `None` takes the model's.
    pub grid_size: Option<f64>,
    /// Test-time augmentation: the reference's 13 views of the scene, each cut into fragments that hold one point of
    /// every voxel, and the sum of all their probabilities. More accurate, at the price of 13 forward passes times the
    /// points of the fullest voxel.
    pub tta: bool,
    /// Keep [`Segmentation::details`]; not together with `tta`, whose views have voxels of their own.
    pub details: bool,
    /// Whether the scene is cut into tiles that are labelled one after the other; not together with `tta`.
    pub tiles: Tiles,
    /// Told about every step.
    pub progress: Option<&'a dyn Fn(Progress<'_>)>,
    /// Set it, from any thread, to stop with [`Error::Cancelled`].
    pub cancel: Option<&'a AtomicBool>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// What is being done: `voxelize`, `normals`, `pyramid`, `enc0`, …, `head`, `labels`.
    pub stage: &'a str,
    /// Share of the whole run, 0 to 1.
    pub done: f64,
}

/// The labels of a scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segmentation {
    /// Class of every input point, in input order; -1 where the coordinates are not finite.
    pub labels: Vec<i32>,
    /// Softmax probability of the label, 0 to 1; 0 without a label.
    pub confidence: Vec<f32>,
    /// Voxels that the network saw; with test-time augmentation, those of the first view.
    pub voxels: usize,
    /// Forward passes of the network: 1 without test-time augmentation and tiles.
    pub passes: usize,
    /// Points without finite coordinates.
    pub skipped: usize,
    /// Seconds per stage, in order.
    pub stages: Vec<(String, f64)>,
    /// The most memory that tensors held at once on the device, in bytes, weights included.
    pub peak_bytes: u64,
    /// What a user should know about this run.
    pub warnings: Vec<String>,
    /// Probabilities and features of the voxels, with [`SegmentOptions::details`].
    pub details: Option<Details>,
}

/// Shares of a run that the steps before the network and after it take, for [`Progress`].
const BEFORE_NETWORK: f64 = 0.15;
const NETWORK: f64 = 0.8;

impl Segmenter {
    /// Brings a model file to a device; see [`Model::load`].
    pub fn open(device: &Device, file: &ModelFile, allow_missing: Option<u64>) -> Result<(Self, Missing)> {
        let (model, missing) = Model::load(device, file, allow_missing)?;
        Ok((Self { model }, missing))
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Labels every point of `cloud`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a scan without a finite point or one that spans more than 65,535 voxels along an
    /// axis, [`Error::OutOfMemory`], [`Error::DeviceLost`], and [`Error::Cancelled`]. The segmenter can be used again
    /// after any but a lost device.
    pub async fn segment(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<Segmentation> {
        if let Some(found) = self.segment_tiles(cloud, options).await? {
            return Ok(found);
        }
        if options.tta {
            return self.segment_views(cloud, options).await;
        }
        match (self.segment_at_once(cloud, options).await, options.tiles) {
            (Err(Error::OutOfMemory { .. }), Tiles::Within(_)) => self.segment_smaller(cloud, options).await,
            (found, _) => found,
        }
    }

    /// [`Self::segment`] of the whole scene in one pass.
    async fn segment_at_once(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<Segmentation> {
        let mut run = Run::new(options);
        let answer = self.answer(cloud, &mut run).await?;
        self.read(cloud, answer, run).await
    }

    /// What the network says of the voxels of `cloud`; on a GPU it may not have been computed yet.
    async fn answer(&self, cloud: &PointCloud, run: &mut Run<'_>) -> Result<Answer> {
        self.model.device().reset_peak();
        let (finite, positions) = self.finite(cloud, run)?;
        let lattice = Lattice::covering(&positions, self.grid_size(run.options))?;
        let has_normals = cloud.normals.as_ref().is_some_and(|own| own.iter().any(normals::is_usable));
        let seen = self.look(cloud, &finite, positions, lattice, has_normals, run).await?;
        let (cell_of_point, voxels) = (seen.cell_of_point.clone(), seen.voxels);
        let (logits, read_by_head) = self.forward(&seen, run)?;
        drop(seen);
        run.step("labels", BEFORE_NETWORK + NETWORK)?;
        let (label, confidence) = argmax(&logits)?;
        let details = read_by_head.map(|features| Ok::<_, Error>((softmax(&logits, 1.0)?, features))).transpose()?;
        Ok(Answer { finite, cell_of_point, voxels, label, confidence, details })
    }

    /// Brings an answer to the host.
    async fn read(&self, cloud: &PointCloud, answer: Answer, mut run: Run<'_>) -> Result<Segmentation> {
        let Answer { finite, cell_of_point, voxels, label, confidence, details } = answer;
        let label: Vec<u32> = gather_rows(&cell_of_point, &label)?.to_vec().await?;
        run.finish("network");
        let confidence: Vec<f32> = gather_rows(&cell_of_point, &confidence)?.to_vec().await?;

        let mut labels = vec![-1; cloud.len()];
        let mut confidences = vec![0.0; cloud.len()];
        for ((point, label), confidence) in finite.iter().zip(label).zip(confidence) {
            labels[*point as usize] = label as i32;
            confidences[*point as usize] = confidence;
        }
        let details = match details {
            Some((probabilities, features)) => {
                let (classes, channels) = (probabilities.columns(), features.columns());
                let voxel_of_point = voxels_of_points(cloud, &finite, &cell_of_point).await?;
                let (probabilities, features) = (probabilities.to_vec().await?, features.to_vec().await?);
                Some(Details { voxel_of_point, classes, probabilities, channels, features })
            }
            None => None,
        };
        let skipped = cloud.len() - finite.len();
        Ok(run.end(
            self.model.device(),
            Segmentation { labels, confidence: confidences, voxels, passes: 1, skipped, details, ..Default::default() },
        ))
    }

    /// The voxels that a run over `cloud` would have, counted on the host; `None` takes the model's voxel size.
    ///
    /// # Errors
    /// [`Error::Argument`] as [`Self::segment`].
    pub fn count_voxels(&self, cloud: &PointCloud, grid_size: Option<f64>) -> Result<usize> {
        let (_, positions) = self.finite(cloud, &Run::new(&SegmentOptions::default()))?;
        let lattice = Lattice::covering(&positions, grid_size.unwrap_or(self.model.info().grid_size))?;
        let mut keys: Vec<u64> = positions.iter().map(|position| lattice.key(position)).collect();
        keys.par_sort_unstable();
        keys.dedup();
        Ok(keys.len())
    }

    /// [`Self::segment`], waiting for it.
    ///
    /// # Errors
    /// As [`Self::segment`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn segment_blocking(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<Segmentation> {
        pollster::block_on(self.segment(cloud, options))
    }

    /// The voxel size of a run.
    fn grid_size(&self, options: &SegmentOptions<'_>) -> f64 {
        options.grid_size.unwrap_or(self.model.info().grid_size)
    }

    /// What the network sees of the points `finite` of a cloud, which are at `positions`: voxels of the lattice, features,
    /// pyramid. The points may be a part of the scene that the lattice covers, in which some normals say something if it
    /// `has_normals`.
    async fn look(
        &self,
        cloud: &PointCloud,
        finite: &[u32],
        positions: Vec<[f32; 3]>,
        lattice: Lattice,
        has_normals: bool,
        run: &mut Run<'_>,
    ) -> Result<Seen> {
        let device = self.model.device();
        let voxels = voxelize_on(device, &positions, lattice).await?;
        let first: Vec<u32> = voxels.first.to_vec().await?;
        run.finish("voxelize");

        let representatives: Vec<usize> = first.iter().map(|i| finite[*i as usize] as usize).collect();
        let normals = match self.own_normals(cloud, &representatives, has_normals, run) {
            Wanted::Given(normals) => Some(normals),
            Wanted::Missing => Some(self.estimated_normals(&voxels, run).await?),
            Wanted::Unread => None,
        };
        let mut centred: Vec<[f32; 3]> = first.iter().map(|i| positions[*i as usize]).collect();
        drop(positions);
        // The reference centres the voxels' points once more, in x and y only.
        center_shift(&mut centred, false);
        self.note_missing_color(cloud, run);
        let features = self.inputs(cloud, &representatives, &centred, normals.as_deref())?;

        run.step("pyramid", 0.06)?;
        let specs = self.model.stage_specs();
        let (scenes, largest) = ([voxels.len()], lattice.last.into_iter().max().unwrap_or(0));
        let pyramid = Pyramid::build_within(&voxels.grid_coord, &voxels.batch, &scenes, &specs, largest).await?;
        run.finish("pyramid");

        Ok(Seen { cell_of_point: voxels.cell_of_point.clone(), voxels: voxels.len(), pyramid, features })
    }

    /// The logits `[v, classes]` of what the network sees and, where the options ask for details, the features that its head
    /// reads.
    fn forward(&self, seen: &Seen, run: &Run<'_>) -> Result<(Tensor, Option<Tensor>)> {
        let (device, options) = (self.model.device(), run.options);
        let step = |name: &str, done: f64| {
            device.mark();
            // Only someone who watches or may stop the run needs it to be heard while the device works.
            if options.progress.is_some() || options.cancel.is_some() {
                device.pace()?;
            }
            run.step(name, BEFORE_NETWORK + NETWORK * done)
        };
        let mut context = Context::with_steps(&step);
        if options.details {
            let (logits, features) = self.model.forward_with_features(&mut context, &seen.pyramid, &seen.features)?;
            return Ok((logits, Some(features)));
        }
        Ok((self.model.forward(&mut context, &seen.pyramid, &seen.features)?, None))
    }

    /// An error if nobody knows what the model reads.
    fn check_features(&self) -> Result<()> {
        if self.model.info().features.is_empty() {
            return Err(Error::Argument {
                what: "model".into(),
                problem: format!(
                    "it reads {} numbers per point and its file does not say which",
                    self.model.config().backbone.in_channels
                ),
                advice: "Add `features` to the file's metadata, for example `coord,color,normal`".into(),
            });
        }
        Ok(())
    }

    /// The points with finite coordinates, and where they are once the scene is centred.
    fn finite(&self, cloud: &PointCloud, run: &Run<'_>) -> Result<(Vec<u32>, Vec<[f32; 3]>)> {
        self.check_features()?;
        run.step("voxelize", 0.0)?;
        let finite: Vec<u32> = (0..cloud.len() as u32).filter(|i| cloud.is_finite(*i as usize)).collect();
        if finite.is_empty() {
            return Err(no_points(cloud.len()));
        }
        let mut positions: Vec<[f32; 3]> = finite.iter().map(|i| cloud.positions[*i as usize]).collect();
        center_shift(&mut positions, true);
        if let Some(i) = positions.iter().position(|p| p.iter().any(|v| !v.is_finite())) {
            return Err(too_wide(&format!("point {}", finite[i]), cloud.positions[finite[i] as usize]));
        }
        Ok((finite, positions))
    }

    /// The scan's own normals of `points`.
    fn own_normals(&self, cloud: &PointCloud, points: &[usize], has_normals: bool, run: &mut Run<'_>) -> Wanted {
        if !self.model.info().features.contains(&Feature::Normal) {
            return Wanted::Unread;
        }
        let Some(own) = cloud.normals.as_ref().filter(|_| has_normals) else {
            return Wanted::Missing;
        };
        let unusable = points.iter().filter(|i| !normals::is_usable(&own[**i])).count();
        run.unusable_normals += unusable;
        let of = |i: &usize| if normals::is_usable(&own[*i]) { own[*i] } else { UP };
        Wanted::Given(points.iter().map(of).collect())
    }

    /// Normals of voxels `[v, 3]`, estimated on the device.
    async fn estimated_normals(&self, voxels: &VoxelGrid, run: &mut Run<'_>) -> Result<Vec<[f32; 3]>> {
        run.step("normals", 0.03)?;
        let estimated = normals::estimated(voxels).await?;
        run.finish("normals");
        Ok(estimated)
    }

    fn note_missing_color(&self, cloud: &PointCloud, run: &mut Run<'_>) {
        if cloud.colors.is_none() && self.model.info().features.contains(&Feature::Color) {
            run.warn("the scan has no colour; a neutral grey is used, and labels will be less certain".into());
        }
    }

    /// The network's input `[v, channels]`, one point of the cloud per voxel.
    fn inputs(
        &self,
        cloud: &PointCloud,
        points: &[usize],
        centred: &[[f32; 3]],
        normals: Option<&[[f32; 3]]>,
    ) -> Result<Tensor> {
        let kinds = &self.model.info().features;
        let color = |i: usize| match &cloud.colors {
            Some(colors) => colors[i].map(|v| v / 255.0),
            None => PointCloud::NEUTRAL_GREY.map(|v| v / 255.0),
        };
        let mut features = Vec::with_capacity(points.len() * kinds.len() * Feature::CHANNELS);
        for (voxel, point) in points.iter().enumerate() {
            for kind in kinds {
                features.extend(match kind {
                    Feature::Coord => centred[voxel],
                    Feature::Color => color(*point),
                    Feature::Normal => normals.map_or(UP, |normals| normals[voxel]),
                });
            }
        }
        let channels = kinds.len() * Feature::CHANNELS;
        Tensor::from_slice(self.model.device(), &[points.len(), channels], &features)
    }
}

fn no_points(points: usize) -> Error {
    Error::Argument {
        what: "scan".into(),
        problem: format!("none of its {points} points has finite coordinates"),
        advice: "Give a scan with at least one point".into(),
    }
}

fn too_wide(what: &str, place: [f32; 3]) -> Error {
    Error::Argument {
        what: what.into(),
        problem: format!("the scene around {place:?} is too wide for 32-bit coordinates"),
        advice: "Remove stray points, and give coordinates in metres".into(),
    }
}

/// The voxel of every point of the cloud, from those of its finite points.
async fn voxels_of_points(cloud: &PointCloud, finite: &[u32], cell_of_point: &Tensor) -> Result<Vec<u32>> {
    let mut voxels = vec![Details::NO_VOXEL; cloud.len()];
    let cells: Vec<u32> = cell_of_point.to_vec().await?;
    finite.iter().zip(cells).for_each(|(point, cell)| voxels[*point as usize] = cell);
    Ok(voxels)
}

/// The normals that a model may want of a scan.
enum Wanted {
    /// The scan has them.
    Given(Vec<[f32; 3]>),
    /// It has none.
    Missing,
    /// The model reads none.
    Unread,
}

/// A scan, or a part of it, ready for the network.
struct Seen {
    /// The voxel of every point.
    cell_of_point: Tensor,
    voxels: usize,
    pyramid: Pyramid,
    features: Tensor,
}

/// What the network says of a scan, on the device.
struct Answer {
    /// Input points with finite coordinates.
    finite: Vec<u32>,
    /// The voxel of each of them.
    cell_of_point: Tensor,
    voxels: usize,
    /// `[v]`.
    label: Tensor,
    /// `[v]`.
    confidence: Tensor,
    /// Probabilities and features of the voxels, `[v, classes]` and `[v, channels]`.
    details: Option<(Tensor, Tensor)>,
}
