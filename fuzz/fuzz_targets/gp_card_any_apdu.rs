//! Any commands to a card with security domains, content management, SCP11 and the contactless registry service by someone who holds its keys,
//! in and out of a channel, with power cut at any commit: no panic, a consistent registry, no key in an answer, nothing left over. The
//! body and the form of its input are in `crates/gp/tests/any_apdu/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/gp/tests/any_apdu/mod.rs"]
mod any_apdu;
#[path = "../../crates/gp/tests/scp11_host/mod.rs"]
mod scp11_host;
#[path = "../../crates/gp/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_apdu::run(input);
});
