//! Any bytes as cobra.

#![no_main]

use shakedown_checkers::format::Format;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    shakedown_checkers_fuzz::read(bytes, Some(Format::Cobra));
});
