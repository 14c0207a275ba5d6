//! What the PSAM application remembers between commands, in its volatile slot: no keys.
//!
//! Layout: transaction 74, a [`Session`] ‖ key of INIT DES 44: set 1, usage 1, version 1, holder 41 ‖ checked
//! authentication code 51: set 1, holder 41, code 9.

use huiwan_apdu::Sw;
use huiwan_card::Context;

use super::super::engine::Session;
use super::super::wire::Holder;
use crate::pack::{Pack, Unpack};

const DES_KEY_AT: usize = Session::LEN;
const DES_KEY_LEN: usize = 3 + Holder::LEN;
const AUTH_CODE_AT: usize = DES_KEY_AT + DES_KEY_LEN;
const AUTH_CODE_LEN: usize = 1 + Holder::LEN + 9;

/// Length of the volatile slot the PSAM application wants, bytes.
pub const VOLATILE_LEN: usize = AUTH_CODE_AT + AUTH_CODE_LEN;

fn place<'a, const N: usize>(cx: &'a mut Context<'_>, at: usize) -> Option<&'a mut [u8; N]> {
    cx.volatile.get_mut(at..)?.first_chunk_mut()
}

fn set<const N: usize>(cx: &mut Context<'_>, at: usize, bytes: [u8; N]) -> Result<(), Sw> {
    *place(cx, at).ok_or(Sw::NOT_ENOUGH_MEMORY)? = bytes;
    Ok(())
}

pub(super) fn session(cx: &mut Context<'_>) -> Option<Session> {
    place(cx, 0).and_then(|raw| Session::from_bytes(raw))
}

pub(super) fn set_session(cx: &mut Context<'_>, session: Option<&Session>) -> Result<(), Sw> {
    set(cx, 0, session.map_or([0; Session::LEN], Session::to_bytes))
}

/// What INIT DES named.
pub(super) struct DesKey {
    pub(super) usage: u8,
    pub(super) version: u8,
    pub(super) holder: Holder,
}

pub(super) fn des_key(cx: &mut Context<'_>) -> Option<DesKey> {
    let raw: &mut [u8; DES_KEY_LEN] = place(cx, DES_KEY_AT)?;
    let mut fields = Unpack::new(raw);
    (fields.byte() == 1).then(|| DesKey {
        usage: fields.byte(),
        version: fields.byte(),
        holder: Holder::from_bytes(&fields.take()),
    })
}

pub(super) fn set_des_key(cx: &mut Context<'_>, key: Option<&DesKey>) -> Result<(), Sw> {
    let bytes = key.map_or([0; DES_KEY_LEN], |key| {
        Pack::new().put([1, key.usage, key.version]).put(key.holder.to_bytes()).finish()
    });
    set(cx, DES_KEY_AT, bytes)
}

/// The code that was checked, and of which card; it is gone afterwards.
pub(super) fn take_auth_code(cx: &mut Context<'_>) -> Option<(Holder, [u8; 9])> {
    let slot: &mut [u8; AUTH_CODE_LEN] = place(cx, AUTH_CODE_AT)?;
    let raw = core::mem::replace(slot, [0; AUTH_CODE_LEN]);
    let mut fields = Unpack::new(&raw);
    (fields.byte() == 1).then(|| (Holder::from_bytes(&fields.take()), fields.take()))
}

pub(super) fn set_auth_code(cx: &mut Context<'_>, holder: &Holder, code: &[u8; 9]) -> Result<(), Sw> {
    let bytes: [u8; AUTH_CODE_LEN] = Pack::new().put([1]).put(holder.to_bytes()).put(*code).finish();
    set(cx, AUTH_CODE_AT, bytes)
}
