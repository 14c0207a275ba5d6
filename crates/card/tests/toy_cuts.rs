//! The toy application, cut at every flash operation in every mode, during commands, collections and recovery.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod toy;

use huiwan_card::Cut;
use proptest::prelude::*;
use toy::{Flash, Memories, State, check, issued, state, with_toy};

fn read(flash: &Flash) -> State {
    state(&mut Memories::mount(flash.clone()).unwrap())
}

/// Sends `commands` in one session; the last answer's status word.
fn send(flash: Flash, commands: &[&[u8]]) -> (u16, Flash) {
    with_toy(flash, |element, env| {
        let mut sw = 0;
        for command in commands {
            let answer = element.exchange(command, env);
            sw = u16::from_be_bytes(*answer.last_chunk().unwrap());
        }
        sw
    })
}

const VERIFY: &[u8] = b"\x00\x20\x00\x00\x041234";
const WRONG: &[u8] = b"\x00\x20\x00\x00\x044321";

/// Cuts the last command at every operation; what is found has to be among `allowed`, which gets the states before and after.
fn cut_everywhere(
    image: &Flash,
    commands: &[&[u8]],
    allowed: impl Fn(&State, &State, &State) -> bool,
) -> u32 {
    let (prefix, last) = commands.split_at(commands.len() - 1);
    let (_, before) = send(image.clone(), prefix);
    let (_, after) = send(image.clone(), commands);
    let (before, after) = (read(&before), read(&after));
    let mut cuts = 0;
    for cut in Cut::ALL {
        for n in 0.. {
            let (dead, mut flash) = with_toy(image.clone(), |element, env| {
                for command in prefix {
                    element.exchange(command, env);
                }
                element.memory_mut().flash_mut().cut_after(n, cut, 97 * n + 5);
                let sw = element.exchange(last[0], env).to_vec();
                let dead = element.memory().flash().is_dead();
                assert!(!dead || sw == [0x65, 0x81], "{sw:02X?}");
                dead
            });
            if !dead {
                break;
            }
            cuts += 1;
            flash.power_on();
            let found = read(&flash);
            check(&found);
            assert!(allowed(&found, &before, &after), "cut {n} {cut:?}: {found:?}");
            // Recovery is cut as well: at the collection of the next idle time.
            for again in 0..3 {
                let mut journal = Memories::mount(flash).unwrap();
                journal.flash_mut().cut_after(again * 2, Cut::ALL[(n + again) as usize % 4], n + again);
                let _ = journal.collect();
                flash = journal.into_flash();
                flash.power_on();
                assert_eq!(read(&flash), found);
            }
            // And the application goes on from there.
            let (sw, flash) = send(flash, &[&[0x80, 0x10, 0, 0, 1, 9]]);
            assert_eq!(sw, 0x9000);
            let next = read(&flash);
            check(&next);
            assert_eq!(next.counter, found.counter + 9);
        }
    }
    cuts
}

fn before_or_after(found: &State, before: &State, after: &State) -> bool {
    found == before || found == after
}

#[test]
fn counting_is_before_or_after() {
    let mut flash = issued();
    for n in 1..=7 {
        let command = [0x80, 0x10, 0, 0, 1, n];
        assert!(cut_everywhere(&flash, &[&command], before_or_after) >= 8);
        (_, flash) = send(flash, &[&command]);
        check(&read(&flash));
    }
    assert_eq!(read(&flash).counter, 28);
    assert_eq!(read(&flash).records.len(), 4);
}

#[test]
fn counting_is_before_or_after_when_a_page_is_opened() {
    let mut flash = issued();
    let mut opened = 0;
    for _ in 0..24 {
        let command = [0x80, 0x10, 0, 0, 1, 3];
        let operations = flash.operations();
        let (_, next) = send(flash.clone(), &[&command]);
        if next.operations() - operations > 2 {
            cut_everywhere(&flash, &[&command], before_or_after);
            opened += 1;
        }
        flash = next;
    }
    assert!(opened >= 2, "{opened}");
}

#[test]
fn files_are_before_or_after() {
    let flash = issued();
    let update: &[u8] = &[0x00, 0xD6, 0x95, 4, 5, 1, 2, 3, 4, 5];
    assert!(cut_everywhere(&flash, &[VERIFY, update], before_or_after) >= 8);
    let append: &[u8] = &[0x00, 0xE2, 0x00, 0x17 << 3, 4, 0xA1, 2, 3, 4];
    assert!(cut_everywhere(&flash, &[VERIFY, append], before_or_after) >= 8);
    let rewrite: &[u8] = &[0x00, 0xDC, 0xA1, 0x17 << 3, 5, 0xA1, 9, 9, 9, 9];
    assert!(cut_everywhere(&flash, &[VERIFY, append, rewrite], before_or_after) >= 8);
}

#[test]
fn a_try_is_spent_before_the_comparison() {
    let flash = issued();
    // Wrong: once the try is spent it stays spent.
    let wrong = |found: &State, before: &State, after: &State| {
        assert_eq!((before.tries, after.tries), (3, 2));
        found == before || found == after
    };
    assert!(cut_everywhere(&flash, &[WRONG], wrong) >= 8);
    // Right: 3 before, 2 in between, 3 after.
    let right = |found: &State, before: &State, after: &State| {
        before == after && (found == before || *found == State { tries: 2, ..before.clone() })
    };
    assert!(cut_everywhere(&flash, &[VERIFY], right) >= 16);
    // Whoever cuts power at the answer gets three guesses in all, not more.
    let mut flash = flash;
    for left in [2, 1, 0] {
        let (_, cut) = with_toy(flash, |element, env| {
            element.memory_mut().flash_mut().cut_after(2, Cut::After, 1);
            element.exchange(WRONG, env).to_vec()
        });
        flash = cut;
        flash.power_on();
        assert_eq!(read(&flash).tries, left);
    }
    assert_eq!(send(flash, &[VERIFY]).0, 0x6983);
}

#[test]
fn changing_the_pin_is_before_or_after() {
    let change: &[u8] = b"\x00\x24\x00\x00\x0912345678X";
    cut_everywhere(&issued(), &[change], |found, before, after| {
        assert_eq!(after.pin, b"5678X");
        found == before || found == after || *found == State { tries: 2, ..before.clone() }
    });
    let unblock: &[u8] = b"\x00\x2C\x00\x00\x049876";
    cut_everywhere(&issued(), &[WRONG, unblock], before_or_after);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any commands, cuts and resets: the toy equals its model, where a cut command counts as done or not.
    #[test]
    fn any_history_equals_the_model(steps in prop::collection::vec((0_u8..8, any::<u8>(), 0_u32..12, 0_usize..4), 1..40)) {
        let mut flash = issued();
        let mut model = read(&flash);
        for (what, value, after, cut) in steps {
            let mut journal = Memories::mount(flash).unwrap();
            if journal.needs_collection() {
                journal.collect().unwrap();
            }
            let (result, torn) = with_toy(journal.into_flash(), |element, env| {
                element.memory_mut().flash_mut().cut_after(after, Cut::ALL[cut], u32::from(value));
                let command: Vec<u8> = match what {
                    0..=3 => vec![0x80, 0x10, 0, 0, 1, value],
                    4 => VERIFY.to_vec(),
                    5 => WRONG.to_vec(),
                    6 => {
                        let answer = element.exchange(VERIFY, env).to_vec();
                        if answer != [0x90, 0x00] {
                            return (answer, element.memory().flash().is_dead());
                        }
                        vec![0x00, 0xD6, 0x95, value % 40, 1, value]
                    }
                    _ => b"\x00\x2C\x00\x00".to_vec(),
                };
                (element.exchange(&command, env).to_vec(), element.memory().flash().is_dead())
            });
            flash = torn;
            flash.power_on();
            let found = read(&flash);
            check(&found);
            let mut done = model.clone();
            let mut between = None;
            match what {
                0..=3 => {
                    done.counter += u32::from(value);
                    let mut record = done.counter.to_be_bytes().to_vec();
                    record.extend_from_slice(&[value, 0, 0, 0]);
                    done.records.insert(0, record);
                    done.records.truncate(4);
                }
                4 if model.tries > 0 => {
                    between = Some(State { tries: model.tries - 1, ..model.clone() });
                    done.tries = 3;
                }
                5 => done.tries = done.tries.saturating_sub(1),
                6 if model.tries > 0 => {
                    between = Some(State { tries: model.tries - 1, ..model.clone() });
                    done.tries = 3;
                    if value % 40 < 32 {
                        done.binary.resize(32, 0);
                        done.binary[usize::from(value % 40)] = value;
                    }
                }
                7 => done.tries = 3,
                _ => {}
            }
            let (answer, dead) = result;
            if dead {
                prop_assert_eq!(answer, vec![0x65, 0x81]);
                let verified = State { tries: 3, ..model.clone() };
                prop_assert!(found == done || found == model || Some(&found) == between.as_ref() || (what == 6 && found == verified));
            } else {
                prop_assert_eq!(&found, &done, "{} {:02X?}", what, answer);
            }
            model = found;
        }
    }

    /// The fuzz target's body, over inputs that are mostly commands.
    #[test]
    fn any_apdu_with_cuts(steps in prop::collection::vec(step(), 1..60)) {
        toy::any_apdu_with_cuts(&steps.concat());
    }
}

fn step() -> impl Strategy<Value = Vec<u8>> {
    let command = |bytes: Vec<u8>| [vec![0, bytes.len() as u8], bytes].concat();
    prop_oneof![
        6 => (1_u8..).prop_map(move |n| command(vec![0x80, 0x10, 0, 0, 1, n])),
        2 => Just(command(VERIFY.to_vec())),
        2 => (0_u8..40, any::<u8>()).prop_map(move |(at, byte)| command(vec![0x00, 0xD6, 0x95, at, 1, byte])),
        1 => any::<u8>().prop_map(move |tag| command(vec![0x00, 0xE2, 0x00, 0xB8, 2, tag, 1])),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(command),
        3 => any::<[u8; 3]>().prop_map(|[n, mode, seed]| vec![1, n, mode, seed]),
        1 => Just(vec![2]),
        1 => Just(vec![3]),
        2 => Just(vec![4]),
        1 => prop::collection::vec(any::<u8>(), 1..12),
    ]
}
