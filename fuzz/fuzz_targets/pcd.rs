#![no_main]

#[path = "../entries.rs"]
#[allow(dead_code, reason = "each target calls one of the entry points that all of them share")]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::pcd(bytes));
