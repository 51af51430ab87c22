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

    /// The value of these bytes, of the type's size, in big endian.
    pub(crate) fn read_big(self, bytes: &[u8]) -> f64 {
        let mut little = [0; 8];
        for (little, big) in little.iter_mut().zip(bytes.iter().rev()) {
            *little = *big;
        }
        self.read(&little)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_byte_order_gives_the_value() {
        assert_eq!((Scalar::F32.read(&1.5f32.to_le_bytes()), Scalar::F32.read_big(&1.5f32.to_be_bytes())), (1.5, 1.5));
        assert_eq!((Scalar::I16.read(&[0xfe, 0xff]), Scalar::I16.read_big(&[0xff, 0xfe])), (-2.0, -2.0));
        assert_eq!((Scalar::U8.read_big(&[200]), Scalar::F64.read_big(&(-0.25f64).to_be_bytes())), (200.0, -0.25));
    }
}
