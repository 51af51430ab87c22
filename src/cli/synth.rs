//! `pointtpa synth`: labelled scans of synthetic rooms.

use pointtpa::synth::{Domain, Options, Room, ScannerOptions, scan};
use pointtpa::{LabelSet, scan::write_cloud};
use serde_json::json;

use super::arguments::{Building, Global, Synth};
use super::exit::Outcome;
use super::{interrupt, output, results, screen};

/// Seeds to train on are below, seeds to validate on above.
const VALIDATION_SEEDS: u64 = 1 << 32;

pub(crate) fn run(global: &Global, command: &Synth) -> Outcome {
    let domain = match command.domain {
        Building::Home => Domain::Home,
        Building::Office => Domain::Office,
        Building::Basement => Domain::Basement,
    };
    let mut camera = ScannerOptions::of(domain);
    camera.cell = command.cell.unwrap_or(camera.cell);
    let labels = LabelSet::rooms();
    let validation = command.val.unwrap_or(0);
    let (train, val) = (command.output.join("train"), command.output.join("val"));
    let train = if command.val.is_some() { &train } else { &command.output };
    let parts = [(train, command.seed, command.count), (&val, command.seed + VALIDATION_SEEDS, validation)];

    let bar = screen::bar(command.count.saturating_add(validation), "scenes");
    bar.set_message("synth");
    let (mut files, mut points) = (Vec::new(), 0);
    for (folder, first_seed, count) in parts {
        if count > 0 {
            output::create_folder(folder)?;
        }
        for index in 0..count {
            interrupt::check()?;
            let seed = first_seed.wrapping_add(index);
            let room = Room::generate(&Options { domain, kind: None }, seed);
            let cloud = scan(&room, &camera, seed);
            let path = folder.join(format!("{}_{index:04}.ply", command.domain.name()));
            {
                let _whole = interrupt::writing();
                write_cloud(&path, &cloud, &labels)?;
            }
            points += cloud.len();
            files.push(json!({"file": path.display().to_string(), "seed": seed, "points": cloud.len()}));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if global.json {
        return results::print_json(&json!({"scenes": files, "points": points, "label_set": labels.name}));
    }
    results::print(&format!("{} scenes, {points} points, in {}", files.len(), command.output.display()))
}
