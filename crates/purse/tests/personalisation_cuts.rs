//! Making and filling files, choosing a scheme, and the transactions of 建设部 that write two logs, cut at every flash
//! operation in every mode: before or after, never between.

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

use huiwan_card::{Cut, Journal, Memory, ObjectId, RamFlash};
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{
    Condition, DGI_FILE, DGI_FILE_CONTENT, DGI_SCHEME, FileData, Shape, dgi_key_check,
};
use huiwan_purse::profile::Profile;
use world::bank::{debit, groupings, key, store};
use world::by_hand::{bytes, init};
use world::{Band, hex, kept_entries, modules, oracle};

type Flash = RamFlash<{ 16 * 1024 }, 1024>;
type Memories = Journal<Flash, 128>;
type FlashBand = Band<Memories>;
type Objects = BTreeMap<ObjectId, Vec<u8>>;

const SELECT_ISSUER: &str = "00A4040008A00000015100000000";

fn band(flash: Flash) -> FlashBand {
    let mut journal = Memories::mount(flash).unwrap();
    journal.collect().unwrap();
    Band::blank(journal, modules(Profile::JTT_978), kept_entries())
}

/// A card told to be of this scheme, personalised with `groupings`, the issuer still selected.
fn prepared(profile: Profile, groupings: &[(u16, Vec<u8>)]) -> Flash {
    let mut band = band(Memories::format(Flash::erased()).unwrap().into_flash());
    band.ok(SELECT_ISSUER);
    band.ok(&format!("80E6000001{:02X}", profile.code));
    for (dgi, value) in groupings {
        band.ok(&store(*dgi, value));
    }
    band.remove().into_flash()
}

fn objects(flash: &Flash) -> Objects {
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

/// Cuts the command that `prepare` leads up to; `again` is what the other side does then. The answer is the card after it.
fn cut_everywhere(
    flash: &Flash,
    prepare: impl Fn(&mut FlashBand) -> String,
    again: impl Fn(&mut FlashBand, bool),
) -> Flash {
    let mut whole = band(flash.clone());
    let command = prepare(&mut whole);
    let mut before = whole.remove().into_flash();
    before.power_on();
    let before = objects(&before);
    let mut whole = band(flash.clone());
    assert_eq!(prepare(&mut whole), command, "the same random numbers");
    whole.ok(&command);
    let after_flash = whole.remove().into_flash();
    let after = objects(&after_flash);
    assert_ne!(before, after, "{command}: a command that changes nothing");
    let mut cuts = 0;
    for cut in Cut::ALL {
        for n in 0.. {
            let mut torn = band(flash.clone());
            prepare(&mut torn);
            torn.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
            let answer = torn.send(&bytes(&command));
            if !torn.memory().flash().is_dead() {
                break;
            }
            cuts += 1;
            assert_eq!(answer, [0x65, 0x81], "nothing but a memory failure leaves a dying card");
            let mut torn = torn.remove().into_flash();
            torn.power_on();
            let found = objects(&torn);
            let happened = found == after;
            assert!(happened || found == before, "{command} cut {n} {cut:?}: {found:?}");
            again(&mut band(torn), happened);
        }
    }
    assert!(cuts >= 4, "{command}: {cuts} cuts");
    after_flash
}

/// A grouping, sent again after the cut: the card ends as if nothing had happened.
fn cut_grouping(flash: &Flash, dgi: u16, value: &[u8]) -> Flash {
    let command = store(dgi, value);
    cut_everywhere(
        flash,
        |band| {
            band.ok(SELECT_ISSUER);
            command.clone()
        },
        |band, _| {
            band.ok(SELECT_ISSUER);
            band.ok(&command);
        },
    )
}

#[test]
fn files_are_made_and_filled_or_not() {
    let file = |fid: u16, shape| FileData {
        fid,
        sfi: fid as u8,
        shape,
        read: Condition::Free,
        update: Condition::Free,
    };
    let mut flash = prepared(Profile::PBOC, &groupings(Profile::PBOC));
    let files = [
        file(5, Shape::Transparent { size: 8 }),
        file(6, Shape::Linear { len: 2, records: 2 }),
        file(7, Shape::Variable { len: 4, records: 2 }),
        file(0x10, Shape::Cyclic { len: 2, records: 2 }),
    ];
    for file in files {
        flash = cut_grouping(&flash, DGI_FILE, &file.to_bytes());
    }
    for content in ["000500020102", "00060001AABB", "00070001414243", "00100001AAAA", "00100002BBBB"] {
        flash = cut_grouping(&flash, DGI_FILE_CONTENT, &bytes(content));
    }
    let mut band = band(flash);
    band.select();
    band.expect("00B0850000", "0000 0102 0000 0000 9000");
    band.expect("00B2013400", "AABB9000");
    band.expect("00B2013C00", "4142439000");
    band.expect("00B2018400", "BBBB9000");
    band.expect("00B2028400", "AAAA9000");
}

#[test]
fn commands_on_files_of_the_issuer_happen_or_not() {
    let ring = FileData {
        fid: 0x10,
        sfi: 0x10,
        shape: Shape::Cyclic { len: 2, records: 2 },
        read: Condition::Free,
        update: Condition::Pin,
    };
    let mut all = groupings(Profile::PBOC);
    all.push((DGI_FILE, ring.to_bytes().to_vec()));
    let mut flash = prepared(Profile::PBOC, &all);
    for record in ["AAAA", "BBBB", "CCCC"] {
        flash = cut_everywhere(
            &flash,
            |band| {
                band.select();
                band.ok("0020000003123456");
                format!("00E2008002{record}")
            },
            |band, happened| {
                band.select();
                let newest = band.send(&bytes("00B2018400"));
                assert_eq!(newest == bytes(&format!("{record}9000")), happened);
            },
        );
    }
}

#[test]
fn a_scheme_is_chosen_or_not() {
    let flash = prepared(Profile::PBOC, &[]);
    cut_grouping(&flash, DGI_SCHEME, &[Profile::CJT_166.code]);
}

#[test]
fn both_logs_have_a_transaction_or_none_has() {
    for profile in [Profile::CJT_166, Profile::CJT_304] {
        let flash = prepared(profile, &groupings(profile));
        // A purchase elsewhere: balance, counter, proof, 0018 and 0010.
        let flash = cut_everywhere(
            &flash,
            |band| {
                band.select();
                let answer = init(band, 6, 5);
                debit(&answer, 6, 5)
            },
            |band, happened| {
                band.select();
                let logged = band.send(&bytes("00B201C417"));
                assert_eq!(band.send(&bytes("00B2018417")), logged);
                assert_eq!(logged.len() == 25, happened);
                band.expect("805C000204", if happened { "000013839000" } else { "000013889000" });
            },
        );
        // A load: 0018 and 001A.
        cut_everywhere(
            &flash,
            |band| {
                band.select();
                let answer = band.ok("805000020B010000000930008900034010");
                let session = oracle::load_session(&key(KeyKind::Load), &answer[8..12], &answer[4..6]);
                let mac2 = oracle::mac(&session, &bytes("000000090230008900034020261122141740"));
                format!("805200000B20261122141740{}04", hex(&mac2))
            },
            |band, happened| {
                band.select();
                let loaded = band.send(&bytes("00B201D417"));
                assert_eq!(loaded.len() == 25, happened);
                assert_eq!(band.send(&bytes("00B201C417")) == loaded, happened);
            },
        );
    }
}

#[test]
fn a_wrong_check_value_takes_the_key_or_not() {
    let flash = prepared(Profile::PBOC, &groupings(Profile::PBOC));
    let select = |band: &mut FlashBand| {
        band.ok(SELECT_ISSUER);
    };
    let wrong = store(dgi_key_check(KeyKind::Purchase), &[1, 1, 1, 0, 0, 0]);
    let mut whole = band(flash.clone());
    select(&mut whole);
    let before = objects(&flash);
    whole.expect(&wrong, "6982");
    let after = objects(&whole.remove().into_flash());
    assert_eq!(before.len(), after.len() + 1, "the key and nothing else");
    let mut cuts = 0;
    for cut in Cut::ALL {
        for n in 0.. {
            let mut torn = band(flash.clone());
            select(&mut torn);
            torn.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
            let answer = torn.send(&bytes(&wrong));
            if !torn.memory().flash().is_dead() {
                break;
            }
            cuts += 1;
            assert_eq!(answer, [0x65, 0x81]);
            let mut torn = torn.remove().into_flash();
            torn.power_on();
            let found = objects(&torn);
            assert!(found == after || found == before, "cut {n} {cut:?}");
            let mut again = band(torn);
            select(&mut again);
            again.expect(&wrong, if found == after { "6985" } else { "6982" });
        }
    }
    assert!(cuts >= 4, "{cuts} cuts");
}
