//! EXTERNAL AUTHENTICATE: the issuer's response cryptogram, in the same tap or a second one. `[EMV-B3 6.5.4]`

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::{Tdes, ct_eq};
use zeroize::Zeroize;

use super::objects;
use super::session::{IssuerAuthentication, Last};
use crate::cryptogram::derivation::pboc_session;
use crate::cryptogram::{Cryptogram, arpc};
use crate::data::amount::Amount;
use crate::personalisation;

/// The instruction byte; the class is 00.
pub const INS: u8 = 0x82;
/// Authorisation response code of an approval, "00".
const APPROVED: [u8; 2] = *b"00";

/// One try for each ARQC: 6985 without one or after it, 6300 when the cryptogram is wrong. An approval resets the offline counters.
pub(super) fn process(cx: &mut Context<'_>, command: &Command<'_>) -> Result<Sw, Sw> {
    if command.p1p2() != 0 {
        return Err(Sw::WRONG_P1P2);
    }
    let Some((arpc, code)) = command.data().split_first_chunk::<8>() else { return Err(Sw::WRONG_LENGTH) };
    let code: [u8; 2] = code.try_into().map_err(|_| Sw::WRONG_LENGTH)?;
    let atc: [u8; 2] = cx.read_array(objects::ATC)?;
    let mut last = Last::load(cx)?
        .filter(|last| {
            last.result == Cryptogram::Arqc && last.atc == atc && last.issuer == IssuerAuthentication::Pending
        })
        .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let mut keys: [u8; 48] =
        objects::optional(cx, personalisation::KEYS)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let card = Tdes::new2(keys.first_chunk().ok_or(Sw::UNKNOWN)?);
    keys.zeroize();
    let expected = arpc::method1(&Tdes::new2(pboc_session(&card, atc).expose()), &last.cryptogram, code);
    if !ct_eq(&expected, arpc) {
        last.issuer = IssuerAuthentication::Failed;
        cx.put(objects::LAST, &last.encode())?;
        return Ok(Sw::WARNING_CHANGED);
    }
    last.issuer = IssuerAuthentication::Done;
    let mut buffer = [0; 128];
    let mut batch = Batch::new(&mut buffer);
    batch.put(cx.object(objects::LAST), &last.encode());
    batch.put(cx.object(objects::LAST_ONLINE_ATC), &atc);
    if code == APPROVED {
        batch.put(cx.object(objects::TOTAL), &Amount::ZERO.to_bcd());
        batch.put(cx.object(objects::FOREIGN_COUNT), &[0]);
    }
    cx.commit(&batch)?;
    Ok(Sw::OK)
}
