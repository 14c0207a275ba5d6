//! What a security domain keeps for its keys of SCP11: certificates (`BF21`), serial numbers of hosts (`70`), identifiers of authorities
//! (`42`). STORE DATA names the key in `A6 { 83 key identifier ‖ key version }`. (AmdF, yubikey-manager, OpenSCP)
//!
//! The card keeps certificates as they came; the host that asks for them checks them. A value is one object with its head:
//! ```text
//! 81 ‖ kind ‖ key identifier ‖ key version ‖ 00 ‖ value
//! 81 ‖ kind ‖ key identifier ‖ key version ‖ number of pieces ‖ where each piece is        (a long one)
//! ```
//! Pieces are written first, each in a commit of its own, and count once the head names them; what a cut left behind is swept at power-on.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, ObjectId};
use huiwan_tlv::{Rules, Tag, Writer, find, parse};

use super::manager::Exchange;
use super::objects;
use crate::get_data::{TAG_42_IIN, TAG_83_KEY, TAG_A6_KEY_REFERENCE, TAG_BF21_CERTIFICATES};
use crate::scp11::certificate::is_same_serial;

const VERSION: u8 = 0x81;
const HEAD: usize = 5;
/// Bytes of a value that stands in its head.
const INLINE_MAX: usize = 234;
/// Bytes of a piece, and how many of them one value has at most.
const PIECE: usize = 224;
const PIECES_MAX: usize = 16;
/// Values of one command at most.
const SAID_MAX: usize = 16;
/// Bytes of the identifier of an authority at most.
const AUTHORITY_MAX: usize = 32;
/// Kind of authority: of hosts or of cards.
const TAG_80_AUTHORITY: Tag = Tag::new(0x80);
/// A serial number.
const TAG_93_SERIAL: Tag = Tag::new(0x93);
/// A list of serial numbers.
pub(super) const TAG_70_SERIALS: Tag = Tag::new(0x70);
/// A counter that rises with every list.
pub(super) const TAG_92_COUNTER: Tag = Tag::new(0x92);

/// Key identifier and version.
pub(super) type Key = [u8; 2];

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The certificates of the card's key.
    Certificates = 0,
    /// Serial numbers of hosts: 01 ‖ counter (2), or 00 00 00 ‖ { 93 }*.
    Serials = 1,
    /// The identifier of an authority of hosts (KLOC).
    HostAuthority = 2,
    /// The identifier of the authority of the card's certificates (KLCC).
    CardAuthority = 3,
}

/// The key in the value of `A6`.
pub(super) fn reference(value: &[u8]) -> Result<Key, Sw> {
    let key = find(value, Rules::ISO, TAG_83_KEY).map_err(|_| Sw::WRONG_DATA)?.ok_or(Sw::WRONG_DATA)?;
    <Key>::try_from(key.value()).map_err(|_| Sw::WRONG_DATA)
}

/// The identifier of an authority in the value of `A6 { 80 kind, 42 identifier, 83 key }`; `None` if it is a mere reference.
pub(super) fn authority(value: &[u8]) -> Result<Option<(Kind, &[u8])>, Sw> {
    let field = |tag| find(value, Rules::ISO, tag).map_err(|_| Sw::WRONG_DATA);
    let Some(identifier) = field(TAG_42_IIN)? else { return Ok(None) };
    let kind = match field(TAG_80_AUTHORITY)?.map(|kind| kind.value()) {
        Some([0]) => Kind::HostAuthority,
        Some([1]) => Kind::CardAuthority,
        _ => return Err(Sw::WRONG_DATA),
    };
    if identifier.value().len() > AUTHORITY_MAX {
        return Err(Sw::WRONG_DATA);
    }
    Ok(Some((kind, identifier.value())))
}

/// The key in the command data of GET DATA.
pub(super) fn asked(data: &[u8]) -> Result<Key, Sw> {
    let a6 = find(data, Rules::ISO, TAG_A6_KEY_REFERENCE).map_err(|_| Sw::WRONG_DATA)?;
    reference(a6.ok_or(Sw::WRONG_DATA)?.value())
}

/// The head of a value.
#[derive(Clone, Copy)]
struct Head {
    object: ObjectId,
    kind: u8,
    key: Key,
    pieces: [u8; PIECES_MAX],
    count: usize,
}

impl Head {
    fn read(memory: &mut dyn Memory, object: ObjectId) -> Result<Option<Self>, Sw> {
        let mut raw = [0; HEAD + PIECES_MAX];
        let read = memory.read(object, 0, &mut raw)?;
        let Some((&[VERSION, kind, id, version, count], behind)) = read.split_first_chunk() else {
            return Ok(None);
        };
        let (mut pieces, count) = ([0; PIECES_MAX], usize::from(count));
        pieces.iter_mut().zip(behind.iter().take(count)).for_each(|(to, from)| *to = *from);
        Ok(Some(Self { object, kind, key: [id, version], pieces, count }))
    }

    fn pieces(&self) -> impl Iterator<Item = u8> + '_ {
        self.pieces.iter().take(self.count).copied()
    }

    fn delete(&self, domain: InstanceId, batch: &mut Batch<'_>) {
        batch.delete(self.object);
        self.pieces().for_each(|piece| batch.delete(objects::certificate_piece(domain, piece)));
    }
}

/// The next head behind an object, and that of the walk's beginning.
fn next(
    memory: &mut dyn Memory,
    domain: InstanceId,
    after: &mut Option<ObjectId>,
) -> Result<Option<Head>, Sw> {
    loop {
        let from = after.unwrap_or(objects::before_certificates(domain));
        let Some(object) = memory.next_object(Some(from))? else { return Ok(None) };
        if objects::certificate_of(object, domain).is_none() {
            return Ok(None);
        }
        *after = Some(object);
        if let Some(head) = Head::read(memory, object)? {
            return Ok(Some(head));
        }
    }
}

fn head(memory: &mut dyn Memory, domain: InstanceId, kind: Kind, key: Key) -> Result<Option<Head>, Sw> {
    let mut after = None;
    while let Some(head) = next(memory, domain, &mut after)? {
        if (head.kind, head.key) == (kind as u8, key) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// Numbers that are in use.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers([u8; 32]);

impl Numbers {
    fn take(&mut self, n: u8) {
        if let Some(byte) = self.0.get_mut(usize::from(n >> 3)) {
            *byte |= 1 << (n & 7);
        }
    }

    fn contains(&self, n: u8) -> bool {
        self.0.get(usize::from(n >> 3)).is_some_and(|byte| byte & (1 << (n & 7)) != 0)
    }

    fn free(&mut self) -> Result<u8, Sw> {
        let free = (0..=u8::MAX).find(|&n| !self.contains(n)).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        self.take(free);
        Ok(free)
    }
}

/// The values that one STORE DATA command writes.
pub(super) struct Store {
    domain: InstanceId,
    /// Bytes of a value at most.
    max: usize,
    heads: Numbers,
    pieces: Numbers,
    /// What the command has said so far: nothing of it twice.
    said: heapless::Vec<(u8, Key), SAID_MAX>,
}

impl Store {
    /// What there is. A value has to fit an answer of `capacity` bytes, encrypted and signed, behind its tag.
    pub(super) fn new(memory: &mut dyn Memory, domain: InstanceId, capacity: usize) -> Result<Self, Sw> {
        let whole = capacity.max(256).saturating_sub(16) & !0x0F;
        let max = whole.saturating_sub(6).min(PIECE * PIECES_MAX);
        let (mut heads, mut pieces) = (Numbers::default(), Numbers::default());
        let mut after = None;
        while let Some(head) = next(memory, domain, &mut after)? {
            head.pieces().for_each(|piece| pieces.take(piece));
        }
        // What is no head of ours keeps its place, too.
        let mut at = objects::before_certificates(domain);
        while let Some(object) = memory.next_object(Some(at))? {
            let Some(n) = objects::certificate_of(object, domain) else { break };
            heads.take(n);
            at = object;
        }
        Ok(Self { domain, max, heads, pieces, said: heapless::Vec::new() })
    }

    /// Adds a value to a batch, in place of the one that was there; none: it goes.
    pub(super) fn put(
        &mut self,
        memory: &mut dyn Memory,
        (kind, key): (Kind, Key),
        value: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        if value.len() > self.max {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        if self.said.contains(&(kind as u8, key)) {
            return Err(Sw::WRONG_DATA);
        }
        self.said.push((kind as u8, key)).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        let domain = self.domain;
        let old = head(memory, domain, kind, key)?;
        if let Some(old) = &old {
            old.delete(domain, batch);
        }
        if value.is_empty() {
            return if old.is_some() { Ok(()) } else { Err(Sw::REFERENCED_DATA_NOT_FOUND) };
        }
        let object = match old {
            Some(old) => old.object,
            None => objects::certificate(domain, self.heads.free()?),
        };
        let [id, version] = key;
        let head = |count| [VERSION, kind as u8, id, version, count];
        if value.len() <= INLINE_MAX {
            batch.put_parts(object, &[&head(0), value]);
            return Ok(());
        }
        let mut numbers = heapless::Vec::<u8, PIECES_MAX>::new();
        for piece in value.chunks(PIECE) {
            let number = self.pieces.free()?;
            numbers.push(number).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
            let mut buffer = [0; PIECE + 16];
            let mut alone = Batch::new(&mut buffer);
            alone.put(objects::certificate_piece(domain, number), piece);
            memory.commit(&alone)?;
        }
        let count = u8::try_from(numbers.len()).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        batch.put_parts(object, &[&head(count), &numbers]);
        Ok(())
    }
}

/// Reads a value into `out`; `None` if there is none.
fn read<'o>(
    memory: &mut dyn Memory,
    domain: InstanceId,
    kind: Kind,
    key: Key,
    out: &'o mut [u8],
) -> Result<Option<&'o [u8]>, Sw> {
    let Some(head) = head(memory, domain, kind, key)? else { return Ok(None) };
    let len = len(memory, domain, &head)?;
    let out = out.get_mut(..len).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
    copy(memory, domain, &head, out)?;
    Ok(Some(out))
}

fn len(memory: &mut dyn Memory, domain: InstanceId, head: &Head) -> Result<usize, Sw> {
    if head.count == 0 {
        return Ok(memory.len(head.object)?.unwrap_or(0).saturating_sub(HEAD));
    }
    let mut sum = 0_usize;
    for piece in head.pieces() {
        let len = memory.len(objects::certificate_piece(domain, piece))?.ok_or(Sw::MEMORY_FAILURE)?;
        sum = sum.saturating_add(len);
    }
    Ok(sum)
}

fn copy(memory: &mut dyn Memory, domain: InstanceId, head: &Head, out: &mut [u8]) -> Result<(), Sw> {
    if head.count == 0 {
        memory.read(head.object, HEAD, out)?;
        return Ok(());
    }
    let mut rest = out;
    for piece in head.pieces() {
        let read = memory.read(objects::certificate_piece(domain, piece), 0, rest)?.len();
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    if rest.is_empty() { Ok(()) } else { Err(Sw::MEMORY_FAILURE) }
}

/// Answers `BF21` with the certificates of a key.
pub(super) fn answer(x: &mut Exchange<'_, '_, '_, '_, '_>, key: Key) -> Result<(), Sw> {
    let domain = x.domain.instance;
    let memory = &mut *x.cx.memory;
    let head = head(memory, domain, Kind::Certificates, key)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    let len = len(memory, domain, &head)?;
    x.reply.tlv(|w| w.header(TAG_BF21_CERTIFICATES, len))?;
    copy(memory, domain, &head, x.reply.reserve(len)?)
}

/// Answers { 42 identifier, 83 key }* for the authorities of one kind, in a template with this tag.
pub(super) fn answer_authorities(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    tag: Tag,
    kind: Kind,
) -> Result<(), Sw> {
    let domain = x.domain.instance;
    let mut told = [0; 239];
    let mut w = Writer::new(&mut told);
    let mut after = None;
    while let Some(head) = next(x.cx.memory, domain, &mut after)? {
        if head.kind == kind as u8 {
            let mut identifier = [0; AUTHORITY_MAX];
            let identifier = x.cx.memory.read(head.object, HEAD, &mut identifier)?;
            w.put(TAG_42_IIN, identifier);
            w.put(TAG_83_KEY, &head.key);
        }
    }
    let told = w.finish().map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
    if told.is_empty() {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    x.reply.tlv(|w| w.put(tag, told))
}

/// Answers the key of the authority of hosts that `A6 { 42 identifier }` names. (kaoh)
pub(super) fn answer_key(x: &mut Exchange<'_, '_, '_, '_, '_>, data: &[u8]) -> Result<(), Sw> {
    let wrong = |_| Sw::WRONG_DATA;
    let a6 = find(data, Rules::ISO, TAG_A6_KEY_REFERENCE).map_err(wrong)?.ok_or(Sw::WRONG_DATA)?;
    let wanted = find(a6.value(), Rules::ISO, TAG_42_IIN).map_err(wrong)?.ok_or(Sw::WRONG_DATA)?;
    let mut after = None;
    while let Some(head) = next(x.cx.memory, x.domain.instance, &mut after)? {
        let mut identifier = [0; AUTHORITY_MAX];
        if head.kind == Kind::HostAuthority as u8
            && x.cx.memory.read(head.object, HEAD, &mut identifier)? == wanted.value()
        {
            return x.reply.tlv(|w| w.put(TAG_83_KEY, &head.key));
        }
    }
    Err(Sw::REFERENCED_DATA_NOT_FOUND)
}

/// Adds a list of serial numbers to a batch; an empty one is none, and then every serial number will do. A counter has to be higher than
/// the last one. (OpenSCP) Tells whether there is nothing wrong with it, also if nothing has to be written.
#[inline(never)]
pub(super) fn put_serials(
    store: &mut Store,
    memory: &mut dyn Memory,
    key: Key,
    counter: Option<u16>,
    list: &[u8],
    batch: &mut Batch<'_>,
) -> Result<bool, Sw> {
    for serial in parse(list, Rules::ISO) {
        let serial = serial.map_err(|_| Sw::WRONG_DATA)?;
        if serial.tag() != TAG_93_SERIAL || serial.value().is_empty() {
            return Err(Sw::WRONG_DATA);
        }
    }
    let last = match head(memory, store.domain, Kind::Serials, key)? {
        None => None,
        Some(head) => {
            let mut first = [0; 3];
            let (object, at) = match head.pieces().next() {
                Some(piece) => (objects::certificate_piece(store.domain, piece), 0),
                None => (head.object, HEAD),
            };
            match *memory.read(object, at, &mut first)? {
                [1, high, low] => Some(u16::from_be_bytes([high, low])),
                _ => None,
            }
        }
    };
    if let (Some(last), Some(counter)) = (last, counter)
        && counter <= last
    {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    let [high, low] = counter.or(last).unwrap_or(0).to_be_bytes();
    let prefix = [u8::from(counter.or(last).is_some()), high, low];
    let mut value = heapless::Vec::<u8, { PIECE * 4 }>::new();
    if !list.is_empty() || prefix != [0; 3] {
        value.extend_from_slice(&prefix).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        value.extend_from_slice(list).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
    }
    match store.put(memory, (Kind::Serials, key), &value, batch) {
        // There was no list, and there is none: that is what was wanted.
        Ok(()) | Err(Sw::REFERENCED_DATA_NOT_FOUND) => Ok(true),
        Err(sw) => Err(sw),
    }
}

/// Whether hosts with this serial number are accepted with a key: also if there is no list for it.
pub(super) fn accepts(
    memory: &mut dyn Memory,
    domain: InstanceId,
    key: Key,
    serial: &[u8],
    room: &mut [u8],
) -> Result<bool, Sw> {
    let list = read(memory, domain, Kind::Serials, key, room)?.and_then(|list| list.get(3..));
    Ok(match list {
        None | Some([]) => true,
        Some(list) => parse(list, Rules::ISO).flatten().any(|listed| is_same_serial(listed.value(), serial)),
    })
}

/// Adds to a batch: all that is kept for a key goes.
pub(super) fn forget(
    memory: &mut dyn Memory,
    domain: InstanceId,
    key: Key,
    batch: &mut Batch<'_>,
) -> Result<(), Sw> {
    let mut after = None;
    while let Some(head) = next(memory, domain, &mut after)? {
        if head.key == key {
            head.delete(domain, batch);
        }
    }
    Ok(())
}

/// Deletes pieces that no head names.
pub(super) fn sweep(memory: &mut dyn Memory, domain: InstanceId) -> Result<(), Sw> {
    let mut at = objects::before_certificate_pieces(domain);
    let mut named: Option<Numbers> = None;
    while let Some(object) = memory.next_object(Some(at))? {
        let Some(n) = objects::certificate_piece_of(object, domain) else { break };
        at = object;
        let numbers = match named {
            Some(numbers) => numbers,
            None => Store::new(memory, domain, 0)?.pieces,
        };
        named = Some(numbers);
        if !numbers.contains(n) {
            let mut buffer = [0; 16];
            let mut batch = Batch::new(&mut buffer);
            batch.delete(object);
            memory.commit(&batch)?;
        }
    }
    Ok(())
}
