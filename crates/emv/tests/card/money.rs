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
