//! WRITE KEY, CHANGE ALGORITHM, encrypted updates and the error counters of keys, cut at every flash operation in every
//! mode: afterwards the card is as it was before or as it is after.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use std::collections::BTreeMap;

use huiwan_card::{Cut, Journal, Memory, Module, ObjectId, RamFlash};
use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::{Profile, SecuredErrors};
use world::by_hand::{TERMINAL, bytes};
use world::secured::{KINDS, Key, card_key, issue, modules, write_key};
use world::{Band, hex, kept_entries};

type Flash = RamFlash<{ 16 * 1024 }, 1024>;
type Memories = Journal<Flash, 128>;
type FlashBand = Band<Memories>;
type Objects = BTreeMap<ObjectId, Vec<u8>>;

struct Bench(&'static [&'static dyn Module]);

impl Bench {
    fn band(&self, flash: Flash) -> FlashBand {
        let mut journal = Memories::mount(flash).unwrap();
        journal.collect().unwrap();
        Band::blank(journal, self.0, kept_entries())
    }

    /// A card with both sets of keys.
    fn issued(&self) -> Flash {
        let mut band = self.band(Memories::format(Flash::erased()).unwrap().into_flash());
        let keys: Vec<_> =
            [false, true].iter().flat_map(|sm4| KINDS.map(|kind| card_key(kind, *sm4, 0))).collect();
        issue(&mut band, &keys);
        band.remove().into_flash()
    }

    fn objects(&self, flash: &Flash) -> Objects {
        let mut memory = Memories::mount(flash.clone()).unwrap();
        let mut objects = Objects::new();
        let mut last = None;
        while let Some(object) = memory.next_object(last).unwrap() {
            let mut out = [0; 512];
            objects.insert(object, memory.read(object, 0, &mut out).unwrap().to_vec());
            last = Some(object);
        }
        objects
    }

    /// Cuts the command that `prepare` leads up to; `then` sees the card afterwards and hears whether the command happened. The answer
    /// is the flash after the uncut command.
    fn cut_everywhere(
        &self,
        flash: &Flash,
        prepare: impl Fn(&mut FlashBand) -> String,
        answer: &str,
        then: impl Fn(&mut FlashBand, bool),
    ) -> Flash {
        let mut band = self.band(flash.clone());
        band.select();
        let command = prepare(&mut band);
        let before = self.objects(&band.remove().into_flash());
        let mut band = self.band(flash.clone());
        band.select();
        assert_eq!(prepare(&mut band), command, "the same random numbers");
        band.expect(&command, answer);
        let after_flash = band.remove().into_flash();
        let after = self.objects(&after_flash);
        assert_ne!(before, after, "{command}: a command that changes nothing");
        let mut cuts = 0;
        for cut in Cut::ALL {
            for n in 0.. {
                let mut band = self.band(flash.clone());
                band.select();
                prepare(&mut band);
                band.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
                let got = band.send(&bytes(&command));
                if !band.memory().flash().is_dead() {
                    break;
                }
                cuts += 1;
                assert_eq!(got, [0x65, 0x81], "nothing but a memory failure leaves a dying card");
                let mut cut_flash = band.remove().into_flash();
                cut_flash.power_on();
                let found = self.objects(&cut_flash);
                let happened = found == after;
                assert!(happened || found == before, "{command} cut {n} {cut:?}: {found:?}");
                let mut band = self.band(cut_flash);
                band.select();
                then(&mut band, happened);
            }
        }
        assert!(cuts >= 4, "{command}: {cuts} cuts");
        after_flash
    }
}

fn purchase_key(band: &mut FlashBand, index: u8) -> Vec<u8> {
    let answer = band.send(&bytes(&format!("805001020B{index:02X}00000001{TERMINAL}0F")));
    if answer.len() == 2 { answer } else { answer[9..11].to_vec() }
}

#[test]
fn write_key_is_before_or_after() {
    let bench = Bench(modules(Profile::JTT_978));
    let control = Key::of(KeyKind::Control, false);
    let secured = |header: &'static str, data: Vec<u8>| {
        move |band: &mut FlashBand| control.secured(band, 4, header, &control.seal(&data))
    };
    let mut flash = bench.issued();
    // A wrong MAC before: the count goes in the same commit.
    let wrong = |band: &mut FlashBand| {
        let mut command = control.secured(band, 4, "84D43E01", &[0; 24]);
        command.replace_range(command.len() - 8.., "00000000");
        command
    };
    flash = bench.cut_everywhere(&flash, wrong, "6988", |band, _| {
        assert_eq!(purchase_key(band, 1), [0x10, 1]);
    });
    let replaced = secured("84D43E01", write_key(0x3E, 0x22, 1, 0, [9; 16]));
    flash = bench.cut_everywhere(&flash, replaced, "9000", |band, happened| {
        assert_eq!(purchase_key(band, 1), [if happened { 0x22 } else { 0x10 }, 1]);
    });
    let added = secured("84D40102", write_key(0x3E, 0x33, 1, 0, [9; 16]));
    bench.cut_everywhere(&flash, added, "9000", |band, happened| {
        assert_eq!(purchase_key(band, 2), if happened { [0x33, 1] } else { [0x94, 0x03] });
    });
    // The control key itself: one of the two works, never neither.
    let new = Key { sm4: false, value: [0xC3; 16] };
    let rolled = secured("84D44101", write_key(0x41, 2, 1, 0, new.value));
    bench.cut_everywhere(&flash, rolled, "9000", |band, happened| {
        let key = if happened { new } else { control };
        let data = key.seal(&write_key(0x3E, 0x44, 1, 0, [1; 16]));
        let command = key.secured(band, 4, "84D43E01", &data);
        band.expect(&command, "9000");
    });
}

#[test]
fn change_algorithm_is_before_or_after() {
    let bench = Bench(modules(Profile::JTT_978));
    let key = |sm4| Key::of(KeyKind::Maintenance, sm4);
    let change = |sm4, header| move |band: &mut FlashBand| key(sm4).secured(band, 8, header, &[]);
    let shows = |band: &mut FlashBand, sm4: bool| {
        band.expect("80CD000001", if sm4 { "04 9000" } else { "01 9000" });
        assert_eq!(purchase_key(band, 1), if sm4 { [0x40, 4] } else { [0x10, 1] });
    };
    let mut flash = bench.issued();
    flash = bench.cut_everywhere(&flash, change(false, "84CD0200"), "9000", shows);
    flash = bench.cut_everywhere(&flash, change(true, "84CD0100"), "9000", |band, back| shows(band, !back));
    bench.cut_everywhere(&flash, change(false, "84CD0300"), "9000", |band, blocked| {
        shows(band, false);
        let change = key(false).secured(band, 4, "84CD0200", &[]);
        band.expect(&change, if blocked { "6985" } else { "9000" });
    });
}

#[test]
fn error_counters_of_keys_are_before_or_after() {
    let mut profile = Profile::JTT_978;
    profile.secured_errors = SecuredErrors::Key;
    profile.encrypted_files = &[0x15];
    let bench = Bench(modules(profile));
    let external = Key::of(KeyKind::ExternalAuthentication, false);
    let mut flash = bench.issued();
    for left in ["63C2", "63C1", "63C0"] {
        let wrong = |band: &mut FlashBand| {
            band.ok("0084000008");
            "0082000108FFFFFFFFFFFFFFFF".into()
        };
        flash = bench.cut_everywhere(&flash, wrong, left, |band, happened| {
            let challenge = band.ok("0084000008");
            let blocked = happened && left == "63C0";
            let right = format!("0082000108{}", hex(&external.cryptogram(&challenge)));
            band.expect(&right, if blocked { "6983" } else { "9000" });
        });
    }
    let key = Key::of(KeyKind::Maintenance, false);
    let update = |band: &mut FlashBand| key.secured(band, 4, "04D69509", &key.seal(&[0]));
    let wrong = |band: &mut FlashBand| {
        let mut command = update(band);
        command.replace_range(command.len() - 8.., "00000000");
        command
    };
    let once = bench.cut_everywhere(&flash, wrong, "6988", |_, _| {});
    let twice = bench.cut_everywhere(&once, wrong, "6988", |_, _| {});
    bench.cut_everywhere(&twice, wrong, "6983", |band, blocked| {
        let right = update(band);
        band.expect(&right, if blocked { "6983" } else { "9000" });
    });
    // The update and the tries it gives back are one commit.
    bench.cut_everywhere(&twice, update, "9000", |band, happened| {
        assert_eq!(band.ok("00B095001E")[9] == 0, happened);
        let command = wrong(band);
        band.expect(&command, if happened { "6988" } else { "6983" });
    });
    // A right EXTERNAL AUTHENTICATE that is cut may have cost its try, never more, and gives none back unearned.
    let right = |band: &mut FlashBand| {
        let challenge = band.ok("0084000008");
        format!("0082000108{}", hex(&external.cryptogram(&challenge)))
    };
    let fresh = bench.issued();
    for cut in Cut::ALL {
        for n in 0.. {
            let mut band = bench.band(fresh.clone());
            band.select();
            let command = right(&mut band);
            band.memory().flash_mut().cut_after(n, cut, n);
            band.send(&bytes(&command));
            if !band.memory().flash().is_dead() {
                break;
            }
            let mut flash = band.remove().into_flash();
            flash.power_on();
            let mut band = bench.band(flash);
            band.select();
            band.ok("0084000008");
            let got = band.send(&bytes("0082000108FFFFFFFFFFFFFFFF"));
            assert!([[0x63, 0xC2], [0x63, 0xC1]].contains(&[got[0], got[1]]), "{}", hex(&got));
        }
    }
}
