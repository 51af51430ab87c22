//! Project chores; [`HELP`] lists them.
//!
//! It has no dependencies, so that a fresh clone starts testing at once.

mod ablation;
mod adapter;
mod browsers;
mod deny;
mod dist;
mod ffi;
mod platforms;
mod step;
mod suite;
mod third_party;
mod tool;
mod toolchain;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test       what CI runs first: formatting, lints, all tests, the tests again on the portable tier.
                       On Debian and its kin it first installs a software Vulkan driver if there is none.
cargo xtask platforms  checks the program for Windows and macOS and the library for Android and browsers, and that every
                       shader can be written in the languages of their drivers. Missing targets come from rustup.
cargo xtask deny       checks licences, known faults, duplicates and sources of all crates with cargo-deny, which it
                       installs. It fetches the list of known faults; --offline uses the one that is there.
cargo xtask dist       builds the release archive of this platform into target/dist/, with cargo-cyclonedx, which it
                       installs: the program with its model, licences, completions, manual pages, what it is made of.
cargo xtask web        builds the page for browsers into web/dist/. It needs Node 20.19 or newer.
cargo xtask browsers   builds the page and tries it in Chromium and Firefox, which it installs on Debian and its kin.
                       Without Node it says so and is content, but not with --required.
cargo xtask ablation   adapts a model to other rooms in every way there is, and writes docs/ablation.md. It takes an
                       hour and a half on two cores, and goes on where it was stopped; --scale 0.02 rehearses it.
cargo xtask header     writes capi/include/pointtpa.h from src/ffi; with --check it only compares them.
cargo xtask ffi        runs the C programs under the address sanitizer and under valgrind, which it installs on Debian
                       and its kin.

Environment:
  POINTTPA_TEST_DEVICE  (part of) the name of the adapter to test on, else the best one of this machine
  POINTTPA_SHARED       folder with the reference's recorded runs and real scans, else ../shared";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => suite::run_all(),
        ["platforms"] => platforms::check(),
        ["deny"] => deny::check(false),
        ["deny", "--offline"] => deny::check(true),
        ["dist"] => dist::build(),
        ["web"] => web::build(),
        ["browsers"] => browsers::test(false),
        ["browsers", "--required"] => browsers::test(true),
        ["header"] => ffi::header(&[]),
        ["header", "--check"] => ffi::header(&["--check"]),
        ["ffi"] => ffi::check(),
        ["ablation", ref options @ ..] => ablation::run(options),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
