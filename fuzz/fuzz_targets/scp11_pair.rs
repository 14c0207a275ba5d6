//! SCP11: the card takes any bytes for a handshake without harm; an honest one opens a session both ends agree on; no changed answer, and no
//! changed command behind it, is taken for good; certificates of any bytes are refused or read.
//!
//! The body is in `crates/gp/tests/pairs/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/gp/tests/pairs/mod.rs"]
mod pairs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pairs::scp11(data));
