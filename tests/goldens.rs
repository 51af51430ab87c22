//! The reference's recorded runs, as `pointtpa check` holds them against this program.

use pointtpa::{
    Device,
    check::check_file,
    device::{DeviceChoice, DeviceOptions, Tier},
};
use std::path::Path;

fn devices() -> Vec<Device> {
    let named = std::env::var("POINTTPA_TEST_DEVICE");
    let is_named = named.is_ok();
    let named = named.unwrap_or_default();
    let open =
        |choice, tier| Device::open_blocking(DeviceOptions { choice, tier, poison: true, ..DeviceOptions::default() });
    let gpu = || DeviceChoice::Named(named.clone());
    let mut devices = vec![open(DeviceChoice::Cpu, None).unwrap()];
    for tier in [None, Some(Tier::Portable)] {
        match open(gpu(), tier) {
            Ok(device) => devices.push(device),
            Err(error) => {
                assert!(!is_named, "POINTTPA_TEST_DEVICE: {error}");
                println!("skipped: {error}");
            }
        }
    }
    devices
}

fn holds(name: &str, least_compared: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    for device in devices() {
        let report = check_file(&device, &path).unwrap();
        let failed: Vec<_> = report.compared.iter().filter(|c| !c.holds).collect();
        assert!(failed.is_empty(), "{name} on {device:?}: {failed:#?}");
        assert!(report.holds && report.compared.len() >= least_compared, "{} compared", report.compared.len());
    }
}

#[test]
fn tiny_enc_holds() {
    holds("tiny_enc.safetensors", 58);
}

#[test]
fn low_rank_tiny_holds() {
    holds("low_rank_tiny.safetensors", 60);
}

#[test]
fn serialization_holds() {
    holds("serialization.safetensors", 40);
}

#[test]
fn shuffled_orders_hold_by_their_recorded_permutations() {
    holds("tiny_enc_shuffled.safetensors", 56);
}

#[test]
fn the_first_fragment_of_every_test_time_view_holds() {
    // Of each index, grid_coord, coord, feat and logits, and the total of all probabilities.
    holds("tta_tiny.safetensors", 13 * 5 + 1);
}

// The following keep a run's inputs and results, and leave out what it passed through on the way.

#[test]
fn a_decoder_holds() {
    holds("small_dec_slim.safetensors", 12);
}

#[test]
fn groups_by_length_and_dynamic_up_projections_hold() {
    holds("small_enc_len_slim.safetensors", 12);
}

#[test]
fn two_scenes_hold_by_the_flash_rule() {
    holds("two_batches_slim.safetensors", 12);
}

#[test]
fn low_rank_deltas_of_two_scenes_hold() {
    holds("low_rank_batch2_slim.safetensors", 12);
}

#[test]
fn static_low_rank_deltas_hold() {
    holds("lora_small_slim.safetensors", 12);
}

// Training: losses, gradients of logits and parameters, and parameters after three steps of two recipes.

#[test]
fn gradients_and_steps_of_the_released_adapter_hold() {
    holds("grads_pointtpa.safetensors", 160);
}

#[test]
fn gradients_and_steps_of_low_rank_deltas_hold() {
    holds("low_rank_grads_slim.safetensors", 190);
}
