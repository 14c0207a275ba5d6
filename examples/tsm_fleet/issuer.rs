//! Bank and transit company: the data of every card of their own, and the keys they come from.

use huiwan::sample::{BANK_KEY, PURSE, PURSE_KEY, bank_keys, transit_masters};
use huiwan_crypto::International;
use huiwan_emv::certificates::CertificateInfo;
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::certificates::{certify_issuer, fixtures};
use huiwan_emv::host::keys::CardReference;
use huiwan_emv::host::personalisation::{CardProfile, Cardholder, IssuerCertificate, SCRIPT_MAX, prepare};
use huiwan_emv::pan::Pan;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::CardId;
use huiwan_purse::personalisation::{Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_testkit::rng::Seeded;

/// The bank's certificate, made once, and the random numbers of all data preparation.
pub struct Issuer {
    certificate: Vec<u8>,
    remainder: Vec<u8>,
    random: Seeded,
}

/// What one band's two cards are personalised with: groupings one after another.
pub struct Scripts {
    pub bank: Vec<u8>,
    pub transit: Vec<u8>,
}

impl Issuer {
    pub fn new(seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let mut out = [0; 256];
        let made = certify_issuer(
            &fixtures::ca_key().expect("the fixture is a key"),
            [0x62, 0x99, 0x99, 0xFF],
            CertificateInfo { expiry: [0x12, 0x35], serial: [0, 0, 1] },
            &fixtures::ISSUER_MODULUS,
            &fixtures::EXPONENT,
            &mut random,
            &mut out,
        )
        .expect("the fixtures fit each other");
        let (certificate, remainder) = (made.certificate.to_vec(), made.remainder.to_vec());
        Self { certificate, remainder, random }
    }

    /// The data of band number `n`. All bands share the fixture's ICC key, as making RSA keys is not what is shown here.
    pub fn scripts(&mut self, n: u32) -> Scripts {
        Scripts { bank: self.bank(n), transit: self.transit(n) }
    }

    fn bank(&mut self, n: u32) -> Vec<u8> {
        let certificate = IssuerCertificate {
            ca_index: fixtures::CA_INDEX,
            certificate: &self.certificate,
            remainder: &self.remainder,
            exponent: &fixtures::EXPONENT,
        };
        let pan = Pan::from_digits(&pan(n)).expect("sixteen digits");
        let holder = Cardholder {
            card: CardReference { pan, sequence: 0, key_index: BANK_KEY },
            effective: Date::new(2026, 1, 1).expect("a date"),
            expiry: Date::new(2031, 12, 31).expect("a date"),
            balance: Amount::new(20_000).expect("an amount"),
        };
        let icc = fixtures::icc_key().expect("the fixture is a key");
        let issuer = fixtures::issuer_key().expect("the fixture is a key");
        let mut out = [0; SCRIPT_MAX];
        let profile = CardProfile::unionpay_debit();
        prepare(&profile, &holder, &mut bank_keys(), &issuer, &certificate, &icc, &mut self.random, &mut out)
            .expect("a whole card")
            .to_vec()
    }

    fn transit(&self, n: u32) -> Vec<u8> {
        let card = transit_card(n);
        let keys = transit_masters()
            .map(|master| card_key::<International>(&Profile::JTT_978, &master, &card).expect("a 3DES key"));
        let data = Personalisation {
            purse: Some(PurseData { balance: PURSE, upper_limit: 100_000, ..PurseData::default() }),
            version: Some([0x01, 0x00]),
            public_info: PublicInfo::new()
                .with(public_info::ISSUER, card.issuer)
                .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
                .with(public_info::APPLICATION_VERSION, [PURSE_KEY])
                .with(public_info::SERIAL, card.serial)
                .with(public_info::START_DATE, [0x20, 0x26, 0x01, 0x01])
                .with(public_info::END_DATE, [0x20, 0x36, 0x12, 0x31]),
            keys: &keys,
            ..Personalisation::default()
        };
        let mut out = [0; 640];
        data.write(&mut out).expect("a whole card").to_vec()
    }
}

/// The transit card of band number `n`.
pub fn transit_card(n: u32) -> CardId {
    let mut serial = [0x31, 0x04, 0x10, 0x00, 0x00, 0x00, 0, 0, 0, 0];
    // BCD.
    for (place, to) in serial.iter_mut().rev().take(4).enumerate() {
        let two = n / 100_u32.pow(u32::try_from(place).unwrap_or(0)) % 100;
        *to = u8::try_from(two / 10 * 16 + two % 10).unwrap_or(0);
    }
    CardId { issuer: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF], serial }
}

/// The account number of band number `n`, with its check digit. [ISO/IEC 7812-1 annex B]
fn pan(n: u32) -> String {
    let digits = format!("62999912{n:07}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
