//! Makes `assets/models/rooms.safetensors`: a `rooms` network with random weights, and a head fitted to synthetic
//! rooms by least squares.
//!
//! Only the head learns anything here. Features of a random network still tell surfaces apart by height, direction,
//! colour and surroundings, which is enough for a first model that works out of the box:
//!
//! ```text
//! cargo run --release --example fit_head -- assets/models/rooms.safetensors
//! ```

use pointtpa::{
    Device, LabelSet, PointCloud, Result, SegmentOptions, Segmenter,
    model::{
        config::Config,
        preset::{AdapterChoice, Preset},
        tensor_file::{Dtype, HostTensor},
        weights::{ModelFile, ModelInfo},
        write::write_model,
    },
    synth::{Domain, Options, Room, ScannerOptions, scan},
};
use std::path::Path;

/// Rooms that the head is fitted to, and rooms it is judged by; seeds do not overlap.
const TRAIN: std::ops::Range<u64> = 1000..1144;
const TEST: std::ops::Range<u64> = 5000..5018;
const SEED: u64 = 1;
/// The ridge's weight relative to the mean of the diagonal.
const RIDGE: f64 = 1e-6;
/// Fitted outputs are near 0 and 1; softmax wants them further apart.
const SHARPNESS: f64 = 8.0;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "assets/models/rooms.safetensors".into());
    let labels = LabelSet::rooms();
    let classes = labels.len();
    let config = encoder_head(Config::preset(Preset::Rooms, AdapterChoice::None, classes)?)?;
    let mut info = ModelInfo::new(labels);
    info.licence = Some("MIT OR Apache-2.0".into());
    info.provenance = Some(format!(
        "random backbone (seed {SEED}), head fitted by least squares to synthetic rooms {TRAIN:?} (examples/fit_head.rs)"
    ));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let random = folder.path().join("random.safetensors");
    write_model(&random, &config, &info, Dtype::F16, |parameter| Ok(spread(parameter.initial(SEED))))?;
    let file = ModelFile::open(&random)?;
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &file, None)?;

    let width = config.head_channels() + 1;
    let mut normal = Normal::new(width, classes);
    for seed in TRAIN {
        let cloud = room(seed);
        let (features, voxels) = pollster::block_on(segmenter.features(&cloud, &SegmentOptions::default()))?;
        normal.add(&features, &voxel_labels(&cloud, &voxels, features.len() / (width - 1)));
    }
    let weights = normal.solve();
    write_model(Path::new(&path), &config, &info, Dtype::F16, |parameter| match parameter.name.as_str() {
        "seg_head.weight" => {
            let rows = weights.chunks_exact(width).flat_map(|row| &row[..width - 1]);
            let values: Vec<f32> = rows.map(|w| (w * SHARPNESS) as f32).collect();
            Ok(HostTensor::from_f32(&parameter.name, &parameter.shape, &values))
        }
        "seg_head.bias" => {
            let values: Vec<f32> = weights.chunks_exact(width).map(|r| (r[width - 1] * SHARPNESS) as f32).collect();
            Ok(HostTensor::from_f32(&parameter.name, &parameter.shape, &values))
        }
        name => file.read(name),
    })?;
    judge(Path::new(&path), classes)
}

/// The preset with the reference's encoder head: every stage's features reach the fitted layer directly.
fn encoder_head(mut config: Config) -> Result<Config> {
    config.backbone.enc_mode = true;
    config.backbone_out_channels = config.head_channels();
    config.validate()?;
    Ok(config)
}

/// Random weights at the scale that keeps activations alive, where the reference's start for training is ten times
/// smaller and leaves every branch near zero.
fn spread(tensor: HostTensor) -> HostTensor {
    if tensor.shape.len() < 2 {
        return tensor;
    }
    let inputs: usize = tensor.shape[1..].iter().product();
    let factor = 50.0 / (inputs as f32).sqrt();
    let values = tensor.to_f32().expect("weights are floats");
    HostTensor::from_f32(&tensor.name, &tensor.shape, &values.iter().map(|v| v * factor).collect::<Vec<_>>())
}

fn room(seed: u64) -> PointCloud {
    let domain = Domain::ALL[(seed % Domain::ALL.len() as u64) as usize];
    let room = Room::generate(&Options { domain, kind: None }, seed);
    let options = ScannerOptions::of(domain);
    // Four rooms of six are thinned, to 3, 4 or 5.5 cm: users thin their scans, and neighbourhoods look different then.
    let thinned = [options.cell, 0.03, options.cell, 0.04, 0.055, 0.055];
    scan(&room, &ScannerOptions { cell: thinned[(seed / 3 % 6) as usize].max(options.cell), ..options }, seed)
}

/// The most frequent label of each voxel's points.
fn voxel_labels(cloud: &PointCloud, voxels: &[u32], count: usize) -> Vec<Option<usize>> {
    let truth = cloud.labels.as_ref().expect("synthetic rooms are labelled");
    let mut first = vec![None; count];
    for (voxel, label) in voxels.iter().zip(truth) {
        if let Some(place) = first.get_mut(*voxel as usize) {
            place.get_or_insert(*label);
        }
    }
    first.into_iter().map(|label| label.and_then(|l| usize::try_from(l).ok())).collect()
}

/// Normal equations of a linear fit to one-hot labels, every class weighing the root of its share.
struct Normal {
    width: usize,
    classes: usize,
    /// Per class: `[width, width]` second moments, and `[width]` sums.
    moments: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    counts: Vec<f64>,
}

impl Normal {
    fn new(width: usize, classes: usize) -> Self {
        Self {
            width,
            classes,
            moments: vec![vec![0.0; width * width]; classes],
            sums: vec![vec![0.0; width]; classes],
            counts: vec![0.0; classes],
        }
    }

    /// Every seventh voxel of a large scan: neighbours say nearly the same.
    fn add(&mut self, features: &[f32], labels: &[Option<usize>]) {
        let width = self.width;
        let mut row = vec![1.0f64; width];
        for (feature, label) in features.chunks_exact(width - 1).zip(labels).step_by(1 + labels.len() / 15_000) {
            let Some(label) = *label else { continue };
            row.iter_mut().zip(feature).for_each(|(r, f)| *r = f64::from(*f));
            self.counts[label] += 1.0;
            let moments = &mut self.moments[label];
            for i in 0..width {
                let target = &mut moments[i * width..][..=i];
                target.iter_mut().zip(&row).for_each(|(m, r)| *m += row[i] * r);
                self.sums[label][i] += row[i];
            }
        }
    }

    /// `[classes, width]`, the last of each row being the bias.
    fn solve(&self) -> Vec<f64> {
        let width = self.width;
        let weight = |class: usize| 1.0 / self.counts[class].max(1.0).sqrt();
        let mut matrix = vec![0.0; width * width];
        for class in 0..self.classes {
            matrix.iter_mut().zip(&self.moments[class]).for_each(|(m, v)| *m += weight(class) * v);
        }
        let ridge = RIDGE * (0..width).map(|i| matrix[i * width + i]).sum::<f64>() / width as f64;
        (0..width).for_each(|i| matrix[i * width + i] += ridge);
        // Cholesky, in place in the lower triangle.
        for i in 0..width {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| matrix[i * width + k] * matrix[j * width + k]).sum();
                let rest = matrix[i * width + j] - dot;
                matrix[i * width + j] =
                    if i == j { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / matrix[j * width + j] };
            }
        }
        let mut solution = Vec::new();
        for class in 0..self.classes {
            let mut x: Vec<f64> = self.sums[class].iter().map(|s| s * weight(class)).collect();
            for i in 0..width {
                let dot: f64 = (0..i).map(|k| matrix[i * width + k] * x[k]).sum();
                x[i] = (x[i] - dot) / matrix[i * width + i];
            }
            for i in (0..width).rev() {
                let dot: f64 = (i + 1..width).map(|k| matrix[k * width + i] * x[k]).sum();
                x[i] = (x[i] - dot) / matrix[i * width + i];
            }
            solution.extend(x);
        }
        solution
    }
}

/// Prints accuracy and `IoU` on rooms that the head has not seen.
fn judge(path: &Path, classes: usize) -> Result<()> {
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &ModelFile::open(path)?, None)?;
    let mut confusion = vec![0u64; classes * classes];
    for seed in TEST {
        let cloud = room(seed);
        let result = segmenter.segment_blocking(&cloud, &SegmentOptions::default())?;
        for (truth, label) in cloud.labels.iter().flatten().zip(&result.labels) {
            if *truth >= 0 && *label >= 0 {
                confusion[*truth as usize * classes + *label as usize] += 1;
            }
        }
    }
    let right: u64 = (0..classes).map(|c| confusion[c * classes + c]).sum();
    println!("accuracy on unseen rooms {:.3}", right as f64 / confusion.iter().sum::<u64>() as f64);
    let mut ious = Vec::new();
    for (c, class) in LabelSet::rooms().classes.iter().enumerate() {
        let truth: u64 = confusion[c * classes..(c + 1) * classes].iter().sum();
        let labelled: u64 = (0..classes).map(|t| confusion[t * classes + c]).sum();
        let both = confusion[c * classes + c];
        let iou = both as f64 / (truth + labelled - both).max(1) as f64;
        ious.push(iou);
        println!("{:16} IoU {iou:.3}, {truth} points", class.name);
    }
    println!("mean IoU {:.3}", ious.iter().sum::<f64>() / ious.len() as f64);
    Ok(())
}
