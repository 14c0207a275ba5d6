//! Any commands, resets, collections and power cuts: no panic, every session starts clean, and the toy's invariant holds: the log
//! adds up to the counter, the counter never falls, a PIN has at most its tries. Whatever power does, the flash mounts again.
//!
//! The body and the form of its input are in `crates/card/tests/toy/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/card/tests/toy/mod.rs"]
mod toy;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| toy::any_apdu_with_cuts(input));
