//! The header of a LAS file and the records behind it, checked against the file before anything is made of them.

use las::point::Format;
use las::raw;

use super::dimension::{DESCRIPTION, RECORD, SPECIFICATION, TYPES};
use crate::Result;
use crate::scan::scalar::Scalar;
use crate::scan::source::Source;

const ADVICE: &str = "The file is damaged or was cut short; copy or export it again";

/// A value that a file's writer added to every point.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) name: String,
    pub(super) scalar: Scalar,
    /// First byte within a point's record.
    pub(super) offset: usize,
}

/// What stands before the points.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) raw: raw::Header,
    pub(super) format: Format,
    /// The number of the point format, 0 to 10.
    pub(super) format_id: u8,
    /// Bytes of a point's record.
    pub(super) record: usize,
    pub(super) points: u64,
    /// First byte of the points.
    pub(super) start: usize,
    /// The description of the compression.
    pub(super) laszip: Option<Vec<u8>>,
    pub(super) extras: Vec<Extra>,
}

impl Head {
    pub(super) fn parse(source: &Source) -> Result<Self> {
        let bytes = source.bytes;
        let wrong = |at: usize, problem: &str| source.error(&format!("byte {at}"), problem, ADVICE);
        let raw = raw::Header::read_from(bytes).map_err(|error| wrong(0, &format!("the header is broken: {error}")))?;
        // The two bits above the number say that it is compressed.
        let format_id = raw.point_data_record_format & 0x3f;
        let mut format = Format::new(raw.point_data_record_format)
            .map_err(|_| wrong(104, &format!("point format {format_id}: there are 0 to 10")))?;
        let record = usize::from(raw.point_data_record_length);
        format.extra_bytes = raw.point_data_record_length.checked_sub(format.len()).ok_or_else(|| {
            let problem = format!("points have {record} bytes, and format {format_id} takes {}", format.len());
            wrong(105, &problem)
        })?;
        let start = raw.offset_to_point_data as usize;
        if start > bytes.len() || start < usize::from(raw.header_size) {
            return Err(wrong(96, &format!("the points start at byte {start} of a file of {} bytes", bytes.len())));
        }
        let points = match (u64::from(raw.number_of_point_records), raw.large_file) {
            (0, Some(large)) => large.number_of_point_records,
            (points, _) => points,
        };
        let mut head = Self { raw, format, format_id, record, points, start, laszip: None, extras: Vec::new() };
        head.read_records(source)?;
        Ok(head)
    }

    /// Reads the records between the header and the points.
    fn read_records(&mut self, source: &Source) -> Result<()> {
        let mut at = usize::from(self.raw.header_size);
        for number in 0..self.raw.number_of_variable_length_records {
            let mut rest = source.bytes.get(at..self.start).unwrap_or_default();
            let before = rest.len();
            let record = raw::Vlr::read_from(&mut rest, false).map_err(|_| {
                let promised = self.raw.number_of_variable_length_records;
                let problem = format!("record {number} of {promised} does not fit before the points");
                source.error(&format!("byte {at}"), &problem, ADVICE)
            })?;
            at += before - rest.len();
            let user = record.user_id.split(|&byte| byte == 0).next().unwrap_or_default();
            match (user, record.record_id) {
                (b"laszip encoded", 22_204) => self.laszip = Some(record.data),
                (user, RECORD) if user == SPECIFICATION.as_bytes() => {
                    self.extras = extras(&record.data, self.format, self.record);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The values that the record of extra bytes describes, after the specification's table 24.
fn extras(data: &[u8], format: Format, record: usize) -> Vec<Extra> {
    let mut offset = record - usize::from(format.extra_bytes);
    let mut extras = Vec::new();
    for description in data.chunks_exact(DESCRIPTION) {
        let (kind, options) = (description[2], description[3]);
        // Bytes without a meaning, as many as the options say.
        if kind == 0 {
            offset += usize::from(options);
            continue;
        }
        // Pairs and triples were never used and are gone from the specification: what follows them is lost.
        let Some((_, scalar)) = TYPES.into_iter().find(|(number, _)| *number == kind) else { break };
        if offset + scalar.size() > record {
            break;
        }
        let name = description[4..36].split(|&byte| byte == 0).next().unwrap_or_default();
        extras.push(Extra { name: String::from_utf8_lossy(name).into_owned(), scalar, offset });
        offset += scalar.size();
    }
    extras
}
