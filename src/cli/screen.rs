//! Standard error: messages, and progress bars where it is a terminal.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use log::{Level, LevelFilter};

/// All bars, so that messages go above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
static QUIET: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What this thread's lines and bars start with.
    static START: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Shows the library's messages: the chosen device, warnings. `RUST_LOG` asks for more.
pub(crate) fn set_up(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
    let mut logger = env_logger::Builder::new();
    // Graphics drivers and loaders report much that means nothing to users.
    logger.filter_level(LevelFilter::Off);
    logger.filter_module("pointtpa", if quiet { LevelFilter::Error } else { LevelFilter::Info });
    logger.parse_default_env();
    logger.format(|out, record| match (record.level(), record.target().starts_with("pointtpa")) {
        (Level::Info, true) => writeln!(out, "{}", record.args()),
        (Level::Warn, true) => writeln!(out, "warning: {}", record.args()),
        (level, _) => writeln!(out, "{level} {}: {}", record.target(), record.args()),
    });
    logger.target(env_logger::Target::Pipe(Box::new(AboveBars)));
    logger.init();
    // The library reports as an error what goes wrong on that thread.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(pointtpa::scan::LAZ_THREAD) {
            hook(panic);
        }
    }));
}

/// From here on only warnings of the library are shown, unless `RUST_LOG` asks for more: what follows has been said.
pub(crate) fn hush() {
    if log::max_level() == LevelFilter::Info {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// From here on this thread's lines and bars start with `text`, for work on several things at once.
pub(crate) fn start_lines_with(text: &str) {
    START.set(text.to_owned());
}

/// Whether nothing is said but what went wrong.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Says something, unless `--quiet`.
pub(crate) fn say(message: &str) {
    if !is_quiet() {
        line(message);
    }
}

/// Says what went wrong, always.
pub(crate) fn error(message: &str) {
    if !message.is_empty() {
        line(&format!("error: {message}"));
    }
}

/// Takes the bars off the screen.
pub(crate) fn clear() {
    let _ = BARS.clear();
}

/// A bar of `length` units, invisible where stderr is no terminal and with `--quiet`. It shows rate and time left.
pub(crate) fn bar(length: u64, unit: &'static str) -> ProgressBar {
    if QUIET.load(Ordering::Relaxed) || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = BARS.add(ProgressBar::new(length));
    if let Ok(style) = ProgressStyle::with_template("{prefix}{msg:<14} {bar:32} {percent:>3} %  {rate}  {eta} left") {
        let rate = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0} {unit}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.with_prefix(START.with_borrow(Clone::clone))
}

/// A bar of training steps. What is said of the last one stands in its message.
pub(crate) fn steps_bar(steps: u64) -> ProgressBar {
    if QUIET.load(Ordering::Relaxed) || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = BARS.add(ProgressBar::new(steps));
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn line(message: &str) {
    // A terminal that is gone is no reason to stop.
    let text = START.with_borrow(|start| format!("{start}{message}\n"));
    let _ = AboveBars.write_all(text.as_bytes());
}

struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
