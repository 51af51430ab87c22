//! The points of a PCD file, from any of its three kinds of payload.

use super::header::{Encoding, Field, Header};
use super::lzf;
use crate::Result;
use crate::scan::numbers::{Tokens, parse_f64, shown};
use crate::scan::source::Source;

const ADVICE: &str = "The file is damaged or was cut short; copy or export it again";

/// Reads all points, handing each to `sink` as the values of its fields one after the other; a field that is `packed` has
/// its bits as the value. Returns how many bytes follow the points.
pub(super) fn read(
    source: Source,
    header: &Header,
    packed: Option<usize>,
    sink: &mut dyn FnMut(&[f64]),
) -> Result<usize> {
    let left = &source.bytes[header.body..];
    let payload = Payload { source, header, packed };
    match header.encoding {
        Encoding::Ascii => payload.ascii(sink),
        Encoding::Binary => {
            let size = payload.expect(row_size(&header.fields, true), left.len())?;
            payload.binary(left, false, true, sink);
            Ok(left.len() - size)
        }
        Encoding::Compressed => payload.compressed(left, sink),
    }
}

/// Bytes of a point in a binary payload; `None` for more than can be.
fn row_size(fields: &[Field], with_padding: bool) -> Option<usize> {
    let fields = fields.iter().filter(|field| with_padding || !field.is_padding());
    fields.map(Field::size).try_fold(0, usize::checked_add)
}

struct Payload<'a> {
    source: Source<'a>,
    header: &'a Header,
    packed: Option<usize>,
}

impl Payload<'_> {
    /// The bytes that the promised points take, if that many are left.
    fn expect(&self, row: Option<usize>, left: usize) -> Result<usize> {
        let points = usize::try_from(self.header.points).ok();
        let size = row.and_then(|row| row.checked_mul(points?));
        size.filter(|size| *size <= left).ok_or_else(|| {
            let row = row.map_or_else(|| "too many".to_owned(), |row| row.to_string());
            let problem = format!(
                "the header promises {} points of {row} bytes, and {left} bytes are left in the file",
                self.header.points
            );
            self.source.error(&format!("byte {}", self.header.body), &problem, ADVICE)
        })
    }

    /// Rows of fields, or with `by_field` the values of all points field by field. The bytes are enough for all points.
    fn binary(&self, bytes: &[u8], by_field: bool, with_padding: bool, sink: &mut dyn FnMut(&[f64])) {
        let fields = &self.header.fields;
        let (row, points) = (row_size(fields, with_padding).unwrap_or(0), self.header.points as usize);
        // Of every field: whether it is stored, its first byte and how far apart points are.
        let mut offset = 0;
        let places: Vec<(&Field, bool, usize, usize)> = fields
            .iter()
            .map(|field| {
                let is_stored = with_padding || !field.is_padding();
                let (start, step) = if by_field { (offset * points, field.size()) } else { (offset, row) };
                offset += if is_stored { field.size() } else { 0 };
                (field, is_stored, start, step)
            })
            .collect();
        let mut values = Vec::new();
        for point in 0..points {
            values.clear();
            for (index, &(field, is_stored, start, step)) in places.iter().enumerate() {
                let of_point = if is_stored { &bytes[start + step * point..] } else { &[] };
                for number in 0..field.count {
                    let value = of_point.get(field.scalar.size() * number..).unwrap_or_default();
                    values.push(if self.packed == Some(index) {
                        value.first_chunk().map_or(0.0, |bits| f64::from(u32::from_le_bytes(*bits)))
                    } else {
                        field.scalar.read(value)
                    });
                }
            }
            sink(&values);
        }
    }

    /// Both sizes, and LZF of the values of all points field by field.
    fn compressed(&self, left: &[u8], sink: &mut dyn FnMut(&[f64])) -> Result<usize> {
        let body = self.header.body;
        let wrong = |at: usize, problem: &str| self.source.error(&format!("byte {at}"), problem, ADVICE);
        let size =
            |at: usize| left.get(at..at + 4).and_then(|bytes| bytes.first_chunk().copied()).map(u32::from_le_bytes);
        let (Some(packed), Some(unpacked)) = (size(0), size(4)) else {
            return Err(wrong(body, "the file ends before the sizes of its compressed content"));
        };
        let (packed, unpacked) = (packed as usize, unpacked as usize);
        let Some(content) = left[8..].get(..packed) else {
            let problem = format!("{packed} compressed bytes are promised, and {} are left", left.len() - 8);
            return Err(wrong(body, &problem));
        };
        // PCL leaves the padding out when it compresses.
        let fields = &self.header.fields;
        let points = usize::try_from(self.header.points).ok();
        let size = |with_padding| row_size(fields, with_padding).and_then(|row| row.checked_mul(points?));
        let Some(with_padding) = [false, true].into_iter().find(|&padding| size(padding) == Some(unpacked)) else {
            let problem = format!(
                "the content is {unpacked} bytes when unpacked, which {} points of these fields are not",
                self.header.points
            );
            return Err(wrong(body + 4, &problem));
        };
        let content = lzf::decompress(content, unpacked)
            .map_err(|at| wrong(body + 8 + at, "the compressed content makes no sense"))?;
        if content.len() != unpacked {
            let problem = format!("the content unpacks to {} bytes instead of {unpacked}", content.len());
            return Err(wrong(body + 8, &problem));
        }
        self.binary(&content, true, with_padding, sink);
        Ok(left.len() - 8 - packed)
    }

    /// A line per point.
    fn ascii(&self, sink: &mut dyn FnMut(&[f64])) -> Result<usize> {
        let Header { fields, points, body, lines, .. } = self.header;
        let bytes = self.source.bytes;
        let (mut at, mut line_number, mut read) = (*body, *lines, 0);
        // A value takes a digit and a blank; the last one of the file may lack the blank.
        let values = fields.iter().map(|field| 2 * field.count).try_fold(0, usize::checked_add);
        self.expect(values, bytes.len() - body + 1)?;
        let mut row = Vec::new();
        while read < *points {
            if at == bytes.len() {
                let problem = format!("the file ends after {read} of {points} points");
                return Err(self.source.error(&format!("line {line_number}"), &problem, ADVICE));
            }
            let length = bytes[at..].iter().position(|&byte| byte == b'\n');
            let next = length.map_or(bytes.len(), |length| at + length + 1);
            let line = bytes[at..next].trim_ascii();
            (at, line_number) = (next, line_number + 1);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.ascii_row(line, line_number, &mut row)?;
            sink(&row);
            read += 1;
        }
        Ok(bytes[at..].trim_ascii().len())
    }

    fn ascii_row(&self, line: &[u8], number: usize, row: &mut Vec<f64>) -> Result<()> {
        let wrong = |problem: &str| self.source.error(&format!("line {number}"), problem, ADVICE);
        let mut tokens = Tokens { line, at: 0 };
        row.clear();
        for (index, field) in self.header.fields.iter().enumerate() {
            for _ in 0..field.count {
                let Some(token) = tokens.next() else {
                    return Err(wrong(&format!("the line ends where field `{}` is due", field.name)));
                };
                let value = if self.packed == Some(index) { packed_bits(token) } else { parse_f64(token) };
                let shown = || format!("`{}` is no number, as field `{}` is", shown(token), field.name);
                row.push(value.ok_or_else(|| wrong(&shown()))?);
            }
        }
        match tokens.next() {
            Some(token) => Err(wrong(&format!("the line goes on with `{}` after the last field", shown(token)))),
            None => Ok(()),
        }
    }
}

/// The bits of a packed colour: written as the integer, or as the float that has these bits. Opaque colours are NaN as a
/// float, which text does not tell apart: they are black.
fn packed_bits(token: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(token).ok()?;
    if let Ok(integer) = text.parse::<i64>() {
        return Some(f64::from(integer as u32));
    }
    let float = parse_f64(token)? as f32;
    Some(if float.is_nan() { 0.0 } else { f64::from(float.to_bits()) })
}
