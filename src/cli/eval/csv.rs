//! Tables for spreadsheets: comma separated, names in quotes where they need them.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::evaluation::Evaluation;

/// Points by true class (rows) and predicted class (columns).
pub(super) fn confusion(evaluation: &Evaluation) -> String {
    let names: Vec<Cow<'_, str>> = evaluation.labels.classes.iter().map(|class| cell(&class.name)).collect();
    let mut text = format!("truth,{}\n", names.join(","));
    for (truth, name) in names.iter().enumerate() {
        let counts: Vec<String> =
            (0..names.len()).map(|prediction| evaluation.confusion.count(truth, prediction).to_string()).collect();
        let _ = writeln!(text, "{name},{}", counts.join(","));
    }
    text
}

/// The scores of every class.
pub(super) fn per_class(evaluation: &Evaluation) -> String {
    let mut text = "id,name,iou,accuracy,points,predicted\n".to_owned();
    for (class, of) in evaluation.labels.classes.iter().zip(&evaluation.scores.classes) {
        let name = cell(&class.name);
        let _ = writeln!(text, "{},{name},{:.6},{:.6},{},{}", class.id, of.iou, of.accuracy, of.points, of.predicted);
    }
    text
}

fn cell(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        return Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")));
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_and_quotes_are_one_cell() {
        assert_eq!(cell("shower curtain"), "shower curtain");
        assert_eq!(cell("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
