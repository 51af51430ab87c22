//! Other measurements to draw beside ours: rows of `label,voxels,seconds`.

use std::path::Path;

use pointtpa::Error;

use crate::chart::lines::Series;
use crate::exit::{BAD_INPUT, Failure, Outcome};

/// Reads a file of such rows. The first row may be a header; rows of one label make one line of the chart.
pub(super) fn read(path: &Path) -> Outcome<Vec<Series>> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Failure::from(Error::Io { action: "read", path: path.to_owned(), source }))?;
    parse(&text).map_err(|problem| Failure { code: BAD_INPUT, message: format!("{}: {problem}", path.display()) })
}

fn parse(text: &str) -> Result<Vec<Series>, String> {
    let mut all: Vec<Series> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || (number == 0 && line.replace(' ', "") == "label,voxels,seconds") {
            continue;
        }
        let place = row(line).ok_or_else(|| {
            format!("line {}: '{line}' is no `label,voxels,seconds`. Write rows like `PyTorch,10520,0.41`", number + 1)
        })?;
        let (label, point) = place;
        match all.iter_mut().find(|series| series.label == label) {
            Some(series) => series.points.push(point),
            None => all.push(Series { label: label.to_owned(), points: vec![point] }),
        }
    }
    if all.is_empty() {
        return Err("there is no row in it. Write rows like `PyTorch,10520,0.41`".to_owned());
    }
    Ok(all)
}

/// The label may hold commas: the numbers are the last two columns.
fn row(line: &str) -> Option<(&str, (f64, f64))> {
    let (rest, seconds) = line.rsplit_once(',')?;
    let (label, voxels) = rest.rsplit_once(',')?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
    let label = label.trim().trim_matches('"');
    (!label.is_empty()).then_some((label, (number(voxels)?, number(seconds)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_label_make_one_line() {
        let text = "label,voxels,seconds\nPyTorch, CPU,10520,0.41\nPyTorch, CPU,28538,1.1\n\n\"other\",1000, 2\n";
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].label, "PyTorch, CPU");
        assert_eq!(found[0].points, [(10520.0, 0.41), (28538.0, 1.1)]);
        assert_eq!((found[1].label.as_str(), found[1].points[0]), ("other", (1000.0, 2.0)));
    }

    #[test]
    fn what_is_no_row_is_named() {
        for (text, message) in [
            ("", "no row"),
            ("label,voxels,seconds\n", "no row"),
            ("a,1,2\nb,x,2", "line 2: 'b,x,2'"),
            ("a,1", "line 1"),
            (",1,2", "line 1"),
            ("a,1,-2", "line 1"),
            ("a,1,NaN", "line 1"),
        ] {
            let error = parse(text).map(|_| ()).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
