//! The fDDA signature of an approval: prepared here, computed by the platform, placed into the answer.
//!
//! Keys up to 1024 bits put 9F4B into the answer to GET PROCESSING OPTIONS, longer ones into the record that holds a placeholder
//! of the modulus' length. The signature depends on the hash and the counter alone, so a record read again gets the same one.

use huiwan_apdu::Sw;
use huiwan_card::{Action, Compute, Context, ResponseWriter};
use huiwan_crypto::CryptoError;
use huiwan_tlv::{Rules, Tag, find, find_path};

use super::Profile;
use super::session::Last;
use crate::certificates::{FddaInput, layout};
use crate::personalisation as dgi;

/// The longest modulus whose signature fits the answer to GET PROCESSING OPTIONS, in bytes.
pub const IN_OPTIONS_MAX: usize = 128;

const SIGNATURE: Tag = Tag::new(0x9F4B);
const CARD_AUTHENTICATION: Tag = Tag::new(0x9F69);
const RECORD: Tag = Tag::new(0x70);

/// Length of the card's modulus; 0 for a card without an RSA key.
pub(super) fn modulus_len(cx: &mut Context<'_>) -> Result<usize, Sw> {
    let mut len = 0_usize;
    for prime in [dgi::RSA_P, dgi::RSA_Q] {
        let object = cx.object(prime);
        match cx.memory.len(object)? {
            Some(part) => len = len.saturating_add(part),
            None => return Ok(0),
        }
    }
    Ok(len)
}

/// The hash of this tap's signature over the terminal's data.
pub(super) fn hash(
    profile: &Profile,
    cx: &mut Context<'_>,
    atc: [u8; 2],
    input: &FddaInput<'_>,
    len: usize,
) -> Result<[u8; layout::HASH_LEN], Sw> {
    let block = cx.scratch.get_mut(..len).ok_or(Sw::UNKNOWN)?;
    lay_out(profile, block, atc).map_err(|_| Sw::UNKNOWN)?;
    input.with_parts(|parts| layout::hash(block, parts)).map_err(|_| Sw::UNKNOWN)
}

/// Asks for the signature of `last`: the block goes into scratch.
pub(super) fn sign(profile: &Profile, cx: &mut Context<'_>, last: &Last, len: usize) -> Result<Action, Sw> {
    let block = cx.scratch.get_mut(..len).ok_or(Sw::UNKNOWN)?;
    lay_out(profile, block, last.atc).map_err(|_| Sw::UNKNOWN)?;
    layout::put_hash(block, &last.fdda_hash).map_err(|_| Sw::UNKNOWN)?;
    Ok(Action::Compute(Compute::RsaCrt {
        key: [dgi::RSA_P, dgi::RSA_Q, dgi::RSA_DP, dgi::RSA_DQ, dgi::RSA_QINV],
        len,
    }))
}

fn lay_out(profile: &Profile, block: &mut [u8], [high, low]: [u8; 2]) -> Result<(), CryptoError> {
    let dynamic = [2, high, low];
    layout::lay_out(block, &[&layout::dynamic_head(profile.fdda_format.byte(), &dynamic)?, &dynamic])
}

/// Puts the computed signature over the placeholder in the answer.
pub(super) fn place_signature(
    cx: &mut Context<'_>,
    result: Result<usize, CryptoError>,
    reply: &mut ResponseWriter<'_>,
) -> Result<(), Sw> {
    let len = result.map_err(|_| Sw::UNKNOWN)?;
    let signature = cx.scratch.get(..len).ok_or(Sw::UNKNOWN)?;
    let answer = reply.as_mut_slice();
    let template = huiwan_tlv::parse(answer, Rules::EMV)
        .next()
        .and_then(Result::ok)
        .map(|t| t.tag())
        .ok_or(Sw::UNKNOWN)?;
    overwrite(answer, template, SIGNATURE, signature)
}

/// Whether a record has the placeholder of a signature.
pub(super) fn has_signature(record: &[u8]) -> bool {
    find_path(record, Rules::EMV, &[RECORD, SIGNATURE]).is_ok_and(|found| found.is_some())
}

/// 9F69 as a record was personalised with it, cut or filled to eight bytes; `None` when the record has none.
pub(super) fn card_authentication(record: &[u8]) -> Option<[u8; 8]> {
    let found = find_path(record, Rules::EMV, &[RECORD, CARD_AUTHENTICATION]).ok().flatten()?;
    let mut out = [0; 8];
    for (to, from) in out.iter_mut().zip(found.value()) {
        *to = *from;
    }
    Some(out)
}

/// The bytes of 9F69 this transaction signs: as many as the record has room for.
pub(super) fn card_authentication_len(record: &[u8]) -> usize {
    find_path(record, Rules::EMV, &[RECORD, CARD_AUTHENTICATION])
        .ok()
        .flatten()
        .map_or(0, |found| found.value().len().min(8))
}

/// Puts this transaction's 9F69 over the personalised one, if the record has it.
pub(super) fn place_card_authentication(record: &mut [u8], last: &Last) -> Result<(), Sw> {
    let len = card_authentication_len(record);
    match last.card_authentication.get(..len) {
        Some(value) if len > 0 => overwrite(record, RECORD, CARD_AUTHENTICATION, value),
        _ => Ok(()),
    }
}

/// Replaces the value of `tag` inside `template` by one as long.
fn overwrite(bytes: &mut [u8], template: Tag, tag: Tag, value: &[u8]) -> Result<(), Sw> {
    let range = {
        let outer = find(bytes, Rules::EMV, template).ok().flatten().ok_or(Sw::UNKNOWN)?;
        let inner =
            outer.children(Rules::EMV).find_map(|object| object.ok().filter(|object| object.tag() == tag));
        let inner = inner.ok_or(Sw::UNKNOWN)?;
        let end = inner.value_at().checked_add(inner.value().len()).ok_or(Sw::UNKNOWN)?;
        inner.value_at()..end
    };
    let place = bytes.get_mut(range).ok_or(Sw::UNKNOWN)?;
    if place.len() != value.len() {
        return Err(Sw::UNKNOWN);
    }
    place.copy_from_slice(value);
    Ok(())
}
