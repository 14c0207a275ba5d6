//! GET PROCESSING OPTIONS: the whole decision of a tap. `[JR/T 0025.12]`
//!
//! The counter is durable before it is used for anything. A declined or online tap notes what scripts will be bound to;
//! an approved one keeps its debit in the session until the last record is read ([`super::records`]).

use heapless::Vec;
use huiwan_apdu::{Command, Sw};
use huiwan_card::{Action, Context, ResponseWriter};
use huiwan_crypto::Tdes;
use huiwan_tlv::dol::{Dol, Format};
use huiwan_tlv::{Rules, Tag, find, parse};
use zeroize::Zeroize;

use super::decision::{Debit, Decision, Request, State, available, decide};
use super::session::{Approved, IssuerAuthentication, Last, LogRecord, Session};
use super::{CdcvmEvidence, Profile, fci, fdda, objects, records};
use crate::certificates::FddaInput;
use crate::cryptogram::derivation::pboc_session;
use crate::cryptogram::iad::{IddId, idd_mac};
use crate::cryptogram::{AcData, Cryptogram, Cvn, Cvr, TransactionData, generate};
use crate::data::amount::Amount;
use crate::personalisation;
use crate::qualifiers::{Ctq, Ttq};

/// The instruction byte; the class is 80.
pub const INS: u8 = 0xA8;
/// What the terminal's values come in. `[EMV-B3 6.5.8]`
const COMMAND_TEMPLATE: Tag = Tag::new(0x83);
/// Version number from which a card may offer fDDA version 01.
const FDDA_V01_FROM: [u8; 2] = [0x00, 0x30];
/// The most bytes of the personalised answer.
const OPTIONS_MAX: usize = 160;

pub(super) fn process(
    profile: &Profile,
    cx: &mut Context<'_>,
    command: &Command<'_>,
    reply: &mut ResponseWriter<'_>,
) -> Result<Action, Sw> {
    if command.p1p2() != 0 {
        return Err(Sw::WRONG_P1P2);
    }
    if Session::load(cx)? != Session::Selected {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    let mut objects = parse(command.data(), Rules::ISO);
    let values = match (objects.next(), objects.next()) {
        (Some(Ok(object)), None) if object.tag() == COMMAND_TEMPLATE => object.value(),
        _ => return Err(Sw::WRONG_DATA),
    };
    let mut template = [0; fci::TEMPLATE_MAX];
    let template = fci::template(cx, &mut template)?;
    let pdol = Dol::parse(fci::pdol(template)).map_err(|_| Sw::CONDITIONS_NOT_SATISFIED)?;
    if pdol.total_len() != values.len() {
        return Err(Sw::WRONG_LENGTH);
    }
    let terminal = Terminal { pdol, values };
    let ttq = Ttq(terminal.array(0x9F66).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?);
    if !ttq.qpboc() {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    let transaction = terminal.transaction();
    let request = Request {
        ttq,
        amount: Amount::from_bcd(&transaction.amount).ok_or(Sw::WRONG_DATA)?,
        currency: transaction.currency,
    };

    let state = State::load(cx)?;
    let before = Last::load(cx)?;
    Session::Answered.store(cx)?;
    let atc = count(cx)?;
    let Decision::Answer { result, ctq, debit } = (match decide(&request, &state) {
        Decision::Refuse(sw) => return Err(sw),
        answer => answer,
    }) else {
        return Err(Sw::UNKNOWN);
    };

    let update = profile.announces_issuer_update && result == Cryptogram::Arqc && ttq.issuer_update();
    let ctq = ctq.with_issuer_update(update);

    let mut options = [0; OPTIONS_MAX];
    let options = objects::personalised(cx, personalisation::PROCESSING_OPTIONS, &mut options)?;
    let aip =
        object(options, 0x82).and_then(|aip| aip.try_into().ok()).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let cvr = results(profile, result, ctq, &state, before.as_ref());
    let after = State {
        balance: debit.map_or(state.balance, |debit| debit.balance),
        total: debit.map_or(state.total, |debit| debit.total),
        ..state
    };
    let (cryptogram, iad) = authenticate(cx, options, &AcData { transaction, aip, atc, cvr }, &after)?;
    let mut last = Last::new(result, atc, cryptogram);

    let signature_len = match debit {
        Some(debit) => approve(profile, cx, &terminal, template, options, &mut last, ctq, debit)?,
        None => {
            cx.put(objects::LAST, &last.encode())?;
            0
        }
    };
    let in_options = signature_len > 0 && signature_len <= fdda::IN_OPTIONS_MAX;
    let amount = available(&after).to_bcd();
    let placeholder = [0; fdda::IN_OPTIONS_MAX];
    let value = |tag: u16| match tag {
        objects::ATC => Some(&atc[..]),
        0x9F26 => Some(&cryptogram[..]),
        0x9F10 => Some(&iad[..]),
        0x9F6C => Some(&ctq.0[..]),
        0x9F4B if in_options => placeholder.get(..signature_len),
        objects::AVAILABLE if state.processes.return_available_amount() => Some(&amount[..]),
        0x9F4B | objects::AVAILABLE => None,
        _ => object(options, tag),
    };
    let tags: &[u16] = if debit.is_some() { &APPROVED } else { &NOT_APPROVED };
    reply.tlv(|w| {
        w.nested(Tag::new(0x77), |w| {
            for tag in tags {
                if let Some(value) = value(*tag) {
                    w.put(Tag::new(u32::from(*tag)), value);
                }
            }
        });
    })?;
    if in_options { fdda::sign(profile, cx, &last, signature_len) } else { Ok(Action::Reply(Sw::OK)) }
}

/// Tags of the answer to an approval, in the order cards give them.
const APPROVED: [u16; 10] = [0x82, 0x94, 0x9F36, 0x9F26, 0x9F10, 0x57, 0x5F34, 0x9F4B, 0x9F6C, 0x9F5D];
/// Tags of the other answers.
const NOT_APPROVED: [u16; 10] = [0x82, 0x9F36, 0x57, 0x9F10, 0x9F26, 0x9F63, 0x5F34, 0x9F6C, 0x9F5D, 0x5F20];

/// The data the terminal sent, read by the card's list.
struct Terminal<'a> {
    pdol: Dol<'a>,
    values: &'a [u8],
}

impl<'a> Terminal<'a> {
    fn value(&self, tag: u16) -> Option<&'a [u8]> {
        self.pdol.value_in(self.values, Tag::new(u32::from(tag)))
    }

    fn array<const N: usize>(&self, tag: u16) -> Option<[u8; N]> {
        self.value(tag).and_then(|value| value.try_into().ok())
    }

    /// What the cryptogram covers; zeros for what the card did not ask.
    fn transaction(&self) -> TransactionData {
        TransactionData {
            amount: self.array(0x9F02).unwrap_or_default(),
            other_amount: self.array(0x9F03).unwrap_or_default(),
            terminal_country: self.array(0x9F1A).unwrap_or_default(),
            tvr: self.array(0x95).unwrap_or_default(),
            currency: self.array(0x5F2A).unwrap_or_default(),
            date: self.array(0x9A).unwrap_or_default(),
            transaction_type: self.array::<1>(0x9C).map_or(0, |[byte]| byte),
            unpredictable_number: self.array(0x9F37).unwrap_or_default(),
        }
    }
}

fn object(options: &[u8], tag: u16) -> Option<&[u8]> {
    find(options, Rules::EMV, Tag::new(u32::from(tag))).ok().flatten().map(|object| object.value())
}

/// Counts the transaction, durably; at FFFF the application has come to its end.
fn count(cx: &mut Context<'_>) -> Result<[u8; 2], Sw> {
    let atc = u16::from_be_bytes(cx.read_array(objects::ATC)?)
        .checked_add(1)
        .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    cx.put(objects::ATC, &atc.to_be_bytes())?;
    Ok(atc.to_be_bytes())
}

/// The card verification results of this tap.
fn results(profile: &Profile, result: Cryptogram, ctq: Ctq, state: &State, before: Option<&Last>) -> Cvr {
    let verified = ctq.cdcvm_performed() && profile.cdcvm_evidence == CdcvmEvidence::OfflinePin;
    let failed = before.is_some_and(|last| last.issuer == IssuerAuthentication::Failed);
    let scripts = before.map_or(0, |last| last.scripts);
    Cvr::first(result)
        .with_offline_pin_done(verified)
        .with_pin_tries_exceeded(state.pin_tries == Some(0))
        .with_new_card(state.new_card && state.processes.new_card_check())
        .with_last_issuer_authentication_failed(failed)
        .with_script_failed(before.is_some_and(|last| last.script_failures > 0))
        .with_script_count(scripts)
}

/// Cryptogram and issuer application data: the personalised head, the results, and what the head says to report, with its MAC.
fn authenticate(
    cx: &mut Context<'_>,
    options: &[u8],
    data: &AcData,
    state: &State,
) -> Result<([u8; 8], Vec<u8, 32>), Sw> {
    let missing = Sw::CONDITIONS_NOT_SATISFIED;
    let (&[len, index, version, cvr_len, _, _, _, algorithm], idd) =
        object(options, 0x9F10).and_then(|head| head.split_first_chunk::<8>()).ok_or(missing)?;
    let [_, a, b, c] = data.cvr.0;
    let mut iad =
        Vec::from_slice(&[len, index, version, cvr_len, a, b, c, algorithm]).map_err(|_| Sw::UNKNOWN)?;
    let mut keys: [u8; 48] = objects::optional(cx, personalisation::KEYS)?.ok_or(missing)?;
    let (ac_key, mac_key) = split_keys(&keys);
    keys.zeroize();
    if let [_, id, ..] = idd {
        let id = IddId::from_byte(*id).ok_or(missing)?;
        let low = |amount: Amount| {
            let [_, rest @ ..] = amount.to_bcd();
            rest
        };
        let balance = low(state.balance.unwrap_or_default());
        let total = low(state.total);
        let values: &[[u8; 5]] = match id {
            IddId::Balance => &[balance],
            IddId::CumulativeTotal => &[total],
            IddId::BalanceAndTotal => &[balance, total],
            IddId::TotalAndLimit => &[total, low(state.total_limit.unwrap_or_default())],
            IddId::Available => &[low(available(state))],
        };
        let mac = idd_mac(&Tdes::new2(pboc_session(&mac_key, data.atc).expose()), data.atc, values);
        for part in [&[id.idd_len(), id.byte()][..], values.as_flattened(), &mac] {
            iad.extend_from_slice(part).map_err(|_| Sw::UNKNOWN)?;
        }
    }
    let version = Cvn::from_byte(version).ok_or(missing)?;
    let session = Tdes::new2(pboc_session(&ac_key, data.atc).expose());
    Ok((generate(&session, version, data), iad))
}

fn split_keys(keys: &[u8; 48]) -> (Tdes, Tdes) {
    let (ac, rest) = keys.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let mac = rest.first_chunk::<16>().unwrap_or(&[0; 16]);
    (Tdes::new2(ac), Tdes::new2(mac))
}

/// Prepares an approval: what the signature covers, what the log will say, what the last record commits. Returns the length of the modulus.
#[expect(clippy::too_many_arguments, reason = "all of one tap, in one place")]
fn approve(
    profile: &Profile,
    cx: &mut Context<'_>,
    terminal: &Terminal<'_>,
    template: &[u8],
    options: &[u8],
    last: &mut Last,
    ctq: Ctq,
    debit: Debit,
) -> Result<usize, Sw> {
    let missing = Sw::CONDITIONS_NOT_SATISFIED;
    let afl = object(options, 0x94).ok_or(missing)?;
    let mut record = [0; records::RECORD_MAX];
    let record = objects::personalised(cx, records::last_of(afl).ok_or(missing)?, &mut record)?;
    let offered = fdda::card_authentication(record);
    if let Some([version, ..]) = offered {
        let [a, b, c, d] = cx.random_bytes()?;
        let [high, low] = ctq.0;
        let rest = offered.map_or(0, |[.., rest]| rest);
        last.card_authentication = [version, a, b, c, d, high, low, rest];
    }
    let recent =
        objects::optional::<2>(cx, objects::VERSION)?.is_some_and(|version| version >= FDDA_V01_FROM);
    let transaction = terminal.transaction();
    let ttq = Ttq(terminal.array(0x9F66).unwrap_or_default());
    let v01 = ttq.fdda_v01() && recent && offered.is_some_and(|[version, ..]| version == 1);
    let signed = last.card_authentication;
    let input = FddaInput {
        unpredictable_number: transaction.unpredictable_number,
        amount: transaction.amount,
        currency: transaction.currency,
        card_authentication: signed.get(..fdda::card_authentication_len(record)).filter(|_| v01),
    };
    let len = fdda::modulus_len(cx)?;
    last.fdda_hash = fdda::hash(profile, cx, last.atc, &input, len)?;
    let log = log_record(cx, terminal, template, last.atc)?;
    Session::Approved(Approved { last: *last, debit, log }).store(cx)?;
    Ok(len)
}

/// The log record of this tap by the personalised format 9F4F, if the card keeps a log of approvals.
fn log_record(
    cx: &mut Context<'_>,
    terminal: &Terminal<'_>,
    template: &[u8],
    atc: [u8; 2],
) -> Result<LogRecord, Sw> {
    let mut record = LogRecord::NONE;
    let wanted = crate::data::bits::CardProcesses(cx.read_array(objects::PROCESSES)?).log_offline();
    if !wanted || fci::log_entry(template).is_none() || !cx.exists(objects::LOG_FORMAT)? {
        return Ok(record);
    }
    let mut format = [0; 64];
    let format = Dol::parse(cx.read(objects::LOG_FORMAT, &mut format)?).map_err(|_| Sw::MEMORY_FAILURE)?;
    let time = cx.now.map(|now| now.time_bcd());
    let filled = format
        .fill(&mut record.bytes, |tag| {
            let tag = u16::try_from(tag.get()).ok()?;
            let value = match tag {
                objects::ATC => Some(&atc[..]),
                0x9F21 => terminal.value(tag).or(time.as_ref().map(|time| &time[..])),
                _ => terminal.value(tag),
            };
            value.map(|value| (value, Format::Numeric))
        })
        .map_err(|_| Sw::MEMORY_FAILURE)?
        .len();
    record.len = u8::try_from(filled).map_err(|_| Sw::MEMORY_FAILURE)?;
    Ok(record)
}
