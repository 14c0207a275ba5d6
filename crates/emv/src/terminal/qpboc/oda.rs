//! Offline data authentication: is the card genuine, and did it sign this transaction? `[EMV-B2 6; JR/T 0025.12 fDDA]`

use super::card_data::CardData;
use super::gpo::TerminalData;
use super::tags;
use crate::certificates::{FddaInput, recover_icc, recover_issuer, verify_fdda};
use crate::data::iad::CardAuthenticationData;
use crate::pan::Pan;
use crate::qualifiers::Ctq;
use crate::terminal::{Configuration, Oda};
use huiwan_crypto::CryptoError;

/// What a passed authentication vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authenticated {
    /// The CTQ inside the signed 9F69, when fDDA version 01 was used.
    pub(super) ctq: Option<Ctq>,
}

/// The result for the outcome, and what was signed.
pub(super) fn authenticate(
    card: &CardData<'_>,
    terminal: &TerminalData,
    configuration: &Configuration<'_>,
    pan: &Pan,
) -> (Oda, Option<Authenticated>) {
    match fdda(card, terminal, configuration, pan) {
        Ok(authenticated) => (Oda::Passed, Some(authenticated)),
        Err(CryptoError) => (Oda::Failed, None),
    }
}

fn fdda(
    card: &CardData<'_>,
    terminal: &TerminalData,
    configuration: &Configuration<'_>,
    pan: &Pan,
) -> Result<Authenticated, CryptoError> {
    let object = |tag| card.get(tag).ok_or(CryptoError);
    let optional = |tag| card.get(tag).unwrap_or_default();
    let rid = card.name().first_chunk().ok_or(CryptoError)?;
    let &[index] = object(tags::CA_KEY_INDEX)? else { return Err(CryptoError) };
    let ca = configuration.keys.find(rid, index).ok_or(CryptoError)?;
    let issuer = recover_issuer(
        &ca,
        object(tags::ISSUER_CERTIFICATE)?,
        optional(tags::ISSUER_REMAINDER),
        object(tags::ISSUER_EXPONENT)?,
        pan,
    )?;
    let (mut buffer, static_data) = ([0; STATIC_DATA_MAX], card.static_data());
    let static_data = match card.get(tags::STATIC_DATA_TAG_LIST) {
        None => static_data,
        // The list may name the AIP and nothing else. [EMV-B2 6.4]
        Some(&[0x82]) => with_aip(&mut buffer, static_data, object(tags::AIP)?)?,
        Some(_) => return Err(CryptoError),
    };
    let icc = recover_icc(
        &issuer,
        object(tags::ICC_CERTIFICATE)?,
        optional(tags::ICC_REMAINDER),
        object(tags::ICC_EXPONENT)?,
        static_data,
        pan,
    )?;
    if !issuer.info().is_valid_on(terminal.date) || !icc.info().is_valid_on(terminal.date) {
        return Err(CryptoError);
    }
    let related = version_01(card, terminal, configuration);
    let input = FddaInput {
        unpredictable_number: terminal.unpredictable_number,
        amount: terminal.amount,
        currency: terminal.currency,
        card_authentication: related.and(card.get(tags::CARD_AUTHENTICATION_DATA)),
    };
    let signed = verify_fdda(&icc, object(tags::SDAD)?, &input, configuration.rules.fdda_format)?;
    // The dynamic number is the ATC, which ties the signature to the cryptogram.
    if Some(signed.number()) != card.get(tags::ATC) {
        return Err(CryptoError);
    }
    Ok(Authenticated { ctq: related.map(|related| related.ctq) })
}

/// The longest static data that can be followed by the AIP.
const STATIC_DATA_MAX: usize = 1024;

fn with_aip<'b>(buffer: &'b mut [u8], static_data: &[u8], aip: &[u8]) -> Result<&'b [u8], CryptoError> {
    let len = static_data.len().saturating_add(aip.len());
    let whole = buffer.get_mut(..len).ok_or(CryptoError)?;
    let (head, tail) = whole.split_at_mut_checked(static_data.len()).ok_or(CryptoError)?;
    head.copy_from_slice(static_data);
    tail.copy_from_slice(aip);
    Ok(whole)
}

/// Version 01 is signed exactly when the terminal asked for it, the application is new enough, and 9F69 says so; a
/// version 00 signature of such a card is then wrong.
fn version_01(
    card: &CardData<'_>,
    terminal: &TerminalData,
    configuration: &Configuration<'_>,
) -> Option<CardAuthenticationData> {
    let version = card.array(tags::APPLICATION_VERSION).map(u16::from_be_bytes)?;
    let related = CardAuthenticationData::parse(card.get(tags::CARD_AUTHENTICATION_DATA)?)?;
    let is_01 =
        terminal.ttq.fdda_v01() && version >= configuration.rules.fdda_v01_from && related.version == 0x01;
    is_01.then_some(related)
}
