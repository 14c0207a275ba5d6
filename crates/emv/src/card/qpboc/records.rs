//! READ RECORD: the records of an approval, and the log. `[EMV-B3 6.5.11; JR/T 0025.12]`
//!
//! The last record of the AFL is where an approval becomes true: the debit, the log record and what is needed to serve the
//! records again are committed in one batch, and only then the record is answered.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Action, Batch, Context, ResponseWriter};
use huiwan_tlv::{Rules, Tag, find};

use super::session::{Approved, LOG_RECORD_MAX, Last, Session};
use super::{Profile, fci, fdda, objects};
use crate::data::bits::Cryptogram;
use crate::personalisation;

/// The instruction byte; the class is 00.
pub const INS: u8 = 0xB2;
/// The longest record.
pub(super) const RECORD_MAX: usize = 254;

pub(super) fn read(
    profile: &Profile,
    cx: &mut Context<'_>,
    command: &Command<'_>,
    reply: &mut ResponseWriter<'_>,
) -> Result<Action, Sw> {
    let (sfi, number) = (command.p2() >> 3, command.p1());
    if command.p2() & 0x07 != 4 || sfi == 0 || sfi > 30 {
        return Err(Sw::WRONG_P1P2);
    }
    if !command.data().is_empty() {
        return Err(Sw::WRONG_LENGTH);
    }
    if read_log(cx, sfi, number, reply)? {
        return Ok(Action::Reply(Sw::OK));
    }
    let last = served(cx)?;
    let dgi = personalisation::record(sfi, number).ok_or(Sw::RECORD_NOT_FOUND)?;
    let mut afl = [0; AFL_MAX];
    if !contains(self::afl(cx, &mut afl)?, dgi) || !cx.exists(dgi)? {
        return Err(Sw::RECORD_NOT_FOUND);
    }
    let mut record = [0; RECORD_MAX];
    let record = cx.read(dgi, &mut record)?;
    reply.push(record)?;
    fdda::place_card_authentication(reply.as_mut_slice(), &last)?;
    if fdda::has_signature(reply.as_slice()) {
        let len = fdda::modulus_len(cx)?;
        return fdda::sign(profile, cx, &last, len);
    }
    finish(cx, command)?;
    Ok(Action::Reply(Sw::OK))
}

/// The transaction whose records may be read: the approval under way, or the last one, if it is the card's latest transaction.
fn served(cx: &mut Context<'_>) -> Result<Last, Sw> {
    let last = match Session::load(cx)? {
        Session::Approved(approved) => Some(approved.last),
        Session::Answered | Session::Selected => Last::load(cx)?,
    };
    let atc: [u8; 2] = cx.read_array(objects::ATC)?;
    last.filter(|last| last.result == Cryptogram::Tc && last.atc == atc).ok_or(Sw::CONDITIONS_NOT_SATISFIED)
}

/// Commits the approval when the record just prepared is the last one; later reads find it done.
pub(super) fn finish(cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
    let Session::Approved(approved) = Session::load(cx)? else { return Ok(()) };
    let mut afl = [0; AFL_MAX];
    let afl = self::afl(cx, &mut afl)?;
    if last_of(afl) != personalisation::record(command.p2() >> 3, command.p1()) {
        return Ok(());
    }
    commit(cx, &approved)?;
    Session::Answered.store(cx)
}

fn commit(cx: &mut Context<'_>, approved: &Approved) -> Result<(), Sw> {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    batch.put(cx.object(objects::LAST), &approved.last.encode());
    if let Some(balance) = approved.debit.balance {
        batch.put(cx.object(objects::BALANCE), &balance.to_bcd());
    }
    batch.put(cx.object(objects::TOTAL), &approved.debit.total.to_bcd());
    batch.put(cx.object(objects::FOREIGN_COUNT), &[approved.debit.foreign_count]);
    let log = approved.log.get();
    if !log.is_empty() {
        let mut template = [0; fci::TEMPLATE_MAX];
        if let Some((_, capacity)) = fci::log_entry(fci::template(cx, &mut template)?) {
            let written = log_count(cx)?;
            batch.put(cx.object(log_object(written, capacity)), log);
            batch.put(cx.object(objects::LOG_COUNT), &written.wrapping_add(1).to_be_bytes());
        }
    }
    cx.commit(&batch)
}

fn log_count(cx: &mut Context<'_>) -> Result<u32, Sw> {
    Ok(objects::optional(cx, objects::LOG_COUNT)?.map_or(0, u32::from_be_bytes))
}

/// The object of log record `index`, counted from the first ever written.
fn log_object(index: u32, capacity: u8) -> u16 {
    let place = index.checked_rem(u32::from(capacity)).unwrap_or(0);
    objects::LOG.saturating_add(u16::try_from(place).unwrap_or(0))
}

/// Answers a record of the log, 1 the newest; `false` when the file is not the log.
fn read_log(cx: &mut Context<'_>, sfi: u8, number: u8, reply: &mut ResponseWriter<'_>) -> Result<bool, Sw> {
    let mut template = [0; fci::TEMPLATE_MAX];
    let Some((_, capacity)) =
        fci::log_entry(fci::template(cx, &mut template)?).filter(|(log, _)| *log == sfi)
    else {
        return Ok(false);
    };
    let written = log_count(cx)?;
    let back = u32::from(number);
    if back == 0 || back > u32::from(capacity) || back > written {
        return Err(Sw::RECORD_NOT_FOUND);
    }
    let mut record = [0; LOG_RECORD_MAX];
    let object = log_object(written.wrapping_sub(back), capacity);
    reply.push(cx.read(object, &mut record)?)?;
    Ok(true)
}

/// The most bytes of a personalised AFL.
const AFL_MAX: usize = 160;

/// 94 of the personalised answer.
fn afl<'o>(cx: &mut Context<'_>, out: &'o mut [u8; AFL_MAX]) -> Result<&'o [u8], Sw> {
    let options = objects::personalised(cx, personalisation::PROCESSING_OPTIONS, out)?;
    let found = find(options, Rules::EMV, Tag::new(0x94)).ok().flatten();
    found.map(|afl| afl.value()).ok_or(Sw::CONDITIONS_NOT_SATISFIED)
}

/// The entries of an AFL: file, first and last record. `[EMV-B3 10.2]`
fn entries(afl: &[u8]) -> impl Iterator<Item = (u8, u8, u8)> {
    afl.as_chunks::<4>().0.iter().map(|[sfi, first, last, _]| (sfi >> 3, *first, *last))
}

/// The last record an AFL names.
pub(super) fn last_of(afl: &[u8]) -> Option<u16> {
    entries(afl).last().and_then(|(sfi, _, last)| personalisation::record(sfi, last))
}

fn contains(afl: &[u8], dgi: u16) -> bool {
    let [wanted, number] = dgi.to_be_bytes();
    entries(afl).any(|(sfi, first, last)| sfi == wanted && (first..=last).contains(&number))
}
