//! `pointtpa synth`: labelled scans of synthetic rooms.

use std::path::Path;

use pointtpa::synth::{Collection, Domain, Path as CameraPath, Views};
use pointtpa::{LabelSet, scan::write_cloud};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::arguments::{Building, Global, Looks, Synth};
use super::exit::{Failure, Outcome};
use super::{interrupt, output, results, screen};

/// Seeds to train on are below, seeds to validate on above.
const VALIDATION_SEEDS: u64 = 1 << 32;

pub(crate) fn run(global: &Global, command: &Synth) -> Outcome {
    let buildings: &[Domain] = match command.domain {
        Building::Home => &[Domain::Home],
        Building::Office => &[Domain::Office],
        Building::Basement => &[Domain::Basement],
        Building::Mixed => &[Domain::Home, Domain::Home, Domain::Home, Domain::Office, Domain::Office],
    };
    let views = match command.views {
        Looks::Mixed => Views::Mixed,
        Looks::Walk => Views::Walk,
        Looks::Glance => Views::Glance,
    };
    let collection = Collection { views, cell: command.cell, ..Collection::of(buildings) };
    let labels = LabelSet::rooms();
    let validation = command.val.unwrap_or(0);
    let (train, val) = (command.output.join("train"), command.output.join("val"));
    let train = if command.val.is_some() { &train } else { &command.output };
    let parts = [(train, command.seed, command.count), (&val, command.seed.wrapping_add(VALIDATION_SEEDS), validation)];

    let bar = screen::bar(command.count.saturating_add(validation), "scenes");
    bar.set_message("synth");
    let mut files = Vec::new();
    for (folder, first_seed, count) in parts {
        if count > 0 {
            output::create_folder(folder)?;
        }
        let write = |index: u64| -> Result<(Value, usize), Failure> {
            interrupt::check()?;
            let path = folder.join(format!("{}_{index:04}.ply", command.domain.name()));
            let written = write_scene(&collection, first_seed.wrapping_add(index), &path, &labels)?;
            bar.inc(1);
            Ok(written)
        };
        // Whole scenes side by side: far fewer waits than the rays of one.
        files.extend((0..count).into_par_iter().map(write).collect::<Result<Vec<_>, _>>()?);
    }
    bar.finish_and_clear();
    let points: usize = files.iter().map(|(_, points)| points).sum();
    let files: Vec<Value> = files.into_iter().map(|(file, _)| file).collect();
    if global.json {
        return results::print_json(&json!({"scenes": files, "points": points, "label_set": labels.name}));
    }
    results::print(&format!("{} scenes, {points} points, in {}", files.len(), command.output.display()))
}

/// Writes the scene of a seed; what to report of it, and its number of points.
fn write_scene(collection: &Collection, seed: u64, path: &Path, labels: &LabelSet) -> Result<(Value, usize), Failure> {
    let recipe = collection.recipe(seed);
    let cloud = recipe.cloud();
    interrupt::check()?;
    {
        let _whole = interrupt::writing();
        write_cloud(path, &cloud, labels)?;
    }
    let view = if recipe.camera.path == CameraPath::Walk { "walk" } else { "glance" };
    let file = json!({
        "file": path.display().to_string(),
        "seed": seed,
        "points": cloud.len(),
        "domain": format!("{:?}", recipe.domain).to_lowercase(),
        "view": view,
    });
    Ok((file, cloud.len()))
}
