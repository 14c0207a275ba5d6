//! Commands of ISO 7816-4 that every family uses.

use core::fmt;

use huiwan_apdu::{Class, Command, SecureMessaging};
use huiwan_tlv::Tag;

use super::context::{Context, is_tlv};
use super::kind::Kind;
use super::out::Out;
use super::{Family, Label, Meaning, family, purse, tree};

/// What the class byte says beyond the ordinary.
pub(super) fn class(out: &mut Out<'_>, command: &Command<'_>) -> fmt::Result {
    let class = match command.class() {
        Ok(class) => class,
        Err(error) => return out.malformed(0, format_args!("{error}")),
    };
    if class.channel() != 0 {
        out.says(format_args!("logical channel {}", class.channel()))?;
    }
    if class.chaining() {
        out.says(format_args!("command chain, more follows"))?;
    }
    match class.secure_messaging() {
        SecureMessaging::None => Ok(()),
        SecureMessaging::Proprietary => out.says(format_args!("secure messaging")),
        SecureMessaging::Iso => out.says(format_args!("ISO secure messaging")),
        SecureMessaging::IsoWithHeader => out.says(format_args!("ISO secure messaging, header protected")),
    }
}

pub(super) fn command(
    kind: Kind,
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
) -> fmt::Result {
    let (p1, p2, data) = (command.p1(), command.p2(), command.data());
    match kind {
        Kind::Select => {
            match p1 {
                0x04 if data.is_empty() => out.says(format_args!("the issuer security domain"))?,
                0x04 => out.field(at, "name", data, Meaning::name(data))?,
                _ => out.unknown(at, "file identifier or path", data)?,
            }
            if p2 & 0x03 == 0x02 { out.says(format_args!("next occurrence")) } else { Ok(()) }
        }
        Kind::ReadRecord => {
            record(out, p1, p2)?;
            out.unknown(at, "data", data)
        }
        Kind::ReadBinary | Kind::UpdateBinary | Kind::UpdateRecord => {
            match kind {
                Kind::UpdateRecord => record(out, p1, p2)?,
                _ => file(out, p1, p2)?,
            }
            secured(out, command, at, context, |out, data| out.unknown(at, "data", data))
        }
        Kind::GetData => {
            let tag = Tag::new(u32::from(command.p1p2()));
            match family::tag(tag, context.family) {
                Some(name) => out.says(format_args!("asks for {tag} {name}"))?,
                None => out.says(format_args!("asks for {tag}"))?,
            }
            guess(out, at, data, context.family)
        }
        Kind::Pin if !data.is_empty() => out.field(at, "PIN data", &[], Meaning::Secret),
        Kind::ManageChannel => match p1 {
            0x00 => out.says(format_args!("open a channel")),
            0x80 => out.says(format_args!("close channel {p2}")),
            _ => Ok(()),
        },
        _ => secured(out, command, at, context, |out, data| guess(out, at, data, context.family)),
    }
}

pub(super) fn response(
    kind: Kind,
    out: &mut Out<'_>,
    command: Option<&Command<'_>>,
    data: &[u8],
    context: &Context,
) -> fmt::Result {
    match kind {
        Kind::GetChallenge => out.field(0, "random number", data, Meaning::None),
        Kind::ManageChannel => out.field(0, "opened channel", data, Meaning::number(data)),
        Kind::ReadBinary | Kind::ReadRecord if context.family == Family::Purse => {
            purse::file(out, command, kind, data)
        }
        Kind::Select => {
            // The family of the new application is in its name.
            let name = command.filter(|command| command.ins() == 0xA4).map_or(&[0][..], Command::data);
            tree::tlv(out, data, 0, Family::of_selected(name, data))
        }
        _ => guess(out, 0, data, context.family),
    }
}

/// TLV if it looks like it, else bytes.
pub(super) fn guess(out: &mut Out<'_>, at: usize, data: &[u8], family: Family) -> fmt::Result {
    if is_tlv(data, family) { tree::tlv(out, data, at, family) } else { out.unknown(at, "data", data) }
}

/// Command data with a MAC behind them, if the class byte says so; encrypted data stay as they are.
pub(super) fn secured(
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
    plain: impl FnOnce(&mut Out<'_>, &[u8]) -> fmt::Result,
) -> fmt::Result {
    let data = command.data();
    let mac_len = context.command_mac_len(command, context.family);
    let Some((inside, mac)) = data.split_at_checked(data.len().wrapping_sub(mac_len)) else {
        return out.malformed(at.saturating_add(data.len()), format_args!("MAC truncated"));
    };
    match mac_len {
        0 => plain(out, inside),
        _ => {
            if context.is_encrypted() {
                out.unknown(at, "encrypted data", inside)?;
            } else {
                plain(out, inside)?;
            }
            out.field(at.saturating_add(inside.len()), "MAC", mac, Meaning::None)
        }
    }
}

/// P1 and P2 of READ and UPDATE RECORD.
fn record(out: &mut Out<'_>, p1: u8, p2: u8) -> fmt::Result {
    let sfi = p2 >> 3;
    match p2 & 0x07 {
        0x04 => out.says(format_args!("file {sfi}, record {p1}")),
        0x05 => out.says(format_args!("file {sfi}, records from {p1}")),
        0x00 => out.says(format_args!("file {sfi}, first record {p1:02X}")),
        mode => out.says(format_args!("file {sfi}, record {p1}, mode {mode}")),
    }
}

/// P1 and P2 of READ and UPDATE BINARY.
fn file(out: &mut Out<'_>, p1: u8, p2: u8) -> fmt::Result {
    match p1 {
        0x80..=0x9F => out.says(format_args!("file {:02X}, from byte {p2}", p1 & 0x1F)),
        _ => out.says(format_args!("from byte {}", u16::from_be_bytes([p1, p2]))),
    }
}

/// Whether more pieces of the same command follow.
pub(super) fn is_piece(command: &Command<'_>) -> bool {
    command.class().is_ok_and(Class::chaining)
}

/// One data grouping.
pub(super) fn grouping(out: &mut Out<'_>, at: usize, id: u16, value: &[u8], family: Family) -> fmt::Result {
    let header = if value.len() < 0xFF { 3usize } else { 5 };
    let is_template = is_tlv(value, family);
    out.item(at, Some(Label::Dgi(id)), Some("data grouping"), value, Meaning::None, is_template)?;
    match is_template {
        true => out.inside(|out| tree::tlv(out, value, at.saturating_add(header), family)),
        false => Ok(()),
    }
}
