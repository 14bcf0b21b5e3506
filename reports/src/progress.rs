//! Signs of life while something takes its time: a bar on a terminal, a line now and then elsewhere.
//!
//! All of it goes to standard error, and as a rule only once it has taken longer than a second: whoever
//! judges a hundred small files sees verdicts and nothing else.

use crate::terminal::{count, printable, size, thousands};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shakedown_checkers::options::Progress;
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const QUIET_FOR: Duration = Duration::from_secs(1);
/// A bar that is gone again sooner than that is a flicker.
const FLICKER: Duration = Duration::from_millis(100);
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// When to show signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Never.
    Never,
    /// Once it has taken a second.
    WhenLong,
    /// From the beginning, on a terminal: for what is known to take long.
    AtOnce,
}

/// How far something has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// So much of [`Sign::total`] is done.
    pub done: u64,
    /// All that there is to do; 0 where nobody knows.
    pub total: u64,
    /// The numbers, and what they are of.
    pub numbers: String,
}

/// Shows how far something has come, until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to watch the check of `path`.
    pub fn start(path: &str, progress: Arc<Progress>) -> Watcher {
        Watcher::of(path, QUIET_FOR, move |_| placed(&progress))
    }

    /// Begins to watch what is called `name`, if it is to be `watched`; `look` tells how far it has come in
    /// that time.
    pub fn when(
        watched: Watched,
        name: &str,
        look: impl Fn(Duration) -> Sign + Send + 'static,
    ) -> Option<Watcher> {
        match watched {
            Watched::Never => None,
            Watched::WhenLong => Some(Watcher::of(name, QUIET_FOR, look)),
            Watched::AtOnce => Some(Watcher::of(name, FLICKER, look)),
        }
    }

    fn of(name: &str, quiet: Duration, look: impl Fn(Duration) -> Sign + Send + 'static) -> Watcher {
        let (stop, stopped) = channel();
        let name = printable(name).into_owned();
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            let is_terminal = std::io::stderr().is_terminal();
            let first = if is_terminal { quiet } else { LINE_EVERY };
            if stopped.recv_timeout(first) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = is_terminal.then(|| bar(begin.elapsed()));
            loop {
                let sign = look(begin.elapsed());
                match &bar {
                    Some(bar) => {
                        bar.set_length(sign.total.max(1));
                        bar.set_position(sign.done.min(sign.total));
                        bar.set_message(format!("{}: {name}", sign.numbers));
                        bar.tick();
                    }
                    None => {
                        // Nobody listening on standard error is no reason to stop.
                        let seconds = begin.elapsed().as_secs();
                        let _ = writeln!(std::io::stderr(), "{name}, {seconds} s: {}", sign.numbers);
                    }
                }
                let pause = if is_terminal { BAR_EVERY } else { LINE_EVERY };
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        Watcher { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("nothing in the watcher panics");
        }
    }
}

/// Numbers first and the name last: what a narrow terminal cuts off is the name.
fn bar(elapsed: Duration) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr()).with_elapsed(elapsed);
    let template = "{elapsed} [{bar:12}] {wide_msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant").progress_chars("=> "));
    bar
}

fn placed(progress: &Progress) -> Sign {
    let (done, total) = (progress.placed.load(Relaxed), progress.total.load(Relaxed));
    let configurations = count(progress.configurations.load(Relaxed), "configuration");
    let memory = size(progress.memory_bytes.load(Relaxed));
    let numbers = if total == 0 {
        "reading it, or following what it says".to_owned()
    } else {
        format!("{} of {} placed, {configurations}, {memory}", thousands(done), count(total, "operation"))
    };
    Sign { done, total, numbers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_says_how_far_and_at_what_cost() {
        let progress = Progress::default();
        assert_eq!(placed(&progress).numbers, "reading it, or following what it says");
        progress.placed.store(1200, Relaxed);
        progress.total.store(5000, Relaxed);
        progress.configurations.store(1, Relaxed);
        progress.memory_bytes.store(3 << 20, Relaxed);
        let numbers = "1,200 of 5,000 operations placed, 1 configuration, 3.0 MiB".to_owned();
        assert_eq!(placed(&progress), Sign { done: 1200, total: 5000, numbers });
    }

    #[test]
    fn a_watcher_ends_with_the_check() {
        let begin = Instant::now();
        drop(Watcher::start("x", Arc::default()));
        assert!(begin.elapsed() < QUIET_FOR, "the watcher slept on after the check had ended");
    }
}
