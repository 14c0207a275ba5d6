//! STORE DATA: data groupings for an application being personalised, or objects of the domain itself. [GPC 11.11, CPS 4.3.5]
//!
//! A block holds several data groupings or a piece of one. Pieces are kept in memory as they came (still encrypted under the DEK if
//! they are) until the grouping is complete; then it is decrypted and forwarded, one call of the application per grouping. After
//! each call the block is looked at anew from where it stopped: nothing but that place is remembered.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Forward, InstanceId, ObjectId};
use huiwan_crypto::{BlockKey, padding};
use huiwan_tlv::{Rules, Tag, parse};

use super::keys::KeySet;
use super::manager::{CardManager, Done, Exchange};
use super::objects;
use crate::get_data::{TAG_5F50_MANAGER_URL, TAG_42_IIN, TAG_45_CIN};
use crate::store_data::{Control, DGI_MAX, DgiPadding, Encryption, Structure};

/// Bytes of a grouping's value on the wire at most: one more block when it is encrypted.
const VALUE_MAX: usize = DGI_MAX + 16;
/// The grouping that wraps BER-TLV objects of the domain. [GPC 11.11.3]
const DGI_BER_TLV: u16 = 0x0070;
/// Bytes of an object of the domain at most.
const OBJECT_MAX: usize = 64;

impl CardManager<'_> {
    pub(super) fn store_data(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let in_order = command.p2() == x.progress.block;
        let Some(control) = Control::from_byte(command.p1()).filter(|_| in_order) else {
            x.progress.end_personalisation();
            return Err(Sw::WRONG_P1P2);
        };
        x.progress.at = 0;
        self.sequence(x, command, control)
    }

    /// The application took a grouping, or refused it.
    pub(super) fn personalised(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        if !result.is_ok() {
            x.progress.end_personalisation();
            return Err(result);
        }
        let control = Control::from_byte(command.p1()).ok_or(Sw::WRONG_P1P2)?;
        self.sequence(x, command, control)
    }

    /// Goes on with the block; any error ends the whole sequence.
    fn sequence(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        control: Control,
    ) -> Result<Done, Sw> {
        let result = match (x.progress.target, control.structure) {
            (0, Structure::Unstated | Structure::BerTlv) => match control.encryption {
                Encryption::None => store_objects(x, command.data()).map(|()| None),
                _ => Err(Sw::WRONG_P1P2),
            },
            (_, Structure::BerTlv) => Err(Sw::WRONG_P1P2),
            _ => self.groupings(x, command.data(), control),
        };
        match result {
            Ok(Some(forward)) => Ok(Done::Forward(forward)),
            Ok(None) if control.last => {
                x.progress.end_personalisation();
                Ok(Done::OK)
            }
            Ok(None) => {
                x.progress.block = x.progress.block.wrapping_add(1);
                x.progress.at = 0;
                Ok(Done::OK)
            }
            Err(sw) => {
                x.progress.end_personalisation();
                Err(sw)
            }
        }
    }

    /// Finds the next complete grouping in the pieces so far and this block, from where it stopped.
    fn groupings(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        block: &[u8],
        control: Control,
    ) -> Result<Option<Forward>, Sw> {
        loop {
            let pieces = usize::from(x.progress.piece_len);
            let total = gather(x, block)?;
            let at = usize::from(x.progress.at);
            let stream = x.cx.scratch.get(at..total).ok_or(Sw::UNKNOWN)?;
            let Some((id, header, len)) = complete(stream)? else {
                return match (stream.len(), control.last) {
                    (0, _) => keep(x, &[], true).map(|()| None),
                    (_, true) => Err(Sw::WRONG_DATA),
                    // What is left lies in this block alone once a grouping was taken out of the stream.
                    (_, false) if at == 0 => keep(x, block, false).map(|()| None),
                    (_, false) => {
                        let rest = block.get(at.saturating_sub(pieces)..).ok_or(Sw::UNKNOWN)?;
                        keep(x, rest, true).map(|()| None)
                    }
                };
            };
            let from = at.saturating_add(header);
            let end = from.saturating_add(len);
            x.progress.at = u16::try_from(end).map_err(|_| Sw::UNKNOWN)?;
            x.cx.scratch.copy_within(from..end, 0);
            let len = if control.encryption == Encryption::All { self.decrypt(x, len)? } else { len };
            if len > DGI_MAX {
                return Err(Sw::WRONG_DATA);
            }
            if x.progress.target != 0 {
                let to = InstanceId(x.progress.target);
                return Ok(Some(Forward::Personalise { to, dgi: id, len }));
            }
            if id != DGI_BER_TLV {
                return Err(Sw::REFERENCED_DATA_NOT_FOUND);
            }
            let mut objects = [0; DGI_MAX];
            let objects = objects.get_mut(..len).ok_or(Sw::WRONG_DATA)?;
            objects.copy_from_slice(x.cx.scratch.get(..len).ok_or(Sw::UNKNOWN)?);
            store_objects(x, objects)?;
        }
    }

    /// Decrypts the value at the beginning of scratch under the DEK; returns the plain length.
    fn decrypt(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, len: usize) -> Result<usize, Sw> {
        let keys = KeySet::read(x.cx.memory, x.session.key_version())?
            .and_then(|set| set.scp03())
            .ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let value = x.cx.scratch.get_mut(..len).ok_or(Sw::UNKNOWN)?;
        if value.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        keys.dek().decrypt_cbc(&[0; 16], value).map_err(|_| Sw::WRONG_DATA)?;
        match self.profile.dgi_padding {
            DgiPadding::WhenNeeded => Ok(len),
            DgiPadding::Always => Ok(padding::unpad_method2(value).map_err(|_| Sw::WRONG_DATA)?.len()),
        }
    }
}

/// Puts the pieces and the block together at the beginning of scratch; returns the length.
fn gather(x: &mut Exchange<'_, '_, '_, '_, '_>, block: &[u8]) -> Result<usize, Sw> {
    let mut at = 0_usize;
    for n in 0..x.progress.pieces {
        let place = x.cx.scratch.get_mut(at..).ok_or(Sw::UNKNOWN)?;
        at = at.saturating_add(x.cx.memory.read(objects::piece(n), 0, place)?.len());
    }
    if at != usize::from(x.progress.piece_len) {
        return Err(Sw::MEMORY_FAILURE);
    }
    let end = at.saturating_add(block.len());
    x.cx.scratch.get_mut(at..end).ok_or(Sw::NOT_ENOUGH_MEMORY)?.copy_from_slice(block);
    Ok(end)
}

/// Identifier, header length and value length of the grouping at the beginning of the stream, if all of it is there.
fn complete(stream: &[u8]) -> Result<Option<(u16, usize, usize)>, Sw> {
    let (id, header, len) = match *stream {
        [a, b, 0xFF, high, low, ..] => {
            (u16::from_be_bytes([a, b]), 5_usize, usize::from(u16::from_be_bytes([high, low])))
        }
        [_, _, 0xFF, ..] => return Ok(None),
        [a, b, len, ..] => (u16::from_be_bytes([a, b]), 3, usize::from(len)),
        _ => return Ok(None),
    };
    if len > VALUE_MAX {
        return Err(Sw::WRONG_DATA);
    }
    Ok((stream.len() >= header.saturating_add(len)).then_some((id, header, len)))
}

/// Keeps a piece of an incomplete grouping, as the first one or behind those that are there. Nothing left: the pieces go.
fn keep(x: &mut Exchange<'_, '_, '_, '_, '_>, piece: &[u8], first: bool) -> Result<(), Sw> {
    let held = x.progress.pieces;
    let (n, before) = if first { (0, 0) } else { (held, x.progress.piece_len) };
    let mut buffer = [0; 255 + 64];
    let mut batch = Batch::new(&mut buffer);
    if !piece.is_empty() {
        batch.put(objects::piece(n), piece);
    }
    if first {
        let kept = u8::from(!piece.is_empty());
        // A grouping has at most a header and VALUE_MAX bytes, but a host may send it in pieces of one byte.
        for stale in kept..held {
            batch.delete(objects::piece(stale));
            if batch.overflowed() {
                return Err(Sw::NOT_ENOUGH_MEMORY);
            }
        }
    }
    if !batch.is_empty() {
        x.cx.commit(&batch)?;
    }
    let added = u16::try_from(piece.len()).map_err(|_| Sw::WRONG_LENGTH)?;
    x.progress.piece_len = before.checked_add(added).ok_or(Sw::WRONG_DATA)?;
    x.progress.pieces = if piece.is_empty() { n } else { n.checked_add(1).ok_or(Sw::NOT_ENOUGH_MEMORY)? };
    Ok(())
}

/// Objects of the domain itself: all of one command, or none.
fn store_objects(x: &mut Exchange<'_, '_, '_, '_, '_>, data: &[u8]) -> Result<(), Sw> {
    let mut buffer = [0; 320];
    let mut batch = Batch::new(&mut buffer);
    for object in parse(data, Rules::ISO) {
        let object = object.map_err(|_| Sw::WRONG_DATA)?;
        let place = place(object.tag()).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        match object.value() {
            [] => batch.delete(place),
            value if value.len() <= OBJECT_MAX => batch.put(place, value),
            _ => return Err(Sw::WRONG_DATA),
        }
    }
    if batch.is_empty() {
        return Err(Sw::WRONG_DATA);
    }
    x.cx.commit(&batch)
}

fn place(tag: Tag) -> Option<ObjectId> {
    match tag {
        TAG_42_IIN => Some(objects::IIN),
        TAG_45_CIN => Some(objects::CIN),
        TAG_5F50_MANAGER_URL => Some(objects::MANAGER_URL),
        _ => None,
    }
}
