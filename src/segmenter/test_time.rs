//! Test-time augmentation: the sum of what the network says of many views of a scene.
//!
//! ```text
//! for 13 views:  turn, scale or mirror ─▶ voxels ─pyramid─▶      (one pyramid serves all fragments of a view)
//!   for its fragments:  one point per voxel ─network─▶ softmax ─▶ sum[point] += probability
//! label = argmax of the sum
//! ```
//!
//! Source: Pointcept's `SemSegTester`; see [`TestView`] for the views. A scan without normals gets those that one pass
//! would see, estimated per voxel, and turns them with the scene.

use super::{BEFORE_NETWORK, NETWORK, Run, SegmentOptions, Segmentation, Segmenter, Wanted};
use crate::{
    PointCloud, Result,
    device::Tensor,
    geometry::{
        normals::is_usable,
        pyramid::Pyramid,
        test_view::{Fragments, Placed, TestView},
        voxel::voxelize,
    },
    kernels::softmax::softmax,
    model::Context,
};

/// The scene that all views look at.
struct Scene<'a> {
    cloud: &'a PointCloud,
    /// Input points with finite coordinates, `[n]`; all that follows counts in these.
    finite: Vec<u32>,
    /// `[n, 3]`, if the model reads them.
    normals: Option<Vec<[f32; 3]>>,
}

/// One view of it.
struct Look {
    view: TestView,
    placed: Placed,
    fragments: Fragments,
    pyramid: Pyramid,
}

impl Segmenter {
    /// [`Segmenter::segment`] with [`SegmentOptions::tta`].
    pub(super) async fn segment_views(&self, cloud: &PointCloud, options: &SegmentOptions<'_>) -> Result<Segmentation> {
        let device = self.model.device();
        device.reset_peak();
        let mut run = Run::new(options);
        let (finite, positions) = self.finite(cloud, &run)?;
        let points: Vec<usize> = finite.iter().map(|i| *i as usize).collect();
        let grid_size = self.grid_size(options);
        let has_normals = cloud.normals.as_ref().is_some_and(|own| own.iter().any(is_usable));
        let normals = match self.own_normals(cloud, &points, has_normals, &mut run) {
            Wanted::Given(normals) => Some(normals),
            Wanted::Missing => {
                let voxels = voxelize(device, &positions, grid_size).await?;
                let of_voxel = self.estimated_normals(&voxels, &mut run).await?;
                let voxel_of_point: Vec<u32> = voxels.cell_of_point.to_vec().await?;
                Some(voxel_of_point.into_iter().map(|voxel| of_voxel[voxel as usize]).collect())
            }
            Wanted::Unread => None,
        };
        drop(points);
        self.note_missing_color(cloud, &mut run);
        let scene = Scene { cloud, finite, normals };

        let classes = self.model.config().num_classes;
        // Added up in the order of views and fragments, so that the same scan gets the same sum.
        let mut sums = vec![0.0f32; scene.finite.len() * classes];
        let (mut voxels, mut passes) = (0, 0);
        for (index, view) in TestView::ALL.into_iter().enumerate() {
            let name = format!("view {} of {}", index + 1, TestView::ALL.len());
            run.step(&name, progress(index as f64))?;
            let look = self.look_from(&positions, view, grid_size).await?;
            if index == 0 {
                voxels = look.fragments.grid_coord.len();
            }
            let count = look.fragments.count();
            for fragment in 0..count {
                let done = |done: f64| progress(index as f64 + (fragment as f64 + done) / count as f64);
                let step = |_: &str, share: f64| {
                    device.mark();
                    if options.progress.is_some() || options.cancel.is_some() {
                        device.pace()?;
                    }
                    run.step(&name, done(share))
                };
                let points = look.fragments.points(fragment);
                let features = self.fragment_inputs(&scene, &look, &points)?;
                let logits = self.model.forward(&mut Context::with_steps(&step), &look.pyramid, &features)?;
                let probabilities: Vec<f32> = softmax(&logits, 1.0)?.to_vec().await?;
                for (point, row) in points.iter().zip(probabilities.chunks_exact(classes)) {
                    let sum = &mut sums[*point as usize * classes..][..classes];
                    sum.iter_mut().zip(row).for_each(|(sum, probability)| *sum += probability);
                }
            }
            passes += count;
            run.finish(&name);
        }
        run.step("labels", BEFORE_NETWORK + NETWORK)?;

        let mut found = Segmentation {
            labels: vec![-1; cloud.len()],
            confidence: vec![0.0; cloud.len()],
            voxels,
            passes,
            skipped: cloud.len() - scene.finite.len(),
            ..Segmentation::default()
        };
        for (point, sum) in scene.finite.iter().zip(sums.chunks_exact(classes)) {
            let best = (1..classes).fold(0, |best, c| if sum[c] > sum[best] { c } else { best });
            found.labels[*point as usize] = best as i32;
            // Every pass gave a point probabilities that add up to 1.
            found.confidence[*point as usize] = sum[best] / sum.iter().sum::<f32>();
        }
        Ok(run.end(device, found))
    }

    /// Turns the scene, and builds what all fragments of the view share.
    async fn look_from(&self, positions: &[[f32; 3]], view: TestView, grid_size: f64) -> Result<Look> {
        let device = self.model.device();
        let placed = view.place(positions);
        let fragments = placed.fragments(grid_size)?;
        let n = fragments.grid_coord.len();
        let grid_coord = Tensor::from_slice(device, &[n, 3], fragments.grid_coord.as_flattened())?;
        let batch = Tensor::from_slice(device, &[n], &vec![0u32; n])?;
        let pyramid = Pyramid::build(&grid_coord, &batch, &[n], &self.model.stage_specs()).await?;
        Ok(Look { view, placed, fragments, pyramid })
    }

    /// The network's input `[v, channels]` of a fragment's points.
    fn fragment_inputs(&self, scene: &Scene<'_>, look: &Look, points: &[u32]) -> Result<Tensor> {
        let centred = look.placed.centred(points);
        let normals: Option<Vec<[f32; 3]>> = scene
            .normals
            .as_ref()
            .map(|normals| points.iter().map(|point| look.view.normal(normals[*point as usize])).collect());
        let of_cloud: Vec<usize> = points.iter().map(|point| scene.finite[*point as usize] as usize).collect();
        self.inputs(scene.cloud, &of_cloud, &centred, normals.as_deref())
    }
}

/// The share of a run that is done after so many views.
fn progress(views: f64) -> f64 {
    BEFORE_NETWORK + NETWORK * views / TestView::ALL.len() as f64
}
