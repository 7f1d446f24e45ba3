#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dumpscope_fuzz::open_and_read_everything(data));
