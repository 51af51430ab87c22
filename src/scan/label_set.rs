//! The classes a scan can be labelled with: names and colours.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One class of a label set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// The label its points carry; the class's index in its [`LabelSet`].
    pub id: u32,
    /// What people call it.
    pub name: String,
    /// Red, green and blue, 0 to 255.
    pub color: [u8; 3],
}

/// Named classes with ids `0..n`, in the order of their ids.
///
/// As JSON it is `{"name": …, "classes": [{"id", "name", "color"}, …]}`; reading also takes the bare list. Both ways
/// the ids must be `0..n` once sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct LabelSet {
    /// `scannet20`, `s3dis13`, `rooms`, or the name of the file it came from.
    pub name: String,
    /// Class `i` has id `i`.
    pub classes: Vec<Class>,
}

/// What a label set may look like in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Named { name: String, classes: Vec<Class> },
    List(Vec<Class>),
}

impl TryFrom<Written> for LabelSet {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (name, mut classes) = match written {
            Written::Named { name, classes } => (name, classes),
            Written::List(classes) => ("custom".to_owned(), classes),
        };
        classes.sort_by_key(|class| class.id);
        for (expected, class) in classes.iter().enumerate() {
            if class.id as usize != expected {
                let found = (class.id, &class.name);
                return Err(format!(
                    "class ids must be 0 to {} without gaps or repeats, but where {expected} is due there is {} ({})",
                    classes.len() - 1,
                    found.0,
                    found.1
                ));
            }
        }
        Ok(Self { name, classes })
    }
}

/// The 20 classes of the `ScanNet` benchmark, in its order and colours.
const SCANNET20: [(&str, [u8; 3]); 20] = [
    ("wall", [174, 199, 232]),
    ("floor", [152, 223, 138]),
    ("cabinet", [31, 119, 180]),
    ("bed", [255, 187, 120]),
    ("chair", [188, 189, 34]),
    ("sofa", [140, 86, 75]),
    ("table", [255, 152, 150]),
    ("door", [214, 39, 40]),
    ("window", [197, 176, 213]),
    ("bookshelf", [148, 103, 189]),
    ("picture", [196, 156, 148]),
    ("counter", [23, 190, 207]),
    ("desk", [247, 182, 210]),
    ("curtain", [219, 219, 141]),
    ("refrigerator", [255, 127, 14]),
    ("shower curtain", [158, 218, 229]),
    ("toilet", [44, 160, 44]),
    ("sink", [112, 128, 144]),
    ("bathtub", [227, 119, 194]),
    ("otherfurniture", [82, 84, 163]),
];

/// The 13 classes of S3DIS, in the order and colours its users know.
const S3DIS13: [(&str, [u8; 3]); 13] = [
    ("ceiling", [0, 255, 0]),
    ("floor", [0, 0, 255]),
    ("wall", [0, 255, 255]),
    ("beam", [255, 255, 0]),
    ("column", [255, 0, 255]),
    ("window", [100, 100, 255]),
    ("door", [200, 200, 100]),
    ("table", [170, 120, 200]),
    ("chair", [255, 0, 0]),
    ("sofa", [200, 100, 100]),
    ("bookcase", [10, 200, 100]),
    ("board", [200, 200, 200]),
    ("clutter", [50, 50, 50]),
];

/// The class that `rooms` adds to `ScanNet`'s, as id 20.
const CEILING: (&str, [u8; 3]) = ("ceiling", [209, 187, 215]);

impl LabelSet {
    /// The names that [`LabelSet::built_in`] knows.
    pub const BUILT_IN: [&str; 3] = ["scannet20", "s3dis13", "rooms"];

    /// Makes a set of classes whose ids are their places in `classes`.
    pub fn new(name: &str, classes: impl IntoIterator<Item = (String, [u8; 3])>) -> Self {
        let classes = (0..).zip(classes).map(|(id, (name, color))| Class { id, name, color }).collect();
        Self { name: name.to_owned(), classes }
    }

    /// `ScanNet`'s 20 benchmark classes.
    pub fn scannet20() -> Self {
        Self::from_table("scannet20", SCANNET20)
    }

    /// S3DIS's 13 classes.
    pub fn s3dis13() -> Self {
        Self::from_table("s3dis13", S3DIS13)
    }

    /// `ScanNet`'s 20 classes under their ids, and the ceiling as 20: what the bundled model and the synthetic rooms
    /// use.
    pub fn rooms() -> Self {
        Self::from_table("rooms", SCANNET20.into_iter().chain([CEILING]))
    }

    /// The built-in set of that name.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "scannet20" => Some(Self::scannet20()),
            "s3dis13" => Some(Self::s3dis13()),
            "rooms" => Some(Self::rooms()),
            _ => None,
        }
    }

    /// A built-in set by its name, or the JSON file at that path.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a name that is neither, and those of [`LabelSet::from_file`].
    pub fn find(name_or_path: &str) -> Result<Self> {
        if let Some(built_in) = Self::built_in(name_or_path) {
            return Ok(built_in);
        }
        let path = Path::new(name_or_path);
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json || path.exists() {
            return Self::from_file(path);
        }
        Err(Error::Argument {
            what: "label set".into(),
            problem: format!("there is no built-in set `{name_or_path}`"),
            advice: format!("Use {} or a JSON file of [{{id, name, color}}]", Self::BUILT_IN.join(", ")),
        })
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Scan`] when it is no label set.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let mut set = Self::from_json(&text).map_err(|error| {
            let at = if error.line() == 0 { "label set".to_owned() } else { format!("line {}", error.line()) };
            Error::Scan {
                path: path.to_owned(),
                at,
                problem: error.to_string(),
                advice: "Write it as [{\"id\": 0, \"name\": \"wall\", \"color\": [174, 199, 232]}, …]".into(),
            }
        })?;
        if let Some(stem) = path.file_stem().filter(|_| set.name == "custom") {
            set.name = stem.to_string_lossy().into_owned();
        }
        Ok(set)
    }

    /// Parses JSON, either form.
    ///
    /// # Errors
    ///
    /// The JSON parser's, or the gap or repeat in the ids.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class a label stands for; `None` for -1 and any other label outside the set.
    pub fn class(&self, label: i32) -> Option<&Class> {
        self.classes.get(usize::try_from(label).ok()?)
    }

    /// The id of the class of that name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.classes.iter().find(|class| class.name == name).map(|class| class.id)
    }

    fn from_table<'a>(name: &str, table: impl IntoIterator<Item = (&'a str, [u8; 3])>) -> Self {
        Self::new(name, table.into_iter().map(|(class, color)| (class.to_owned(), color)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_sets_have_their_sizes_and_distinct_names_and_colours() {
        for (name, size) in LabelSet::BUILT_IN.into_iter().zip([20, 13, 21]) {
            let set = LabelSet::built_in(name).unwrap();
            assert_eq!((set.len(), set.name.as_str()), (size, name));
            for (i, a) in set.classes.iter().enumerate() {
                assert_eq!(a.id as usize, i);
                for b in &set.classes[i + 1..] {
                    assert!(a.name != b.name && a.color != b.color, "{} and {} in {name}", a.name, b.name);
                }
            }
        }
        assert_eq!(LabelSet::rooms().id("ceiling"), Some(20));
        assert_eq!(LabelSet::scannet20().class(15).unwrap().name, "shower curtain");
        assert_eq!(LabelSet::scannet20().class(-1), None);
    }

    #[test]
    fn a_set_survives_json_and_a_bare_list_is_sorted() {
        let set = LabelSet::rooms();
        assert_eq!(LabelSet::from_json(&serde_json::to_string(&set).unwrap()).unwrap(), set);
        let list = r#"[{"id":1,"name":"b","color":[0,0,1]},{"id":0,"name":"a","color":[255,0,0]}]"#;
        let set = LabelSet::from_json(list).unwrap();
        assert_eq!((set.classes[0].name.as_str(), set.classes[1].name.as_str()), ("a", "b"));
    }

    #[test]
    fn gaps_and_repeats_in_the_ids_are_named() {
        let gap = r#"[{"id":0,"name":"a","color":[0,0,0]},{"id":2,"name":"b","color":[0,0,0]}]"#;
        let error = LabelSet::from_json(gap).unwrap_err().to_string();
        assert!(error.contains("where 1 is due there is 2 (b)"), "{error}");
        let repeat = r#"[{"id":0,"name":"a","color":[0,0,0]},{"id":0,"name":"b","color":[0,0,0]}]"#;
        assert!(LabelSet::from_json(repeat).unwrap_err().to_string().contains("where 1 is due there is 0 (b)"));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = LabelSet::find("scannet19").unwrap_err().to_string();
        assert!(error.contains("scannet20, s3dis13, rooms"), "{error}");
    }
}
