//! Decompression of LAZ, by the crate `laz`, on files that have been checked to be what it takes for granted.

use std::io::Cursor;

use laz::{LasZipDecompressor, LazItemRecordBuilder, LazItemType, LazVlr};

use super::header::Head;
use crate::Result;
use crate::scan::expansion;
use crate::scan::source::Source;

const ADVICE: &str = "The file is damaged or was cut short; copy it again, or unpack it with laszip or PDAL";
/// The name of the thread that LAZ is unpacked on. A panic there is a damaged file, which is reported as an error: a program's
/// panic hook may keep quiet about it.
pub const LAZ_THREAD: &str = "laz";
/// The kind of compression without chunks, which the record begins with.
const POINTWISE: u16 = 1;
/// Points that are unpacked at once.
const BATCH: u64 = 4096;
/// Bytes of the offset that the points start with.
const OFFSET: usize = 8;

/// The records of all points, as LAS has them.
pub(super) fn unpack(source: &Source, head: &Head) -> Result<Vec<u8>> {
    let wrong = |problem: &str| source.error(&format!("byte {}", head.start), problem, ADVICE);
    let Some(laszip) = &head.laszip else {
        return Err(wrong("the points are compressed, and no record says how"));
    };
    let vlr = LazVlr::from_buffer(laszip).map_err(|error| wrong(&format!("the record of the compression: {error}")))?;
    check_items(&vlr, head).map_err(|problem| wrong(&problem))?;
    let limit = expansion::limit(source.bytes.len()) as u64;
    if head.points.checked_mul(head.record as u64).is_none_or(|size| size > limit) {
        let problem = format!("{} bytes are too few for the {} points promised", source.bytes.len(), head.points);
        return Err(wrong(&problem));
    }
    if head.points == 0 {
        return Ok(Vec::new());
    }
    // The oldest files are one chunk without a table.
    if !laszip.starts_with(&POINTWISE.to_le_bytes()) {
        check_chunk_table(source, head).map_err(|problem| wrong(&problem))?;
    }
    if head.format.is_extended {
        check_layers(source, head, &vlr).map_err(|problem| wrong(&problem))?;
    }
    match apart(|| decode(source, head, vlr).map_err(|error| error.to_string())) {
        Some(Ok(records)) => Ok(records),
        Some(Err(error)) => Err(wrong(&format!("the compressed points make no sense: {error}"))),
        None => Err(wrong("the compressed points make no sense")),
    }
}

/// What `work` gives, `None` if it panics. The decoder's tables are indexed by what it decodes, and it stops hard where damage
/// leads it beyond them; on a thread of its own that is one more way to fail.
#[cfg(not(target_arch = "wasm32"))]
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(LAZ_THREAD.to_owned()).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

/// In a browser there are no threads, and a panic ends the module.
#[cfg(target_arch = "wasm32")]
fn apart<T>(work: impl FnOnce() -> T) -> Option<T> {
    Some(work())
}

fn decode(source: &Source, head: &Head, vlr: LazVlr) -> laz::Result<Vec<u8>> {
    let mut input = Cursor::new(source.bytes);
    input.set_position(head.start as u64);
    let mut decompressor = LasZipDecompressor::new(input, vlr)?;
    let mut records = Vec::new();
    let mut left = head.points;
    while left > 0 {
        let batch = left.min(BATCH);
        let from = records.len();
        records.resize(from + batch as usize * head.record, 0);
        decompressor.decompress_many(&mut records[from..])?;
        left -= batch;
    }
    Ok(records)
}

/// Whether the items are those of the point format: the decoder is made for these and no others.
fn check_items(vlr: &LazVlr, head: &Head) -> Result<(), String> {
    let expected = LazItemRecordBuilder::default_for_point_format_id(head.format_id, head.format.extra_bytes);
    let expected = expected.map_err(|error| error.to_string())?;
    let kinds = |items: &[laz::LazItem]| items.iter().map(|item| (item.item_type(), item.size())).collect::<Vec<_>>();
    if kinds(vlr.items()) == kinds(&expected) {
        Ok(())
    } else {
        Err(format!("what is compressed are not the values of point format {}", head.format_id))
    }
}

/// Whether the table of chunks, if there is one, promises no more of them than the points have room for.
fn check_chunk_table(source: &Source, head: &Head) -> Result<(), String> {
    let bytes = source.bytes;
    let offset = |at: Option<usize>| {
        let chunk = bytes.get(at?..)?.first_chunk().copied()?;
        usize::try_from(i64::from_le_bytes(chunk)).ok().filter(|&offset| offset > head.start)
    };
    // A writer that could not go back has put it at the end.
    let Some(table) = offset(Some(head.start)).or_else(|| offset(bytes.len().checked_sub(OFFSET))) else {
        return Ok(());
    };
    let count = bytes.get(table.saturating_add(4)..).and_then(|bytes| bytes.first_chunk().copied());
    let count = count.map(u32::from_le_bytes).ok_or("the table of chunks lies beyond the end of the file")?;
    // Every chunk starts with a whole point.
    if (count as usize).checked_mul(head.record).is_none_or(|size| size > bytes.len()) {
        return Err(format!("{count} chunks of compressed points are more than the file has room for"));
    }
    Ok(())
}

/// Whether the layers of every chunk lie within the file: the first point, the number of points, the size of every layer,
/// and the layers.
fn check_layers(source: &Source, head: &Head, vlr: &LazVlr) -> Result<(), String> {
    /// Point 14's own layers, which are decoded one by one.
    const POINT_LAYERS: usize = 9;
    let layers: usize = vlr
        .items()
        .iter()
        .map(|item| match item.item_type() {
            LazItemType::Point14 => POINT_LAYERS,
            LazItemType::RGBNIR14 => 2,
            LazItemType::Byte14(count) => usize::from(count),
            _ => 1,
        })
        .sum();
    let mut at = head.start + OFFSET;
    let mut left = head.points;
    while left > 0 {
        let sizes = at + head.record;
        let number = |index: usize| {
            let bytes = source.bytes.get(sizes + size_of::<u32>() * index..)?.first_chunk().copied()?;
            Some(u32::from_le_bytes(bytes))
        };
        let cut = || format!("the file ends within a chunk of compressed points, with {left} points to come");
        let count = number(0).filter(|&count| count > 0).ok_or_else(cut)?;
        let size =
            (1..=layers).try_fold(0usize, |sum, index| sum.checked_add(number(index)? as usize)).ok_or_else(cut)?;
        at = size.saturating_add(sizes + size_of::<u32>() * (1 + layers));
        if at > source.bytes.len() {
            return Err(cut());
        }
        left = left.saturating_sub(u64::from(count));
    }
    Ok(())
}
