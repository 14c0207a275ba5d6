//! Keys in memory.

use core::fmt;

use huiwan_apdu::Command;
use huiwan_card::DateTime;
use huiwan_crypto::ec::EcPrivate;
use huiwan_crypto::kdf::Sha256;
use huiwan_crypto::{Aes, Random, Secret, Tdes};
use zeroize::Zeroizing;

use super::super::secure_channel::{ExternalAuthenticate, Open};
use super::{
    Derivation, ImplicitRequest, KeyError, KeyHandle, KeyRef, KeyStore, OpenRequest, PinBlock, Scp11Request,
    SessionId, ZoneValue,
};
use crate::diversification::{self, Purpose};
use crate::initialize_update::{Answer, Proof};
use crate::put_key::{self, KeyType};
use crate::scp11::Variant;
use crate::secure_channel::{Scp, StaticKeysRef};
use crate::{scp02, scp03};

mod agreement;
mod single;
mod zone;

use agreement::Agreeing;
pub use single::{NoRandom, SingleKey};

/// A key set in memory: ENC, MAC, DEK of one algorithm and length.
#[derive(Clone)]
struct KeySet {
    id: u32,
    raw: [Secret<32>; 3],
    len: usize,
    keys: StaticKeys,
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "expanded keys; a boxed one would need alloc")]
enum StaticKeys {
    Des(scp02::StaticKeys),
    Aes(scp03::StaticKeys),
}

impl StaticKeys {
    const fn key_type(&self) -> KeyType {
        match self {
            Self::Des(_) => KeyType::Des,
            Self::Aes(_) => KeyType::Aes,
        }
    }
}

impl<'a> From<&'a StaticKeys> for StaticKeysRef<'a> {
    fn from(keys: &'a StaticKeys) -> Self {
        match keys {
            StaticKeys::Des(keys) => Self::Des(keys),
            StaticKeys::Aes(keys) => Self::Aes(keys),
        }
    }
}

impl KeySet {
    fn aes(id: u32, [enc, mac, dek]: [&[u8]; 3]) -> Result<Self, KeyError> {
        let keys = scp03::StaticKeys::new(enc, mac, dek).map_err(|_| KeyError::Unavailable)?;
        Self::of(id, StaticKeys::Aes(keys), [enc, mac, dek])
    }

    fn des(id: u32, [enc, mac, dek]: [&[u8]; 3]) -> Result<Self, KeyError> {
        let keys = scp02::StaticKeys::new(enc, mac, dek).map_err(|_| KeyError::Unavailable)?;
        Self::of(id, StaticKeys::Des(keys), [enc, mac, dek])
    }

    fn of(id: u32, keys: StaticKeys, [enc, mac, dek]: [&[u8]; 3]) -> Result<Self, KeyError> {
        Ok(Self { id, raw: [secret(enc)?, secret(mac)?, secret(dek)?], len: enc.len(), keys })
    }
}

struct Session {
    id: SessionId,
    open: Open,
    /// SCP11 has none.
    keys: Option<StaticKeys>,
}

impl Session {
    /// A key as it leaves the store, in blocks of the session's DEK.
    fn wrapped<'b>(&self, clear: &[u8], block: &'b mut [u8; 32]) -> Result<&'b [u8], KeyError> {
        // An AES-192 key fills its second AES block with zeros, which say nothing about the key. [AmdD 7.2]
        let len = clear.len().checked_next_multiple_of(self.open.block_len()).ok_or(KeyError::Unavailable)?;
        block.fill(0);
        let padded = block.get_mut(..len).ok_or(KeyError::Unavailable)?;
        padded.get_mut(..clear.len()).ok_or(KeyError::Unavailable)?.copy_from_slice(clear);
        self.encrypt(padded)?;
        Ok(padded)
    }

    /// Whole blocks under the session's DEK, in place.
    fn encrypt(&self, data: &mut [u8]) -> Result<(), KeyError> {
        self.open
            .encrypt_sensitive(self.keys.as_ref().map(StaticKeysRef::from), data)
            .map_err(|_| KeyError::TooLong)
    }
}

/// Keys and sessions in memory: up to `KEYS` key sets, as many keys that stand alone, and `SESSIONS` sessions at once.
///
/// `R` is a random source, which some operations need: RSA signatures and SCP11, whose curve here is P-256 and whose hash SHA-256.
pub struct SoftKeyStore<const KEYS: usize, const SESSIONS: usize, R = NoRandom> {
    sets: heapless::Vec<KeySet, KEYS>,
    singles: heapless::Vec<(KeyHandle, SingleKey), KEYS>,
    sessions: heapless::Vec<Session, SESSIONS>,
    agreeing: heapless::Vec<Agreeing, SESSIONS>,
    next: u32,
    now: Option<DateTime>,
    random: R,
}

impl<const KEYS: usize, const SESSIONS: usize> Default for SoftKeyStore<KEYS, SESSIONS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const KEYS: usize, const SESSIONS: usize, R> fmt::Debug for SoftKeyStore<KEYS, SESSIONS, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftKeyStore")
            .field("key_sets", &self.sets.len())
            .field("single_keys", &self.singles.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl<const KEYS: usize, const SESSIONS: usize> SoftKeyStore<KEYS, SESSIONS> {
    /// An empty store without a random source.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_random(NoRandom)
    }
}

impl<const KEYS: usize, const SESSIONS: usize, R> SoftKeyStore<KEYS, SESSIONS, R> {
    /// An empty store.
    #[must_use]
    pub const fn with_random(random: R) -> Self {
        Self {
            sets: heapless::Vec::new(),
            singles: heapless::Vec::new(),
            sessions: heapless::Vec::new(),
            agreeing: heapless::Vec::new(),
            next: 1,
            now: None,
            random,
        }
    }

    /// Tells the store the time, UTC, which the certificates of cards are checked against. Until then they are taken to be valid.
    pub const fn set_time(&mut self, now: DateTime) {
        self.now = Some(now);
    }

    /// Adds or replaces a key set under a name of the caller's: three AES keys of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] if the keys are no AES keys of one length, [`KeyError::Full`] if there is no room.
    pub fn insert(&mut self, id: u32, enc: &[u8], mac: &[u8], dek: &[u8]) -> Result<(), KeyError> {
        self.put(KeySet::aes(id, [enc, mac, dek])?)
    }

    /// Adds or replaces a key set under a name of the caller's: three double-length DES keys, 16 bytes each, or the same one three times
    /// for a card with one base key.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] if the keys are no such keys, [`KeyError::Full`] if there is no room.
    pub fn insert_des(&mut self, id: u32, enc: &[u8], mac: &[u8], dek: &[u8]) -> Result<(), KeyError> {
        self.put(KeySet::des(id, [enc, mac, dek])?)
    }

    /// Adds or replaces a key that stands alone, under a name of the caller's.
    ///
    /// # Errors
    /// [`KeyError::Full`] if there is no room.
    pub fn insert_single(&mut self, handle: KeyHandle, key: SingleKey) -> Result<(), KeyError> {
        match self.singles.iter_mut().find(|(old, _)| *old == handle) {
            Some((_, old)) => *old = key,
            None => self.singles.push((handle, key)).map_err(|_| KeyError::Full)?,
        }
        Ok(())
    }

    fn put(&mut self, set: KeySet) -> Result<(), KeyError> {
        match self.sets.iter_mut().find(|old| old.id == set.id) {
            Some(old) => *old = set,
            None => self.sets.push(set).map_err(|_| KeyError::Full)?,
        }
        Ok(())
    }

    /// The card's keys: the named set, or what follows from it and the card's diversification data.
    fn set(&self, key: KeyRef, key_diversification: &[u8; 10]) -> Result<KeySet, KeyError> {
        let master = self.sets.iter().find(|set| set.id == key.id).ok_or(KeyError::UnknownKey)?;
        if key.derivation == Derivation::None {
            return Ok(master.clone());
        }
        let mut keys = [(); 3].map(|()| Zeroizing::new([0; 32]));
        for ((purpose, raw), out) in Purpose::ALL.into_iter().zip(&master.raw).zip(&mut keys) {
            let clear = raw.expose().get(..master.len).ok_or(KeyError::Unavailable)?;
            let out = out.get_mut(..master.len).ok_or(KeyError::Unavailable)?;
            match (key.derivation, &master.keys) {
                (Derivation::Des(scheme), StaticKeys::Des(_)) => {
                    let clear = clear.try_into().map_err(|_| KeyError::Unavailable)?;
                    let derived = scheme.derive(&Tdes::new2(clear), key_diversification, purpose);
                    out.copy_from_slice(derived.expose());
                }
                (Derivation::Kdf3, StaticKeys::Aes(_)) => Aes::new(clear)
                    .and_then(|master| diversification::kdf3(&master, key_diversification, purpose, out))
                    .map_err(|_| KeyError::Unavailable)?,
                _ => return Err(KeyError::Algorithm),
            }
        }
        let raw = keys.each_ref().map(|key| key.get(..master.len).unwrap_or_default());
        match &master.keys {
            StaticKeys::Des(_) => KeySet::des(master.id, raw),
            StaticKeys::Aes(_) => KeySet::aes(master.id, raw),
        }
    }

    fn single(&self, handle: KeyHandle) -> Result<&SingleKey, KeyError> {
        let named = self.singles.iter().find(|(name, _)| *name == handle);
        named.map(|(_, key)| key).ok_or(KeyError::UnknownKey)
    }

    fn key_and_session(&self, handle: KeyHandle, id: SessionId) -> Result<(&SingleKey, &Session), KeyError> {
        let session = self.sessions.iter().find(|session| session.id == id);
        Ok((self.single(handle)?, session.ok_or(KeyError::UnknownSession)?))
    }

    fn next_session(&mut self) -> SessionId {
        let id = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }

    fn add(&mut self, open: Open, keys: Option<StaticKeys>) -> Result<SessionId, KeyError> {
        let id = self.next_session();
        self.sessions.push(Session { id, open, keys }).map_err(|_| KeyError::Full)?;
        Ok(id)
    }

    fn session(&mut self, id: SessionId) -> Result<&mut Session, KeyError> {
        self.sessions.iter_mut().find(|session| session.id == id).ok_or(KeyError::UnknownSession)
    }
}

fn secret(key: &[u8]) -> Result<Secret<32>, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.get_mut(..key.len()).ok_or(KeyError::Unavailable)?.copy_from_slice(key);
    Ok(Secret::new(*bytes))
}

impl<const KEYS: usize, const SESSIONS: usize, R: Random> KeyStore for SoftKeyStore<KEYS, SESSIONS, R> {
    fn open(&mut self, request: &OpenRequest) -> Result<(SessionId, ExternalAuthenticate), KeyError> {
        let handshake = request.handshake();
        let protocol = handshake.protocol(&request.answer);
        if !protocol.allows(request.level) {
            return Err(KeyError::Level);
        }
        let keys = self.set(request.key, &request.answer.key_diversification)?.keys;
        if matches!(protocol, Scp::Scp03(_)) != matches!(keys, StaticKeys::Aes(_)) {
            return Err(KeyError::Algorithm);
        }
        let verified = handshake
            .verify_card(request.cla, &request.answer, &keys, request.level)
            .map_err(|_| KeyError::CardCryptogram)?;
        let external_authenticate = verified.external_authenticate();
        Ok((self.add(verified.presumed(), Some(keys))?, external_authenticate))
    }

    fn open_ahead(&mut self, request: &OpenRequest) -> Result<(SessionId, ExternalAuthenticate), KeyError> {
        let keys = self.set(request.key, &request.answer.key_diversification)?.keys;
        let failed = |_| KeyError::Unavailable;
        let (challenge, aid) = (&request.host_challenge, request.aid.as_bytes());
        let proof = match (request.answer.proof, &keys) {
            (Proof::Scp03 { options, counter: Some(counter), .. }, StaticKeys::Aes(keys)) => {
                let card_challenge =
                    scp03::challenge::pseudo_random(keys, counter, aid, challenge.mode()).map_err(failed)?;
                let session =
                    scp03::SessionKeys::derive(keys, challenge.as_bytes(), card_challenge.as_bytes())
                        .map_err(failed)?;
                let card_cryptogram =
                    scp03::cryptogram::card(&session, challenge.as_bytes(), card_challenge.as_bytes())
                        .map_err(failed)?;
                Proof::Scp03 { options, card_challenge, card_cryptogram, counter: Some(counter) }
            }
            (Proof::Scp02 { sequence, .. }, StaticKeys::Des(keys)) if request.scp02.predictable() => {
                let session = scp02::SessionKeys::derive(keys, sequence).map_err(failed)?;
                let card_challenge = scp02::challenge::predictable(&session, aid);
                let host = challenge.as_bytes().try_into().map_err(|_| KeyError::Unavailable)?;
                let card_cryptogram = scp02::cryptogram::card(&session, host, sequence, &card_challenge);
                Proof::Scp02 { sequence, card_challenge, card_cryptogram }
            }
            (Proof::Scp03 { .. }, StaticKeys::Des(_)) | (Proof::Scp02 { .. }, StaticKeys::Aes(_)) => {
                return Err(KeyError::Algorithm);
            }
            _ => return Err(KeyError::Unavailable),
        };
        self.open(&OpenRequest { answer: Answer { proof, ..request.answer }, ..*request })
    }

    fn open_implicit(&mut self, request: &ImplicitRequest) -> Result<SessionId, KeyError> {
        let keys = self.set(request.key, &request.key_diversification)?.keys;
        let StaticKeys::Des(des) = &keys else { return Err(KeyError::Algorithm) };
        let open = Open::implicit(request.options, des, request.sequence, request.aid.as_bytes())
            .map_err(|_| KeyError::Unavailable)?;
        self.add(open, Some(keys))
    }

    fn begin_scp11<'o>(
        &mut self,
        request: &Scp11Request,
        certificates: &[u8],
        out: &'o mut [u8],
    ) -> Result<(SessionId, &'o [u8]), KeyError> {
        let card = self.card_key(request, certificates)?;
        let ephemeral = EcPrivate::generate(&mut self.random).map_err(|_| KeyError::Unavailable)?;
        let handshake = agreement::begin(request, ephemeral)?;
        let data = agreement::copy(handshake.data(), out)?;
        let id = self.next_session();
        self.agreeing
            .push(Agreeing { id, request: *request, card, handshake })
            .map_err(|_| KeyError::Full)?;
        Ok((id, data))
    }

    fn finish_scp11(&mut self, session: SessionId, answer: &[u8]) -> Result<(), KeyError> {
        let place = self.agreeing.iter().position(|agreeing| agreeing.id == session);
        let agreeing = self.agreeing.swap_remove(place.ok_or(KeyError::UnknownSession)?);
        let own = self.own_key(&agreeing.request)?;
        let open = agreeing.finish(answer, own)?;
        self.sessions.push(Session { id: session, open, keys: None }).map_err(|_| KeyError::Full)
    }

    fn scp11_ahead<'o>(
        &mut self,
        request: &Scp11Request,
        certificates: &[u8],
        seed: &[u8; 16],
        out: &'o mut [u8],
    ) -> Result<(SessionId, &'o [u8]), KeyError> {
        let card = self.card_key(request, certificates)?;
        let own =
            self.own_key(request)?.filter(|_| request.variant == Variant::C).ok_or(KeyError::Algorithm)?;
        let handshake = agreement::begin(request, agreement::ephemeral_of(own, &card, seed)?)?;
        let data = agreement::copy(handshake.data(), out)?;
        let open = handshake
            .presumed::<Sha256>(&card, Some(own), request.mode)
            .map_err(|_| KeyError::Unavailable)?;
        Ok((self.add(open, None)?, data))
    }

    fn wrap<'o>(
        &mut self,
        session: SessionId,
        command: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let command = Command::parse(command).map_err(|_| KeyError::TooLong)?;
        Ok(self.session(session)?.open.wrap(&command, out)?)
    }

    fn unwrap<'o>(
        &mut self,
        session: SessionId,
        response: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let (data, sw) = {
            let opened = self.session(session)?.open.unwrap(response, out)?;
            (opened.data().len(), opened.sw().value().to_be_bytes())
        };
        let end = data.checked_add(2).ok_or(KeyError::Full)?;
        let whole = out.get_mut(..end).ok_or(KeyError::Full)?;
        whole.get_mut(data..).ok_or(KeyError::Full)?.copy_from_slice(&sw);
        Ok(whole)
    }

    fn encrypt<'o>(
        &mut self,
        session: SessionId,
        data: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let out = out.get_mut(..data.len()).ok_or(KeyError::Full)?;
        out.copy_from_slice(data);
        self.session(session)?.encrypt(out)?;
        Ok(out)
    }

    fn export_keys<'o>(
        &mut self,
        session: SessionId,
        key: KeyRef,
        version: u8,
        key_diversification: &[u8; 10],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let set = self.set(key, key_diversification)?;
        let session = self.session(session)?;
        let key_type = set.keys.key_type();
        *out.first_mut().ok_or(KeyError::Full)? = version;
        let mut at = 1;
        for raw in &set.raw {
            let clear = raw.expose().get(..set.len).ok_or(KeyError::Unavailable)?;
            let check_value = key_type.check_value(clear).ok_or(KeyError::Unavailable)?;
            let mut block = Zeroizing::new([0; 32]);
            let block = session.wrapped(clear, &mut block)?;
            at = put_key::put_field(out, at, key_type, set.len, block, &check_value).ok_or(KeyError::Full)?;
        }
        out.get(..at).ok_or(KeyError::Full)
    }

    fn wrap_key<'o>(
        &mut self,
        session: SessionId,
        key: KeyHandle,
        key_type: KeyType,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let (key, session) = self.key_and_session(key, session)?;
        let len = key.put(session, key_type, out)?;
        out.get(..len).ok_or(KeyError::Full)
    }

    fn reencrypt<'o>(
        &mut self,
        session: SessionId,
        zone: KeyHandle,
        value: &ZoneValue<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let (zone, session) = self.key_and_session(zone, session)?;
        session.reencrypt(zone, value, out)
    }

    fn translate_pin_block<'o>(
        &mut self,
        session: SessionId,
        zone: KeyHandle,
        pin: &PinBlock<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let (zone, session) = self.key_and_session(zone, session)?;
        session.translate_pin_block(zone, pin, out)
    }

    fn sign_token<'o>(
        &mut self,
        key: KeyHandle,
        message: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let named = self.singles.iter().find(|(name, _)| *name == key);
        let (_, key) = named.ok_or(KeyError::UnknownKey)?;
        key.sign(message, &mut self.random, out)
    }

    fn verify_receipt(&mut self, key: KeyHandle, message: &[u8], receipt: &[u8]) -> Result<(), KeyError> {
        self.single(key)?.verify(message, receipt)
    }

    fn close(&mut self, session: SessionId) {
        self.agreeing.retain(|agreeing| agreeing.id != session);
        self.sessions.retain(|open| open.id != session);
    }
}
