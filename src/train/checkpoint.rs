//! Checkpoints: files from which a run goes on bit for bit.
//!
//! A `.safetensors` file with the trainer's tensors (`parameter.NAME`, `moment1.NAME`, `moment2.NAME`); `checkpoint` in
//! its metadata is JSON: the steps done, and what the run is made of ([`Checkpoint::identity`]).

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::trainer::TrainerState;
use crate::model::tensor_file::TensorFile;
use crate::model::write::write_tensors;
use crate::{Error, Result};

const KEY: &str = "checkpoint";
const FORMAT: u64 = 1;

/// Where a run was.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Parameters, moments, steps.
    pub state: TrainerState,
    /// What must be the same for the run to go on: model, data, options.
    pub identity: Map<String, Value>,
    /// Seconds of training so far.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u64,
    step: u64,
    seconds: f64,
    run: Map<String, Value>,
}

impl Checkpoint {
    /// Writes it; in an [`Error::Io`] the path is empty.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let written =
            Written { format: FORMAT, step: self.state.step, seconds: self.seconds, run: self.identity.clone() };
        let text = serde_json::to_string(&written).map_err(|error| Error::Argument {
            what: "checkpoint".to_owned(),
            problem: error.to_string(),
            advice: "Give options that can be written as JSON".to_owned(),
        })?;
        let metadata = Map::from_iter([(KEY.to_owned(), Value::String(text))]);
        write_tensors(writer, metadata, self.state.tensors.values())
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Model`] for a file that is no checkpoint, or not whole.
    pub fn read(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let refuse = |problem: String| Error::Model {
            path: path.to_owned(),
            problem,
            advice: "Remove it to go on from the checkpoint before it".to_owned(),
        };
        let text = file.metadata(KEY).ok_or_else(|| refuse("is no checkpoint of a training run".to_owned()))?;
        let written: Written = serde_json::from_str(text).map_err(|error| refuse(format!("{KEY}: {error}")))?;
        if written.format != FORMAT {
            return Err(refuse(format!("has the format {}, this program knows {FORMAT}", written.format)));
        }
        let tensors = file.names().map(|name| Ok((name.to_owned(), file.read(name)?))).collect::<Result<_>>()?;
        let state = TrainerState { step: written.step, tensors };
        Ok(Self { state, identity: written.run, seconds: written.seconds })
    }

    /// Refuses to go on with another model, other data or other options.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first that differs, and both values.
    pub fn check(&self, identity: &Map<String, Value>) -> Result<()> {
        let keys = self.identity.keys().chain(identity.keys().filter(|key| !self.identity.contains_key(*key)));
        for key in keys {
            let (was, is) = (self.identity.get(key), identity.get(key));
            if was != is {
                let shown = |value: Option<&Value>| value.map_or_else(|| "not said".to_owned(), short);
                return Err(Error::Argument {
                    what: format!("{key} (resume)"),
                    problem: format!("was {} and is {}, so the run cannot go on bit for bit", shown(was), shown(is)),
                    advice: "Give what the run was started with, or start another one in a folder of its own"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// A value for a message.
fn short(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_file::HostTensor;
    use serde_json::json;

    fn checkpoint() -> Checkpoint {
        let names = ["parameter.seg_head.bias", "moment1.seg_head.bias", "moment2.seg_head.bias"];
        let values = [[1.0, f32::MIN_POSITIVE], [-0.0, 3.5], [1e-45, 0.1]];
        let tensors = names
            .iter()
            .zip(values)
            .map(|(name, values)| ((*name).to_owned(), HostTensor::from_f32(name, &[2], &values)));
        let identity = json!({"seed": 7, "lr": 1e-3, "model": "ab"});
        let Value::Object(identity) = identity else { unreachable!("written as an object") };
        Checkpoint { state: TrainerState { step: 12, tensors: tensors.collect() }, identity, seconds: 0.1 }
    }

    #[test]
    fn what_is_written_is_read_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        let mut bytes = Vec::new();
        checkpoint().write_to(&mut bytes).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint());

        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(Checkpoint::read(&path), Err(Error::Model { .. })));
        let mut out = Vec::new();
        write_tensors(&mut out, Map::new(), []).unwrap();
        std::fs::write(&path, &out).unwrap();
        assert!(Checkpoint::read(&path).unwrap_err().to_string().contains("is no checkpoint"));
    }

    #[test]
    fn another_run_is_refused_by_what_differs() {
        let checkpoint = checkpoint();
        assert!(checkpoint.check(&checkpoint.identity).is_ok());
        for (key, value, message) in [
            ("lr", json!(2e-3), "lr (resume): was 0.001 and is 0.002"),
            ("batch", json!(2), "batch (resume): was not said and is 2"),
        ] {
            let mut other = checkpoint.identity.clone();
            other.insert(key.to_owned(), value);
            let error = checkpoint.check(&other).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
