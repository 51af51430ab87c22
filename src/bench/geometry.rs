//! The geometry alone: sorting, voxelizing, and a pyramid.

use super::{
    Options, Watch,
    report::{GeometryRow, extremes, median},
    scene::Scene,
};
use crate::{
    Device, Result,
    device::Tensor,
    geometry::{pyramid::Pyramid, voxel::voxelize},
    kernels::radix_sort::radix_sort,
    model::{
        config::Config,
        preset::{AdapterChoice, Preset},
        stage_specs,
        weights::ModelInfo,
    },
};
use pollster::block_on;
use rand_pcg::{Pcg64, rand_core::Rng};
use std::time::Instant;

/// Keys to sort, and points to voxelize.
const MANY: usize = 1_000_000;
/// Voxels of the room whose pyramid is built.
const ROOM: usize = 60_000;

/// The three steps, each alone, of the base configuration.
pub(super) fn geometry(watch: &Watch<'_>, options: &Options<'_>) -> Result<Vec<GeometryRow>> {
    let device = &Device::open_blocking(options.device.clone())?;
    let mut random = Pcg64::new(1, 1);
    let words: Vec<u32> = (0..2 * MANY).map(|_| random.next_u32()).collect();
    let keys = Tensor::from_slice(device, &[1, MANY, 2], &words)?;
    let sort = || block_on(radix_sort(&keys, 64)?.order.rows_to_vec::<u32>(0..1)).map(drop);
    let sort = row(watch, options, "sort", MANY, sort)?;

    let scene = Scene::of(ROOM)?;
    let places: Vec<[f32; 3]> = scene.positions().collect();
    // As far from their voxel's point as points of one scan are from each other.
    let mut near = || (random.next_u32() as f32 / u32::MAX as f32 - 0.5) * 0.02;
    let points: Vec<[f32; 3]> = (0..MANY).map(|i| places[i % ROOM].map(|v| v + near())).collect();
    let cells = || block_on(block_on(voxelize(device, &points, 0.02))?.first.rows_to_vec::<u32>(0..1)).map(drop);
    let cells = row(watch, options, "voxelize", MANY, cells)?;

    let config = Config::preset(Preset::Base, AdapterChoice::None, 20)?;
    let specs = stage_specs(&config);
    let uploaded = scene.upload(device, &config, &ModelInfo::new(crate::LabelSet::scannet20()))?;
    let pyramid = || {
        let pyramid = block_on(Pyramid::build(&uploaded.grid_coord, &uploaded.batch, &[ROOM], &specs))?;
        let last = pyramid.stages.last().map(|stage| &stage.inverses);
        last.map_or(Ok(()), |tensor| block_on(tensor.rows_to_vec::<u32>(0..1)).map(drop))
    };
    Ok(vec![sort, cells, row(watch, options, "pyramid", ROOM, pyramid)?])
}

fn row(
    watch: &Watch<'_>,
    options: &Options<'_>,
    name: &str,
    items: usize,
    step: impl Fn() -> Result<()>,
) -> Result<GeometryRow> {
    let mut seconds = Vec::new();
    for run in 0..options.warmup + options.runs {
        watch.say(name)?;
        let begun = Instant::now();
        step()?;
        if run >= options.warmup {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    let (min_s, max_s) = extremes(&seconds);
    Ok(GeometryRow { name: name.to_owned(), items, median_s: median(&seconds), min_s, max_s })
}
