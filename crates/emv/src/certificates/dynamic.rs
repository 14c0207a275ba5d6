//! Dynamic signatures (9F4B): fDDA of contactless cards, DDA and CDA of contact cards. `[EMV-B2 6.5, 6.6; JR/T 0025.12]`

use heapless::Vec;
use huiwan_crypto::hash::sha1;
use huiwan_crypto::{CryptoError, ct_eq};

use super::layout;
use super::{IccKey, MODULUS_MAX};

/// The format byte of an fDDA signature: a constant of the kernel, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FddaFormat {
    /// 05, as public PBOC implementations agree.
    #[default]
    Pboc,
    /// 95, as recorded from a Visa card.
    Visa,
}

impl FddaFormat {
    /// The byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Pboc => layout::DYNAMIC,
            Self::Visa => 0x95,
        }
    }
}

/// What the terminal contributes to an fDDA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FddaInput<'a> {
    /// 9F37.
    pub unpredictable_number: [u8; 4],
    /// 9F02.
    pub amount: [u8; 6],
    /// 5F2A.
    pub currency: [u8; 2],
    /// 9F69, whole, for version 01; `None` for version 00, which covers the unpredictable number alone.
    pub card_authentication: Option<&'a [u8]>,
}

impl FddaInput<'_> {
    /// Gives the hashed terminal data to `f`, as card and terminal both need them.
    pub fn with_parts<R>(&self, f: impl FnOnce(&[&[u8]]) -> R) -> R {
        match self.card_authentication {
            None => f(&[&self.unpredictable_number]),
            Some(data) => f(&[&self.unpredictable_number, &self.amount, &self.currency, data]),
        }
    }
}

/// ICC dynamic data out of a verified signature. `[EMV-B2 tables 15, 19]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IccDynamicData {
    bytes: Vec<u8, MODULUS_MAX>,
}

/// What a CDA signature holds beside the dynamic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdaData<'a> {
    /// 9F27.
    pub cid: u8,
    /// 9F26.
    pub cryptogram: &'a [u8; 8],
    /// Hash over PDOL, CDOL and response data.
    pub transaction_hash: &'a [u8; layout::HASH_LEN],
}

impl CdaData<'_> {
    /// Checks the transaction hash over PDOL ‖ CDOL data ‖ the response's objects without 9F4B.
    ///
    /// # Errors
    /// [`CryptoError`] when it differs.
    pub fn verify(&self, transaction: &[&[u8]]) -> Result<(), CryptoError> {
        if ct_eq(&sha1(transaction), self.transaction_hash) { Ok(()) } else { Err(CryptoError) }
    }
}

impl IccDynamicData {
    /// All of it, the length of the dynamic number first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// ICC dynamic number (9F4C); in fDDA the application transaction counter. Empty when the data have another form.
    #[must_use]
    pub fn number(&self) -> &[u8] {
        self.split().map_or(&[], |(number, _)| number)
    }

    /// The further content of a CDA signature.
    #[must_use]
    pub fn cda(&self) -> Option<CdaData<'_>> {
        let (_, rest) = self.split()?;
        let (&cid, rest) = rest.split_first()?;
        let (cryptogram, rest) = rest.split_first_chunk()?;
        let (transaction_hash, _) = rest.split_first_chunk()?;
        Some(CdaData { cid, cryptogram, transaction_hash })
    }

    fn split(&self) -> Option<(&[u8], &[u8])> {
        let (&len, rest) = self.bytes.split_first()?;
        rest.split_at_checked(usize::from(len))
    }
}

/// Checks an fDDA signature. The caller compares [`IccDynamicData::number`] with the card's ATC.
///
/// # Errors
/// [`CryptoError`] when format, hash or form is wrong.
pub fn verify_fdda(
    icc: &IccKey,
    signature: &[u8],
    input: &FddaInput<'_>,
    format: FddaFormat,
) -> Result<IccDynamicData, CryptoError> {
    input.with_parts(|parts| verify(icc, signature, parts, format.byte()))
}

/// Checks a DDA signature over the data the DDOL asked for, or a CDA signature over the unpredictable number (then see [`IccDynamicData::cda`]).
///
/// # Errors
/// [`CryptoError`] when format, hash or form is wrong.
pub fn verify_dda(icc: &IccKey, signature: &[u8], ddol_data: &[u8]) -> Result<IccDynamicData, CryptoError> {
    verify(icc, signature, &[ddol_data], layout::DYNAMIC)
}

fn verify(
    icc: &IccKey,
    signature: &[u8],
    terminal: &[&[u8]],
    format: u8,
) -> Result<IccDynamicData, CryptoError> {
    let mut block = [0; MODULUS_MAX];
    let opened = icc.key().open(signature, format, &mut block)?;
    opened.check(terminal)?;
    let [_, layout::SHA1, len, rest @ ..] = opened.signed else { return Err(CryptoError) };
    let (data, filler) = rest.split_at_checked(usize::from(*len)).ok_or(CryptoError)?;
    if filler.iter().any(|byte| *byte != layout::FILLER) {
        return Err(CryptoError);
    }
    Ok(IccDynamicData { bytes: Vec::from_slice(data).map_err(|_| CryptoError)? })
}
