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

/// What is written beside the points: one row per point of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub(crate) ids: &'a [i32],
    pub(crate) confidence: &'a [f32],
    pub(crate) set: &'a LabelSet,
    /// Whether colours become those of the classes.
    pub(crate) recolor: bool,
}

/// A value that labelling gives a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Color(usize),
    Label,
    Classification,
    Confidence,
}

impl Given {
    const PROPERTIES: [(Given, &'static str); 3] =
        [(Given::Label, "label"), (Given::Classification, "scalar_Classification"), (Given::Confidence, "confidence")];

    fn type_name(self) -> &'static str {
        match self {
            Given::Color(_) => "uchar",
            Given::Label => "int",
            Given::Classification | Given::Confidence => "float",
        }
    }

    /// Appends the value as it stands in a row.
    fn put(self, point: &Point, encoding: Encoding, out: &mut Vec<u8>) {
        if encoding == Encoding::Ascii {
            // A vector of bytes takes every write.
            let _ = match self {
                Given::Color(channel) => write!(out, "{}", point.color[channel]),
                Given::Label | Given::Classification => write!(out, "{}", point.label),
                Given::Confidence => write!(out, "{}", point.confidence),
            };
            return;
        }
        let mut bytes = match self {
            Given::Color(channel) => return out.push(point.color[channel]),
            Given::Label => point.label.to_le_bytes(),
            Given::Classification => (point.label as f32).to_le_bytes(),
            Given::Confidence => point.confidence.to_le_bytes(),
        };
        if encoding == Encoding::BinaryBigEndian {
            bytes.reverse();
        }
        out.extend(bytes);
    }
}

/// What labelling says of one point.
pub(super) struct Point {
    pub(super) label: i32,
    pub(super) confidence: f32,
    pub(super) color: [u8; 3],
}

impl Labels<'_> {
    pub(super) fn point(&self, index: usize) -> Point {
        let label = self.ids.get(index).copied().unwrap_or(-1);
        // Points without a class are black, which no class is.
        let color = self.set.class(label).map_or([0; 3], |class| class.color);
        Point { label, confidence: self.confidence.get(index).copied().unwrap_or(0.0), color }
    }
}

/// Where the given values go: over properties that are there, the others after the last.
struct Plan {
    /// Property index and value, in order of the properties.
    replaced: Vec<(usize, Given)>,
    appended: Vec<(Given, &'static str)>,
}

impl Plan {
    fn new(roles: &Roles, element: &Element, recolor: bool) -> Self {
        let mut plan = Self { replaced: Vec::new(), appended: Vec::new() };
        if recolor {
            match roles.colors() {
                Some(colors) => {
                    plan.replaced.extend(colors.into_iter().enumerate().map(|(c, p)| (p, Given::Color(c))));
                }
                None => {
                    plan.appended
                        .extend(["red", "green", "blue"].into_iter().enumerate().map(|(c, n)| (Given::Color(c), n)));
                }
            }
        }
        for (given, name) in Given::PROPERTIES {
            let at = element.properties.iter().position(|property| property.name == name);
            match at {
                Some(at) => plan.replaced.push((at, given)),
                None => plan.appended.push((given, name)),
            }
        }
        plan.replaced.sort_by_key(|(property, _)| *property);
        plan
    }

    fn replacing(&self, property: usize) -> Option<Given> {
        self.replaced.iter().find(|(at, _)| *at == property).map(|(_, given)| *given)
    }
}

/// Writes the file with `label`, `scalar_Classification` and `confidence` for every vertex.
pub(crate) fn write_labelled(original: &Original, labels: &Labels, out: &mut dyn Write) -> io::Result<()> {
    let Original { bytes, header, vertex, roles, rows } = original;
    let mut writer = Labelling::new(header, *vertex, roles, labels);
    writer.header(bytes, out)?;
    out.write_all(&bytes[header.body..rows.start(0)])?;
    for index in 0..rows.len() {
        writer.row(&bytes[rows.start(index)..rows.start(index + 1)], out)?;
    }
    out.write_all(&bytes[rows.start(rows.len())..])
}

/// Puts labels into the header of a file and into its vertices, one after the other.
pub(super) struct Labelling<'a> {
    header: &'a Header,
    vertex: usize,
    labels: &'a Labels<'a>,
    plan: Plan,
    /// The vertex that comes next.
    next: usize,
    row: Vec<u8>,
}

impl<'a> Labelling<'a> {
    pub(super) fn new(header: &'a Header, vertex: usize, roles: &Roles, labels: &'a Labels<'a>) -> Self {
        let plan = Plan::new(roles, &header.elements[vertex], labels.recolor);
        Self { header, vertex, labels, plan, next: 0, row: Vec::new() }
    }

    /// Writes the header of the file that starts with these bytes.
    pub(super) fn header(&self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        write_header(self.header, bytes, self.vertex, &self.plan, self.labels.set, out)
    }

    /// Writes the next vertex, whose bytes these are.
    pub(super) fn row(&mut self, old: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let Self { plan, row, .. } = self;
        let (element, encoding) = (&self.header.elements[self.vertex], self.header.encoding);
        let point = self.labels.point(self.next);
        self.next += 1;
        row.clear();
        let mut kept = 0;
        if !plan.replaced.is_empty() {
            for (property, span) in property_spans(old, element, encoding).into_iter().enumerate() {
                if let Some(given) = plan.replacing(property) {
                    row.extend_from_slice(&old[kept..span.start]);
                    given.put(&point, encoding, row);
                    kept = span.end;
                }
            }
        }
        row.extend_from_slice(&old[kept..]);
        for (given, _) in &plan.appended {
            if encoding == Encoding::Ascii {
                row.push(b' ');
            }
            given.put(&point, encoding, row);
        }
        out.write_all(row)
    }
}

/// Writes the header's own lines, the class comments before its first element and the new properties after the
/// vertex's last.
fn write_header(
    header: &Header,
    bytes: &[u8],
    vertex: usize,
    plan: &Plan,
    set: &LabelSet,
    out: &mut dyn Write,
) -> io::Result<()> {
    let newline = header.newline;
    let last_property = header
        .lines
        .iter()
        .rposition(|line| matches!(line.declares, Declares::Property(element, _) if element == vertex));
    let mut classes_due = true;
    for (index, line) in header.lines.iter().enumerate() {
        let text = &bytes[line.span.clone()];
        if matches!(line.declares, Declares::Element(_)) && classes_due {
            out.write_all(class_comments(set, newline).as_bytes())?;
            classes_due = false;
        }
        match line.declares {
            Declares::Class => {}
            Declares::Property(element, property) if element == vertex => {
                let name = &header.elements[element].properties[property].name;
                match plan.replacing(property) {
                    Some(given) => write!(out, "property {} {name}{newline}", given.type_name())?,
                    None => out.write_all(text)?,
                }
            }
            _ => out.write_all(text)?,
        }
        if Some(index) == last_property {
            for (given, name) in &plan.appended {
                write!(out, "property {} {name}{newline}", given.type_name())?;
            }
        }
    }
    Ok(())
}

/// The bytes of each property's value within a row that has been read before.
fn property_spans(row: &[u8], element: &Element, encoding: Encoding) -> Vec<Range<usize>> {
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
