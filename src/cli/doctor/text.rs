//! The report as tables.

use pointtpa::doctor::{AdapterReport, Clock, Examined, KernelRow, Report};

use super::machine::Machine;
use crate::memory_size::spoken;
use crate::table::table;

/// The machine, its adapters, their kernels, and the verdict last, where it is seen.
pub(super) fn text(machine: &Machine, report: &Report) -> String {
    let mut parts = vec![of_machine(machine, report)];
    for adapter in &report.adapters {
        parts.push(of_adapter(adapter));
        parts.extend(adapter.examined.as_ref().map(kernels));
    }
    parts.push(report.verdict.join("\n"));
    parts.join("\n\n")
}

fn of_machine(machine: &Machine, report: &Report) -> String {
    let Machine { system, architecture, processor, cores, threads, memory, memory_free } = machine;
    let cores = cores.map_or_else(|| format!("{threads} threads"), |cores| format!("{cores} cores, {threads} threads"));
    let rows = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", format!("{system}, {architecture}")),
        ("processor", format!("{processor}, {cores}")),
        ("instructions", report.cpu.instructions.clone()),
        ("memory", format!("{}, {} free", spoken(*memory), spoken(*memory_free))),
    ];
    named_rows(rows)
}

fn of_adapter(adapter: &AdapterReport) -> String {
    let details = &adapter.details;
    let [vendor, device] = details.ids;
    let software = if details.software { ", a program on the CPU" } else { "" };
    let mut rows = vec![
        ("adapter", details.name.clone()),
        ("is", format!("{}{software}, {vendor:04x}:{device:04x}", details.kind)),
        ("through", format!("{}, {}", details.backend, details.driver)),
    ];
    if let Some(Examined { tier, tier_reason, compiled, not_compiled, .. }) = &adapter.examined {
        rows.push(("tier", format!("{tier}: {tier_reason}")));
        rows.push(("shaders", format!("{} of {compiled} entry points compiled", compiled - not_compiled.len())));
        rows.extend(not_compiled.iter().map(|problem| ("", problem.clone())));
    }
    rows.extend(details.problem.iter().map(|problem| ("problem", problem.clone())));
    rows.extend(details.limits.iter().enumerate().map(|(at, limit)| {
        let needed = if limit.needed == 0 { String::new() } else { format!(", kernels need {}", limit.needed) };
        let text = format!("{} {} (portable {}{needed})", limit.offered, limit.name, limit.portable);
        (if at == 0 { "limits" } else { "" }, text)
    }));
    rows.push(("features", details.features.join(" ")));
    named_rows(rows)
}

fn named_rows<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
    table(&rows, &[])
}

fn kernels(examined: &Examined) -> String {
    let clock = match examined.timed_by {
        Clock::Timestamps => "adapter",
        Clock::Host => "adapter, there and back",
    };
    let header = ["kernel", "with", "difference", "allowed", clock, "cpu", "agrees"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(examined.kernels.iter().map(kernel)).collect();
    table(&rows, &[false, false, true, true, true, true, false])
}

fn kernel(row: &KernelRow) -> Vec<String> {
    let difference = if row.problem.is_some() { "-".to_owned() } else { number(row.difference) };
    let seconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
    let agrees = match (&row.problem, row.holds) {
        (Some(problem), _) => format!("NO: {problem}"),
        (None, true) => "yes".to_owned(),
        (None, false) => "NO".to_owned(),
    };
    vec![
        row.kernel.to_owned(),
        row.case.to_owned(),
        difference,
        number(row.tolerance),
        row.adapter_s.map_or_else(|| "-".to_owned(), seconds),
        seconds(row.cpu_s),
        agrees,
    ]
}

/// Zeros are easier to see without an exponent.
fn number(value: f32) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}
