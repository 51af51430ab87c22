//! Other names, ids and colours for the classes of a model.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Class, LabelSet};
use crate::{Error, Result};

/// What becomes of every class of a model: another class, nothing, or itself.
///
/// It renames results and no more: where several classes become one, the label of a point is still that of its single most
/// probable class, and its confidence that class's; their probabilities are not added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMap {
    /// The classes that come out.
    pub set: LabelSet,
    /// `[classes of the model]`: the id in `set`, -1 for nothing.
    ids: Vec<i32>,
}

/// A class as it stands in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    id: u32,
    name: String,
    color: Option<[u8; 3]>,
    las: Option<u8>,
}

impl ClassMap {
    /// Reads a JSON file of `{"wall": {"id": 6, "name": "building", "color": [174, 199, 232], "las": 6}, "picture": null}`.
    ///
    /// The keys are names of `model`'s classes. `null` leaves its points without a class. `color`, if it is left out, is that of
    /// the first class of the model that becomes this one; `las` is the code in LAS files. Classes of the model that are not
    /// named stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read; [`Error::Scan`] when it is no such map, names a class that the model lacks,
    /// or gives one id to different classes.
    pub fn from_file(path: &Path, model: &LabelSet) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let name = path.file_stem().map_or_else(|| "mapped".into(), |stem| stem.to_string_lossy());
        Self::parse(&name, &text, model).map_err(|(at, problem)| Error::Scan {
            path: path.to_owned(),
            at,
            problem,
            advice: "Write {\"class of the model\": {\"id\": 0, \"name\": \"structure\", \"color\": [174, 199, 232]}, …}, with \
                     null for classes to drop"
                .into(),
        })
    }

    /// Gives labels, ids of the model's classes, their new meaning; points that lose their label lose their confidence.
    pub fn apply(&self, labels: &mut [i32], confidence: &mut [f32]) {
        for (label, confidence) in labels.iter_mut().zip(confidence) {
            *label = usize::try_from(*label).ok().and_then(|label| self.ids.get(label)).copied().unwrap_or(-1);
            if *label < 0 {
                *confidence = 0.0;
            }
        }
    }

    /// A map named `name`; an error says where it is wrong and how.
    fn parse(name: &str, text: &str, model: &LabelSet) -> Result<Self, (String, String)> {
        let written: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| (format!("line {}", error.line()), error.to_string()))?;
        if let Some(unknown) = written.keys().find(|name| model.id(name).is_none()) {
            return Err((format!("`{unknown}`"), unknown_class(unknown, model)));
        }
        let mut classes: Vec<Class> = Vec::new();
        let mut ids = Vec::new();
        for class in &model.classes {
            let at = |problem: String| (format!("`{}`", class.name), problem);
            let target = match written.get(&class.name) {
                Some(Value::Null) => None,
                Some(target) => Some(resolve(target, class).map_err(at)?),
                None => Some(class.clone()),
            };
            ids.push(target.as_ref().map_or(-1, |target| target.id as i32));
            let Some(target) = target else { continue };
            match classes.iter().find(|known| known.id == target.id) {
                None => classes.push(target),
                Some(known) => agree(known, &target, written.contains_key(&class.name)).map_err(at)?,
            }
        }
        classes.sort_by_key(|class| class.id);
        Ok(Self { set: LabelSet { name: name.to_owned(), classes }, ids })
    }
}

/// What a class of the model becomes.
fn resolve(target: &Value, class: &Class) -> Result<Class, String> {
    let Target { id, name, color, las } = Target::deserialize(target).map_err(|error| error.to_string())?;
    if i32::try_from(id).is_err() {
        return Err(format!("the id {id} is larger than {}", i32::MAX));
    }
    if las == Some(Class::NO_LAS_CODE) {
        return Err(format!("LAS has no class {}, it marks overlaps", Class::NO_LAS_CODE));
    }
    Ok(Class { id, name, color: color.unwrap_or(class.color), las })
}

/// Whether two classes of one id are the same; colours may differ where one is left out, and then the first one's is meant.
fn agree(known: &Class, other: &Class, is_mapped: bool) -> Result<(), String> {
    if known.name == other.name && (known.las == other.las || other.las.is_none()) {
        return Ok(());
    }
    if !is_mapped {
        return Err(format!(
            "it is not in the map and keeps its id {}, which the map gives to `{}`: name it, too",
            other.id, known.name
        ));
    }
    let code = |class: &Class| class.las.map_or_else(String::new, |code| format!(" (LAS code {code})"));
    Err(format!(
        "the id {} is `{}`{} here and `{}`{} before",
        other.id,
        other.name,
        code(other),
        known.name,
        code(known)
    ))
}

/// That there is no such class, and which one may be meant.
fn unknown_class(name: &str, model: &LabelSet) -> String {
    let distance = |class: &&Class| strsim::damerau_levenshtein(&class.name.to_lowercase(), &name.to_lowercase());
    match model.classes.iter().min_by_key(distance) {
        Some(nearest) => format!("the model has no such class; the nearest is `{}`", nearest.name),
        None => "the model has no classes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClassMap, (String, String)> {
        ClassMap::parse("map", text, &LabelSet::rooms())
    }

    #[test]
    fn classes_are_renamed_merged_dropped_and_kept() {
        let map = parse(
            r#"{"wall": {"id": 100, "name": "building", "color": [1, 2, 3], "las": 6},
                "door": {"id": 100, "name": "building"}, "chair": {"id": 40, "name": "seat"}, "sofa": {"id": 40, "name": "seat"},
                "picture": null}"#,
        )
        .unwrap();
        let mut labels = [0, 7, 4, 5, 10, 1, -1, 99];
        let mut confidence = [0.5; 8];
        map.apply(&mut labels, &mut confidence);
        assert_eq!(labels, [100, 100, 40, 40, -1, 1, -1, -1]);
        assert_eq!(confidence, [0.5, 0.5, 0.5, 0.5, 0.0, 0.5, 0.0, 0.0]);
        let class = |id| map.set.class(id).cloned();
        let building = Class { id: 100, name: "building".into(), color: [1, 2, 3], las: Some(6) };
        assert_eq!(class(100), Some(building));
        assert_eq!(class(40).unwrap().color, LabelSet::rooms().classes[4].color, "a chair's");
        assert_eq!((class(1).unwrap().name.as_str(), class(0), class(10)), ("floor", None, None));
        assert!(map.set.classes.is_sorted_by_key(|class| class.id));
        assert_eq!(map.set.len(), 21 - 5 + 2);
    }

    #[test]
    fn an_empty_map_changes_nothing() {
        let map = parse("{}").unwrap();
        assert_eq!(map.set.classes, LabelSet::rooms().classes);
        let mut labels: Vec<i32> = (-1..21).collect();
        map.apply(&mut labels, &mut [1.0; 22]);
        assert_eq!(labels, (-1..21).collect::<Vec<i32>>());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            (r#"{"wal": null}"#, "`wal`", "the nearest is `wall`"),
            (r#"{"Shower Curtian": null}"#, "`Shower Curtian`", "the nearest is `shower curtain`"),
            (r#"{"wall": {"id": 0}}"#, "`wall`", "missing field `name`"),
            (r#"{"wall": {"id": 0, "name": "w", "colour": [1, 2, 3]}}"#, "`wall`", "unknown field `colour`"),
            (r#"{"wall": {"id": -1, "name": "w"}}"#, "`wall`", "-1"),
            (r#"{"wall": {"id": 4000000000, "name": "w"}}"#, "`wall`", "larger than 2147483647"),
            (r#"{"wall": {"id": 30, "name": "w", "las": 12}}"#, "`wall`", "LAS has no class 12"),
            (
                r#"{"floor": {"id": 0, "name": "ground"}, "wall": {"id": 0, "name": "up"}}"#,
                "`floor`",
                "the id 0 is `ground` here and `up` before",
            ),
            (
                r#"{"wall": {"id": 1, "name": "up"}}"#,
                "`floor`",
                "keeps its id 1, which the map gives to `up`: name it, too",
            ),
            ("{\n\"wall\": nil}", "line 2", "expected"),
            ("[]", "line 1", "expected a map"),
        ];
        for (text, at, problem) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.0 == at && error.1.contains(problem), "{error:?}\ninstead of {at}: {problem}");
        }
    }
}
