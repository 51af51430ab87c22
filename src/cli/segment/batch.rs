//! Many scans, one after the other or several at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use super::Run;
use crate::exit::{CANCELLED, Failure, Outcome};
use crate::inputs::Job;
use crate::{results, screen};

/// A scan of the batch.
pub(super) struct Task {
    pub(super) job: Job,
    /// Whether an earlier run has labelled it.
    pub(super) is_done: bool,
}

/// What a scan came to: what is printed of it, if anything, or why it failed.
type Told = Result<Option<String>, Failure>;

impl Run<'_> {
    /// Labels the scans, as many at once as `--jobs` says. What is said of them on standard output keeps their order, each as
    /// soon as it and those before it are done. Goes on after a scan that fails, and fails with the first failure at the end.
    pub(super) fn batch(&self, tasks: &[Task]) -> Outcome {
        let mut ledger = Ledger { is_json: self.global.json, printed: 0, failures: Vec::new(), was_cancelled: false };
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| -> Outcome {
            for _ in 0..self.command.jobs.min(tasks.len()) {
                let (sender, next, stop) = (sender.clone(), &next, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let index = next.fetch_add(1, Ordering::SeqCst);
                        let Some(task) = tasks.get(index) else { return };
                        let told = self.task(task, index, tasks.len());
                        if told.as_ref().is_err_and(Failure::ends_the_batch) {
                            stop.store(true, Ordering::SeqCst);
                        }
                        // Nobody listens once the results cannot be printed.
                        if sender.send((index, told)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            // Scans are begun in order, so those before a finished one are done or under way.
            let mut waiting = BTreeMap::new();
            for (index, told) in receiver {
                waiting.insert(index, told);
                while let Some(told) = waiting.remove(&ledger.printed) {
                    let printed = ledger.print(&tasks[ledger.printed].job, told);
                    printed.inspect_err(|_| stop.store(true, Ordering::SeqCst))?;
                }
            }
            Ok(())
        })?;
        ledger.end(tasks.len())
    }

    /// Labels one scan of the batch, and says on standard error how it goes.
    fn task(&self, task: &Task, index: usize, all: usize) -> Told {
        let Task { job, is_done } = task;
        if *is_done {
            // In words it has been said how many there are.
            return Ok(self.global.json.then(|| results::json_line(&already_labelled(job))));
        }
        let place = format!("[{}/{all}] ", index + 1);
        if self.command.jobs > 1 {
            screen::start_lines_with(&place);
            screen::say(&job.input.display().to_string());
        } else {
            screen::say(&format!("{place}{}", job.input.display()));
        }
        match self.one(job) {
            Ok(summary) => {
                Ok(Some(if self.global.json { results::json_line(&summary.json()) } else { summary.text() }))
            }
            Err(failure) => {
                if failure.code != CANCELLED {
                    screen::error(&failure.message);
                }
                Err(failure)
            }
        }
    }
}

/// What `--json` says of a scan that an earlier run has labelled.
pub(super) fn already_labelled(job: &Job) -> serde_json::Value {
    let Job { input, output } = job;
    json!({"file": input.display().to_string(), "output": output.display().to_string(), "labelled_already": true})
}

/// Keeps the books of a batch.
struct Ledger {
    is_json: bool,
    /// Scans that have been told of.
    printed: usize,
    failures: Vec<(PathBuf, u8)>,
    was_cancelled: bool,
}

impl Ledger {
    fn print(&mut self, job: &Job, told: Told) -> Outcome {
        self.printed += 1;
        match told {
            Ok(Some(text)) => results::print(&text),
            Ok(None) => Ok(()),
            Err(failure) => {
                if failure.code == CANCELLED {
                    self.was_cancelled = true;
                } else {
                    self.failures.push((job.input.clone(), failure.code));
                }
                if self.is_json { results::print(&results::json_line(&failed(&job.input, &failure))) } else { Ok(()) }
            }
        }
    }

    /// What failed of `all` scans. Each has been told in its turn: at the end stands which to look at.
    fn end(self, all: usize) -> Outcome {
        let code = if self.was_cancelled { Some(CANCELLED) } else { self.failures.first().map(|(_, code)| *code) };
        let Some(code) = code else { return Ok(()) };
        let mut parts = Vec::new();
        if self.was_cancelled {
            parts.push("cancelled; `--resume` goes on".to_owned());
        }
        if !self.failures.is_empty() {
            let list: Vec<String> = self.failures.iter().map(|(path, _)| format!("\n  {}", path.display())).collect();
            parts.push(format!("{} of {all} scans failed:{}", list.len(), list.concat()));
        }
        if self.printed < all && !self.was_cancelled {
            parts.push(format!("{} were not begun: `--resume` goes on with them", all - self.printed));
        }
        let message = parts.join("\n");
        Err(Failure { code, message })
    }
}

/// What `--json` says of a scan that failed.
pub(super) fn failed(input: &Path, failure: &Failure) -> serde_json::Value {
    json!({"file": input.display().to_string(), "error": failure.message, "code": failure.code})
}
