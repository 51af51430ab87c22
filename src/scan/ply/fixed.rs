//! Binary rows that are all of one size, read column by column: what large scans are made of.
//!
//! `ply-rs-bw` hands out one value at a time by the name of its property, which is a tenth as fast; it reads every other
//! element, and is what the tests compare this with.

use ply_rs_bw::ply::{Encoding, PropertyType, ScalarType};

use super::header::{Element, size_of};
use super::rows::Slot;
use crate::scan::columns::{Rows, SLOTS};

/// Where in a row the values stand that someone asked for.
#[derive(Debug, Clone)]
pub(crate) struct FixedRows {
    /// Bytes per row.
    pub(crate) stride: usize,
    fields: [Option<Field>; SLOTS],
    is_big_endian: bool,
}

#[derive(Debug, Clone)]
struct Field {
    offset: usize,
    scalar: ScalarType,
}

impl FixedRows {
    /// The rows of a binary element; `None` if they are not all of one size, or have none.
    pub(crate) fn of(element: &Element, slots: &[Slot], encoding: Encoding) -> Option<Self> {
        let is_binary = encoding != Encoding::Ascii;
        let stride = element.least_row_bytes();
        if !is_binary || !element.is_fixed() || stride == 0 {
            return None;
        }
        let mut fields = [const { None }; SLOTS];
        let mut offset = 0;
        for (property, slot) in element.properties.iter().zip(slots) {
            let PropertyType::Scalar(scalar) = &property.data_type else { return None };
            if let Slot::Scalar(slot) = slot {
                fields[*slot] = Some(Field { offset, scalar: scalar.clone() });
            }
            offset += size_of(scalar);
        }
        Some(Self { stride, fields, is_big_endian: encoding == Encoding::BinaryBigEndian })
    }

    /// These bytes, which are whole rows.
    pub(crate) fn rows<'a>(&'a self, bytes: &'a [u8]) -> impl Rows + 'a {
        InBytes { layout: self, bytes }
    }
}

struct InBytes<'a> {
    layout: &'a FixedRows,
    bytes: &'a [u8],
}

impl InBytes<'_> {
    /// Hands out the value of `N` bytes at `offset` of every row.
    fn values<const N: usize>(&self, offset: usize, value: impl Fn([u8; N]) -> f64, put: &mut dyn FnMut(usize, f64)) {
        for (index, row) in self.bytes.chunks_exact(self.layout.stride).enumerate() {
            let mut bytes = [0; N];
            bytes.copy_from_slice(&row[offset..offset + N]);
            if self.layout.is_big_endian {
                bytes.reverse();
            }
            put(index, value(bytes));
        }
    }
}

impl Rows for InBytes<'_> {
    fn len(&self) -> usize {
        self.bytes.len() / self.layout.stride
    }

    fn each(&self, slot: usize, put: &mut dyn FnMut(usize, f64)) {
        let Some(Field { offset, scalar }) = &self.layout.fields[slot] else { return };
        let at = *offset;
        match scalar {
            ScalarType::Char => self.values(at, |bytes| f64::from(i8::from_le_bytes(bytes)), put),
            ScalarType::UChar => self.values(at, |bytes| f64::from(u8::from_le_bytes(bytes)), put),
            ScalarType::Short => self.values(at, |bytes| f64::from(i16::from_le_bytes(bytes)), put),
            ScalarType::UShort => self.values(at, |bytes| f64::from(u16::from_le_bytes(bytes)), put),
            ScalarType::Int => self.values(at, |bytes| f64::from(i32::from_le_bytes(bytes)), put),
            ScalarType::UInt => self.values(at, |bytes| f64::from(u32::from_le_bytes(bytes)), put),
            ScalarType::Float => self.values(at, |bytes| f64::from(f32::from_le_bytes(bytes)), put),
            ScalarType::Double => self.values(at, f64::from_le_bytes, put),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Noise;
    use crate::scan::ply::header::Header;
    use crate::scan::ply::roles::Roles;
    use crate::scan::ply::rows::Payload;
    use crate::scan::source::Source;
    use std::path::Path;

    const TYPES: [&str; 8] = ["char", "uchar", "short", "ushort", "int", "uint", "float", "double"];
    const NAMES: [&str; 12] = ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "label", "intensity", "time"];

    #[test]
    fn columns_are_those_of_the_library_reader_in_any_order_type_and_byte_order() {
        let mut noise = Noise::new(11);
        let mut any = |below: usize| noise.below(below);
        for round in 0..200 {
            let mut names = NAMES.to_vec();
            (0..names.len()).for_each(|i| names.swap(i, any(NAMES.len())));
            // The coordinates have to be there, the others may be.
            names.retain(|name| ["x", "y", "z"].contains(name) || any(3) > 0);
            let types: Vec<&str> = names.iter().map(|_| TYPES[any(TYPES.len())]).collect();
            let count = any(40);
            let order = ["little", "big"][round % 2];
            let mut file = format!("ply\nformat binary_{order}_endian 1.0\nelement vertex {count}\n").into_bytes();
            for (name, data_type) in names.iter().zip(&types) {
                file.extend(format!("property {data_type} {name}\n").bytes());
            }
            file.extend(b"end_header\n");
            let header = Header::parse(&Source { path: Path::new("x"), bytes: &file }).unwrap();
            let element = &header.elements[0];
            // Any bytes are numbers, NaN and infinity among them.
            file.extend((0..count * element.least_row_bytes()).map(|_| any(256) as u8));
            let roles = Roles::of(element);
            let slots = roles.slots(element);
            let payload = || Payload::new(Source { path: Path::new("x"), bytes: &file }, &header);

            let (mut slow, mut fast) = (roles.columns(element), roles.columns(element));
            payload().element(element, &slots, true, &mut |row| slow.push(&row.scalars)).unwrap();
            let layout = FixedRows::of(element, &slots, header.encoding).unwrap();
            payload().fixed(element, &layout, &mut fast).unwrap();

            let (mut of_slow, mut of_fast) = (Vec::new(), Vec::new());
            let (slow, fast) = (slow.finish(&mut of_slow).unwrap(), fast.finish(&mut of_fast).unwrap());
            let bits = |column: &[[f32; 3]]| column.as_flattened().iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
            assert_eq!(bits(&slow.positions), bits(&fast.positions), "{names:?} {types:?}");
            assert_eq!(slow.origin, fast.origin);
            assert_eq!(slow.colors.as_deref().map(bits), fast.colors.as_deref().map(bits));
            assert_eq!(slow.normals.as_deref().map(bits), fast.normals.as_deref().map(bits));
            assert_eq!((slow.labels, of_slow), (fast.labels, of_fast));
        }
    }
}
