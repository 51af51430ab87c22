//! The types of values in binary scan files.

/// A type of value, stored in little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Scalar {
    /// Bytes of a value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// PLY's name of the type; it has no integers of 64 bits, so those go by doubles.
    pub(crate) fn ply_name(self) -> &'static str {
        match self {
            Self::I8 => "char",
            Self::U8 => "uchar",
            Self::I16 => "short",
            Self::U16 => "ushort",
            Self::I32 => "int",
            Self::U32 => "uint",
            Self::F32 => "float",
            Self::F64 | Self::I64 | Self::U64 => "double",
        }
    }

    /// The value that `bytes` begin with, NaN where there are too few.
    pub(crate) fn read(self, bytes: &[u8]) -> f64 {
        fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
            bytes.first_chunk().copied()
        }
        let value = match self {
            Self::I8 => first(bytes).map(i8::from_le_bytes).map(f64::from),
            Self::U8 => first(bytes).map(u8::from_le_bytes).map(f64::from),
            Self::I16 => first(bytes).map(i16::from_le_bytes).map(f64::from),
            Self::U16 => first(bytes).map(u16::from_le_bytes).map(f64::from),
            Self::I32 => first(bytes).map(i32::from_le_bytes).map(f64::from),
            Self::U32 => first(bytes).map(u32::from_le_bytes).map(f64::from),
            Self::I64 => first(bytes).map(|bytes| i64::from_le_bytes(bytes) as f64),
            Self::U64 => first(bytes).map(|bytes| u64::from_le_bytes(bytes) as f64),
            Self::F32 => first(bytes).map(f32::from_le_bytes).map(f64::from),
            Self::F64 => first(bytes).map(f64::from_le_bytes),
        };
        value.unwrap_or(f64::NAN)
    }

    /// Appends a value as a PLY file stores it, rounded and kept within the type's range.
    pub(crate) fn put(self, value: f64, out: &mut Vec<u8>) {
        let whole = value.round();
        match self {
            Self::I8 => out.extend((whole as i8).to_le_bytes()),
            Self::U8 => out.extend((whole as u8).to_le_bytes()),
            Self::I16 => out.extend((whole as i16).to_le_bytes()),
            Self::U16 => out.extend((whole as u16).to_le_bytes()),
            Self::I32 => out.extend((whole as i32).to_le_bytes()),
            Self::U32 => out.extend((whole as u32).to_le_bytes()),
            Self::F32 => out.extend((value as f32).to_le_bytes()),
            Self::F64 | Self::I64 | Self::U64 => out.extend(value.to_le_bytes()),
        }
    }
}
