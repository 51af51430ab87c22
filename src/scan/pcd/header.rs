//! The header of a PCD file: which fields a point has, and how many points there are.

use crate::Result;
use crate::scan::numbers::shown;
use crate::scan::scalar::Scalar;
use crate::scan::source::Source;

const ADVICE: &str = "Write the file again with PCL's or Open3D's PCD writer";

/// The name of fields that only fill the space between others.
const PADDING: &str = "_";

/// A field as declared.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) scalar: Scalar,
    /// Values of a point.
    pub(super) count: usize,
}

impl Field {
    /// Bytes of a point's values.
    pub(super) fn size(&self) -> usize {
        self.scalar.size() * self.count
    }

    pub(super) fn is_padding(&self) -> bool {
        self.name == PADDING
    }
}

/// How the payload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Ascii,
    Binary,
    Compressed,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Binary => "binary",
            Self::Compressed => "binary_compressed",
        }
    }
}

/// A whole header.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) fields: Vec<Field>,
    pub(super) encoding: Encoding,
    /// Points that the header promises; not to be trusted before the payload has been seen.
    pub(super) points: u64,
    /// Columns and rows of an organised cloud.
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) comments: Vec<String>,
    /// Lines of the header.
    pub(super) lines: usize,
    /// First byte of the payload.
    pub(super) body: usize,
}

/// The lines as they come in.
#[derive(Default)]
struct Reading<'a> {
    names: Vec<&'a str>,
    sizes: Vec<&'a str>,
    types: Vec<&'a str>,
    counts: Vec<&'a str>,
    width: Option<u64>,
    height: Option<u64>,
    points: Option<u64>,
    comments: Vec<String>,
}

impl Header {
    /// Parses the header of `source`.
    pub(super) fn parse(source: &Source) -> Result<Self> {
        let bytes = source.bytes;
        let mut reading = Reading::default();
        let (mut at, mut lines) = (0, 0);
        while at < bytes.len() {
            let length = bytes[at..].iter().position(|&byte| byte == b'\n');
            let next = length.map_or(bytes.len(), |length| at + length + 1);
            let line = &bytes[at..next];
            at = next;
            lines += 1;
            let wrong = |problem: &str| source.error(&format!("line {lines}"), problem, ADVICE);
            if let Some(comment) = line.trim_ascii().strip_prefix(b"#") {
                reading.comments.push(String::from_utf8_lossy(comment).trim().to_owned());
                continue;
            }
            let no_text = || wrong(&format!("`{}` is no text, and the header has no DATA line", line.escape_ascii()));
            let text = std::str::from_utf8(line).map_err(|_| no_text())?;
            if let Some(encoding) = reading.line(text).map_err(|problem| wrong(&problem))? {
                return reading.finish(encoding, lines, at).map_err(|problem| wrong(&problem));
            }
        }
        Err(source.error(&format!("line {lines}"), "the file ends inside its header: there is no DATA line", ADVICE))
    }
}

impl<'a> Reading<'a> {
    /// Takes a line; the encoding if it is the header's last.
    fn line(&mut self, text: &'a str) -> Result<Option<Encoding>, String> {
        let mut words = text.split_ascii_whitespace();
        let Some(keyword) = words.next() else { return Ok(None) };
        let first = words.clone().next().unwrap_or_default();
        let number = || first.parse().map(Some).map_err(|_| format!("`{}` is no number of points", text.trim()));
        match keyword {
            "VERSION" | "VIEWPOINT" => {}
            "FIELDS" | "COLUMNS" => self.names = words.collect(),
            "SIZE" => self.sizes = words.collect(),
            "TYPE" => self.types = words.collect(),
            "COUNT" => self.counts = words.collect(),
            "WIDTH" => self.width = number()?,
            "HEIGHT" => self.height = number()?,
            "POINTS" => self.points = number()?,
            "DATA" => {
                let known = [Encoding::Ascii, Encoding::Binary, Encoding::Compressed];
                let found = known.into_iter().find(|encoding| first.eq_ignore_ascii_case(encoding.name()));
                return found
                    .map(Some)
                    .ok_or_else(|| format!("`{}` is no PCD encoding (ascii, binary, binary_compressed)", text.trim()));
            }
            _ => return Err(format!("`{}` is no line of a PCD header", shown(text.trim().as_bytes()))),
        }
        Ok(None)
    }

    fn finish(self, encoding: Encoding, lines: usize, body: usize) -> Result<Header, String> {
        let count = self.names.len();
        for (line, length) in [("SIZE", self.sizes.len()), ("TYPE", self.types.len())] {
            if length != count {
                return Err(format!("FIELDS names {count} fields, and {line} has {length} values"));
            }
        }
        if !self.counts.is_empty() && self.counts.len() != count {
            return Err(format!("FIELDS names {count} fields, and COUNT has {} values", self.counts.len()));
        }
        let field = |index: usize| {
            let (name, size, kind) = (self.names[index], self.sizes[index], self.types[index]);
            let count = self.counts.get(index).map_or(Ok(1), |count| count.parse::<u32>());
            let count = count.map_err(|_| format!("field `{name}` has a COUNT that is no number"))?;
            let scalar = scalar(kind, size).ok_or_else(|| {
                format!(
                    "field `{name}` has type {kind} and size {size}: there is I or U with 1, 2, 4, 8 and F with 4, 8"
                )
            })?;
            Ok(Field { name: name.to_owned(), scalar, count: count as usize })
        };
        let fields: Vec<Field> = (0..count).map(field).collect::<Result<_, String>>()?;
        let width = self.width.or(self.points).ok_or("neither WIDTH nor POINTS says how many points there are")?;
        let height = self.height.unwrap_or(1);
        let points = match self.points {
            Some(points) => points,
            None => width.checked_mul(height).ok_or("WIDTH times HEIGHT is more points than there can be")?,
        };
        Ok(Header { fields, encoding, points, width, height, comments: self.comments, lines, body })
    }
}

fn scalar(kind: &str, size: &str) -> Option<Scalar> {
    Some(match (kind, size) {
        ("I", "1") => Scalar::I8,
        ("U", "1") => Scalar::U8,
        ("I", "2") => Scalar::I16,
        ("U", "2") => Scalar::U16,
        ("I", "4") => Scalar::I32,
        ("U", "4") => Scalar::U32,
        ("I", "8") => Scalar::I64,
        ("U", "8") => Scalar::U64,
        ("F", "4") => Scalar::F32,
        ("F", "8") => Scalar::F64,
        _ => return None,
    })
}
