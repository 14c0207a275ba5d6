//! STORE DATA: data groupings for an application being personalised, or objects of the domain itself. [GPC 11.11, CPS 4.3.5]
//!
//! A block holds several data groupings or a piece of one. Pieces are kept in memory as they came (still encrypted under the DEK if
//! they are) until the grouping is complete; then it is decrypted and forwarded, one call of the application per grouping. After
//! each call the block is looked at anew from where it stopped: nothing but that place is remembered.
//!
//! How long a grouping may be depends on scratch: it has to hold the grouping and the work space of the application.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Batch, Forward, InstanceId, MIN_SCRATCH, ObjectId};
use huiwan_crypto::padding;
use huiwan_tlv::{Rules, Tag, TlvError, parse};

use super::keys::Key;
use super::manager::{CardManager, Done, Exchange};
use super::{certificates, objects, put_key, registry, store_keys};
use crate::get_data::{
    TAG_5F50_MANAGER_URL, TAG_42_IIN, TAG_45_CIN, TAG_A6_KEY_REFERENCE, TAG_BF21_CERTIFICATES,
};
use crate::get_status::TAG_4F_AID;
use crate::recognition::{self, TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA};
use crate::store_data::{Control, Encryption, Structure};

/// The grouping that wraps BER-TLV objects of the domain. [GPC 11.11.3]
const DGI_BER_TLV: u16 = 0x0070;
/// Bytes of an object of the domain at most.
pub(super) const OBJECT_MAX: usize = 64;

impl CardManager<'_> {
    pub(super) fn store_data(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let in_order = command.p2() == x.progress.block;
        // Block numbers do not start again: FF is the last.
        let ends = |control: &Control| control.last || command.p2() != 0xFF;
        let Some(control) = Control::from_byte(command.p1()).filter(ends).filter(|_| in_order) else {
            x.progress.end_personalisation();
            return Err(Sw::WRONG_P1P2);
        };
        if x.progress.block == 0 && x.progress.pieces == 0 {
            // Keys of a former sequence that did not end are not completed by this one.
            let to = InstanceId(x.progress.target);
            if to.0 == 0 {
                store_keys::end(x.cx.memory, x.domain.instance)?;
            } else if is_domain(x, to)? {
                store_keys::end(x.cx.memory, to)?;
            }
        }
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
                Encryption::None => self.objects(x, command.data(), control.last).map(|()| None),
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
            let mut place = core::mem::take(&mut x.cx.scratch);
            let gathered = x.gather(block, place);
            x.cx.scratch = core::mem::take(&mut place);
            let total = gathered?;
            let at = usize::from(x.progress.at);
            let most = x.cx.scratch.len().saturating_sub(MIN_SCRATCH);
            let stream = x.cx.scratch.get(at..total).ok_or(Sw::UNKNOWN)?;
            let Some((id, header, len)) = complete(stream, most)? else {
                return match (stream.len(), control.last) {
                    (0, _) => x.keep(&[], true).map(|()| None),
                    (_, true) => Err(Sw::WRONG_DATA),
                    // What is left lies in this block alone once a grouping was taken out of the stream.
                    (_, false) if at == 0 => x.keep(block, false).map(|()| None),
                    (_, false) => {
                        let rest = block.get(at.saturating_sub(pieces)..).ok_or(Sw::UNKNOWN)?;
                        x.keep(rest, true).map(|()| None)
                    }
                };
            };
            let from = at.saturating_add(header);
            let end = from.saturating_add(len);
            x.progress.at = u16::try_from(end).map_err(|_| Sw::UNKNOWN)?;
            x.cx.scratch.copy_within(from..end, 0);
            let to = InstanceId(x.progress.target);
            // The keys of a domain come encrypted under this session's key, which only this domain has.
            let key = store_keys::is_secret(id) && (to.0 == 0 || is_domain(x, to)?);
            let encrypted = control.encryption == Encryption::All && !key;
            let len = if encrypted { self.decrypt(x, id, len)? } else { len };
            if key {
                self.decrypt_key(x, len)?;
            }
            if to.0 != 0 {
                return Ok(Some(Forward::Personalise { to, dgi: id, len }));
            }
            let scratch = core::mem::take(&mut x.cx.scratch);
            let taken = match scratch.get(..len) {
                Some(value) => self.take(x, id, value),
                None => Err(Sw::UNKNOWN),
            };
            x.cx.scratch = scratch;
            taken?;
        }
    }

    /// A grouping for the domain itself, plain.
    pub(super) fn take(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, id: u16, value: &[u8]) -> Result<(), Sw> {
        match id {
            DGI_BER_TLV => self.store_objects(x, value),
            store_keys::DGI_KEYS => store_keys::begin(x.cx.memory, x.domain.instance, value),
            _ => match store_keys::add(x.cx.memory, x.domain.instance, id, value)? {
                Some((version, set)) => {
                    let domain = x.domain.instance;
                    let of_use = |key: &Key<'_>| match key.ecc().or(key.ecc_private()) {
                        Some(value) => self.takes(domain, (version, key.id), key.key_type, value),
                        None => true,
                    };
                    if !set.keys().all(|key| of_use(&key)) {
                        store_keys::end(x.cx.memory, domain)?;
                        return Err(Sw::WRONG_DATA);
                    }
                    put_key::keep(x, 0, version, set)?;
                    store_keys::end(x.cx.memory, domain)
                }
                None => Ok(()),
            },
        }
    }

    /// Decrypts a key at the beginning of scratch, whole blocks and no padding.
    fn decrypt_key(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, len: usize) -> Result<(), Sw> {
        let scratch = core::mem::take(&mut x.cx.scratch);
        let decrypted = match scratch.get_mut(..len) {
            Some(key) => x.decrypt_sensitive(key),
            None => Err(Sw::UNKNOWN),
        };
        x.cx.scratch = scratch;
        decrypted
    }

    /// A block of objects of the domain itself: what is complete is stored, an object that goes on in the next block waits for it.
    fn objects(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, block: &[u8], last: bool) -> Result<(), Sw> {
        if x.progress.pieces == 0 && !goes_on(block) {
            return self.store_objects(x, block);
        }
        let room = core::mem::take(&mut x.cx.scratch);
        let result = x.gather(block, room).and_then(|len| {
            let stream = room.get(..len).ok_or(Sw::UNKNOWN)?;
            if !goes_on(stream) {
                self.store_objects(x, stream)?;
                // What stays behind is overwritten by the next pieces, or swept at power-on.
                let _ = x.keep(&[], true);
                (x.progress.pieces, x.progress.piece_len) = (0, 0);
                return Ok(());
            }
            if last {
                return Err(Sw::WRONG_DATA);
            }
            // A piece is no longer than a short command.
            block.chunks(240).try_for_each(|piece| x.keep(piece, x.progress.pieces == 0))
        });
        x.cx.scratch = room;
        result
    }

    /// Objects of the domain itself: all of one command, or none.
    fn store_objects(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, data: &[u8]) -> Result<(), Sw> {
        let domain = x.domain.instance;
        let mut buffer = [0; 480];
        let mut batch = Batch::new(&mut buffer);
        let (mut key, mut counter, mut done) = (None, None, false);
        let mut store = certificates::Store::new(x.cx.memory, domain, x.reply.capacity())?;
        for object in parse(data, Rules::ISO) {
            let object = object.map_err(|_| Sw::WRONG_DATA)?;
            match (object.tag(), object.value()) {
                (TAG_4F_AID, aid) => self.rename(x, aid, &mut batch)?,
                // Of the card recognition data what the issuer says; the rest is the card's own. [GPC H.2]
                (TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA, []) => batch.delete(objects::recognition(domain)),
                (TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA, value) => {
                    let part = recognition::issuer_part(value).map_err(|_| Sw::WRONG_DATA)?;
                    let part = part.filter(|part| part.len() <= OBJECT_MAX).ok_or(Sw::WRONG_DATA)?;
                    batch.put(objects::recognition(domain), part);
                }
                (TAG_A6_KEY_REFERENCE, value) => {
                    let named = certificates::reference(value)?;
                    match certificates::authority(value)? {
                        Some((kind, identifier)) => {
                            store.put(x.cx.memory, (kind, named), identifier, &mut batch)?;
                        }
                        None => key = Some(named),
                    }
                }
                (TAG_BF21_CERTIFICATES, value) => {
                    let key = key.take().ok_or(Sw::WRONG_DATA)?;
                    store.put(x.cx.memory, (certificates::Kind::Certificates, key), value, &mut batch)?;
                }
                (certificates::TAG_92_COUNTER, &[high, low]) if key.is_some() => {
                    counter = Some(u16::from_be_bytes([high, low]));
                }
                (certificates::TAG_70_SERIALS, list) => {
                    let key = key.take().ok_or(Sw::WRONG_DATA)?;
                    let counter = counter.take();
                    done |=
                        certificates::put_serials(&mut store, x.cx.memory, key, counter, list, &mut batch)?;
                }
                (tag, value) => {
                    let place = place(tag, domain).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                    match value {
                        [] => batch.delete(place),
                        value if value.len() <= OBJECT_MAX => batch.put(place, value),
                        _ => return Err(Sw::WRONG_DATA),
                    }
                }
            }
        }
        if batch.is_empty() {
            return if done { Ok(()) } else { Err(Sw::WRONG_DATA) };
        }
        x.cx.commit(&batch)
    }

    /// The domain gets another AID, from its next selection on. [GPC 11.11.3.2]
    fn rename(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        aid: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let aid = Aid::new(aid).map_err(|_| Sw::WRONG_DATA)?;
        if aid == x.domain.aid {
            return Err(Sw::WRONG_DATA);
        }
        if self.is_taken(x.cx.memory, &aid)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        match &mut x.domain.supplementary {
            None => batch.put(objects::ISSUER_AID, aid.as_bytes()),
            Some((record, _)) => {
                record.aid = aid;
                record.put(batch);
            }
        }
        Ok(())
    }

    /// Decrypts the value at the beginning of scratch under the DEK; returns the length without the padding that can be told.
    fn decrypt(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, id: u16, len: usize) -> Result<usize, Sw> {
        if len == 0 {
            return Err(Sw::WRONG_DATA);
        }
        self.decrypt_key(x, len)?;
        let value = x.cx.scratch.get_mut(..len).ok_or(Sw::UNKNOWN)?;
        if !self.profile.dgi_padding.always(id) {
            return Ok(len);
        }
        Ok(padding::unpad_method2(value).map_err(|_| Sw::WRONG_DATA)?.len())
    }
}

/// Identifier, header length and value length of the grouping at the beginning of the stream, if all of it is there; 6A84 once it is
/// clear that the whole stream will never fit.
fn complete(stream: &[u8], most: usize) -> Result<Option<(u16, usize, usize)>, Sw> {
    let (id, header, len) = match *stream {
        [a, b, 0xFF, high, low, ..] => {
            (u16::from_be_bytes([a, b]), 5_usize, usize::from(u16::from_be_bytes([high, low])))
        }
        [_, _, 0xFF, ..] => return Ok(None),
        [a, b, len, ..] => (u16::from_be_bytes([a, b]), 3, usize::from(len)),
        _ => return Ok(None),
    };
    if header.saturating_add(len) > most {
        return Err(Sw::NOT_ENOUGH_MEMORY);
    }
    Ok((stream.len() >= header.saturating_add(len)).then_some((id, header, len)))
}

/// Whether objects go on in the next block: the last one is cut, or only names the key of one to come.
fn goes_on(stream: &[u8]) -> bool {
    let mut reference = false;
    for object in parse(stream, Rules::ISO) {
        match object {
            Ok(object) => {
                let value = object.value();
                reference = match object.tag() {
                    TAG_A6_KEY_REFERENCE => matches!(certificates::authority(value), Ok(None)),
                    certificates::TAG_92_COUNTER => true,
                    _ => false,
                };
            }
            Err(error) => {
                return matches!(
                    error.kind(),
                    TlvError::TagTruncated | TlvError::LengthTruncated | TlvError::ValueTruncated
                );
            }
        }
    }
    reference
}

/// Whether an instance is a security domain.
fn is_domain(x: &mut Exchange<'_, '_, '_, '_, '_>, instance: InstanceId) -> Result<bool, Sw> {
    Ok(registry::record(x.cx.memory, instance)?.is_some_and(|record| record.is_domain()))
}

fn place(tag: Tag, domain: InstanceId) -> Option<ObjectId> {
    match tag {
        TAG_42_IIN => Some(objects::iin(domain)),
        TAG_45_CIN => Some(objects::cin(domain)),
        TAG_5F50_MANAGER_URL => Some(objects::manager_url(domain)),
        _ => None,
    }
}
