//! Ctrl-C: the first one asks whatever is done to stop and say what is known, the second one ends at once.
//! And time: an [`Alarm`] asks the same when one has gone by.

use crate::exit::Exit;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whether the user wants to stop.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Set while the program does what asking would not end, and what its end is then.
    waiting: Arc<Mutex<Option<Exit>>>,
    /// What the second interrupt ends with: nothing is decided, unless something worse is known.
    known: Arc<Mutex<Exit>>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on; every call gives the same listener.
    pub fn listen() -> Interrupt {
        static LISTENER: OnceLock<Interrupt> = OnceLock::new();
        LISTENER
            .get_or_init(|| {
                let interrupt = Interrupt {
                    asked: Arc::default(),
                    waiting: Arc::default(),
                    known: Arc::new(Mutex::new(Exit::Unknown)),
                };
                let heard = interrupt.clone();
                // Without a handler Ctrl-C ends the process at once: worse, but not wrong.
                let _ = ctrlc::set_handler(move || {
                    let again = heard.asked.swap(true, SeqCst);
                    let waiting = heard.waiting.lock().map_or(None, |waiting| *waiting);
                    let known = heard.known.lock().map_or(Exit::Unknown, |known| *known);
                    if let Some(exit) = waiting.or(again.then_some(known)) {
                        if exit != Exit::Valid {
                            let _ = writeln!(std::io::stderr(), "interrupted");
                        }
                        std::process::exit(i32::from(exit.code()));
                    }
                    // On a terminal the line is taken, by the progress bar or by ^C.
                    let start = if std::io::stderr().is_terminal() { "\n" } else { "" };
                    let message = "interrupted: stopping with what is known so far (again to stop at once)";
                    let _ = writeln!(std::io::stderr(), "{start}{message}");
                });
                interrupt
            })
            .clone()
    }

    /// True once the user has asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(SeqCst)
    }

    /// The flag itself: for [`shakedown_checkers::options::Options::cancel`], and whatever else looks at one.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Tells that the command cannot end better than with `exit` any more: so ends a second interrupt.
    pub fn ends_with(&self, exit: Exit) {
        let mut known = self.known.lock().expect("nobody panics while holding it");
        *known = known.max(exit).max(Exit::Unknown);
    }

    /// Runs `wait`, which may be for somebody to type; an interrupt during it ends the process with `exit`.
    pub fn while_waiting<T>(&self, exit: Exit, wait: impl FnOnce() -> T) -> T {
        let set = |exit| *self.waiting.lock().expect("nobody panics while holding it") = exit;
        set(Some(exit));
        let result = wait();
        set(None);
        result
    }
}

/// A flag that is set when the user asks to stop, and when a time is over. It ends when it is dropped.
#[derive(Debug)]
pub struct Alarm {
    flag: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Alarm {
    /// How long it takes at most to hear of an interrupt.
    const LOOK_EVERY: Duration = Duration::from_millis(10);

    /// One that goes off after `time`, if there is a time, and with `interrupt`.
    pub fn set(interrupt: &Interrupt, time: Option<Duration>) -> Alarm {
        let Some(deadline) = time.and_then(|time| Instant::now().checked_add(time)) else {
            return Alarm { flag: interrupt.flag(), stop: None, thread: None };
        };
        // No time at all is over at once, and not when the thread gets round to it.
        let flag = Arc::new(AtomicBool::new(time == Some(Duration::ZERO)));
        let (stop, stopped) = channel();
        let (interrupt, sets) = (interrupt.clone(), Arc::clone(&flag));
        let thread = std::thread::spawn(move || {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || interrupt.is_asked() {
                    return sets.store(true, SeqCst);
                }
                if stopped.recv_timeout(left.min(Alarm::LOOK_EVERY)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Alarm { flag, stop: Some(stop), thread: Some(thread) }
    }

    /// The flag.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// The flag, for whoever outlives the alarm: nobody sets it then.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("nothing in an alarm panics");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_goes_off_in_time_and_not_before() {
        let known = Arc::new(Mutex::new(Exit::Unknown));
        let interrupt = Interrupt { asked: Arc::default(), waiting: Arc::default(), known };
        let begin = Instant::now();
        let alarm = Alarm::set(&interrupt, Some(Duration::from_millis(30)));
        while !alarm.flag().load(SeqCst) {
            std::thread::yield_now();
        }
        assert!(begin.elapsed() >= Duration::from_millis(30));
        let never = Alarm::set(&interrupt, None);
        let late = Alarm::set(&interrupt, Some(Duration::from_secs(3600)));
        assert!(!never.flag().load(SeqCst) && !late.flag().load(SeqCst));
        interrupt.asked.store(true, SeqCst);
        assert!(never.flag().load(SeqCst));
        assert!(Alarm::set(&interrupt, Some(Duration::ZERO)).flag().load(SeqCst));
        while !late.flag().load(SeqCst) {
            std::thread::yield_now();
        }
    }
}
