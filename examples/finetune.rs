//! Fine-tunes the bundled model on one labelled scan: a low-rank adapter and the head learn, the backbone stays as it is.
//!
//! ```sh
//! cargo run --release --example finetune -- assets/scenes/office.ply office.safetensors
//! cargo run --release -- segment assets/scenes/office.ply -o labelled.ply --adapter office.safetensors
//! ```

use pointtpa::{
    Device, Error, PointCloud, SegmentOptions, Segmenter, Trainer,
    device::DeviceOptions,
    model::{
        adapt::{Adaptation, adapt},
        adapter_file::write_adapter,
        adapter_settings::AdapterSettings,
        bundled,
        preset::AdapterChoice,
        tensor_file::Dtype,
        weights::ModelFile,
    },
    scan::{self, write_whole},
    train::{
        AdamW, Batch, LabelledScan, LossKind, Recipe, Sample, Trainable, TrainerOptions,
        schedule::{Rates, Schedule, Setting},
        trainable::Part,
    },
};
use std::{path::Path, process::ExitCode};

const STEPS: u64 = 30;
const LEARNS: Trainable = Trainable { adapter: true, train: Part::Head };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scan, out] = &arguments[..] else {
        eprintln!("finetune LABELLED_SCAN OUT.safetensors");
        return ExitCode::from(2);
    };
    match pollster::block_on(run(scan.as_ref(), out.as_ref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(path: &Path, out: &Path) -> Result<(), Error> {
    let device = Device::open(DeviceOptions::default()).await?;
    let base = bundled::rooms().expect("the checkout brings its model")?;
    let cloud = scan::read(path)?.cloud;
    println!("before: {:.1} % of the labelled points are right", 100.0 * accuracy(&device, &base, &cloud).await?);

    // The base with an adapter added, which starts by changing nothing.
    let labels = base.info().labels.clone();
    let adaptation = Adaptation {
        adapter: Some(AdapterChoice::LowRank),
        settings: &AdapterSettings::default(),
        labels: &labels,
        seed: 0,
        may_start: &|name| LEARNS.trains(name),
    };
    let file = adapt(base, &adaptation)?.file;
    let grid_size = file.info().grid_size;

    let options = TrainerOptions {
        trainable: LEARNS,
        optimizer: AdamW::new(0.0),
        rates: Rates { block: 1e-3, other: 1e-2 },
        schedule: Schedule::Constant(Setting { share: 1.0, beta1: 0.9 }),
        loss: LossKind::CrossEntropy,
        drop_path: 0.0,
        ..TrainerOptions::reference(LEARNS, STEPS)
    };
    let mut trainer = Trainer::new(&device, &file, options)?;
    let scan = LabelledScan::from_cloud(path, cloud.clone(), &labels, grid_size).await?;
    let recipe = Recipe { grid_size, max_points: Some(12_000), ..Recipe::mild() };
    for step in 0..STEPS {
        // Turned, mirrored and lit at random, from a stream of its own.
        let sample = Sample::augmented(&scan, &recipe, &file.info().features, 0, step)?;
        let report = trainer.step(&[Batch::of(&[sample])]).await?;
        println!("step {:2}: loss {:.3}", report.step + 1, report.loss);
    }

    let trained = file.with_parameters(trainer.parameters().await?.into_values())?;
    println!("after: {:.1} %", 100.0 * accuracy(&device, &trained, &cloud).await?);
    // Only what has learned, and which base it belongs to.
    let mut bytes = Vec::new();
    write_adapter(&mut bytes, &trained, "rooms", Dtype::F16, &|name| LEARNS.trains(name))?;
    write_whole(out, |writer| writer.write_all(&bytes))
}

/// Share of the labelled points that get their label.
async fn accuracy(device: &Device, file: &ModelFile, cloud: &PointCloud) -> Result<f64, Error> {
    let (segmenter, _) = Segmenter::open(device, file, None)?;
    let found = segmenter.segment(cloud, &SegmentOptions::default()).await?;
    let truth = cloud.labels.as_deref().unwrap_or_default();
    let labelled = truth.iter().zip(&found.labels).filter(|(truth, _)| **truth >= 0);
    let (right, all) = labelled.fold((0, 0), |(right, all), (a, b)| (right + u32::from(a == b), all + 1));
    Ok(f64::from(right) / f64::from(all.max(1)))
}
