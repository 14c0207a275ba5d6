//! The host's keys in memory.

use core::marker::PhantomData;

use huiwan_crypto::{CryptoError, Suite, ct_eq};

use super::{KeyRefused, LoadKeys};
use crate::date::Stamp;
use crate::keys::{self, CardId, Deriver, KeyKind, KeyValue};
use crate::mac::Mac;
use crate::online::OnlineRequest;
use crate::personalisation::KeyData;
use crate::profile::Profile;
use crate::terminal::LoadRequest;
use crate::transaction::Transaction;

/// Which TAC key a card has.
///
/// A card answers version and algorithm of its purchase or load key and never those of its TAC key, so the issuer, who
/// personalised it, has to know them: by the card's serial number, its date of issue, or because both keys are always
/// rolled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TacKeyId {
    /// Version of the TAC key.
    pub version: u8,
    /// Its algorithm byte.
    pub algorithm: u8,
}

impl TacKeyId {
    /// TAC keys that have version and algorithm of the key the transaction was done with.
    #[must_use]
    pub const fn as_answered(transaction: &Transaction) -> Self {
        Self { version: transaction.key_version, algorithm: transaction.algorithm }
    }
}

/// Master keys in memory: `KEYS` of any kinds ([`KeyKind::Load`], [`KeyKind::Unload`], [`KeyKind::Update`],
/// [`KeyKind::GreyUnlock`] and [`KeyKind::Tac`] are used), told apart by kind, version and algorithm.
#[derive(Debug)]
pub struct SoftLoadKeys<S: Suite, const KEYS: usize> {
    profile: Profile,
    keys: [KeyData; KEYS],
    tac_key: fn(&Transaction) -> TacKeyId,
    online: Deriver<S::Key>,
    tac: Deriver<S::Key>,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite, const KEYS: usize> SoftLoadKeys<S, KEYS> {
    /// A provider with these master keys, from which [`Profile::path`] leads to a card's keys. TAC keys are looked up by
    /// [`TacKeyId::as_answered`].
    #[must_use]
    pub const fn new(profile: Profile, keys: [KeyData; KEYS]) -> Self {
        Self {
            profile,
            keys,
            tac_key: TacKeyId::as_answered,
            online: Deriver::new(),
            tac: Deriver::new(),
            suite: PhantomData,
        }
    }

    /// The same with another rule for TAC keys.
    #[must_use]
    pub const fn with_tac_key(mut self, tac_key: fn(&Transaction) -> TacKeyId) -> Self {
        self.tac_key = tac_key;
        self
    }

    /// The session key of an online transaction. [sheet 2.3]
    fn session(&mut self, request: &OnlineRequest) -> Result<S::Key, KeyRefused> {
        let init = &request.init;
        let (number, master) = find(&self.keys, request.key_kind(), init.key_version, init.algorithm)?;
        self.online
            .derive(number, init.algorithm, &master.value, &request.card, self.profile.path)
            .and_then(|key| keys::open::<S::Key>(init.algorithm, &key))
            .and_then(|key| keys::load_session(&key, init.random, init.online_seq))
            .map_err(refused)
    }

    /// The same session key, if MAC1 is right under it.
    fn session_of(&mut self, request: &OnlineRequest) -> Result<S::Key, KeyRefused> {
        let session = self.session(request)?;
        equal(request.mac1(&session), &request.init.mac1)?;
        Ok(session)
    }

    /// The card's TAC key as stored.
    fn dtk(&mut self, id: TacKeyId, card: &CardId) -> Result<KeyValue, KeyRefused> {
        let (number, master) = find(&self.keys, KeyKind::Tac, id.version, id.algorithm)?;
        self.tac.derive(number, id.algorithm, &master.value, card, self.profile.path).map_err(refused)
    }
}

impl<S: Suite, const KEYS: usize> LoadKeys for SoftLoadKeys<S, KEYS> {
    fn approve_load(&mut self, request: &LoadRequest, stamp: Stamp) -> Result<Mac, KeyRefused> {
        self.approve(&OnlineRequest::from(*request), stamp)
    }

    fn approve(&mut self, request: &OnlineRequest, stamp: Stamp) -> Result<Mac, KeyRefused> {
        if !request.is_possible() {
            return Err(KeyRefused::Impossible);
        }
        let session = self.session_of(request)?;
        request.mac2(&session, stamp).map_err(refused)
    }

    fn verify_mac1(&mut self, request: &OnlineRequest) -> Result<(), KeyRefused> {
        self.session_of(request).map(|_| ())
    }

    fn verify_tac(&mut self, transaction: &Transaction, tac: &Mac) -> Result<(), KeyRefused> {
        let id = (self.tac_key)(transaction);
        let dtk = self.dtk(id, &transaction.card)?;
        let key: S::Key = keys::tac_key(&self.profile, id.algorithm, &dtk).map_err(refused)?;
        equal(transaction.tac(&key), tac)
    }

    fn verify_mac3(&mut self, request: &OnlineRequest, stamp: Stamp, mac3: &Mac) -> Result<(), KeyRefused> {
        let transaction = request.transaction(stamp);
        if !transaction.has_mac3() {
            return Err(KeyRefused::Impossible);
        }
        // MAC3 has the fields of a load's TAC. [sheet 2.4]
        equal(transaction.tac(&self.session(request)?), mac3)
    }
}

fn find(
    keys: &[KeyData],
    kind: KeyKind,
    version: u8,
    algorithm: u8,
) -> Result<(usize, &KeyData), KeyRefused> {
    keys.iter()
        .enumerate()
        .find(|(_, key)| (key.kind, key.version, key.algorithm) == (kind, version, algorithm))
        .ok_or(KeyRefused::NoKey)
}

fn equal(expected: Result<Mac, CryptoError>, mac: &Mac) -> Result<(), KeyRefused> {
    let expected = expected.map_err(|_| KeyRefused::MacInvalid)?;
    if ct_eq(&expected, mac) { Ok(()) } else { Err(KeyRefused::MacInvalid) }
}

/// A key that cannot be used is as good as none.
fn refused(_: CryptoError) -> KeyRefused {
    KeyRefused::NoKey
}
