//! Running other programs, one after the other, saying which.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs a program to its end, or says how it failed.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {title}: {}", line(command));
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{title}: {}: {error}", line(command)))?;
    if !status.success() {
        return Err(format!("{title} failed ({status}): {}", line(command)));
    }
    println!("    {title}: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Whether a program can be started and is content.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// `cargo` with arguments, in the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // Mesa's device selection layer complains on machines without a desktop session.
    command.env("NODEVICE_SELECT", "1");
    command
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let variables = command.get_envs().filter_map(|(name, value)| {
        let shown = name.to_string_lossy().starts_with("POINTTPA_");
        Some(format!("{}={}", name.display(), value?.display())).filter(|_| shown)
    });
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.display().to_string());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}
