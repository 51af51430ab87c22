//! The `pointtpa` program.
//!
//! One file per command; what they share is named for what it does: `arguments` (the options), `exit` (errors to exit
//! codes), `interrupt` (Ctrl-C), `screen` (stderr: messages and progress), `results` (stdout), `inputs` (files, folders
//! and patterns), `output` (files that appear whole or not at all), `choice` (which device, which model).

mod arguments;
mod bench;
mod chart;
mod check;
mod choice;
mod convert;
mod doctor;
mod eval;
mod exit;
mod info;
mod init;
mod inputs;
mod interrupt;
mod man;
mod memory_size;
mod opened;
mod output;
mod png;
mod render;
mod results;
mod screen;
mod segment;
mod serve;
mod summary;
mod synth;
mod table;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    screen::set_up(arguments.global.quiet);
    interrupt::set_up();
    let outcome = match &arguments.command {
        Command::Bench(command) => bench::run(&arguments.global, command),
        Command::Check(command) => check::run(&arguments.global, command),
        Command::Convert(command) => convert::run(&arguments.global, command),
        Command::Doctor => doctor::run(&arguments.global),
        Command::Eval(command) => eval::run(&arguments.global, command),
        Command::Info(command) => info::run(&arguments.global, command),
        Command::Init(command) => init::run(&arguments.global, command),
        Command::Man { folder } => man::run(folder),
        Command::Render(command) => render::run(&arguments.global, command),
        Command::Segment(command) => segment::run(&arguments.global, command),
        Command::Serve(command) => serve::run(&arguments.global, command),
        Command::Synth(command) => synth::run(&arguments.global, command),
        Command::Train(command) => train::run(&arguments.global, command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "pointtpa", &mut script);
            results::print(&String::from_utf8_lossy(&script))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::clear();
            screen::error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}
