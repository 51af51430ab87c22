//! The scalar properties of the vertices, each as a column.

use ply_rs_bw::ply::{Encoding, PropertyType, ScalarType};

use super::Original;
use super::labelled::property_spans;
use super::rows::parse;
use crate::scan::kept::Kept;
use crate::scan::scalar::Scalar;
use crate::scan::values::Value;

impl From<&ScalarType> for Scalar {
    fn from(scalar: &ScalarType) -> Self {
        match scalar {
            ScalarType::Char => Self::I8,
            ScalarType::UChar => Self::U8,
            ScalarType::Short => Self::I16,
            ScalarType::UShort => Self::U16,
            ScalarType::Int => Self::I32,
            ScalarType::UInt => Self::U32,
            ScalarType::Float => Self::F32,
            ScalarType::Double => Self::F64,
        }
    }
}

impl Original {
    /// The properties, in order and under their own names; lists are left out.
    pub(crate) fn values(&self) -> Vec<Value<'static>> {
        let element = self.element();
        let mut columns: Vec<(usize, &ScalarType, Kept)> = Vec::new();
        for (index, property) in element.properties.iter().enumerate() {
            if let PropertyType::Scalar(scalar) = &property.data_type {
                columns.push((index, scalar, Kept::new(property.name.clone(), scalar.into())));
            }
        }
        for row in 0..self.rows.len() {
            let bytes = &self.bytes[self.rows.start(row)..self.rows.start(row + 1)];
            let spans = property_spans(bytes, element, self.header.encoding);
            for (property, scalar, column) in &mut columns {
                column.push(number(&bytes[spans[*property].clone()], scalar, self.header.encoding));
            }
        }
        let value = |(property, _, column)| Value::new(self.roles.slot_of(property), column);
        columns.into_iter().map(value).collect()
    }
}

/// A value as it stands in a row that has been read before.
fn number(bytes: &[u8], scalar: &ScalarType, encoding: Encoding) -> f64 {
    match encoding {
        Encoding::Ascii => parse(bytes, scalar).unwrap_or(f64::NAN),
        Encoding::BinaryLittleEndian => Scalar::from(scalar).read(bytes),
        Encoding::BinaryBigEndian => {
            let mut turned = [0; 8];
            let turned = &mut turned[..bytes.len().min(8)];
            turned.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
            Scalar::from(scalar).read(turned)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scan::columns::{COLOR, LABEL, POSITION};
    use crate::scan::ply::read;

    #[test]
    fn properties_are_columns_in_every_encoding() {
        let header = |encoding: &str| {
            format!(
                "ply\nformat {encoding} 1.0\nelement vertex 2\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n\
                 property list uchar int views\nproperty double x\nproperty float y\nproperty float z\nproperty short class\n\
                 property uint time\nend_header\n"
            )
        };
        let binary = |big: bool| {
            let mut bytes = header(if big { "binary_big_endian" } else { "binary_little_endian" }).into_bytes();
            for (views, x, class) in [(1u8, 0.1f64, -2i16), (0, -7.5, 300)] {
                let order = |little: &[u8]| {
                    let mut value = little.to_vec();
                    if big {
                        value.reverse();
                    }
                    value
                };
                bytes.extend([1, 2, 3, views]);
                bytes.extend(order(&9i32.to_le_bytes()).repeat(usize::from(views)));
                bytes.extend(order(&x.to_le_bytes()));
                bytes.extend(order(&0.25f32.to_le_bytes()));
                bytes.extend(order(&f32::NAN.to_le_bytes()));
                bytes.extend(order(&class.to_le_bytes()));
                bytes.extend(order(&4_000_000_000u32.to_le_bytes()));
            }
            bytes
        };
        let ascii = header("ascii") + "1 2 3 1 9 0.1 0.25 nan -2 4000000000\n1 2 3 0 -7.5 .25 nan 300 4e9\n";
        for bytes in [ascii.into_bytes(), binary(false), binary(true)] {
            let (_, _, original) = read(Path::new("a.ply"), bytes).unwrap();
            let values = original.values();
            let names: Vec<&str> = values.iter().map(|value| value.column.name.as_str()).collect();
            assert_eq!(names, ["red", "green", "blue", "x", "y", "z", "class", "time"]);
            let slots: Vec<Option<usize>> = values.iter().map(|value| value.slot).collect();
            let [c, p] = [COLOR, POSITION];
            let expected = [c, c + 1, c + 2, p, p + 1, p + 2, LABEL].map(Some);
            assert_eq!(slots, [&expected[..], &[None]].concat());
            let row = |index| values.iter().map(|value| value.column.value(index)).collect::<Vec<_>>();
            assert_eq!(row(0)[..5], [1.0, 2.0, 3.0, 0.1, 0.25]);
            assert!(row(0)[5].is_nan());
            assert_eq!((&row(0)[6..], &row(1)[6..]), (&[-2.0, 4e9][..], &[300.0, 4e9][..]));
            assert_eq!(row(1)[3], -7.5);
        }
    }
}
