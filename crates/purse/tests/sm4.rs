//! A card, a gate and a host whose keys are all SM4 (algorithm 04), with MACs checked by a second implementation. [sheet 2.2,
//! 2.3, 2.5; corrections 2]

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_card::Module;
use huiwan_crypto::{Chinese, Secret, Sm4};
use huiwan_purse::card::Purse;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::host::settlement::Record;
use huiwan_purse::host::{LoadKeys, SoftLoadKeys};
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{KeyData, dgi_key};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{SamKey, SoftSam};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{
    LoadApproval, LoadRequest, Mac2, Outcome, Policy, Tap, TopUp, TopUpOutcome, drive,
};
use world::by_hand::{DATE_TIME, TERMINAL, bytes};
use world::{Band, CARD, DEVICE, ENTRY, FULL_PURSE, Notes, RamBand, RamMemory, STAMP, groupings, hex};

fn masters() -> [KeyData; 4] {
    world::masters().map(|key| KeyData { algorithm: 4, ..key })
}

fn card_keys() -> [KeyData; 4] {
    masters().map(|master| card_key::<Chinese>(&Profile::JTT_978, &master, &CARD).unwrap())
}

fn key(kind: KeyKind) -> Vec<u8> {
    card_keys().iter().find(|key| key.kind == kind).unwrap().value.expose().to_vec()
}

/// SM4 of one block.
fn e(key: &[u8], block: &[u8]) -> Vec<u8> {
    Sm4::new(key.try_into().unwrap()).encrypt_block(block.try_into().unwrap()).to_vec()
}

fn and_inverted(half: &[u8]) -> Vec<u8> {
    half.iter().copied().chain(half.iter().map(|byte| !byte)).collect()
}

/// CBC with padding 80 00… to 16, four bytes.
fn mac(key: &[u8], iv: &[u8], message: &[u8]) -> Vec<u8> {
    let mut state = iv.to_vec();
    state.resize(16, 0);
    let mut padded = [message, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(16), 0);
    for block in padded.chunks(16) {
        let mixed: Vec<u8> = state.iter().zip(block).map(|(a, b)| a ^ b).collect();
        state = e(key, &mixed);
    }
    state[..4].to_vec()
}

fn issued() -> RamBand {
    let purse: &'static dyn Module = Box::leak(Box::new(Purse::<Chinese>::new(Profile::JTT_978)));
    let [issuer, _] = world::modules(Profile::JTT_978) else { panic!() };
    let modules: &'static [&'static dyn Module] = Box::leak(Box::new([*issuer, purse]));
    let entries = Box::leak(Box::new(world::entries()));
    let mut band = Band::blank(RamMemory::default(), modules, entries);
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    let keys: Vec<(u16, Vec<u8>)> =
        card_keys().iter().map(|key| (dgi_key(key.kind), key.to_bytes().expose().to_vec())).collect();
    let others = groupings(FULL_PURSE).into_iter().filter(|(dgi, _)| dgi >> 8 != 0x80);
    for (dgi, value) in keys.into_iter().chain(others) {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(&value)));
    }
    band
}

#[test]
fn keys_are_derived_by_blocks_of_factor_and_inverse() {
    for (master, card) in masters().iter().zip(card_keys()) {
        let issuer = e(master.value.expose(), &and_inverted(&CARD.issuer));
        assert_eq!(card.value.expose()[..], e(&issuer, &and_inverted(&CARD.serial[2..])));
    }
}

#[test]
fn purchase_by_hand() {
    let mut band = issued();
    band.select();
    let answer = band.ok(&format!("805001020B01000003E8{TERMINAL}0F"));
    assert_eq!(hex(&answer[..11]), "00001388042C0000000104");
    let block = [&answer[11..15], &answer[4..6], &[0x02, 0x03]].concat();
    let session = e(&key(KeyKind::Purchase), &and_inverted(&block));
    let mac1 = mac(&session, &[], &bytes(&format!("000003E806{TERMINAL}{DATE_TIME}")));
    let got = band.ok(&format!("805401000F00010203{DATE_TIME}{}08", hex(&mac1)));
    let covered = bytes(&format!("000003E806{TERMINAL}00010203{DATE_TIME}"));
    assert_eq!(got[..4], mac(&key(KeyKind::Tac), &[], &covered), "TAC under the whole key");
    assert_eq!(got[4..], mac(&session, &[], &bytes("000003E8")));
}

#[test]
fn secured_update_by_hand() {
    for len in [4, 8] {
        let mut band = issued();
        band.select();
        let challenge = band.ok(&format!("00840000{len:02X}"));
        let mac = mac(&key(KeyKind::Maintenance), &challenge, &bytes("04D695090500"));
        band.expect(&format!("04D695090500{}", hex(&mac)), "9000");
        assert_eq!(band.ok("00B095001E")[9], 0);
    }
}

#[test]
fn gate_load_and_settlement() {
    let mut band = issued();
    let [purchase, ..] = masters();
    let sam_key = SamKey { version: 1, algorithm: 4, value: Secret::new(*purchase.value.expose()) };
    let mut sam = SoftSam::<Chinese, 1>::new(&Profile::JTT_978, world::TERMINAL, 1, [sam_key], 1);
    let mut host = SoftLoadKeys::<Chinese, 4>::new(Profile::JTT_978, masters());
    let (policy, mut notes) = (Policy::default(), Notes::default());
    let entry = drive::tap(&mut Tap::new(DEVICE, &policy, &ENTRY, STAMP), &mut band, &mut sam, &mut notes);
    let service = Purchase { amount: 700 };
    let paid = drive::tap(&mut Tap::new(DEVICE, &policy, &service, STAMP), &mut band, &mut sam, &mut notes);
    for outcome in [entry, paid] {
        let Ok(Outcome::Paid(receipt)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(receipt.mac2, Mac2::Verified);
        let Record { transaction, tac } = Record::from_receipt(&receipt).unwrap();
        host.verify_tac(&transaction, &tac).unwrap();
    }
    let mut approve = |request: &LoadRequest| {
        let mac2 = host.approve_load(request, STAMP).unwrap();
        Some(LoadApproval { stamp: STAMP, mac2 })
    };
    let loaded = drive::top_up(&mut TopUp::new(DEVICE, 900), &mut band, &mut approve, &mut |_| {}).unwrap();
    let TopUpOutcome::Loaded { transaction, tac } = loaded else { panic!("{loaded:?}") };
    host.verify_tac(&transaction, &tac).unwrap();
    band.expect("805C000204", "00001450 9000");
}
