//! Any commands, resets, collections and power cuts: no panic, every session starts clean, and the toy's invariant holds: the log
//! adds up to the counter, the counter never falls, a PIN has at most its tries. Whatever power does, the flash mounts again.
//!
//! Input: `00 len APDU` a command · `01 n mode seed` power is cut in the operation after the next n · `02` reset · `03` power off and
//! on · `04` idle collection · anything else: a command taken from the rest, so that raw APDUs are inputs as well.
#![no_main]

#[path = "../../crates/card/tests/toy/mod.rs"]
mod toy;

use huiwan_card::{Cut, Environment, Interface, Module, StaticDirectory};
use huiwan_testkit::rng::Seeded;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use toy::{AID, Flash, Memories, State, TOY, Toy, ToyElement, check, entry, issued, state};

fuzz_target!(|input: &[u8]| {
    static ISSUED: OnceLock<Flash> = OnceLock::new();
    let entries = [entry(TOY, 0, &AID)];
    let modules: [&dyn Module; 1] = [&Toy];
    let mut random = Seeded::new(7);
    let mut env = Environment { random: &mut random, now: None };
    let mut flash = ISSUED.get_or_init(issued).clone();
    let mut rest = input;
    let mut last: Option<State> = None;
    // One life of the element, from mounting to the loss of power.
    for _ in 0..32 {
        flash.power_on();
        let mut memory = Memories::mount(flash).expect("what was cut mounts again");
        let found = state(&mut memory);
        check(&found);
        if let Some(last) = &last {
            assert!(found.counter >= last.counter);
        }
        last = Some(found);
        let mut element = ToyElement::new(&modules, StaticDirectory(&entries), memory);
        element.power_on(Interface::Contactless, &mut env);
        while let Some((&what, after)) = rest.split_first() {
            rest = after;
            match (what, rest) {
                (0, &[len, ref after @ ..]) => {
                    let (command, after) = after.split_at(after.len().min(len.into()));
                    rest = after;
                    let answer = element.exchange(command, &mut env);
                    assert!(answer.len() >= 2 && answer.len() <= 258);
                }
                (1, &[n, mode, seed, ref after @ ..]) => {
                    rest = after;
                    let cut = Cut::ALL[usize::from(mode) % 4];
                    element.memory_mut().flash_mut().cut_after(u32::from(n) % 16, cut, seed.into());
                }
                (2, _) => element.reset(),
                (3, _) => break,
                (4, _) => {
                    let done = element.memory_mut().collect();
                    assert!(done.is_ok() || element.memory().flash().is_dead(), "{done:?}");
                }
                _ => {
                    element.exchange(rest, &mut env);
                    rest = rest.get(5..).unwrap_or_default();
                }
            }
            if element.memory().flash().is_dead() {
                break;
            }
        }
        flash = element.into_memory().into_flash();
        if rest.is_empty() {
            break;
        }
    }
    flash.power_on();
    let mut memory = Memories::mount(flash).expect("what was cut mounts again");
    let found = state(&mut memory);
    check(&found);
    memory.collect().expect("a collection with power succeeds");
    assert_eq!(state(&mut memory), found);
});
