//! The security domain a command is for: the issuer's, or a supplementary one. [GPC 7]
//!
//! A supplementary domain is an instance of the card manager's own module. Its settings are one object of its own:
//! ```text
//! 01 ‖ default key version ‖ i of SCP03 ‖ accepts extradition to it ‖ accepts deletion of it ‖ accepts extradition away
//!    ‖ restrictions ‖ authority capabilities (2) [ ‖ flags: b1 no SCP02, b2 no SCP03, b3 needs no personalisation, b4 no SCP11 ]
//! ```

use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, InstanceId, Memory};

use super::registry::{self, Card, Record};
use super::{CardProfile, Scp11Profile, objects};
use crate::install::DomainParameters;
use crate::life_cycle::ApplicationState;
use crate::privileges::Privileges;
use crate::recognition::Protocol;
use crate::scp03::{self, Options};
use crate::{scp02, scp11};

const VERSION: u8 = 0x01;
const NO_SCP02: u8 = 0x01;
const NO_SCP03: u8 = 0x02;
const PERSONALISED: u8 = 0x04;
const NO_SCP11: u8 = 0x08;
/// Acceptance where the parameters leave it out: it is the issuer's policy, and ours is to accept. [GPC 11.5.2.3.7]
const EVERYBODY: u8 = 0xF8;

/// What a supplementary domain was given at installation and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Version that key version 00 of INITIALIZE UPDATE names; 00 while there are no keys.
    pub(crate) default_key_version: u8,
    /// Whether its key sets of DES keys open channels, where the card speaks SCP02.
    pub(crate) scp02: bool,
    /// "i" of its SCP03.
    pub(crate) scp03: Options,
    /// Whether its key sets of AES keys open channels.
    pub(crate) speaks_scp03: bool,
    /// Whether its keys of SCP11 open channels, where the card speaks it.
    pub(crate) scp11: bool,
    /// Whose extradition to it is accepted, see [`DomainParameters`].
    pub(crate) accepts: u8,
    /// Whose deletion of it is accepted.
    pub(crate) deletable: u8,
    /// Whose extradition away from it is accepted.
    pub(crate) releases: u8,
    /// Functions it has lost by registry update (tag D9).
    pub(crate) restricted: u8,
    /// Controlling authority capabilities (tag 86); told, not acted upon.
    pub(crate) authority: [u8; 2],
    /// It is PERSONALIZED as soon as it is selectable.
    pub(crate) personalised: bool,
}

impl Settings {
    /// From the parameters of INSTALL; what they leave out is as the profile says, and everything is accepted.
    pub(crate) fn new(
        parameters: &DomainParameters<'_>,
        profile: &CardProfile,
        card_scp11: Option<Scp11Profile>,
    ) -> Result<Self, Sw> {
        let all = parameters.secure_channels.is_empty();
        let mut scp11 = all;
        let (mut scp02, mut scp03) = (all && profile.scp02.is_some(), all.then_some(profile.scp03));
        for Protocol { scp, i } in parameters.protocols() {
            let byte = u8::try_from(i).ok();
            // Only what the card does is agreed to.
            match scp {
                scp03::SCP => scp03 = Some(byte.and_then(Options::from_byte).ok_or(Sw::WRONG_DATA)?),
                scp02::SCP if profile.scp02.is_some_and(|options| Some(options.byte()) == byte) => {
                    scp02 = true;
                }
                scp11::SCP if card_scp11.is_some_and(|card| card.told.contains(&i)) => scp11 = true,
                _ => return Err(Sw::WRONG_DATA),
            }
        }
        // The second of two bytes adds to the first.
        let accepted = |value: Option<&[u8]>| {
            value.map_or(EVERYBODY, |bits| bits.iter().fold(0, |all, bits| all | bits))
        };
        Ok(Self {
            default_key_version: 0,
            scp02,
            scp03: scp03.unwrap_or(profile.scp03),
            speaks_scp03: scp03.is_some(),
            scp11,
            accepts: accepted(parameters.accept_extradition),
            deletable: accepted(parameters.accept_deletion),
            releases: accepted(parameters.accept_extradition_away),
            restricted: 0,
            authority: parameters.authority.unwrap_or_default(),
            personalised: parameters.personalised,
        })
    }

    pub(crate) fn read(memory: &mut dyn Memory, domain: InstanceId) -> Result<Self, Sw> {
        let mut raw = [0; 11];
        let (head, flags) = match memory.read(objects::settings(domain), 0, &mut raw)? {
            [head @ .., flags] if head.len() == 9 => (head, *flags),
            head => (head, 0),
        };
        match *head {
            [VERSION, default_key_version, i, accepts, deletable, releases, restricted, a1, a2] => Ok(Self {
                default_key_version,
                scp02: flags & NO_SCP02 == 0,
                speaks_scp03: flags & NO_SCP03 == 0,
                scp11: flags & NO_SCP11 == 0,
                personalised: flags & PERSONALISED != 0,
                scp03: Options::from_byte(i).ok_or(Sw::MEMORY_FAILURE)?,
                accepts,
                deletable,
                releases,
                restricted,
                authority: [a1, a2],
            }),
            _ => Err(Sw::MEMORY_FAILURE),
        }
    }

    pub(crate) fn put(&self, domain: InstanceId, batch: &mut Batch<'_>) {
        let [a1, a2] = self.authority;
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let flags = flag(!self.scp02, NO_SCP02)
            | flag(!self.speaks_scp03, NO_SCP03)
            | flag(!self.scp11, NO_SCP11)
            | flag(self.personalised, PERSONALISED);
        batch.put(
            objects::settings(domain),
            &[
                VERSION,
                self.default_key_version,
                self.scp03.byte(),
                self.accepts,
                self.deletable,
                self.releases,
                self.restricted,
                a1,
                a2,
                flags,
            ],
        );
    }
}

/// The domain of a command.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    pub(crate) instance: InstanceId,
    pub(crate) aid: Aid,
    pub(crate) privileges: Privileges,
    /// Registry entry and settings of a supplementary domain.
    pub(crate) supplementary: Option<(Record, Settings)>,
}

impl Domain {
    pub(crate) fn read(
        memory: &mut dyn Memory,
        instance: InstanceId,
        aid: Aid,
        issuer: Privileges,
    ) -> Result<Self, Sw> {
        if instance == InstanceId::ISSUER {
            return Ok(Self { instance, aid, privileges: issuer, supplementary: None });
        }
        let record = registry::record(memory, instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let settings = Settings::read(memory, instance)?;
        Ok(Self { instance, aid, privileges: record.privileges, supplementary: Some((record, settings)) })
    }

    pub(crate) fn has(&self, privilege: Privileges) -> bool {
        self.privileges.contains(privilege)
    }

    /// The version that key version 00 names.
    pub(crate) fn default_key_version(&self, card: &Card) -> u8 {
        match &self.supplementary {
            None => card.default_key_version,
            Some((_, settings)) => settings.default_key_version,
        }
    }

    /// Adds to a batch: key version 00 names `version`.
    pub(crate) fn put_default_key_version(&mut self, version: u8, card: &mut Card, batch: &mut Batch<'_>) {
        match &mut self.supplementary {
            None => {
                card.default_key_version = version;
                card.put(batch);
            }
            Some((record, settings)) => {
                settings.default_key_version = version;
                settings.put(record.instance, batch);
            }
        }
    }

    /// Adds to a batch: with its first keys a supplementary domain is PERSONALIZED. [GPC 5.3.2]
    pub(crate) fn put_personalised(&mut self, batch: &mut Batch<'_>) {
        if let Some((record, _)) = &mut self.supplementary
            && record.state == ApplicationState::SELECTABLE
        {
            record.state = ApplicationState::PERSONALIZED;
            record.put(batch);
        }
    }

    /// Whether what this domain does to `other` is accepted with these bits of its settings.
    pub(crate) fn is_accepted(&self, memory: &mut dyn Memory, bits: u8, other: &Record) -> Result<bool, Sw> {
        let above = self.instance == InstanceId::ISSUER || registry::is_below(memory, other, self.instance)?;
        let authorized = self.has(Privileges::AUTHORIZED_MANAGEMENT);
        // Every domain is in the hierarchy of the issuer's.
        Ok((bits & 0x80 != 0 && above && authorized)
            || (bits & 0x48 != 0 && authorized)
            || (bits & 0x20 != 0 && self.instance == InstanceId::ISSUER)
            || (bits & 0x10 != 0 && self.has(Privileges::DELEGATED_MANAGEMENT)))
    }

    /// SCP02 as this domain speaks it on a card that speaks it so.
    pub(crate) fn scp02(&self, card: Option<scp02::Options>) -> Option<scp02::Options> {
        card.filter(|_| self.supplementary.as_ref().is_none_or(|(_, settings)| settings.scp02))
    }

    /// Whether its AES keys open channels.
    pub(crate) fn speaks_scp03(&self) -> bool {
        self.supplementary.as_ref().is_none_or(|(_, settings)| settings.speaks_scp03)
    }

    /// Whether its keys of SCP11 open channels, on a card that speaks it.
    pub(crate) fn speaks_scp11(&self) -> bool {
        self.supplementary.as_ref().is_none_or(|(_, settings)| settings.scp11)
    }

    /// Whether registry update took this function (a bit of tag D9) from the domain.
    pub(crate) fn is_restricted(&self, function: u8) -> bool {
        self.supplementary.as_ref().is_some_and(|(_, settings)| settings.restricted & function != 0)
    }
}
