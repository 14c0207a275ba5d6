//! MUTUAL AUTHENTICATE and INTERNAL AUTHENTICATE. [AmdF 7.6]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{InstanceId, Memory, MemoryError};
use huiwan_crypto::ec::{Curve, EcPrivate};
use huiwan_crypto::kdf::Hash;

use crate::card::keys::Key;
use crate::card::manager::{CardManager, Done, Exchange};
use crate::card::objects;
use crate::card::secure_channel::CardKeys;
use crate::life_cycle::CardState;
use crate::scp11::authenticate::CARD_GROUP_MAX;

impl CardManager<'_> {
    pub(super) fn authenticate_host<C: Curve, H: Hash>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let result = self.agree::<C, H>(x, command);
        if result.is_err() {
            x.session.end();
        }
        result
    }

    fn agree<C: Curve, H: Hash>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let profile = self.scp11.ok_or(Sw::INS_NOT_SUPPORTED)?.profile;
        // Whatever happens now, what was under way in the former session is over.
        x.progress.end_session();
        if x.card.state == CardState::Terminated {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let (version, id) = (command.p1(), command.p2());
        let variant = profile.variant(id).filter(|variant| variant.ins() == command.ins());
        let variant = variant.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let number = |key: &Key<'_>| key.ecc_private().and_then(|(_, d)| EcPrivate::<C>::new(d).ok());
        let (owner, version, own) =
            self.find_above(x, (id, version), number)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        if variant.authenticates_host() {
            if x.session.host_serial().is_none() {
                return Err(Sw::CONDITIONS_NOT_SATISFIED);
            }
            // A list can be for the card's key or for the authority's. (kaoh, yubikey-manager)
            self.check_serial(x, id, version)?;
        }
        // Certificates serve one attempt.
        let host = x.session.take_host().and_then(|host| host.key::<C>());
        let host = host.filter(|_| variant.authenticates_host());
        if variant.authenticates_host() && host.is_none() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let keys = CardKeys {
            key_version: version,
            own: &own,
            host: host.as_ref(),
            card_group: &card_group(x.cx.memory, owner.instance)?,
        };
        x.session.authenticate_scp11::<C, H>(
            variant,
            command.data(),
            &keys,
            profile.mode,
            x.cx.random,
            x.reply,
        )?;
        x.progress.key_owner = owner.instance.0;
        // The answer is plain: the session begins behind it.
        Ok(Done::Opened)
    }
}

/// Length ‖ issuer identification number ‖ length ‖ image number of a domain.
fn card_group(memory: &mut dyn Memory, domain: InstanceId) -> Result<heapless::Vec<u8, CARD_GROUP_MAX>, Sw> {
    let mut group = heapless::Vec::new();
    for object in [objects::iin(domain), objects::cin(domain)] {
        let mut value = [0; 64];
        let value = match memory.read(object, 0, &mut value) {
            Ok(value) => value,
            Err(MemoryError::NotFound) => &[],
            Err(error) => return Err(error.into()),
        };
        let len = u8::try_from(value.len()).map_err(|_| Sw::UNKNOWN)?;
        group.push(len).map_err(|_| Sw::UNKNOWN)?;
        group.extend_from_slice(value).map_err(|_| Sw::UNKNOWN)?;
    }
    Ok(group)
}
