//! What was found, in sentences.

use super::{AdapterReport, CpuReport, Examined};
use crate::device::DeviceChoice;
use std::collections::BTreeSet;

pub(super) fn verdict(choice: &DeviceChoice, cpu: &CpuReport, adapters: &[AdapterReport]) -> Vec<String> {
    let mut sentences: Vec<String> = adapters.iter().map(of_adapter).collect();
    let here = format!("the CPU does the work, on {} threads with {}", cpu.threads, cpu.instructions);
    sentences.extend(match choice {
        DeviceChoice::Cpu => Some(format!("As asked, no adapter was examined: {here}.")),
        DeviceChoice::Auto if adapters.is_empty() => {
            Some(format!("No GPU adapter was found: {here}. If there is a GPU, its Vulkan driver may be missing."))
        }
        DeviceChoice::Auto => Some(match adapters.iter().find(|adapter| adapter.automatic) {
            Some(adapter) if adapter.holds() => format!("`--device auto` takes {}.", adapter.details.name),
            Some(adapter) => format!("`--device auto` would take {}: use `--device cpu`.", adapter.details.name),
            None => format!("`--device auto` finds no GPU to use: {here}."),
        }),
        _ => None,
    });
    sentences
}

fn of_adapter(adapter: &AdapterReport) -> String {
    let details = &adapter.details;
    let who = format!("{} ({})", details.name, details.backend);
    let Some(examined) = &adapter.examined else {
        return format!("{who} cannot be used: {}.", details.problem.as_deref().unwrap_or("it did not open"));
    };
    if adapter.holds() {
        let kernels: BTreeSet<&str> = examined.kernels.iter().map(|row| row.kernel).collect();
        let note = if details.software { " It is a program on the CPU, and used only by name." } else { "" };
        return format!("{who} computes what it should: all {} kernels agree with the CPU.{note}", kernels.len());
    }
    let advice = "Do not trust its results: use `--device cpu`, try another driver, and report this with \
                  `pointtpa doctor --json`.";
    format!("{who} is WRONG: {}. {advice}", faults(examined).join("; "))
}

fn faults(examined: &Examined) -> Vec<String> {
    let mut faults = Vec::new();
    let names = |failed: bool| -> Vec<&str> {
        let rows = examined.kernels.iter().filter(|row| !row.holds && row.problem.is_some() == failed);
        rows.map(|row| row.kernel).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (differ, fail) = (names(false), names(true));
    if !differ.is_empty() {
        faults.push(format!("{} not as on the CPU: {}", count(differ.len(), "kernel"), differ.join(", ")));
    }
    if !fail.is_empty() {
        faults.push(format!("{} did not run: {}", count(fail.len(), "kernel"), fail.join(", ")));
    }
    if !examined.not_compiled.is_empty() {
        faults.push(format!("its driver refuses {}", count(examined.not_compiled.len(), "shader")));
    }
    faults
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, KernelRow};
    use super::*;
    use crate::device::AdapterDetails;

    fn adapter(rows: Vec<KernelRow>) -> AdapterReport {
        let details = AdapterDetails {
            name: "Card 9".into(),
            backend: "Vulkan".into(),
            kind: "DiscreteGpu".into(),
            software: false,
            driver: "driver 1".into(),
            ids: [1, 2],
            limits: Vec::new(),
            features: Vec::new(),
            problem: None,
        };
        let examined = Examined {
            tier: "native".into(),
            tier_reason: String::new(),
            compiled: 1,
            not_compiled: Vec::new(),
            timed_by: Clock::Host,
            kernels: rows,
        };
        AdapterReport { details, automatic: true, examined: Some(examined) }
    }

    fn row(kernel: &'static str, holds: bool, problem: Option<&str>) -> KernelRow {
        KernelRow {
            kernel,
            case: "a test",
            holds,
            difference: 0.0,
            tolerance: 0.0,
            adapter_s: None,
            cpu_s: 0.0,
            problem: problem.map(str::to_owned),
        }
    }

    fn say(adapters: &[AdapterReport]) -> String {
        let cpu = CpuReport { threads: 4, instructions: "NEON".into() };
        verdict(&DeviceChoice::Auto, &cpu, adapters).join("\n")
    }

    #[test]
    fn kernels_that_differ_and_kernels_that_fail_are_named_and_the_cpu_is_advised() {
        let wrong = adapter(vec![row("add", true, None), row("scan", false, None), row("linear", false, Some("lost"))]);
        assert!(!wrong.holds());
        let words = say(&[wrong]);
        let said = "Card 9 (Vulkan) is WRONG: 1 kernel not as on the CPU: scan; 1 kernel did not run: linear.";
        assert!(words.contains(said), "{words}");
        assert!(words.contains("`--device auto` would take Card 9: use `--device cpu`"), "{words}");
    }

    #[test]
    fn what_holds_is_counted_by_kernels_and_what_does_not_open_says_why() {
        let good = adapter(vec![row("add", true, None), row("add", true, None)]);
        assert!(say(std::slice::from_ref(&good)).contains("all 1 kernels agree"));
        let mut refused = adapter(Vec::new());
        refused.automatic = false;
        refused.examined.as_mut().unwrap().not_compiled.push("add.plain.main: no".into());
        assert!(!refused.holds() && say(&[refused]).contains("its driver refuses 1 shader"));
        let mut closed = good;
        (closed.automatic, closed.examined, closed.details.problem) = (false, None, Some("no memory".into()));
        assert!(closed.holds());
        assert!(say(&[closed]).contains("cannot be used: no memory.\n`--device auto` finds no GPU"));
        assert!(say(&[]).contains("No GPU adapter was found: the CPU does the work, on 4 threads with NEON."));
    }
}
