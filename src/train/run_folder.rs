//! The folder of a training run: `log.jsonl`, and the last checkpoints.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::checkpoint::Checkpoint;
use crate::{Error, Result, scan::write_whole};

const LOG: &str = "log.jsonl";
const START: &str = "checkpoint-";
const END: &str = ".safetensors";
/// A checkpoint that turns out to be unreadable leaves the one before it.
const KEPT: usize = 2;

/// The folder of a run, with its log open.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    log: File,
}

impl RunFolder {
    /// A folder for a new run, made if it is not there. The log of a run that left no checkpoint makes room.
    ///
    /// # Errors
    /// [`Error::Argument`] if it holds a run that could go on, or a log of something else; [`Error::Io`].
    pub fn create(path: &Path) -> Result<Self> {
        if holds_run(path)? {
            return Err(Error::Argument {
                what: path.display().to_string(),
                problem: "holds a training run already".to_owned(),
                advice: "Go on with it (`--resume`), name another folder (`--run-dir`), or remove it".to_owned(),
            });
        }
        fs::create_dir_all(path).map_err(at("create", path))?;
        let log = path.join(LOG);
        let is_ours = lines(&log)?.first().is_some_and(|line| line["kind"] == "start");
        if !is_ours && fs::metadata(&log).is_ok_and(|of| of.len() > 0) {
            return Err(Error::Argument {
                what: log.display().to_string(),
                problem: "is not the log of a training run, and would be overwritten".to_owned(),
                advice: "Name another folder (`--run-dir`), or move the file".to_owned(),
            });
        }
        File::create(&log).map_err(at("create", &log))?;
        Self::open_log(path)
    }

    /// The folder of a run that is to go on, and its last checkpoint. The log is as it was left:
    /// [`Self::forget_after`] cuts it back once it is known that this run may go on.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no checkpoint, [`Error::Model`] if the last one cannot be read, [`Error::Io`].
    pub fn resume(path: &Path) -> Result<(Self, Checkpoint)> {
        let Some(last) = checkpoints(path)?.pop() else {
            return Err(Error::Argument {
                what: path.display().to_string(),
                problem: "holds no checkpoint to go on from".to_owned(),
                advice: "Name the folder of the run (`--run-dir`), or leave `--resume` out".to_owned(),
            });
        };
        let checkpoint = Checkpoint::read(&last)?;
        Ok((Self::open_log(path)?, checkpoint))
    }

    /// Takes the lines of later steps out of the log, and a line that was cut short.
    ///
    /// # Errors
    /// [`Error::Io`]; the log is as it was then.
    pub fn forget_after(&mut self, step: u64) -> Result<()> {
        let log = self.path.join(LOG);
        let kept: Vec<Value> = lines(&log)?.into_iter().filter(|line| step_of(line) <= step).collect();
        write_whole(&log, |out| kept.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        *self = Self::open_log(&self.path)?;
        Ok(())
    }

    fn open_log(path: &Path) -> Result<Self> {
        let log = path.join(LOG);
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(at("open", &log))?;
        Ok(Self { path: path.to_owned(), log: file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line to the log. A line with a `step` is forgotten by a run that goes on from an earlier one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log(&mut self, line: &Value) -> Result<()> {
        // One write per line: whoever reads along sees whole lines.
        let text = format!("{line}\n");
        self.log.write_all(text.as_bytes()).map_err(at("write", &self.path.join(LOG)))
    }

    /// All lines of the log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lines(&self) -> Result<Vec<Value>> {
        lines(&self.path.join(LOG))
    }

    /// Writes a checkpoint and removes the oldest ones.
    ///
    /// # Errors
    /// [`Error::Io`]; those that are there stay then.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<PathBuf> {
        let path = self.path.join(format!("{START}{:09}{END}", checkpoint.state.step));
        let mut failure = None;
        let written = write_whole(&path, |out| match checkpoint.write_to(out) {
            Ok(()) => Ok(()),
            Err(Error::Io { source, .. }) => Err(source),
            Err(error) => {
                failure = Some(error);
                Err(io::Error::other("stopped"))
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        written?;
        let all = checkpoints(&self.path)?;
        for old in &all[..all.len().saturating_sub(KEPT)] {
            fs::remove_file(old).map_err(at("remove", old))?;
        }
        Ok(path)
    }

    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn last_checkpoint(&self) -> Result<Option<PathBuf>> {
        Ok(checkpoints(&self.path)?.pop())
    }
}

/// Whether a folder holds a run that could go on: a checkpoint.
///
/// # Errors
/// [`Error::Io`] if it is there and cannot be read.
pub fn holds_run(path: &Path) -> Result<bool> {
    Ok(!checkpoints(path)?.is_empty())
}

/// Checkpoints by their steps.
fn checkpoints(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at("read", folder)(error)),
    };
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry.map_err(at("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix(START)?.strip_suffix(END)?.parse().ok());
        found.extend(step.map(|step| (step, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The lines of a log. The last one may be cut short if the program was killed; it is left out.
fn lines(path: &Path) -> Result<Vec<Value>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at("open", path)(error)),
    };
    let mut lines = Vec::new();
    // Bytes, not text: a line that was cut short may end in the middle of a character.
    for line in BufReader::new(file).split(b'\n') {
        lines.extend(serde_json::from_slice::<Value>(&line.map_err(at("read", path))?));
    }
    Ok(lines)
}

fn step_of(line: &Value) -> u64 {
    line["step"].as_u64().unwrap_or(0)
}

fn at(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainerState;
    use serde_json::{Map, json};

    fn checkpoint(step: u64) -> Checkpoint {
        Checkpoint { state: TrainerState { step, tensors: [].into() }, identity: Map::new(), seconds: 1.5 }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn the_last_two_checkpoints_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/run");
        let folder = RunFolder::create(&path).unwrap();
        assert_eq!(folder.last_checkpoint().unwrap(), None);
        for step in [9, 100, 1_000_000_000, 1_000_000_001] {
            let saved = folder.save(&checkpoint(step)).unwrap();
            assert_eq!(folder.last_checkpoint().unwrap(), Some(saved));
        }
        let expected = ["checkpoint-1000000000.safetensors", "checkpoint-1000000001.safetensors", "log.jsonl"];
        assert_eq!(names(&path), expected);
        assert_eq!(RunFolder::resume(&path).unwrap().1, checkpoint(1_000_000_001));
    }

    #[test]
    fn a_run_that_goes_on_forgets_what_came_after_its_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(root.path()).unwrap();
        assert!(RunFolder::resume(root.path()).unwrap_err().to_string().contains("no checkpoint"));
        folder.log(&json!({"kind": "start", "of": "a run without a checkpoint"})).unwrap();
        let mut folder = RunFolder::create(root.path()).unwrap();
        assert_eq!(folder.lines().unwrap(), Vec::<Value>::new());
        folder.log(&json!({"kind": "start"})).unwrap();
        for step in 1..=4 {
            folder.log(&json!({"kind": "step", "step": step})).unwrap();
        }
        folder.save(&checkpoint(2)).unwrap();
        // As if killed in the middle of a line.
        folder.log.write_all(b"{\"kind\": \"st").unwrap();
        assert_eq!(folder.lines().unwrap().len(), 5);
        assert!(RunFolder::create(root.path()).unwrap_err().to_string().contains("holds a training run already"));
        let (mut folder, checkpoint) = RunFolder::resume(root.path()).unwrap();
        assert_eq!(checkpoint.state.step, 2);
        assert_eq!(folder.lines().unwrap().len(), 5);
        folder.forget_after(checkpoint.state.step).unwrap();
        folder.log(&json!({"kind": "step", "step": 3, "again": true})).unwrap();
        let lines = folder.lines().unwrap();
        assert_eq!(lines.iter().map(step_of).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(lines[3]["again"], true);
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(RunFolder::create(&file.join("run")), Err(Error::Io { .. })));
    }

    #[test]
    fn a_log_of_something_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join(LOG);
        for text in ["{\"event\": \"login\"}\n", "no JSON"] {
            fs::write(&log, text).unwrap();
            let error = RunFolder::create(root.path()).unwrap_err().to_string();
            assert!(error.contains("is not the log of a training run"), "{error}");
            assert_eq!(fs::read_to_string(&log).unwrap(), text);
        }
        fs::write(&log, "").unwrap();
        RunFolder::create(root.path()).unwrap();
    }
}
