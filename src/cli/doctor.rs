//! `pointtpa doctor`: what this machine is, and whether it computes what it should.

mod machine;
mod text;

use pointtpa::doctor::{Options, Report, examine};
use serde_json::{Value, json};

use self::machine::Machine;
use super::arguments::Global;
use super::exit::{BAD_INPUT, Failure, Outcome};
use super::{interrupt, results, screen};

pub(crate) fn run(global: &Global) -> Outcome {
    let bar = screen::bar(1000, "per mille");
    let progress = |progress: pointtpa::Progress<'_>| {
        bar.set_message(progress.stage.to_owned());
        bar.set_position((progress.done * 1000.0) as u64);
    };
    let report =
        examine(&Options { choice: global.device.clone(), progress: Some(&progress), cancel: Some(interrupt::flag()) });
    bar.finish_and_clear();
    let (report, machine) = (report?, Machine::this());
    if global.json {
        results::print_json(&to_json(&machine, &report))?;
    } else {
        results::print(&text::text(&machine, &report))?;
    }
    // The report itself says what does not hold.
    if report.holds { Ok(()) } else { Err(Failure { code: BAD_INPUT, message: String::new() }) }
}

fn to_json(machine: &Machine, report: &Report) -> Value {
    let mut value = json!({"version": env!("CARGO_PKG_VERSION"), "machine": machine});
    if let (Value::Object(fields), Ok(Value::Object(report))) = (&mut value, serde_json::to_value(report)) {
        fields.extend(report);
    }
    value
}
