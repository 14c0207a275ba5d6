//! SCP11 in the store: certificates, key agreement and receipt; no secret leaves.

use huiwan_apdu::Sw;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, P256};
use huiwan_crypto::kdf::{Sha256, x963};
use zeroize::Zeroizing;

use super::super::{KeyError, Scp11Request, SessionId};
use super::SoftKeyStore;
use crate::host::secure_channel::{AwaitReceipt, Open, verify_card_certificates};

/// A session whose receipt is awaited.
pub(super) struct Agreeing {
    pub(super) id: SessionId,
    pub(super) request: Scp11Request,
    pub(super) card: EcPublic<P256>,
    pub(super) handshake: AwaitReceipt<P256>,
}

impl Agreeing {
    pub(super) fn finish(self, answer: &[u8], own: Option<&EcPrivate<P256>>) -> Result<Open, KeyError> {
        self.handshake
            .verify_receipt_with::<Sha256>(answer, Sw::OK, &self.card, own, self.request.mode)
            .map_err(|_| KeyError::CardReceipt)
    }
}

impl<const KEYS: usize, const SESSIONS: usize, R> SoftKeyStore<KEYS, SESSIONS, R> {
    /// The card's static key, out of certificates of the authority.
    pub(super) fn card_key(
        &self,
        request: &Scp11Request,
        certificates: &[u8],
    ) -> Result<EcPublic<P256>, KeyError> {
        let authority = self.single(request.authority)?.ec_public()?;
        verify_card_certificates::<P256, Sha256>(&authority, certificates, self.now.as_ref())
            .map_err(|_| KeyError::Certificate)
    }

    /// The host's static key, which variant b has not.
    pub(super) fn own_key(&self, request: &Scp11Request) -> Result<Option<&EcPrivate<P256>>, KeyError> {
        match request.own {
            Some(handle) if request.variant.authenticates_host() => {
                self.single(handle)?.ec_private().map(Some)
            }
            None if request.variant.authenticates_host() => Err(KeyError::UnknownKey),
            _ => Ok(None),
        }
    }
}

pub(super) fn begin(
    request: &Scp11Request,
    ephemeral: EcPrivate<P256>,
) -> Result<AwaitReceipt<P256>, KeyError> {
    AwaitReceipt::new(request.variant, request.level, request.key_len, ephemeral).map_err(|_| KeyError::Level)
}

pub(super) fn copy<'o>(data: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
    let out = out.get_mut(..data.len()).ok_or(KeyError::Full)?;
    out.copy_from_slice(data);
    Ok(out)
}

/// An ephemeral key that the seed repeats: derived from what the static keys of both sides share. Our own rule; nobody else has to
/// follow it.
pub(super) fn ephemeral_of(
    own: &EcPrivate<P256>,
    card: &EcPublic<P256>,
    seed: &[u8; 16],
) -> Result<EcPrivate<P256>, KeyError> {
    let failed = |_| KeyError::Unavailable;
    let mut shared = Zeroizing::new([0; P256::FIELD_LEN]);
    own.agree(card, &mut *shared).map_err(failed)?;
    // A number that is no key does not happen by chance.
    let mut d = Zeroizing::new([0; P256::FIELD_LEN]);
    let mut info = [0; 40];
    for (to, from) in info.iter_mut().zip(b"huiwan scp11c script key".iter().chain(seed)) {
        *to = *from;
    }
    x963::<Sha256>(&*shared, &info, &mut *d).map_err(failed)?;
    EcPrivate::new(&*d).map_err(failed)
}
