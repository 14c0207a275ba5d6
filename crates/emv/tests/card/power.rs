//! The power goes at every commit of every command that writes, before it lands and after; then at every flash operation below
//! those commits, in every mode: before or after, never between.
#![allow(clippy::cast_possible_truncation)]

use huiwan_card::{Cut, Journal, RamFlash};
use huiwan_emv::card::Qpboc;
use huiwan_emv::data::amount::Amount;
use huiwan_emv::host::authorisation::{Decision, Script};
use huiwan_tlv::dgi::Dgis;

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
    assert_eq!(band.store(0x9000, &[0; 3]), 0x6A80);
    assert_eq!(band.store(0x9000, &[0; 9]), 0x6982);
    assert_eq!(band.store(0x9000, &[0; 9]), 0x6985, "wrong check values took the keys");
    assert_eq!(band.store(0x0201, &[0x71, 0]), 0x6A80, "no template 70");
    assert_eq!(band.store(0x0201, &[0x70, 1]), 0x6A80);
    assert_eq!(band.store(0x9103, &[0x6F, 0]), 0x6A80);
    assert_eq!(band.store(0x8205, &[1; 3]), 0x6A80);
    assert_eq!(band.store(0x9207, &[0x82]), 0x6A80);
    assert_eq!(band.store(0x9207, &[0x9F, 0x10, 8, 7, 1, 1, 3, 0, 0, 0, 4]), 0x6A80, "SM4, which it has not");
    assert_eq!(band.store(0x9207, &[0x9F, 0x10, 7, 7, 1, 1, 3, 0, 0, 0]), 0x6A80, "no algorithm");
    assert_eq!(band.store(0x0D01, &[0x9F, 0x36, 2, 0, 0]), 0x6A80, "the counter is the card's");
    assert_eq!(band.store(0x0D01, &[0x9F, 0x79, 5, 0, 0, 0, 0, 0]), 0x6A80);
    assert_eq!(band.store(0x0E01, &[0x9F, 0x79, 6, 0, 0, 0, 0, 0, 0]), 0x6A80, "changeable, so elsewhere");
    assert_eq!(band.store(0x0E01, &[0x9F, 0x36, 2, 0, 0]), 0x6A80);
    for unknown in [0x0000, 0x1F01, 0x0100, 0x8300, 0xF003, 0x7FFF] {
        assert_eq!(band.store(unknown, &[0x70, 0]), 0x6A88, "{unknown:04X}");
    }
}

// ---- the same through the journal, at every flash operation

type Flash = RamFlash<24576>;
type Disk = Journal<Flash, 64>;

fn mounted(flash: Flash) -> Band<Disk> {
    Band::on(Disk::mount(flash).unwrap(), Qpboc::default())
}

/// An issued card's flash.
fn issued_flash() -> Flash {
    let mut band = Band::on(Disk::format(Flash::new()).unwrap(), Qpboc::default());
    band.load(&standard_script());
    band.element.memory_mut().flash().clone()
}

/// What the card itself says: counter, balance, log records.
fn told(band: &mut Band<Disk>) -> (u16, u64, usize) {
    band.power_on();
    assert_eq!(band.select(), 0x9000);
    let atc = band.send(&[0x80, 0xCA, 0x9F, 0x36, 0]).0;
    let balance = band.send(&[0x80, 0xCA, 0x9F, 0x79, 0]).0;
    let logged = (1..=10).take_while(|back| band.read(0x0B, *back).is_ok()).count();
    (u16::from_be_bytes([atc[3], atc[4]]), Amount::from_bcd(&balance[3..]).unwrap().minor(), logged)
}

/// Runs `act` on copies of `flash`, cut at each operation in each mode; `check` sees the card after the power is back, and what
/// `act` returned.
fn at_every_flash_operation<R>(
    flash: &Flash,
    act: impl Fn(&mut Band<Disk>) -> R,
    check: impl Fn(&mut Band<Disk>, R, &str),
) {
    let mut whole = mounted(flash.clone());
    let before = whole.element.memory_mut().flash().operations();
    act(&mut whole);
    let operations = whole.element.memory_mut().flash().operations() - before;
    assert!(operations > 0);
    for operation in 0..operations {
        for cut in Cut::ALL {
            let mut band = mounted(flash.clone());
            band.element.memory_mut().flash_mut().cut_after(operation, cut, operation + 1);
            let result = act(&mut band);
            let mut flash = band.element.memory_mut().flash().clone();
            flash.power_on();
            check(&mut mounted(flash), result, &format!("{cut:?} at operation {operation} of {operations}"));
        }
    }
}

#[test]
fn a_payment_at_every_flash_operation() {
    let reader = Reader::of(yuan(30));
    at_every_flash_operation(
        &issued_flash(),
        |band| band.tap(&reader).and_then(|answer| band.read_all(&answer)).is_ok(),
        |band, finished, place| {
            let (atc, balance, logged) = told(band);
            let booked = balance == 47_000;
            assert!(booked || balance == 50_000, "{place}: {balance}");
            assert_eq!(logged, usize::from(booked), "{place}: log and balance together");
            assert!(atc <= 1 && (!booked || atc == 1), "{place}");
            assert!(!finished || booked, "{place}: an answered last record is booked");
            assert_eq!(band.read(3, 2).is_ok(), booked, "{place}: and can be read again");
            let answer = band.tap(&reader).unwrap();
            assert_eq!(answer.get(0x9F36).unwrap(), (atc + 1).to_be_bytes(), "{place}");
            band.read_all(&answer).unwrap();
            assert_eq!(told(band).1, balance - 3_000, "{place}: and it goes on paying");
        },
    );
}

#[test]
fn a_top_up_at_every_flash_operation() {
    let mut band = mounted(issued_flash());
    let reader = online(30);
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| {
        Decision::approve().with_script(Script::TopUp(yuan(100)))
    })
    .1
    .unwrap();
    let command = commands(&response).remove(0);
    let arpc = [&[0, 0x82, 0, 0, 10][..], find_deep(&response, 0x91).unwrap()].concat();
    let flash = band.element.memory_mut().flash().clone();
    at_every_flash_operation(
        &flash,
        |band| {
            band.select();
            (band.send(&arpc).1, band.send(&command).1)
        },
        |band, (authenticated, answered), place| {
            let (_, balance, _) = told(band);
            assert!(balance == 50_000 || balance == 60_000, "{place}: {balance}");
            assert!(answered != 0x9000 || balance == 60_000, "{place}: an answered script is done");
            let again = band.send(&arpc).1;
            assert!(matches!(again, 0x9000 | 0x6985), "{place}: {again:04X}");
            assert!(authenticated != 0x9000 || again == 0x6985, "{place}: once only");
            assert_eq!(band.send(&command).1, 0x9000, "{place}: the script can be repeated");
            assert_eq!(told(band).1, 60_000, "{place}");
        },
    );
}

#[test]
fn personalisation_at_every_flash_operation() {
    let script = standard_script();
    at_every_flash_operation(
        &Disk::format(Flash::new()).unwrap().into_flash(),
        |band| {
            let installed = band.send(&[0x80, 0xE6, 0, 0]).1 == 0x9000;
            installed
                && huiwan_tlv::dgi::Dgis::new(&script)
                    .map(Result::unwrap)
                    .all(|dgi| band.store(dgi.id, dgi.value) == 0x9000)
        },
        |band, _, place| {
            let answer = match band.select() {
                0x9000 => band.options(&Reader::of(yuan(1))).map(|answer| answer.kind()),
                sw => Err(sw),
            };
            assert!(matches!(answer, Ok("TC") | Err(0x6985 | 0x6A88)), "{place}: {answer:04X?}");
            band.power_on();
            band.load(&script);
            assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC", "{place}");
        },
    );
}

#[test]
fn answers_to_select_come_as_templates_or_whole() {
    let mut band = Band::on(Cells::default(), Qpboc::default());
    band.load(&standard_script());
    let template = band.element.memory().get(0x9103).unwrap().to_vec();
    let name = [&[0x84, 8][..], &AID].concat();
    let whole = |name: &[u8], rest: &[u8]| {
        let inside = [name, &template, rest].concat();
        [&[0x6F, inside.len() as u8][..], &inside].concat()
    };
    assert_eq!(band.store(0x9103, &whole(&name, &[])), 0x9000);
    assert_eq!(band.element.memory().get(0x9103), Some(&template[..]), "the template alone is kept");
    let mut other = name.clone();
    other[9] ^= 1;
    for (wrong, what) in [
        (whole(&other, &[]), "another application's name"),
        (whole(&[], &[]), "no name"),
        (whole(&name, &[0x50, 0]), "more than the template"),
        ([&whole(&name, &[])[..], &[0x50, 0]].concat(), "more than the answer"),
        ([&[0x6F, name.len() as u8][..], &name].concat(), "no template"),
    ] {
        assert_eq!(band.store(0x9103, &wrong), 0x6A80, "{what}");
    }
    band.power_on();
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
}

#[test]
fn wrong_check_values_make_the_card_useless_until_it_has_its_keys() {
    let script = standard_script();
    let grouping = |id: u16| Dgis::new(&script).map(Result::unwrap).find(|dgi| dgi.id == id).unwrap().value;
    let mut band = Band::on(Cells::default(), Qpboc::default());
    band.load(&script);
    assert_eq!(band.store(0x9000, grouping(0x9000)), 0x9000);
    band.power_on();
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
    for bit in 0..72 {
        band.power_on();
        let mut checks = grouping(0x9000).to_vec();
        checks[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(band.store(0x9000, &checks), 0x6982, "bit {bit}");
        band.power_on();
        assert_eq!(band.tap(&Reader::of(yuan(1))).map(|answer| answer.kind()), Err(0x6985), "bit {bit}");
        band.power_on();
        assert_eq!(band.store(0x9000, grouping(0x9000)), 0x6985);
        assert_eq!(band.store(0x8000, grouping(0x8000)), 0x9000);
        assert_eq!(band.store(0x9000, grouping(0x9000)), 0x9000);
    }
    band.power_on();
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
}

#[test]
fn records_behind_file_ten_and_pin_tries() {
    let mut band = Band::on(Cells::default(), Qpboc::default());
    band.load(&standard_script());
    assert_eq!(band.store(0x0C01, b"free"), 0x9000, "no template there");
    assert_eq!(band.store(0x0C01, &[]), 0x6A80);
    assert_eq!(band.store(0x0A01, b"free"), 0x6A80);
    for (value, sw) in [(&[0_u8, 3][..], 0x9000), (&[4, 3], 0x6A80), (&[3], 0x6A80), (&[3, 3, 3], 0x6A80)] {
        assert_eq!(band.store(0x9010, value), sw, "{value:02X?}");
    }
    assert_eq!(band.element.memory().get(0x9F17), Some(&[0][..]));
    for id in [0x8001, 0x8010, 0x8400, 0x8501, 0x9001, 0x9104, 0x9200, 0x9203, 0x9400, 0x7FFF] {
        assert_eq!(band.store(id, &[1; 48]), 0x6A88, "{id:04X} is for other interfaces");
    }
}
