//! Load and TAC keys in memory.

use core::marker::PhantomData;

use huiwan_crypto::{CryptoError, Suite, ct_eq};

use super::{KeyRefused, LoadKeys};
use crate::date::Stamp;
use crate::keys::{self, CardId, Deriver, KeyKind, KeyValue};
use crate::mac::{LoadMac1, LoadMac2, Mac, Message};
use crate::personalisation::KeyData;
use crate::profile::Profile;
use crate::terminal::LoadRequest;
use crate::transaction::Transaction;

/// Master keys in memory: `KEYS` of any kinds ([`KeyKind::Load`] and [`KeyKind::Tac`] are used), told apart by kind,
/// version and algorithm.
#[derive(Debug)]
pub struct SoftLoadKeys<S: Suite, const KEYS: usize> {
    profile: Profile,
    keys: [KeyData; KEYS],
    deriver: Deriver,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite, const KEYS: usize> SoftLoadKeys<S, KEYS> {
    /// A provider with these master keys, from which [`Profile::path`] leads to a card's keys.
    #[must_use]
    pub const fn new(profile: Profile, keys: [KeyData; KEYS]) -> Self {
        Self { profile, keys, deriver: Deriver::new(), suite: PhantomData }
    }

    /// The card's key.
    fn card_key(
        &mut self,
        kind: KeyKind,
        version: u8,
        algorithm: u8,
        card: &CardId,
    ) -> Result<KeyValue, KeyRefused> {
        let (number, master) = self
            .keys
            .iter()
            .enumerate()
            .find(|(_, key)| (key.kind, key.version, key.algorithm) == (kind, version, algorithm))
            .ok_or(KeyRefused::NoKey)?;
        let path = self.profile.path;
        self.deriver.derive::<S::Key>(number, algorithm, &master.value, card, path).map_err(refused)
    }
}

impl<S: Suite, const KEYS: usize> LoadKeys for SoftLoadKeys<S, KEYS> {
    fn approve_load(&mut self, request: &LoadRequest, stamp: Stamp) -> Result<Mac, KeyRefused> {
        let LoadRequest { card, tti, terminal, amount, init, .. } = *request;
        let dlk = self.card_key(KeyKind::Load, init.key_version, init.algorithm, &card)?;
        let session: S::Key = keys::open(init.algorithm, &dlk)
            .and_then(|dlk| keys::load_session(&dlk, init.random, init.online_seq))
            .map_err(refused)?;
        LoadMac1 { balance: init.balance, amount, tti, terminal }
            .verify(&session, &init.mac1)
            .map_err(|_| KeyRefused::MacInvalid)?;
        LoadMac2 { amount, tti, terminal, stamp }.mac(&session).map_err(refused)
    }

    fn verify_tac(&mut self, transaction: &Transaction, tac: &Mac) -> Result<(), KeyRefused> {
        let Transaction { key_version, algorithm, card, .. } = transaction;
        let dtk = self.card_key(KeyKind::Tac, *key_version, *algorithm, card)?;
        let key: S::Key = keys::tac_key(&self.profile, *algorithm, &dtk).map_err(refused)?;
        let expected = transaction.tac(&key).map_err(|_| KeyRefused::MacInvalid)?;
        if ct_eq(&expected, tac) { Ok(()) } else { Err(KeyRefused::MacInvalid) }
    }
}

/// A key that cannot be used is as good as none.
fn refused(_: CryptoError) -> KeyRefused {
    KeyRefused::NoKey
}
