//! Data preparation: everything a new bank card is personalised with, as data groupings ([`crate::personalisation`]).

use core::fmt;

use huiwan_crypto::rsa::RsaPrivate;
use huiwan_crypto::{CryptoError, Random};
use huiwan_tlv::{Full, Tag, Writer};
use zeroize::Zeroize;

use super::card_data::{Script, SelectAnswer, put_crt};
use super::certificates::certify_icc;
use super::keys::{CardReference, IssuerKeys, KeyError};
use crate::certificates::CertificateInfo;
use crate::cryptogram::Cvn;
use crate::cryptogram::iad::IddId;
use crate::data::amount::Amount;
use crate::data::bits::CardProcesses;
use crate::data::date::Date;
use crate::pan::Pan;
use crate::personalisation as map;

/// What all cards of a product have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardProfile<'a> {
    /// 50, up to 16 characters.
    pub label: &'a [u8],
    /// 87.
    pub priority: u8,
    /// 5F2D, pairs of letters.
    pub languages: &'a [u8],
    /// 9F38.
    pub pdol: &'a [u8],
    /// File and number of records of the log (9F4D) and its format (9F4F); `None` for no log.
    pub log: Option<(u8, u8, &'a [u8])>,
    /// 82.
    pub aip: [u8; 2],
    /// Which fields the cryptogram covers.
    pub cryptogram_version: Cvn,
    /// What the card reports to its issuer; `None` for nothing.
    pub report: Option<IddId>,
    /// 9F68.
    pub processes: CardProcesses,
    /// 9F51.
    pub currency: [u8; 2],
    /// 5F28.
    pub country: [u8; 2],
    /// 9F07.
    pub usage: [u8; 2],
    /// 9F08.
    pub version: [u8; 2],
    /// Service code of track 2, three digits.
    pub service_code: [u8; 3],
    /// 9F77.
    pub balance_limit: Amount,
    /// 9F78.
    pub single_limit: Amount,
    /// 9F6D.
    pub reset_threshold: Amount,
    /// 9F6B.
    pub cvm_limit: Amount,
    /// 9F54, when the card counts a cumulative total.
    pub total_limit: Option<Amount>,
    /// 9F53, limit of consecutive transactions in other currencies.
    pub foreign_limit: u8,
}

/// The list of terminal data quickPass cards ask for: 9F66 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37.
pub const PDOL: &[u8] = &[
    0x9F, 0x66, 4, 0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1,
    0x9F, 0x37, 4,
];
/// A log record: 9A 9F21 9F02 9F03 9F1A 5F2A 9C 9F36.
pub const LOG_FORMAT: &[u8] = &[
    0x9A, 3, 0x9F, 0x21, 3, 0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x5F, 0x2A, 2, 0x9C, 1, 0x9F, 0x36,
    2,
];

impl CardProfile<'static> {
    /// A debit card with e-cash as Chinese banks issue them: yuan, e-cash to 1000.00 and 300.00 a payment, PIN or device
    /// verification above 300.00, online reload below 20.00, log of ten payments, fDDA version 01.
    #[must_use]
    pub const fn unionpay_debit() -> Self {
        const fn yuan(amount: u64) -> Amount {
            match Amount::new(amount.saturating_mul(100)) {
                Some(amount) => amount,
                None => Amount::ZERO,
            }
        }
        Self {
            label: b"UnionPay Debit",
            priority: 1,
            languages: b"zhen",
            pdol: PDOL,
            log: Some((0x0B, 10, LOG_FORMAT)),
            aip: [0x3C, 0x00],
            cryptogram_version: Cvn::V01,
            report: Some(IddId::Balance),
            processes: CardProcesses([0x81, 0x10, 0xB0, 0x00]),
            currency: [0x01, 0x56],
            country: [0x01, 0x56],
            usage: [0xFF, 0x00],
            version: [0x00, 0x30],
            service_code: [2, 2, 0],
            balance_limit: yuan(1000),
            single_limit: yuan(300),
            reset_threshold: yuan(20),
            cvm_limit: yuan(300),
            total_limit: None,
            foreign_limit: 0,
        }
    }
}

/// What one card has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cardholder {
    /// Whose keys, and the account number.
    pub card: CardReference,
    /// 5F25.
    pub effective: Date,
    /// 5F24.
    pub expiry: Date,
    /// 9F79 when issued.
    pub balance: Amount,
}

/// The issuer's certificate, as its authority sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerCertificate<'a> {
    /// 8F.
    pub ca_index: u8,
    /// 90.
    pub certificate: &'a [u8],
    /// 92.
    pub remainder: &'a [u8],
    /// 9F32.
    pub exponent: &'a [u8],
}

/// Why no card could be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PersonalisationError {
    /// The key provider has no such key.
    Key(KeyError),
    /// A certificate could not be made.
    Certificate,
    /// A record, or all groupings together, do not fit: the buffer, or 254 bytes of a record.
    Full,
    /// The signed part of the issuer's key and the card's are longer than a record can hold.
    KeyTooLong,
}

impl fmt::Display for PersonalisationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Certificate => f.write_str("card certificate could not be made"),
            Self::Full => f.write_str("personalisation data do not fit the buffer or a record"),
            Self::KeyTooLong => f.write_str("key too long for a record"),
        }
    }
}
impl core::error::Error for PersonalisationError {}
impl From<KeyError> for PersonalisationError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
impl From<Full> for PersonalisationError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}
impl From<CryptoError> for PersonalisationError {
    fn from(_: CryptoError) -> Self {
        Self::Certificate
    }
}

/// Files and records (no object is twice in a tap, or terminals refuse the card): 2/1 issuer certificate, 2/2 key parts, 2/3 card certificate, 3/1 static data (signed), 3/2 card authentication data.
const AFL: [u8; 8] = [2 << 3, 1, 3, 0, 3 << 3, 1, 2, 1];
/// The longest record.
const RECORD_MAX: usize = 254;
/// A buffer for all groupings of a card with keys up to 1984, 1152 and 1024 bits.
pub const SCRIPT_MAX: usize = 2048;

/// Writes every grouping of a card, one after the other as [`huiwan_tlv::dgi::Dgis`] reads them; each becomes one STORE DATA.
///
/// `icc` is the card's own key; the issuer certifies it together with the static record. The bytes hold secrets: wipe them.
///
/// # Errors
/// [`PersonalisationError`]; nothing useful is in `out` then.
#[expect(clippy::too_many_arguments, reason = "all that meets in data preparation")]
pub fn prepare<'o>(
    profile: &CardProfile<'_>,
    holder: &Cardholder,
    keys: &mut dyn IssuerKeys,
    issuer: &RsaPrivate,
    issuer_certificate: &IssuerCertificate<'_>,
    icc: &RsaPrivate,
    random: &mut dyn Random,
    out: &'o mut [u8],
) -> Result<&'o [u8], PersonalisationError> {
    let pan = &holder.card.pan;
    let mut script = Script::new(out);

    let mut card_keys = keys.card_keys(&holder.card)?;
    script.put(map::KEYS, card_keys.keys.expose())?;
    script.put(map::KEY_CHECKS, &card_keys.checks)?;
    card_keys.keys.zeroize();
    put_crt(&mut script, map::RSA_QINV, icc)?;

    let mut static_data = [0; RECORD_MAX];
    let mut writer = Writer::new(&mut static_data);
    writer.put(Tag::new(0x5A), pan.as_bytes());
    writer.put(Tag::new(0x5F24), &holder.expiry.to_bcd());
    writer.put(Tag::new(0x5F25), &holder.effective.to_bcd());
    writer.put(Tag::new(0x5F28), &profile.country);
    writer.put(Tag::new(0x9F07), &profile.usage);
    writer.put(Tag::new(0x9F08), &profile.version);
    let static_data = &*writer.finish()?;

    let public = icc.public();
    let [year, month, _] = holder.expiry.to_bcd();
    let info = CertificateInfo { expiry: [month, year], serial: random_serial(random)? };
    let mut certificate = [0; crate::certificates::MODULUS_MAX];
    let exponent_bytes = public.exponent().to_be_bytes();
    let exponent = significant(&exponent_bytes);
    let made =
        certify_icc(issuer, pan, info, public.modulus(), exponent, static_data, random, &mut certificate)?;
    let template_overhead = 6;
    if issuer_certificate.certificate.len().saturating_add(template_overhead) > RECORD_MAX {
        return Err(PersonalisationError::KeyTooLong);
    }
    record(&mut script, 2, 1, |w| w.put(Tag::new(0x90), issuer_certificate.certificate))?;
    record(&mut script, 2, 2, |w| {
        w.put(Tag::new(0x8F), &[issuer_certificate.ca_index]);
        w.put(Tag::new(0x9F32), issuer_certificate.exponent);
        if !issuer_certificate.remainder.is_empty() {
            w.put(Tag::new(0x92), issuer_certificate.remainder);
        }
        w.put(Tag::new(0x9F47), exponent);
        if !made.remainder.is_empty() {
            w.put(Tag::new(0x9F48), made.remainder);
        }
    })?;
    record(&mut script, 2, 3, |w| w.put(Tag::new(0x9F46), made.certificate))?;
    record(&mut script, 3, 1, |w| w.raw(static_data))?;
    let in_options = icc.modulus_len() <= crate::card::qpboc::fdda::IN_OPTIONS_MAX;
    record(&mut script, 3, 2, |w| {
        w.put(Tag::new(0x9F69), &[1, 0, 0, 0, 0, 0, 0, 0]);
        if !in_options {
            w.put(Tag::new(0x9F4B), certificate_placeholder(icc.modulus_len()));
        }
    })?;

    select_answer(&mut script, profile)?;
    processing_options(&mut script, profile, holder)?;
    data_objects(&mut script, profile, holder)?;
    Ok(script.finish())
}

/// Room for a signature of a long key.
fn certificate_placeholder(len: usize) -> &'static [u8] {
    const ZEROS: [u8; crate::certificates::MODULUS_MAX] = [0; crate::certificates::MODULUS_MAX];
    ZEROS.get(..len).unwrap_or(&ZEROS)
}

fn random_serial(random: &mut dyn Random) -> Result<[u8; 3], PersonalisationError> {
    let mut serial = [0; 3];
    random.fill(&mut serial).map_err(|_| PersonalisationError::Certificate)?;
    Ok(serial)
}

/// A number without leading zero bytes.
fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn record(
    script: &mut Script<'_>,
    sfi: u8,
    number: u8,
    write: impl FnOnce(&mut Writer<'_>),
) -> Result<(), Full> {
    script.tlv::<RECORD_MAX>(u16::from_be_bytes([sfi, number]), |w| w.nested(Tag::new(0x70), write))
}

fn select_answer(script: &mut Script<'_>, profile: &CardProfile<'_>) -> Result<(), Full> {
    let answer = SelectAnswer {
        label: profile.label,
        priority: profile.priority,
        pdol: profile.pdol,
        languages: profile.languages,
        preferred_name: Some((1, profile.label)),
        log: profile.log.map(|(sfi, records, _)| (sfi, records)),
    };
    script.tlv::<RECORD_MAX>(map::SELECT_CONTACTLESS, |w| answer.write(w))
}

fn processing_options(
    script: &mut Script<'_>,
    profile: &CardProfile<'_>,
    holder: &Cardholder,
) -> Result<(), Full> {
    let head = [7, holder.card.key_index, profile.cryptogram_version.byte(), 3, 0, 0, 0, 1];
    let report = profile.report.map(|id| [id.idd_len(), id.byte()]);
    let mut track2 = [0; 19];
    let track2 = self::track2(profile, holder, &mut track2);
    script.tlv::<RECORD_MAX>(map::PROCESSING_OPTIONS, |w| {
        w.put(Tag::new(0x82), &profile.aip);
        w.put(Tag::new(0x94), &AFL);
        w.put_parts(Tag::new(0x9F10), &[&head, report.as_ref().map_or(&[], |report| &report[..])]);
        w.put(Tag::new(0x57), track2);
        w.put(Tag::new(0x5F34), &[holder.card.sequence]);
    })
}

/// PAN, separator, expiry YYMM, service code, padded to whole bytes. `[EMV-B3 A]`
fn track2<'o>(profile: &CardProfile<'_>, holder: &Cardholder, out: &'o mut [u8; 19]) -> &'o [u8] {
    let [year, month, _] = holder.expiry.to_bcd();
    let expiry = [year >> 4, year & 0x0F, month >> 4, month & 0x0F];
    let pan: &Pan = &holder.card.pan;
    let digits = pan.digits().chain([0x0D]).chain(expiry).chain(profile.service_code);
    let mut count = 0_usize;
    out.fill(0xFF);
    for digit in digits {
        if let Some(byte) = out.get_mut(count / 2) {
            *byte =
                if count.is_multiple_of(2) { (digit << 4) | 0x0F } else { (*byte & 0xF0) | (digit & 0x0F) };
        }
        count = count.saturating_add(1);
    }
    out.get(..count.div_ceil(2)).unwrap_or(out)
}

fn data_objects(script: &mut Script<'_>, profile: &CardProfile<'_>, holder: &Cardholder) -> Result<(), Full> {
    script.tlv::<RECORD_MAX>(map::CHANGEABLE, |w| {
        w.put(Tag::new(0x9F77), &profile.balance_limit.to_bcd());
        w.put(Tag::new(0x9F78), &profile.single_limit.to_bcd());
        w.put(Tag::new(0x9F79), &holder.balance.to_bcd());
        w.put(Tag::new(0x9F6D), &profile.reset_threshold.to_bcd());
        w.put(Tag::new(0x9F6B), &profile.cvm_limit.to_bcd());
        w.put(Tag::new(0x9F53), &[profile.foreign_limit]);
        if let Some(limit) = profile.total_limit {
            w.put(Tag::new(0x9F54), &limit.to_bcd());
        }
    })?;
    script.tlv::<RECORD_MAX>(map::FIXED, |w| {
        w.put(Tag::new(0x9F51), &profile.currency);
        w.put(Tag::new(0x9F68), &profile.processes.0);
        w.put(Tag::new(0x9F08), &profile.version);
        if let Some((_, _, format)) = profile.log {
            w.put(Tag::new(0x9F4F), format);
        }
    })
}
