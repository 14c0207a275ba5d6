//! Any plan of goals, any accidents to link, card and worker, at any command or saving: the card ends as a model of the goals says,
//! object by object as if nothing had happened, and the key store keeps no session.
//!
//! The body and the form of its input are in `crates/gp/tests/jobs/mod.rs`, where a property test runs it as well.
#![no_main]

#[path = "../../crates/gp/tests/jobs/mod.rs"]
mod jobs;
#[path = "../../crates/gp/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| jobs::any_goals_with_kills(input));
