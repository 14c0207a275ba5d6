//! The grey lock of fuel cards: flows, orders, MACs, replay, power cuts, and money that is never made or lost. All MACs come
//! from the second implementation: there is no public vector.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use std::collections::BTreeMap;

use huiwan_card::{Cut as FlashCut, Journal, Memory, ObjectId, RamFlash};
use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::Profile;
use proptest::prelude::*;
use world::by_hand::bytes;
use world::fuel::{
    PUMP, STAMP, grey_unlock, init_lock, init_unlock, issue, issued, key, lock, profiles, unlock,
    unlock_mac1, unlock_mac3, unlock_tac,
};
use world::{Band, RamBand, entries, hex, modules, oracle};

const WRONG_LOCK: &str = "E07C08001300000001A1B2C3D4202611221417400000000008";

fn balance<M: Memory>(band: &mut Band<M>) -> u32 {
    u32::from_be_bytes(band.ok("805C000204").try_into().unwrap())
}

#[test]
fn lock_deliver_unlock() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        band.expect("E0CA00001E", &format!("{}9000", "00".repeat(30)));
        let locking = init_lock(&mut band, &profile, 9);
        assert_eq!(hex(&locking.init[..11]), "00001388042C0000000101", "{}", profile.name);
        let mac2 = hex(&oracle::mac(&locking.session, &5000_u32.to_be_bytes()));
        let gtac = format!("00001388042C91{PUMP}00000009{STAMP}");
        let gtac = hex(&oracle::tac(&key(&profile, KeyKind::Tac), &bytes(&gtac)));
        band.expect(&locking.command, &format!("{gtac}{mac2}9000"));
        let proof = format!("0191020000 1388042C{PUMP}{STAMP}{mac2}{gtac}9000");
        band.expect("E0CA00001E", &proof);
        // Reading with P1 01 takes nothing away from a lock.
        band.expect("E0CA01001E", &proof);
        band.expect("805A009102042D08", &format!("{mac2}{gtac}9000"));
        assert_eq!(balance(&mut band), 5000);
        band.expect("00B201C417", "6A83");

        let tac = unlock_tac(&profile, &locking, 1234);
        band.expect(&unlock(&locking, 1234), &format!("{tac}9000"));
        assert_eq!(balance(&mut band), 3766);
        band.expect("00B201C417", &format!("042D000000000004D293{PUMP}{STAMP}9000"));
        band.expect("805A009302042D08", &format!("00000000{tac}9000"));
        let proof = |status: u8| format!("{status:02X}930200000EB6042C{PUMP}{STAMP}{mac2}{tac}9000");
        band.expect("E0CA00001E", &proof(0x10));
        band.expect("E0CA01001E", &proof(0x10));
        band.expect("E0CA00001E", &proof(0x00));

        // The counter has moved once.
        assert_eq!(hex(&init_lock(&mut band, &profile, 11).init[4..6]), "042D");
    }
}

#[test]
fn lock_outlives_power_and_selection() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let locking = lock(&mut band, &profile, 1);
        band.select();
        band.retap();
        band.select();
        assert_eq!(band.ok("E0CA00001E")[0], 0x01);
        // Another terminal pays with the figures of the first one.
        let gmac = hex(&oracle::mac(&locking.session, &40_u32.to_be_bytes()));
        let other = "A0A1A2A3A4A5";
        let message = bytes(&format!("0000002893{other}00000077{STAMP}"));
        let tac = hex(&oracle::tac(&key(&profile, KeyKind::Tac), &message));
        band.expect(&format!("E07E08021B00000028042D{other}00000077{STAMP}{gmac}04"), &format!("{tac}9000"));
        assert_eq!(balance(&mut band), 4960);
    }
}

#[test]
fn nothing_may_be_delivered() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let locking = lock(&mut band, &profile, 1);
        band.expect(&unlock(&locking, 0), &format!("{}9000", unlock_tac(&profile, &locking, 0)));
        assert_eq!(balance(&mut band), 5000);
    }
}

#[test]
fn locked_purse_refuses_every_other_transaction() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        lock(&mut band, &profile, 1);
        for p1 in 0..=5 {
            band.expect(&format!("8050{p1:02X}020B0100000001{PUMP}00"), "9408");
        }
        band.expect(&format!("E07A08020701{PUMP}0F"), "9408");
        // Reading changes nothing.
        assert_eq!(balance(&mut band), 5000);
        band.ok("00B095001E");
    }
}

#[test]
fn after_the_unlock_all_is_as_before() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let locking = lock(&mut band, &profile, 1);
        band.ok(&unlock(&locking, 1));
        band.ok(&format!("805001020B0100000001{PUMP}0F"));
        assert_eq!(balance(&mut band), 4999);
        band.ok(&format!("805000020B0100000001{PUMP}10"));
        assert_eq!(balance(&mut band), 4999);
        lock(&mut band, &profile, 3);
    }
}

/// A passbook wants its PIN for the lock, as for every transaction; a lock on it holds the purse too.
#[test]
fn passbook_is_locked_after_its_pin() {
    let profile = Profile::FUEL;
    let mut band = issued(profile);
    band.select();
    band.expect(&format!("E07A08010701{PUMP}0F"), "6982");
    band.ok("00200000021234");
    band.expect("E0CA00001E", &format!("{}9000", "00".repeat(30)));
    let init = band.ok(&format!("E07A08010701{PUMP}0F"));
    let dpk = key(&profile, KeyKind::Purchase);
    let (seq, random) = (bytes("00000001"), bytes("A1B2C3D4"));
    let session = oracle::grey_session(&dpk, &init[11..15], &init[4..6], &seq, &random);
    let mac1 = hex(&oracle::mac(&session, &bytes(&format!("91{PUMP}{STAMP}"))));
    band.ok(&format!("E07C08001300000001A1B2C3D4{STAMP}{mac1}08"));
    assert_eq!(hex(&band.ok("E0CA00001E")[..3]), "019101");
    band.expect(&format!("805001020B0100000001{PUMP}0F"), "9408");
    let locking = world::fuel::Locking { init, terminal_seq: 1, session, command: String::new() };
    // The lock is the passbook's: the purse cannot pay for it.
    band.expect(&unlock(&locking, 7), "6985");
    band.expect(&format!("E07A09020701{PUMP}12"), "6985");
    band.ok(&unlock(&locking, 7).replacen("E07E0802", "E07E0801", 1));
    assert_eq!(balance(&mut band), 5000);
    band.expect("805C000104", "000013819000");
}

#[test]
fn out_of_order() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let wrong_order = hex(&profile.out_of_order.value().to_be_bytes());
        band.expect(WRONG_LOCK, &wrong_order);
        let locking = init_lock(&mut band, &profile, 1);
        // Any other command in between ends the session.
        band.ok("805C000204");
        band.expect(&locking.command, &wrong_order);
        // A purchase's session is no lock's, and the reverse.
        band.ok(&format!("805001020B0100000001{PUMP}0F"));
        band.expect(&locking.command, &wrong_order);
        init_lock(&mut band, &profile, 1);
        band.expect("805401000F00000001202611221417400000000008", &wrong_order);
        // No lock, no unlock.
        band.expect(&unlock(&locking, 1), "6985");
        band.expect(&format!("E07A09020701{PUMP}12"), "6985");
        band.expect(&format!("E07E09000F00000001{STAMP}0000000004"), &wrong_order);
        assert_eq!(balance(&mut band), 5000);
    }
}

#[test]
fn lengths_parameters_and_keys() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        band.expect(&format!("E07A08020601{}0F", &PUMP[..10]), "6700");
        band.expect(&format!("E07A08020801{PUMP}000F"), "6700");
        band.expect(&format!("E07A08030701{PUMP}0F"), "6A86");
        band.expect(&format!("E07A08020709{PUMP}0F"), "9403");
        band.expect(&format!("E07A07020701{PUMP}0F"), "6A86");
        let locking = init_lock(&mut band, &profile, 1);
        band.expect(&locking.command.replacen("E07C0800", "E07C0801", 1), "6A86");
        init_lock(&mut band, &profile, 1);
        band.expect("E07C08000400000000", "6700");
        let locking = lock(&mut band, &profile, 1);
        band.expect("E07E08020400000000", "6700");
        band.expect(&unlock(&locking, 1).replacen("E07E0802", "E07E0803", 1), "6A86");
        band.expect("E0CA02001E", "6A86");
        band.expect("E0CA00011E", "6A86");
        band.expect("E0CA000001001E", "6700");
        band.expect(&format!("E07A09020709{PUMP}12"), "9403");
        band.expect("E07A0902020101", "6700");
        init_unlock(&mut band);
        band.expect("E07E09000400000000", "6700");
        band.expect("E0110000", "6D00");
        band.ok(&unlock(&locking, 1));
    }
}

#[test]
fn only_schemes_that_have_it() {
    let mut band = world::issued();
    band.select();
    for command in [
        format!("E07A08020701{PUMP}0F"),
        WRONG_LOCK.into(),
        format!("E07E08021B{}04", "00".repeat(27)),
        "E0CA00001E".into(),
        format!("E07A09020701{PUMP}12"),
        format!("E07E09000F{}04", "00".repeat(15)),
    ] {
        band.expect(&command, "6D00");
    }
}

#[test]
fn wrong_mac1_is_counted_and_locks_nothing_grey() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        for answer in ["9302", "9302", "6985"] {
            init_lock(&mut band, &profile, 1);
            band.expect(WRONG_LOCK, answer);
            assert_eq!(balance(&mut band), 5000);
        }
        // Three in a row lock the application for a while.
        assert!(band.send(&bytes("00A4040008A00000063201010500")).ends_with(&[0x62, 0x83]));
        band.expect(&format!("E07A08020701{PUMP}0F"), "6985");
    }
}

#[test]
fn unlock_checks_counter_funds_gmac() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let locking = lock(&mut band, &profile, 1);
        let right = unlock(&locking, 10);
        // The counter before the lock, and the one after the next.
        band.expect(&right.replacen("042D", "042C", 1), "9406");
        band.expect(&right.replacen("042D", "042E", 1), "9406");
        // More than there is is no error that counts, even with a wrong GMAC.
        for _ in 0..5 {
            band.expect(&unlock(&locking, 5001), "9401");
        }
        let wrong = format!("{}00000000 04", &right[..right.len() - 10]).replace(' ', "");
        band.expect(&wrong, "9302");
        band.expect(&wrong, "9302");
        // Success forgets the errors.
        band.ok(&right);
        let locking = lock(&mut band, &profile, 3);
        let right = unlock(&locking, 10).replacen("0000000A", "0000000B", 1);
        for answer in ["9302", "9302", "6985"] {
            band.expect(&right, answer);
        }
        band.expect(&unlock(&locking, 10), "6985");
        // The grey lock is still there when the issuer has unblocked the application.
        let challenge = band.ok("0084000004");
        let mac = oracle::secured(&key(&profile, KeyKind::Maintenance), &challenge, &bytes("8418000004"));
        band.ok(&format!("8418000004{}", hex(&mac)));
        band.expect(&format!("805001020B0100000001{PUMP}0F"), "9408");
        band.ok(&unlock(&locking, 10));
        assert_eq!(balance(&mut band), 4980);
    }
}

#[test]
fn nothing_can_be_replayed() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        let first = lock(&mut band, &profile, 1);
        band.expect(&first.command, &hex(&profile.out_of_order.value().to_be_bytes()));
        band.ok(&unlock(&first, 10));
        band.expect(&unlock(&first, 10), "6985");
        init_lock(&mut band, &profile, 1);
        band.expect(&first.command, "9302");
        let second = lock(&mut band, &profile, 1);
        band.expect(&unlock(&first, 10), "9406");
        // Even with the right counter, the GMAC is of another session.
        band.expect(&unlock(&first, 10).replacen("042D", "042E", 1), "9302");
        band.ok(&unlock(&second, 10));
        assert_eq!(balance(&mut band), 4980);
    }
}

#[test]
fn host_unlocks() {
    for profile in profiles() {
        let mut band = issued(profile);
        band.select();
        lock(&mut band, &profile, 1);
        let init = init_unlock(&mut band);
        assert_eq!(hex(&init[..10]), "00001388042D00070101");
        assert_eq!(init[14..], unlock_mac1(&profile, &init));
        band.expect(
            &grey_unlock(&profile, &init, 300),
            &format!("{}9000", unlock_mac3(&profile, &init, 300)),
        );
        assert_eq!(balance(&mut band), 4700);
        band.expect("00B201C417", &format!("00080000000000012C95{PUMP}{STAMP}9000"));
        let mac3 = unlock_mac3(&profile, &init, 300);
        band.expect("805A009502000808", &format!("{mac3}000000009000"));
        assert_eq!(hex(&band.ok("E0CA00001E")[..3]), "009502");
        band.expect(&grey_unlock(&profile, &init, 300), &hex(&profile.out_of_order.value().to_be_bytes()));
        lock(&mut band, &profile, 2);
        let init = init_unlock(&mut band);
        band.expect(&grey_unlock(&profile, &init, 4701), "9401");
        let init = init_unlock(&mut band);
        band.expect(&grey_unlock(&profile, &init, 300).replacen("0000012C", "0000012D", 1), "9302");
        // A session of another key or counter.
        init_unlock(&mut band);
        band.expect(&grey_unlock(&profile, &init, 300), "9302");
        let init = init_unlock(&mut band);
        band.ok(&grey_unlock(&profile, &init, 0));
        assert_eq!(balance(&mut band), 4700);
    }
}

#[test]
fn counters_at_their_end() {
    for profile in profiles() {
        let mut ending = profile;
        ending.counter_end = 0x042D;
        let mut band = issued(ending);
        band.select();
        let locking = lock(&mut band, &profile, 1);
        band.ok(&unlock(&locking, 1));
        band.expect(&format!("E07A08020701{PUMP}0F"), "9402");
    }
}

#[test]
fn wrong_gmac_tries_survive_power_cuts() {
    // Counted before the comparison, a try is never saved by cutting the power.
    let mut profile = profiles()[0];
    profile.mac_errors = huiwan_purse::profile::MacErrors::BeforeCheck;
    let mut band = issued(profile);
    band.select();
    let locking = lock(&mut band, &profile, 1);
    let wrong = unlock(&locking, 10).replacen("0000000A", "0000000B", 1);
    band.expect(&wrong, "9302");
    band.retap();
    band.select();
    band.expect(&wrong, "9302");
    band.expect(&wrong, "6985");
}

type Flash = RamFlash<{ 16 * 1024 }, 1024>;
type FlashBand = Band<Journal<Flash, 128>>;
type Objects = BTreeMap<ObjectId, Vec<u8>>;

struct Bench {
    profile: Profile,
    modules: &'static [&'static dyn huiwan_card::Module],
    entries: &'static [huiwan_card::Entry],
}

impl Bench {
    fn new(profile: Profile) -> Self {
        Self { profile, modules: modules(profile), entries: Box::leak(Box::new(entries())) }
    }

    fn band(&self, flash: Flash) -> FlashBand {
        let mut journal = Journal::mount(flash).unwrap();
        journal.collect().unwrap();
        Band::blank(journal, self.modules, self.entries)
    }

    fn issued(&self) -> Flash {
        let flash = Journal::<Flash, 128>::format(Flash::erased()).unwrap().into_flash();
        let mut band = self.band(flash);
        issue(&mut band, &self.profile);
        band.remove().into_flash()
    }

    fn objects(flash: &Flash) -> Objects {
        let mut memory = Journal::<Flash, 128>::mount(flash.clone()).unwrap();
        let mut objects = Objects::new();
        let mut last = None;
        while let Some(object) = memory.next_object(last).unwrap() {
            let mut out = [0; 512];
            objects.insert(object, memory.read(object, 0, &mut out).unwrap().to_vec());
            last = Some(object);
        }
        objects
    }

    /// Cuts the command that `prepare` leads up to at every flash operation in every mode. `then` is what has to work
    /// afterwards.
    fn cut_everywhere<T>(
        &self,
        prepare: impl Fn(&mut FlashBand) -> (Vec<u8>, T),
        then: impl Fn(&mut FlashBand, T, bool),
    ) -> u32 {
        let flash = self.issued();
        let mut band = self.band(flash.clone());
        prepare(&mut band);
        let mut before = band.remove().into_flash();
        before.power_on();
        let before = Self::objects(&before);
        let mut band = self.band(flash.clone());
        let (command, _) = prepare(&mut band);
        let answer = band.send(&command);
        assert_eq!(answer[answer.len() - 2..], [0x90, 0x00], "{}", hex(&command));
        let after = Self::objects(&band.remove().into_flash());
        assert_ne!(before, after, "{}: a command that changes nothing", hex(&command));
        let mut cuts = 0;
        for cut in FlashCut::ALL {
            for n in 0.. {
                let mut band = self.band(flash.clone());
                let (again, figures) = prepare(&mut band);
                assert_eq!(again, command, "the same random numbers");
                band.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
                let answer = band.send(&command);
                if !band.memory().flash().is_dead() {
                    break;
                }
                cuts += 1;
                assert_eq!(answer, [0x65, 0x81], "nothing but a memory failure leaves a dying card");
                let mut cut_flash = band.remove().into_flash();
                cut_flash.power_on();
                let found = Self::objects(&cut_flash);
                let happened = found == after;
                assert!(happened || found == before, "{} cut {n} {cut:?}: {found:?}", hex(&command));
                let mut band = self.band(cut_flash);
                band.select();
                then(&mut band, figures, happened);
            }
        }
        assert!(cuts >= 4, "{}: {cuts} cuts", hex(&command));
        cuts
    }
}

#[test]
fn power_cut_at_every_flash_operation() {
    for profile in profiles() {
        let bench = Bench::new(profile);
        let locked = |band: &mut FlashBand| {
            band.select();
            lock(band, &profile, 1)
        };
        bench.cut_everywhere(
            |band| {
                band.select();
                let locking = init_lock(band, &profile, 1);
                (bytes(&locking.command), locking)
            },
            |band, locking, happened| {
                assert_eq!(band.ok("E0CA00001E")[0], u8::from(happened));
                if happened {
                    band.ok(&unlock(&locking, 5));
                } else {
                    band.expect(&unlock(&locking, 5), "6985");
                    let locking = lock(band, &profile, 2);
                    band.ok(&unlock(&locking, 5));
                }
                assert_eq!(balance(band), 4995);
            },
        );
        bench.cut_everywhere(
            |band| {
                let locking = locked(band);
                (bytes(&unlock(&locking, 5)), locking)
            },
            |band, locking, happened| {
                let tac = unlock_tac(&profile, &locking, 5);
                let proof = band.ok("E0CA00001E");
                assert_eq!(proof[0], if happened { 0x10 } else { 0x01 });
                if happened {
                    assert_eq!(hex(&proof[26..]), tac);
                    band.expect("805A009302042D08", &format!("00000000{tac}9000"));
                    band.expect(&unlock(&locking, 5), "6985");
                } else {
                    band.expect(&unlock(&locking, 5), &format!("{tac}9000"));
                }
                assert_eq!(balance(band), 4995);
            },
        );
        bench.cut_everywhere(
            |band| {
                let locking = locked(band);
                band.ok(&unlock(&locking, 5));
                (bytes("E0CA01001E"), ())
            },
            |band, (), happened| {
                assert_eq!(band.ok("E0CA01001E")[0], if happened { 0x00 } else { 0x10 });
                assert_eq!(band.ok("E0CA00001E")[0], 0x00);
            },
        );
        bench.cut_everywhere(
            |band| {
                locked(band);
                let init = init_unlock(band);
                (bytes(&grey_unlock(&profile, &init, 5)), ())
            },
            |band, (), happened| {
                assert_eq!(band.ok("E0CA00001E")[0], u8::from(!happened));
                if !happened {
                    let init = init_unlock(band);
                    band.ok(&grey_unlock(&profile, &init, 5));
                }
                assert_eq!(balance(band), 4995);
            },
        );
    }
}

/// What happens to a card.
#[derive(Debug, Clone, Copy)]
enum Act {
    Lock,
    Unlock(u32),
    WrongUnlock(u32),
    Replay,
    HostUnlock(u32),
    Take,
    Purchase(u32),
    Retap,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Lock),
        3 => (0_u32..700).prop_map(Act::Unlock),
        1 => (0_u32..700).prop_map(Act::WrongUnlock),
        1 => Just(Act::Replay),
        1 => (0_u32..700).prop_map(Act::HostUnlock),
        1 => Just(Act::Take),
        1 => (0_u32..700).prop_map(Act::Purchase),
        1 => Just(Act::Retap),
    ]
}

/// The cut of the memory at the next commit, if there is one.
fn tear() -> impl Strategy<Value = Option<world::Cut>> {
    prop_oneof![4 => Just(None), 1 => Just(Some(world::Cut::Before)), 1 => Just(Some(world::Cut::After))]
}

/// Sends a command with the commit cut as told. What happened: `None` if the power was cut.
fn send(band: &mut RamBand, command: &str, cut: Option<world::Cut>) -> Option<Vec<u8>> {
    band.memory().cut = cut;
    let answer = band.send(&bytes(command));
    let dead = answer == [0x65, 0x81];
    if dead {
        band.retap();
        band.select();
    } else {
        band.memory().cut = None;
    }
    (!dead).then_some(answer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens in whatever order, torn or not: balance = start − what was debited, and a lock is left only by an
    /// unlock.
    #[test]
    fn money_is_never_made_or_lost(
        fuel in any::<bool>(),
        acts in prop::collection::vec((act(), tear()), 1..25),
    ) {
        let mut profile = if fuel { Profile::FUEL } else { Profile::CJT_304 };
        // Errors are the business of other tests.
        profile.mac_error_limit = u8::MAX;
        let mut band = issued(profile);
        band.tracing = false;
        band.select();
        let mut expected = 5000_u32;
        let mut locking: Option<world::fuel::Locking> = None;
        let mut past: Option<String> = None;
        let mut terminal_seq = 1;
        for (act, cut) in acts {
            let happened = |answer: &Option<Vec<u8>>| match answer {
                Some(answer) => answer.ends_with(&[0x90, 0x00]),
                None => cut == Some(world::Cut::After),
            };
            match act {
                Act::Lock if locking.is_none() => {
                    let new = init_lock(&mut band, &profile, terminal_seq);
                    terminal_seq += 2;
                    let answer = send(&mut band, &new.command, cut);
                    if happened(&answer) {
                        locking = Some(new);
                    }
                }
                Act::Lock => band.expect(&format!("E07A08020701{PUMP}0F"), "9408"),
                Act::Unlock(amount) => {
                    if let Some(open) = locking.clone() {
                        let command = unlock(&open, amount);
                        let answer = send(&mut band, &command, cut);
                        prop_assert!(amount <= expected || answer == Some(vec![0x94, 0x01]));
                        if amount <= expected && happened(&answer) {
                            expected -= amount;
                            locking = None;
                            past = Some(command);
                        }
                    }
                }
                Act::WrongUnlock(amount) => {
                    if let Some(open) = &locking {
                        let amounts = [format!("{amount:08X}"), format!("{:08X}", amount ^ 1)];
                        let command = unlock(open, amount).replacen(&amounts[0], &amounts[1], 1);
                        let answer = send(&mut band, &command, cut);
                        prop_assert!(answer.is_none_or(|answer| [[0x93, 0x02], [0x94, 0x01]].iter().any(|sw| answer == sw)));
                    }
                }
                Act::Replay => {
                    if let Some(past) = &past {
                        let answer = send(&mut band, past, None).unwrap();
                        prop_assert!(answer == [0x69, 0x85] || answer == [0x94, 0x06], "{}", hex(&answer));
                    }
                }
                Act::HostUnlock(amount) => {
                    if locking.is_some() && amount <= expected {
                        let init = init_unlock(&mut band);
                        let command = grey_unlock(&profile, &init, amount);
                        let answer = send(&mut band, &command, cut);
                        if happened(&answer) {
                            expected -= amount;
                            locking = None;
                        }
                    }
                }
                Act::Take => {
                    send(&mut band, "E0CA01001E", cut);
                }
                Act::Purchase(amount) => {
                    let answer = band.send(&bytes(&format!("805001020B01{amount:08X}{PUMP}0F")));
                    match (&locking, answer.len()) {
                        (Some(_), _) => prop_assert_eq!(answer, [0x94, 0x08]),
                        (None, 2) => prop_assert!(amount > expected && answer == [0x94, 0x01]),
                        (None, _) => {
                            let seq = bytes("00010203");
                            let dpk = key(&profile, KeyKind::Purchase);
                            let session = oracle::purchase_session(&dpk, &answer[11..15], &answer[4..6], &seq);
                            let mac1 = oracle::mac(&session, &bytes(&format!("{amount:08X}06{PUMP}{STAMP}")));
                            let debit = format!("805401000F00010203{STAMP}{}08", hex(&mac1));
                            let answer = send(&mut band, &debit, cut);
                            if happened(&answer) {
                                expected -= amount;
                            }
                        }
                    }
                }
                Act::Retap => {
                    band.retap();
                    band.select();
                }
            }
            prop_assert_eq!(balance(&mut band), expected, "{:?} {:?}", act, cut);
            prop_assert_eq!(band.ok("E0CA00001E")[0] == 0x01, locking.is_some());
        }
    }
}
