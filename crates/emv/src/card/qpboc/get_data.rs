//! GET DATA: counters and limits, for terminals and for the wearer's screen. `[EMV-B3 6.5.7]`

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_tlv::Tag;

use super::decision::{State, available};
use super::objects;

/// The instruction byte; the class is 80.
pub const INS: u8 = 0xCA;

/// What may be read. 9F51 (currency), 9F52, 9F55–9F57 and 9F76 may not.
const READABLE: [u16; 18] = [
    0x9F13, 0x9F17, 0x9F36, 0x9F4F, 0x9F50, 0x9F53, 0x9F54, 0x9F58, 0x9F59, 0x9F5C, 0x9F68, 0x9F6B, 0x9F6D,
    0x9F72, 0x9F75, 0x9F77, 0x9F78, 0x9F79,
];

/// The object as a TLV; 6A88 when it is not readable or not there.
pub(super) fn process(
    cx: &mut Context<'_>,
    command: &Command<'_>,
    reply: &mut ResponseWriter<'_>,
) -> Result<Sw, Sw> {
    if !command.data().is_empty() {
        return Err(Sw::WRONG_LENGTH);
    }
    let id = command.p1p2();
    let mut buffer = [0; 64];
    let value = if id == objects::AVAILABLE {
        let amount = available(&State::load(cx)?).to_bcd();
        buffer.first_chunk_mut().map(|place| {
            *place = amount;
            &place[..]
        })
    } else if READABLE.contains(&id) && cx.exists(id)? {
        Some(cx.read(id, &mut buffer)?)
    } else {
        None
    };
    let value = value.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    reply.tlv(|w| w.put(Tag::new(u32::from(id)), value))?;
    Ok(Sw::OK)
}
