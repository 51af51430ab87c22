//! Writing a PLY file back with labels: every byte of the input, and the new values spliced in.

use std::io::{self, Write};
use std::ops::Range;

use ply_rs_bw::ply::{Encoding, PropertyType, ScalarType};

use super::Original;
use super::header::{Declares, Element, Header, size_of};
use super::roles::Roles;
use super::write::class_comments;
use crate::scan::LabelSet;
use crate::scan::numbers::Tokens;

/// Labels: one row per point of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub(crate) ids: &'a [i32],
    pub(crate) confidence: &'a [f32],
    pub(crate) set: &'a LabelSet,
}

/// What is written with the points, in place of what they have of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub(crate) labels: Option<Labels<'a>>,
    /// `[n]`.
    pub(crate) colors: Option<&'a [[u8; 3]]>,
}

/// A value that a point is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Color(usize),
    Label,
    Classification,
    Confidence,
}

impl Value {
    const LABELS: [(Value, &'static str); 3] =
        [(Value::Label, "label"), (Value::Classification, "scalar_Classification"), (Value::Confidence, "confidence")];
    const COLORS: [(Value, &'static str); 3] =
        [(Value::Color(0), "red"), (Value::Color(1), "green"), (Value::Color(2), "blue")];

    fn type_name(self) -> &'static str {
        match self {
            Value::Color(_) => "uchar",
            Value::Label => "int",
            Value::Classification | Value::Confidence => "float",
        }
    }

    /// Appends the value as it stands in a row.
    fn put(self, point: &Point, encoding: Encoding, out: &mut Vec<u8>) {
        if encoding == Encoding::Ascii {
            // A vector of bytes takes every write.
            let _ = match self {
                Value::Color(channel) => write!(out, "{}", point.color[channel]),
                Value::Label | Value::Classification => write!(out, "{}", point.label),
                Value::Confidence => write!(out, "{}", point.confidence),
            };
            return;
        }
        let mut bytes = match self {
            Value::Color(channel) => return out.push(point.color[channel]),
            Value::Label => point.label.to_le_bytes(),
            Value::Classification => (point.label as f32).to_le_bytes(),
            Value::Confidence => point.confidence.to_le_bytes(),
        };
        if encoding == Encoding::BinaryBigEndian {
            bytes.reverse();
        }
        out.extend(bytes);
    }
}

/// What one point is given.
struct Point {
    label: i32,
    confidence: f32,
    color: [u8; 3],
}

impl Labels<'_> {
    /// The label and the confidence of a point.
    pub(crate) fn of(&self, index: usize) -> (i32, f32) {
        (self.ids.get(index).copied().unwrap_or(-1), self.confidence.get(index).copied().unwrap_or(0.0))
    }
}

impl Given<'_> {
    /// The colour that a point is given, if there are any.
    pub(super) fn color(&self, index: usize) -> Option<[u8; 3]> {
        self.colors.map(|colors| colors.get(index).copied().unwrap_or_default())
    }

    fn point(&self, index: usize) -> Point {
        let (label, confidence) = self.labels.map_or((-1, 0.0), |labels| labels.of(index));
        Point { label, confidence, color: self.color(index).unwrap_or_default() }
    }
}

/// Where the given values go: over properties that are there, the others after the last.
struct Plan {
    /// Property index and value, in order of the properties.
    replaced: Vec<(usize, Value)>,
    appended: Vec<(Value, &'static str)>,
}

impl Plan {
    fn new(roles: &Roles, element: &Element, given: &Given) -> Self {
        let mut plan = Self { replaced: Vec::new(), appended: Vec::new() };
        if given.colors.is_some() {
            match roles.colors() {
                Some(colors) => plan.replaced.extend(colors.into_iter().zip(Value::COLORS.map(|(value, _)| value))),
                None => plan.appended.extend(Value::COLORS),
            }
        }
        for (value, name) in Value::LABELS.into_iter().filter(|_| given.labels.is_some()) {
            let at = element.properties.iter().position(|property| property.name == name);
            match at {
                Some(at) => plan.replaced.push((at, value)),
                None => plan.appended.push((value, name)),
            }
        }
        plan.replaced.sort_by_key(|(property, _)| *property);
        plan
    }

    fn replacing(&self, property: usize) -> Option<Value> {
        self.replaced.iter().find(|(at, _)| *at == property).map(|(_, value)| *value)
    }
}

/// Writes the file with what is given for every vertex: colours; `label`, `scalar_Classification` and `confidence`.
pub(crate) fn write_with(original: &Original, given: &Given, out: &mut dyn Write) -> io::Result<()> {
    let Original { bytes, header, vertex, roles, rows } = original;
    let mut writer = Writer::new(header, *vertex, roles, given);
    writer.header(bytes, out)?;
    out.write_all(&bytes[header.body..rows.start(0)])?;
    for index in 0..rows.len() {
        writer.row(&bytes[rows.start(index)..rows.start(index + 1)], out)?;
    }
    out.write_all(&bytes[rows.start(rows.len())..])
}

/// Puts what is given into the header of a file and into its vertices, one after the other.
pub(super) struct Writer<'a> {
    header: &'a Header,
    vertex: usize,
    given: &'a Given<'a>,
    plan: Plan,
    /// The vertex that comes next.
    next: usize,
    row: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(header: &'a Header, vertex: usize, roles: &Roles, given: &'a Given<'a>) -> Self {
        let plan = Plan::new(roles, &header.elements[vertex], given);
        Self { header, vertex, given, plan, next: 0, row: Vec::new() }
    }

    /// Writes the header of the file that starts with these bytes.
    pub(super) fn header(&self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let set = self.given.labels.map(|labels| labels.set);
        write_header(self.header, bytes, self.vertex, &self.plan, set, out)
    }

    /// Writes the next vertex, whose bytes these are.
    pub(super) fn row(&mut self, old: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let Self { plan, row, .. } = self;
        let (element, encoding) = (&self.header.elements[self.vertex], self.header.encoding);
        let point = self.given.point(self.next);
        self.next += 1;
        row.clear();
        let mut kept = 0;
        if !plan.replaced.is_empty() {
            for (property, span) in property_spans(old, element, encoding).into_iter().enumerate() {
                if let Some(value) = plan.replacing(property) {
                    row.extend_from_slice(&old[kept..span.start]);
                    value.put(&point, encoding, row);
                    kept = span.end;
                }
            }
        }
        row.extend_from_slice(&old[kept..]);
        for (value, _) in &plan.appended {
            if encoding == Encoding::Ascii {
                row.push(b' ');
            }
            value.put(&point, encoding, row);
        }
        out.write_all(row)
    }
}

/// Writes the header's own lines, the comments on the classes of `set`, in place of its own, before its first element and the
/// new properties after the vertex's last.
fn write_header(
    header: &Header,
    bytes: &[u8],
    vertex: usize,
    plan: &Plan,
    set: Option<&LabelSet>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let newline = header.newline;
    let last_property = header
        .lines
        .iter()
        .rposition(|line| matches!(line.declares, Declares::Property(element, _) if element == vertex));
    let mut due = set;
    for (index, line) in header.lines.iter().enumerate() {
        let text = &bytes[line.span.clone()];
        if let (Declares::Element(_), Some(set)) = (line.declares, due) {
            out.write_all(class_comments(set, newline).as_bytes())?;
            due = None;
        }
        match line.declares {
            Declares::Class if set.is_some() => {}
            Declares::Property(element, property) if element == vertex => {
                let name = &header.elements[element].properties[property].name;
                match plan.replacing(property) {
                    Some(value) => write!(out, "property {} {name}{newline}", value.type_name())?,
                    None => out.write_all(text)?,
                }
            }
            _ => out.write_all(text)?,
        }
        if Some(index) == last_property {
            for (value, name) in &plan.appended {
                write!(out, "property {} {name}{newline}", value.type_name())?;
            }
        }
    }
    Ok(())
}

/// The bytes of each property's value within a row that has been read before.
pub(super) fn property_spans(row: &[u8], element: &Element, encoding: Encoding) -> Vec<Range<usize>> {
    let types = element.properties.iter().map(|property| &property.data_type);
    if encoding == Encoding::Ascii {
        let mut tokens = Tokens { line: row, at: 0 };
        let mut take = || tokens.next().map_or(0..0, |token| tokens.at - token.len()..tokens.at);
        let span = |data_type: &PropertyType| {
            let mut span = take();
            if let PropertyType::List(..) = data_type {
                let text = std::str::from_utf8(&row[span.clone()]).unwrap_or_default();
                for _ in 0..text.parse::<f64>().unwrap_or_default() as usize {
                    span.end = take().end;
                }
            }
            span
        };
        return types.map(span).collect();
    }
    let mut at = 0;
    let span = |data_type: &PropertyType| {
        let start = at;
        at += match data_type {
            PropertyType::Scalar(scalar) => size_of(scalar),
            PropertyType::List(length, value) => {
                size_of(length) + size_of(value) * list_length(&row[at..], length, encoding)
            }
        };
        start..at
    };
    types.map(span).collect()
}

/// The length that a binary list starts with.
fn list_length(bytes: &[u8], length: &ScalarType, encoding: Encoding) -> usize {
    let bytes = bytes.get(..size_of(length)).unwrap_or_default();
    let join = |value: usize, byte: &u8| value << 8 | usize::from(*byte);
    if encoding == Encoding::BinaryBigEndian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
}
