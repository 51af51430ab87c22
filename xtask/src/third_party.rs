//! The licences of the crates in the program, with their texts, which most of them ask to go along.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::step::cargo;

/// How the files are named that hold a licence or what it asks to be told.
const TEXTS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Writes names, licences and texts of all crates that are compiled into the program.
pub(crate) fn write(target: &str, file: &Path) -> Result<(), String> {
    let sources = sources()?;
    let mut text = String::from("What the program is made of besides its own code, and under which licences.\n");
    for one in crates(target)? {
        let [name, version, licence, repository] = one.split('\t').collect::<Vec<_>>()[..] else { continue };
        let _ = write!(text, "\n{:=<100}\n{name} {version}: {licence}\n{repository}\n", "");
        let folder = sources.iter().map(|folder| folder.join(format!("{name}-{version}"))).find(|path| path.is_dir());
        let folder = folder.ok_or_else(|| format!("the source of {name} {version} is in no registry folder"))?;
        for path in texts(&folder)? {
            let words = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let _ = write!(text, "\n{}\n", words.trim_end());
        }
    }
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// `name, version, licence, repository` with tabs between, of every crate but the program's own.
fn crates(target: &str) -> Result<BTreeSet<String>, String> {
    let format = "{p}\t{l}\t{r}";
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--target", target, "--format", format];
    let output = cargo(&tree).output().map_err(|error| format!("cargo tree: {error}"))?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let one = |line: &str| {
        let (package, rest) = line.split_once('\t')?;
        // A path is this workspace's.
        let (name, version) = package.split_once(' ').filter(|_| !package.contains("(/"))?;
        let version = version.split(' ').next()?.trim_start_matches('v');
        Some(format!("{name}\t{version}\t{}", rest.trim_end_matches(" (*)")))
    };
    let crates: BTreeSet<String> = lines.lines().filter_map(one).collect();
    if crates.is_empty() { Err("cargo tree names no crates".into()) } else { Ok(crates) }
}

/// The folders that cargo unpacks crates to.
fn sources() -> Result<Vec<PathBuf>, String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).ok_or("there is no home folder")?;
    let folder = home.join("registry/src");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn texts(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let is_text = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && TEXTS.iter().any(|start| name.starts_with(start))
    };
    let mut texts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_text).collect();
    texts.sort();
    Ok(texts)
}
