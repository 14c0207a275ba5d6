//! Any sequence of taps, torn taps, repeated reads and top-ups: the card's money is what a simple book says.
#![allow(clippy::cast_possible_truncation)]

use proptest::prelude::*;

use huiwan_emv::host::authorisation::{Decision, Script};

use super::band::*;
use super::issuer::{authorise, commands, field_55, online};

#[derive(Debug, Clone)]
enum Event {
    /// Pay, read this many of the five records in order, lose the field or not.
    Pay { fen: u64, records: usize, torn: bool },
    /// Read everything again after a new selection.
    ReadAgain,
    /// Go online and top up; the answer arrives in the same tap, in a second one, or never; the script arrives this many times.
    TopUp { yuan: u64, second_tap: bool, times: usize },
    /// A reader that only asks.
    Look,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0_u64..40_000, 0_usize..=5, any::<bool>()).prop_map(|(fen, records, torn)| Event::Pay { fen, records, torn }),
        2 => Just(Event::ReadAgain),
        2 => (1_u64..400, any::<bool>(), 0_usize..3).prop_map(|(yuan, second_tap, times)| Event::TopUp { yuan, second_tap, times }),
        1 => Just(Event::Look),
    ];
    prop::collection::vec(event, 1..12)
}

const RECORDS: [(u8, u8); 5] = [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2)];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_neither_made_nor_lost(events in events()) {
        let mut band = Band::issued();
        let (mut book, mut atc) = (50_000_u64, 0_u16);
        let mut served: Option<Vec<Vec<u8>>> = None;
        for event in events {
            match event {
                Event::Pay { fen, records, torn } => {
                    let amount = huiwan_emv::data::amount::Amount::new(fen).unwrap();
                    let answer = band.tap(&Reader::of(amount)).unwrap();
                    atc += 1;
                    served = None;
                    // The profile: single limit and verification from 300 yuan, reload below 20.
                    let covered = fen <= 30_000 && book >= fen + 2_000;
                    prop_assert_eq!(answer.kind(), if covered { "TC" } else { "ARQC" });
                    if covered {
                        let read: Vec<_> = RECORDS[..records].iter().map(|(sfi, n)| band.read(*sfi, *n).unwrap()).collect();
                        if records == 5 {
                            book -= fen;
                            served = Some(read);
                        }
                    } else {
                        prop_assert_eq!(band.read(2, 1), Err(0x6985));
                    }
                    if torn {
                        band.power_on();
                    }
                }
                Event::ReadAgain => {
                    prop_assert_eq!(band.select(), 0x9000);
                    for (index, (sfi, n)) in RECORDS.iter().enumerate() {
                        let expected = served.as_ref().map(|records| records[index].clone()).ok_or(0x6985);
                        prop_assert_eq!(band.read(*sfi, *n), expected);
                    }
                }
                Event::TopUp { yuan, second_tap, times } => {
                    let reader = online(1);
                    let answer = band.tap(&reader).unwrap();
                    atc += 1;
                    served = None;
                    let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| {
                        Decision::approve().with_script(Script::TopUp(self::yuan(yuan)))
                    });
                    let command = commands(&response.1.unwrap()).remove(0);
                    if second_tap {
                        band.power_on();
                        band.select();
                    }
                    let fits = book + yuan * 100 <= 100_000;
                    for _ in 0..times {
                        prop_assert_eq!(band.send(&command).1, if fits { 0x9000 } else { 0x6A80 });
                    }
                    if fits && times > 0 {
                        book += yuan * 100;
                    }
                }
                Event::Look => {
                    prop_assert_eq!(band.select(), 0x9000);
                    prop_assert_eq!(band.send(&[0x80, 0xCA, 0x9F, 0x79, 0]).1, 0x9000);
                }
            }
            prop_assert_eq!(band.balance(), book);
            prop_assert_eq!(band.atc(), atc);
        }
    }
}

/// Any command: mostly those of the application, with headers and data bent.
fn any_command() -> impl Strategy<Value = Vec<u8>> {
    let options = Just(Reader::of(yuan(1)).options());
    let known = prop::sample::select(vec![
        vec![0x80, 0xA8, 0, 0],
        vec![0, 0xB2, 1, 0x14],
        vec![0, 0xB2, 2, 0x1C],
        vec![0, 0xB2, 1, 0x5C],
        vec![0, 0x82, 0, 0],
        vec![4, 0xDA, 0x9F, 0x79],
        vec![4, 0xDC, 1, 0x1C],
        vec![0x84, 0x1E, 0, 0],
        vec![0x84, 0x18, 0, 0],
        vec![0x80, 0xCA, 0x9F, 0x79],
        vec![0x80, 0xCA, 0x80, 0x00],
    ]);
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let bent = (known, data, any::<Option<(usize, u8)>>()).prop_map(|(header, data, bend)| {
        let mut apdu = [&header[..], &[data.len() as u8], &data].concat();
        if let Some((at, with)) = bend {
            let at = at % apdu.len();
            apdu[at] ^= with;
        }
        apdu
    });
    let select = Just([&[0, 0xA4, 4, 0, 8][..], &AID, &[0]].concat());
    prop_oneof![2 => options, 2 => select, 6 => bent, 1 => prop::collection::vec(any::<u8>(), 0..20)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_command_makes_money_or_tells_a_secret(apdus in prop::collection::vec(any_command(), 1..20)) {
        let mut band = Band::issued();
        let secrets: Vec<Vec<u8>> =
            [0x8000, 0x8201, 0x8202, 0x8203, 0x8204, 0x8205].map(|id| band.memory().get(id).unwrap().to_vec()).to_vec();
        band.select();
        for apdu in apdus {
            let before = (band.balance(), band.atc());
            // The loader stands for the card manager, whose commands are protected; it is not what is tested here.
            if band.element.selected(0) != Some(PAYMENT) && apdu.get(1) != Some(&0xA4) {
                continue;
            }
            let (data, sw) = band.send(&apdu);
            prop_assert!(sw >> 12 == 6 || sw >> 12 == 9, "{:04X}", sw);
            for secret in &secrets {
                prop_assert!(!secret.windows(8).any(|window| data.windows(8).any(|told| told == window)));
            }
            let (balance, atc) = (band.balance(), band.atc());
            prop_assert!(balance == before.0 || (balance < before.0 && apdu.get(1) == Some(&0xB2) && sw == 0x9000));
            prop_assert!(atc == before.1 || atc == before.1 + 1);
        }
    }
}

#[test]
fn a_script_of_an_earlier_tap_fails_in_a_later_one() {
    let mut band = Band::issued();
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let top_up = |_: &_| Decision::approve().with_script(Script::TopUp(yuan(100)));
    let response = authorise(&field_55(&answer, &reader), &mut keys(), top_up).1.unwrap();
    let script = commands(&response)[0].clone();
    assert_eq!(band.send(&script).1, 0x9000);
    assert_eq!(band.balance(), 60_000);
    let payment = band.tap(&Reader::of(yuan(200))).unwrap();
    band.read_all(&payment).unwrap();
    assert_eq!(band.send(&script).1, 0x6985, "after an approval");
    assert_eq!(band.tap(&reader).unwrap().kind(), "ARQC");
    assert_eq!(band.send(&script).1, 0x6988, "under another cryptogram");
    band.power_on();
    band.select();
    assert_eq!(band.send(&script).1, 0x6988);
    assert_eq!(band.balance(), 40_000);
}
