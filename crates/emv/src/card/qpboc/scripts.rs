//! Issuer scripts: commands with the issuer's MAC, bound to the last cryptogram. `[JR/T 0025.13; EMV-B3 6.5]`
//!
//! | command | effect |
//! |---|---|
//! | `04DA` PUT DATA | replaces a changeable data object by one as long |
//! | `04DC` UPDATE RECORD | replaces a record the card has |
//! | `841E` APPLICATION BLOCK | from the next tap on: SELECT 6283, AAC |
//! | `8418` APPLICATION UNBLOCK | the reverse; also bound to an AAC |
//!
//! They are accepted after an ARQC (unblocking also after an AAC) until the next transaction, in the same session or a later one.
//! Each command's MAC covers the counter and the cryptogram, so none can be replayed in another transaction. Every command that
//! takes effect does so in one commit with the script counter.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::Tdes;
use zeroize::Zeroize;

use super::session::{IssuerAuthentication, Last};
use super::{Profile, fci, objects, records};
use crate::cryptogram::Cryptogram;
use crate::cryptogram::derivation::pboc_session;
use crate::data::amount::Amount;
use crate::personalisation;
use crate::secure_messaging::unwrap_script;

/// PUT DATA; class 04.
pub const PUT_DATA: u8 = 0xDA;
/// UPDATE RECORD; class 04.
pub const UPDATE_RECORD: u8 = 0xDC;
/// APPLICATION BLOCK; class 84.
pub const APPLICATION_BLOCK: u8 = 0x1E;
/// APPLICATION UNBLOCK; class 84.
pub const APPLICATION_UNBLOCK: u8 = 0x18;

/// Amounts the issuer may change, n12.
const AMOUNTS: [u16; 8] = [
    objects::TOTAL_LIMIT,
    objects::TOTAL_UPPER_LIMIT,
    objects::CVM_LIMIT,
    objects::RESET_THRESHOLD,
    0x9F75,
    objects::BALANCE_LIMIT,
    objects::SINGLE_LIMIT,
    objects::BALANCE,
];
/// Counters' limits the issuer may change, one byte.
const LIMITS: [u16; 4] = [objects::FOREIGN_LIMIT, 0x9F58, 0x9F59, 0x9F72];

/// Whether a script may change a data object; used by personalisation too.
pub(super) fn is_changeable(id: u16) -> bool {
    AMOUNTS.contains(&id) || LIMITS.contains(&id)
}

/// Whether `value` has the form of the changeable object `id`.
pub(super) fn is_well_formed(id: u16, value: &[u8]) -> bool {
    if AMOUNTS.contains(&id) {
        value.len() == 6 && Amount::from_bcd(value).is_some()
    } else {
        value.len() == 1
    }
}

/// 6985 when no script is expected, 6988 for a wrong MAC; the commands' own errors come after the MAC.
pub(super) fn process(profile: &Profile, cx: &mut Context<'_>, command: &Command<'_>) -> Result<Sw, Sw> {
    let unblock = command.ins() == APPLICATION_UNBLOCK;
    let atc: [u8; 2] = cx.read_array(objects::ATC)?;
    let refused = Sw::CONDITIONS_NOT_SATISFIED;
    let mut last = Last::load(cx)?.filter(|last| last.atc == atc).ok_or(refused)?;
    if last.result != Cryptogram::Arqc && !(unblock && last.result == Cryptogram::Aac) {
        return Err(refused);
    }
    let mandatory = objects::optional(cx, objects::ISSUER_AUTHENTICATION)? == Some([0x80]);
    if last.script_failures >= profile.script_mac_tries
        || last.issuer == IssuerAuthentication::Failed
        || (mandatory && last.result == Cryptogram::Arqc && last.issuer != IssuerAuthentication::Done)
    {
        return Err(refused);
    }
    if command.data().len() < crate::secure_messaging::MAC_LEN {
        return Err(Sw::SM_MISSING);
    }
    let mut keys: [u8; 48] = objects::optional(cx, personalisation::KEYS)?.ok_or(refused)?;
    let card = Tdes::new2(keys.get(16..32).and_then(|key| key.try_into().ok()).ok_or(Sw::UNKNOWN)?);
    keys.zeroize();
    let session = Tdes::new2(pboc_session(&card, atc).expose());
    let [cla, ins, p1, p2] = command.header();
    // The terminal may move the command to another logical channel; the issuer signed it for the basic one.
    let header = [cla & 0xFC, ins, p1, p2];
    let Ok(data) = unwrap_script(&session, &last.transaction(), header, command.data()) else {
        last.script_failures = last.script_failures.saturating_add(1);
        cx.put(objects::LAST, &last.encode())?;
        return Err(Sw::SM_INCORRECT);
    };

    last.scripts = last.scripts.saturating_add(1).min(15);
    let mut buffer = [0; 384];
    let mut batch = Batch::new(&mut buffer);
    batch.put(cx.object(objects::LAST), &last.encode());
    if last.result == Cryptogram::Arqc {
        batch.put(cx.object(objects::LAST_ONLINE_ATC), &atc);
    }
    match ins {
        PUT_DATA => put_data(cx, command.p1p2(), data, &mut batch)?,
        UPDATE_RECORD => update_record(cx, command, data, &mut batch)?,
        _ if command.p1p2() != 0 => return Err(Sw::WRONG_P1P2),
        _ if !data.is_empty() => return Err(Sw::WRONG_LENGTH),
        APPLICATION_BLOCK => batch.put(cx.object(objects::BLOCKED), &[1]),
        _ => batch.delete(cx.object(objects::BLOCKED)),
    }
    cx.commit(&batch)?;
    Ok(Sw::OK)
}

/// The object must be changeable and there (6A88), the value well-formed and the balance within its limit (6A80).
fn put_data(cx: &mut Context<'_>, id: u16, data: &[u8], batch: &mut Batch<'_>) -> Result<(), Sw> {
    if !is_changeable(id) || !cx.exists(id)? {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    if !is_well_formed(id, data) {
        return Err(Sw::WRONG_DATA);
    }
    if id == objects::BALANCE {
        let limit = objects::amount(cx, objects::BALANCE_LIMIT)?;
        if limit.is_some_and(|limit| Amount::from_bcd(data).is_none_or(|balance| balance > limit)) {
            return Err(Sw::WRONG_DATA);
        }
    }
    batch.put(cx.object(id), data);
    Ok(())
}

fn update_record(
    cx: &mut Context<'_>,
    command: &Command<'_>,
    data: &[u8],
    batch: &mut Batch<'_>,
) -> Result<(), Sw> {
    if command.p2() & 0x07 != 4 {
        return Err(Sw::WRONG_P1P2);
    }
    let mut template = [0; fci::TEMPLATE_MAX];
    let sfi = command.p2() >> 3;
    let is_log = fci::log_entry(fci::template(cx, &mut template)?).is_some_and(|(log, _)| log == sfi);
    let dgi = personalisation::record(sfi, command.p1()).filter(|_| !is_log).ok_or(Sw::RECORD_NOT_FOUND)?;
    if !cx.exists(dgi)? {
        return Err(Sw::RECORD_NOT_FOUND);
    }
    if data.is_empty() || data.len() > records::RECORD_MAX {
        return Err(Sw::WRONG_LENGTH);
    }
    batch.put(cx.object(dgi), data);
    Ok(())
}
