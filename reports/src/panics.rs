//! Panics inside a protocol are findings, caught where the protocol is run and reported with their
//! seed: nobody is served by their backtraces on the terminal, thousands of them while a failure is made
//! small. Panics anywhere else are bugs of ours and stay as loud as they are.

use shakedown_workloads::world::is_in_protocol;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static SHOW: AtomicBool = AtomicBool::new(false);

/// Keeps the panics of protocols off the terminal from now on.
pub fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !is_in_protocol() || SHOW.load(Ordering::Relaxed) {
                loud(panic);
            }
        }));
    });
}

/// Shows them all the same if `RUST_BACKTRACE` asks for backtraces: for a single run.
pub fn show_if_asked() {
    let is_asked = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    SHOW.store(is_asked, Ordering::Relaxed);
}
