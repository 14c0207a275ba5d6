//! A card with passbook, purse and PIN 123456, issued with keys of its own.

use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{
    DGI_AUTH_CODE, DGI_PASSBOOK, DGI_PIN, DGI_PUBLIC_INFO, DGI_PURSE, PurseData, dgi_key, dgi_record,
};
use huiwan_purse::profile::Profile;
use huiwan_purse::transit::etc::Toll;
use huiwan_purse::transit::public_info::Vehicle;
use huiwan_testkit::hex as bytes;

use super::by_hand::{DATE_TIME, TERMINAL};
use super::{Band, RamBand, RamMemory, hex, oracle};

/// The card's own key of this kind: no derivation here.
pub fn key(kind: KeyKind) -> Vec<u8> {
    (0..16).map(|n| kind.code() * 16 + n).collect()
}

pub fn issued(profile: Profile) -> RamBand {
    let memory = super::kept(profile, || issue(profile).remove());
    let mut band = Band::blank(memory, super::modules(profile), super::kept_entries());
    band.select();
    band
}

fn issue(profile: Profile) -> RamBand {
    let mut band = Band::blank(RamMemory::default(), super::modules(profile), super::kept_entries());
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    personalise(&mut band, &groupings(profile));
    band
}

/// Sends the groupings to the issuer, who is selected.
pub fn personalise(band: &mut RamBand, groupings: &[(u16, Vec<u8>)]) {
    for (dgi, value) in groupings {
        band.ok(&store(*dgi, value));
    }
}

/// STORE DATA of one grouping.
pub fn store(dgi: u16, value: &[u8]) -> String {
    format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(value))
}

/// File 0015, as long as the scheme has it.
pub fn public_info(profile: Profile) -> Vec<u8> {
    let vehicle = Vehicle { plate: *b"SU A12345\0\0\0", user_type: 1 };
    match profile.public_info_len {
        30 => super::public_info().as_bytes().to_vec(),
        _ => super::public_info().with_vehicle(&vehicle).to_vec(),
    }
}

/// Every grouping of the card.
pub fn groupings(profile: Profile) -> Vec<(u16, Vec<u8>)> {
    let data = PurseData {
        balance: 60_00,
        online_seq: 7,
        offline_seq: 9,
        overdraft: [0, 0x03, 0xE8],
        upper_limit: 10_000,
    };
    let mut groupings = vec![(DGI_PIN, bytes("123456")), (DGI_PUBLIC_INFO, public_info(profile))];
    let kinds = [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Unload, KeyKind::Update];
    for kind in kinds.into_iter().chain([KeyKind::Maintenance, KeyKind::PinReload, KeyKind::PinUnblock]) {
        groupings.push((dgi_key(kind), [&[1, 1, 1], &key(kind)[..]].concat()));
    }
    if profile.auth_code {
        groupings.push((DGI_AUTH_CODE, bytes("010203040506070809")));
    }
    if profile.composite_sfi == 0x17 {
        groupings.push((dgi_record(1), city_record(0)));
    }
    if profile.composite_sfi == 0x19 {
        groupings.push((dgi_record(1), Toll::new().as_bytes().to_vec()));
    }
    if profile.ed {
        groupings.push((DGI_PASSBOOK, data.to_bytes().to_vec()));
    }
    groupings.push((DGI_PURSE, PurseData { overdraft: [0; 3], balance: 50_00, ..data }.to_bytes().to_vec()));
    groupings
}

/// 09 ‖ inner length ‖ lock ‖ 45 bytes.
pub fn city_record(content: u8) -> Vec<u8> {
    [&[0x09, 0x2E, 0x00][..], &[content; 45]].concat()
}

/// The DEBIT that completes an initialisation of [`init`](super::by_hand::init).
pub fn debit(init: &[u8], tti: u8, amount: u32) -> String {
    let seq = bytes("00010203");
    let session = oracle::purchase_session(&key(KeyKind::Purchase), &init[11..15], &init[4..6], &seq);
    let message = bytes(&format!("{amount:08X}{tti:02X}{TERMINAL}{DATE_TIME}"));
    format!("805401000F00010203{DATE_TIME}{}08", hex(&oracle::mac(&session, &message)))
}
