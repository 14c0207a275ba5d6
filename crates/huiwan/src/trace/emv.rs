//! EMV and PBOC payment. [EMV-B3 6.5], [JR/T 0025.5]

use core::fmt;

use huiwan_apdu::Command;
use huiwan_tlv::{Rules, Tag, find};

use super::context::Context;
use super::kind::Kind;
use super::out::Out;
use super::{Family, Label, Meaning, family, iso, tree};

const COMMAND_TEMPLATE: Tag = Tag::new(0x83);
const FORMAT_1: Tag = Tag::new(0x80);

pub(super) fn command(
    kind: Kind,
    out: &mut Out<'_>,
    command: &Command<'_>,
    at: usize,
    context: &Context,
) -> fmt::Result {
    let data = command.data();
    match kind {
        Kind::GetProcessingOptions => match find(data, Rules::EMV, COMMAND_TEMPLATE) {
            Ok(Some(template)) => match context.pdol.fitting(template.value()) {
                Some(pdol) => {
                    tree::filled(out, &pdol, template.value(), at.saturating_add(template.value_at()))
                }
                None if template.value().is_empty() => out.says(format_args!("the card asked for no data")),
                None => out.unknown(at.saturating_add(template.value_at()), "PDOL data", template.value()),
            },
            _ => out.unknown(at, "data", data),
        },
        Kind::GenerateAc => {
            if command.p1() & 0x10 != 0 {
                out.says(format_args!("with a combined signature"))?;
            }
            let (expected, other) = match context.cryptograms {
                0 => (&context.cdol1, &context.cdol2),
                _ => (&context.cdol2, &context.cdol1),
            };
            match expected.fitting(data).or_else(|| other.fitting(data)) {
                Some(cdol) => tree::filled(out, &cdol, data, at),
                None => out.unknown(at, "CDOL data", data),
            }
        }
        Kind::InternalAuthenticate => match context.ddol.fitting(data) {
            Some(ddol) => tree::filled(out, &ddol, data, at),
            None => out.unknown(at, "authentication data", data),
        },
        // Issuer authentication: ARPC, then the response code or the card status update. [EMV-B3 6.5.4]
        Kind::ExternalAuthenticate if matches!(context.family, Family::Emv | Family::Iso) => {
            match data.split_at_checked(8) {
                Some((arpc, code)) => {
                    out.field(at, "issuer cryptogram (ARPC)", arpc, Meaning::None)?;
                    let meaning =
                        if code.is_ascii() && code.len() == 2 { Meaning::Text(code) } else { Meaning::None };
                    out.field(at.saturating_add(8), "response code", code, meaning)
                }
                None => out.unknown(at, "issuer authentication data", data),
            }
        }
        _ => out.unknown(at, "authentication data", data),
    }
}

pub(super) fn response(kind: Kind, out: &mut Out<'_>, data: &[u8], context: &Context) -> fmt::Result {
    // Format 1: values without tags inside 80; format 2: objects inside 77. [EMV-B3 6.5.5.4, 6.5.8.4]
    let format_1 = find(data, Rules::EMV, FORMAT_1).ok().flatten();
    let Some(template) = format_1 else { return iso::guess(out, 0, data, Family::Emv) };
    let value = template.value();
    out.item(
        template.at(),
        Some(Label::Tag(FORMAT_1)),
        Some("Response Message Template Format 1"),
        value,
        Meaning::None,
        true,
    )?;
    let mut rest = value;
    let mut at = template.value_at();
    let rows: &[(u32, Option<usize>)] = match kind {
        Kind::GetProcessingOptions => &[(0x82, Some(2)), (0x94, None)],
        Kind::GenerateAc => &[(0x9F27, Some(1)), (0x9F36, Some(2)), (0x9F26, Some(8)), (0x9F10, None)],
        _ => &[(0x9F4B, None)],
    };
    let _ = context;
    out.inside(|out| {
        for (number, len) in rows {
            let tag = Tag::new(*number);
            let Some((value, after)) = rest.split_at_checked(len.unwrap_or(rest.len())) else {
                out.unknown(at, "data", rest)?;
                return out.malformed(at.saturating_add(rest.len()), format_args!("{tag} truncated"));
            };
            if value.is_empty() {
                break;
            }
            let name = family::tag(tag, Family::Emv);
            out.item(at, Some(Label::Tag(tag)), name, value, Meaning::of_tag(tag, value), false)?;
            out.inside(|out| tree::contents(out, tag, value, at))?;
            at = at.saturating_add(value.len());
            rest = after;
        }
        Ok(())
    })
}
