//! Test time: the first fragment of every view, from the raw points to its logits.
//!
//! The reference sorts the points of a voxel with an unstable sort, so which of them is the first is left open: the
//! recorded one must be in the voxel, and what follows is computed of the recorded ones. The sums over all fragments
//! depend on all members, of which the file records the first; how much there is to sum up does not.

use super::{Report, compare, floats, integers, tolerance};
use crate::{
    Device, Error, Result,
    check::{Comparison, compare::compare_floats, compare::compare_integers},
    device::Tensor,
    geometry::{
        center_shift::center_shift,
        pyramid::Pyramid,
        test_view::{Fragments, Placed, TestView},
    },
    model::{
        Context, Model,
        tensor_file::{HostTensor, TensorFile},
        weights::{ModelFile, is_parameter},
    },
};

/// The reference's rotation is a product of BLAS, whose last f64 bit may differ: at most one step of f32 at some metres.
const TOLERANCE_PLACE: f64 = 1e-6;
/// A sum of some thousand probabilities, every one of which is rounded to f32.
const TOLERANCE_TOTAL: f64 = 0.05;

/// The raw scene, and the recorded fragments.
struct Recorded<'a> {
    file: &'a TensorFile,
    positions: Vec<[f32; 3]>,
    /// 0 to 255.
    colors: Vec<f32>,
    normals: Vec<f32>,
    grid_size: f64,
}

pub(super) async fn check(device: &Device, file: TensorFile, report: &mut Report) -> Result<()> {
    let file = ModelFile::from_tensors(file)?;
    let (model, _) = Model::load(device, &file, None)?;
    let (tensors, grid_size) = (file.tensors(), file.info().grid_size);
    let recorded = Recorded::new(tensors, grid_size)?;
    let mut passes = 0;
    for (index, view) in TestView::ALL.into_iter().enumerate() {
        let name = format!("aug{index}.frag0");
        if tensors.shape(&format!("{name}.grid_coord")).is_none() {
            continue;
        }
        let placed = view.place(&recorded.positions);
        let fragments = placed.fragments(grid_size)?;
        passes += fragments.count() * fragments.grid_coord.len();
        recorded.check_points(&name, view, &placed, &fragments, report)?;
        check_logits(&model, tensors, &name, tolerance(&model, &file), report).await?;
    }
    if tensors.shape("out.prob_sum").is_some() {
        let sums = tensors.read("out.prob_sum")?.to_f64()?;
        let total = HostTensor::from_f32("out.prob_sum", &[1], &[sums.iter().sum::<f64>() as f32]);
        report.compared.push(compare_floats("out.prob_sum (total)", &[passes as f32], &total, TOLERANCE_TOTAL)?);
    }
    let compared: Vec<String> = report.compared.iter().map(|comparison| comparison.name.clone()).collect();
    for name in tensors.names().filter(|name| !is_parameter(name)) {
        if name.starts_with("raw.") {
            report.skip(name, "an input");
        } else if !compared.iter().any(|other| other == name) {
            report.skip(name, "depends on the order in which an unstable sort left the points of every voxel");
        }
    }
    Ok(())
}

impl<'a> Recorded<'a> {
    fn new(file: &'a TensorFile, grid_size: f64) -> Result<Self> {
        let read = |name: &str| file.read(name)?.to_f32();
        let mut positions = read("raw.coord")?.as_chunks::<3>().0.to_vec();
        center_shift(&mut positions, true);
        let recorded = Self { file, positions, colors: read("raw.color")?, normals: read("raw.normal")?, grid_size };
        let n = 3 * recorded.positions.len();
        if recorded.colors.len() != n || recorded.normals.len() != n {
            return Err(Error::Model {
                path: file.path().to_owned(),
                problem: "`raw.coord`, `raw.color` and `raw.normal` are not three numbers of as many points".into(),
                advice: "Record the raw scene that the fragments were made of".into(),
            });
        }
        Ok(recorded)
    }

    /// Which points are in the fragment, and what the network is given of them.
    fn check_points(
        &self,
        name: &str,
        view: TestView,
        placed: &Placed,
        fragments: &Fragments,
        report: &mut Report,
    ) -> Result<()> {
        let part = |part: &str| format!("{name}.{part}");
        let points: Vec<u32> = integers(self.file, &part("index"))?;
        if let Some(point) = points.iter().find(|point| **point as usize >= self.positions.len()) {
            return Err(Error::Model {
                path: self.file.path().to_owned(),
                problem: format!("{name}.index holds {point}, there are {} points", self.positions.len()),
                advice: "Record the raw scene that the fragments were made of".into(),
            });
        }
        let cells = placed.cells(self.grid_size)?;
        let mut own: Vec<[i32; 3]> = points.iter().map(|point| cells[*point as usize]).collect();
        let flat = |cells: &[[i32; 3]]| cells.as_flattened().iter().map(|v| i64::from(*v)).collect::<Vec<i64>>();
        let mut compare = |comparison: Result<Comparison>| comparison.map(|found| report.compared.push(found));
        let grid_coord = self.file.read(&part("grid_coord"))?;
        compare(compare_integers(&part("grid_coord"), &flat(&own), &grid_coord))?;
        // One point of every voxel of the view, and none twice.
        own.sort_unstable();
        let voxels =
            HostTensor::from_f32("", &[own.len(), 3], &flat(&own).iter().map(|v| *v as f32).collect::<Vec<_>>());
        let all: Vec<f32> = fragments.grid_coord.as_flattened().iter().map(|v| *v as f32).collect();
        compare(compare_floats(&part("index"), &all, &voxels, 0.0))?;

        let centred = placed.centred(&points);
        let coord = self.file.read(&part("coord"))?;
        compare(compare_floats(&part("coord"), centred.as_flattened(), &coord, TOLERANCE_PLACE))?;
        let three = |values: &[f32], point: u32| std::array::from_fn::<f32, 3, _>(|a| values[point as usize * 3 + a]);
        let features = points.iter().zip(&centred).flat_map(|(point, coord)| {
            let color = three(&self.colors, *point).map(|v| v / 255.0);
            [*coord, color, view.normal(three(&self.normals, *point))].into_iter().flatten()
        });
        let features: Vec<f32> = features.collect();
        compare(compare_floats(&part("feat"), &features, &self.file.read(&part("feat"))?, TOLERANCE_PLACE))
    }
}

/// What the network says of the recorded features.
async fn check_logits(model: &Model, file: &TensorFile, name: &str, tolerance: f64, report: &mut Report) -> Result<()> {
    let device = model.device();
    let part = |part: &str| format!("{name}.{part}");
    let grid: Vec<i32> = integers(file, &part("grid_coord"))?;
    let n = grid.len() / 3;
    let grid = Tensor::from_slice(device, &[n, 3], &grid)?;
    let batch = Tensor::from_slice(device, &[n], &vec![0u32; n])?;
    let pyramid = Pyramid::build(&grid, &batch, &[n], &model.stage_specs()).await?;
    let features = floats(device, file, &part("feat"))?;
    let logits: Vec<f32> = model.forward(&mut Context::default(), &pyramid, &features)?.to_vec().await?;
    let recorded = file.read(&part("logits"))?;
    let comparison = compare_floats(&part("logits"), &logits, &recorded, tolerance)?;
    let agreement = compare::argmax_agreement(&logits, &recorded)?;
    report.argmax_agreement = Some(report.argmax_agreement.map_or(agreement, |a| a.min(agreement)));
    report.max_abs_logits = Some(report.max_abs_logits.map_or(comparison.max_abs, |m| m.max(comparison.max_abs)));
    report.compared.push(comparison);
    Ok(())
}
