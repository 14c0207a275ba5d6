//! INITIALIZE UPDATE, and what stands for it when an SCP02 channel is opened implicitly. [GPC E.1.2, E.5.1, AmdD 7.1.1]

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Context, InstanceId, MemoryError, SecureChannel};

use super::domain::Domain;
use super::keys::{self, KeySet};
use super::manager::{CardManager, Done, Exchange};
use super::registry::Card;
use super::{objects, registry};
use crate::initialize_update::{Answer, KEY_DIVERSIFICATION_LEN};
use crate::life_cycle::CardState;
use crate::scp03::{Octets, challenge};
use crate::secure_channel::class;
use crate::{scp02, scp03};

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
        let owner = self.key_owner(x.cx, &x.domain, &x.card)?;
        let version = match command.p1() {
            0 => owner.default_key_version(&x.card),
            version => version,
        };
        let set = KeySet::read(x.cx.memory, owner.instance, version)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let mut key_diversification = [0; KEY_DIVERSIFICATION_LEN];
        match x.cx.memory.read(objects::KEY_DIVERSIFICATION, 0, &mut key_diversification) {
            Ok(_) | Err(MemoryError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        // The kind of its keys decides the protocol.
        let explicit = owner.scp02(self.profile.scp02).filter(|options| options.explicit());
        let answer = if let Some(keys) = set.scp03().filter(|_| owner.speaks_scp03()) {
            self.update_scp03(x, &owner, version, &keys, key_diversification, command.data())?
        } else if let Some((keys, options)) = explicit.and_then(|i| Some((set.scp02(i)?, i))) {
            update_scp02(x, owner.instance, version, &keys, options, key_diversification, command.data())?
        } else {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        };
        x.progress.key_owner = owner.instance.0;
        let (bytes, len) = answer.to_bytes();
        x.reply.push(bytes.get(..len).ok_or(Sw::UNKNOWN)?)?;
        Ok(Done::OK)
    }

    fn update_scp03(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        owner: &Domain,
        version: u8,
        keys: &scp03::StaticKeys,
        key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
        host_challenge: &[u8],
    ) -> Result<Answer, Sw> {
        let options = owner.supplementary.as_ref().map_or(self.profile.scp03, |(_, settings)| settings.scp03);
        let mode = options.mode();
        if host_challenge.len() != mode.len() {
            return Err(Sw::WRONG_LENGTH);
        }
        let aid = opened_on(x)?;
        // A failing random source changes nothing, so it is asked before the counter is spent.
        let random = if options.pseudo_random() {
            None
        } else {
            let bytes = x.cx.random_bytes::<16>()?;
            Some(bytes.get(..mode.len()).and_then(Octets::new).ok_or(Sw::UNKNOWN)?)
        };
        let counter = keys::raise_counter(x.cx.memory, owner.instance, version)?;
        let card_challenge = match random {
            Some(random) => random,
            None => challenge::pseudo_random(keys, counter, aid.as_bytes(), mode).map_err(|_| Sw::UNKNOWN)?,
        };
        x.session
            .initialize_update(
                keys,
                version,
                key_diversification,
                options,
                host_challenge,
                card_challenge,
                counter,
            )
            .map_err(|_| Sw::UNKNOWN)
    }

    /// Whether a command may open an SCP02 session by its C-MAC alone: then the session is ready for it.
    pub(super) fn initiate(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<bool, Sw> {
        let Some(options) = self.profile.scp02.filter(|options| !options.explicit()) else {
            return Ok(false);
        };
        let usable = !matches!(x.card.state, CardState::Terminated);
        if !x.session.is_none() || !class::is_gp_protected(command.cla()) || !usable {
            return Ok(false);
        }
        // The default key set if it is for SCP02, else the first that is.
        let domain = self.key_owner(x.cx, &x.domain, &x.card)?;
        if domain.scp02(Some(options)).is_none() {
            return Ok(false);
        }
        let owner = domain.instance;
        let (mut version, mut next) = (Some(domain.default_key_version(&x.card)), None);
        while let Some(candidate) = version {
            if let Some(keys) =
                KeySet::read(x.cx.memory, owner, candidate)?.and_then(|set| set.scp02(options))
            {
                let aid = opened_on(x)?;
                let sequence =
                    keys::sequence(x.cx.memory, owner, candidate)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
                // Nothing of a former session goes on in this one.
                x.progress.end_session();
                x.progress.key_owner = owner.0;
                return x
                    .session
                    .initiate_implicitly(&keys, candidate, options, sequence, aid.as_bytes())
                    .map(|()| true)
                    .map_err(|_| Sw::CONDITIONS_NOT_SATISFIED);
            }
            version = keys::next_version(x.cx.memory, owner, next)?;
            next = version;
        }
        Ok(false)
    }

    /// The first command of an implicit session: with a good C-MAC, and once the counter is raised, the session is open.
    pub(super) fn open_implicitly<'o>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        out: &'o mut [u8],
    ) -> Result<Command<'o>, Sw> {
        let opened = x.session.unwrap(command, out);
        if opened.is_err() {
            x.session.end();
            return opened;
        }
        if let Err(sw) =
            keys::raise_counter(x.cx.memory, InstanceId(x.progress.key_owner), x.session.key_version())
        {
            x.session.end();
            return Err(sw);
        }
        opened
    }

    /// The domain whose keys serve a channel: this one, or while it has none for a channel the nearest above that has. [GPC 7.2]
    pub(super) fn key_owner(&self, cx: &mut Context<'_>, domain: &Domain, card: &Card) -> Result<Domain, Sw> {
        let mut owner = domain.clone();
        while let Some((record, _)) = &owner.supplementary {
            let above = record.domain;
            if owner.default_key_version(card) != 0 {
                break;
            }
            if let Some(scp11) = self.scp11
                && scp11.opens_channel(cx.memory, owner.instance)?
            {
                break;
            }
            let entry = cx.directory.entry(cx.memory, above)?;
            owner = Domain::read(cx.memory, above, entry.aid, owner.privileges)?;
        }
        Ok(owner)
    }
}

fn update_scp02(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    owner: InstanceId,
    version: u8,
    keys: &scp02::StaticKeys,
    options: scp02::Options,
    key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
    host_challenge: &[u8],
) -> Result<Answer, Sw> {
    let host_challenge = host_challenge.try_into().map_err(|_| Sw::WRONG_LENGTH)?;
    let aid = opened_on(x)?;
    let random = x.cx.random_bytes()?;
    let sequence = keys::sequence(x.cx.memory, owner, version)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    // At its end the counter opens no session any more.
    sequence.next().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    x.session
        .initialize_update_scp02(
            keys,
            version,
            key_diversification,
            options,
            host_challenge,
            random,
            sequence,
            aid.as_bytes(),
        )
        .map_err(|_| Sw::UNKNOWN)
}

/// The application the channel is opened on, which challenges and ICVs name, not its domain. [GPC E.4.2.3, AmdD 6.2.2.1]
fn opened_on(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<Aid, Sw> {
    match x.cx.served {
        Some(served) => Ok(registry::record(x.cx.memory, served)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.aid),
        None => Ok(x.cx.aid),
    }
}
