//! Any commands to an issued purse of any scheme, with power cut at any commit: no panic, and nothing changes but the lock,
//! the PIN and its tries. The body and the form of its input are in `crates/purse/tests/any_apdu/mod.rs`, where a property
//! test runs it as well.
#![no_main]

#[path = "../../crates/purse/tests/any_apdu/mod.rs"]
mod any_apdu;
#[path = "../../crates/purse/tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_apdu::run(input);
});
