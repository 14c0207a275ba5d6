//! Any commands to the issued band, on any interface, with power cut anywhere: no panic, no money made or lost, no piece
//! of a provisioned secret in an answer. The body and the form of its input are in
//! `crates/huiwan/tests/any_apdu/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/huiwan/tests/any_apdu/mod.rs"]
mod any_apdu;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_apdu::run(input);
});
