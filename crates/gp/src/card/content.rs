//! Content management on the authority of others: tokens, receipts, and the signatures of load files. [GPC 9.1.3, C]
//!
//! An image that calls [`CardManager::with_content_management`] links LOAD and all this; others do not.

use core::fmt;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, InstanceId, Memory, MemoryError};
use huiwan_crypto::{CryptoError, ct_eq};

use super::keys::{Key, KeySet};
use super::manager::{CardManager, Done, Exchange, Handler};
use super::{load, objects};
use crate::capability::CURVES_MAX;
use crate::privileges::Privileges;
use crate::token::{self, ECDSA_MAX, KID, KVN_RECEIPT, KVN_TOKEN, confirmation};

/// A public key as PUT KEY brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey<'a> {
    /// RSA, big endian.
    Rsa {
        /// Modulus.
        modulus: &'a [u8],
        /// Exponent.
        exponent: &'a [u8],
    },
    /// On an elliptic curve.
    Ecc {
        /// Curve reference; 00 is P-256. [AmdE 4.5]
        curve: u8,
        /// Uncompressed point, 04 ‖ x ‖ y.
        point: &'a [u8],
    },
}

/// Which public-key signatures a card checks, and which it makes; the scheme follows from the key, see [`crate::token`].
pub trait PublicKeys: fmt::Debug + Sync {
    /// Checks a signature over the parts, one after the other.
    ///
    /// # Errors
    /// [`CryptoError`] if it is wrong, or the key is of no kind this card checks.
    fn verify(&self, key: PublicKey<'_>, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError>;

    /// The schemes it checks, as capability data tell them: bits of [`Capabilities`](crate::capability::Capabilities).
    fn schemes(&self) -> u16;

    /// References of the curves whose keys it takes. [AmdE 4.5]
    fn curves(&self) -> heapless::Vec<u8, CURVES_MAX> {
        heapless::Vec::new()
    }

    /// Signs the parts, one after the other, with a private key on this curve: a receipt. Who only checks signatures leaves it out.
    ///
    /// # Errors
    /// [`CryptoError`] if the number is no key, or the curve none that this card signs on.
    fn sign(
        &self,
        curve: u8,
        private: &[u8],
        parts: &[&[u8]],
    ) -> Result<heapless::Vec<u8, ECDSA_MAX>, CryptoError> {
        let _ = (curve, private, parts);
        Err(CryptoError)
    }

    /// The schemes it signs in, in the same bits as [`Self::schemes`].
    fn receipt_schemes(&self) -> u16 {
        0
    }
}

type MakeReceipt =
    for<'m> fn(&CardManager<'m>, &mut Exchange<'_, '_, '_, '_, '_>, u16, &[&[u8]]) -> Result<(), Sw>;

/// What content management adds to the card manager.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    public_keys: Option<&'a dyn PublicKeys>,
    pub(super) load: Handler,
    pub(super) for_load: Handler,
    pub(super) abort: fn(&mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw>,
    check_token: for<'m, 'd> fn(
        &CardManager<'m>,
        &mut Exchange<'_, '_, '_, '_, '_>,
        &Command<'d>,
        Signed<'d>,
    ) -> Result<(), Sw>,
    confirm: fn(&mut Exchange<'_, '_, '_, '_, '_>, &mut Batch<'_>) -> Result<Option<u16>, Sw>,
    receipt: MakeReceipt,
}

impl<'a> CardManager<'a> {
    /// The same with LOAD, security domains with delegated management, tokens, receipts and load file signatures. Symmetric keys are
    /// always understood; `public_keys` says which others.
    #[must_use]
    pub const fn with_content_management(self, public_keys: Option<&'a dyn PublicKeys>) -> Self {
        let content = Content {
            public_keys,
            load: |manager, x, command| manager.load(x, command),
            for_load: |manager, x, command| manager.for_load(x, command),
            abort: load::abort,
            check_token: |manager, x, command, signed| manager.check_token(x, command, signed),
            confirm,
            receipt: |manager, x, counter, names| manager.make_receipt(x, counter, names),
        };
        Self { content: Some(content), ..self }
    }
}

/// A token and what it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'d> {
    pub(super) data: &'d [u8],
    pub(super) token: &'d [u8],
}

impl CardManager<'_> {
    /// Whether the domain may change the content of the card with this command: by its own authority without a token, or by a
    /// token. [GPC 9.1.3.1]
    pub(super) fn authorise<'d>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'d>,
        signed: Signed<'d>,
    ) -> Result<(), Sw> {
        if x.domain.has(Privileges::AUTHORIZED_MANAGEMENT) {
            // One that nobody checks is not accepted.
            return if signed.token.is_empty() { Ok(()) } else { Err(Sw::WRONG_DATA) };
        }
        match self.content.filter(|_| x.domain.has(Privileges::DELEGATED_MANAGEMENT)) {
            Some(content) => (content.check_token)(self, x, command, signed),
            None => Err(Sw::CONDITIONS_NOT_SATISFIED),
        }
    }

    fn check_token<'d>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'d>,
        signed: Signed<'d>,
    ) -> Result<(), Sw> {
        if signed.token.is_empty() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let header = token::header(command.p1(), command.p2(), signed.data, x.chained);
        let parts = [&header[..], signed.data];
        self.verify(x.cx.memory, InstanceId::ISSUER, KVN_TOKEN, &parts, signed.token)
    }

    /// Checks a signature with key 01 of a version of a domain; 6982 for everything that is wrong.
    pub(super) fn verify(
        &self,
        memory: &mut dyn Memory,
        domain: InstanceId,
        version: u8,
        parts: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), Sw> {
        let set = KeySet::read(memory, domain, version)?.ok_or(Sw::SECURITY_STATUS)?;
        let key = set.key(KID).ok_or(Sw::SECURITY_STATUS)?;
        if let Some(expected) = token::symmetric(key.key_type, key.value, parts) {
            return if ct_eq(&expected, signature) { Ok(()) } else { Err(Sw::SECURITY_STATUS) };
        }
        let public = match (key.rsa(), key.ecc()) {
            (Some((exponent, modulus)), _) => PublicKey::Rsa { modulus, exponent },
            (_, Some((curve, point))) => PublicKey::Ecc { curve, point },
            _ => return Err(Sw::SECURITY_STATUS),
        };
        let keys = self.content.and_then(|content| content.public_keys).ok_or(Sw::SECURITY_STATUS)?;
        keys.verify(public, parts, signature).map_err(|_| Sw::SECURITY_STATUS)
    }

    /// Which public keys it can check with, for the capability data.
    pub(super) fn public_keys(&self) -> Option<&dyn PublicKeys> {
        self.content.and_then(|content| content.public_keys)
    }

    /// The signature of a receipt key; `None` if it signs nothing. [GPC C.1]
    fn sign(&self, key: &Key<'_>, parts: &[&[u8]]) -> Option<heapless::Vec<u8, ECDSA_MAX>> {
        if let Some(mac) = token::symmetric(key.key_type, key.value, parts) {
            return heapless::Vec::from_slice(&mac).ok();
        }
        let (curve, private) = key.ecc_private()?;
        self.public_keys()?.sign(curve, private, parts).ok()
    }

    /// Adds the next value of the confirmation counter to the batch of a change made by delegation; the value is for
    /// [`Self::receipt`].
    pub(super) fn confirm(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        batch: &mut Batch<'_>,
    ) -> Result<Option<u16>, Sw> {
        match self.content.filter(|_| !x.domain.has(Privileges::AUTHORIZED_MANAGEMENT)) {
            Some(content) => (content.confirm)(x, batch),
            None => Ok(None),
        }
    }

    /// LV receipt ‖ LV counter ‖ LV unique data of the domain, its identification and image numbers. [GPC C.5]
    fn make_receipt(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        counter: u16,
        names: &[&[u8]],
    ) -> Result<(), Sw> {
        let (mut iin, mut cin) = ([0; 64], [0; 64]);
        let mut stored = |object, out| match x.cx.memory.read(object, 0, out) {
            Ok(value) => Ok(value.len()),
            Err(MemoryError::NotFound) => Ok(0),
            Err(error) => Err(Sw::from(error)),
        };
        let iin_len = stored(objects::iin(InstanceId::ISSUER), &mut iin[..])?;
        let cin_len = stored(objects::cin(InstanceId::ISSUER), &mut cin[..])?;
        let mut buffer = [0; 192];
        let unique = [iin.get(..iin_len).unwrap_or_default(), cin.get(..cin_len).unwrap_or_default()];
        let end = confirmation::write_data(counter, unique, &mut buffer).map_err(|_| Sw::UNKNOWN)?;
        let covered = confirmation::write_names(names, &mut buffer, end).map_err(|_| Sw::UNKNOWN)?;
        let covered = buffer.get(..covered).unwrap_or_default();
        let set = KeySet::read(x.cx.memory, InstanceId::ISSUER, KVN_RECEIPT)?;
        let key = set.as_ref().and_then(|set| set.key(KID));
        let receipt = key.and_then(|key| self.sign(&key, &[covered]));
        // Without a key that signs there is no receipt; the counter still says how often the card was changed.
        let receipt = receipt.unwrap_or_default();
        x.reply.push(&[u8::try_from(receipt.len()).unwrap_or_default()])?;
        x.reply.push(&receipt)?;
        x.reply.push(buffer.get(..end).unwrap_or_default())
    }

    /// Answers what was confirmed: a receipt, or none. [GPC 11.1.6]
    pub(super) fn receipt(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        counter: Option<u16>,
        names: &[&[u8]],
    ) -> Result<Done, Sw> {
        match (counter, self.content) {
            (Some(counter), Some(content)) => (content.receipt)(self, x, counter, names)?,
            _ => x.reply.push(&[0x00])?,
        }
        Ok(Done::OK)
    }
}

/// The confirmation counter: its last value.
pub(super) fn confirmation_counter(memory: &mut dyn Memory) -> Result<u16, Sw> {
    let mut raw = [0; 3];
    match *memory.read(objects::CONFIRMATION_COUNTER, 0, &mut raw).or_else(|error| match error {
        MemoryError::NotFound => Ok(&[0, 0][..]),
        error => Err(error),
    })? {
        [high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Sw::MEMORY_FAILURE),
    }
}

fn confirm(x: &mut Exchange<'_, '_, '_, '_, '_>, batch: &mut Batch<'_>) -> Result<Option<u16>, Sw> {
    if KeySet::read(x.cx.memory, InstanceId::ISSUER, KVN_RECEIPT)?.is_none() {
        return Ok(None);
    }
    let next = confirmation_counter(x.cx.memory)?.checked_add(1).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    batch.put(objects::CONFIRMATION_COUNTER, &next.to_be_bytes());
    Ok(Some(next))
}
