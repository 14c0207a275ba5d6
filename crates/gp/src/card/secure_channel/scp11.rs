//! The card's end of the SCP11 handshake; behind it is an SCP03 session.

use huiwan_apdu::Sw;
use huiwan_card::ResponseWriter;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic};
use huiwan_crypto::kdf::Hash;
use huiwan_crypto::{CryptoError, Random};

use super::{Body, Phase, Session, scp03};
use crate::scp03::{Mode, Options};
use crate::scp11::Variant;
use crate::scp11::agreement::{Secrets, SessionKeys};
use crate::scp11::authenticate::{Authenticate, TAG_5F49_POINT, TAG_86_RECEIPT};
use crate::scp11::certificate::{Certificate, USAGE_KEY_AGREEMENT, USAGE_SIGNATURE};
use huiwan_tlv::Writer;

/// A host certificate could not be verified. (from memory: AmdF)
pub const CERTIFICATE_NOT_VERIFIED: Sw = Sw::new(0x6600);
/// A host certificate is not on the whitelist. (from memory: AmdF)
pub const NOT_ON_WHITELIST: Sw = Sw::new(0x6640);

/// PERFORM SECURITY OPERATION: verifies a chain of host certificates from the authority down; the last one's key is the host's.
///
/// Serial numbers are asked of `whitelist`, once per certificate.
///
/// # Errors
/// 6600 if a certificate is malformed, wrongly signed or of another usage; 6640 if the last is not on the list.
pub fn verify_host_certificates<C: Curve, H: Hash>(
    authority: &EcPublic<C>,
    chain: &[u8],
    whitelist: impl Fn(&[u8]) -> bool,
) -> Result<EcPublic<C>, Sw> {
    let (mut authority, mut rest) = (*authority, chain);
    loop {
        let (certificate, behind) = Certificate::parse(rest).ok_or(CERTIFICATE_NOT_VERIFIED)?;
        let key = certificate.verify::<C, H>(&authority).map_err(|_| CERTIFICATE_NOT_VERIFIED)?;
        let last = behind.is_empty();
        let wanted: &[u8] = if last { &USAGE_KEY_AGREEMENT } else { &USAGE_SIGNATURE };
        if certificate.usage.is_some_and(|usage| usage != wanted) {
            return Err(CERTIFICATE_NOT_VERIFIED);
        }
        if last {
            return if whitelist(certificate.serial) { Ok(key) } else { Err(NOT_ON_WHITELIST) };
        }
        (authority, rest) = (key, behind);
    }
}

/// The keys of the card's side for one handshake.
#[derive(Debug)]
pub struct CardKeys<'k, C> {
    /// Version of the card's key, for the session.
    pub key_version: u8,
    /// The card's static key.
    pub own: &'k EcPrivate<C>,
    /// The host's static key out of a verified certificate; variant b has none.
    pub host: Option<&'k EcPublic<C>>,
}

impl Session {
    /// MUTUAL or INTERNAL AUTHENTICATE: the session opens with the answer, or there is none. After variant b the host is nobody: the session
    /// protects, and [`Session::is_open`] stays false.
    ///
    /// # Errors
    /// 6A80 for data that is malformed or asks for what is not supported, or a point that is none; 6A88 if the host's key is missing;
    /// 6985 if the variant is another than the key's; 6F00 if the random source or the curve fails.
    pub fn authenticate_scp11<C: Curve, H: Hash>(
        &mut self,
        variant: Variant,
        data: &[u8],
        keys: &CardKeys<'_, C>,
        mode: Mode,
        random: &mut dyn Random,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.end();
        let request = Authenticate::parse(data).map_err(|_| Sw::WRONG_DATA)?;
        if request.variant != variant {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let theirs = EcPublic::<C>::new(request.point).map_err(|_| Sw::WRONG_DATA)?;
        let host = match variant {
            Variant::B => &theirs,
            Variant::A | Variant::C => keys.host.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?,
        };
        let ephemeral = match variant {
            Variant::C => keys.own.clone(),
            Variant::A | Variant::B => EcPrivate::generate(random).map_err(|_| Sw::UNKNOWN)?,
        };
        let unknown = |_: CryptoError| Sw::UNKNOWN;
        let secrets = Secrets::agree((&ephemeral, &theirs), (keys.own, host)).map_err(unknown)?;
        let derived = SessionKeys::derive::<H>(&secrets, &request).map_err(unknown)?;
        let point = ephemeral.public().map_err(unknown)?;
        let mut object = [0; 3 + huiwan_crypto::ec::POINT_MAX + 2];
        let mut w = Writer::new(&mut object);
        w.put(TAG_5F49_POINT, point.as_bytes());
        let object = w.finish().map_err(|_| Sw::UNKNOWN)?;
        let receipt = derived.receipt(data, object).map_err(unknown)?;
        let state = scp03::State::opened(
            Options::I60.with_mode(mode),
            &derived.messaging(),
            derived.key_len(),
            derived.dek(),
            receipt,
        )
        .map_err(unknown)?;
        reply.push(object)?;
        reply.tlv(|w| w.put(TAG_86_RECEIPT, &receipt))?;
        self.body = Body::Scp03(state);
        self.level = request.level;
        self.key_version = keys.key_version;
        self.phase = if variant.authenticates_host() { Phase::Open } else { Phase::OpenToAnyone };
        Ok(())
    }
}
