//! Histories of data types made from any bytes, and judged.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shakedown_checkers_fuzz::check_data_types(bytes));
