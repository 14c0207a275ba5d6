//! The terminal's field 55, read for the cryptogram check.

use core::fmt;

use heapless::Vec;
use huiwan_tlv::{At, Rules, Tag, Tlv, TlvError, parse};

use crate::cryptogram::{AcData, Iad, TransactionData};
use crate::data::amount::Amount;
use crate::host::keys::{CardReference, CryptogramCheck};
use crate::pan::Pan;

/// What is wrong with an authorisation request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The field is no sequence of TLVs.
    Tlv(TlvError),
    /// A data object the cryptogram covers is missing or has a wrong length: its tag.
    Missing(u16),
    /// Issuer application data (9F10) without the PBOC layout, or with another cryptogram version.
    IssuerApplicationData,
    /// No account number: neither given nor in 5A or 57.
    AccountNumber,
    /// The amount is not decimal.
    Amount,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tlv(error) => error.fmt(f),
            Self::Missing(tag) => write!(f, "data object {tag:02X} missing or of wrong length"),
            Self::IssuerApplicationData => f.write_str("issuer application data 9F10 not of a known form"),
            Self::AccountNumber => f.write_str("account number missing"),
            Self::Amount => f.write_str("amount 9F02 not decimal"),
        }
    }
}
impl core::error::Error for RequestError {}

/// An authorisation request as the terminal's field 55 carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What has to be checked.
    pub check: CryptogramCheck,
    /// 9F02.
    pub amount: Amount,
}

impl Request {
    /// Reads field 55: 9F26 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A, and where present 9F03 5F34 5A 57; others are ignored.
    /// The account number may come from another field of the message.
    ///
    /// # Errors
    /// [`RequestError`] with the byte where it was noticed.
    pub fn parse(field_55: &[u8], pan: Option<Pan>, sequence: Option<u8>) -> Result<Self, At<RequestError>> {
        let mut fields = Fields { found: Vec::new(), end: field_55.len() };
        for object in parse(field_55, Rules::EMV) {
            let object = object.map_err(|error| At::new(RequestError::Tlv(error.kind()), error.at()))?;
            // A second object of the same tag, or one nobody needs, is passed over.
            if WANTED.contains(&object.tag().get()) && fields.find(object.tag().get()).is_none() {
                fields.found.push(object).unwrap_or(());
            }
        }
        let (amount_bcd, amount_at) = fields.array::<6>(0x9F02)?;
        let iad_error = |at| At::new(RequestError::IssuerApplicationData, at);
        let iad_field = fields.find(0x9F10).ok_or_else(|| fields.missing(0x9F10))?;
        let iad = Iad::parse(iad_field.value()).ok_or(iad_error(iad_field.value_at()))?;
        let version = iad.version().ok_or(iad_error(iad_field.value_at()))?;
        let pan = match (pan, fields.find(0x5A), fields.find(0x57)) {
            (Some(pan), _, _) => Some(pan),
            (None, Some(field), _) => Pan::from_bytes(field.value()).ok(),
            (None, None, Some(field)) => Pan::from_track2(field.value()).ok(),
            (None, None, None) => None,
        };
        let pan = pan.ok_or(At::new(RequestError::AccountNumber, field_55.len()))?;
        let told = fields.find(0x5F34).and_then(|field| field.value().first().copied());
        let sequence = sequence.or(told).unwrap_or(0);
        let transaction = TransactionData {
            amount: amount_bcd,
            other_amount: fields.array(0x9F03).map_or([0; 6], |(value, _)| value),
            terminal_country: fields.array(0x9F1A)?.0,
            tvr: fields.array(0x95)?.0,
            currency: fields.array(0x5F2A)?.0,
            date: fields.array(0x9A)?.0,
            transaction_type: u8::from_be_bytes(fields.array(0x9C)?.0),
            unpredictable_number: fields.array(0x9F37)?.0,
        };
        let data =
            AcData { transaction, aip: fields.array(0x82)?.0, atc: fields.array(0x9F36)?.0, cvr: iad.cvr };
        Ok(Self {
            check: CryptogramCheck {
                card: CardReference { pan, sequence, key_index: iad.dki },
                version,
                data,
                cryptogram: fields.array(0x9F26)?.0,
                idd: iad.idd(),
            },
            amount: Amount::from_bcd(&amount_bcd).ok_or(At::new(RequestError::Amount, amount_at))?,
        })
    }
}

const WANTED: [u32; 15] = [
    0x57, 0x5A, 0x82, 0x95, 0x9A, 0x9C, 0x5F2A, 0x5F34, 0x9F02, 0x9F03, 0x9F10, 0x9F1A, 0x9F26, 0x9F36,
    0x9F37,
];

struct Fields<'a> {
    found: Vec<Tlv<'a>, 15>,
    end: usize,
}

impl<'a> Fields<'a> {
    fn find(&self, tag: u32) -> Option<&Tlv<'a>> {
        self.found.iter().find(|object| object.tag() == Tag::new(tag))
    }

    fn missing(&self, tag: u16) -> At<RequestError> {
        let at = self.find(u32::from(tag)).map_or(self.end, |object| object.value_at());
        At::new(RequestError::Missing(tag), at)
    }

    fn array<const N: usize>(&self, tag: u16) -> Result<([u8; N], usize), At<RequestError>> {
        self.find(u32::from(tag))
            .and_then(|object| object.value().try_into().ok().map(|value| (value, object.value_at())))
            .ok_or_else(|| self.missing(tag))
    }
}
