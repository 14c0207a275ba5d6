//! Every path of the decision, through the card: what the terminal sends and what the card is → status word or cryptogram and CTQ.
#![allow(clippy::cast_possible_truncation)]

use super::band::*;

type Objects = &'static [(u16, &'static [u8])];

/// 9F68 for the rows: e-cash only; e-cash and total; e-cash or total; no offline at all. PIN and signature supported.
const ECASH: (u16, &[u8]) = (0x9F68, &[0x80, 0, 0xD0, 0]);
const BOTH: (u16, &[u8]) = (0x9F68, &[0x40, 0, 0xD0, 0]);
const EITHER: (u16, &[u8]) = (0x9F68, &[0x20, 0, 0xD0, 0]);
const NO_OFFLINE: (u16, &[u8]) = (0x9F68, &[0, 0, 0xD0, 0]);
const ONLINE: [u8; 4] = [0x26, 0, 0, 0x80];
const OFFLINE_ONLY: [u8; 4] = [0x2A, 0, 0, 0x80];
const USD: [u8; 2] = [0x08, 0x40];
const CNY: [u8; 2] = [0x01, 0x56];

struct Row(&'static str, Objects, [u8; 4], u64, [u8; 2], Result<(&'static str, [u8; 2]), u16>);

#[test]
fn every_path() {
    let tc = Ok(("TC", [0, 0]));
    let arqc = Ok(("ARQC", [0, 0]));
    let aac = Ok(("AAC", [0, 0]));
    let rows = [
        // The low-value modes: balance 500, single limit 300, threshold 20.
        Row("e-cash covers", &[ECASH], ONLINE, 100, CNY, tc),
        Row("exactly the threshold is left", &[ECASH, (0x9F79, &[0, 0, 0, 0, 0x50, 0])], ONLINE, 30, CNY, tc),
        Row(
            "less than the threshold is left",
            &[ECASH, (0x9F79, &[0, 0, 0, 0, 0x50, 0])],
            ONLINE,
            31,
            CNY,
            arqc,
        ),
        Row(
            "offline-only spends the threshold too",
            &[ECASH, (0x9F79, &[0, 0, 0, 0, 0x50, 0])],
            OFFLINE_ONLY,
            50,
            CNY,
            tc,
        ),
        Row(
            "offline-only and not enough",
            &[ECASH, (0x9F79, &[0, 0, 0, 0, 0x50, 0])],
            OFFLINE_ONLY,
            51,
            CNY,
            aac,
        ),
        Row("single limit", &[ECASH, (0x9F78, &[0, 0, 0, 0, 0x40, 0])], ONLINE, 41, CNY, arqc),
        Row(
            "single limit, offline-only",
            &[ECASH, (0x9F78, &[0, 0, 0, 0, 0x40, 0])],
            OFFLINE_ONLY,
            41,
            CNY,
            aac,
        ),
        Row("at the single limit", &[ECASH, (0x9F78, &[0, 0, 0, 0, 0x40, 0])], ONLINE, 40, CNY, tc),
        Row("no offline mode", &[NO_OFFLINE], ONLINE, 1, CNY, arqc),
        Row("no offline mode, offline-only", &[NO_OFFLINE], OFFLINE_ONLY, 1, CNY, aac),
        Row("both cover", &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0])], ONLINE, 60, CNY, tc),
        Row("total limit", &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0])], ONLINE, 61, CNY, arqc),
        Row("no total limit is no room", &[BOTH], ONLINE, 1, CNY, arqc),
        Row(
            "total so far",
            &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0xF001, &[0, 0, 0, 0, 0x20, 0])],
            ONLINE,
            41,
            CNY,
            arqc,
        ),
        Row(
            "upper limit for offline-only",
            &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0x9F5C, &[0, 0, 0, 0, 0x70, 0])],
            OFFLINE_ONLY,
            70,
            CNY,
            tc,
        ),
        Row(
            "above the upper limit",
            &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0x9F5C, &[0, 0, 0, 0, 0x70, 0])],
            OFFLINE_ONLY,
            71,
            CNY,
            aac,
        ),
        Row(
            "upper limit is not for online-capable",
            &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0x9F5C, &[0, 0, 0, 0, 0x70, 0])],
            ONLINE,
            61,
            CNY,
            arqc,
        ),
        Row(
            "both, but e-cash short",
            &[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0x9F79, &[0, 0, 0, 0, 0x50, 0])],
            ONLINE,
            40,
            CNY,
            arqc,
        ),
        Row(
            "either: e-cash short, total covers",
            &[EITHER, (0x9F54, &[0, 0, 0, 0, 0x60, 0]), (0x9F79, &[0, 0, 0, 0, 0x05, 0])],
            ONLINE,
            40,
            CNY,
            tc,
        ),
        Row(
            "either: total short, e-cash covers",
            &[EITHER, (0x9F54, &[0, 0, 0, 0, 0x06, 0])],
            ONLINE,
            40,
            CNY,
            tc,
        ),
        Row(
            "either: both short",
            &[EITHER, (0x9F54, &[0, 0, 0, 0, 0x06, 0]), (0x9F79, &[0, 0, 0, 0, 0x05, 0])],
            ONLINE,
            40,
            CNY,
            arqc,
        ),
        Row(
            "either: both short, offline-only",
            &[EITHER, (0x9F54, &[0, 0, 0, 0, 0x06, 0]), (0x9F79, &[0, 0, 0, 0, 0x05, 0])],
            OFFLINE_ONLY,
            40,
            CNY,
            aac,
        ),
        // What sends the card online.
        Row("terminal wants online", &[ECASH], [0x26, 0x80, 0, 0x80], 1, CNY, arqc),
        Row("terminal wants online but cannot", &[ECASH], [0x2A, 0x80, 0, 0x80], 1, CNY, aac),
        Row("new card", &[(0x9F68, &[0x90, 0, 0xD0, 0]), (0x9F13, &[0, 0])], ONLINE, 1, CNY, arqc),
        Row("new card not checked", &[ECASH, (0x9F13, &[0, 0])], ONLINE, 1, CNY, tc),
        Row(
            "new card, offline-only",
            &[(0x9F68, &[0x90, 0x20, 0xD0, 0]), (0x9F13, &[0, 0])],
            OFFLINE_ONLY,
            1,
            CNY,
            aac,
        ),
        Row(
            "new card may, offline-only",
            &[(0x9F68, &[0x90, 0, 0xD0, 0]), (0x9F13, &[0, 0])],
            OFFLINE_ONLY,
            1,
            CNY,
            tc,
        ),
        Row("PIN tries used up", &[(0x9F68, &[0x88, 0, 0xD0, 0]), (0x9F17, &[0])], ONLINE, 1, CNY, arqc),
        Row(
            "PIN tries used up, offline-only",
            &[(0x9F68, &[0x88, 0, 0xD0, 0]), (0x9F17, &[0])],
            OFFLINE_ONLY,
            1,
            CNY,
            aac,
        ),
        Row("PIN tries left", &[(0x9F68, &[0x88, 0, 0xD0, 0]), (0x9F17, &[1])], ONLINE, 1, CNY, tc),
        Row("PIN tries not checked", &[ECASH, (0x9F17, &[0])], ONLINE, 1, CNY, tc),
        // Cardholder verification.
        Row(
            "terminal wants a CVM: online PIN",
            &[ECASH],
            [0x26, 0x40, 0, 0x80],
            1,
            CNY,
            Ok(("ARQC", [0x80, 0])),
        ),
        Row("no PIN pad: signature", &[ECASH], [0x22, 0x40, 0, 0x80], 1, CNY, Ok(("TC", [0x40, 0]))),
        Row("neither", &[ECASH], [0x20, 0x40, 0, 0x80], 1, CNY, Err(0x6985)),
        Row(
            "offline-only cannot PIN: signature",
            &[ECASH],
            [0x2E, 0x40, 0, 0x80],
            1,
            CNY,
            Ok(("TC", [0x40, 0])),
        ),
        Row("offline-only without signature", &[ECASH], [0x2C, 0x40, 0, 0x80], 1, CNY, Err(0x6985)),
        Row(
            "card without PIN: signature",
            &[(0x9F68, &[0x80, 0, 0x10, 0])],
            [0x26, 0x40, 0, 0],
            1,
            CNY,
            Ok(("TC", [0x40, 0])),
        ),
        Row("card with nothing", &[(0x9F68, &[0x80, 0, 0, 0])], [0x26, 0x40, 0, 0], 1, CNY, Err(0x6985)),
        Row(
            "card limit",
            &[ECASH, (0x9F6B, &[0, 0, 0, 0, 0x10, 0])],
            ONLINE,
            11,
            CNY,
            Ok(("ARQC", [0x80, 0])),
        ),
        Row("at the card limit", &[ECASH, (0x9F6B, &[0, 0, 0, 0, 0x10, 0])], ONLINE, 10, CNY, tc),
        Row(
            "device verification without a wearer is none",
            &[ECASH],
            [0x26, 0x40, 0x40, 0x80],
            1,
            CNY,
            Ok(("ARQC", [0x80, 0])),
        ),
        // Other currencies: counted, limit 0 when issued.
        Row("foreign goes online", &[ECASH], ONLINE, 1, USD, arqc),
        Row("foreign, offline-only", &[ECASH], OFFLINE_ONLY, 1, USD, aac),
        Row("foreign refused", &[(0x9F68, &[0x80, 0x40, 0xD0, 0])], ONLINE, 1, USD, aac),
        Row("foreign allowed", &[(0x9F68, &[0x84, 0, 0xD0, 0]), (0x9F53, &[2])], ONLINE, 1, USD, tc),
        Row(
            "foreign count used up",
            &[(0x9F68, &[0x84, 0, 0xD0, 0]), (0x9F53, &[2]), (0xF002, &[2])],
            ONLINE,
            1,
            USD,
            arqc,
        ),
        Row(
            "foreign count used up, offline-only",
            &[(0x9F68, &[0x84, 0, 0xD0, 0]), (0x9F53, &[2]), (0xF002, &[2])],
            OFFLINE_ONLY,
            1,
            USD,
            aac,
        ),
        Row(
            "foreign needs a CVM",
            &[(0x9F68, &[0x84, 0, 0xF0, 0]), (0x9F53, &[2])],
            ONLINE,
            1,
            USD,
            Ok(("ARQC", [0x80, 0])),
        ),
        Row(
            "card limit is in its own currency",
            &[(0x9F68, &[0x84, 0, 0xD0, 0]), (0x9F53, &[2]), (0x9F6B, &[0, 0, 0, 0, 0x10, 0])],
            ONLINE,
            11,
            USD,
            tc,
        ),
        // Products.
        Row("contact preferred", &[(0x9F68, &[0x02, 0, 0xD0, 0])], [0x36, 0, 0, 0x80], 1, CNY, Err(0x6985)),
        Row("contact preferred, none there", &[(0x9F68, &[0x02, 0, 0xD0, 0])], ONLINE, 1, CNY, arqc),
        Row(
            "contact preferred, but offline is fine",
            &[(0x9F68, &[0x82, 0, 0xD0, 0])],
            [0x36, 0, 0, 0x80],
            1,
            CNY,
            tc,
        ),
        Row("prepaid with nothing to pay", &[(0x9F68, &[0x80, 0x80, 0xD0, 0])], ONLINE, 0, CNY, aac),
        Row("nothing to pay", &[ECASH], ONLINE, 0, CNY, tc),
        Row("blocked", &[ECASH, (0xF004, &[1])], ONLINE, 1, CNY, aac),
        // A terminal that could do full debit/credit over contactless too still gets qPBOC, as real cards answer.
        Row("both paths", &[ECASH], [0xF6, 0, 0, 0], 1, CNY, tc),
    ];
    for Row(name, objects, ttq, amount, currency, expected) in rows {
        let mut band = Band::with(objects);
        let (atc, before) = (band.atc(), band.balance());
        let answer = band.tap(&Reader { ttq, amount: yuan(amount), currency });
        let found = answer.as_ref().map(|answer| (answer.kind(), answer.ctq())).map_err(|sw| *sw);
        assert_eq!(found, expected, "{name}");
        assert_eq!(band.atc(), atc + 1, "{name}: every accepted command counts");
        let Ok(answer) = answer else { continue };
        assert_eq!(answer.get(0x94).is_some(), answer.kind() == "TC", "{name}: only approvals have records");
        assert!(answer.get(0x9F5D).is_none(), "{name}");
        if answer.kind() == "TC" {
            band.read_all(&answer).unwrap();
        }
        if answer.kind() != "TC" || currency == USD {
            assert_eq!(band.balance(), before, "{name}: costs nothing");
        }
    }
}

#[test]
fn an_approval_costs_what_its_mode_says() {
    let cases: [(Objects, u64, u64, u64); 4] = [
        (&[ECASH], 40, 46_000, 0),
        (&[BOTH, (0x9F54, &[0, 0, 0, 0, 0x60, 0])], 40, 46_000, 4_000),
        (&[EITHER, (0x9F54, &[0, 0, 0, 0, 0x60, 0])], 40, 46_000, 0),
        (
            &[
                EITHER,
                (0x9F54, &[0, 0, 0, 0, 0x60, 0]),
                (0x9F79, &[0, 0, 0, 0, 0x05, 0]),
                (0xF001, &[0, 0, 0, 0, 0x01, 0]),
            ],
            40,
            500,
            4_100,
        ),
    ];
    for (objects, amount, balance, total) in cases {
        let mut band = Band::with(objects);
        let answer = band.tap(&Reader::of(yuan(amount))).unwrap();
        band.read_all(&answer).unwrap();
        assert_eq!(band.balance(), balance);
        let found = band.memory().get(0xF001).unwrap().to_vec();
        assert_eq!(huiwan_emv::data::amount::Amount::from_bcd(&found).unwrap().minor(), total);
    }
    let mut band = Band::with(&[(0x9F68, &[0x84, 0, 0xD0, 0]), (0x9F53, &[2])]);
    for count in 1..=2 {
        let answer = band.tap(&Reader { currency: USD, ..Reader::of(yuan(9)) }).unwrap();
        band.read_all(&answer).unwrap();
        assert_eq!(band.memory().get(0xF002).unwrap(), [count]);
    }
    assert_eq!(band.tap(&Reader { currency: USD, ..Reader::of(yuan(9)) }).unwrap().kind(), "ARQC");
}

#[test]
fn the_wearer_counts_for_one_tap_and_only_for_terminals_that_know() {
    let terminal = |third| Reader { ttq: [0x26, 0x40, third, 0x80], ..Reader::of(yuan(100)) };
    let mut band = Band::with(&[ECASH]);
    band.element.set_wearer_verified(true);
    assert_eq!(band.tap(&terminal(0)).unwrap().ctq(), [0x80, 0], "terminal does not know it");

    let mut band = Band::with(&[ECASH]);
    band.element.set_wearer_verified(true);
    let answer = band.tap(&terminal(0x40)).unwrap();
    assert_eq!((answer.kind(), answer.ctq()), ("TC", [0, 0x80]));
    assert_eq!(answer.get(0x9F10).unwrap()[4] & 0x04, 0x04, "the issuer sees it under the cryptogram");
    band.power_on();
    assert_eq!(band.tap(&terminal(0x40)).unwrap().ctq(), [0x80, 0], "cleared by the loss of power");

    let online = Reader { ttq: [0x26, 0xC0, 0x40, 0x80], ..Reader::of(yuan(2000)) };
    let mut band = Band::with(&[ECASH]);
    band.element.set_wearer_verified(true);
    let answer = band.tap(&online).unwrap();
    assert_eq!((answer.kind(), answer.ctq()), ("ARQC", [0, 0x80]));
}

#[test]
fn no_key_no_approval() {
    let mut band = Band::issued();
    band.element.memory_mut().set(0x9F13, &[0, 1]);
    let mut without = Band::blank();
    assert_eq!(without.send(&[0x80, 0xE6, 0, 0]).1, 0x9000);
    for dgi in huiwan_tlv::dgi::Dgis::new(&standard_script()).map(Result::unwrap) {
        if dgi.id != 0x8205 {
            assert_eq!(without.store(dgi.id, dgi.value), 0x9000);
        }
    }
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
    assert_eq!(without.tap(&Reader::of(yuan(1))).unwrap().kind(), "ARQC");
}
