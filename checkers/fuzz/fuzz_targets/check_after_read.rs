//! Any bytes, read and judged by every model.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shakedown_checkers_fuzz::check(bytes));
