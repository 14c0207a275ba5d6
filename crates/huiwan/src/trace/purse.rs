//! The electronic purse, transit files and the PSAM. [JR/T 0025.1], [JT/T 978]

use core::fmt;

use huiwan_apdu::Command;
use huiwan_purse::transit::{bus, holder, log, management, process, public_info, rail};
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

pub(super) fn command(
    kind: Kind,
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
) -> fmt::Result {
    match command.p2() {
        headers::ED if !matches!(kind, Kind::InitSam | Kind::CreditSam | Kind::UpdateCappDataCache) => {
            out.says(format_args!("electronic passbook"))?;
        }
        headers::EP if !matches!(kind, Kind::InitSam | Kind::CreditSam | Kind::UpdateCappDataCache) => {
            out.says(format_args!("electronic purse"))?;
        }
        _ => {}
    }
    let data = command.data();
    match kind {
        Kind::InitializeForLoad | Kind::InitializeForPurchase | Kind::InitializeForUnload => {
            fields(out, INITIALIZE, data, at)
        }
        Kind::CreditForLoad => fields(out, CREDIT, data, at),
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
        Kind::DebitForPurchase => &[("TAC", 4, As::Bytes), ("MAC2", 4, As::Bytes)],
        Kind::GetBalance if data.len() == 4 => &[("balance", 4, As::Fen)],
        Kind::GetTransactionProve => &[("MAC", 4, As::Bytes), ("TAC", 4, As::Bytes)],
        Kind::InitSam => &[("terminal transaction number", 4, As::Number), ("MAC1", 4, As::Bytes)],
        _ => return file(out, command, kind, data),
    };
    fields(out, rows, data, 0)
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
        (0x1A, [rail::ID, ..]) if data.len() == rail::Rail::LEN => transit(out, rail::LAYOUT, data, at),
        (0x1A, [bus::ID, ..]) if data.len() == bus::Bus::LEN => transit(out, bus::LAYOUT, data, at),
        (0x1E, _) if data.len() == process::Process::LEN => transit(out, process::LAYOUT, data, at),
        _ => out.unknown(at, "record", data),
    }
}
