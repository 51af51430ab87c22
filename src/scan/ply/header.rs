//! The header of a PLY file: what is in the file, and the lines themselves so that they can be written back.
//!
//! `ply-rs-bw`'s own header reader keeps neither the order of comments nor two properties of one name, and refuses
//! files that other programs write and read: carriage returns as line ends (Rhinoceros), leading blanks, the type
//! `bool` (`PyntCloud`), and the names `CloudCompare` makes of its scalar fields. So the lines are split here; types,
//! encodings and the payload stay the crate's.

use std::ops::Range;

use ply_rs_bw::ply::{Encoding, PropertyType, ScalarType};

use crate::Result;
use crate::scan::source::Source;

const ADVICE: &str = "Export the scan again as PLY";

/// A property as declared.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(crate) name: String,
    /// The type in the file's own words, for example `uchar` or `list uint8 int32`.
    pub(crate) type_name: String,
    pub(crate) data_type: PropertyType,
}

/// An element as declared.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// Rows that the header promises; not to be trusted before the payload has been seen.
    pub(crate) count: u64,
    pub(crate) properties: Vec<Property>,
    /// Its line in the file, from 1.
    pub(crate) line: usize,
}

/// What a header line declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declares {
    Element(usize),
    /// Property `.1` of element `.0`.
    Property(usize, usize),
    /// A comment that says what a class is: an earlier run's, replaced when labels are written.
    Class,
    End,
    Other,
}

/// A header line with its line end.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) span: Range<usize>,
    pub(crate) declares: Declares,
}

/// A whole header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) encoding: Encoding,
    pub(crate) elements: Vec<Element>,
    /// Texts of `comment` and `obj_info` lines.
    pub(crate) comments: Vec<String>,
    pub(crate) lines: Vec<Line>,
    /// The file's line end: `\n`, `\r\n` or `\r`.
    pub(crate) newline: &'static str,
    /// First byte of the payload.
    pub(crate) body: usize,
}

/// Bytes of a binary value.
pub(crate) fn size_of(scalar: &ScalarType) -> usize {
    match scalar {
        ScalarType::Char | ScalarType::UChar => 1,
        ScalarType::Short | ScalarType::UShort => 2,
        ScalarType::Int | ScalarType::UInt | ScalarType::Float => 4,
        ScalarType::Double => 8,
    }
}

impl Element {
    /// Bytes of a binary row; of lists only the length.
    pub(crate) fn least_row_bytes(&self) -> usize {
        let sizes = self.properties.iter().map(|property| match &property.data_type {
            PropertyType::Scalar(scalar) | PropertyType::List(scalar, _) => size_of(scalar),
        });
        sizes.sum()
    }

    /// Whether every binary row has the same size.
    pub(crate) fn is_fixed(&self) -> bool {
        self.properties.iter().all(|property| matches!(property.data_type, PropertyType::Scalar(_)))
    }
}

impl Header {
    /// Parses the header of `source`.
    pub(crate) fn parse(source: &Source) -> Result<Self> {
        let bytes = source.bytes;
        if !bytes.starts_with(b"ply") {
            return Err(source.error("byte 0", "a PLY file starts with `ply`, this one does not", ADVICE));
        }
        let newline = match (bytes.get(3), bytes.get(4)) {
            (Some(b'\r'), Some(b'\n')) => "\r\n",
            (Some(b'\r'), _) => "\r",
            _ => "\n",
        };
        let terminator = if newline == "\r" { b'\r' } else { b'\n' };
        let mut reader = Reading { source, encoding: None, elements: Vec::new(), comments: Vec::new() };
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some(length) = bytes[at..].iter().position(|&byte| byte == terminator) {
            let span = at..at + length + 1;
            at = span.end;
            let number = lines.len() + 1;
            let text = std::str::from_utf8(&bytes[span.clone()]).map(str::trim);
            // Comments may be in any encoding; they are kept as bytes.
            let text = text.map_or_else(|_| String::from_utf8_lossy(&bytes[span.clone()]), std::borrow::Cow::Borrowed);
            let declares = reader.line(text.trim(), number)?;
            lines.push(Line { span, declares });
            if declares == Declares::End {
                return reader.finish(lines, newline, at);
            }
        }
        // A header without any payload may lack its last line end.
        if bytes[at..].trim_ascii() == b"end_header" {
            lines.push(Line { span: at..bytes.len(), declares: Declares::End });
            return reader.finish(lines, newline, bytes.len());
        }
        let at = format!("line {}", lines.len() + 1);
        Err(source.error(&at, "the file ends inside its header: there is no `end_header`", ADVICE))
    }
}

/// A header while its lines come in.
struct Reading<'a> {
    source: &'a Source<'a>,
    encoding: Option<Encoding>,
    elements: Vec<Element>,
    comments: Vec<String>,
}

impl Reading<'_> {
    fn line(&mut self, text: &str, number: usize) -> Result<Declares> {
        let (keyword, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let wrong = |problem: String| Err(self.source.error(&format!("line {number}"), &problem, ADVICE));
        match keyword {
            "ply" if number == 1 => Ok(Declares::Other),
            "" => Ok(Declares::Other),
            "end_header" => Ok(Declares::End),
            "comment" | "obj_info" => {
                self.comments.push(rest.trim().to_owned());
                Ok(if keyword == "comment" && is_class(&words) { Declares::Class } else { Declares::Other })
            }
            "format" => {
                let encoding = match words.first() {
                    Some(&"ascii") => Encoding::Ascii,
                    Some(&"binary_little_endian") => Encoding::BinaryLittleEndian,
                    Some(&"binary_big_endian") => Encoding::BinaryBigEndian,
                    _ => {
                        return wrong(format!(
                            "`{text}` is no PLY format (ascii, binary_little_endian, binary_big_endian)"
                        ));
                    }
                };
                if words.get(1) != Some(&"1.0") {
                    return wrong(format!("`{text}`: only version 1.0 of the format exists"));
                }
                if self.encoding.is_some() {
                    return wrong("the format is given a second time".into());
                }
                self.encoding = Some(encoding);
                Ok(Declares::Other)
            }
            "element" => {
                let &[name, count] = words.as_slice() else {
                    return wrong(format!("`{text}` is not `element NAME COUNT`"));
                };
                let Ok(count) = count.parse() else {
                    return wrong(format!("`{count}` is no number of `{name}` rows"));
                };
                self.elements.push(Element { name: name.to_owned(), count, properties: Vec::new(), line: number });
                Ok(Declares::Element(self.elements.len() - 1))
            }
            "property" => {
                let Some((data_type, type_words)) = data_type(&words) else {
                    return wrong(format!("`{text}` is not `property TYPE NAME` with a PLY type"));
                };
                // A name may hold blanks: CloudCompare takes over whatever its users called a scalar field.
                let name = words[type_words..].join(" ");
                let type_name = words[..type_words].join(" ");
                let element = self.elements.len().wrapping_sub(1);
                let Some(last) = self.elements.last_mut() else {
                    return wrong(format!("the property `{name}` comes before any element"));
                };
                last.properties.push(Property { name, type_name, data_type });
                Ok(Declares::Property(element, last.properties.len() - 1))
            }
            _ => wrong(format!(
                "`{}` is none of format, comment, obj_info, element, property, end_header",
                text.chars().take(60).collect::<String>()
            )),
        }
    }

    fn finish(self, lines: Vec<Line>, newline: &'static str, body: usize) -> Result<Header> {
        let Some(encoding) = self.encoding else {
            return Err(self.source.error("line 2", "the header has no `format` line", ADVICE));
        };
        Ok(Header { encoding, elements: self.elements, comments: self.comments, lines, newline, body })
    }
}

/// The type that the words of a property start with, and how many words it takes; a name must follow.
fn data_type(words: &[&str]) -> Option<(PropertyType, usize)> {
    match words {
        ["list", length, value, _, ..] => {
            let length = scalar(length).filter(|length| !matches!(length, ScalarType::Float | ScalarType::Double))?;
            Some((PropertyType::List(length, scalar(value)?), 3))
        }
        [value, _, ..] => Some((PropertyType::Scalar(scalar(value)?), 1)),
        _ => None,
    }
}

fn scalar(name: &str) -> Option<ScalarType> {
    Some(match name {
        "char" | "int8" => ScalarType::Char,
        "uchar" | "uint8" | "bool" => ScalarType::UChar,
        "short" | "int16" => ScalarType::Short,
        "ushort" | "uint16" => ScalarType::UShort,
        "int" | "int32" => ScalarType::Int,
        "uint" | "uint32" => ScalarType::UInt,
        "float" | "float32" => ScalarType::Float,
        "double" | "float64" => ScalarType::Double,
        _ => return None,
    })
}

/// Whether a comment's words are `class ID NAME… R G B`.
fn is_class(words: &[&str]) -> bool {
    let ["class", id, .., r, g, b] = words else { return false };
    words.len() >= 6 && id.parse::<u32>().is_ok() && [r, g, b].iter().all(|value| value.parse::<u8>().is_ok())
}
