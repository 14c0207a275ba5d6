//! Any day of a card of any scheme, cut at any flash operation: every answer is that of the card on paper, every cut leaves
//! before or after, and the books of its terminals and hosts balance. The body is in `crates/purse/tests/world/script.rs`.
//! With SCRIPT=1 in the environment a crash prints the script that `crates/purse/tests/books.rs` replays.
//!
//! Input: scheme and seed 1, then steps of four bytes: verb 1, how 1, amount 2.
#![no_main]

#[path = "../../crates/purse/tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::script::{Script, World};

fuzz_target!(|input: &[u8]| {
    let script = Script::from_bytes(input);
    if std::env::var_os("SCRIPT").is_some() {
        eprintln!("{script:?}");
    }
    World::run(&script);
});
