//! By when a call has to be over, for it and for whatever is called on its behalf.
//!
//! The clocks of two machines do not agree, so what is sent is how long it still is: less the time on the way, which
//! nobody knows. A server's deadline is later than its client's by that time, and by less than a millisecond
//! earlier, for what remains is rounded down.

use crate::protocol::Time;
use crate::resilience::clock::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When it is over, by the clock of whoever holds it.
///
/// ```
/// use shakedown_impls::protocol::Time;
/// use shakedown_impls::resilience::retry::Deadline;
/// use std::time::Duration;
///
/// // A client gives itself 30 ms, and sends what remains of them after 12.9.
/// let client = Deadline::after(Time(0), Duration::from_millis(30));
/// let header = client.header(Time(12_900_000));
/// assert_eq!((Deadline::HEADER, &*header), ("deadline-remaining-ms", "17"));
/// // The server's clock shows something else.
/// let server = Deadline::from_header(&header, Time(5_000_000_000)).unwrap();
/// assert_eq!(server.remaining(Time(5_010_000_000)), Duration::from_millis(7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Deadline(pub Time);

impl Deadline {
    /// What a header is called that carries one.
    pub const HEADER: &str = "deadline-remaining-ms";

    /// So long after `now`.
    pub fn after(now: Time, duration: Duration) -> Deadline {
        Deadline(Time(now.0.saturating_add(nanos(duration))))
    }

    /// How long it still is; nothing, if it is over.
    pub fn remaining(self, now: Time) -> Duration {
        Duration::from_nanos(self.0.0.saturating_sub(now.0))
    }

    /// Whether it is over: it is at the very time, too.
    pub fn is_over(self, now: Time) -> bool {
        self.0 <= now
    }

    /// What remains, in whole milliseconds: for a header.
    pub fn header(self, now: Time) -> String {
        self.remaining(now).as_millis().to_string()
    }

    /// What a header says that came just now; `None` if it is no number of milliseconds.
    pub fn from_header(value: &str, now: Time) -> Option<Deadline> {
        // Digits only: a number may not have a sign here.
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let remaining_ms = is_number.then(|| value.parse().unwrap_or(u64::MAX))?;
        Some(Deadline::after(now, Duration::from_millis(remaining_ms)))
    }
}
