//! Labelled points as LAZ, by the crate `laz`.

use std::io::{self, Cursor, Write};

use las::Vlr;
use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlr};

use super::write::{Labelled, Points, failed, write_header};
use crate::{Error, Result};

/// Points that are compressed between two looks at whether to go on, and bytes that are written at once.
const BATCH: usize = 4096;
const PIECE: usize = 1 << 16;

/// Writes what [`super::write_las_with`] writes, compressed. The file is made in memory, because its beginning says where its end
/// is, and not every stream can go back.
///
/// # Errors
///
/// As [`super::write_las`].
pub(crate) fn write_laz_with(out: &mut dyn Write, points: &Points) -> Result<usize> {
    let labelled = Labelled::new(points)?;
    let io = |source| Error::Io { action: "write", path: "stream".into(), source };
    let format = labelled.header.point_format();
    let items = LazItemRecordBuilder::default_for_point_format_id(format.to_u8().map_err(failed)?, format.extra_bytes);
    let vlr = LazVlr::from_laz_items(items.map_err(|error| io(io::Error::other(error)))?);
    let mut description = Vec::new();
    vlr.write_to(&mut description).map_err(io)?;
    let record = Vlr {
        user_id: LazVlr::USER_ID.into(),
        record_id: LazVlr::RECORD_ID,
        description: "by laz".into(),
        data: description,
    };
    let mut file = Cursor::new(Vec::new());
    write_header(&labelled.header, Some(record), &mut file).map_err(failed)?;
    let mut compressor = LasZipCompressor::new(&mut file, vlr).map_err(|error| io(io::Error::other(error)))?;
    let mut count = 0;
    labelled.records(&mut |record| {
        if count % BATCH == 0 {
            // Writes nothing, and fails if the user asked to stop.
            let _ = out.write(&[])?;
        }
        count += 1;
        compressor.compress_one(record)
    })?;
    compressor.done().map_err(io)?;
    drop(compressor);
    file.into_inner().chunks(PIECE).try_for_each(|piece| out.write_all(piece)).map_err(io)?;
    Ok(labelled.left_out())
}
