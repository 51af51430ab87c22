//! What the columns of a text file mean: by its header line, or by how many there are.

use crate::scan::columns::{COLOR, LABEL, NORMAL, POSITION, SLOTS, slots_of};
use crate::scan::numbers::{parse_f64, shown};

/// The columns of a text file.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// A name for every column, as the file has it or as is usual.
    pub(crate) names: Vec<String>,
    /// Which column fills which slot.
    pub(crate) slots: [Option<usize>; SLOTS],
    /// Which columns hold words, as names of classes.
    texts: Vec<usize>,
}

impl Layout {
    /// By the names of a header line; `None` if they do not say where x, y and z are.
    pub(crate) fn of_names(names: Vec<String>) -> Option<Self> {
        let slots = slots_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        slots[POSITION].map(|_| Self { names, slots, texts: Vec::new() })
    }

    /// The same, with the columns holding words whose values of the first point are no numbers.
    pub(super) fn with_texts_of<'a>(mut self, values: impl Iterator<Item = &'a [u8]>) -> Self {
        self.texts =
            values.enumerate().filter(|(_, value)| parse_f64(value).is_none()).map(|(column, _)| column).collect();
        self
    }

    pub(super) fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }

    pub(super) fn is_text(&self, column: usize) -> bool {
        self.texts.contains(&column)
    }

    /// Whether no column with words has to have numbers.
    pub(super) fn needs_no_texts(&self) -> bool {
        self.texts.iter().all(|&column| self.is_other(column))
    }

    /// The names of the columns that hold words.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.texts.iter().filter_map(|&column| self.names.get(column)).map(String::as_str).collect()
    }

    /// Of `count` columns without names; `has_normals` says what the last three of six are. `None` for a number of columns
    /// that has no usual meaning.
    pub(crate) fn of_count(count: usize, has_normals: bool) -> Option<Self> {
        const POINT: [&str; 3] = ["x", "y", "z"];
        const COLORS: [&str; 3] = ["red", "green", "blue"];
        const NORMALS: [&str; 3] = ["nx", "ny", "nz"];
        const INTENSITY: [&str; 1] = ["intensity"];
        let groups: &[&[&str]] = match count {
            3 => &[&POINT],
            4 => &[&POINT, &INTENSITY],
            6 if has_normals => &[&POINT, &NORMALS],
            6 => &[&POINT, &COLORS],
            7 => &[&POINT, &INTENSITY, &COLORS],
            9 => &[&POINT, &COLORS, &NORMALS],
            _ => return None,
        };
        Self::of_names(groups.concat().into_iter().map(str::to_owned).collect())
    }

    /// Whether nobody has a place for a column.
    pub(crate) fn is_other(&self, column: usize) -> bool {
        !self.slots.contains(&Some(column))
    }

    pub(crate) fn has(&self) -> [bool; SLOTS] {
        self.slots.map(|slot| slot.is_some())
    }

    /// What has been understood, in a few words.
    pub(crate) fn meaning(&self) -> String {
        let of = |slot: usize, name: &'static str| self.slots[slot].map(|_| name);
        let parts = [of(COLOR, "colours"), of(NORMAL, "normals"), of(LABEL, "labels")];
        let parts: Vec<&str> = ["coordinates"].into_iter().chain(parts.into_iter().flatten()).collect();
        parts.join(", ")
    }
}

/// What separates the values of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// Any number of blanks and tabs.
    Blanks,
    Comma,
    Semicolon,
}

impl Separator {
    /// The one that a line has.
    pub(super) fn of(line: &[u8]) -> Self {
        if line.contains(&b';') {
            Self::Semicolon
        } else if line.contains(&b',') {
            Self::Comma
        } else {
            Self::Blanks
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Blanks => "blanks",
            Self::Comma => "commas",
            Self::Semicolon => "semicolons",
        }
    }

    /// The values of a line without its ends; one separator after the last value is passed over.
    pub(super) fn split(self, line: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mark = match self {
            Self::Blanks => None,
            Self::Comma => Some(b','),
            Self::Semicolon => Some(b';'),
        };
        let line = mark.and_then(|mark| line.strip_suffix(&[mark])).unwrap_or(line);
        let is_mark = move |byte: &u8| mark.map_or(byte.is_ascii_whitespace(), |mark| *byte == mark);
        // Blanks come in runs, with nothing between them.
        line.split(is_mark).map(<[u8]>::trim_ascii).filter(move |value| mark.is_some() || !value.is_empty())
    }
}

/// The names in a header line of `count` columns, whatever separates them, without quotation marks.
pub(super) fn names(line: &[u8], count: usize) -> Option<Vec<String>> {
    let separators = [Separator::of(line), Separator::Blanks];
    let name = |word: &[u8]| shown(word).trim_matches('"').trim().to_owned();
    separators
        .into_iter()
        .map(|separator| separator.split(line).map(name).collect())
        .find(|names: &Vec<_>| names.len() == count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_mean_what_is_usual() {
        let means = |count, has_normals| Layout::of_count(count, has_normals).map(|layout| layout.names.join(" "));
        assert_eq!(means(3, false).unwrap(), "x y z");
        assert_eq!(means(6, false).unwrap(), "x y z red green blue");
        assert_eq!(means(6, true).unwrap(), "x y z nx ny nz");
        assert_eq!(means(7, false).unwrap(), "x y z intensity red green blue");
        assert_eq!(means(9, false).unwrap(), "x y z red green blue nx ny nz");
        assert_eq!(means(5, false), None);
        assert_eq!(Layout::of_count(9, false).unwrap().meaning(), "coordinates, colours, normals");
    }

    #[test]
    fn lines_are_split_at_what_is_in_them() {
        let split = |line: &'static str| {
            let line = line.as_bytes();
            Separator::of(line).split(line).map(|value| std::str::from_utf8(value).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(split("1  2\t3"), ["1", "2", "3"]);
        assert_eq!(split("1, 2,,3,"), ["1", "2", "", "3"]);
        assert_eq!(split("1;2 ;3"), ["1", "2", "3"]);
    }

    #[test]
    fn names_may_be_quoted_and_separated_otherwise_than_the_values() {
        assert_eq!(names(b"\"X\", \"Y\",\"GPS time\"", 3).unwrap(), ["X", "Y", "GPS time"]);
        assert_eq!(names(b"x y z", 3).unwrap(), ["x", "y", "z"]);
        assert_eq!(names(b"x y z", 4), None);
    }
}
