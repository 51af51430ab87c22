//! Points as text, a line each: XYZ, CSV, and what scanners' and viewers' exports look like.

mod layout;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use self::layout::Layout;
use self::layout::{Separator, names};
use super::PointCloud;
use super::columns::{COLOR, ColorKind, Columns, NORMAL, SLOTS};
use super::description::{Contents, NormalSource};
use super::kept::{Kept, keep_values};
use super::numbers::{parse_f64, shown};
use super::source::Source;
use super::warning::Warning;
use crate::Result;

const ADVICE: &str = "Write one point per line: x y z, x y z r g b, x y z intensity r g b or x y z r g b nx ny nz, or name the \
                      columns in the first line";

/// How much of a file is looked at to tell whether it is text with points.
const GLANCE: usize = 4096;

/// Marks of lines that are no points.
const COMMENTS: [&[u8]; 3] = [b"#", b"//", b"%"];

/// Whether the beginning of a file is text.
pub(crate) fn is_text(start: &[u8]) -> bool {
    let start = &start[..start.len().min(GLANCE)];
    !start.is_empty() && !start.iter().any(|&byte| byte < b' ' && !byte.is_ascii_whitespace())
}

/// Whether the beginning of a file is text with rows of coordinates.
pub(crate) fn has_points(start: &[u8]) -> bool {
    is_text(start) && {
        let whole = start.len() <= GLANCE;
        let start = &start[..start.len().min(GLANCE)];
        // The last line may be cut.
        let lines = if whole { start } else { &start[..start.iter().rposition(|&b| b == b'\n').unwrap_or(0)] };
        Beginning::of(lines).is_ok_and(|beginning| beginning.layout(lines).is_ok())
    }
}

/// Reads a text file; `path` names it in errors.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let source = Source { path, bytes };
    let at = |(line, problem): (usize, String)| source.error(&format!("line {line}"), &problem, ADVICE);
    let beginning = Beginning::of(bytes).map_err(at)?;
    let layout = beginning.layout(bytes).map_err(at)?;
    let mut rows = Rows::new(&layout);
    for (number, line) in lines(bytes).skip(beginning.first - 1).filter(|(_, line)| is_content(line)) {
        rows.push(line, beginning.separator).map_err(|problem| at((number, problem)))?;
    }
    let mut warnings = Vec::new();
    if beginning.header.is_none() {
        let message = format!("no line names the columns: they are taken as {}", layout.names.join(" "));
        warnings.push(Warning::new("columns-unnamed", message, "If that is wrong, name them in the first line"));
    }
    if layout.has_texts() {
        let message = format!("columns that hold words are left out: {}", layout.texts().join(", "));
        warnings.push(Warning::new("words", message, ""));
    }
    let points = rows.points;
    let (cloud, kept) = rows.finish(&mut warnings)?;
    let contents = Contents {
        format: format!("text separated by {}: {}", beginning.separator.name(), layout.meaning()),
        properties: layout.names.iter().map(|name| format!("{name}:text")).collect(),
        elements: vec![("point".to_owned(), points)],
        comments: beginning.comments,
        faces: 0,
        normals: if layout.slots[NORMAL].is_some() { NormalSource::File } else { NormalSource::None },
        warnings,
    };
    Ok((cloud, contents, kept))
}

/// The lines of a file with their numbers, from 1, without blanks at their ends. A file without a line feed has carriage
/// returns.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let end = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    (1..).zip(bytes.split(move |&byte| byte == end).map(<[u8]>::trim_ascii))
}

fn is_comment(line: &[u8]) -> bool {
    COMMENTS.iter().any(|mark| line.starts_with(mark))
}

fn is_content(line: &[u8]) -> bool {
    !line.is_empty() && !is_comment(line)
}

/// Whether a comment looks like names of columns, as CloudCompare and `NumPy` write them.
fn names_columns(comment: &[u8]) -> bool {
    Separator::of(comment).split(comment).any(|word| word.eq_ignore_ascii_case(b"x"))
}

/// The columns, if they have names and the line is a point with words in columns that nobody needs.
fn with_words(header: &[u8], line: &[u8], separator: Separator) -> Option<Layout> {
    let names = names(header, separator.split(line).count())?;
    let layout = Layout::of_names(names)?.with_texts_of(separator.split(line));
    layout.has_texts().then_some(layout).filter(Layout::needs_no_texts)
}

/// What comes before the points.
#[derive(Debug)]
struct Beginning {
    separator: Separator,
    /// The number of the first line with a point, and how many columns it has.
    first: usize,
    columns: usize,
    /// The line that names the columns, with its number.
    header: Option<(usize, Vec<u8>)>,
    /// Whether that line is there for nothing else.
    must_name: bool,
    comments: Vec<String>,
}

impl Beginning {
    /// Looks for the first point: after comments, a line of names, and the number of points that PTS files start with.
    ///
    /// # Errors
    ///
    /// The line that is none of this, and what is wrong with it.
    fn of(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let mut comments = Vec::new();
        let mut header = None;
        let mut must_name = false;
        let mut others = 0;
        for (number, line) in lines(bytes) {
            if is_comment(line) {
                let text = line.iter().position(|byte| !b"#/% \t".contains(byte)).map_or(&[][..], |at| &line[at..]);
                comments.push(String::from_utf8_lossy(text).into_owned());
                if !must_name && names_columns(text) {
                    header = Some((number, text.to_vec()));
                }
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let separator = Separator::of(line);
            let values: Option<Vec<f64>> = separator.split(line).map(parse_f64).collect();
            let has_words = || {
                let (_, names) = header.as_ref().filter(|_| must_name)?;
                let layout = with_words(names, line, separator)?;
                Some(layout.names.len())
            };
            if let Some(columns) = has_words().filter(|_| values.is_none()) {
                return Ok(Self { separator, first: number, columns, header, must_name, comments });
            }
            match values {
                Some(values) if values.len() >= 3 => {
                    let columns = values.len();
                    return Ok(Self { separator, first: number, columns, header, must_name, comments });
                }
                // A count of points.
                Some(values) if values.len() == 1 && others == 0 => {}
                None if !must_name => (header, must_name) = (Some((number, line.to_vec())), true),
                _ => return Err((number, format!("`{}` is neither a point nor names of columns", shown(line)))),
            }
            others += 1;
        }
        Err((1, "there is no line with a point in this text".to_owned()))
    }

    /// What the columns mean; an error with its line if nothing tells.
    fn layout(&self, bytes: &[u8]) -> Result<Layout, (usize, String)> {
        let named = self.header.as_ref().and_then(|(_, line)| names(line, self.columns)).and_then(Layout::of_names);
        if let Some(layout) = named {
            let first = lines(bytes).nth(self.first - 1).map_or(&[][..], |(_, line)| line);
            return Ok(layout.with_texts_of(self.separator.split(first)));
        }
        if let Some((number, line)) = self.header.as_ref().filter(|_| self.must_name) {
            let problem =
                format!("`{}` does not name the {} columns below it, x, y and z among them", shown(line), self.columns);
            return Err((*number, problem));
        }
        let has_normals = self.columns == 6 && self.has_negative(bytes, 3..6);
        Layout::of_count(self.columns, has_normals)
            .ok_or_else(|| (self.first, format!("{} columns without names have no usual meaning", self.columns)))
    }

    /// Whether some line has a negative value in these columns, as no colour is.
    fn has_negative(&self, bytes: &[u8], columns: std::ops::Range<usize>) -> bool {
        let mut points = lines(bytes).skip(self.first - 1).filter(|(_, line)| is_content(line));
        points.any(|(_, line)| {
            let values = self.separator.split(line).skip(columns.start).take(columns.len());
            values.filter_map(parse_f64).any(|value| value < 0.0)
        })
    }
}

/// The points as they come in.
struct Rows<'a> {
    layout: &'a Layout,
    columns: Columns,
    /// Of every other column its place and values.
    others: Vec<(usize, Vec<f64>)>,
    /// Whether every colour so far is written as an integer.
    has_whole_colors: bool,
    values: Vec<f64>,
    points: u64,
}

impl<'a> Rows<'a> {
    fn new(layout: &'a Layout) -> Self {
        let others = (0..layout.names.len()).filter(|&column| layout.is_other(column) && !layout.is_text(column));
        Self {
            layout,
            columns: Columns::new(layout.has(), true, ColorKind::Float),
            others: others.map(|column| (column, Vec::new())).collect(),
            has_whole_colors: true,
            values: Vec::new(),
            points: 0,
        }
    }

    fn push(&mut self, line: &[u8], separator: Separator) -> Result<(), String> {
        let colors = self.layout.slots[COLOR].map(|_| &self.layout.slots[COLOR..COLOR + 3]);
        self.values.clear();
        for (column, token) in separator.split(line).enumerate() {
            if self.layout.is_text(column) {
                self.values.push(f64::NAN);
                continue;
            }
            let value = parse_f64(token).ok_or_else(|| match self.layout.names.get(column) {
                Some(name) => format!("`{}` is no number, as column `{name}` is", shown(token)),
                None => format!("`{}` is no number", shown(token)),
            })?;
            let is_whole = || token.iter().all(u8::is_ascii_digit);
            if colors.is_some_and(|colors| colors.contains(&Some(column))) && !is_whole() {
                self.has_whole_colors = false;
            }
            self.values.push(value);
        }
        if self.values.len() != self.layout.names.len() {
            return Err(format!("{} values stand where {} are due", self.values.len(), self.layout.names.len()));
        }
        let place = |slot: Option<usize>| slot.map_or(0.0, |column| self.values[column]);
        let values: [f64; SLOTS] = self.layout.slots.map(place);
        self.columns.push(&values);
        for (column, values) in &mut self.others {
            values.push(self.values[*column]);
        }
        self.points += 1;
        Ok(())
    }

    fn finish(mut self, warnings: &mut Vec<Warning>) -> Result<(PointCloud, Vec<Kept>)> {
        if self.has_whole_colors {
            self.columns.colors_are(ColorKind::Integer);
        }
        let named = |(column, values): (usize, Vec<f64>)| (self.layout.names[column].as_str(), values);
        let others: Vec<(&str, Vec<f64>)> = self.others.into_iter().map(named).collect();
        Ok((self.columns.finish(warnings)?, keep_values(&others)))
    }
}
