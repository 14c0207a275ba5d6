//! SCP11 on the card: opening a channel with elliptic curve keys of a security domain. (AmdF, from code that cites it)
//!
//! An image that calls [`CardManager::with_scp11`] links the curve, certificates and GENERATE KEY; others do not.

mod authenticate;
mod generate_key;
mod perform_security_operation;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{InstanceId, Memory};
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic};
use huiwan_crypto::kdf::Hash;

use super::domain::Domain;
use super::keys::{self, Key, KeySet};
use super::manager::{CardManager, Exchange, Handler};
use super::secure_channel::{CERTIFICATE_NOT_VERIFIED, NOT_ON_WHITELIST};
use crate::put_key::KeyType;
use crate::scp03::Mode;
use crate::scp11::{CURVE_P256, I, KID_AUTHORITY, PERFORM_SECURITY_OPERATION, Variant};
use crate::secure_channel::class;

/// Which SCP11 a card speaks. What the public texts leave open is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scp11Profile {
    /// The variants.
    pub variants: &'static [Variant],
    /// Length of challenges and MACs behind the handshake.
    pub mode: Mode,
    /// Reference of the curve in keys.
    pub curve: u8,
    /// What recognition and capability data tell: one "i" for each data object `64`. (observed on a card that speaks a, b and c)
    pub told: &'static [u16],
    /// Whether the time certificates are valid counts, on a band that knows the time. (our choice: the texts leave it to the domain)
    pub validity: bool,
    /// Whether certificates come in parts with bit 8 of P1 set, too (kaoh). The parts are durable until the last has come, so whoever is in
    /// reach can write up to 1,024 bytes each time; command chaining and extended length need no memory.
    pub parts: bool,
    /// Answer to a certificate that is malformed, wrongly signed, expired or of another usage. (from memory)
    pub not_verified: Sw,
    /// Answer to a certificate whose serial number is not on the list for the key. (from memory)
    pub not_listed: Sw,
}

impl Scp11Profile {
    /// All three variants with P-256, S8.
    pub const DEFAULT: Self = Self {
        variants: &[Variant::A, Variant::B, Variant::C],
        mode: Mode::S8,
        curve: CURVE_P256,
        told: &[I],
        validity: true,
        parts: true,
        not_verified: CERTIFICATE_NOT_VERIFIED,
        not_listed: NOT_ON_WHITELIST,
    };

    /// The same with other variants, and what tells of them.
    #[must_use]
    pub const fn with_variants(self, variants: &'static [Variant], told: &'static [u16]) -> Self {
        Self { variants, told, ..self }
    }

    /// The same in another mode.
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The same with another curve; the type that goes with it is the caller's affair.
    #[must_use]
    pub const fn with_curve(self, curve: u8) -> Self {
        Self { curve, ..self }
    }

    /// The same with or without a look at the clock.
    #[must_use]
    pub const fn with_validity(self, validity: bool) -> Self {
        Self { validity, ..self }
    }

    /// The same with or without certificates in parts.
    #[must_use]
    pub const fn with_parts(self, parts: bool) -> Self {
        Self { parts, ..self }
    }

    /// The same with other answers to certificates that are not verified or not on the list.
    #[must_use]
    pub const fn with_answers(self, not_verified: Sw, not_listed: Sw) -> Self {
        Self { not_verified, not_listed, ..self }
    }

    /// The variant that a key with this identifier is for, if this card speaks it.
    fn variant(&self, key_id: u8) -> Option<Variant> {
        Variant::from_key_id(key_id).filter(|variant| self.variants.contains(variant))
    }
}

/// What SCP11 adds to the card manager.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scp11 {
    pub(super) profile: Scp11Profile,
    perform: Handler,
    authenticate: Handler,
    pub(super) generate: Handler,
    is_private: fn(&[u8]) -> bool,
    is_point: fn(&[u8]) -> bool,
}

impl CardManager<'_> {
    /// The same with SCP11 over this curve and, under the key derivation and certificates, this hash function.
    #[must_use]
    pub const fn with_scp11<C: Curve, H: Hash>(self, profile: Scp11Profile) -> Self {
        let scp11 = Scp11 {
            profile,
            perform: |manager, x, command| manager.perform_security_operation::<C, H>(x, command),
            authenticate: |manager, x, command| manager.authenticate_host::<C, H>(x, command),
            generate: |manager, x, command| manager.generate_key::<C>(x, command),
            is_private: |d| EcPrivate::<C>::new(d).is_ok(),
            is_point: |point| EcPublic::<C>::new(point).is_ok(),
        };
        Self { scp11: Some(scp11), ..self }
    }
}

impl Scp11 {
    /// The handshake command this is, if it is one. EXTERNAL AUTHENTICATE has the same instruction byte as MUTUAL AUTHENTICATE, but always
    /// a MAC and no key in P2.
    pub(super) fn handshake(&self, command: &Command<'_>) -> Option<Handler> {
        let plain = !class::is_protected(command.cla());
        match command.ins() {
            PERFORM_SECURITY_OPERATION => Some(self.perform),
            0x82 if plain && command.p2() != 0 => Some(self.authenticate),
            0x88 if plain => Some(self.authenticate),
            _ => None,
        }
    }

    /// Whether a key that comes by PUT KEY can be used here: a private one in the place of a variant, a point of an authority. Public keys in
    /// other places, or on another curve, are not of this protocol.
    pub(super) fn takes(&self, id: u8, key_type: KeyType, curve: u8, value: &[u8]) -> bool {
        match key_type {
            KeyType::EccPrivate => {
                curve == self.profile.curve && self.profile.variant(id).is_some() && (self.is_private)(value)
            }
            KeyType::EccPublic if is_authority(id) && curve == self.profile.curve => (self.is_point)(value),
            _ => true,
        }
    }

    /// Whether a domain has what it takes to know a host by its own keys: one of a variant that authenticates hosts, and an authority's.
    pub(super) fn opens_channel(&self, memory: &mut dyn Memory, domain: InstanceId) -> Result<bool, Sw> {
        let (mut own, mut authority, mut after) = (false, false, None);
        while let Some(version) = keys::next_version(memory, domain, after)? {
            after = Some(version);
            let set = KeySet::read(memory, domain, version)?.ok_or(Sw::MEMORY_FAILURE)?;
            for key in set.keys() {
                let knows_hosts = self.profile.variant(key.id).is_some_and(Variant::authenticates_host);
                own |= knows_hosts && key.key_type == KeyType::EccPrivate;
                authority |= is_authority(key.id) && key.key_type == KeyType::EccPublic;
            }
        }
        Ok(own && authority)
    }
}

/// Whether a key with this identifier is that of an authority of hosts. Others, for tokens or signatures of load files, vouch for nobody.
const fn is_authority(id: u8) -> bool {
    matches!(id, KID_AUTHORITY | 0x20..=0x2F)
}

/// The key with this identifier and version (00: the first that has it) that `wanted` reads, in this domain's own key sets.
fn find<T>(
    memory: &mut dyn Memory,
    domain: InstanceId,
    (id, version): (u8, u8),
    wanted: impl Fn(&Key<'_>) -> Option<T>,
) -> Result<Option<(u8, T)>, Sw> {
    let mut after = None;
    while let Some(held) = keys::next_version(memory, domain, after)? {
        after = Some(held);
        if version == 0 || version == held {
            let set = KeySet::read(memory, domain, held)?.ok_or(Sw::MEMORY_FAILURE)?;
            if let Some(key) = set.key(id).as_ref().and_then(&wanted) {
                return Ok(Some((held, key)));
            }
        }
    }
    Ok(None)
}

impl CardManager<'_> {
    /// The same in the domain of the command, or while that has no keys of a channel in the nearest above that has. [GPC 7.2]
    fn find_above<T>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        place: (u8, u8),
        wanted: impl Fn(&Key<'_>) -> Option<T>,
    ) -> Result<Option<(Domain, u8, T)>, Sw> {
        let own = x.domain.clone();
        if own.speaks_scp11()
            && let Some((version, key)) = find(x.cx.memory, own.instance, place, &wanted)?
        {
            return Ok(Some((own, version, key)));
        }
        let above = self.key_owner(x.cx, &x.domain, &x.card)?;
        if above.instance == own.instance || !above.speaks_scp11() {
            return Ok(None);
        }
        let found = find(x.cx.memory, above.instance, place, &wanted)?;
        Ok(found.map(|(version, key)| (above, version, key)))
    }
}
