//! SCP02: what the host wraps the card unwraps to the same command and the other way round, R-MAC sessions included; any flipped bit ends
//! the session on the side that receives it.
//!
//! The body is in `crates/gp/tests/pairs/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/gp/tests/pairs/mod.rs"]
mod pairs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pairs::scp02(data));
