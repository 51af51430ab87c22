//! Arrays in `NumPy`'s format, version 1: magic, version, the header's length, the header padded such that the numbers start at a
//! multiple of 64 bytes, the numbers in little endian. Source: numpy/lib/format.py.

use std::io::{self, Write};

use crate::{Error, Result};

/// What comes before the numbers of an array of type `descr` (for example `<f4`).
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    const PREFIX: usize = 10;
    const ALIGNMENT: usize = 64;
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one has a comma.
    let end = if shape.len() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{end}), }}", sizes.join(", "));
    let length = (PREFIX + text.len() + 1).next_multiple_of(ALIGNMENT) - PREFIX;
    text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
    text.push('\n');
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

/// `[n]` int32.
pub(super) fn write_labels(out: &mut dyn Write, labels: &[i32]) -> io::Result<()> {
    out.write_all(&header("<i4", &[labels.len()]))?;
    labels.iter().try_for_each(|label| out.write_all(&label.to_le_bytes()))
}

/// Writes rows of `columns` numbers as a `.npy` file, `[rows, columns]` float32, to any stream.
///
/// # Errors
///
/// [`Error::Argument`] for a row of another length, [`Error::Io`] of the stream.
pub fn write_npy<'a>(
    out: &mut dyn Write,
    columns: usize,
    rows: impl ExactSizeIterator<Item = &'a [f32]>,
) -> Result<()> {
    let failed = |source| Error::Io { action: "write", path: "stream".into(), source };
    out.write_all(&header("<f4", &[rows.len(), columns])).map_err(failed)?;
    let mut bytes = Vec::new();
    for (index, row) in rows.enumerate() {
        if row.len() != columns {
            return Err(Error::Argument {
                what: format!("row {index} of the array"),
                problem: format!("it has {} numbers, and there are {columns} columns", row.len()),
                advice: "Give every row one number per column".into(),
            });
        }
        bytes.clear();
        bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&bytes).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_numpy() {
        // What numpy 2 writes for np.array([1, -2], np.int32).
        let mut expected = b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }".to_vec();
        expected.resize(127, b' ');
        expected.extend(b"\n\x01\0\0\0\xfe\xff\xff\xff");
        let mut out = Vec::new();
        write_labels(&mut out, &[1, -2]).unwrap();
        assert_eq!(out, expected);
    }

    #[test]
    fn rows_are_an_array_of_two_dimensions() {
        let mut out = Vec::new();
        write_npy(&mut out, 2, [[1.0f32, 2.0], [3.0, f32::NAN], [5.0, 6.0]].iter().map(<[f32; 2]>::as_slice)).unwrap();
        assert_eq!(out.len(), 128 + 24);
        assert!(String::from_utf8_lossy(&out).contains("'<f4', 'fortran_order': False, 'shape': (3, 2), }"));
        assert_eq!(out[128..136], [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat());
        let error = write_npy(&mut Vec::new(), 2, [[1.0f32].as_slice()].into_iter()).unwrap_err().to_string();
        assert!(error.contains("row 0 of the array: it has 1 numbers, and there are 2 columns"), "{error}");
    }
}
