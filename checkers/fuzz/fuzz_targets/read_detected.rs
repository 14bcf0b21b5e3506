//! Any bytes, the format detected; compressed input as well.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    shakedown_checkers_fuzz::read(bytes, None);
});
