//! Runs against the clock.

use super::{
    Options, Watch,
    report::{RunReport, extremes, median},
    scene::{Scene, Uploaded},
};
use crate::{
    Device, Result,
    device::DeviceOptions,
    geometry::pyramid::{Pyramid, StageSpec},
    kernels::argmax::argmax,
    model::{Context, Model, weights::ModelFile},
};
use pollster::block_on;
use std::time::Instant;

/// A model, ready to be measured.
pub(super) struct Bench<'a> {
    pub(super) watch: &'a Watch<'a>,
    pub(super) model: Model,
    specs: Vec<StageSpec>,
    weights_bytes: u64,
}

/// Seconds of a run's two parts.
#[derive(Clone, Copy)]
pub(super) struct Laps {
    pyramid: f64,
    /// Network and labels.
    forward: f64,
}

impl<'a> Bench<'a> {
    /// Opens a device of its own for a model, so that its memory is the model's alone.
    pub(super) fn open(watch: &'a Watch<'a>, device: &DeviceOptions, file: &ModelFile) -> Result<Self> {
        let device = Device::open_blocking(device.clone())?;
        let (model, _) = Model::load(&device, file, None)?;
        Ok(Self { watch, specs: model.stage_specs(), model, weights_bytes: device.memory().live })
    }

    pub(super) fn device(&self) -> &Device {
        self.model.device()
    }

    pub(super) fn upload(&self, scene: &Scene) -> Result<Uploaded> {
        scene.upload(self.device(), self.model.config(), self.model.info())
    }

    pub(super) fn pyramid(&self, scene: &Uploaded) -> Result<Pyramid> {
        block_on(Pyramid::build(&scene.grid_coord, &scene.batch, &[scene.batch.rows()], &self.specs))
    }

    /// From voxels to labels on the host, as a scan is segmented: nothing waits between pyramid and labels.
    pub(super) fn run(&self, scene: &Uploaded) -> Result<Laps> {
        self.laps(scene, |_| Ok(()))
    }

    /// [`Self::run`], the device having finished the pyramid before the network starts.
    fn run_in_parts(&self, scene: &Uploaded) -> Result<Laps> {
        self.laps(scene, |pyramid| {
            // What was recorded last is done last.
            let last = pyramid.stages.last().map(|stage| &stage.inverses);
            last.map_or(Ok(()), |tensor| block_on(tensor.rows_to_vec::<u32>(0..1)).map(drop))
        })
    }

    fn laps(&self, scene: &Uploaded, between: impl FnOnce(&Pyramid) -> Result<()>) -> Result<Laps> {
        self.watch.check()?;
        let begun = Instant::now();
        let pyramid = self.pyramid(scene)?;
        between(&pyramid)?;
        let built = begun.elapsed().as_secs_f64();
        let step = |_: &str, _: f64| self.watch.check();
        let logits = self.model.forward(&mut Context::with_steps(&step), &pyramid, &scene.features)?;
        let (labels, _) = argmax(&logits)?;
        block_on(labels.to_vec::<u32>())?;
        Ok(Laps { pyramid: built, forward: begun.elapsed().as_secs_f64() - built })
    }
}

/// A model, and the same without its adapter.
pub(super) struct Paired<'a> {
    pub(super) adapted: &'a Bench<'a>,
    pub(super) plain: Option<&'a Bench<'a>>,
}

impl Paired<'_> {
    /// The runs over one scene; what is measured of single kernels comes later.
    pub(super) fn measure(&self, scene: &Scene, options: &Options<'_>) -> Result<RunReport> {
        let Self { adapted, plain } = self;
        let (watch, device) = (adapted.watch, adapted.device());
        let name = format!("{} voxels", scene.len());
        let on_adapted = adapted.upload(scene)?;
        let on_plain = plain.map(|plain| plain.upload(scene)).transpose()?;
        let without_adapter = || plain.zip(on_plain.as_ref()).map(|(plain, scene)| plain.run(scene)).transpose();
        for _ in 0..options.warmup {
            watch.say(&name)?;
            adapted.run(&on_adapted)?;
            without_adapter()?;
            watch.count(2 * scene.len());
        }
        device.reset_peak();
        let (mut totals, mut ratios, mut laps) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..options.runs {
            watch.say(&name)?;
            // Each goes first in turn, so that neither always runs on the warmer machine.
            let (with, without) = if run % 2 == 0 {
                let with = adapted.run(&on_adapted)?;
                (with, without_adapter()?)
            } else {
                let without = without_adapter()?;
                (adapted.run(&on_adapted)?, without)
            };
            totals.push(with.total());
            ratios.extend(without.map(|without| with.total() / without.total()));
            laps.push(match device {
                Device::Cpu(_) => with,
                Device::Gpu(_) => adapted.run_in_parts(&on_adapted)?,
            });
            watch.count(2 * scene.len());
        }
        let peak_bytes = device.memory().peak;
        let (min_s, max_s) = extremes(&totals);
        let median_of = |part: fn(&Laps) -> f64| median(&laps.iter().map(part).collect::<Vec<_>>());
        Ok(RunReport {
            voxels: scene.len(),
            median_s: median(&totals),
            min_s,
            max_s,
            forward_s: median_of(|laps| laps.forward),
            pyramid_s: median_of(|laps| laps.pyramid),
            peak_bytes,
            weights_bytes: adapted.weights_bytes,
            bytes_per_voxel: peak_bytes.saturating_sub(adapted.weights_bytes) as f64 / scene.len() as f64,
            adapter_overhead: (!ratios.is_empty()).then(|| median(&ratios) - 1.0),
            stages: Vec::new(),
            kernels: Vec::new(),
        })
    }
}

impl Laps {
    fn total(self) -> f64 {
        self.pyramid + self.forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        LabelSet,
        kernels::testing::{cpu, get},
        model::{
            config::Config,
            preset::{AdapterChoice, Preset},
            tensor_file::Dtype,
            weights::ModelInfo,
            write::write_model_to,
        },
    };

    #[test]
    fn what_is_measured_has_the_bits_of_a_pass_that_records_every_step() {
        // On the CPU a pass that records nothing fuses several steps to a kernel.
        let device = cpu();
        let adapters =
            [AdapterChoice::None, AdapterChoice::Bottleneck, AdapterChoice::BasisMix, AdapterChoice::LowRank];
        for adapter in adapters {
            let labels = LabelSet::rooms();
            let config = Config::preset(Preset::Rooms, adapter, labels.classes.len()).unwrap();
            let (info, mut bytes) = (ModelInfo::new(labels), Vec::new());
            write_model_to(&mut bytes, &config, &info, Dtype::F32, |parameter| Ok(parameter.initial(1))).unwrap();
            let file = ModelFile::from_bytes("a model in memory", bytes).unwrap();
            let (model, _) = Model::load(&device, &file, None).unwrap();
            // So many voxels that the finest stages are fused, and the coarsest have too few for it.
            let room = Scene::of(3000).unwrap().upload(&device, &config, &info).unwrap();
            let n = room.batch.rows();
            let pyramid = block_on(Pyramid::build(&room.grid_coord, &room.batch, &[n], &model.stage_specs())).unwrap();
            let plain = model.forward(&mut Context::default(), &pyramid, &room.features).unwrap();
            let recorded = model.forward(&mut Context::recording(), &pyramid, &room.features).unwrap();
            let (plain, recorded) = (get::<f32>(&plain), get::<f32>(&recorded));
            assert!(plain == recorded, "{adapter:?}");
            assert!(plain.len() >= n && plain.iter().all(|logit| logit.is_finite()));
        }
    }
}
