//! Every state-changing command, cut at every flash operation in every mode: afterwards the card is as it was before the
//! command or as it is after it, and it goes on from there.

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

use huiwan_card::{Cut, Journal, Memory, Module, ObjectId, RamFlash};
use huiwan_purse::profile::{MacErrors, Profile};
use huiwan_purse::transit::rail::{self, Rail};
use world::by_hand::{WRONG_DEBIT, bytes, credit, debit, init, init_load, purchase, secured, wrong_mac};
use world::{Band, FULL_PURSE, entries, groupings, hex, modules};

type Flash = RamFlash<{ 16 * 1024 }, 1024>;
type Memories = Journal<Flash, 128>;
type FlashBand = Band<Memories>;
type Objects = BTreeMap<ObjectId, Vec<u8>>;

struct Bench {
    modules: &'static [&'static dyn Module],
    entries: &'static [huiwan_card::Entry],
}

impl Bench {
    fn new(profile: Profile) -> Self {
        Self { modules: modules(profile), entries: Box::leak(Box::new(entries())) }
    }

    fn band(&self, flash: Flash) -> FlashBand {
        let mut journal = Memories::mount(flash).unwrap();
        journal.collect().unwrap();
        Band::blank(journal, self.modules, self.entries)
    }

    fn issued(&self) -> Flash {
        let mut band = self.band(Memories::format(Flash::erased()).unwrap().into_flash());
        assert_eq!(band.issue(FULL_PURSE), groupings(FULL_PURSE).len() + 1, "{:?}", band.trace.last());
        band.remove().into_flash()
    }

    /// Everything the card holds.
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

    /// Cuts the command that `prepare` leads up to. `then` is what has to work afterwards, told whether it happened. The
    /// answer is the number of cuts and the flash after the uncut command.
    fn cut_everywhere(
        &self,
        flash: &Flash,
        prepare: impl Fn(&mut FlashBand) -> Vec<u8>,
        then: impl Fn(&mut FlashBand, bool),
    ) -> (u32, Flash) {
        let mut band = self.band(flash.clone());
        let command = prepare(&mut band);
        let mut before = band.remove().into_flash();
        before.power_on();
        let before = self.objects(&before);
        let mut band = self.band(flash.clone());
        assert_eq!(prepare(&mut band), command, "the same random numbers");
        band.send(&command);
        let after_flash = band.remove().into_flash();
        let after = self.objects(&after_flash);
        assert_ne!(before, after, "{}: a command that changes nothing", hex(&command));
        let mut cuts = 0;
        for cut in Cut::ALL {
            for n in 0.. {
                let mut band = self.band(flash.clone());
                prepare(&mut band);
                band.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
                let answer = band.send(&command);
                let dead = band.memory().flash().is_dead();
                if !dead {
                    break;
                }
                cuts += 1;
                assert_eq!(answer, [0x65, 0x81], "nothing but a memory failure leaves a dying card");
                let mut cut_flash = band.remove().into_flash();
                cut_flash.power_on();
                let found = self.objects(&cut_flash);
                let happened = found == after;
                assert!(happened || found == before, "{} cut {n} {cut:?}: {found:?}", hex(&command));
                then(&mut self.band(cut_flash), happened);
            }
        }
        assert!(cuts >= 4, "{}: {cuts} cuts", hex(&command));
        (cuts, after_flash)
    }
}

/// The card still pays, from the balance it has.
fn goes_on(band: &mut FlashBand, balance: u32) {
    band.select();
    band.expect("805C000204", &format!("{balance:08X}9000"));
    purchase(band, 1);
    band.expect("805C000204", &format!("{:08X}9000", balance - 1));
}

#[test]
fn purchase_is_before_or_after() {
    let bench = Bench::new(Profile::JTT_978);
    let mut flash = bench.issued();
    for _ in 0..3 {
        let (_, next) = bench.cut_everywhere(
            &flash,
            |band| {
                band.select();
                let answer = init(band, 6, 10);
                bytes(&debit(&answer, 6, 10))
            },
            |band, happened| {
                band.select();
                let balance = u32::from_be_bytes(band.ok("805C000204").try_into().unwrap());
                let newest = band.send(&bytes("00B201C417"));
                // The proof says exactly what the log says.
                let log_seq =
                    if newest.len() == 2 { 0x042C } else { u16::from_be_bytes([newest[0], newest[1]]) };
                let proof = band.send(&bytes(&format!("805A000602{log_seq:04X}08")));
                assert_eq!(proof.len() == 10, newest.len() != 2);
                let next = band.send(&bytes(&format!("805A000602{:04X}08", log_seq + 1)));
                assert_eq!(next, [0x94, 0x06]);
                assert_eq!((5000 - balance) / 10, u32::from(log_seq - 0x042C), "{happened}");
                goes_on(band, balance);
            },
        );
        flash = next;
    }
}

#[test]
fn load_is_before_or_after() {
    let bench = Bench::new(Profile::JTT_978);
    bench.cut_everywhere(
        &bench.issued(),
        |band| {
            band.select();
            let answer = init_load(band, 700);
            bytes(&credit(&answer, 700))
        },
        |band, happened| {
            band.select();
            let proof = band.send(&bytes("805A000202000808"));
            assert_eq!(proof.len(), if happened { 10 } else { 2 });
            goes_on(band, if happened { 5700 } else { 5000 });
        },
    );
}

#[test]
fn composite_purchase_is_before_or_after_with_all_its_records() {
    let bench = Bench::new(Profile::JTT_978);
    let [overruled, record] = [2, 1].map(|state| hex(Rail::new().with(rail::STATE, [state]).as_bytes()));
    let trip = "07".repeat(48);
    let mut flash = bench.issued();
    // The wrong MACs before are forgotten in the same commit.
    let mut band = bench.band(flash);
    band.select();
    wrong_mac(&mut band, "9302");
    flash = band.remove().into_flash();
    for round in 0..3 {
        let (_, next) = bench.cut_everywhere(
            &flash,
            |band| {
                band.select();
                let answer = init(band, 9, 0);
                // The same record twice: the later one counts.
                band.expect(&format!("80DC01D080{overruled}"), "9000");
                band.expect(&format!("80DC01D080{record}"), "9000");
                band.expect(&format!("80DC00F030{trip}"), "9000");
                bytes(&debit(&answer, 9, 0))
            },
            |band, happened| {
                band.select();
                if round == 0 {
                    assert_eq!(hex(&band.ok("00B201D080")) == record, happened);
                    assert_eq!(band.send(&bytes("00B201F430")).len(), if happened { 50 } else { 2 });
                }
                goes_on(band, 5000);
            },
        );
        flash = next;
    }
}

#[test]
fn block_unblock_and_updates_are_before_or_after() {
    let bench = Bench::new(Profile::JTT_978);
    let flash = bench.issued();
    let secure = |header: &'static str, data: String| {
        move |band: &mut FlashBand| {
            band.send(&bytes("00A4040008A00000063201010500"));
            bytes(&secured(band, header, &data))
        }
    };
    let (_, blocked) = bench.cut_everywhere(&flash, secure("841E0000", String::new()), |band, happened| {
        let select = band.send(&bytes("00A4040008A00000063201010500"));
        assert_eq!(select[select.len() - 2..] == [0x62, 0x83], happened);
    });
    bench.cut_everywhere(&blocked, secure("84180000", String::new()), |band, happened| {
        let select = band.send(&bytes("00A4040008A00000063201010500"));
        assert_eq!(select[select.len() - 2..] == [0x90, 0x00], happened);
    });
    bench.cut_everywhere(&flash, secure("841E0001", String::new()), |band, happened| {
        let select = band.send(&bytes("00A4040008A00000063201010500"));
        assert_eq!(select == [0x93, 0x03], happened);
    });
    bench.cut_everywhere(&flash, secure("04D69509", "00".into()), |band, happened| {
        band.select();
        assert_eq!(band.ok("00B095001E")[9] == 0, happened);
    });
    let record = hex(Rail::new().with(rail::STATE, [3]).as_bytes());
    bench.cut_everywhere(&flash, secure("04DC01D0", record.clone()), |band, happened| {
        band.select();
        assert_eq!(hex(&band.ok("00B201D080")) == record, happened);
    });
}

#[test]
fn counting_wrong_macs_is_before_or_after() {
    for mac_errors in [MacErrors::OnFailure, MacErrors::BeforeCheck] {
        let mut profile = Profile::JTT_978;
        profile.mac_errors = mac_errors;
        let bench = Bench::new(profile);
        let wrong = |band: &mut FlashBand| {
            band.select();
            init(band, 6, 1);
            bytes(WRONG_DEBIT)
        };
        let mut flash = bench.issued();
        for _ in 0..2 {
            (_, flash) = bench.cut_everywhere(&flash, wrong, |band, _| goes_on(band, 5000));
        }
        bench.cut_everywhere(&flash, wrong, |band, happened| {
            let select = band.send(&bytes("00A4040008A00000063201010500"));
            assert_eq!(select[select.len() - 2..] == [0x62, 0x83], happened, "the third locks");
        });
    }
}

#[test]
fn issuing_is_before_or_after_and_can_be_done_again() {
    let bench = Bench::new(Profile::JTT_978);
    let mut flash = Memories::format(Flash::erased()).unwrap().into_flash();
    let mut commands = Vec::new();
    for (dgi, value) in groupings(FULL_PURSE) {
        let mut command = vec![0x80, 0xE2, 0x00, 0x00, u8::try_from(value.len() + 2).unwrap()];
        command.extend(dgi.to_be_bytes());
        command.extend(value);
        commands.push(command);
    }
    let finished = bench.objects(&bench.issued());
    for command in commands {
        let (_, next) = bench.cut_everywhere(
            &flash,
            |band| {
                band.send(&bytes("00A4040008A00000015100000000"));
                command.clone()
            },
            |band, _| {
                band.issue(FULL_PURSE);
                let flash = core::mem::replace(band.memory(), Memories::format(Flash::erased()).unwrap())
                    .into_flash();
                assert_eq!(bench.objects(&flash), finished, "issued anew");
            },
        );
        flash = next;
    }
    // The installation over an issued card takes everything away, or nothing.
    bench.cut_everywhere(
        &flash,
        |band| {
            band.send(&bytes("00A4040008A00000015100000000"));
            bytes("80E60000")
        },
        |band, happened| {
            let select = band.send(&bytes("00A4040008A00000063201010500"));
            assert_eq!(select == [0x69, 0x85], happened);
        },
    );
}
