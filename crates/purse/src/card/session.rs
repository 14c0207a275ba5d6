//! What a session remembers between its commands, in the instance's volatile slot.
//!
//! Layout: phase 1 ‖ initialisation data 11 ‖ random 4 ‖ challenge length 1 ‖ challenge 8 ‖ cache length 2 ‖ cached
//! records, each: SFI 1 ‖ record number 1 (0 = append) ‖ length 1 ‖ data.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};

use crate::command::Init;
use crate::pack::{Pack, Unpack};
use crate::tti::Tti;

const SESSION: usize = 16;
const CHALLENGE: usize = 9;
const CACHE_HEAD: usize = 2;

/// Bytes cached records of one session may take, heads of three bytes included; HB holds about as many. [S:HB]
pub(super) const CACHE_LEN: usize = 256;

/// Length of the volatile slot the purse wants, bytes.
pub const VOLATILE_LEN: usize = SESSION + CHALLENGE + CACHE_HEAD + CACHE_LEN;

/// What the initialisation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Load,
    Purchase,
    Capp,
}

impl Phase {
    const fn code(self) -> u8 {
        match self {
            Self::Load => 1,
            Self::Purchase => 2,
            Self::Capp => 3,
        }
    }

    /// The type that stands in the MACs of this session. [sheet 3.2]
    pub(super) const fn tti(self) -> Tti {
        match self {
            Self::Load => Tti::EP_LOAD,
            Self::Purchase => Tti::EP_PURCHASE,
            Self::Capp => Tti::CAPP_PURCHASE,
        }
    }
}

/// An initialised transaction that waits for its completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) phase: Phase,
    pub(super) init: Init,
    pub(super) random: [u8; 4],
}

impl Session {
    /// Opens (or puts back) the session.
    pub(super) fn keep(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let bytes: [u8; SESSION] =
            Pack::new().put([self.phase.code()]).put(self.init.to_bytes()).put(self.random).finish();
        *cx.volatile.first_chunk_mut().ok_or(Sw::NOT_ENOUGH_MEMORY)? = bytes;
        Ok(())
    }
}

/// The open session; afterwards there is none unless it is kept.
pub(super) fn take(cx: &mut Context<'_>) -> Option<Session> {
    let slot = cx.volatile.first_chunk_mut::<SESSION>()?;
    let bytes = core::mem::replace(slot, [0; SESSION]);
    let mut fields = Unpack::new(&bytes);
    let phase = match fields.byte() {
        1 => Phase::Load,
        2 => Phase::Purchase,
        3 => Phase::Capp,
        _ => return None,
    };
    let init = Init { key_index: fields.byte(), amount: fields.u32(), terminal: fields.take() };
    Some(Session { phase, init, random: fields.take() })
}

/// Forgets everything.
pub(super) fn clear(cx: &mut Context<'_>) {
    cx.volatile.fill(0);
}

/// The random number of the GET CHALLENGE right before, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Challenge {
    len: u8,
    bytes: [u8; 8],
}

impl Challenge {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The challenge; it is gone afterwards. [sheet 1.1]
pub(super) fn take_challenge(cx: &mut Context<'_>) -> Option<Challenge> {
    let slot = cx.volatile.get_mut(SESSION..)?.first_chunk_mut::<CHALLENGE>()?;
    let [len, bytes @ ..] = core::mem::replace(slot, [0; CHALLENGE]);
    (len != 0).then_some(Challenge { len, bytes })
}

/// GET CHALLENGE, four or eight bytes. [sheet 1.2]
pub(super) fn get_challenge(
    cx: &mut Context<'_>,
    command: &Command<'_>,
    reply: &mut ResponseWriter<'_>,
) -> Result<(), Sw> {
    if command.p1p2() != 0 {
        return Err(Sw::WRONG_P1P2);
    }
    let len: u8 = match command.ne().map(|ne| ne.get()) {
        Some(4) => 4,
        Some(8) => 8,
        _ => return Err(Sw::WRONG_LENGTH),
    };
    if !command.data().is_empty() {
        return Err(Sw::WRONG_LENGTH);
    }
    let mut bytes: [u8; 8] = cx.random_bytes()?;
    bytes.iter_mut().skip(usize::from(len)).for_each(|byte| *byte = 0);
    let challenge = Challenge { len, bytes };
    let slot = cx.volatile.get_mut(SESSION..).and_then(|rest| rest.first_chunk_mut::<CHALLENGE>());
    *slot.ok_or(Sw::NOT_ENOUGH_MEMORY)? = Pack::new().put([len]).put(bytes).finish();
    reply.push(challenge.as_bytes())
}

/// A record that waits for the debit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cached<'a> {
    pub(super) sfi: u8,
    /// 0 appends.
    pub(super) number: u8,
    pub(super) data: &'a [u8],
}

/// The records cached so far.
pub(super) struct Cache<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Cache<'a> {
    type Item = Cached<'a>;

    fn next(&mut self) -> Option<Cached<'a>> {
        let (&[sfi, number, len], rest) = self.rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(Cached { sfi, number, data })
    }
}

/// The cached records in order.
pub(super) fn cache(volatile: &[u8]) -> Cache<'_> {
    let records = volatile.get(SESSION.saturating_add(CHALLENGE)..).and_then(|rest| {
        let (len, records) = rest.split_first_chunk()?;
        records.get(..usize::from(u16::from_be_bytes(*len)))
    });
    Cache { rest: records.unwrap_or_default() }
}

/// Empties the cache.
pub(super) fn clear_cache(volatile: &mut [u8]) {
    if let Some(head) = volatile.get_mut(SESSION.saturating_add(CHALLENGE)..) {
        head.fill(0);
    }
}

/// Adds a record of `len` bytes: `data` and zeros. A record that is cached already is replaced.
pub(super) fn add_to_cache(
    volatile: &mut [u8],
    sfi: u8,
    number: u8,
    data: &[u8],
    len: usize,
) -> Result<(), Sw> {
    let mut start = 0_usize;
    let mut end = 0_usize;
    let mut replaces = false;
    for cached in cache(volatile) {
        let next = end.saturating_add(3).saturating_add(cached.data.len());
        if !replaces && number != 0 && (cached.sfi, cached.number, cached.data.len()) == (sfi, number, len) {
            start = end;
            replaces = true;
        }
        end = next;
    }
    if !replaces {
        start = end;
        end = end.saturating_add(3).saturating_add(len);
    }
    let (head, records) = volatile
        .get_mut(SESSION.saturating_add(CHALLENGE)..)
        .and_then(|rest| rest.split_first_chunk_mut())
        .ok_or(Sw::NOT_ENOUGH_MEMORY)?;
    let place = records.get_mut(start..).and_then(|rest| rest.get_mut(..len.checked_add(3)?));
    let (place_head, place) = place
        .filter(|_| end <= CACHE_LEN)
        .and_then(|place| place.split_first_chunk_mut())
        .ok_or(Sw::NOT_ENOUGH_MEMORY)?;
    *place_head = [sfi, number, u8::try_from(len).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?];
    place.fill(0);
    place.get_mut(..data.len()).ok_or(Sw::NOT_ENOUGH_MEMORY)?.copy_from_slice(data);
    *head = u16::try_from(end).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?.to_be_bytes();
    Ok(())
}
