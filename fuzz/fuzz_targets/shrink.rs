#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumpscope_fuzz::shrink(data));
