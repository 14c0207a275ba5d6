//! BER-TLV as a tree, with what the values of known tags hold.

use core::fmt;

use huiwan_emv::dictionary::describe_bits;
use huiwan_purse::transit::public_info;
use huiwan_tlv::{
    Rules, Tag, Tlv, Tlvs,
    dol::{Dol, DolEntry},
};

use super::out::Out;
use super::{Family, Label, Meaning, family, layout};

/// The levels that are entered; deeper templates stay bytes.
const DEPTH: u8 = 8;

/// Objects that begin at byte `at`.
pub(super) fn tlv(out: &mut Out<'_>, raw: &[u8], at: usize, family: Family) -> fmt::Result {
    level(out, Tlvs::starting_at(raw, Rules::EMV, at), family, DEPTH)
}

fn level(out: &mut Out<'_>, objects: Tlvs<'_>, family: Family, depth: u8) -> fmt::Result {
    for object in objects {
        match object {
            Ok(object) => self::object(out, &object, family, depth)?,
            Err(error) => return out.malformed(error.at(), format_args!("{}", error.kind())),
        }
    }
    Ok(())
}

fn object(out: &mut Out<'_>, object: &Tlv<'_>, family: Family, depth: u8) -> fmt::Result {
    let (tag, value) = (object.tag(), object.value());
    let name = family::tag(tag, family);
    let is_template = tag.is_constructed() && depth > 0 && !value.is_empty();
    let meaning = if is_template { Meaning::None } else { Meaning::of_tag(tag, value) };
    out.item(object.at(), Some(Label::Tag(tag)), name, value, meaning, is_template)?;
    out.inside(|out| {
        if is_template {
            level(out, object.children(Rules::EMV), family, depth.saturating_sub(1))
        } else {
            contents(out, tag, value, object.value_at())
        }
    })
}

/// What a primitive value holds.
pub(super) fn contents(out: &mut Out<'_>, tag: Tag, value: &[u8], at: usize) -> fmt::Result {
    match tag.get() {
        0x9F38 | 0x8C | 0x8D | 0x97 | 0x9F49 | 0x9F4F => list(out, value, at),
        0x94 => file_locator(out, value, at),
        0x9F0C if value.len() == public_info::PublicInfo::LEN => {
            layout::transit(out, public_info::LAYOUT, value, at)
        }
        _ => {
            let mut result = Ok(());
            describe_bits(tag, value, &mut |text| {
                if result.is_ok() {
                    result = out.says(format_args!("{text}"));
                }
            });
            result
        }
    }
}

/// A data object list: what it asks for.
fn list(out: &mut Out<'_>, value: &[u8], at: usize) -> fmt::Result {
    match Dol::parse(value) {
        Ok(dol) => dol.iter().try_for_each(|DolEntry { tag, len }| {
            let bytes = if len == 1 { "byte" } else { "bytes" };
            match family::tag(tag, Family::Emv) {
                Some(name) => out.says(format_args!("{tag} {name}, {len} {bytes}")),
                None => out.says(format_args!("{tag}, {len} {bytes}")),
            }
        }),
        Err(error) => out.malformed(at.saturating_add(error.at()), format_args!("{}", error.kind())),
    }
}

/// A data object list filled: the values, by the tags of the list.
pub(super) fn filled(out: &mut Out<'_>, dol: &Dol<'_>, data: &[u8], at: usize) -> fmt::Result {
    let (mut rest, mut at) = (data, at);
    for entry in dol.iter() {
        let Some((value, after)) = rest.split_at_checked(usize::from(entry.len)) else { break };
        let name = family::tag(entry.tag, Family::Emv);
        let meaning = Meaning::of_tag(entry.tag, value);
        out.item(at, Some(Label::Tag(entry.tag)), name, value, meaning, false)?;
        out.inside(|out| contents(out, entry.tag, value, at))?;
        at = at.saturating_add(value.len());
        rest = after;
    }
    out.unknown(at, "more data than the list asks for", rest)
}

/// The application file locator: four bytes a file. [EMV-B3 10.2]
pub(super) fn file_locator(out: &mut Out<'_>, value: &[u8], at: usize) -> fmt::Result {
    let (entries, rest) = value.as_chunks::<4>();
    for [file, first, last, signed] in entries {
        let sfi = file >> 3;
        match (signed, last.saturating_sub(*first)) {
            (0, 0) => out.says(format_args!("file {sfi}, record {first}"))?,
            (0, _) => out.says(format_args!("file {sfi}, records {first} to {last}"))?,
            (1, 0) => out.says(format_args!("file {sfi}, record {first}, authenticated"))?,
            (_, _) => out.says(format_args!(
                "file {sfi}, records {first} to {last}, the first {signed} authenticated"
            ))?,
        }
    }
    match rest {
        [] => Ok(()),
        _ => out.malformed(at.saturating_add(value.len()), format_args!("file locator entry truncated")),
    }
}
