//! INITIALIZE UPDATE. [GPC D.4.1, AmdD 7.1.1]

use huiwan_apdu::{Command, Sw};
use huiwan_card::MemoryError;

use super::domain::Domain;
use super::keys::{self, KeySet};
use super::manager::{CardManager, Done, Exchange};
use super::{objects, registry};
use crate::initialize_update::KEY_DIVERSIFICATION_LEN;
use crate::life_cycle::CardState;
use crate::scp03::{CHALLENGE_LEN, challenge};

impl CardManager<'_> {
    pub(super) fn initialize_update(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        // Whatever happens now, the former session is over.
        x.session.end();
        x.progress.end_session();
        if x.card.state == CardState::Terminated {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if command.p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let host_challenge =
            <&[u8; CHALLENGE_LEN]>::try_from(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let owner = key_owner(x)?;
        let memory = &mut *x.cx.memory;
        let version = match command.p1() {
            0 => owner.default_key_version(&x.card),
            version => version,
        };
        let keys = KeySet::read(memory, owner.instance, version)?
            .and_then(|set| set.scp03())
            .ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let mut key_diversification = [0; KEY_DIVERSIFICATION_LEN];
        match memory.read(objects::KEY_DIVERSIFICATION, 0, &mut key_diversification) {
            Ok(_) | Err(MemoryError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        // The challenge names the application the channel is opened on, not its domain. [AmdD 6.2.2.1]
        let opened_on = match x.cx.served {
            Some(served) => registry::record(memory, served)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.aid,
            None => x.cx.aid,
        };
        // A failing random source changes nothing, so it is asked before the counter is spent.
        let options = owner.supplementary.map_or(self.profile.scp03, |(_, settings)| settings.scp03);
        let random = if options.pseudo_random() { None } else { Some(x.cx.random_bytes()?) };
        let counter = keys::raise_counter(x.cx.memory, owner.instance, version)?;
        x.progress.key_owner = owner.instance.0;
        let card_challenge = match random {
            Some(random) => random,
            None => {
                challenge::pseudo_random(&keys, counter, opened_on.as_bytes()).map_err(|_| Sw::UNKNOWN)?
            }
        };
        let answer = x
            .session
            .initialize_update(
                &keys,
                version,
                key_diversification,
                options,
                host_challenge,
                card_challenge,
                counter,
            )
            .map_err(|_| Sw::UNKNOWN)?;
        let (bytes, len) = answer.to_bytes();
        x.reply.push(bytes.get(..len).ok_or(Sw::UNKNOWN)?)?;
        Ok(Done::OK)
    }
}

/// The domain whose keys serve a channel: this one, or while it has none for a channel the nearest above that has. [GPC 7.2]
fn key_owner(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<Domain, Sw> {
    let mut owner = x.domain.clone();
    while let Some((record, _)) = &owner.supplementary {
        let above = record.domain;
        if owner.default_key_version(&x.card) != 0 {
            break;
        }
        let entry = x.cx.directory.entry(x.cx.memory, above)?;
        owner = Domain::read(x.cx.memory, above, entry.aid, owner.privileges)?;
    }
    Ok(owner)
}
