//! The rows of one PLY element, from either kind of payload.
//!
//! Binary rows of one size are read here, each value at its place; `ply-rs-bw`, which goes from one to the next and hands each over
//! by name, reads those with lists into [`Row`]. Ascii rows are split here, because the crate's grammar takes
//! neither `nan`, `inf` nor `.5`, which scanners write for pixels without a return.

use ply_rs_bw::parser::Parser;
use ply_rs_bw::ply::{
    Addable, ElementDef, Encoding, Property as Value, PropertyAccess, PropertyAccessResult, PropertyDef, PropertyType,
    ScalarType,
};

use super::header::{Element, Header, size_of};
use crate::Result;
use crate::scan::columns::SLOTS;
use crate::scan::numbers::{Tokens, c_special, shown};
use crate::scan::scalar::Scalar;
use crate::scan::source::Source;

const ADVICE: &str = "The file is damaged or was cut short; copy or export it again";

/// The values of a row that someone asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) scalars: [f64; SLOTS],
    pub(crate) list: Vec<i64>,
}

/// Where a property's value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Scalar(usize),
    List,
    Ignored,
}

impl Slot {
    /// The name under which `ply-rs-bw` hands the value to [`Row`]: unique, since its map keeps one property per name.
    fn key(self, property: usize) -> String {
        match self {
            Slot::Scalar(slot) => slot.to_string(),
            Slot::List => "l".to_owned(),
            Slot::Ignored => format!("_{property}"),
        }
    }
}

impl PropertyAccess for Row {
    fn new() -> Self {
        Self::default()
    }

    fn set_property(&mut self, key: &str, value: Value) -> PropertyAccessResult {
        let first = key.as_bytes().first().copied().unwrap_or(b'_');
        if first == b'_' {
            return PropertyAccessResult::Ignored;
        }
        let scalar = match value {
            Value::Char(value) => f64::from(value),
            Value::UChar(value) => f64::from(value),
            Value::Short(value) => f64::from(value),
            Value::UShort(value) => f64::from(value),
            Value::Int(value) => f64::from(value),
            Value::UInt(value) => f64::from(value),
            Value::Float(value) => f64::from(value),
            Value::Double(value) => value,
            list => {
                self.list = integers(list);
                return PropertyAccessResult::Set;
            }
        };
        if let Some(slot) = self.scalars.get_mut(usize::from(first.wrapping_sub(b'0'))) {
            *slot = scalar;
        }
        PropertyAccessResult::Set
    }
}

/// A list of indices; a list of anything but integers indexes nothing.
fn integers(list: Value) -> Vec<i64> {
    match list {
        Value::ListChar(list) => list.into_iter().map(i64::from).collect(),
        Value::ListUChar(list) => list.into_iter().map(i64::from).collect(),
        Value::ListShort(list) => list.into_iter().map(i64::from).collect(),
        Value::ListUShort(list) => list.into_iter().map(i64::from).collect(),
        Value::ListInt(list) => list.into_iter().map(i64::from).collect(),
        Value::ListUInt(list) => list.into_iter().map(i64::from).collect(),
        _ => Vec::new(),
    }
}

/// Where the rows of an element lie in the file.
#[derive(Debug, Clone)]
pub(crate) enum Spans {
    /// Rows of `stride` bytes from `start` on.
    Fixed { start: usize, stride: usize, count: usize },
    /// The first row starts at `start`; row `i` ends before byte `ends[i]`, and the next starts there (in ascii with
    /// the blanks and line ends between them).
    Ends { start: usize, ends: Vec<usize> },
}

impl Spans {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fixed { count, .. } => *count,
            Self::Ends { ends, .. } => ends.len(),
        }
    }

    /// First byte of row `row`, or one past the last row.
    pub(crate) fn start(&self, row: usize) -> usize {
        match self {
            Self::Fixed { start, stride, .. } => start + stride * row,
            Self::Ends { start, ends } => row.checked_sub(1).map_or(*start, |previous| ends[previous]),
        }
    }
}

/// Reads the payload, element by element.
pub(crate) struct Payload<'a> {
    source: Source<'a>,
    encoding: Encoding,
    terminator: u8,
    /// The next byte to read.
    pub(crate) at: usize,
    /// The line of that byte, from 1; of ascii payloads only.
    line: usize,
    /// Lines with more values than their element declares.
    pub(crate) long_lines: usize,
}

impl<'a> Payload<'a> {
    pub(crate) fn new(source: Source<'a>, header: &Header) -> Self {
        Self {
            source,
            encoding: header.encoding,
            terminator: if header.newline == "\r" { b'\r' } else { b'\n' },
            at: header.body,
            line: header.lines.len() + 1,
            long_lines: 0,
        }
    }

    /// Reads all rows of `element`, handing each to `sink` with its properties in `slots`; says where the rows were.
    ///
    /// `exact` refuses ascii lines with more values than the element has properties; they are counted otherwise.
    pub(crate) fn element(
        &mut self,
        element: &Element,
        slots: &[Slot],
        exact: bool,
        sink: &mut dyn FnMut(&Row),
    ) -> Result<Spans> {
        let count = self.believable_count(element)?;
        if self.encoding == Encoding::Ascii {
            self.ascii(element, count, slots, exact, sink)
        } else {
            self.binary(element, count, slots, sink)
        }
    }

    /// The promised number of rows, if the rest of the file has room for rows of the least size.
    fn believable_count(&self, element: &Element) -> Result<usize> {
        let left = (self.source.bytes.len() - self.at) as u64;
        let ascii = self.encoding == Encoding::Ascii;
        // An ascii value takes a digit and a blank; the last one of the file may lack the blank.
        let least = if ascii { 2 * element.properties.len() } else { element.least_row_bytes() } as u64;
        match element.count.checked_mul(least) {
            Some(bytes) if bytes <= left + u64::from(ascii) => Ok(usize::try_from(element.count).unwrap_or(usize::MAX)),
            _ => {
                let at = if ascii { format!("line {}", element.line) } else { format!("byte {}", self.at) };
                let problem = format!(
                    "the header promises {} `{}` rows of at least {least} bytes, and {left} bytes are left in the file",
                    element.count, element.name
                );
                Err(self.source.error(&at, &problem, ADVICE))
            }
        }
    }

    fn binary(&mut self, element: &Element, count: usize, slots: &[Slot], sink: &mut dyn FnMut(&Row)) -> Result<Spans> {
        if element.is_fixed() {
            return Ok(self.fixed(element, count, slots, sink));
        }
        let start = self.at;
        let mut definition = ElementDef::new(element.name.clone());
        for (index, (property, slot)) in element.properties.iter().zip(slots).enumerate() {
            definition.properties.add(PropertyDef::new(slot.key(index), property.data_type.clone()));
        }
        let parser = Parser::<Row>::new();
        let bytes = self.source.bytes;
        let mut rest = &bytes[self.at..];
        let mut ends = Vec::new();
        for row in 0..count {
            let values = match self.encoding {
                Encoding::BinaryBigEndian => parser.read_big_endian_element(&mut rest, &definition),
                _ => parser.read_little_endian_element(&mut rest, &definition),
            };
            let values = values.map_err(|error| {
                let problem = if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    format!("the file ends inside row {row} of {count} `{}` rows", element.name)
                } else {
                    format!("row {row} of element `{}`: {error}", element.name)
                };
                self.source.error(&format!("byte {}", self.at), &problem, ADVICE)
            })?;
            sink(&values);
            self.at = bytes.len() - rest.len();
            ends.push(self.at);
        }
        Ok(Spans::Ends { start, ends })
    }

    /// Reads rows of one size; that the file has them all is known.
    fn fixed(&mut self, element: &Element, count: usize, slots: &[Slot], sink: &mut dyn FnMut(&Row)) -> Spans {
        let (start, stride) = (self.at, element.least_row_bytes());
        let end = start + stride * count;
        self.at = end;
        // Of every value that is asked for its slot, its place in a row and its type.
        let mut wanted = Vec::new();
        let mut place = 0;
        for (property, slot) in element.properties.iter().zip(slots) {
            let PropertyType::Scalar(scalar) = &property.data_type else { continue };
            if let Slot::Scalar(slot) = slot {
                wanted.push((*slot, place, plain(scalar)));
            }
            place += size_of(scalar);
        }
        if !wanted.is_empty() {
            let is_big = self.encoding == Encoding::BinaryBigEndian;
            let mut row = Row::default();
            for bytes in self.source.bytes[start..end].chunks_exact(stride) {
                for &(slot, place, scalar) in &wanted {
                    let value = &bytes[place..place + scalar.size()];
                    row.scalars[slot] = if is_big { scalar.read_big(value) } else { scalar.read(value) };
                }
                sink(&row);
            }
        }
        Spans::Fixed { start, stride, count }
    }

    fn ascii(
        &mut self,
        element: &Element,
        count: usize,
        slots: &[Slot],
        exact: bool,
        sink: &mut dyn FnMut(&Row),
    ) -> Result<Spans> {
        let start = self.at;
        let mut ends = Vec::new();
        if element.properties.is_empty() {
            return Ok(Spans::Fixed { start, stride: 0, count: 0 });
        }
        let bytes = self.source.bytes;
        let mut row = Row::default();
        while ends.len() < count {
            if self.at == bytes.len() {
                let problem = format!("the file ends after {} of {count} `{}` rows", ends.len(), element.name);
                return Err(self.source.error(&format!("line {}", self.line), &problem, ADVICE));
            }
            let length = bytes[self.at..].iter().position(|&byte| byte == self.terminator);
            let next = length.map_or(bytes.len(), |length| self.at + length + 1);
            let line = bytes[self.at..next].trim_ascii_end();
            if !line.is_empty() {
                let used = self.ascii_row(line, element, slots, &mut row)?;
                if line.len() > used {
                    if exact {
                        let problem = format!(
                            "the line goes on with `{}` after the {} values that element `{}` declares",
                            shown(line[used..].trim_ascii_start()),
                            element.properties.len(),
                            element.name
                        );
                        return Err(self.source.error(&format!("line {}", self.line), &problem, ADVICE));
                    }
                    self.long_lines += 1;
                }
                sink(&row);
                ends.push(self.at + used);
            }
            self.at = next;
            self.line += 1;
        }
        Ok(Spans::Ends { start, ends })
    }

    /// Parses one line; returns the bytes up to the end of the last declared value.
    fn ascii_row(&self, line: &[u8], element: &Element, slots: &[Slot], row: &mut Row) -> Result<usize> {
        let mut tokens = Tokens { line, at: 0 };
        for (property, &slot) in element.properties.iter().zip(slots) {
            let wrong = |token: Option<&[u8]>| {
                let found =
                    token.map_or_else(|| "the end of the line".to_owned(), |token| format!("`{}`", shown(token)));
                let problem = format!(
                    "{found} stands where `{}` ({}) of element `{}` is due",
                    property.name, property.type_name, element.name
                );
                self.source.error(&format!("line {}", self.line), &problem, ADVICE)
            };
            let mut number = |scalar: &ScalarType| {
                let token = tokens.next();
                token.and_then(|token| parse(token, scalar)).ok_or_else(|| wrong(token))
            };
            match &property.data_type {
                PropertyType::Scalar(scalar) => {
                    let value = number(scalar)?;
                    if let Slot::Scalar(slot) = slot {
                        row.scalars[slot] = value;
                    }
                }
                PropertyType::List(length, scalar) => {
                    let length = number(length)?;
                    if length < 0.0 || length.fract() != 0.0 {
                        return Err(wrong(Some(length.to_string().as_bytes())));
                    }
                    if slot == Slot::List {
                        row.list.clear();
                    }
                    // Counted in f64: a list may promise anything, and ends with the line.
                    let mut taken = 0.0;
                    while taken < length {
                        let value = number(scalar)?;
                        if slot == Slot::List {
                            row.list.push(value as i64);
                        }
                        taken += 1.0;
                    }
                }
            }
        }
        Ok(tokens.at)
    }
}

/// The type of a binary value.
fn plain(scalar: &ScalarType) -> Scalar {
    match scalar {
        ScalarType::Char => Scalar::I8,
        ScalarType::UChar => Scalar::U8,
        ScalarType::Short => Scalar::I16,
        ScalarType::UShort => Scalar::U16,
        ScalarType::Int => Scalar::I32,
        ScalarType::UInt => Scalar::U32,
        ScalarType::Float => Scalar::F32,
        ScalarType::Double => Scalar::F64,
    }
}

/// A number as its type would hold it. Integers may be written as floats, and floats as C libraries print them.
fn parse(token: &[u8], scalar: &ScalarType) -> Option<f64> {
    let text = std::str::from_utf8(token).ok()?;
    match scalar {
        ScalarType::Float => text.parse::<f32>().map(f64::from).ok().or_else(|| c_special(text)),
        ScalarType::Double => text.parse().ok().or_else(|| c_special(text)),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}
