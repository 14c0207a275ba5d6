//! The power goes at every commit of every command that writes, before it lands and after: before or after, never between.
#![allow(clippy::cast_possible_truncation)]

use huiwan_emv::card::Qpboc;
use huiwan_emv::host::authorisation::{Decision, Script};

use super::band::*;
use super::issuer::{authorise, commands, field_55, online};

/// What a cut must leave whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    balance: u64,
    logged: usize,
    readable: bool,
}

fn seen(band: &mut Band) -> Seen {
    band.power_on();
    assert!(matches!(band.select(), 0x9000 | 0x6283));
    let logged = (1..=10).take_while(|back| band.read(0x0B, *back).is_ok()).count();
    Seen { balance: band.balance(), logged, readable: band.read(3, 2).is_ok() }
}

/// Runs `act` with the power cut at each commit; gives what each left to `check`, with how many commits landed.
fn at_every_cut(prepare: impl Fn() -> Band, act: impl Fn(&mut Band), check: impl Fn(&mut Band, usize)) {
    let mut whole = prepare();
    let before = whole.memory().commits;
    act(&mut whole);
    let commits = whole.memory().commits - before;
    assert!(commits > 0);
    for cut in 0..commits {
        for lands in [false, true] {
            let mut band = prepare();
            band.element.memory_mut().cut = Some((cut, lands));
            act(&mut band);
            band.element.memory_mut().cut = None;
            band.power_on();
            check(&mut band, cut + usize::from(lands));
        }
    }
}

#[test]
fn get_processing_options() {
    at_every_cut(
        Band::issued,
        |band| drop(band.tap(&Reader::of(yuan(30)))),
        |band, landed| {
            assert_eq!(band.atc(), landed as u16, "the counter stays counted");
            assert_eq!(seen(band), Seen { balance: 50_000, logged: 0, readable: false });
        },
    );
    // Online: the counter, then what scripts are bound to.
    at_every_cut(
        Band::issued,
        |band| drop(band.tap(&online(30))),
        |band, landed| {
            assert_eq!(band.atc(), landed.min(1) as u16);
            assert_eq!(band.memory().get(0xF003).is_some(), landed == 2);
            assert_eq!(seen(band), Seen { balance: 50_000, logged: 0, readable: false });
            assert_eq!(band.tap(&online(30)).unwrap().kind(), "ARQC");
        },
    );
}

#[test]
fn last_read_record() {
    at_every_cut(
        || {
            let mut band = Band::issued();
            let answer = band.tap(&Reader::of(yuan(30))).unwrap();
            assert_eq!(answer.kind(), "TC");
            band
        },
        |band| drop(band.read(3, 2)),
        |band, landed| {
            let after = Seen { balance: 47_000, logged: 1, readable: true };
            let before = Seen { balance: 50_000, logged: 0, readable: false };
            assert_eq!(seen(band), if landed == 1 { after } else { before });
        },
    );
    // A record that could not be committed is not answered.
    let mut band = Band::issued();
    band.tap(&Reader::of(yuan(30))).unwrap();
    band.element.memory_mut().cut = Some((0, false));
    assert_eq!(band.read(3, 2), Err(0x6581));
}

#[test]
fn put_data() {
    let prepared = || {
        let mut band = Band::issued();
        let reader = online(30);
        let answer = band.tap(&reader).unwrap();
        let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| {
            Decision::approve().with_script(Script::TopUp(yuan(100))).with_script(Script::Block)
        });
        (band, commands(&response.1.unwrap()))
    };
    let scripts = prepared().1;
    at_every_cut(
        || prepared().0,
        |band| drop(band.send(&scripts[0])),
        |band, landed| {
            assert_eq!(band.balance(), if landed == 1 { 60_000 } else { 50_000 });
            band.select();
            assert_eq!(band.send(&scripts[0]).1, 0x9000, "and can be sent again");
            assert_eq!(band.balance(), 60_000);
        },
    );
    at_every_cut(
        || prepared().0,
        |band| drop(band.send(&scripts[1])),
        |band, landed| assert_eq!(band.select(), if landed == 1 { 0x6283 } else { 0x9000 }),
    );
}

#[test]
fn install_and_personalise() {
    let script = standard_script();
    let groupings: Vec<(u16, Vec<u8>)> = huiwan_tlv::dgi::Dgis::new(&script)
        .map(|dgi| dgi.map(|dgi| (dgi.id, dgi.value.to_vec())).unwrap())
        .collect();
    at_every_cut(
        Band::blank,
        |band| {
            if band.send(&[0x80, 0xE6, 0, 0]).1 == 0x9000 {
                for (id, value) in &groupings {
                    if band.store(*id, value) != 0x9000 {
                        break;
                    }
                }
            }
        },
        |band, landed| {
            // A half-personalised card refuses, whatever is missing; personalised again it works.
            let complete = landed > groupings.len() - 1;
            let answer = match band.select() {
                0x9000 => band.options(&Reader::of(yuan(1))).map(|answer| answer.kind()),
                sw => Err(sw),
            };
            if !complete {
                assert_eq!(answer, Err(0x6985), "{landed}");
            }
            band.power_on();
            band.load(&script);
            assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
        },
    );
}

#[test]
fn personalisation_checks_what_it_stores() {
    let mut band = Band::on(Cells::default(), Qpboc::default());
    assert_eq!(band.send(&[0x80, 0xE6, 0, 0]).1, 0x9000);
    assert_eq!(band.store(0x9000, &[0; 9]), 0x6985, "check values before the keys");
    assert_eq!(band.store(0x8000, &[1; 47]), 0x6A80);
    assert_eq!(band.store(0x8000, &[1; 48]), 0x9000);
    assert_eq!(band.store(0x9000, &[0; 9]), 0x6A80);
    assert_eq!(band.store(0x9000, &[0; 3]), 0x6A80);
    assert_eq!(band.store(0x0201, &[0x71, 0]), 0x6A80, "no template 70");
    assert_eq!(band.store(0x0201, &[0x70, 1]), 0x6A80);
    assert_eq!(band.store(0x9103, &[0x6F, 0]), 0x6A80);
    assert_eq!(band.store(0x8205, &[1; 3]), 0x6A80);
    assert_eq!(band.store(0x9207, &[0x82]), 0x6A80);
    assert_eq!(band.store(0x0D01, &[0x9F, 0x36, 2, 0, 0]), 0x6A80, "the counter is the card's");
    assert_eq!(band.store(0x0D01, &[0x9F, 0x79, 5, 0, 0, 0, 0, 0]), 0x6A80);
    assert_eq!(band.store(0x0E01, &[0x9F, 0x79, 6, 0, 0, 0, 0, 0, 0]), 0x6A80, "changeable, so elsewhere");
    assert_eq!(band.store(0x0E01, &[0x9F, 0x36, 2, 0, 0]), 0x6A80);
    for unknown in [0x0000, 0x1F01, 0x0100, 0x8300, 0xF003, 0x7FFF] {
        assert_eq!(band.store(unknown, &[0x70, 0]), 0x6A88, "{unknown:04X}");
    }
}
