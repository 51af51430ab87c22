//! `NumPy`'s `.npy` files: one array, numbers of any plain type.
//!
//! `\x93NUMPY`, major and minor version, the header's length (two bytes, little endian; four from version 2 on), the
//! header, the numbers. The header is a Python dictionary, such as
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
//!
//! Source: numpy/lib/format.py. Crates that read this format parse all of Python's literals for it, with a parser
//! generator that needs a C compiler; a header has these three keys and no others.

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array of two dimensions, `[rows, columns]`, row by row. Arrays of one dimension have one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The type of its numbers as `NumPy` calls it: `<f4`.
    pub(super) descr: String,
    /// Every plain number but those of 64-bit integers beyond 2^53 is exact here.
    pub(super) values: Vec<f64>,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Array {
    /// The array, or at which byte the file stops making sense and how.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let (header, body) = Header::parse(bytes)?;
        let (rows, columns) = header.rows_and_columns().ok_or_else(|| {
            let shape = &header.shape;
            (MAGIC.len(), format!("the array's shape is {shape:?}, one or two dimensions are needed"))
        })?;
        let numbers = &bytes[body..];
        let (size, number) = reader(&header.descr).ok_or_else(|| {
            let problem = format!("the array's type is `{}`, plain numbers of 1 to 8 bytes are needed", header.descr);
            (MAGIC.len(), problem)
        })?;
        let needed = rows.checked_mul(columns).and_then(|count| count.checked_mul(size));
        if needed != Some(numbers.len()) {
            let shape = &header.shape;
            let problem = format!(
                "{} bytes follow the header, an array {shape:?} of `{}` does not have that many",
                numbers.len(),
                header.descr
            );
            return Err((body, problem));
        }
        let mut values: Vec<f64> = numbers.chunks_exact(size).map(number).collect();
        if header.is_fortran && columns > 1 {
            values = (0..rows * columns).map(|i| values[i % columns * rows + i / columns]).collect();
        }
        Ok(Self { rows, columns, descr: header.descr, values })
    }

    /// Whether the file has its numbers as floats.
    pub(super) fn is_float(&self) -> bool {
        is_float(&self.descr)
    }

    /// Whether a number fits no `f32`.
    pub(super) fn is_wide(&self) -> bool {
        !["u1", "b1", "i1", "u2", "i2", "f2", "f4"].iter().any(|narrow| self.descr.ends_with(narrow))
    }
}

/// Whether a type is one of floats.
fn is_float(descr: &str) -> bool {
    descr.get(1..).is_some_and(|kind| kind.starts_with('f'))
}

/// Whether a file starts like one of `NumPy`.
#[cfg(feature = "formats")]
pub(crate) fn is_npy(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Whether the beginning of a file is the header of an array of floats with as many columns as points have.
#[cfg(feature = "formats")]
pub(crate) fn has_points(start: &[u8]) -> bool {
    Header::parse(start).is_ok_and(|(header, _)| {
        is_float(&header.descr)
            && header.rows_and_columns().is_some_and(|(_, columns)| super::table::COLUMNS.contains(&columns))
    })
}

impl Header {
    fn rows_and_columns(&self) -> Option<(usize, usize)> {
        match self.shape.as_slice() {
            [rows] => Some((*rows, 1)),
            [rows, columns] => Some((*rows, *columns)),
            _ => None,
        }
    }

    /// The header, and where the numbers begin.
    fn parse(bytes: &[u8]) -> Result<(Self, usize), (usize, String)> {
        let ends = || (bytes.len(), "the file ends inside its header".to_owned());
        if !bytes.starts_with(MAGIC) {
            let start = bytes[..bytes.len().min(6)].escape_ascii();
            return Err((0, format!("this is no .npy file (it starts `{start}`)")));
        }
        let version = *bytes.get(6).ok_or_else(ends)?;
        let (length, start) = match version {
            1 => (bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))), 10),
            2 | 3 => (bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), 12),
            _ => return Err((6, format!("version {version} of the format is not known"))),
        };
        let body = length.ok_or_else(ends)?.saturating_add(start);
        let text = bytes.get(start..body).ok_or_else(ends)?;
        let text = std::str::from_utf8(text).map_err(|_| (start, "the header is no text".to_owned()))?;
        let header = Self::of_dictionary(text).ok_or_else(|| {
            let problem = format!("the header `{}` lacks 'descr', 'fortran_order' or 'shape'", text.trim_end());
            (start, problem)
        })?;
        Ok((header, body))
    }

    fn of_dictionary(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let after = &text[text.find(&format!("'{key}'"))? + key.len() + 2..];
            Some(after.trim_start().strip_prefix(':')?.trim_start())
        };
        let descr = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
        let order = value("fortran_order")?;
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let numbers = shape.split(',').map(str::trim).filter(|number| !number.is_empty());
        Some(Self {
            descr,
            is_fortran: match order {
                order if order.starts_with("True") => true,
                order if order.starts_with("False") => false,
                _ => return None,
            },
            shape: numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?,
        })
    }
}

/// The bytes of a number, and how they are read.
type Reader = (usize, fn(&[u8]) -> f64);

/// How a type is read; `None` if it is no plain number.
fn reader(descr: &str) -> Option<Reader> {
    // 64-bit integers do not convert without loss, but class ids do.
    macro_rules! read {
        ($type:ty, $from:ident) => {
            (size_of::<$type>(), |bytes: &[u8]| bytes.try_into().map_or(0.0, |bytes| <$type>::$from(bytes) as f64))
        };
    }
    macro_rules! exact {
        ($type:ty, $from:ident) => {
            (size_of::<$type>(), |bytes: &[u8]| bytes.try_into().map_or(0.0, |bytes| f64::from(<$type>::$from(bytes))))
        };
    }
    Some(match descr {
        "|u1" | "|b1" => exact!(u8, from_le_bytes),
        "|i1" => exact!(i8, from_le_bytes),
        "<u2" => exact!(u16, from_le_bytes),
        "<u4" => exact!(u32, from_le_bytes),
        "<u8" => read!(u64, from_le_bytes),
        "<i2" => exact!(i16, from_le_bytes),
        "<i4" => exact!(i32, from_le_bytes),
        "<i8" => read!(i64, from_le_bytes),
        "<f2" => exact!(half::f16, from_le_bytes),
        "<f4" => exact!(f32, from_le_bytes),
        "<f8" => exact!(f64, from_le_bytes),
        ">u2" => exact!(u16, from_be_bytes),
        ">u4" => exact!(u32, from_be_bytes),
        ">u8" => read!(u64, from_be_bytes),
        ">i2" => exact!(i16, from_be_bytes),
        ">i4" => exact!(i32, from_be_bytes),
        ">i8" => read!(i64, from_be_bytes),
        ">f2" => exact!(half::f16, from_be_bytes),
        ">f4" => exact!(f32, from_be_bytes),
        ">f8" => exact!(f64, from_be_bytes),
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file as `numpy.save` writes it: the header padded with spaces to a multiple of 64, ending in a line break.
    pub(crate) fn file(descr: &str, is_fortran: bool, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let order = if is_fortran { "True" } else { "False" };
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        header += &" ".repeat((64 - (10 + header.len() + 1) % 64) % 64);
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    #[test]
    fn a_file_of_numpy_is_read() {
        // What numpy 2 writes for np.array([[1, 2, 3], [4, 5, -6]], np.int16), byte by byte.
        let header: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }";
        let mut bytes = header.to_vec();
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0xfa, 0xff]);
        let expected = Array { rows: 2, columns: 3, descr: "<i2".into(), values: vec![1.0, 2.0, 3.0, 4.0, 5.0, -6.0] };
        assert_eq!(Array::parse(&bytes), Ok(expected.clone()));
        assert_eq!(file("<i2", false, "(2, 3)", &bytes[128..]), bytes);
        // The same in version 2, and column by column.
        let mut wide = b"\x93NUMPY\x02\x00v\x00\x00\x00".to_vec();
        wide.extend(&bytes[10..]);
        assert_eq!(Array::parse(&wide), Ok(expected.clone()));
        let columns = [1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 0xfa, 0xff];
        assert_eq!(Array::parse(&file("<i2", true, "(2, 3)", &columns)), Ok(expected));
    }

    #[test]
    fn every_plain_type_is_read_in_either_byte_order() {
        let cases: [(&str, Vec<u8>, f64); 15] = [
            ("|u1", vec![200], 200.0),
            ("|i1", vec![200], -56.0),
            ("|b1", vec![1], 1.0),
            ("<u2", vec![0, 200], 51200.0),
            ("<i2", vec![0, 200], -14336.0),
            (">i2", vec![0, 200], 200.0),
            ("<i4", (-7i32).to_le_bytes().into(), -7.0),
            ("<u4", 4_000_000_000u32.to_le_bytes().into(), 4e9),
            (">i4", (-7i32).to_be_bytes().into(), -7.0),
            ("<i8", (-7i64).to_le_bytes().into(), -7.0),
            ("<u8", 7u64.to_le_bytes().into(), 7.0),
            ("<f4", 0.1f32.to_le_bytes().into(), f64::from(0.1f32)),
            ("<f8", 0.1f64.to_le_bytes().into(), 0.1),
            (">f8", 0.1f64.to_be_bytes().into(), 0.1),
            ("<f2", vec![0x00, 0xc0], -2.0),
        ];
        for (descr, bytes, expected) in cases {
            let array = Array::parse(&file(descr, false, "(1,)", &bytes)).unwrap();
            assert_eq!((array.rows, array.columns, array.values[0]), (1, 1, expected), "{descr}");
        }
    }

    #[test]
    fn what_is_no_array_is_refused_with_its_place() {
        let good = file("<f4", false, "(1, 3)", &[0; 12]);
        let cases: [(Vec<u8>, usize, &str); 9] = [
            (b"PK\x03\x04".to_vec(), 0, "no .npy file (it starts `PK\\x03\\x04`)"),
            (b"\x93NUMPY".to_vec(), 6, "ends inside its header"),
            (b"\x93NUMPY\x09\x00".to_vec(), 6, "version 9"),
            (good[..40].to_vec(), 40, "ends inside its header"),
            (good[..139].to_vec(), 128, "11 bytes follow the header"),
            (file("<f4", false, "(18446744073709551615, 3)", &[0; 12]), 128, "12 bytes follow"),
            (file("|O", false, "(1, 3)", &[0; 12]), 6, "type is `|O`"),
            (file("<f4", false, "()", &[0; 4]), 6, "shape is []"),
            (file("<f4", false, "1, 3", &[0; 12]), 10, "lacks 'descr'"),
        ];
        for (bytes, at, problem) in cases {
            let error = Array::parse(&bytes).unwrap_err();
            assert!(error.0 == at && error.1.contains(problem), "{error:?}, not {at} {problem}");
        }
    }
}
