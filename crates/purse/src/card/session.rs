//! What a session remembers between its commands, in the instance's volatile slot.
//!
//! Layout: phase 1 ‖ account 1 ‖ initialisation data 11 ‖ random 4 ‖ challenge length 1 ‖ challenge 8 ‖ security status 1
//! ‖ current file and record 3, a [`Current`] ‖ the scheme, its length and 1 before it 10 ‖ cached records, a [`RecordCache`].

use huiwan_apdu::{Command, Sw};
use huiwan_card::files::{Current, RecordCache};
use huiwan_card::{Context, ResponseWriter};

use crate::account::Account;
use crate::command::Init;
use crate::pack::{Pack, Unpack};
use crate::scheme::Scheme;
use crate::tti::Tti;

const SESSION: usize = 17;
const CHALLENGE: usize = 9;
const STATUS: usize = 1;
const CURRENT_AT: usize = SESSION + CHALLENGE + STATUS;
const SCHEME_AT: usize = CURRENT_AT + Current::LEN;
const CACHE_AT: usize = SCHEME_AT + 1 + Scheme::MAX_LEN;

/// Bytes the cache takes: two 128-byte records and a trip record, each with a head of six bytes, and a length. HB holds
/// about 255 bytes in all. \[S:HB\]
pub(super) const CACHE_LEN: usize = 2 + 2 * (128 + 6) + (48 + 6);

/// Length of the volatile slot the purse wants, bytes.
pub const VOLATILE_LEN: usize = CACHE_AT + CACHE_LEN;

/// What the initialisation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Load,
    Purchase,
    Capp,
    Cash,
    Unload,
    Limit,
    GreyLock,
    GreyUnlock,
    /// DEBIT FOR UNLOCK, which no initialisation precedes: it never stands in a slot.
    Unlock,
}

impl Phase {
    const fn code(self) -> u8 {
        match self {
            Self::Load => 1,
            Self::Purchase => 2,
            Self::Capp => 3,
            Self::Cash => 4,
            Self::Unload => 5,
            Self::Limit => 6,
            Self::GreyLock => 7,
            Self::GreyUnlock => 8,
            Self::Unlock => 9,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Load,
            2 => Self::Purchase,
            3 => Self::Capp,
            4 => Self::Cash,
            5 => Self::Unload,
            6 => Self::Limit,
            7 => Self::GreyLock,
            8 => Self::GreyUnlock,
            _ => return None,
        })
    }

    /// The type that stands in the MACs of this session. [sheet 3.2]
    pub(super) const fn tti(self, account: Account) -> Tti {
        match self {
            Self::Load => account.load(),
            Self::Purchase => account.purchase(),
            Self::Capp => Tti::CAPP_PURCHASE,
            Self::Cash => Tti::CASH,
            Self::Unload => Tti::UNLOAD,
            Self::Limit => Tti::LIMIT_UPDATE,
            Self::GreyLock => Tti::GREY_LOCK,
            Self::GreyUnlock => Tti::GREY_UNLOCK,
            Self::Unlock => Tti::DEBIT_FOR_UNLOCK,
        }
    }
}

/// An initialised transaction that waits for its completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) phase: Phase,
    pub(super) account: Account,
    pub(super) init: Init,
    pub(super) random: [u8; 4],
}

impl Session {
    /// The type that stands in the MACs of this session.
    pub(super) const fn tti(&self) -> Tti {
        self.phase.tti(self.account)
    }

    /// Opens (or puts back) the session.
    pub(super) fn keep(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let bytes: [u8; SESSION] = Pack::new()
            .put([self.phase.code(), self.account.p2()])
            .put(self.init.to_bytes())
            .put(self.random)
            .finish();
        *cx.volatile.first_chunk_mut().ok_or(Sw::NOT_ENOUGH_MEMORY)? = bytes;
        Ok(())
    }
}

/// The open session; afterwards there is none unless it is kept.
pub(super) fn take(cx: &mut Context<'_>) -> Option<Session> {
    let slot = cx.volatile.first_chunk_mut::<SESSION>()?;
    let bytes = core::mem::replace(slot, [0; SESSION]);
    let mut fields = Unpack::new(&bytes);
    let phase = Phase::from_code(fields.byte())?;
    let account = Account::from_p2(fields.byte())?;
    let init = Init { key_index: fields.byte(), amount: fields.u32(), terminal: fields.take() };
    Some(Session { phase, account, init, random: fields.take() })
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

/// The records that wait for the debit. One that is to be appended stands under its file's first object.
pub(super) fn cache(volatile: &mut [u8]) -> RecordCache<'_> {
    RecordCache::new(volatile.get_mut(CACHE_AT..).unwrap_or_default())
}

/// Bits of the security status.
const PIN_VERIFIED: u8 = 0x01;
const AUTH_CODE_READ: u8 = 0x02;
const AUTHENTICATED: u8 = 0x04;

fn status(volatile: &mut [u8]) -> Option<&mut u8> {
    volatile.get_mut(SESSION.saturating_add(CHALLENGE))
}

fn set(cx: &mut Context<'_>, bit: u8, on: bool) {
    if let Some(status) = status(cx.volatile) {
        *status = if on { *status | bit } else { *status & !bit };
    }
}

/// Whether the PIN was verified since the application was selected.
pub(super) fn pin_verified(cx: &mut Context<'_>) -> bool {
    status(cx.volatile).is_some_and(|status| *status & PIN_VERIFIED != 0)
}

/// Remembers whether the PIN was verified.
pub(super) fn set_pin_verified(cx: &mut Context<'_>, verified: bool) {
    set(cx, PIN_VERIFIED, verified);
}

/// Whether the other side was authenticated since the application was selected.
pub(super) fn authenticated(cx: &mut Context<'_>) -> bool {
    status(cx.volatile).is_some_and(|status| *status & AUTHENTICATED != 0)
}

/// Remembers whether the other side was authenticated.
pub(super) fn set_authenticated(cx: &mut Context<'_>, authenticated: bool) {
    set(cx, AUTHENTICATED, authenticated);
}

/// Whether the authentication code was read; the debit that asks forgets it.
pub(super) fn take_auth_code_read(cx: &mut Context<'_>) -> bool {
    let read = status(cx.volatile).is_some_and(|status| *status & AUTH_CODE_READ != 0);
    set(cx, AUTH_CODE_READ, false);
    read
}

/// Remembers that the authentication code was read.
pub(super) fn set_auth_code_read(cx: &mut Context<'_>) {
    set(cx, AUTH_CODE_READ, true);
}

/// The scheme's bytes, none where the instance was told none; `None` as long as they are not remembered.
pub(super) fn scheme(volatile: &[u8]) -> Option<&[u8]> {
    let (len, scheme) = volatile.get(SCHEME_AT..)?.split_first()?;
    scheme.get(..usize::from(len.checked_sub(1)?))
}

/// Remembers the scheme's bytes.
pub(super) fn set_scheme(volatile: &mut [u8], scheme: &[u8]) {
    let place = volatile.get_mut(SCHEME_AT..CACHE_AT).and_then(<[u8]>::split_first_mut);
    let Some((len, place)) = place else { return };
    let (Some(place), Ok(used)) = (place.get_mut(..scheme.len()), u8::try_from(scheme.len())) else { return };
    place.copy_from_slice(scheme);
    *len = used.saturating_add(1);
}

/// The current file and record.
pub(super) fn current(volatile: &[u8]) -> Current {
    let place = volatile.get(CURRENT_AT..).and_then(|rest| rest.first_chunk());
    place.map_or_else(Current::default, |bytes| Current::from_bytes(*bytes))
}

/// Remembers the current file and record.
pub(super) fn set_current(volatile: &mut [u8], current: Current) {
    if let Some(place) = volatile.get_mut(CURRENT_AT..).and_then(|rest| rest.first_chunk_mut()) {
        *place = current.to_bytes();
    }
}
