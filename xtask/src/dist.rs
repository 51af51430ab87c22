//! `cargo xtask dist`: the release archive of this platform, under `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{cargo, root, run};
use crate::{third_party, tool};

/// Most bytes of the program, its model included.
const MAX_PROGRAM: u64 = 25_000_000;
/// What the archive says of itself beside the program.
const TEXTS: [&str; 5] = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"];
const SHELLS: [(&str, &str); 5] = [
    ("bash", "pointtpa.bash"),
    ("elvish", "pointtpa.elv"),
    ("fish", "pointtpa.fish"),
    ("powershell", "_pointtpa.ps1"),
    ("zsh", "_pointtpa"),
];

pub(crate) fn build() -> Result<(), String> {
    tool::provide("cyclonedx")?;
    let target = host()?;
    let name = format!("pointtpa-{}-{target}", env!("CARGO_PKG_VERSION"));
    let dist = root().join("target/dist");
    let folder = dist.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    create(&folder)?;
    run("program", &mut cargo(&["build", "--locked", "--profile", "archive", "--bin", "pointtpa"]))?;
    let program = copy_program(&folder)?;
    for text in TEXTS {
        copy(&root().join(text), &folder.join(text))?;
    }
    third_party::write(&target, &folder.join("THIRD-PARTY.txt"))?;
    completions(&program, &folder.join("completions"))?;
    create(&folder.join("man"))?;
    run("manual pages", Command::new(&program).arg("man").arg(folder.join("man")))?;
    bill_of_materials(&target, &folder.join("pointtpa.cdx.json"))?;
    try_it(&program, &dist)?;
    let archive = pack(&dist, &name)?;
    checksum(&dist, &archive)?;
    println!("==> {}: {} bytes", dist.join(&archive).display(), size(&dist.join(&archive))?);
    Ok(())
}

/// The platform that the compiler runs on, which is the one that is built for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").args(["--print", "host-tuple"]).current_dir(root()).output();
    let output = output.map_err(|error| format!("rustc: {error}"))?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if name.is_empty() { Err("rustc does not say which platform this is".into()) } else { Ok(name) }
}

fn copy_program(folder: &Path) -> Result<PathBuf, String> {
    let file = format!("pointtpa{}", std::env::consts::EXE_SUFFIX);
    let program = folder.join(&file);
    copy(&root().join("target/archive").join(&file), &program)?;
    let bytes = size(&program)?;
    if bytes > MAX_PROGRAM {
        return Err(format!("the program has {bytes} bytes, more than the {MAX_PROGRAM} that it may have"));
    }
    println!("    program: {bytes} bytes of {MAX_PROGRAM}");
    Ok(program)
}

fn completions(program: &Path, folder: &Path) -> Result<(), String> {
    create(folder)?;
    for (shell, file) in SHELLS {
        let output = Command::new(program).args(["completions", shell]).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        if !output.status.success() || output.stdout.is_empty() {
            return Err(format!("the program gives no completions for {shell}"));
        }
        write(&folder.join(file), &output.stdout)?;
    }
    Ok(())
}

/// What the program is made of, as `CycloneDX` has it in JSON.
fn bill_of_materials(target: &str, file: &Path) -> Result<(), String> {
    let name = "pointtpa-dist";
    let what = ["--format", "json", "--spec-version", "1.5", "--target", target, "--no-build-deps"];
    let mut command = cargo(&["cyclonedx", "--override-filename", name]);
    run("bill of materials", command.args(what))?;
    // The tool writes beside the manifest of every member of the workspace.
    let of_member = |member: &str| root().join(member).join(format!("{name}.json"));
    let text = fs::read_to_string(of_member(".")).map_err(|error| format!("{name}.json: {error}"));
    for member in [".", "xtask"] {
        let _ = fs::remove_file(of_member(member));
    }
    // Where this was built is nobody's business.
    write(file, text?.replace(&root().display().to_string(), "/pointtpa").as_bytes())
}

/// What a user does first, with the program as it is packed: its own model, on the CPU.
fn try_it(program: &Path, folder: &Path) -> Result<(), String> {
    let (scan, labelled) = (root().join("assets/scenes/living_room.ply"), folder.join("labelled.ply"));
    let mut command = Command::new(program);
    // Elsewhere than in the checkout, whose files a packed program must not need.
    command.args(["segment", "--device", "cpu"]).arg(scan).arg("-o").arg(&labelled).current_dir(folder);
    run("first scan", &mut command)?;
    let _ = fs::remove_file(labelled);
    Ok(())
}

/// The archive of a folder, by the `tar` that every system has.
fn pack(dist: &Path, name: &str) -> Result<String, String> {
    let (archive, flags) =
        if cfg!(windows) { (format!("{name}.zip"), "-acf") } else { (format!("{name}.tar.gz"), "-czf") };
    run("archive", Command::new("tar").args([flags, &archive, name]).current_dir(dist))?;
    Ok(archive)
}

/// `ARCHIVE.sha256`, as `sha256sum --check` reads it.
fn checksum(dist: &Path, archive: &str) -> Result<(), String> {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("certutil");
        command.args(["-hashfile", archive, "SHA256"]);
        command
    } else if cfg!(target_os = "macos") {
        let mut command = Command::new("shasum");
        command.args(["-a", "256", archive]);
        command
    } else {
        let mut command = Command::new("sha256sum");
        command.arg(archive);
        command
    };
    let output = command.current_dir(dist).output().map_err(|error| format!("checksum: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_sum = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sum = text.split_whitespace().find(is_sum).ok_or_else(|| format!("no checksum in: {text}"))?;
    write(&dist.join(format!("{archive}.sha256")), format!("{sum}  {archive}\n").as_bytes())
}

fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))
}

fn size(file: &Path) -> Result<u64, String> {
    fs::metadata(file).map(|of| of.len()).map_err(|error| format!("{}: {error}", file.display()))
}
