//! PERFORM SECURITY OPERATION: one certificate of a host's chain, from the one its authority signed down to the host's own. [AmdF 7.5]
//!
//! A certificate longer than a command comes by command chaining (class `90`, put together by the element), with extended length, or in
//! commands of which all but the last have bit 8 of P1 set (kaoh).

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::ec::{Curve, EcPublic};
use huiwan_crypto::kdf::Hash;

use super::is_authority;
use crate::card::certificates;
use crate::card::keys::Key;
use crate::card::manager::{CardManager, Done, Exchange};
use crate::life_cycle::CardState;
use crate::scp11::certificate::{Certificate, Chain};
use crate::scp11::{KID_AUTHORITY, MORE, PERFORM_SECURITY_OPERATION};

/// P1 bit: the rest of the certificate comes with the next command.
const PART: u8 = 0x80;
/// Bytes of a certificate in parts at most.
const PARTS_MAX: usize = 1024;

impl CardManager<'_> {
    pub(super) fn perform_security_operation<C: Curve, H: Hash>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        // A chain of another command was of the former session, and ends with it.
        let first = core::mem::take(&mut x.progress.chain) != PERFORM_SECURITY_OPERATION;
        let result = self.certificate::<C, H>(x, command, first);
        if result.is_err() {
            x.session.end();
            x.progress.end_session();
        }
        result
    }

    fn certificate<C: Curve, H: Hash>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        first: bool,
    ) -> Result<Done, Sw> {
        let profile = self.scp11.ok_or(Sw::INS_NOT_SUPPORTED)?.profile;
        if x.card.state == CardState::Terminated {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let (version, id) = (command.p1() & !PART, command.p2() & !MORE);
        let id = if id == 0 { KID_AUTHORITY } else { id };
        if !is_authority(id) {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        let under_way = x.session.chain::<C>([id, version]);
        if under_way.is_none() && first {
            x.session.end();
            x.progress.end_session();
        }
        if command.p1() & PART != 0 {
            let held = if first { 0 } else { usize::from(x.progress.piece_len) };
            if !profile.parts || held.saturating_add(command.data().len()) > PARTS_MAX {
                return Err(if profile.parts { Sw::NOT_ENOUGH_MEMORY } else { Sw::WRONG_P1P2 });
            }
            x.keep(command.data(), first)?;
            x.progress.chain = PERFORM_SECURITY_OPERATION;
            return Ok(Done::OK);
        }
        let room = core::mem::take(&mut x.cx.scratch);
        let gathered = if first {
            Ok(command.data())
        } else {
            x.gather(command.data(), room).and_then(|len| room.get(..len).ok_or(Sw::UNKNOWN))
        };
        let result = gathered.and_then(|certificate| {
            let more = command.p2() & MORE != 0;
            let at = match under_way {
                Some(chain) => chain,
                None => self.authority::<C>(x, id, version)?,
            };
            let (certificate, behind) = Certificate::parse(certificate).ok_or(profile.not_verified)?;
            if !behind.is_empty() {
                return Err(profile.not_verified);
            }
            let now = x.cx.now.as_ref().filter(|_| profile.validity);
            let at = at.next::<H>(&certificate, !more, now).map_err(|_| profile.not_verified)?;
            x.session.certify([id, version], &at, certificate.serial, more).map_err(|_| profile.not_verified)
        });
        x.cx.scratch = room;
        result?;
        if !first {
            // What stays behind is overwritten by the next pieces, or swept at power-on.
            let _ = x.keep(&[], true);
            (x.progress.pieces, x.progress.piece_len) = (0, 0);
        }
        if command.p2() & MORE == 0 {
            self.check_serial(x, id, version)?;
        }
        Ok(Done::OK)
    }

    /// The list of serial numbers for a key, if there is one, names the host that is certified.
    pub(super) fn check_serial(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        id: u8,
        version: u8,
    ) -> Result<(), Sw> {
        let profile = self.scp11.ok_or(Sw::INS_NOT_SUPPORTED)?.profile;
        let (owner, version, ()) =
            self.find_above(x, (id, version), |_| Some(()))?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let serial = x.session.host_serial().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let accepted =
            certificates::accepts(x.cx.memory, owner.instance, [id, version], &serial, x.cx.scratch)?;
        if accepted { Ok(()) } else { Err(profile.not_listed) }
    }

    /// The beginning of a chain: the key of an authority.
    fn authority<C: Curve>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        id: u8,
        version: u8,
    ) -> Result<Chain<C>, Sw> {
        let point = |key: &Key<'_>| key.ecc().and_then(|(_, point)| EcPublic::<C>::new(point).ok());
        let (_, _, key) = self.find_above(x, (id, version), point)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        Ok(Chain::new(key))
    }
}
