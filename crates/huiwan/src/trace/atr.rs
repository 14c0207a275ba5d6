//! The answer to reset, byte by byte.

use core::fmt;

use huiwan_apdu::atr::{Atr, Convention, Historical, Interface};

use super::Meaning;
use super::out::Out;

pub(super) fn visit(raw: &[u8], out: &mut Out<'_>) -> fmt::Result {
    let atr = match Atr::parse(raw) {
        Ok(atr) => atr,
        Err(error) => return out.malformed(error.at(), format_args!("answer to reset: {}", error.kind())),
    };
    out.says(match atr.convention() {
        Convention::Direct => format_args!("answer to reset, direct convention"),
        Convention::Inverse => format_args!("answer to reset, inverse convention"),
    })?;
    out.inside(|out| parts(&atr, out))
}

fn parts(atr: &Atr<'_>, out: &mut Out<'_>) -> fmt::Result {
    group(out, "for all protocols", 1, atr.first())?;
    if let Some((fi, di)) = atr.fi_di() {
        out.says(format_args!("clock rate conversion {fi}, baud rate adjustment {di}"))?;
    }
    if atr.protocols().next().is_none() {
        out.says(format_args!("protocol T=0"))?;
    }
    for (index, (t, interface)) in (2u8..).zip(atr.protocols()) {
        match t {
            15 => out.says(format_args!("global interface bytes"))?,
            _ => out.says(format_args!("protocol T={t}"))?,
        }
        out.inside(|out| group(out, "of it", index, interface))?;
    }
    if let Some(t1) = atr.t1() {
        let check = if t1.crc { "CRC" } else { "LRC" };
        out.says(format_args!(
            "T=1: card takes {} bytes a block, BWI {}, CWI {}, {check}",
            t1.ifsc, t1.bwi, t1.cwi
        ))?;
    }
    let at = atr.historical_at();
    out.unknown(at, "historical bytes", atr.historical())?;
    out.inside(|out| historical(atr, out))?;
    match atr.tck() {
        Some(tck) => {
            let at = atr.raw().len().saturating_sub(1);
            out.field(at, "check byte TCK", &[tck], Meaning::Known("right"))
        }
        None => Ok(()),
    }
}

fn group(out: &mut Out<'_>, whose: &str, index: u8, interface: Interface) -> fmt::Result {
    for (name, byte) in [("TA", interface.ta), ("TB", interface.tb), ("TC", interface.tc)] {
        if let Some(byte) = byte {
            out.says(format_args!("{name}{index} {byte:02X}, {whose}"))?;
        }
    }
    Ok(())
}

fn historical(atr: &Atr<'_>, out: &mut Out<'_>) -> fmt::Result {
    match atr.historical_objects() {
        Ok(Historical::Compact { objects, status }) => {
            for object in objects.map_while(Result::ok) {
                let name = match object.number {
                    1 => "country code",
                    2 => "issuer identification number",
                    3 => "card service data",
                    4 => "initial access data",
                    5 => "card issuer's data",
                    6 => "pre-issuing data",
                    7 => "card capabilities",
                    8 => "status indicator",
                    15 => "application identifier",
                    _ => "object",
                };
                out.field(object.at, name, object.value, Meaning::None)?;
            }
            match status {
                Some(status) => out.says(format_args!(
                    "card status: life cycle {:02X}, {}",
                    status.life_cycle.unwrap_or(0),
                    status.sw.and_then(huiwan_apdu::Sw::name).unwrap_or("no status word")
                )),
                None => Ok(()),
            }
        }
        Ok(Historical::DirReference(reference)) => {
            out.says(format_args!("directory file reference {reference:02X}"))
        }
        Ok(Historical::PcscStorage { standard, name }) => out.says(format_args!(
            "PC/SC contactless storage card, standard {standard:02X}, card name {name:04X}"
        )),
        Ok(Historical::Proprietary { category, data }) if category.is_ascii_graphic() && data.is_ascii() => {
            out.field(
                atr.historical_at(),
                "in the maker's format",
                atr.historical(),
                Meaning::Text(atr.historical()),
            )
        }
        Ok(_) => Ok(()),
        Err(error) => out.malformed(error.at(), format_args!("{}", error.kind())),
    }
}
