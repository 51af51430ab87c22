//! The binary part of an E57 file, looked through before the crate `e57` unpacks it: it takes a file's word for how many points
//! there are, and lets values wait in memory for others that never come.
//!
//! Pages of 1024 bytes end in a checksum of 4; offsets in the file count it, what is read skips it. A scan is a section header of
//! 32 bytes, then packets: a kind, flags, length and number of streams, the length of every stream, and the streams, one for every
//! value of a point, in which values of a fixed number of bits follow each other.
//!
//! Source: ASTM E2807-11, 9.3.

use e57::{PointCloud, RecordDataType};

const PAGE: u64 = 1024;
const CHECKSUM: u64 = 4;
/// The kind of packets that hold points.
const DATA: u8 = 1;
/// A packet's length is written in 16 bits.
const MOST_PACKET_BYTES: u64 = 1 << 16;
/// Values of 16 bytes that may wait for others; a writer fills all streams of a packet about equally.
const MOST_WAITING: u64 = 1 << 20;

/// Bits of a value in its stream; constants have none.
pub(super) fn bits(data_type: &RecordDataType) -> u64 {
    match data_type {
        RecordDataType::Single { .. } => 32,
        RecordDataType::Double { .. } => 64,
        RecordDataType::ScaledInteger { min, max, .. } | RecordDataType::Integer { min, max } => {
            u64::from(128 - (i128::from(*max) - i128::from(*min)).max(0).leading_zeros())
        }
    }
}

/// Whether the packets of a scan hold the points that it promises; if not, the byte of the file and the problem.
pub(super) fn check(bytes: &[u8], scan: &PointCloud) -> Result<(), (u64, String)> {
    let widths: Vec<u64> = scan.prototype.iter().map(|record| bits(&record.data_type)).collect();
    if widths.iter().all(|width| *width == 0) {
        return Err((scan.file_offset, "its points have no values that differ".to_owned()));
    }
    let mut place = Place { bytes, at: logical(scan.file_offset) };
    let mut points = 0;
    let ends = |points: u64| format!("the file ends after {points} of {} points", scan.records);
    let header = place.take::<32>().ok_or_else(|| (scan.file_offset, ends(points)))?;
    let data = u64::from_le_bytes(std::array::from_fn(|i| header[16 + i]));
    place.at = logical(data);
    let mut streams = vec![0u64; widths.len()];
    while points < scan.records {
        let start = place.physical();
        let ends = || (start, ends(points));
        let [kind, _, _, _, low, high] = place.take().ok_or_else(ends)?;
        if kind != DATA {
            return Err((start, format!("a packet of kind {kind} stands where points are due")));
        }
        let count = u16::from_le_bytes([low, high]);
        if usize::from(count) != widths.len() {
            return Err((start, format!("a packet has {count} streams, and a point has {} values", widths.len())));
        }
        let mut length = 0;
        for stream in &mut streams {
            let size = u64::from(u16::from_le_bytes(place.take().ok_or_else(ends)?));
            *stream += 8 * size;
            length += size;
        }
        if length > MOST_PACKET_BYTES {
            return Err((start, format!("a packet says that it holds {length} bytes, more than one can")));
        }
        // The next packet starts at a multiple of four.
        place.at = (place.at + length).next_multiple_of(4);
        if place.at > place.end() {
            return Err(ends());
        }
        let values = || streams.iter().zip(&widths).filter_map(|(stream, width)| stream.checked_div(*width));
        points = values().min().unwrap_or(0);
        let waiting = values().fold(0u64, |sum, value| sum.saturating_add(value - points));
        if waiting > MOST_WAITING {
            return Err((start, format!("{waiting} values belong to no point: the streams are of different length")));
        }
    }
    Ok(())
}

/// Where a byte of the file stands among those that are no checksums.
fn logical(physical: u64) -> u64 {
    physical - physical / PAGE * CHECKSUM
}

/// A place among the bytes that are no checksums.
struct Place<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Place<'_> {
    fn end(&self) -> u64 {
        self.bytes.len() as u64 / PAGE * (PAGE - CHECKSUM)
    }

    fn physical(&self) -> u64 {
        self.at / (PAGE - CHECKSUM) * PAGE + self.at % (PAGE - CHECKSUM)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut taken = [0; N];
        for byte in &mut taken {
            if self.at >= self.end() {
                return None;
            }
            *byte = *self.bytes.get(usize::try_from(self.physical()).ok()?)?;
            self.at += 1;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_bits_that_its_range_needs() {
        let int = |min, max| bits(&RecordDataType::Integer { min, max });
        assert_eq!([int(0, 0), int(0, 1), int(0, 255), int(-1, 255), int(i64::MIN, i64::MAX)], [0, 1, 8, 9, 64]);
        assert_eq!([bits(&RecordDataType::F32), bits(&RecordDataType::F64)], [32, 64]);
    }

    #[test]
    fn checksums_are_passed_over() {
        let mut bytes = vec![1; 2048];
        bytes[1020..1024].fill(9);
        bytes[2044..].fill(9);
        let mut place = Place { bytes: &bytes, at: logical(1018) };
        assert_eq!((place.take(), place.physical()), (Some([1; 4]), 1026));
        place.at = logical(2043);
        assert_eq!((place.take::<1>(), place.take::<1>()), (Some([1]), None));
    }
}
