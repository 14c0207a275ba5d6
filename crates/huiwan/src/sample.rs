//! A sample band: issued in process, every key published below. For tests, fuzzing, benches, demonstrations and
//! readers under development; never for a product.
//!
//! It is issued as a TSM issues a real one: the card manager installs the modules and passes on the data groupings,
//! through an SCP03 channel with full protection.
//!
//! ```
//! use huiwan::element::{CARD, Modules, SecureElement};
//! use huiwan::sample;
//! use huiwan_card::{Environment, Interface, Journal, RamFlash};
//! use huiwan_gp::card::{Factory, Registry, format};
//!
//! let mut random = huiwan_testkit::rng::Seeded::new(1);
//! let mut environment = Environment { random: &mut random, now: None };
//! let mut memory = Journal::<_, 256>::format(RamFlash::<65_536>::new())?;
//! format(&mut memory, &Factory::TEST)?;
//! let modules = Modules::default();
//! let list = modules.list();
//! let mut band = SecureElement::new(&list, Registry::new(&CARD), memory);
//! sample::issue(&mut band, &mut environment)?;
//!
//! band.power_on(Interface::Contactless, &mut environment);
//! let mut select = [0x00, 0xA4, 0x04, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0x00];
//! select[5..13].copy_from_slice(sample::TRANSIT_AID.as_bytes());
//! assert!(band.exchange(&select, &mut environment).ends_with(&[0x90, 0x00]));
//! assert_eq!(band.exchange(&[0x80, 0x5C, 0x00, 0x02, 0x04], &mut environment), [0, 0, 0x13, 0x88, 0x90, 0x00]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::fmt;

use huiwan_apdu::Aid;
use huiwan_card::{Environment, Interface, Memory};
use huiwan_crypto::{CryptoError, International, Secret};
use huiwan_emv::certificates::CertificateInfo;
use huiwan_emv::cryptogram::derivation::MasterKeyOption;
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::certificates::{certify_issuer, fixtures};
use huiwan_emv::host::keys::CardReference;
use huiwan_emv::host::personalisation::{
    CardProfile, Cardholder, IssuerCertificate, PersonalisationError, SCRIPT_MAX, prepare,
};
use huiwan_emv::host::{IssuerKeys, SoftIssuerKeys};
use huiwan_emv::pan::Pan;
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::host::{Coding, Grouping, Job, KeyError, KeyRef, OpenChannel, Personalise, SoftKeyStore};
use huiwan_gp::scp03::Level;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::{CardId, KeyKind};
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_purse::transit::bus::Bus;
use huiwan_purse::transit::holder::Holder;
use huiwan_purse::transit::management::{self, Management};
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::transit::rail::Rail;
use huiwan_tlv::{At, Full};
use zeroize::Zeroizing;

use crate::element::SecureElement;
use crate::tsm::{self, ScriptError, Visit};

/// The bank card: UnionPay debit.
pub const BANK_AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
/// The transit card: the JT/T 978 purse.
pub const TRANSIT_AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05]);
/// The bank card's account number, of a bank that does not exist.
pub const PAN: &str = "6299991234567895";
/// What the e-cash holds at first, fen.
pub const E_CASH: u64 = 20_000;
/// What the purse holds at first, fen.
pub const PURSE: u32 = 5_000;
/// The transit card.
pub const TRANSIT_CARD: CardId = CardId {
    issuer: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
    serial: [0x31, 0x04, 0x10, 0x00, 0x00, 0x00, 0x20, 0x26, 0x00, 0x01],
};
/// The city card: 住建部's City Union, after CJ/T 166.
pub const CITY_AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x00, 0x03, 0x86, 0x98, 0x07, 0x01]);
/// The bank's wallet, passbook and purse: the second name of the same family, which public wallet readers select.
pub const WALLET_AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x00, 0x03, 0x86, 0x98, 0x07, 0x02]);
/// What the city card holds at first, fen.
pub const CITY_PURSE: u32 = 3_000;
/// What the wallet's passbook and its purse hold at first, fen.
pub const WALLET: [u32; 2] = [80_000, 2_000];
/// The wallet's PIN, BCD.
pub const WALLET_PIN: [u8; 3] = [0x12, 0x34, 0x56];
/// The city card. Bytes 2 and 3 of the issuer, and 0 and 1 of the serial number, are its city, as 建设部 reads them.
pub const CITY_CARD: CardId = CardId {
    issuer: [0x00, 0x01, 0x20, 0x00, 0x00, 0x01, 0xFF, 0xFF],
    serial: [0x20, 0x00, 0x10, 0x00, 0x00, 0x00, 0x20, 0x26, 0x00, 0x02],
};
/// The wallet.
pub const WALLET_CARD: CardId = CardId {
    issuer: [0x62, 0x99, 0x99, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
    serial: [0x62, 0x99, 0x99, 0x00, 0x00, 0x00, 0x20, 0x26, 0x00, 0x03],
};
/// Index and version of every purse key.
pub const PURSE_KEY: u8 = 1;
/// The bank's three master keys: cryptogram, MAC, encipherment.
pub const BANK_MASTERS: [[u8; 16]; 3] = [*b"bank cryptogram.", *b"bank message mac", *b"bank encipherer."];
/// Which generation of the bank's keys they are.
pub const BANK_KEY: u8 = 1;

/// What kept the sample from being issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleError {
    /// The bank card's data could not be prepared.
    Bank(PersonalisationError),
    /// A key could not be derived, or the random source failed.
    Crypto(CryptoError),
    /// The transit card's data did not fit.
    Full(Full),
    /// The test keys did not fit the key store.
    Key(KeyError),
    /// A script could not be cut.
    Script(At<ScriptError>),
    /// The element did not take a job: for example it is not blank, or has other keys than 40…4F.
    Visit(Visit),
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bank(error) => error.fmt(f),
            Self::Crypto(error) => error.fmt(f),
            Self::Full(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Script(error) => error.fmt(f),
            Self::Visit(Visit::Stopped { job, fault }) => write!(f, "job {job} of the sample: {fault}"),
            Self::Visit(Visit::Complete) => f.write_str("sample is issued"),
        }
    }
}

impl core::error::Error for SampleError {}

macro_rules! from {
    ($($source:ty => $variant:ident;)*) => {
        $(impl From<$source> for SampleError {
            fn from(source: $source) -> Self {
                Self::$variant(source)
            }
        })*
    };
}
from! {
    PersonalisationError => Bank;
    CryptoError => Crypto;
    Full => Full;
    KeyError => Key;
    At<ScriptError> => Script;
}

/// The bank's keys, as its host uses them.
#[must_use]
pub fn bank_keys() -> SoftIssuerKeys {
    let [cryptogram, mac, encipherment] = &BANK_MASTERS;
    SoftIssuerKeys::new(BANK_KEY, MasterKeyOption::A, cryptogram, mac, encipherment)
}

/// The transit scheme's master keys: purchase, load, TAC, maintenance; 3DES.
#[must_use]
pub fn transit_masters() -> [KeyData; 4] {
    masters([b"transit purchase", b"transit loading.", b"transit tac tac.", b"transit maintain"])
}

/// The city's master keys, as [`transit_masters`].
#[must_use]
pub fn city_masters() -> [KeyData; 4] {
    masters([b"city purchasing.", b"city loading key", b"city tac tac tac", b"city maintenance"])
}

/// The master keys of the bank's wallet, as [`transit_masters`].
#[must_use]
pub fn wallet_masters() -> [KeyData; 4] {
    masters([b"wallet purchases", b"wallet loading..", b"wallet tac tac t", b"wallet maintain."])
}

fn masters(values: [&[u8; 16]; 4]) -> [KeyData; 4] {
    let master = |kind, value: &[u8; 16]| KeyData {
        kind,
        index: PURSE_KEY,
        version: PURSE_KEY,
        algorithm: 0,
        tries: 0,
        value: Secret::new(*value),
    };
    let [purchase, load, tac, maintenance] = values;
    [
        master(KeyKind::Purchase, purchase),
        master(KeyKind::Load, load),
        master(KeyKind::Tac, tac),
        master(KeyKind::Maintenance, maintenance),
    ]
}

/// The keys of the transit card.
///
/// # Errors
/// [`CryptoError`], never with these keys.
pub fn transit_keys() -> Result<[KeyData; 4], CryptoError> {
    card_keys(&Profile::JTT_978, transit_masters(), &TRANSIT_CARD)
}

/// The keys of the city card.
///
/// # Errors
/// [`CryptoError`], never with these keys.
pub fn city_keys() -> Result<[KeyData; 4], CryptoError> {
    card_keys(&Profile::CJT_166, city_masters(), &CITY_CARD)
}

/// The keys of the wallet.
///
/// # Errors
/// [`CryptoError`], never with these keys.
pub fn wallet_keys() -> Result<[KeyData; 4], CryptoError> {
    card_keys(&Profile::PBOC, wallet_masters(), &WALLET_CARD)
}

fn card_keys(profile: &Profile, masters: [KeyData; 4], card: &CardId) -> Result<[KeyData; 4], CryptoError> {
    let [purchase, load, tac, maintenance] = masters;
    let derive = |master| card_key::<International>(profile, &master, card);
    Ok([derive(purchase)?, derive(load)?, derive(tac)?, derive(maintenance)?])
}

/// Every secret the sample is provisioned with, one after another: no answer of the band may contain a piece of one.
///
/// # Errors
/// [`SampleError`], never with these keys.
pub fn secrets(f: &mut dyn FnMut(&[u8])) -> Result<(), SampleError> {
    f(&TEST_KEY);
    for master in &BANK_MASTERS {
        f(master);
    }
    let keys = bank_keys().card_keys(&bank_card()?).map_err(PersonalisationError::from)?;
    for key in keys.keys.expose().chunks(16) {
        f(key);
    }
    for part in fixtures::icc_key()?.expose_parts() {
        f(part);
    }
    for masters in [transit_masters(), city_masters(), wallet_masters()] {
        masters.iter().for_each(|key| f(key.value.expose()));
    }
    for keys in [transit_keys()?, city_keys()?, wallet_keys()?] {
        keys.iter().for_each(|key| f(key.value.expose()));
    }
    Ok(())
}

fn bank_card() -> Result<CardReference, SampleError> {
    let pan = Pan::from_digits(PAN).map_err(|_| PersonalisationError::Full)?;
    Ok(CardReference { pan, sequence: 0, key_index: BANK_KEY })
}

/// Issues the sample onto a blank element with the test keys, through the card manager.
///
/// # Errors
/// [`SampleError`]; what was installed before it stays.
pub fn issue<M: Memory>(
    element: &mut SecureElement<'_, M>,
    environment: &mut Environment<'_>,
) -> Result<(), SampleError> {
    let mut bank = Zeroizing::new([0; SCRIPT_MAX]);
    let mut transit = Zeroizing::new([0; 640]);
    let bank = bank_data(environment, bank.as_mut_slice())?;
    let transit = transit_data(transit.as_mut_slice())?;
    let bank = tsm::groupings::<24>(bank)?;
    let transit = tsm::groupings::<12>(transit)?;
    let plan = [
        open(environment)?,
        Job::Install(tsm::payment_environment()),
        Job::Install(tsm::bank_card(BANK_AID, b"HUIWAN DEBIT", 1)),
        personalise(BANK_AID, &bank),
        Job::Install(tsm::transit_card(TRANSIT_AID)),
        personalise(TRANSIT_AID, &transit),
        Job::Close,
    ];
    visit(element, environment, &plan)
}

/// Issues a city card and a bank's wallet beside what there is, on the same module as the transit card: each is told its
/// scheme when it is installed.
///
/// # Errors
/// [`SampleError`]; what was installed before it stays.
pub fn issue_city_and_wallet<M: Memory>(
    element: &mut SecureElement<'_, M>,
    environment: &mut Environment<'_>,
) -> Result<(), SampleError> {
    let (mut city, mut wallet) = (Zeroizing::new([0; 320]), Zeroizing::new([0; 320]));
    let city = tsm::groupings::<10>(city_data(city.as_mut_slice())?)?;
    let wallet = tsm::groupings::<10>(wallet_data(wallet.as_mut_slice())?)?;
    let plan = [
        open(environment)?,
        Job::Install(tsm::purse_card(CITY_AID, &[Profile::CJT_166.code])),
        personalise(CITY_AID, &city),
        Job::Install(tsm::purse_card(WALLET_AID, &[Profile::PBOC.code])),
        personalise(WALLET_AID, &wallet),
        Job::Close,
    ];
    visit(element, environment, &plan)
}

/// A channel with full protection under the test keys.
fn open<'j>(environment: &mut Environment<'_>) -> Result<Job<'j>, SampleError> {
    let mut host_challenge = [0; 8];
    environment.random.fill(&mut host_challenge).map_err(CryptoError::from)?;
    let key = KeyRef::direct(0);
    Ok(Job::Open(OpenChannel {
        aid: None,
        key_version: 0,
        key,
        level: Level::All,
        host_challenge: host_challenge.into(),
    }))
}

const fn personalise<'j>(aid: Aid, script: &'j [Grouping<'j>]) -> Job<'j> {
    Job::Personalise(Personalise::new(Some(aid), script, Coding::GP))
}

/// Carries out a plan, with the test keys.
fn visit<M: Memory>(
    element: &mut SecureElement<'_, M>,
    environment: &mut Environment<'_>,
    plan: &[Job<'_>],
) -> Result<(), SampleError> {
    let mut keys = SoftKeyStore::<1, 1>::new();
    keys.insert(0, &TEST_KEY, &TEST_KEY, &TEST_KEY)?;
    element.power_on(Interface::Internal, environment);
    let visit = tsm::run(plan, &mut keys, &mut |command, out| {
        let answer = element.exchange(command, environment);
        out.get_mut(..answer.len())?.copy_from_slice(answer);
        Some(answer.len())
    });
    element.power_off();
    if visit == Visit::Complete { Ok(()) } else { Err(SampleError::Visit(visit)) }
}

fn bank_data<'o>(environment: &mut Environment<'_>, out: &'o mut [u8]) -> Result<&'o [u8], SampleError> {
    let issuer = fixtures::issuer_key()?;
    let mut certificate = [0; 256];
    let made = certify_issuer(
        &fixtures::ca_key()?,
        [0x62, 0x99, 0x99, 0xFF],
        CertificateInfo { expiry: [0x12, 0x35], serial: [0, 0, 1] },
        &fixtures::ISSUER_MODULUS,
        &fixtures::EXPONENT,
        environment.random,
        &mut certificate,
    )?;
    let certificate = IssuerCertificate {
        ca_index: fixtures::CA_INDEX,
        certificate: made.certificate,
        remainder: made.remainder,
        exponent: &fixtures::EXPONENT,
    };
    let date = |year, month, day| Date::new(year, month, day).ok_or(PersonalisationError::Full);
    let holder = Cardholder {
        card: bank_card()?,
        effective: date(2026, 1, 1)?,
        expiry: date(2031, 12, 31)?,
        balance: Amount::new(E_CASH).ok_or(PersonalisationError::Full)?,
    };
    let (profile, icc) = (CardProfile::unionpay_debit(), fixtures::icc_key()?);
    let mut keys = bank_keys();
    Ok(prepare(&profile, &holder, &mut keys, &issuer, &certificate, &icc, environment.random, out)?)
}

fn public_info(card: &CardId, application_type: u8) -> PublicInfo {
    PublicInfo::new()
        .with(public_info::ISSUER, card.issuer)
        .with(public_info::APPLICATION_TYPE, [application_type])
        .with(public_info::APPLICATION_VERSION, [0x01])
        .with(public_info::SERIAL, card.serial)
        .with(public_info::START_DATE, [0x20, 0x26, 0x01, 0x01])
        .with(public_info::END_DATE, [0x20, 0x36, 0x12, 0x31])
}

const fn purse(balance: u32) -> PurseData {
    PurseData { balance, online_seq: 0, offline_seq: 0, overdraft: [0; 3], upper_limit: 100_000 }
}

fn city_data(out: &mut [u8]) -> Result<&[u8], SampleError> {
    // 09 ‖ inner length ‖ lock ‖ 45 bytes. [sheet 5.3]
    let mut record = [0; 48];
    if let Some(head) = record.first_chunk_mut() {
        *head = [0x09, 0x2E];
    }
    let data = Personalisation {
        purse: Some(purse(CITY_PURSE)),
        version: Some([0x01, 0x02]),
        auth_code: Some([0x20, 0x26, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02]),
        public_info: public_info(&CITY_CARD, public_info::TYPE_EP),
        records: &[&record],
        keys: &city_keys()?,
        ..Personalisation::default()
    };
    Ok(data.write(out)?)
}

fn wallet_data(out: &mut [u8]) -> Result<&[u8], SampleError> {
    let [passbook, ep] = WALLET;
    let data = Personalisation {
        passbook: Some(purse(passbook)),
        purse: Some(purse(ep)),
        pin: Some(&WALLET_PIN),
        version: Some([0x01, 0x02]),
        public_info: public_info(&WALLET_CARD, public_info::TYPE_BOTH),
        holder: Some(Holder::new()),
        keys: &wallet_keys()?,
        ..Personalisation::default()
    };
    Ok(data.write(out)?)
}

fn transit_data(out: &mut [u8]) -> Result<&[u8], SampleError> {
    let (rail, bus) = (Rail::new(), Bus::new());
    let data = Personalisation {
        purse: Some(purse(PURSE)),
        version: Some([0x01, 0x00]),
        public_info: public_info(&TRANSIT_CARD, public_info::TYPE_EP),
        management: Some(
            Management::new()
                .with(management::COUNTRY, [0x00, 0x00, 0x01, 0x56])
                .with(management::CITY, [0x10, 0x00])
                .with(management::INTEROP, [0x00, 0x01]),
        ),
        records: &[rail.as_bytes(), bus.as_bytes()],
        keys: &transit_keys()?,
        ..Personalisation::default()
    };
    Ok(data.write(out)?)
}
