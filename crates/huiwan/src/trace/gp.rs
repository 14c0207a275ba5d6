//! GlobalPlatform security domains. [GPC 11]

use core::fmt;

use huiwan_apdu::Command;
use huiwan_tlv::dgi::Dgis;

use super::context::{Context, is_tlv};
use super::kind::Kind;
use super::layout::{As, Row, fields};
use super::out::Out;
use super::{Family, Meaning, iso, tree};

/// The answer of INITIALIZE UPDATE, behind it the sequence counter if the challenge is pseudo-random. [AmdD 7.1.1.6]
const INITIALIZED: &[Row] = &[
    ("key diversification data", 10, As::Bytes),
    ("key version", 1, As::Number),
    ("secure channel protocol", 1, As::Number),
    ("protocol options i", 1, As::Bytes),
    ("card challenge", 8, As::Bytes),
    ("card cryptogram", 8, As::Bytes),
];
/// The same with the key information of SCP02. [GPC E.5.1.6]
const INITIALIZED_SCP02: &[Row] = &[
    ("key diversification data", 10, As::Bytes),
    ("key version", 1, As::Number),
    ("secure channel protocol", 1, As::Number),
    ("sequence counter", 2, As::Number),
    ("card challenge", 6, As::Bytes),
    ("card cryptogram", 8, As::Bytes),
];

/// Bits of the security level, EXTERNAL AUTHENTICATE P1. [AmdD 7.1.2.2]
const LEVEL: &[(u8, &str)] = &[
    (0x01, "commands are authenticated (C-MAC)"),
    (0x02, "command data are encrypted (C-DECRYPTION)"),
    (0x10, "responses are authenticated (R-MAC)"),
    (0x20, "response data are encrypted (R-ENCRYPTION)"),
];

pub(super) fn command(
    kind: Kind,
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
) -> fmt::Result {
    let data = command.data();
    match kind {
        Kind::InitializeUpdate => {
            out.says(format_args!("key version {}", command.p1()))?;
            return out.field(at, "host challenge", data, Meaning::None);
        }
        Kind::GpExternalAuthenticate => {
            if command.p1() == 0 {
                out.says(format_args!("no protection of what follows"))?;
            }
            for (_, text) in LEVEL.iter().filter(|(bit, _)| command.p1() & bit != 0) {
                out.says(format_args!("{text}"))?;
            }
            return match data.split_last_chunk::<8>() {
                Some((cryptogram, mac)) => {
                    out.field(at, "host cryptogram", cryptogram, Meaning::None)?;
                    out.field(at.saturating_add(cryptogram.len()), "MAC", mac, Meaning::None)
                }
                None => out.malformed(at.saturating_add(data.len()), format_args!("MAC truncated")),
            };
        }
        Kind::StoreData => {
            out.says(format_args!(
                "block {}{}",
                command.p2(),
                if command.p1() & 0x80 != 0 { ", the last" } else { "" }
            ))?;
        }
        _ => {}
    }
    // The data of a security domain's own commands carry its MAC, whatever application is selected.
    let context = Context { family: Family::Gp, ..context.clone() };
    iso::secured(out, command, at, &context, |out, data| match kind {
        _ if iso::is_piece(command) => out.unknown(at, "piece", data),
        Kind::Install => install(out, command.p1(), data, at),
        Kind::SetStatus => out.unknown(at, "AID", data),
        Kind::PutKey => match data.split_first() {
            Some((version, keys)) => {
                out.field(at, "new key version", &[*version], Meaning::Number(u32::from(*version)))?;
                out.unknown(at.saturating_add(1), "encrypted keys and check values", keys)
            }
            None => Ok(()),
        },
        Kind::StoreData => store(out, command.p1(), data, at),
        _ => iso::guess(out, at, data, Family::Gp),
    })
}

pub(super) fn response(kind: Kind, out: &mut Out<'_>, data: &[u8], context: &Context) -> fmt::Result {
    match (kind, data) {
        (Kind::InitializeUpdate, [..]) if data.get(11) == Some(&2) => fields(out, INITIALIZED_SCP02, data, 0),
        (Kind::InitializeUpdate, _) => match data.split_at_checked(29) {
            Some((fixed, counter)) => {
                fields(out, INITIALIZED, fixed, 0)?;
                match counter {
                    [] => Ok(()),
                    _ => out.field(29, "sequence counter", counter, Meaning::number(counter)),
                }
            }
            None => fields(out, INITIALIZED, data, 0),
        },
        _ => {
            let mac_len = if context.level & 0x10 != 0 { 8 } else { 0usize };
            let Some((inside, mac)) = data.split_at_checked(data.len().saturating_sub(mac_len)) else {
                return Ok(());
            };
            if context.level & 0x20 != 0 {
                out.unknown(0, "encrypted data", inside)?;
            } else {
                // The confirmation of INSTALL, DELETE and STORE DATA is one zero byte.
                match inside {
                    [0x00] => out.field(0, "confirmation", inside, Meaning::Known("none"))?,
                    _ => iso::guess(out, 0, inside, Family::Gp)?,
                }
            }
            out.unknown(inside.len(), "response MAC", mac)
        }
    }
}

/// INSTALL: fields with a length byte each. [GPC 11.5.2.3]
fn install(out: &mut Out<'_>, p1: u8, data: &[u8], at: usize) -> fmt::Result {
    let names: &[&'static str] = match p1 & 0x7F {
        0x02 => &["load file AID", "security domain AID", "load file hash", "load parameters", "token"],
        0x20 => &["-", "-", "application AID", "-", "-", "-"],
        _ => &["load file AID", "module AID", "application AID", "privileges", "install parameters", "token"],
    };
    let (mut rest, mut at) = (data, at);
    for name in names {
        let Some((len, after)) = rest.split_first() else {
            return out.malformed(at, format_args!("install field truncated"));
        };
        let Some((value, after)) = after.split_at_checked(usize::from(*len)) else {
            return out.malformed(at, format_args!("install field truncated"));
        };
        at = at.saturating_add(1);
        if *name == "install parameters" && is_tlv(value, Family::Gp) {
            out.item(at, None, Some(name), value, Meaning::None, true)?;
            out.inside(|out| tree::tlv(out, value, at, Family::Gp))?;
        } else if !value.is_empty() {
            let meaning = if name.ends_with("AID") { Meaning::name(value) } else { Meaning::None };
            out.field(at, name, value, meaning)?;
        }
        at = at.saturating_add(value.len());
        rest = after;
    }
    out.unknown(at, "more data than expected", rest)
}

/// STORE DATA: b5b4 of P1 tell the structure, b7 whether values are encrypted. [GPC 11.11.2.1]
fn store(out: &mut Out<'_>, p1: u8, data: &[u8], at: usize) -> fmt::Result {
    let whole = || Dgis::new(data).all(|group| group.is_ok());
    match p1 & 0x18 {
        0x08 | 0x00 if whole() && !data.is_empty() => {
            for group in Dgis::new(data).map_while(Result::ok) {
                let at = at.saturating_add(group.at);
                match p1 & 0x60 {
                    0x00 => iso::grouping(out, at, group.id, group.value, Family::Emv)?,
                    _ => {
                        let label = Some(super::Label::Dgi(group.id));
                        out.item(
                            at,
                            label,
                            Some("encrypted data grouping"),
                            group.value,
                            Meaning::None,
                            false,
                        )?;
                    }
                }
            }
            Ok(())
        }
        0x10 => tree::tlv(out, data, at, Family::Gp),
        _ => iso::guess(out, at, data, Family::Gp),
    }
}
