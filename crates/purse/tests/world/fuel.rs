//! Cards with a grey lock, and grey locks made by hand with MACs from the second implementation.

use huiwan_card::Memory;
use huiwan_crypto::Secret;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_testkit::rng::Seeded;

use super::by_hand::bytes;
use super::{Band, CARD, RamBand, RamMemory, Suite, entries, hex, modules, oracle, public_info};

pub const PURSE_DATA: PurseData =
    PurseData { balance: 5000, online_seq: 7, offline_seq: 0x042C, overdraft: [0; 3], upper_limit: 100_000 };
pub const PUMP: &str = "300089000340";
pub const STAMP: &str = "20261122141740";

/// The profiles that have a grey lock.
pub fn profiles() -> Vec<Profile> {
    Profile::ALL.iter().copied().filter(|profile| profile.grey_lock.is_some()).collect()
}

/// The scheme's master keys.
pub fn masters() -> [KeyData; 5] {
    let mut random = Seeded::new(0x4655_454C);
    [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Maintenance, KeyKind::GreyUnlock].map(|kind| {
        KeyData { kind, index: 1, version: 1, algorithm: 1, tries: 0, value: Secret::new(random.bytes()) }
    })
}

pub fn card_keys(profile: &Profile) -> Vec<KeyData> {
    masters().iter().map(|master| card_key::<Suite>(profile, master, &CARD).unwrap()).collect()
}

pub fn key(profile: &Profile, kind: KeyKind) -> Vec<u8> {
    card_keys(profile).iter().find(|key| key.kind == kind).unwrap().value.expose().to_vec()
}

/// Installs and personalises a card without transit files.
pub fn issue<M: Memory>(band: &mut Band<M>, profile: &Profile) {
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    let personalisation = Personalisation {
        passbook: profile.ed.then_some(PURSE_DATA),
        purse: Some(PURSE_DATA),
        pin: profile.ed.then_some(&[0x12, 0x34]),
        version: None,
        public_info: public_info(),
        holder: None,
        management: None,
        records: &[],
        keys: &card_keys(profile),
        ..Personalisation::default()
    };
    personalisation.for_each(|dgi, value| {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(value)));
    });
    band.trace.clear();
}

pub fn issued(profile: Profile) -> RamBand {
    let mut band = Band::blank(RamMemory::default(), modules(profile), Box::leak(Box::new(entries())));
    issue(&mut band, &profile);
    band
}

/// A lock, and the session key that GMAC is computed with.
#[derive(Debug, Clone)]
pub struct Locking {
    pub init: Vec<u8>,
    pub terminal_seq: u32,
    pub session: Vec<u8>,
    pub command: String,
}

/// INITIALIZE FOR GREY LOCK, and the GREY LOCK that completes it.
#[track_caller]
pub fn init_lock<M: Memory>(band: &mut Band<M>, profile: &Profile, terminal_seq: u32) -> Locking {
    let init = band.ok(&format!("E07A08020701{PUMP}0F"));
    let terminal_random = bytes("A1B2C3D4");
    let seq = terminal_seq.to_be_bytes();
    let dpk = key(profile, KeyKind::Purchase);
    let session = oracle::grey_session(&dpk, &init[11..15], &init[4..6], &seq, &terminal_random);
    let mac1 = oracle::mac(&session, &bytes(&format!("91{PUMP}{STAMP}")));
    let command = format!("E07C080013{terminal_seq:08X}{}{STAMP}{}08", hex(&terminal_random), hex(&mac1));
    Locking { init, terminal_seq, session, command }
}

/// Grey-locks the selected purse.
#[track_caller]
pub fn lock<M: Memory>(band: &mut Band<M>, profile: &Profile, terminal_seq: u32) -> Locking {
    let locking = init_lock(band, profile, terminal_seq);
    band.ok(&locking.command);
    locking
}

/// The DEBIT FOR UNLOCK of a lock.
pub fn unlock(locking: &Locking, amount: u32) -> String {
    let seq = u16::from_be_bytes([locking.init[4], locking.init[5]]) + 1;
    let gmac = oracle::mac(&locking.session, &amount.to_be_bytes());
    format!("E07E08021B{amount:08X}{seq:04X}{PUMP}{:08X}{STAMP}{}04", locking.terminal_seq + 1, hex(&gmac))
}

/// The TAC that answers it.
pub fn unlock_tac(profile: &Profile, locking: &Locking, amount: u32) -> String {
    let message = format!("{amount:08X}93{PUMP}{:08X}{STAMP}", locking.terminal_seq + 1);
    hex(&oracle::tac(&key(profile, KeyKind::Tac), &bytes(&message)))
}

/// INITIALIZE FOR GREY UNLOCK; the answer.
#[track_caller]
pub fn init_unlock<M: Memory>(band: &mut Band<M>) -> Vec<u8> {
    band.ok(&format!("E07A09020701{PUMP}12"))
}

fn unlock_session(profile: &Profile, init: &[u8]) -> Vec<u8> {
    oracle::load_session(&key(profile, KeyKind::GreyUnlock), &init[10..14], &init[6..8])
}

/// MAC1 of its answer.
pub fn unlock_mac1(profile: &Profile, init: &[u8]) -> Vec<u8> {
    let message = bytes(&format!("{}95{PUMP}", hex(&init[..6])));
    oracle::mac(&unlock_session(profile, init), &message)
}

/// The GREY UNLOCK that completes it.
pub fn grey_unlock(profile: &Profile, init: &[u8], amount: u32) -> String {
    let mac2 = oracle::mac(&unlock_session(profile, init), &bytes(&format!("{amount:08X}95{PUMP}{STAMP}")));
    format!("E07E09000F{amount:08X}{STAMP}{}04", hex(&mac2))
}

/// MAC3 that answers it.
pub fn unlock_mac3(profile: &Profile, init: &[u8], amount: u32) -> String {
    let balance = u32::from_be_bytes(init[..4].try_into().unwrap()) - amount;
    let message = format!("{balance:08X}{}{amount:08X}95{PUMP}{STAMP}", hex(&init[6..8]));
    hex(&oracle::mac(&unlock_session(profile, init), &bytes(&message)))
}
