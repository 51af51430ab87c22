//! Messages of the library on the browser's console.

use std::panic;

use log::{Level, LevelFilter, Log, Metadata, Record};
use web_sys::console;

struct Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // wgpu tells of every buffer.
        metadata.target().starts_with("pointtpa") || metadata.level() <= Level::Error
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string().into();
        match record.level() {
            Level::Error => console::error_1(&text),
            Level::Warn => console::warn_1(&text),
            _ => console::info_1(&text),
        }
    }

    fn flush(&self) {}
}

/// Once per module, whatever the number of engines.
pub(crate) fn set_up() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(LevelFilter::Info);
        // A bug of the program: what it says must not be lost with the worker.
        panic::set_hook(Box::new(|info| console::error_1(&info.to_string().into())));
    }
}
