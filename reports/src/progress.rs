//! Signs of life while a check runs: a bar on a terminal, a line now and then elsewhere.
//!
//! All of it goes to standard error, and only once a check has taken longer than a second: whoever
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
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows `progress` until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to watch the check of `path`.
    pub fn start(path: &str, progress: Arc<Progress>) -> Watcher {
        let (stop, stopped) = channel();
        let path = printable(path).into_owned();
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            let is_terminal = std::io::stderr().is_terminal();
            let first = if is_terminal { QUIET_FOR } else { LINE_EVERY };
            if stopped.recv_timeout(first) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = is_terminal.then(|| bar(begin.elapsed()));
            loop {
                match &bar {
                    Some(bar) => {
                        bar.set_length(progress.total.load(Relaxed).max(1));
                        bar.set_position(progress.placed.load(Relaxed));
                        bar.set_message(format!("{}: {path}", effort(&progress)));
                        bar.tick();
                    }
                    None => {
                        // Nobody listening on standard error is no reason to stop.
                        let _ = writeln!(std::io::stderr(), "{path}: {}", line(&progress, begin.elapsed()));
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

/// Numbers first and the path last: what a narrow terminal cuts off is the path.
fn bar(elapsed: Duration) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr()).with_elapsed(elapsed);
    let template = "{elapsed} [{bar:12}] {human_pos}/{human_len} placed, {wide_msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant").progress_chars("=> "));
    bar
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    format!(
        "{} of {} placed, {}, {} s",
        thousands(progress.placed.load(Relaxed)),
        count(progress.total.load(Relaxed), "operation"),
        effort(progress),
        elapsed.as_secs()
    )
}

fn effort(progress: &Progress) -> String {
    let configurations = count(progress.configurations.load(Relaxed), "configuration");
    format!("{configurations}, {}", size(progress.memory_bytes.load(Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_at_what_cost() {
        let progress = Progress::default();
        progress.placed.store(1200, Relaxed);
        progress.total.store(5000, Relaxed);
        progress.configurations.store(1, Relaxed);
        progress.memory_bytes.store(3 << 20, Relaxed);
        let expected = "1,200 of 5,000 operations placed, 1 configuration, 3.0 MiB, 20 s";
        assert_eq!(line(&progress, Duration::from_secs(20)), expected);
    }

    #[test]
    fn a_watcher_ends_with_the_check() {
        let begin = Instant::now();
        drop(Watcher::start("x", Arc::default()));
        assert!(begin.elapsed() < QUIET_FOR, "the watcher slept on after the check had ended");
    }
}
