//! A measurement as tables.

use pointtpa::bench::{GeometryRow, KernelRow, Report, RunReport, StageRow};

use crate::memory_size::spoken;
use crate::table::table;

/// Everything that was found: one line for each scene first.
pub(super) fn text(report: &Report) -> String {
    let mut parts = vec![summary(report), scenes(&report.runs)];
    for run in &report.runs {
        if !run.stages.is_empty() {
            parts.push(format!("Stages, {} voxels\n{}", run.voxels, stages(&run.stages)));
            parts.push(format!("Kernels, {} voxels\n{}", run.voxels, kernels(&run.kernels)));
        }
    }
    if !report.geometry.is_empty() {
        parts.push(format!("Geometry\n{}", geometry(&report.geometry)));
    }
    parts.join("\n\n")
}

fn summary(report: &Report) -> String {
    let Report { device, config, adapter, peak_gflops, first_label_s, runs, .. } = report;
    let weights = runs.first().map_or(0, |run| run.weights_bytes);
    let adapter = if adapter == "none" { "no adapter".to_owned() } else { format!("{adapter} adapter") };
    let rows = [
        ("model", format!("{config}, {adapter}, {} of weights", spoken(weights))),
        ("device", device.clone()),
        ("peak", format!("{peak_gflops:.1} GFLOP/s of fused multiply-adds")),
        ("first labels", format!("{first_label_s:.2} s after a cold start")),
    ];
    table(&rows.map(|(name, text)| vec![name.to_owned(), text]), &[])
}

fn scenes(runs: &[RunReport]) -> String {
    let mut rows = vec![
        ["voxels", "median", "fastest", "slowest", "network", "pyramid", "peak memory", "above weights", "adapter"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(runs.iter().map(|run| {
        vec![
            run.voxels.to_string(),
            seconds(run.median_s),
            seconds(run.min_s),
            seconds(run.max_s),
            seconds(run.forward_s),
            seconds(run.pyramid_s),
            spoken(run.peak_bytes),
            format!("{:.0} bytes/voxel", run.bytes_per_voxel),
            run.adapter_overhead.map_or("-".to_owned(), |overhead| format!("{:+.1} %", 100.0 * overhead)),
        ]
    }));
    table(&rows, &[true; 9])
}

fn stages(stages: &[StageRow]) -> String {
    let has_blocks = stages.iter().any(|row| row.dispatches_per_block.is_some());
    let mut rows = vec![["stage", "time", "share", "GFLOP", "GFLOP/s"].map(str::to_owned).to_vec()];
    if has_blocks {
        rows[0].push("dispatches/block".to_owned());
    }
    rows.extend(stages.iter().map(|row| {
        let mut cells = vec![
            row.name.clone(),
            seconds(row.seconds),
            percent(row.share),
            counted(row.gflop, row.gflop, 2),
            counted(row.gflops, row.gflop, 1),
        ];
        cells.extend(row.dispatches_per_block.map(|most| most.to_string()));
        cells
    }));
    table(&rows, &[false, true, true, true, true, true])
}

fn kernels(kernels: &[KernelRow]) -> String {
    let mut rows = vec![
        ["kernel", "variant", "entry", "calls", "time", "share", "GFLOP", "GFLOP/s", "of peak", "MB", "GB/s"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(kernels.iter().map(|row| {
        let megabytes = row.bytes as f64 * 1e-6;
        vec![
            row.kernel.clone(),
            row.variant.clone(),
            row.entry.clone(),
            row.calls.to_string(),
            seconds(row.seconds),
            percent(row.share),
            counted(row.gflop, row.gflop, 2),
            counted(row.gflops, row.gflop, 1),
            if row.gflop > 0.0 { percent(row.peak_share) } else { "-".to_owned() },
            format!("{megabytes:.1}"),
            format!("{:.1}", megabytes * 1e-3 / row.seconds.max(1e-9)),
        ]
    }));
    table(&rows, &[false, false, false, true, true, true, true, true, true, true, true])
}

fn geometry(geometry: &[GeometryRow]) -> String {
    let mut rows = vec![["step", "items", "median", "fastest", "slowest", "million/s"].map(str::to_owned).to_vec()];
    rows.extend(geometry.iter().map(|row| {
        let what = match row.name.as_str() {
            "sort" => "64-bit keys",
            "voxelize" => "points",
            _ => "voxels",
        };
        let rate = row.items as f64 * 1e-6 / row.median_s.max(1e-9);
        let items = format!("{} {what}", row.items);
        vec![
            row.name.clone(),
            items,
            seconds(row.median_s),
            seconds(row.min_s),
            seconds(row.max_s),
            format!("{rate:.2}"),
        ]
    }));
    table(&rows, &[false, true, true, true, true, true])
}

/// Three digits, and the unit that needs no exponent.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.01 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.2} ms", s * 1e3),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A number, or a dash where no floating-point operation is counted.
fn counted(number: f64, gflop: f64, digits: usize) -> String {
    if gflop > 0.0 { format!("{number:.digits$}") } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let spoken = [123.4, 12.34, 0.1234, 0.01234, 0.000_123].map(seconds);
        assert_eq!(spoken, ["123 s", "12.34 s", "123 ms", "12.3 ms", "0.12 ms"]);
    }
}
