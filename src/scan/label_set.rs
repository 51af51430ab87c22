//! The classes a scan can be labelled with: names and colours.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One class of a label set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// The label its points carry; in a model's [`LabelSet`] the class's index.
    pub id: u32,
    /// What people call it.
    pub name: String,
    /// Red, green and blue, 0 to 255.
    pub color: [u8; 3],
    /// Its code in LAS files, where it is to have another than [`crate::scan::las_codes`] would give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub las: Option<u8>,
}

impl Class {
    /// The one number of a byte that is no class in LAS files: it marks where strips overlap.
    pub const NO_LAS_CODE: u8 = 12;
}

/// Named classes, in the order of their ids: `0..n` for what a model knows, any for what a class map makes of that.
///
/// As JSON it is `{"name": …, "classes": [{"id", "name", "color"}, …]}`; reading also takes the bare list. Both ways
/// the ids must be `0..n` once sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct LabelSet {
    /// The name of a built-in set, or of the file it came from.
    pub name: String,
    /// By rising ids.
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
            if class.las == Some(Class::NO_LAS_CODE) {
                return Err(format!("{}: LAS has no class {}, it marks overlaps", class.name, Class::NO_LAS_CODE));
            }
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

/// The 200 classes of the `ScanNet200` benchmark, in its order and colours. Source: `scannet200_constants.py`.
#[cfg(feature = "formats")]
const SCANNET200: &str = include_str!("label_sets/scannet200.json");

/// The 100 classes of the `ScanNet++` benchmark (`top100.txt` of its second release) in its order. Source:
/// `configs/_base_/dataset/scannetpp.py` of Pointcept. The benchmark has no colours: classes that `ScanNet200` has, too, have
/// that one's, the others are told apart by theirs.
#[cfg(feature = "formats")]
const SCANNETPP100: &str = include_str!("label_sets/scannetpp100.json");

/// The class that `rooms` adds to `ScanNet`'s, as id 20.
const CEILING: (&str, [u8; 3]) = ("ceiling", [209, 187, 215]);

impl LabelSet {
    /// The names that [`LabelSet::built_in`] knows. The long sets are there with the feature `formats`.
    pub const BUILT_IN: &[&str] = if cfg!(feature = "formats") {
        &["scannet20", "scannet200", "scannetpp100", "s3dis13", "rooms"]
    } else {
        &["scannet20", "s3dis13", "rooms"]
    };

    /// Makes a set of classes whose ids are their places in `classes`.
    pub fn new(name: &str, classes: impl IntoIterator<Item = (String, [u8; 3])>) -> Self {
        let classes = (0..).zip(classes).map(|(id, (name, color))| Class { id, name, color, las: None }).collect();
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
            #[cfg(feature = "formats")]
            "scannet200" => Self::of_file(name, SCANNET200),
            #[cfg(feature = "formats")]
            "scannetpp100" => Self::of_file(name, SCANNETPP100),
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
        let id = u32::try_from(label).ok()?;
        // Ids that are places are found at once.
        let there = self.classes.get(id as usize).filter(|class| class.id == id);
        there.or_else(|| self.classes.get(self.classes.binary_search_by_key(&id, |class| class.id).ok()?))
    }

    /// The colours of labels' classes; black, which no class is, for labels without one.
    pub(crate) fn colors_of(&self, labels: &[i32]) -> Vec<[u8; 3]> {
        labels.iter().map(|label| self.class(*label).map_or([0; 3], |class| class.color)).collect()
    }

    /// The id of the class of that name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.classes.iter().find(|class| class.name == name).map(|class| class.id)
    }

    /// A built-in set that is a file.
    #[cfg(feature = "formats")]
    fn of_file(name: &str, text: &str) -> Option<Self> {
        Self::from_json(text).ok().map(|set| Self { name: name.to_owned(), ..set })
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
        let sizes = [("scannet20", 20), ("scannet200", 200), ("scannetpp100", 100), ("s3dis13", 13), ("rooms", 21)];
        for &name in LabelSet::BUILT_IN {
            let (_, size) = *sizes.iter().find(|(of, _)| *of == name).unwrap();
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
        assert_eq!(LabelSet::scannet20().class(20), None);
    }

    #[test]
    #[cfg(feature = "formats")]
    fn the_long_sets_are_those_of_their_benchmarks() {
        let named = |name: &str, id: i32| LabelSet::built_in(name).unwrap().class(id).unwrap().clone();
        assert_eq!(named("scannet200", 199).name, "mattress");
        assert_eq!((named("scannet200", 2).name.as_str(), named("scannet200", 2).color), ("floor", [152, 223, 138]));
        assert_eq!(
            (named("scannetpp100", 2).name.as_str(), named("scannetpp100", 99).name.as_str()),
            ("floor", "marker")
        );
        assert_eq!(named("scannetpp100", 1).color, named("scannet200", 35).color, "both are ceilings");
    }

    #[test]
    fn classes_are_found_by_ids_with_gaps() {
        let class = |id| Class { id, name: format!("class {id}"), color: [id as u8; 3], las: None };
        let set = LabelSet { name: "gaps".to_owned(), classes: [1, 2, 40].map(class).into() };
        let found = |label| set.class(label).map(|class| class.id);
        assert_eq!([0, 1, 2, 3, 40, -1].map(found), [None, Some(1), Some(2), None, Some(40), None]);
        assert_eq!(set.colors_of(&[40, -1, 0]), [[40; 3], [0; 3], [0; 3]]);
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
        assert!(error.contains(&LabelSet::BUILT_IN.join(", ")), "{error}");
    }
}
