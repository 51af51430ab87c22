//! `pointtpa check`: golden files against what this device computes.

use pointtpa::check::{Report, check_file};
use serde_json::{Value, json};

use super::arguments::{Check, Global};
use super::exit::{BAD_INPUT, Failure, Outcome};
use super::{choice, interrupt, results, screen, table::table};

pub(crate) fn run(global: &Global, command: &Check) -> Outcome {
    let device = choice::device(global)?;
    let is_one = command.files.len() == 1;
    let mut values = Vec::new();
    let mut first_failure: Option<Failure> = None;
    for path in &command.files {
        interrupt::check()?;
        let name = path.display().to_string();
        let failure = match check_file(&device, path) {
            Ok(report) => {
                if global.json {
                    values.push(to_json(&report, (!is_one).then_some(&name)));
                } else {
                    results::print(&to_text(&name, &report))?;
                }
                // The report itself says what does not hold.
                (!report.holds).then(|| Failure { code: BAD_INPUT, message: String::new() })
            }
            Err(error) if is_one => return Err(error.into()),
            Err(error) => {
                let failure = Failure::from(error);
                screen::error(&failure.message);
                values.push(json!({"file": name, "holds": false, "error": failure.message}));
                Some(Failure { message: String::new(), ..failure })
            }
        };
        let is_last = failure.as_ref().is_some_and(Failure::ends_the_batch);
        first_failure = first_failure.or(failure);
        if is_last {
            break;
        }
    }
    if global.json {
        let all = if is_one { values.pop().unwrap_or_default() } else { Value::Array(values) };
        results::print_json(&all)?;
    }
    first_failure.map_or(Ok(()), Err)
}

fn to_json(report: &Report, file: Option<&String>) -> Value {
    let mut value = json!({});
    if let Value::Object(fields) = &mut value {
        if let Some(file) = file {
            fields.insert("file".to_owned(), json!(file));
        }
        if let Ok(Value::Object(report)) = serde_json::to_value(report) {
            fields.extend(report);
        }
    }
    value
}

fn to_text(name: &str, report: &Report) -> String {
    let mut rows =
        vec![["", "tensor", "count", "max abs", "mean abs", "tolerance", "holds"].map(str::to_owned).to_vec()];
    rows.extend(report.compared.iter().map(|row| {
        let numbers = [row.max_abs, row.mean_abs, row.tolerance].map(|number| {
            // Integers are exact or wrong, and zeros are easier to see without an exponent.
            if number == 0.0 { "0".to_owned() } else { format!("{number:.2e}") }
        });
        let [max, mean, tolerance] = numbers;
        let holds = if row.holds { "yes" } else { "NO" };
        vec![String::new(), row.name.clone(), row.count.to_string(), max, mean, tolerance, holds.to_owned()]
    }));
    let mut text = format!("{name}\n{}", table(&rows, &[false, false, true, true, true, true, false]));
    if !report.skipped.is_empty() {
        let rows: Vec<Vec<String>> =
            report.skipped.iter().map(|row| vec![String::new(), row.name.clone(), row.reason.clone()]).collect();
        text += &format!("\n  not compared:\n{}", table(&rows, &[]));
    }
    let failed = report.compared.iter().filter(|row| !row.holds).count();
    let verdict = if report.holds { "holds".to_owned() } else { format!("does NOT hold: {failed} tensors differ") };
    text += &format!("\n  {verdict}, {} compared, {} not", report.compared.len(), report.skipped.len());
    if let Some(logits) = report.max_abs_logits {
        text += &format!(", logits within {logits:.2e}");
    }
    if let Some(agreement) = report.argmax_agreement {
        text += &format!(", {:.3} % of the labels agree", 100.0 * agreement);
    }
    text
}
