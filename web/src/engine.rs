//! A device, a model, a scan and its labels, and the calls on them.

use std::path::Path;

use js_sys::{Float32Array, Int32Array, Uint8Array};
use pointtpa::device::{DeviceChoice, DeviceOptions};
use pointtpa::model::adapter_file::{AdapterFile, write_adapter};
use pointtpa::model::parameters::count;
use pointtpa::model::tensor_file::Dtype;
use pointtpa::model::weights::ModelFile;
use pointtpa::model::write::write_model_to;
use pointtpa::scan::{self, PointCloud, Scan, Up};
use pointtpa::train::teach::LEARNS;
use pointtpa::train::{Lesson, Teacher};
use pointtpa::{Device, Error, Estimate, LabelSet, Progress, SegmentOptions, Segmentation, Segmenter, Tiles};
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use web_time::Instant;

use crate::browser::{self, Adapter};
use crate::failure::Failure;
use crate::{answer, ask};

type Outcome = Result<JsValue, Failure>;

/// What the calls so far have brought.
#[derive(Default)]
pub(crate) struct State {
    device: Option<Device>,
    model: Option<Loaded>,
    scan: Option<Opened>,
    /// Of the scan, by the model.
    segmentation: Option<Segmentation>,
    /// Seconds per voxel of the last run, for estimates.
    pace: Option<f64>,
    /// The most bytes that tensors may take.
    budget: f64,
    /// What the last lesson replaced.
    before: Option<(Loaded, Option<Segmentation>)>,
}

struct Opened {
    scan: Scan,
    /// With z up, as models expect it, where the scan has another direction up.
    upright: Option<PointCloud>,
}

impl Opened {
    /// What the model sees.
    fn cloud(&self) -> &PointCloud {
        self.upright.as_ref().unwrap_or(&self.scan.cloud)
    }
}

struct Loaded {
    segmenter: Segmenter,
    name: String,
    /// The whole model as a file: what a lesson goes on from.
    bytes: Vec<u8>,
    adapter: Option<String>,
    /// What lessons learned, as a file of its own.
    learned: Option<Vec<u8>>,
}

/// One lesson is like another.
const SEED: u64 = 0;
/// WebAssembly has 4 GiB of addresses, for the scan as well; and browsers end a tab whose GPU memory grows beyond that.
const MOST_BYTES: f64 = 3e9;
/// Metres; with coarser voxels a room is no room any more.
const COARSEST: f64 = 0.5;

impl State {
    /// `auto` takes a GPU, `cpu` the CPU; part of an adapter's name takes that adapter, also a software one, and `software` such a
    /// one by any name.
    pub(crate) async fn start(&mut self, wanted: &str, memory: Option<f64>) -> Outcome {
        let adapter = browser::adapter().await;
        let found = |adapter: &Adapter| {
            let wanted = wanted.to_lowercase();
            adapter.name.to_lowercase().contains(&wanted) || (adapter.software && wanted == "software")
        };
        let Ok(asked) = wanted.parse::<DeviceChoice>();
        let (choice, reason) = match (&asked, &adapter) {
            (DeviceChoice::Auto, Some(adapter)) if adapter.software => {
                (DeviceChoice::Cpu, "This browser offers no GPU to the page, only a program that plays one")
            }
            (DeviceChoice::Auto, None) => (DeviceChoice::Cpu, "This browser offers no GPU to the page"),
            (DeviceChoice::Cpu, _) => (DeviceChoice::Cpu, "The CPU was asked for"),
            (DeviceChoice::Auto, Some(_)) => (DeviceChoice::Auto, "This browser's GPU could not be opened"),
            // A page gets one adapter, and wgpu does not know its name.
            (DeviceChoice::Named(_), Some(adapter)) if found(adapter) => (DeviceChoice::Named(String::new()), ""),
            (DeviceChoice::Gpu, Some(adapter)) if !adapter.software => (DeviceChoice::Gpu, ""),
            (DeviceChoice::Gpu | DeviceChoice::Named(_), _) => {
                let has = adapter.map_or_else(|| "none".to_owned(), |adapter| format!("'{}'", adapter.name));
                let found = format!("This browser has {has}");
                return Err(Error::NoAdapter { wanted: wanted.to_owned(), found }.into());
            }
        };
        let budget = memory.unwrap_or(MOST_BYTES);
        let device = Device::open(DeviceOptions { choice, budget: budget as u64, ..DeviceOptions::default() }).await?;
        let (kind, description, reason) = match (&device, adapter) {
            (Device::Gpu(_), Some(Adapter { name, software: true })) => {
                ("software", name, "This adapter is a program on the CPU")
            }
            (Device::Gpu(_), adapter) => ("gpu", adapter.map(|adapter| adapter.name).unwrap_or_default(), ""),
            (Device::Cpu(_), _) => ("cpu", device.description(), reason),
        };
        let description = if description.is_empty() { "not named by the browser".to_owned() } else { description };
        *self = Self { device: Some(device), budget, ..Self::default() };
        Ok(answer::object(&json!({"kind": kind, "description": description, "reason": reason})))
    }

    pub(crate) fn model(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        let file = ModelFile::from_bytes(name, bytes.clone())?;
        self.load(name.to_owned(), bytes, &file, None)
    }

    pub(crate) fn apply_adapter(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        let loaded = self.model.as_ref().ok_or_else(|| Failure::needs("Load a model"))?;
        let base_name = loaded.name.clone();
        let base = ModelFile::from_bytes(&base_name, loaded.bytes.clone())?;
        let file = AdapterFile::from_bytes(name, bytes)?.overlay(base)?;
        self.load(base_name, whole(&file)?, &file, Some(name.to_owned()))
    }

    /// Replaces the model; a file that cannot be used leaves the old one.
    fn load(&mut self, name: String, bytes: Vec<u8>, file: &ModelFile, adapter: Option<String>) -> Outcome {
        let loaded = Loaded { segmenter: self.open_model(file)?, name, bytes, adapter, learned: None };
        self.before = None;
        self.segmentation = None;
        self.pace = None;
        Ok(answer::object(&self.model.insert(loaded).describe()))
    }

    fn open_model(&self, file: &ModelFile) -> Result<Segmenter, Failure> {
        let device = self.device.as_ref().ok_or_else(|| Failure::needs("Start a device"))?;
        Ok(Segmenter::open(device, file, None)?.0)
    }

    pub(crate) fn open(&mut self, name: &str, bytes: Vec<u8>) -> Outcome {
        let scan = scan::read_bytes(Path::new(name), bytes)?;
        let cloud = &scan.cloud;
        let middle = cloud.bounds().map_or([0.0; 3], |(low, high)| {
            std::array::from_fn(|axis| f64::midpoint(f64::from(low[axis]), f64::from(high[axis])))
        });
        let near: Vec<f32> = cloud
            .positions
            .iter()
            .flat_map(|p| std::array::from_fn::<f32, 3, _>(|axis| (f64::from(p[axis]) - middle[axis]) as f32))
            .collect();
        let colors = cloud.colors.as_ref().map_or(JsValue::NULL, |colors| {
            let bytes: Vec<u8> = colors.as_flattened().iter().map(|value| value.round() as u8).collect();
            Uint8Array::from(&bytes[..]).into()
        });
        let normals =
            cloud.normals.as_ref().map_or(JsValue::NULL, |normals| Float32Array::from(normals.as_flattened()).into());
        let origin: [f64; 3] = std::array::from_fn(|axis| cloud.origin[axis] + middle[axis]);
        let mut description = scan.describe();
        let up = description.assumed_up();
        let upright = (up != Up::default()).then(|| scan.cloud.upright(up));
        if upright.is_some() {
            let message = format!("the model sees it turned so that {} is up", up.name());
            description.warnings.push(scan::Warning::new("turned", message, ""));
        }
        // The page has no options that an advice could name.
        let warnings: Vec<String> = description.warnings.drain(..).map(|warning| warning.message).collect();
        let mut description = serde_json::to_value(description).unwrap_or_default();
        description["warnings"] = json!(warnings);
        let columns = [("positions", Float32Array::from(&near[..]).into()), ("colors", colors), ("normals", normals)];
        self.segmentation = None;
        self.scan = Some(Opened { scan, upright });
        let fields = json!({"description": description, "origin": origin, "estimate": self.estimated(None)?});
        Ok(answer::with_columns(&fields, columns))
    }

    pub(crate) fn estimate(&self, grid_size: Option<f64>) -> Outcome {
        Ok(answer::object(&self.estimated(grid_size)?))
    }

    /// What a run at that size of voxels will take.
    fn estimated(&self, grid_size: Option<f64>) -> Result<Value, Failure> {
        let (Some(scan), Some(loaded)) = (&self.scan, &self.model) else {
            return Ok(json!({"voxels": 0, "memory": 0, "seconds": null, "problem": null, "fittingGridSize": null}));
        };
        let model = loaded.segmenter.model();
        let weights = 4.0 * count(model.config()) as f64;
        let needs = |grid_size: Option<f64>| -> Result<(usize, f64), Failure> {
            let options = SegmentOptions { grid_size, details: true, ..SegmentOptions::default() };
            let Estimate { voxels, bytes } = loaded.segmenter.estimate(scan.cloud(), &options)?;
            Ok((voxels, weights + bytes as f64))
        };
        let (voxels, memory) = needs(grid_size)?;
        let (mut problem, mut fitting) = (None, None);
        if memory > self.budget {
            let [memory, budget] = [memory, self.budget].map(|bytes| bytes / 1e9);
            problem = Some(format!("{voxels} voxels need {memory:.2} GB, and there are {budget:.2} GB for them."));
            let mut size = grid_size.unwrap_or(model.info().grid_size);
            while fitting.is_none() && size < COARSEST {
                // In whole millimetres, because people read it.
                size = (size * 1250.0).ceil() / 1000.0;
                fitting = (needs(Some(size))?.1 <= self.budget).then_some(size);
            }
        }
        Ok(json!({
            "voxels": voxels,
            "memory": memory,
            "seconds": self.pace.map(|seconds| seconds * voxels as f64),
            "problem": problem,
            "fittingGridSize": fitting,
        }))
    }

    /// Labels the scan at once if that fits, else in tiles; with `smaller` in tiles that take a quarter of it, for a device that
    /// broke off at more.
    pub(crate) async fn segment(
        &mut self,
        grid_size: Option<f64>,
        smaller: bool,
        progress: &dyn Fn(Progress<'_>),
    ) -> Outcome {
        let loaded = self.model.as_ref().ok_or_else(|| Failure::needs("Load a model"))?;
        let scan = self.scan.as_ref().ok_or_else(|| Failure::needs("Open a scan"))?;
        let weights = 4.0 * count(loaded.segmenter.model().config()) as f64;
        let within = (self.budget - weights).max(0.0) as u64;
        let mut options = SegmentOptions { grid_size, details: true, progress: Some(progress), ..SegmentOptions::default() };
        let most = if smaller { loaded.segmenter.estimate(scan.cloud(), &options)?.bytes.min(within) / 4 } else { within };
        options.tiles = Tiles::Within(most);
        let mut found = loaded.segmenter.segment(scan.cloud(), &options).await?;
        if found.passes > 1 {
            found.warnings.push(format!("The scan was labelled in {} tiles, one after the other.", found.passes));
        }
        let voxels = found.voxels.max(1) as f64;
        self.pace = Some(seconds(&found) / voxels);
        let value = segmentation(&found);
        self.segmentation = Some(found);
        Ok(value)
    }

    /// Fine-tunes head and adapter on painted points for about so many seconds, and segments anew.
    pub(crate) async fn teach(&mut self, lesson: Painted, report: &dyn Fn(&str, f64, Option<f64>)) -> Outcome {
        let device = self.device.clone().ok_or_else(|| Failure::needs("Start a device"))?;
        let loaded = self.model.as_ref().ok_or_else(|| Failure::needs("Load a model"))?;
        let scan = self.scan.as_ref().ok_or_else(|| Failure::needs("Open a scan"))?;
        let base = ModelFile::from_bytes(&loaded.name, loaded.bytes.clone())?;
        let own = base.info().labels.classes.iter().map(|class| (class.name.clone(), class.color));
        let labels = LabelSet::new(&base.info().labels.name, own.chain(lesson.added));
        let lesson_of = Lesson {
            cloud: scan.cloud(),
            painted: &lesson.labels,
            labels: &labels,
            known: self.segmentation.as_ref(),
            grid_size: lesson.grid_size,
        };
        let started = Instant::now();
        let mut teacher = Teacher::new(&device, base, &lesson_of, SEED).await?;
        // The first step waits for its shaders, which takes a slow device longer than a lesson: the lesson's time begins after it.
        let mut losses = vec![teacher.step().await?.loss];
        report("step 1", 0.0, Some(f64::from(losses[0])));
        let learning = Instant::now();
        loop {
            let loss = teacher.step().await?.loss;
            losses.push(loss);
            let done = learning.elapsed().as_secs_f64() / lesson.seconds.max(0.1);
            report(&format!("step {}", losses.len()), done.min(1.0), Some(f64::from(loss)));
            if done >= 1.0 {
                break;
            }
        }
        let taught = teacher.finish().await?;
        let seconds = started.elapsed().as_secs_f64();
        let (name, adapter) = (loaded.name.clone(), loaded.adapter.clone());
        let mut learned = Vec::new();
        write_adapter(&mut learned, &taught, &name, Dtype::F32, &|name| LEARNS.trains(name))?;
        let (segmenter, bytes) = (self.open_model(&taught)?, whole(&taught)?);
        let taught = Loaded { segmenter, name, bytes, adapter, learned: Some(learned) };
        self.before = self.model.replace(taught).map(|before| (before, self.segmentation.take()));
        let quiet = |progress: Progress<'_>| report(progress.stage, 1.0, None);
        let found = self.segment(lesson.grid_size, false, &quiet).await?;
        let fields =
            json!({"steps": losses.len(), "seconds": seconds, "losses": losses, "labels": labels_json(&labels)});
        Ok(answer::with_columns(&fields, [("segmentation", found)]))
    }

    /// Goes back to before the last lesson.
    pub(crate) fn undo(&mut self) -> Outcome {
        let (before, segmented) = self.before.take().ok_or_else(|| Failure::needs("Teach something"))?;
        let model = answer::object(&self.model.insert(before).describe());
        let found = segmented.as_ref().map_or(JsValue::NULL, segmentation);
        self.segmentation = segmented;
        Ok(answer::columns([("model", model), ("segmentation", found)]))
    }

    /// What lessons learned, as a file.
    pub(crate) fn adapter(&self) -> Outcome {
        let learned = self.model.as_ref().and_then(|loaded| loaded.learned.as_ref());
        let learned = learned.ok_or_else(|| Failure::needs("Teach something"))?;
        Ok(answer::columns([("bytes", Uint8Array::from(&learned[..]).buffer().into())]))
    }

    pub(crate) async fn shaders(&self) -> Outcome {
        let device = self.device.as_ref().ok_or_else(|| Failure::needs("Start a device"))?;
        let compiled = device.compile_shaders().await;
        Ok(answer::object(&json!({"entryPoints": compiled.entry_points, "problems": compiled.problems})))
    }

    pub(crate) fn features(&self) -> Outcome {
        let colors = self.details()?.principal_colors();
        Ok(answer::columns([("colors", Uint8Array::from(colors.as_flattened()).into())]))
    }

    pub(crate) fn similar(&self, point: usize) -> Outcome {
        let similarity = self.details()?.similar_to(point);
        Ok(answer::columns([("similarity", Float32Array::from(&similarity[..]).into())]))
    }

    pub(crate) fn point(&self, point: usize) -> Outcome {
        let label = self.segmentation.as_ref().and_then(|found| found.labels.get(point)).copied().unwrap_or(-1);
        let top: Vec<Value> = self
            .details()?
            .top(point, 3)
            .into_iter()
            .map(|(label, probability)| json!({"label": label, "probability": probability}))
            .collect();
        Ok(answer::object(&json!({"label": label, "top": top})))
    }

    /// The labelled scan as a file, `ply` or `las`.
    pub(crate) fn export(&self, format: &str, recolor: bool) -> Outcome {
        let (Some(Opened { scan, .. }), Some(found), Some(loaded)) = (&self.scan, &self.segmentation, &self.model)
        else {
            return Err(Failure::needs("Segment a scan"));
        };
        let (mut out, mut left_out) = (Vec::new(), 0);
        let labels = &loaded.segmenter.model().info().labels;
        match format {
            "ply" => scan.labelled_to(&mut out, &found.labels, &found.confidence, labels, recolor)?,
            "las" => {
                left_out = scan::write_las(&mut out, &scan.cloud, &found.labels, &found.confidence, labels, recolor)?;
            }
            other => return Err(ask::wrong("format", &format!("ply or las, but {other}"))),
        }
        let bytes = Uint8Array::from(&out[..]).buffer().into();
        Ok(answer::columns([("bytes", bytes), ("leftOut", (left_out as f64).into())]))
    }

    fn details(&self) -> Result<&pointtpa::Details, Failure> {
        let found = self.segmentation.as_ref().and_then(|found| found.details.as_ref());
        found.ok_or_else(|| Failure::needs("Segment a scan"))
    }
}

/// A lesson as the page asks for it.
pub(crate) struct Painted {
    /// `[n]`: a class per point, -1 for points that say nothing.
    pub(crate) labels: Vec<i32>,
    /// Classes after the model's: names and colours.
    pub(crate) added: Vec<(String, [u8; 3])>,
    pub(crate) seconds: f64,
    pub(crate) grid_size: Option<f64>,
}

fn segmentation(found: &Segmentation) -> JsValue {
    let fields = json!({
        "voxels": found.voxels,
        "seconds": seconds(found),
        "stages": found.stages,
        "peakBytes": found.peak_bytes,
        "warnings": found.warnings,
    });
    let columns = [
        ("labels", Int32Array::from(&found.labels[..]).into()),
        ("confidence", Float32Array::from(&found.confidence[..]).into()),
    ];
    answer::with_columns(&fields, columns)
}

fn seconds(found: &Segmentation) -> f64 {
    found.stages.iter().map(|(_, seconds)| seconds).sum()
}

/// A model as a file in memory.
fn whole(file: &ModelFile) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write_model_to(&mut bytes, file.config(), file.info(), Dtype::F32, |parameter| file.read(&parameter.name))?;
    Ok(bytes)
}

impl Loaded {
    fn describe(&self) -> Value {
        let model = self.segmenter.model();
        let info = model.info();
        json!({
            "name": self.name,
            "bytes": self.bytes.len(),
            "parameters": count(model.config()),
            "gridSize": info.grid_size,
            "labels": labels_json(&info.labels),
            "licence": info.licence,
            "provenance": info.provenance,
            "note": info.note,
            "adapter": self.adapter,
        })
    }
}

fn labels_json(set: &LabelSet) -> Value {
    let classes: Vec<Value> =
        set.classes.iter().map(|class| json!({"id": class.id, "name": class.name, "color": class.color})).collect();
    json!({"name": set.name, "classes": classes})
}
