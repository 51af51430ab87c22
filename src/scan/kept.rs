//! What a file says of its points that a cloud has no column for, kept so that the labelled scan has it, too.

use std::collections::HashSet;

use super::scalar::Scalar;

/// Properties that a fresh PLY file has of its own accord.
const OWN: [&str; 9] = ["x", "y", "z", "red", "green", "blue", "nx", "ny", "nz"];
/// Properties that labelling gives new values to, whoever wrote them before.
pub(crate) const LABELS: [&str; 3] = ["label", "scalar_Classification", "confidence"];

/// One value of every point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) scalar: Scalar,
    /// `[n]`, as PLY stores them in little endian.
    values: Vec<u8>,
}

impl Kept {
    /// A column without values yet.
    pub(crate) fn new(name: String, scalar: Scalar) -> Self {
        Self { name, scalar, values: Vec::new() }
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.scalar.put(value, &mut self.values);
    }

    /// The value of point `index`, as it stands in a row of a binary PLY file.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        // Integers of 64 bits have become doubles, so a value is as wide as its type.
        let size = self.scalar.size();
        self.values.get(size * index..size * (index + 1)).unwrap_or_default()
    }

    /// The value of point `index`.
    pub(crate) fn value(&self, index: usize) -> f64 {
        match self.scalar {
            Scalar::I64 | Scalar::U64 => Scalar::F64.read(self.bytes(index)),
            scalar => scalar.read(self.bytes(index)),
        }
    }

    /// Appends the value of point `index` as text, a float with the digits that tell it from its neighbours.
    #[cfg(feature = "formats")]
    pub(crate) fn write_text(&self, index: usize, out: &mut Vec<u8>) -> std::io::Result<()> {
        use std::io::Write;
        let value = self.value(index);
        if self.scalar == Scalar::F32 { write!(out, "{}", value as f32) } else { write!(out, "{value}") }
    }

    /// Whether no point has a value other than 0.
    #[cfg(any(test, feature = "formats"))]
    pub(crate) fn is_blank(&self) -> bool {
        self.values.iter().all(|&byte| byte == 0)
    }
}

/// Empty columns of these names and types, the names made such that a PLY file can have them; `None` for those that
/// labelling replaces.
pub(crate) fn keep<'a>(columns: impl IntoIterator<Item = (&'a str, Scalar)>) -> Vec<Option<Kept>> {
    let mut taken: HashSet<String> = OWN.iter().map(ToString::to_string).collect();
    let mut name_of = |name: &str| {
        let plain = name.split_whitespace().collect::<Vec<_>>().join("_");
        let mut unique = if plain.is_empty() { "unnamed".to_owned() } else { plain.clone() };
        let mut number = 1;
        while !taken.insert(unique.clone()) {
            number += 1;
            unique = format!("{plain}_{number}");
        }
        unique
    };
    let column = |(name, scalar): (&str, Scalar)| (!LABELS.contains(&name)).then(|| Kept::new(name_of(name), scalar));
    columns.into_iter().map(column).collect()
}

/// Columns of these names and values, as integers where all are.
pub(crate) fn keep_values(columns: &[(&str, Vec<f64>)]) -> Vec<Kept> {
    let is_int = |value: &f64| f64::from(*value as i32) == *value;
    let scalar = |values: &[f64]| if values.iter().all(is_int) { Scalar::I32 } else { Scalar::F64 };
    let mut kept = keep(columns.iter().map(|(name, values)| (*name, scalar(values))));
    for (column, (_, values)) in kept.iter_mut().zip(columns) {
        if let Some(column) = column {
            for &value in values {
                column.push(value);
            }
        }
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_ply_properties() {
        let columns = [("a b", Scalar::U8), ("x", Scalar::F32), ("label", Scalar::I32), ("a_b", Scalar::U16)];
        let kept = keep(columns);
        let names: Vec<_> = kept.iter().map(|column| column.as_ref().map(|column| column.name.as_str())).collect();
        assert_eq!(names, [Some("a_b"), Some("x_2"), None, Some("a_b_2")]);
    }

    #[test]
    fn values_are_stored_in_the_width_of_their_type() {
        let mut kept = keep([("time", Scalar::U64), ("flag", Scalar::I8)]).into_iter().map(Option::unwrap);
        let (mut time, mut flag) = (kept.next().unwrap(), kept.next().unwrap());
        for value in [1.0, -3.4, 1e9] {
            time.push(value);
            flag.push(value);
        }
        assert_eq!(time.bytes(2), 1e9f64.to_le_bytes());
        assert_eq!([flag.bytes(0), flag.bytes(1), flag.bytes(2)], [[1], [0xfd], [127]]);
        assert_eq!([time.value(1), flag.value(1)], [-3.4, -3.0]);
        assert!(!time.is_blank() && flag.bytes(3).is_empty());
    }
}
