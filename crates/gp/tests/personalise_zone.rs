//! Personalisation out of an issuer's zone: the card hears the same, byte for byte, as from somebody who has the values in the clear.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::Aid;
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::key_store::{Chaining, PinFormat, SingleKey};
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Input, Job, KeyError, KeyHandle, KeyRef, KeyRequest, KeyStore, Manager,
    OpenChannel, Outcome, Personalise, SoftKeyStore, Stage, Step, Zone, ZonePin,
};
use huiwan_gp::scp02;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::store_data::DgiPadding;
use huiwan_testkit::hex;
use support::*;

const APP: Aid = Aid::from_array(TOY_AID);
const VALUES: KeyHandle = KeyHandle(1);
const PINS: KeyHandle = KeyHandle(2);
const VALUES_KEY: [u8; 16] = [0xA1; 16];
const PINS_KEY: [u8; 16] = *b"zone pin key 123";

/// Personalises a new card over SCP03 or SCP02; how it ended, and what the card heard.
fn personalise(des: bool, job: Personalise<'_>) -> (Outcome, Vec<Vec<u8>>) {
    let profile = CardProfile::DEFAULT.with_scp02(scp02::Options::I55).with_dgi_padding(job.coding.padding);
    let (_, ended) = with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        assert_eq!(card.sw(&select(&[])), 0x9000);
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &[0xC9, 0])).1, 0x9000);
        let mut store = SoftKeyStore::<2, 1>::new();
        store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
        store.insert_des(2, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
        store.insert_single(VALUES, SingleKey::aes(&VALUES_KEY).unwrap()).unwrap();
        store.insert_single(PINS, SingleKey::des(&PINS_KEY).unwrap()).unwrap();
        let (id, key_version) = if des { (2, 0x20) } else { (1, 0x30) };
        let open = OpenChannel {
            aid: None,
            key_version,
            key: KeyRef::direct(id),
            level: Level::CMac,
            host_challenge: [9; 8].into(),
        };
        let mut manager = Manager::new();
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let (mut heard, mut outcome) = (vec![], Outcome::Complete);
        for job in [Job::Open(open), Job::Personalise(job)] {
            assert_eq!(outcome, Outcome::Complete);
            let mut answer: Vec<u8>;
            let mut input = Input::Start(job);
            outcome = loop {
                input = match manager.step(input, &mut out).unwrap() {
                    Step::Send(command) => {
                        heard.push(command.to_vec());
                        answer = card.send(command);
                        Input::Response(&answer)
                    }
                    Step::Key(request) => {
                        if let (
                            KeyRequest::Encrypt { .. },
                            Job::Personalise(Personalise { zone: Some(_), .. }),
                        ) = (request, job)
                        {
                            panic!("somebody has the value in the clear");
                        }
                        Input::Key(store.answer(&request, &mut key_out))
                    }
                    Step::Done(outcome) => break outcome,
                    _ => Input::Continue,
                };
            };
        }
        (outcome, heard)
    });
    ended
}

const fn grouping(id: u16, value: &[u8], encrypt: bool) -> Grouping<'_> {
    Grouping { id, value, encrypt }
}

#[test]
fn the_card_hears_the_same() {
    let plain = (0..240).collect::<Vec<u8>>();
    let reference = hex("241234FFFFFFFFFF");
    // psec's block of format 0 for this account number and PIN.
    let account = b"5555555551234567";
    let block = Tdes::new2(&PINS_KEY).encrypt_block(&hex("041261AAAAEDCBA9").try_into().unwrap());
    for des in [false, true] {
        for padding in [DgiPadding::Cps, DgiPadding::Always, DgiPadding::WhenNeeded] {
            let coding = Coding::GP.with_padding(padding);
            let clear = [
                grouping(0x0101, &b"a record"[..], false),
                grouping(0x8000, &plain[..48], true),
                // More than a command.
                grouping(0x8202, &plain, true),
                grouping(0x8010, &reference, true),
            ];
            let (ended, expected) = personalise(des, Personalise::new(Some(APP), &clear, coding));
            assert_eq!(ended, Outcome::Complete);
            for chaining in [Chaining::Ecb, Chaining::Cbc] {
                let in_zone = |value: &[u8]| {
                    let (mut value, key) = (value.to_vec(), Aes::new(&VALUES_KEY).unwrap());
                    match chaining {
                        Chaining::Ecb => key.encrypt_ecb(&mut value).unwrap(),
                        Chaining::Cbc => key.encrypt_cbc(&[0; 16], &mut value).unwrap(),
                    }
                    value
                };
                let (keys, number) = (in_zone(&plain[..48]), in_zone(&plain));
                let script = [
                    clear[0],
                    grouping(0x8000, &keys, true),
                    grouping(0x8202, &number, true),
                    grouping(0x8010, &block, true),
                ];
                let pin = ZonePin { key: PINS, format: PinFormat::Iso0, account };
                let zone = Zone { key: VALUES, chaining, pin: Some(pin) };
                let job = Personalise::new(Some(APP), &script, coding);
                let (ended, heard) = personalise(des, job.from_zone(zone));
                assert_eq!(ended, Outcome::Complete, "{des} {padding:?} {chaining:?}");
                assert_eq!(heard, expected, "{des} {padding:?} {chaining:?}");
                // A PIN of another account is none, and nothing of it goes to the card.
                let pin = Some(ZonePin { account: b"5555555551234575", ..pin });
                let (ended, heard) = personalise(des, job.from_zone(Zone { pin, ..zone }));
                let Outcome::Fault(fault) = ended else { panic!("another PIN") };
                assert_eq!(fault.kind, FaultKind::Key(KeyError::PinBlock));
                assert_eq!(fault.stage, Stage::StoreData { index: 3, id: 0x8010 });
                assert_eq!(heard, expected[..expected.len() - 1]);
                // Without a word about it a PIN is a value like any other, and this one is not whole blocks of that cipher.
                let (ended, _) = personalise(des, job.from_zone(Zone { pin: None, ..zone }));
                assert!(
                    matches!(ended, Outcome::Fault(fault) if fault.kind == FaultKind::Key(KeyError::TooLong))
                );
            }
        }
    }
}
