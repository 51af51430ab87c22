//! Extra dimensions: values that a file's writer adds to every point, after the specification's table 24.

use std::collections::HashSet;

use las::Vlr;

use crate::scan::kept::LABELS;
use crate::scan::scalar::Scalar;

/// User of the records that the specification describes.
pub(super) const SPECIFICATION: &str = "LASF_Spec";
/// The record that describes the dimensions, and its bytes for one of them.
pub(super) const RECORD: u16 = 4;
pub(super) const DESCRIPTION: usize = 192;
/// Room for a name.
const NAME: usize = 32;

/// The types and their numbers.
pub(super) const TYPES: [(u8, Scalar); 10] = [
    (1, Scalar::U8),
    (2, Scalar::I8),
    (3, Scalar::U16),
    (4, Scalar::I16),
    (5, Scalar::U32),
    (6, Scalar::I32),
    (7, Scalar::U64),
    (8, Scalar::I64),
    (9, Scalar::F32),
    (10, Scalar::F64),
];

/// Names of what every point has, as readers call it.
const TAKEN: [&str; 24] = [
    "x",
    "y",
    "z",
    "intensity",
    "bit_fields",
    "return_number",
    "number_of_returns",
    "classification_flags",
    "synthetic",
    "key_point",
    "withheld",
    "overlap",
    "scanner_channel",
    "scan_direction_flag",
    "edge_of_flight_line",
    "classification",
    "user_data",
    "scan_angle",
    "scan_angle_rank",
    "point_source_id",
    "gps_time",
    "red",
    "green",
    "blue",
];

/// A dimension to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) scalar: Scalar,
    pub(super) description: &'static str,
}

impl Dimension {
    pub(super) fn new(name: &str, scalar: Scalar, description: &'static str) -> Self {
        Self { name: name.to_owned(), scalar, description }
    }

    /// The type as it is stored: [`crate::scan::kept::Kept`] has integers of 64 bits as doubles.
    fn stored(&self) -> Scalar {
        match self.scalar {
            Scalar::I64 | Scalar::U64 => Scalar::F64,
            scalar => scalar,
        }
    }
}

/// Names for dimensions that are called like this elsewhere: none that a point or labelling has already, each once, and none
/// longer than there is room.
pub(super) fn names<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken: HashSet<String> = TAKEN.iter().chain(&LABELS).map(ToString::to_string).collect();
    let mut name_of = |wanted: &str| {
        let is_taken = |name: &str| TAKEN.iter().any(|own| own.eq_ignore_ascii_case(name));
        let base = if is_taken(wanted) { format!("original_{wanted}") } else { wanted.to_owned() };
        let mut name = shortened(&base, NAME).to_owned();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            let end = format!("_{number}");
            name = format!("{}{end}", shortened(&base, NAME - end.len()));
        }
        name
    };
    wanted.into_iter().map(&mut name_of).collect()
}

/// As many whole characters as fit.
fn shortened(text: &str, room: usize) -> &str {
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The record that describes the dimensions.
pub(super) fn record(dimensions: &[Dimension]) -> Vlr {
    let mut data = vec![0; dimensions.len() * DESCRIPTION];
    for (row, dimension) in data.chunks_exact_mut(DESCRIPTION).zip(dimensions) {
        let stored = dimension.stored();
        row[2] = TYPES.iter().find(|(_, scalar)| *scalar == stored).map_or(0, |(number, _)| *number);
        put(&mut row[4..4 + NAME], &dimension.name);
        put(&mut row[160..], dimension.description);
    }
    Vlr { user_id: SPECIFICATION.into(), record_id: RECORD, description: "extra bytes".into(), data }
}

/// Text at the beginning of a field, as much as there is room for.
pub(super) fn put(field: &mut [u8], text: &str) {
    field.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_each_there_once_and_fit() {
        let long = "a".repeat(40);
        let found = names(["time", "Classification", "label", "time", &long, &long, &"ä".repeat(17)]);
        let expected = ["time", "original_Classification", "label_2", "time_2", &long[..32]].map(str::to_owned);
        assert_eq!(found[..5], expected);
        assert_eq!(found[5], long[..30].to_owned() + "_2");
        assert_eq!(found[6], "ä".repeat(16));
    }
}
