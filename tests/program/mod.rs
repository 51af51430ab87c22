//! Runs the `pointtpa` program, for the tests of its command line.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Run {
    /// Its standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.text(), self.err))
    }

    /// The lines of its standard output, each as JSON.
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        let value = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(value).collect()
    }

    /// Asserts the exit code, and that it failed with a message rather than a panic.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: i32, message: &str) {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.text(), self.err);
        assert!(self.err.contains(message), "'{message}' is not in: {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }

    /// Asserts that it went well.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.text(), self.err);
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

/// The program with arguments.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointtpa"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs the program with arguments.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Run {
    command(arguments).output().expect("the program starts").into()
}

/// A device to run on besides the CPU: the one that `POINTTPA_TEST_DEVICE` names, else lavapipe, else the best one of
/// this machine; `None`, said, if there is none.
pub(crate) fn adapter() -> Option<String> {
    let named = std::env::var("POINTTPA_TEST_DEVICE").ok();
    let wanted = named.clone().unwrap_or_else(|| "llvmpipe".to_owned()).to_lowercase();
    let names: Vec<String> =
        pollster::block_on(pointtpa::Device::adapters()).into_iter().map(|adapter| adapter.name).collect();
    let found = names.iter().find(|name| name.to_lowercase().contains(&wanted));
    assert!(found.is_some() || named.is_none(), "POINTTPA_TEST_DEVICE={wanted} is none of {names:?}");
    let found = found.or(names.first());
    if found.is_none() {
        println!("skipped on the GPU side: there is no adapter");
    }
    found.cloned()
}

/// The folder of data that is not part of this repository, `POINTTPA_SHARED`, else `../shared`; `None`, said, if `part`
/// is not in it.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("POINTTPA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = folder.join(part);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no shared data at {}", path.display());
    None
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
