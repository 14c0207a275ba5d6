//! Everything a PBOC card can be personalised with, on all its interfaces, as data groupings ([`crate::personalisation`]).
//!
//! [`prepare`](super::personalisation::prepare) makes a whole qPBOC card of a product; this is for issuers with data of their own, whose
//! cards also have contacts: what is given is written, in an order cards take: keys together and before their check values, keys before
//! what controls the card. The values are plain; which of them are encrypted on their way is CPS's affair. `[EMV-CPS; JR/T 0025.10; sheet 5.2]`
//!
//! ```
//! use huiwan_crypto::Secret;
//! use huiwan_emv::host::card_data::{CardData, Interface, ProcessingOptions, Record, SelectAnswer};
//!
//! let keys = Secret::new([0x11; 48]);
//! let select = SelectAnswer { label: b"PBOC DEBIT", priority: 1, ..SelectAnswer::default() };
//! let options = ProcessingOptions { aip: [0x7C, 0x00], afl: &[0x08, 1, 1, 0], objects: &[] };
//! let record = Record { sfi: 1, number: 1, body: &[0x5F, 0x24, 3, 0x31, 0x12, 0x31] };
//! let card = CardData {
//!     keys: Some(&keys),
//!     select_contact: Some(select),
//!     options: &[(Interface::DebitCredit, options)],
//!     records: &[record],
//!     ..CardData::default()
//! };
//! let mut out = [0; 256];
//! let script = card.write(&mut out)?;
//! assert_eq!(script[..3], [0x80, 0x00, 48]);
//! # Ok::<(), huiwan_emv::host::card_data::CardDataError>(())
//! ```

use core::fmt;

use huiwan_crypto::rsa::RsaPrivate;
use huiwan_crypto::{Secret, pin_block};
use huiwan_tlv::{Full, Tag, Writer, dgi};
use zeroize::Zeroizing;

use crate::personalisation::{self as map, Sm4CheckBlock, key_checks, sm4_key_checks};

/// A data object: tag and value.
pub type Object<'a> = (Tag, &'a [u8]);

/// Bytes of a grouping of TLVs at most.
const GROUPING_MAX: usize = 512;

/// Why data are no card's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CardDataError {
    /// The buffer, or 512 bytes of a grouping of TLVs, are not enough.
    Full(Full),
    /// The PIN is not 4 to 12 digits.
    Pin,
    /// No record has this place: file, number.
    Record(u8, u8),
}

impl fmt::Display for CardDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => full.fmt(f),
            Self::Pin => f.write_str("pin is not 4 to 12 digits"),
            Self::Record(sfi, number) => write!(f, "no record has number {number} of file {sfi}"),
        }
    }
}

impl core::error::Error for CardDataError {}

impl From<Full> for CardDataError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Groupings, one after the other.
pub(super) struct Script<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl<'o> Script<'o> {
    pub(super) const fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    pub(super) fn put(&mut self, id: u16, value: &[u8]) -> Result<(), Full> {
        let free = self.out.get_mut(self.len..).ok_or(Full { needed: self.len })?;
        let written = dgi::put(free, id, value)
            .map_err(|full| Full { needed: full.needed.saturating_add(self.len) })?;
        self.len = self.len.saturating_add(written);
        Ok(())
    }

    /// A grouping of TLVs, `MAX` bytes at most.
    pub(super) fn tlv<const MAX: usize>(
        &mut self,
        id: u16,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), Full> {
        let mut buffer = [0; MAX];
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer);
        self.put(id, writer.finish()?)
    }

    pub(super) fn finish(self) -> &'o [u8] {
        self.out.get(..self.len).unwrap_or_default()
    }
}

fn objects(w: &mut Writer<'_>, objects: &[Object<'_>]) {
    for (tag, value) in objects {
        w.put(*tag, value);
    }
}

/// What SELECT answers inside the template A5. `[EMV-B1 11.3.4]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SelectAnswer<'a> {
    /// 50, up to 16 characters.
    pub label: &'a [u8],
    /// 87.
    pub priority: u8,
    /// 9F38; empty for none.
    pub pdol: &'a [u8],
    /// 5F2D, pairs of letters; empty for none.
    pub languages: &'a [u8],
    /// 9F11 and 9F12, the preferred name and its character table.
    pub preferred_name: Option<(u8, &'a [u8])>,
    /// 9F4D, file and number of records of the log.
    pub log: Option<(u8, u8)>,
}

impl SelectAnswer<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.nested(Tag::new(0xA5), |w| {
            w.put(Tag::new(0x50), self.label);
            w.put(Tag::new(0x87), &[self.priority]);
            if !self.pdol.is_empty() {
                w.put(Tag::new(0x9F38), self.pdol);
            }
            if !self.languages.is_empty() {
                w.put(Tag::new(0x5F2D), self.languages);
            }
            if let Some((table, name)) = self.preferred_name {
                w.put(Tag::new(0x9F11), &[table]);
                w.put(Tag::new(0x9F12), name);
            }
            if let Some((sfi, records)) = self.log {
                w.nested(Tag::new(0xBF0C), |w| w.put(Tag::new(0x9F4D), &[sfi, records]));
            }
        });
    }
}

/// Which of a card's faces GET PROCESSING OPTIONS shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interface {
    /// Debit and credit over contacts.
    DebitCredit,
    /// The same with SM algorithms.
    DebitCreditSm,
    /// E-cash over contacts.
    ECash,
    /// The same with SM algorithms.
    ECashSm,
    /// Contactless magnetic stripe data.
    MagneticStripe,
    /// qPBOC.
    Qpboc,
    /// The same with SM algorithms.
    QpbocSm,
}

impl Interface {
    /// Its grouping.
    #[must_use]
    pub const fn dgi(self) -> u16 {
        match self {
            Self::DebitCredit => map::DEBIT_CREDIT_OPTIONS,
            Self::DebitCreditSm => map::DEBIT_CREDIT_OPTIONS_SM,
            Self::ECash => map::E_CASH_OPTIONS,
            Self::ECashSm => map::E_CASH_OPTIONS_SM,
            Self::MagneticStripe => map::MAGNETIC_STRIPE_OPTIONS,
            Self::Qpboc => map::PROCESSING_OPTIONS,
            Self::QpbocSm => map::PROCESSING_OPTIONS_SM,
        }
    }
}

/// What GET PROCESSING OPTIONS answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessingOptions<'a> {
    /// 82.
    pub aip: [u8; 2],
    /// 94.
    pub afl: &'a [u8],
    /// What else: of qPBOC 9F10, 57 and 5F34.
    pub objects: &'a [Object<'a>],
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Short file identifier, 1–30.
    pub sfi: u8,
    /// Number, from 1.
    pub number: u8,
    /// Content, in files 1–10 without the template 70.
    pub body: &'a [u8],
}

/// The PIN a card is issued with. Its digits are not printed.
#[derive(Clone, Copy)]
pub struct Pin<'a> {
    /// 4 to 12 digits in BCD, F behind an odd last digit.
    pub digits: &'a [u8],
    /// Wrong PINs in a row that block it.
    pub limit: u8,
}

impl fmt::Debug for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// An SM2 key pair.
#[derive(Debug, Clone, Copy)]
pub struct Sm2Pair<'a> {
    /// d, big endian.
    pub private: &'a Secret<32>,
    /// X ‖ Y.
    pub public: &'a [u8; 64],
}

/// All of it; what is left out is not written.
#[derive(Debug, Clone, Copy, Default)]
pub struct CardData<'a> {
    /// `8000`, 3DES: cryptogram ‖ MAC ‖ encipherment. Their check values are computed.
    pub keys: Option<&'a Secret<48>>,
    /// `8001`, the same for the antenna, of cards with keys of their own for it.
    pub contactless_keys: Option<&'a Secret<48>>,
    /// `8400`, the same of SM4.
    pub sm4_keys: Option<&'a Secret<48>>,
    /// What SM4 keys encrypt for their check values.
    pub sm4_check_block: Sm4CheckBlock,
    /// `8010` and `9010`.
    pub pin: Option<Pin<'a>>,
    /// `8201`–`8205`.
    pub rsa: Option<&'a RsaPrivate>,
    /// `8301`–`8305`.
    pub pin_rsa: Option<&'a RsaPrivate>,
    /// `8501`, `8502`.
    pub sm2: Option<Sm2Pair<'a>>,
    /// Records.
    pub records: &'a [Record<'a>],
    /// `0D01`, data objects the issuer may change by script.
    pub changeable: &'a [Object<'a>],
    /// `0E01`, those it may not change.
    pub fixed: &'a [Object<'a>],
    /// `9102`.
    pub select_contact: Option<SelectAnswer<'a>>,
    /// `9103`.
    pub select_contactless: Option<SelectAnswer<'a>>,
    /// `9104`, `9105`, `9203`–`9208`.
    pub options: &'a [(Interface, ProcessingOptions<'a>)],
    /// `9200`, the value of 9F10.
    pub issuer_application_data: Option<&'a [u8]>,
    /// `9201`, the same with SM algorithms.
    pub issuer_application_data_sm: Option<&'a [u8]>,
    /// `7FFF`, for cards that want to be told that this is all.
    pub completion: Option<&'a [u8]>,
}

impl CardData<'_> {
    /// Writes every grouping, one after the other as [`dgi::Dgis`] reads them. The bytes hold secrets: wipe them.
    ///
    /// # Errors
    /// [`CardDataError`]; nothing useful is in `out` then.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], CardDataError> {
        let mut script = Script::new(out);
        self.put_keys(&mut script)?;
        for record in self.records {
            let Record { sfi, number, .. } = *record;
            let id = map::record(sfi, number).ok_or(CardDataError::Record(sfi, number))?;
            if map::has_template(id) {
                script.tlv::<GROUPING_MAX>(id, |w| w.nested(Tag::new(0x70), |w| w.raw(record.body)))?;
            } else {
                script.put(id, record.body)?;
            }
        }
        for (id, all) in [(map::CHANGEABLE, self.changeable), (map::FIXED, self.fixed)] {
            if !all.is_empty() {
                script.tlv::<GROUPING_MAX>(id, |w| objects(w, all))?;
            }
        }
        let answers = [
            (map::SELECT_CONTACT, &self.select_contact),
            (map::SELECT_CONTACTLESS, &self.select_contactless),
        ];
        for (id, answer) in answers {
            if let Some(answer) = answer {
                script.tlv::<GROUPING_MAX>(id, |w| answer.write(w))?;
            }
        }
        for (interface, options) in self.options {
            script.tlv::<GROUPING_MAX>(interface.dgi(), |w| {
                w.put(Tag::new(0x82), &options.aip);
                w.put(Tag::new(0x94), options.afl);
                objects(w, options.objects);
            })?;
        }
        let data = [
            (map::ISSUER_APPLICATION_DATA, self.issuer_application_data),
            (map::ISSUER_APPLICATION_DATA_SM, self.issuer_application_data_sm),
        ];
        for (id, value) in data {
            if let Some(value) = value {
                script.tlv::<GROUPING_MAX>(id, |w| w.put(Tag::new(0x9F10), value))?;
            }
        }
        if let Some(value) = self.completion {
            script.put(map::COMPLETION, value)?;
        }
        Ok(script.finish())
    }

    fn put_keys(&self, script: &mut Script<'_>) -> Result<(), CardDataError> {
        let des = [
            (map::KEYS, map::KEY_CHECKS, self.keys),
            (map::CONTACTLESS_KEYS, map::CONTACTLESS_KEY_CHECKS, self.contactless_keys),
        ];
        for (id, checks, keys) in des {
            if let Some(keys) = keys {
                script.put(id, keys.expose())?;
                script.put(checks, &key_checks(keys.expose()))?;
            }
        }
        if let Some(keys) = self.sm4_keys {
            script.put(map::SM4_KEYS, keys.expose())?;
            script.put(map::SM4_KEY_CHECKS, &sm4_key_checks(keys.expose(), self.sm4_check_block))?;
        }
        if let Some(pin) = self.pin {
            let block = pin_block::format2(pin.digits).map(Zeroizing::new).ok_or(CardDataError::Pin)?;
            script.put(map::PIN_BLOCK, &*block)?;
            script.put(map::PIN_TRIES, &[pin.limit, pin.limit])?;
        }
        for (first, key) in [(map::RSA_QINV, self.rsa), (map::PIN_RSA_QINV, self.pin_rsa)] {
            if let Some(key) = key {
                put_crt(script, first, key)?;
            }
        }
        if let Some(Sm2Pair { private, public }) = self.sm2 {
            script.put(map::SM2_PRIVATE, private.expose())?;
            script.put(map::SM2_PUBLIC, public)?;
        }
        Ok(())
    }
}

/// An RSA private key: q⁻¹ mod p, d mod (q−1), d mod (p−1), q, p.
pub(super) fn put_crt(script: &mut Script<'_>, first: u16, key: &RsaPrivate) -> Result<(), Full> {
    let [p, q, dp, dq, qinv] = key.expose_parts();
    for (id, part) in (first..).zip([qinv, dq, dp, q, p]) {
        script.put(id, part)?;
    }
    Ok(())
}

/// An application a payment environment lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// 4F.
    pub aid: &'a [u8],
    /// 50; empty for none.
    pub label: &'a [u8],
    /// 87.
    pub priority: u8,
}

impl Listed<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.nested(Tag::new(0x61), |w| {
            w.put(Tag::new(0x4F), self.aid);
            if !self.label.is_empty() {
                w.put(Tag::new(0x50), self.label);
            }
            w.put(Tag::new(0x87), &[self.priority]);
        });
    }
}

/// The proximity payment environment: one grouping `9102` with the whole answer to SELECT. `[EMV-B 3.3]`
///
/// The [`Ppse`](crate::card::Ppse) of this crate makes its answer from the element's registry and takes none.
///
/// # Errors
/// [`Full`].
pub fn proximity_environment<'o>(entries: &[Listed<'_>], out: &'o mut [u8]) -> Result<&'o [u8], Full> {
    let mut script = Script::new(out);
    script.tlv::<GROUPING_MAX>(map::SELECT_CONTACT, |w| {
        w.nested(Tag::new(0x6F), |w| {
            w.put(Tag::new(0x84), crate::card::ppse::NAME.as_bytes());
            w.nested(Tag::new(0xA5), |w| {
                w.nested(Tag::new(0xBF0C), |w| entries.iter().for_each(|entry| entry.write(w)));
            });
        });
    })?;
    Ok(script.finish())
}

/// The payment environment of contact cards: `9102` with the whole answer to SELECT, which names file 1, and `0101`, its directory.
/// `[EMV-B1 12.2]`
///
/// # Errors
/// [`Full`]; the entries have to fit one record.
pub fn contact_environment<'o>(
    entries: &[Listed<'_>],
    languages: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], Full> {
    let mut script = Script::new(out);
    script.tlv::<GROUPING_MAX>(map::SELECT_CONTACT, |w| {
        w.nested(Tag::new(0x6F), |w| {
            w.put(Tag::new(0x84), b"1PAY.SYS.DDF01");
            w.nested(Tag::new(0xA5), |w| {
                w.put(Tag::new(0x88), &[1]);
                if !languages.is_empty() {
                    w.put(Tag::new(0x5F2D), languages);
                }
            });
        });
    })?;
    script.tlv::<254>(0x0101, |w| {
        w.nested(Tag::new(0x70), |w| entries.iter().for_each(|entry| entry.write(w)));
    })?;
    Ok(script.finish())
}
