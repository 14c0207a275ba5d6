//! The electronic purse, transit files and the PSAM. [JR/T 0025.1], [JT/T 978]

use core::fmt;

use huiwan_apdu::Command;
use huiwan_purse::transit::{bus, etc, holder, log, management, process, public_info, rail};
use huiwan_purse::{command as headers, tti::Tti};

use super::context::Context;
use super::kind::Kind;
use super::layout::{As, Row, fields, transit};
use super::out::Out;
use super::{Meaning, iso};

const INITIALIZE: &[Row] =
    &[("key index", 1, As::Number), ("amount", 4, As::Fen), ("terminal number", 6, As::Bytes)];
const INITIALIZED_FOR_LOAD: &[Row] = &[
    ("balance", 4, As::Fen),
    ("online counter", 2, As::Number),
    ("key version", 1, As::Number),
    ("key algorithm", 1, As::Number),
    ("card random number", 4, As::Bytes),
    ("MAC1", 4, As::Bytes),
];
const INITIALIZED_FOR_PURCHASE: &[Row] = &[
    ("balance", 4, As::Fen),
    ("offline counter", 2, As::Number),
    ("overdraft limit", 3, As::Fen),
    ("key version", 1, As::Number),
    ("key algorithm", 1, As::Number),
    ("card random number", 4, As::Bytes),
];
const CREDIT: &[Row] = &[("host date", 4, As::Date), ("host time", 3, As::Time), ("MAC2", 4, As::Bytes)];
const DEBIT: &[Row] = &[
    ("terminal transaction number", 4, As::Number),
    ("terminal date", 4, As::Date),
    ("terminal time", 3, As::Time),
    ("MAC1", 4, As::Bytes),
];

const INITIALIZE_SHORT: &[Row] = &[("key index", 1, As::Number), ("terminal number", 6, As::Bytes)];
const INITIALIZED_FOR_UPDATE: &[Row] = &[
    ("balance", 4, As::Fen),
    ("online counter", 2, As::Number),
    ("old overdraft limit", 3, As::Fen),
    ("key version", 1, As::Number),
    ("key algorithm", 1, As::Number),
    ("card random number", 4, As::Bytes),
    ("MAC1", 4, As::Bytes),
];
const UPDATE_OVERDRAW_LIMIT: &[Row] = &[
    ("new overdraft limit", 3, As::Fen),
    ("host date", 4, As::Date),
    ("host time", 3, As::Time),
    ("MAC2", 4, As::Bytes),
];
const GREY_LOCK: &[Row] = &[
    ("terminal transaction number", 4, As::Number),
    ("terminal random number", 4, As::Bytes),
    ("terminal date", 4, As::Date),
    ("terminal time", 3, As::Time),
    ("MAC1", 4, As::Bytes),
];
const DEBIT_FOR_UNLOCK: &[Row] = &[
    ("amount", 4, As::Fen),
    ("offline counter", 2, As::Number),
    ("terminal number", 6, As::Bytes),
    ("terminal transaction number", 4, As::Number),
    ("terminal date", 4, As::Date),
    ("terminal time", 3, As::Time),
    ("GMAC", 4, As::Bytes),
];
const INITIALIZED_FOR_GREY_UNLOCK: &[Row] = &[
    ("balance", 4, As::Fen),
    ("offline counter", 2, As::Number),
    ("online counter", 2, As::Number),
    ("key version", 1, As::Number),
    ("key algorithm", 1, As::Number),
    ("card random number", 4, As::Bytes),
    ("MAC1", 4, As::Bytes),
];
const GREY_UNLOCK: &[Row] =
    &[("amount", 4, As::Fen), ("host date", 4, As::Date), ("host time", 3, As::Time), ("MAC2", 4, As::Bytes)];
const LOCK_PROOF: &[Row] = &[
    ("lock status", 1, As::Bytes),
    ("transaction type", 1, As::Type),
    ("account", 1, As::Number),
    ("balance", 4, As::Fen),
    ("offline counter", 2, As::Number),
    ("terminal number", 6, As::Bytes),
    ("date", 4, As::Date),
    ("time", 3, As::Time),
    ("MAC2", 4, As::Bytes),
    ("GTAC", 4, As::Bytes),
];

pub(super) fn command(
    kind: Kind,
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
) -> fmt::Result {
    match command.p2() {
        headers::ED if names_account(kind) => out.says(format_args!("electronic passbook"))?,
        headers::EP if names_account(kind) => out.says(format_args!("electronic purse"))?,
        _ => {}
    }
    let data = command.data();
    match kind {
        Kind::InitializeForLoad | Kind::InitializeForPurchase | Kind::InitializeForUnload => {
            fields(out, INITIALIZE, data, at)
        }
        Kind::InitializeForUpdate | Kind::InitializeForGreyLock | Kind::InitializeForGreyUnlock => {
            fields(out, INITIALIZE_SHORT, data, at)
        }
        Kind::UpdateOverdrawLimit => fields(out, UPDATE_OVERDRAW_LIMIT, data, at),
        Kind::GreyLock => fields(out, GREY_LOCK, data, at),
        Kind::DebitForUnlock => fields(out, DEBIT_FOR_UNLOCK, data, at),
        Kind::GreyUnlock => fields(out, GREY_UNLOCK, data, at),
        Kind::CreditForLoad | Kind::DebitForUnload => fields(out, CREDIT, data, at),
        Kind::DebitForPurchase => fields(out, DEBIT, data, at),
        Kind::GetTransactionProve => {
            if let Some(name) = Tti(command.p2()).name() {
                out.says(format_args!("of a {name}"))?;
            }
            fields(out, &[("transaction counter", 2, As::Number)], data, at)
        }
        Kind::UpdateCappDataCache => {
            out.says(format_args!("file {:02X}, record {:02X}", command.p2() >> 3, command.p1()))?;
            record(out, command.p2() >> 3, data, at)
        }
        _ => iso::secured(out, command, at, context, |out, data| out.unknown(at, "data", data)),
    }
}

pub(super) fn response(
    kind: Kind,
    out: &mut Out<'_>,
    command: Option<&Command<'_>>,
    data: &[u8],
) -> fmt::Result {
    let rows: &[Row] = match kind {
        Kind::InitializeForLoad | Kind::InitializeForUnload => INITIALIZED_FOR_LOAD,
        Kind::InitializeForPurchase => INITIALIZED_FOR_PURCHASE,
        Kind::CreditForLoad => &[("TAC", 4, As::Bytes)],
        Kind::InitializeForUpdate => INITIALIZED_FOR_UPDATE,
        Kind::UpdateOverdrawLimit | Kind::DebitForUnlock => &[("TAC", 4, As::Bytes)],
        Kind::DebitForUnload | Kind::GreyUnlock => &[("MAC3", 4, As::Bytes)],
        Kind::InitializeForGreyLock => INITIALIZED_FOR_PURCHASE,
        Kind::GreyLock => &[("GTAC", 4, As::Bytes), ("MAC2", 4, As::Bytes)],
        Kind::InitializeForGreyUnlock => INITIALIZED_FOR_GREY_UNLOCK,
        Kind::GetLockProof => LOCK_PROOF,
        Kind::GetAuthCode => &[("authentication code", 9, As::Bytes)],
        Kind::InitSamForGreyLock => &[
            ("terminal transaction number", 4, As::Number),
            ("terminal random number", 4, As::Bytes),
            ("MAC1", 4, As::Bytes),
        ],
        Kind::DebitForPurchase => &[("TAC", 4, As::Bytes), ("MAC2", 4, As::Bytes)],
        Kind::GetBalance if data.len() == 4 => &[("balance", 4, As::Fen)],
        Kind::GetTransactionProve => &[("MAC", 4, As::Bytes), ("TAC", 4, As::Bytes)],
        Kind::InitSam => &[("terminal transaction number", 4, As::Number), ("MAC1", 4, As::Bytes)],
        _ => return file(out, command, kind, data),
    };
    fields(out, rows, data, 0)
}

/// Whether P2 names the passbook or the purse.
const fn names_account(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::InitSam
            | Kind::CreditSam
            | Kind::InitSamForGreyLock
            | Kind::CertifyGreyLock
            | Kind::CalculateGmac
            | Kind::GetTransactionProve
            | Kind::UpdateCappDataCache
    )
}

/// What a file of a transit card holds.
pub(super) fn file(out: &mut Out<'_>, command: Option<&Command<'_>>, kind: Kind, data: &[u8]) -> fmt::Result {
    let Some(command) = command else { return out.unknown(0, "data", data) };
    match (kind, command.p1(), data.len()) {
        (Kind::ReadBinary, 0x95, public_info::PublicInfo::LEN) => transit(out, public_info::LAYOUT, data, 0),
        (Kind::ReadBinary, 0x96, holder::Holder::LEN) => transit(out, holder::LAYOUT, data, 0),
        (Kind::ReadBinary, 0x97, management::Management::LEN) => transit(out, management::LAYOUT, data, 0),
        (Kind::ReadRecord, ..) => record(out, command.p2() >> 3, data, 0),
        _ => out.field(0, "data", data, Meaning::None),
    }
}

/// A record, by its file and form.
fn record(out: &mut Out<'_>, sfi: u8, data: &[u8], at: usize) -> fmt::Result {
    match (sfi, data) {
        (0x18, _) if data.len() == log::LogRecord::LEN => transit(out, log::LAYOUT, data, at),
        (0x19, [etc::ID, ..]) if data.len() == etc::Toll::LEN => transit(out, etc::LAYOUT, data, at),
        (0x1A, [rail::ID, ..]) if data.len() == rail::Rail::LEN => transit(out, rail::LAYOUT, data, at),
        (0x1A, [bus::ID, ..]) if data.len() == bus::Bus::LEN => transit(out, bus::LAYOUT, data, at),
        (0x1E, _) if data.len() == process::Process::LEN => transit(out, process::LAYOUT, data, at),
        _ => out.unknown(at, "record", data),
    }
}
