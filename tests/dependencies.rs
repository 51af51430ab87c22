//! What this project depends on, and what it says of that: how many crates, under which licences, in how many versions, and
//! why each is there. `cargo xtask deny` asks more of them, with a tool that not everyone has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Most crates that the library may be made of without its features, on Linux, itself and macros included. Half of them are
/// wgpu's.
const LIBRARY: usize = 105;
/// Most crates of the program.
const PROGRAM: usize = 220;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cargo(arguments: &[&str]) -> String {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).arg("--locked").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `name version` of every crate that is compiled for the library or the program on Linux.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let linux = ["tree", "--edges", "normal", "--prefix", "none", "--target", "x86_64-unknown-linux-gnu"];
    let tree = cargo(&[&linux[..], features].concat());
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    crates.collect()
}

#[test]
fn the_library_and_the_program_stay_as_small_as_they_are() {
    for (what, features, limit) in
        [("the library", &["--no-default-features"][..], LIBRARY), ("the program", &[], PROGRAM)]
    {
        let crates = crates(features);
        let number = crates.len();
        println!("{what} is made of {number} crates, {limit} at most");
        assert!(number > 50, "{crates:?}");
        assert!(number <= limit, "{what} is made of {number} crates, more than {limit}: {crates:#?}");
    }
}

fn metadata() -> serde_json::Value {
    serde_json::from_str(&cargo(&["metadata", "--format-version", "1"])).unwrap()
}

fn packages(metadata: &serde_json::Value) -> impl Iterator<Item = (&str, &str, &serde_json::Value)> {
    metadata["packages"].as_array().unwrap().iter().map(|package| {
        let text = |name: &str| package[name].as_str().unwrap_or_default();
        (text("name"), text("version"), package)
    })
}

/// The texts in quotes of the list that `key` begins in `deny.toml`.
fn list_of_deny(key: &str) -> Vec<String> {
    let file = read("deny.toml");
    let start = file.find(&format!("\n{key} = [\n")).unwrap_or_else(|| panic!("deny.toml has no list `{key}`"));
    let list = &file[start..start + file[start..].find("\n]").unwrap()];
    list.lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met with `allowed` licences; `AND` binds closer than `OR`.
fn can_be_met(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.trim();
    if let Some(inner) = expression.strip_prefix('(')
        && let Some(end) = inner.find(')')
    {
        // One pair of parentheses, in front.
        let rest = inner[end + 1..].trim();
        let met = can_be_met(&inner[..end], allowed);
        return match rest.split_once(' ') {
            None => met,
            Some(("AND", rest)) => met && can_be_met(rest, allowed),
            Some((_, rest)) => met || can_be_met(rest, allowed),
        };
    }
    let all = |part: &str| part.split(" AND ").all(|licence| allowed.iter().any(|allowed| allowed == licence.trim()));
    expression.replace('/', " OR ").split(" OR ").any(all)
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let allowed = list_of_deny("allow");
    assert!(can_be_met("LGPL-2.1 OR MIT", &allowed) && can_be_met("(MIT OR X) AND ISC", &allowed));
    assert!(!can_be_met("MIT AND LGPL-2.1", &allowed) && !can_be_met("", &allowed));
    // The font of charts, which deny.toml excepts by name.
    let with_fonts = [&allowed[..], &["OFL-1.1", "Ubuntu-font-1.0"].map(str::to_owned)].concat();
    for (name, version, package) in packages(&metadata()) {
        let licence = package["license"].as_str().unwrap_or_default();
        let allowed = if name == "epaint_default_fonts" { &with_fonts } else { &allowed };
        assert!(can_be_met(licence, allowed), "{name} {version} is under `{licence}`");
    }
}

#[test]
fn no_crate_is_there_twice_without_a_reason() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version, _) in packages(&metadata) {
        versions.entry(name).or_default().push(version);
    }
    let excused: BTreeSet<String> =
        list_of_deny("skip").iter().map(|entry| entry.split('@').next().unwrap_or_default().to_owned()).collect();
    let twice: BTreeSet<String> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(twice, excused, "left: there in two versions, right: excused by deny.toml");
}

#[test]
fn every_direct_dependency_has_its_line_in_the_architecture() {
    let metadata = metadata();
    let (_, _, package) = packages(&metadata).find(|(name, ..)| *name == "pointtpa").unwrap();
    let direct: BTreeSet<&str> =
        package["dependencies"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    let architecture = read("ARCHITECTURE.md");
    let table = architecture.split("\n## Dependencies\n").nth(1).expect("ARCHITECTURE.md has a section Dependencies");
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut named: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split(',')).map(str::trim).collect();
    named.sort_unstable();
    assert!(named.windows(2).all(|pair| pair[0] != pair[1]), "named twice: {named:?}");
    let named: BTreeSet<&str> = named.into_iter().collect();
    let unnamed: Vec<_> = direct.difference(&named).collect();
    let stale: Vec<_> = named.difference(&direct).collect();
    assert!(unnamed.is_empty(), "ARCHITECTURE.md's table of dependencies lacks {unnamed:?}");
    assert!(stale.is_empty(), "ARCHITECTURE.md's table of dependencies names {stale:?}, which nothing depends on");
}

#[test]
fn unsafe_code_is_allowed_in_one_module_alone() {
    assert!(read("Cargo.toml").contains("\nunsafe_code = \"deny\"\n"));
    let mut files: Vec<PathBuf> =
        ["src", "xtask/src", "build", "tests", "examples"].map(|folder| root().join(folder)).into();
    let mut checked = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string().replace('\\', "/");
            let is_ffi = name == "src/ffi.rs" || name.starts_with("src/ffi/") || name == "tests/dependencies.rs";
            checked += 1;
            assert!(is_ffi || !fs::read_to_string(&path).unwrap().contains("unsafe_code"), "{name} allows unsafe code");
        }
    }
    assert!(checked > 200, "{checked}");
}
