//! The host's end of the SCP11 handshake; behind it is an SCP03 session.

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::DateTime;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic};
use huiwan_crypto::kdf::{Hash, Sha256};
use huiwan_crypto::{Aes, CryptoError, ct_eq};
use huiwan_tlv::Writer;

use super::scp03::Scp03;
use super::{Messaging, Open, SessionError, State};
use crate::scp03::Mode;
use crate::scp11::agreement::{Secrets, SessionKeys};
use crate::scp11::authenticate::{
    Answer, Authenticate, CARD_GROUP_MAX, DATA_MAX, HOST_ID_MAX, TAG_5F49_POINT,
};
use crate::scp11::{Identifiers, Variant, certificate};
use crate::secure_channel::Level;

/// MUTUAL or INTERNAL AUTHENTICATE is to be sent, or on its way; the card has proved nothing yet.
#[derive(Debug)]
pub struct AwaitReceipt<C> {
    variant: Variant,
    level: Level,
    ephemeral: EcPrivate<C>,
    data: [u8; DATA_MAX],
    len: usize,
    card_group: heapless::Vec<u8, CARD_GROUP_MAX>,
}

impl<C: Curve> AwaitReceipt<C> {
    /// Starts a handshake with session keys of `key_len` bytes (16, 24, 32). The ephemeral key must be fresh; for variant c a script made
    /// ahead holds it.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`] for a level other than all, or command and response MACs, or a length that is none of AES.
    pub fn new(
        variant: Variant,
        level: Level,
        key_len: u8,
        ephemeral: EcPrivate<C>,
    ) -> Result<Self, SessionError> {
        Self::new_with(variant, level, key_len, ephemeral, None)
    }

    /// The same with identifiers of host and card under the key derivation.
    ///
    /// # Errors
    /// As [`Self::new`]; [`SessionError::TooLong`] for identifiers that are too long, or a host's that is empty.
    pub fn new_with(
        variant: Variant,
        level: Level,
        key_len: u8,
        ephemeral: EcPrivate<C>,
        identifiers: Option<Identifiers<'_>>,
    ) -> Result<Self, SessionError> {
        let Identifiers { host, card_group } =
            identifiers.unwrap_or(Identifiers { host: &[0], card_group: &[] });
        if !(1..=HOST_ID_MAX).contains(&host.len()) {
            return Err(SessionError::TooLong);
        }
        let card_group = heapless::Vec::from_slice(card_group).map_err(|_| SessionError::TooLong)?;
        if !matches!((level, key_len), (Level::All | Level::CMacRMac, 16 | 24 | 32)) {
            return Err(SessionError::OutOfTurn);
        }
        let mut data = [0; DATA_MAX];
        let point = ephemeral.public()?;
        let request = Authenticate { variant, level, key_len, point: point.as_bytes(), identifiers };
        let len = request.write(&mut data).map_err(|_| SessionError::TooLong)?.len();
        Ok(Self { variant, level, ephemeral, data, len, card_group })
    }

    /// The data of the command.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.get(..self.len).unwrap_or_default()
    }

    /// The command, for the card's key of this version and identifier ([`Variant::key_id`] by habit).
    #[must_use]
    pub fn command(&self, cla: u8, key_version: u8, key_id: u8) -> Command<'_> {
        Command::new(cla, self.variant.ins(), key_version, key_id)
            .with_data(self.data())
            .with_ne(Ne::MAX_SHORT)
    }

    /// Verifies the receipt and opens the session, in S8 mode with SHA-256 under the derivation as all published sessions have it.
    ///
    /// `card` is the card's static key out of a certificate that was verified, `own` the host's static key, which variant b has not.
    ///
    /// # Errors
    /// As [`Self::verify_receipt_with`].
    pub fn verify_receipt(
        self,
        answer: &[u8],
        sw: Sw,
        card: &EcPublic<C>,
        own: Option<&EcPrivate<C>>,
    ) -> Result<Open, SessionError> {
        self.verify_receipt_with::<Sha256>(answer, sw, card, own, Mode::S8)
    }

    /// The same with another hash function or mode.
    ///
    /// # Errors
    /// [`SessionError::NotAuthentic`] if the card refused, its point or receipt is wrong, or variant c came with another point than
    /// the card's static one; [`SessionError::OutOfTurn`] if the static key is missing. The handshake is over in all cases.
    pub fn verify_receipt_with<H: Hash>(
        self,
        answer: &[u8],
        sw: Sw,
        card: &EcPublic<C>,
        own: Option<&EcPrivate<C>>,
        mode: Mode,
    ) -> Result<Open, SessionError> {
        if !sw.is_ok() {
            return Err(SessionError::NotAuthentic);
        }
        let Answer { point, point_object, receipt } = Answer::parse(answer).map_err(|_| CryptoError)?;
        let theirs = EcPublic::new(point)?;
        if self.variant == Variant::C && theirs != *card {
            return Err(SessionError::NotAuthentic);
        }
        let keys = self.session_keys::<H>(&theirs, card, own)?;
        if !ct_eq(&keys.receipt(self.data(), point_object)?, receipt) {
            return Err(SessionError::NotAuthentic);
        }
        self.open(&keys, *receipt, mode)
    }

    /// The session without the card's word, for scripts written before the card is at hand: in variant c the card has no fresh key, so its
    /// answer is known.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`] if the variant is another or the static key missing.
    pub fn presumed<H: Hash>(
        self,
        card: &EcPublic<C>,
        own: Option<&EcPrivate<C>>,
        mode: Mode,
    ) -> Result<Open, SessionError> {
        if self.variant != Variant::C {
            return Err(SessionError::OutOfTurn);
        }
        let keys = self.session_keys::<H>(card, card, own)?;
        let mut object = [0; 3 + huiwan_crypto::ec::POINT_MAX];
        let mut w = Writer::new(&mut object);
        w.put(TAG_5F49_POINT, card.as_bytes());
        let object = w.finish().map_err(|_| SessionError::TooLong)?;
        let receipt = keys.receipt(self.data(), object)?;
        self.open(&keys, receipt, mode)
    }

    fn session_keys<H: Hash>(
        &self,
        theirs: &EcPublic<C>,
        card: &EcPublic<C>,
        own: Option<&EcPrivate<C>>,
    ) -> Result<SessionKeys, SessionError> {
        let own = match self.variant {
            Variant::B => &self.ephemeral,
            Variant::A | Variant::C => own.ok_or(SessionError::OutOfTurn)?,
        };
        let secrets = Secrets::agree((&self.ephemeral, theirs), (own, card))?;
        let sent = Authenticate::parse(self.data()).map_err(|_| CryptoError)?;
        let card_group = self.card_group.as_slice();
        let identifiers = sent.identifiers.map(|sent| Identifiers { card_group, ..sent });
        let request = Authenticate { identifiers, ..sent };
        Ok(SessionKeys::derive::<H>(&secrets, &request)?)
    }

    fn open(&self, keys: &SessionKeys, receipt: [u8; 16], mode: Mode) -> Result<Open, SessionError> {
        let session = Scp03 {
            keys: crate::scp03::SessionKeys::from_raw(&keys.messaging(), keys.key_len())?,
            mode,
            chaining: receipt,
            counter: 0,
            dek: Some(Aes::new(keys.dek())?),
        };
        Ok(Open { messaging: Messaging::Scp03(session), level: self.level, state: State::Idle })
    }
}

/// Verifies a chain of card certificates (the value of `BF21`) from the authority down; the last one's key is the card's. Without a clock
/// (`now`) nobody can tell whether they are still valid, and they are taken to be.
///
/// # Errors
/// [`CryptoError`] if a certificate is malformed, wrongly signed, of another usage or not valid now.
pub fn verify_card_certificates<C: Curve, H: Hash>(
    authority: &EcPublic<C>,
    chain: &[u8],
    now: Option<&DateTime>,
) -> Result<EcPublic<C>, CryptoError> {
    certificate::verify_chain::<C, H>(authority, chain, now)
}
