//! A card with both sets of keys, and secured commands made by the second implementation.

use huiwan_card::{Memory, Module};
use huiwan_crypto::{Both, Secret};
use huiwan_purse::card::Purse;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{KeyData, dgi_key};
use huiwan_purse::profile::Profile;
use huiwan_testkit::rng::Seeded;

use super::{Band, FULL_PURSE, RamBand, RamMemory, groupings, hex, kept_entries, oracle};

pub const KINDS: [KeyKind; 7] = [
    KeyKind::Purchase,
    KeyKind::Load,
    KeyKind::Tac,
    KeyKind::Maintenance,
    KeyKind::ExternalAuthentication,
    KeyKind::InternalAuthentication,
    KeyKind::Control,
];

/// A key of the card.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub sm4: bool,
    pub value: [u8; 16],
}

impl Key {
    pub fn of(kind: KeyKind, sm4: bool) -> Self {
        let mut random = Seeded::new(u64::from(kind.code()) << 8 | u64::from(sm4));
        Self { sm4, value: random.bytes() }
    }

    pub fn e(&self, block: &[u8]) -> Vec<u8> {
        if self.sm4 { oracle::sm4(&self.value, block) } else { oracle::tdes(&self.value, block) }
    }

    pub fn mac(&self, challenge: &[u8], message: &[u8]) -> Vec<u8> {
        if self.sm4 {
            oracle::sm4_secured(&self.value, challenge, message)
        } else {
            oracle::secured(&self.value, challenge, message)
        }
    }

    pub fn seal(&self, data: &[u8]) -> Vec<u8> {
        oracle::sealed(self.sm4, &self.value, false, data)
    }

    /// The cryptogram of EXTERNAL AUTHENTICATE.
    pub fn cryptogram(&self, challenge: &[u8]) -> Vec<u8> {
        let mut block = challenge.to_vec();
        block.resize(if self.sm4 { 16 } else { 8 }, 0);
        self.e(&block)
    }

    /// The secured command, with a fresh challenge of `len` bytes.
    #[track_caller]
    pub fn secured<M: Memory>(&self, band: &mut Band<M>, len: u8, header: &str, data: &[u8]) -> String {
        let challenge = band.ok(&format!("00840000{len:02X}"));
        let start = format!("{header}{:02X}{}", data.len() + 4, hex(data));
        let mac = self.mac(&challenge, &huiwan_testkit::hex(&start));
        format!("{start}{}", hex(&mac))
    }
}

pub fn card_key(kind: KeyKind, sm4: bool, tries: u8) -> KeyData {
    KeyData {
        kind,
        index: 1,
        version: if sm4 { 0x40 } else { 0x10 },
        algorithm: if sm4 { 4 } else { 1 },
        tries,
        value: Secret::new(Key::of(kind, sm4).value),
    }
}

pub fn modules(profile: Profile) -> &'static [&'static dyn Module] {
    let purse: &'static dyn Module = Box::leak(Box::new(Purse::<Both>::new(profile)));
    let [issuer, _] = super::modules(Profile::JTT_978) else { panic!() };
    Box::leak(Box::new([*issuer, purse]))
}

/// Sends the groupings of a card with these keys to one that has nothing.
pub fn issue<M: Memory>(band: &mut Band<M>, keys: &[KeyData]) {
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    personalise_keys(band, keys);
    for (dgi, value) in groupings(FULL_PURSE).into_iter().filter(|(dgi, _)| dgi >> 8 != 0x80) {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(&value)));
    }
    band.trace.clear();
}

pub fn personalise_keys<M: Memory>(band: &mut Band<M>, keys: &[KeyData]) {
    band.ok("00A4040008A00000015100000000");
    for key in keys {
        band.ok(&format!("80E2000016{:04X}{}", dgi_key(key.kind), hex(key.to_bytes().expose())));
    }
}

/// A card with the keys of these sets, selected.
pub fn issued(profile: Profile, sets: &[bool]) -> RamBand {
    let keys: Vec<KeyData> = sets.iter().flat_map(|sm4| KINDS.map(|kind| card_key(kind, *sm4, 0))).collect();
    let mut band = Band::blank(RamMemory::default(), modules(profile), kept_entries());
    issue(&mut band, &keys);
    band.select();
    band
}

/// The plain data field of WRITE KEY.
pub fn write_key(cos_type: u8, version: u8, algorithm: u8, tries: u8, value: [u8; 16]) -> Vec<u8> {
    [&[cos_type, version, algorithm, tries][..], &value].concat()
}
