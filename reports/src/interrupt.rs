//! Ctrl-C: the first one asks the check to stop and say what is known, the second one ends at once.

use crate::exit::Exit;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

/// Whether the user wants to stop.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Set while the program waits for standard input, where asking would not be heard.
    waiting: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on; every call gives the same listener.
    pub fn listen() -> Interrupt {
        static LISTENER: OnceLock<Interrupt> = OnceLock::new();
        LISTENER
            .get_or_init(|| {
                let interrupt = Interrupt { asked: Arc::default(), waiting: Arc::default() };
                let heard = interrupt.clone();
                // Without a handler Ctrl-C ends the process at once: worse, but not wrong.
                let _ = ctrlc::set_handler(move || {
                    let again = heard.asked.swap(true, SeqCst);
                    if again || heard.waiting.load(SeqCst) {
                        let _ = writeln!(std::io::stderr(), "interrupted");
                        std::process::exit(i32::from(Exit::Unknown.code()));
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

    /// The flag itself, for [`shakedown_checkers::options::Options::cancel`].
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Runs `read`, which may wait for somebody to type; an interrupt during it ends the process.
    pub fn while_waiting<T>(&self, read: impl FnOnce() -> T) -> T {
        self.waiting.store(true, SeqCst);
        let result = read();
        self.waiting.store(false, SeqCst);
        result
    }
}
