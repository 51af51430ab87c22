//! Labels a scan and writes it with its labels: all that most applications need.
//!
//! ```sh
//! cargo run --release --example segment -- assets/scenes/living_room.ply labelled.ply
//! ```

use pointtpa::{
    Device, Error, Progress, SegmentOptions, Segmenter,
    device::DeviceOptions,
    model::bundled,
    scan::{self, write_labelled},
};
use std::{path::PathBuf, process::ExitCode, sync::atomic::AtomicBool};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        eprintln!("segment SCAN OUT.ply");
        return ExitCode::from(2);
    };
    match run(&input, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &std::path::Path, output: &std::path::Path) -> Result<(), Error> {
    // The GPU of this machine, or the CPU where there is none.
    let device = Device::open_blocking(DeviceOptions::default())?;
    let file = bundled::rooms().expect("the checkout brings its model")?;
    let (segmenter, _) = Segmenter::open(&device, &file, None)?;

    let scan = scan::read(input)?;
    // Another thread may set it at any time.
    let cancel = AtomicBool::new(false);
    let progress = |Progress { stage, done }: Progress<'_>| eprintln!("{:3.0} % {stage}", done * 100.0);
    let options = SegmentOptions { progress: Some(&progress), cancel: Some(&cancel), ..SegmentOptions::default() };
    let found = segmenter.segment_blocking(&scan.cloud, &options)?;

    let labels = &segmenter.model().info().labels;
    for class in &labels.classes {
        let count = found.labels.iter().filter(|label| **label == class.id as i32).count();
        if count > 0 {
            println!("{:16} {count:8} points", class.name);
        }
    }
    found.warnings.iter().for_each(|warning| eprintln!("{warning}"));
    write_labelled(output, &scan, &found.labels, &found.confidence, labels, false)
}
