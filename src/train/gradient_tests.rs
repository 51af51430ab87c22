//! Training as a whole: gradients of a small network against finite differences of its loss, devices against each
//! other, and runs against themselves.

use super::{
    Batch, LossKind, StepReport, Trainable, Trainer, TrainerOptions,
    schedule::{Schedule, Setting},
    trainable::Part,
};
use crate::{
    Device, Error,
    kernels::{
        adamw::AdamW,
        testing::{Noise, cpu, devices},
    },
    model::{
        config::Config,
        preset::{AdapterChoice, Preset},
        tensor_file::{Dtype, HostTensor},
        weights::{ModelFile, ModelInfo},
        write::write_model_to,
    },
    scan::LabelSet,
};
use pollster::block_on;
use std::collections::HashSet;

const CLASSES: usize = 21;

/// The `rooms` preset with an adapter; no parameter is zero, so that every gradient has something to pass.
fn model(adapter: AdapterChoice, decoder: bool) -> ModelFile {
    let mut config = Config::preset(Preset::Rooms, adapter, CLASSES).unwrap();
    if !decoder {
        config.backbone.enc_mode = true;
        config.backbone_out_channels = config.backbone.enc_channels.iter().sum();
    }
    let mut bytes = Vec::new();
    let info = ModelInfo::new(LabelSet::rooms());
    write_model_to(&mut bytes, &config, &info, Dtype::F32, |parameter| {
        let seed = parameter.name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        let noise = Noise::new(seed).floats(parameter.elements() as usize);
        let fan: usize = parameter.shape[1..].iter().product();
        let size = if parameter.shape.len() > 1 { 1.7 / (fan as f32).sqrt() } else { 0.1 };
        let base = if parameter.name.contains("norm") && parameter.name.ends_with("weight") { 1.0 } else { 0.0 };
        let values: Vec<f32> = noise.iter().map(|v| base + size * v).collect();
        Ok(HostTensor::from_f32(&parameter.name, &parameter.shape, &values))
    })
    .unwrap();
    ModelFile::from_bytes("a small network", bytes).unwrap()
}

/// Two scenes of `n` and n / 2 voxels, dense enough to have neighbours, with every sixth label ignored.
fn batch(n: usize, seed: u64) -> Batch {
    let mut noise = Noise::new(seed);
    let mut batch = Batch::default();
    for (scene, count) in [(0u32, n), (1, n / 2)] {
        let side = (count as f64).sqrt().ceil() as usize;
        let mut seen = HashSet::new();
        while seen.len() < count {
            let cell = [noise.below(side), noise.below(side), noise.below(4)].map(|v| v as i32);
            if seen.insert(cell) {
                batch.grid_coord.push(cell);
                batch.batch.push(scene);
                batch.labels.push(if noise.below(6) == 0 { -1 } else { noise.below(CLASSES) as i32 });
            }
        }
        batch.offsets.push(batch.labels.len());
    }
    batch.features = noise.floats(9 * batch.labels.len());
    batch
}

fn options(train: Part, loss: LossKind) -> TrainerOptions {
    let trainable = Trainable { adapter: true, train };
    TrainerOptions { loss, drop_path: 0.3, seed: 5, ..TrainerOptions::reference(trainable, 100) }
}

fn losses(device: &Device, file: &ModelFile, part: Part, steps: u64) -> Vec<StepReport> {
    let mut trainer = Trainer::new(device, file, options(part, LossKind::CrossEntropyLovasz)).unwrap();
    (0..steps).map(|step| block_on(trainer.step(&[batch(200, step)])).unwrap()).collect()
}

#[test]
fn every_gradient_is_the_slope_of_the_loss() {
    let adapters = [AdapterChoice::Lora, AdapterChoice::Bottleneck, AdapterChoice::LowRank, AdapterChoice::BasisMix];
    for (place, (adapter, decoder)) in adapters.into_iter().zip([true, false, true, false]).enumerate() {
        let file = model(adapter, decoder);
        let device = cpu();
        let mut trainer = Trainer::new(&device, &file, options(Part::Full, LossKind::CrossEntropy)).unwrap();
        let batch = batch(140, 10 + place as u64);
        let slope = block_on(trainer.slope_of(&batch)).unwrap();
        let gradients = block_on(trainer.by_name(&slope.gradients)).unwrap();
        let start = block_on(trainer.state()).unwrap();
        assert_eq!(gradients.len(), file.parameter_names().count(), "a parameter has no gradient");
        let mut noise = Noise::new(99);
        let mut compared = 0;
        for (at, (name, gradient)) in gradients.iter().enumerate() {
            // Every third: all kinds of layers are among them, in every stage.
            if at % 3 != place % 3 {
                continue;
            }
            let gradient: Vec<f64> = gradient.to_f64().unwrap();
            let size = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            if size < 1e-3 {
                continue;
            }
            compared += 1;
            // Half along the gradient, half anywhere: what it lacks shows as well as what it has too much.
            let random = noise.floats(gradient.len());
            let length = random.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            let direction: Vec<f64> =
                gradient.iter().zip(&random).map(|(g, r)| g / size + f64::from(*r) / length).collect();
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let mut loss_at = |offset: f64| {
                let mut moved = start.clone();
                let tensor = moved.tensors.get_mut(&format!("parameter.{name}")).unwrap();
                let values = tensor.to_f64().unwrap();
                let values: Vec<f32> = values.iter().zip(&direction).map(|(v, d)| (v + offset * d) as f32).collect();
                *tensor = HostTensor::from_f32(&tensor.name, &tensor.shape, &values);
                trainer.restore(&moved).unwrap();
                let losses = block_on(trainer.slope_of(&batch)).unwrap().losses;
                f64::from(block_on(losses.cross_entropy.to_vec::<f32>()).unwrap()[0])
            };
            // A long step crosses kinks of max and ReLU, a short one leaves little but rounding of the loss, some 1e-6:
            // one in between must fit.
            let differences =
                [(5e-3, 0.05), (2e-3, 0.02), (7e-4, 0.007), (2e-4, 0.002)].map(|(change, longest): (f64, f64)| {
                    let step = (change / size).min(longest);
                    (loss_at(step) - loss_at(-step)) / (2.0 * step)
                });
            let close = differences.iter().any(|difference| (difference - expected).abs() < 0.02 * size);
            assert!(close, "{adapter:?} {name}: {differences:?} against {expected} of {size}");
        }
        // Gradients of keys' biases and the like are nothing but rounding; those of others are not.
        assert!(compared * 4 > gradients.len(), "{compared} of {}", gradients.len());
    }
}

#[test]
fn what_is_trained_has_the_gradients_that_it_has_when_everything_is() {
    for adapter in [AdapterChoice::LowRank, AdapterChoice::BasisMix] {
        let (file, batch) = (model(adapter, true), batch(140, 3));
        for device in devices() {
            let gradients = |part| {
                let trainer = Trainer::new(&device, &file, options(part, LossKind::CrossEntropy)).unwrap();
                let slope = block_on(trainer.slope_of(&batch)).unwrap();
                block_on(trainer.by_name(&slope.gradients)).unwrap()
            };
            let full = gradients(Part::Full);
            for part in [Part::Head, Part::Decoder] {
                let some = gradients(part);
                assert!(some.len() < full.len() && some.keys().any(|name| name.contains(".enc.")));
                for (name, gradient) in &some {
                    assert_eq!(gradient, &full[name], "{device:?} {part:?} {name}");
                }
            }
        }
    }
}

#[test]
fn ten_losses_are_the_same_on_every_device_and_in_every_run() {
    for adapter in [AdapterChoice::LowRank, AdapterChoice::BasisMix] {
        let file = model(adapter, true);
        let expected = losses(&cpu(), &file, Part::Full, 10);
        assert!(expected[9].loss.is_finite() && expected.windows(2).all(|pair| pair[0] != pair[1]));
        for device in devices() {
            let reports = losses(&device, &file, Part::Full, 10);
            for (report, expected) in reports.iter().zip(&expected) {
                assert!((report.loss - expected.loss).abs() < 1e-4, "{device:?}: {report:?} against {expected:?}");
            }
            assert_eq!(reports, losses(&device, &file, Part::Full, 10), "{device:?} gave other bits in a second run");
        }
    }
}

#[test]
fn a_run_that_goes_on_from_its_state_gives_the_bits_of_one_that_was_not_stopped() {
    for device in devices() {
        let file = model(AdapterChoice::LowRank, false);
        let open = || Trainer::new(&device, &file, options(Part::Head, LossKind::CrossEntropyLovasz)).unwrap();
        let step =
            |trainer: &mut Trainer, at: u64| block_on(trainer.step(&[batch(120, at), batch(90, at + 50)])).unwrap();
        let mut whole = open();
        let reports: Vec<StepReport> = (0..4).map(|at| step(&mut whole, at)).collect();
        let mut first = open();
        (0..2).for_each(|at| assert_eq!(step(&mut first, at), reports[at as usize]));
        let state = block_on(first.state()).unwrap();
        let mut second = open();
        second.restore(&state).unwrap();
        (2..4).for_each(|at| assert_eq!(step(&mut second, at), reports[at as usize]));
        assert_eq!(block_on(second.state()).unwrap(), block_on(whole.state()).unwrap());
    }
}

#[test]
fn what_is_frozen_stays_and_takes_no_memory_of_its_own() {
    let device = cpu();
    let file = model(AdapterChoice::LowRank, true);
    let peak = |part| {
        let mut trainer = Trainer::new(&device, &file, options(part, LossKind::CrossEntropyLovasz)).unwrap();
        device.reset_peak();
        block_on(trainer.step(&[batch(2000, 1)])).unwrap();
        (block_on(trainer.parameters()).unwrap(), device.memory().peak)
    };
    let (frozen, frozen_peak) = peak(Part::Head);
    let (full, full_peak) = peak(Part::Full);
    assert!(frozen_peak < full_peak, "{frozen_peak} and {full_peak}");
    assert!(frozen.keys().all(|name| name.contains(".dpp.") || name.starts_with("seg_head")));
    for (name, tensor) in &full {
        let moved = *tensor != file.read(name).unwrap();
        // Only the parameters that are trained are in the list, and each of them has a gradient.
        assert!(moved, "{name} did not move");
    }
    assert_eq!(full.len(), file.parameter_names().count());
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_moves_nothing() {
    for device in devices() {
        let file = model(AdapterChoice::Lora, true);
        let mut trainer = Trainer::new(&device, &file, options(Part::Head, LossKind::CrossEntropy)).unwrap();
        let before = block_on(trainer.state()).unwrap();
        let mut bad = batch(60, 1);
        bad.features[4] = f32::NAN;
        let error = block_on(trainer.step(&[bad])).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 0, .. }), "{error}");
        assert_eq!(block_on(trainer.state()).unwrap(), before);
        block_on(trainer.step(&[batch(60, 1)])).unwrap();
    }
}

#[test]
fn accumulated_batches_are_the_mean_of_their_gradients() {
    let file = model(AdapterChoice::None, true);
    let device = cpu();
    let plain = TrainerOptions {
        clip: None,
        drop_path: 0.0,
        schedule: Schedule::Constant(Setting { share: 1.0, beta1: 0.9 }),
        // Large enough to make the step proportional to the gradient.
        optimizer: AdamW { eps: 1e3, weight_decay: 0.0, ..AdamW::new(0.0) },
        ..options(Part::Head, LossKind::CrossEntropy)
    };
    let moved = |batches: &[Batch]| -> Vec<f64> {
        let mut trainer = Trainer::new(&device, &file, plain.clone()).unwrap();
        block_on(trainer.step(batches)).unwrap();
        let state = block_on(trainer.state()).unwrap();
        state.tensors["moment1.seg_head.weight"].to_f64().unwrap()
    };
    let (a, b) = (batch(80, 1), batch(50, 2));
    let (alone, other) = (moved(std::slice::from_ref(&a)), moved(std::slice::from_ref(&b)));
    for ((both, a), b) in moved(&[a, b]).iter().zip(alone).zip(other) {
        assert!((both - f64::midpoint(a, b)).abs() < 1e-7, "{both} of {a} and {b}");
    }
}
