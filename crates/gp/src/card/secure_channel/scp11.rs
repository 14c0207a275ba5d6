//! The card's end of the SCP11 handshake; behind it is an SCP03 session.

use huiwan_apdu::Sw;
use huiwan_card::ResponseWriter;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, POINT_MAX};
use huiwan_crypto::kdf::Hash;
use huiwan_crypto::{CryptoError, Random};

use super::{Body, Phase, Session, scp03};
use crate::scp03::{Mode, Options};
use crate::scp11::agreement::{Secrets, SessionKeys};
use crate::scp11::authenticate::{Authenticate, TAG_5F49_POINT, TAG_86_RECEIPT};
use crate::scp11::certificate::{Certificate, Chain};
use crate::scp11::{Identifiers, Variant};
use huiwan_tlv::Writer;

/// A host certificate could not be verified. (from memory: AmdF)
pub const CERTIFICATE_NOT_VERIFIED: Sw = Sw::new(0x6600);
/// A host certificate is not on the whitelist. (from memory: AmdF)
pub const NOT_ON_WHITELIST: Sw = Sw::new(0x6640);

/// Bytes of a serial number at most: 20 and a zero in X.509. [RFC 5280 4.1.2.2]
const SERIAL_MAX: usize = 21;

/// Verifies a chain of host certificates from the authority down; the last one's key is the host's.
///
/// Its serial number is asked of `whitelist`.
///
/// # Errors
/// 6600 if a certificate is malformed, wrongly signed or of another usage; 6640 if the last is not on the list.
pub fn verify_host_certificates<C: Curve, H: Hash>(
    authority: &EcPublic<C>,
    chain: &[u8],
    whitelist: impl Fn(&[u8]) -> bool,
) -> Result<EcPublic<C>, Sw> {
    let (mut at, mut rest) = (Chain::new(*authority), chain);
    loop {
        let (certificate, behind) = Certificate::parse(rest).ok_or(CERTIFICATE_NOT_VERIFIED)?;
        let last = behind.is_empty();
        at = at.next::<H>(&certificate, last, None).map_err(|_| CERTIFICATE_NOT_VERIFIED)?;
        if last {
            return if whitelist(certificate.serial) { Ok(at.key) } else { Err(NOT_ON_WHITELIST) };
        }
        rest = behind;
    }
}

/// What PERFORM SECURITY OPERATION left in the slot: how far the chain of a host's certificates is verified.
pub(crate) struct Host {
    /// Identifier and version of the authority's key.
    authority: [u8; 2],
    /// More certificates follow.
    more: bool,
    path_len: u8,
    point: heapless::Vec<u8, POINT_MAX>,
    serial: heapless::Vec<u8, SERIAL_MAX>,
}

/// Bytes of it in the slot at most.
const HOST_LEN: usize = 6 + POINT_MAX + SERIAL_MAX;
const _: () = assert!(HOST_LEN <= scp03::LEN, "fits where a session does");

impl Host {
    pub(super) fn load(slot: &[u8]) -> Option<Self> {
        let (&[id, version, more, path_len, point_len, serial_len], rest) = slot.split_first_chunk()?;
        let (point, rest) = rest.split_at_checked(usize::from(point_len))?;
        Some(Self {
            authority: [id, version],
            more: more != 0,
            path_len,
            point: heapless::Vec::from_slice(point).ok()?,
            serial: heapless::Vec::from_slice(rest.get(..usize::from(serial_len))?).ok()?,
        })
    }

    pub(super) fn store(&self, slot: &mut [u8]) {
        let [id, version] = self.authority;
        let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or_default();
        let head = [id, version, u8::from(self.more), self.path_len, len(&self.point), len(&self.serial)];
        let bytes = head.iter().chain(&self.point).chain(&self.serial);
        slot.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// The key of the host, if the chain is complete.
    pub(crate) fn key<C: Curve>(&self) -> Option<EcPublic<C>> {
        if self.more { None } else { EcPublic::new(&self.point).ok() }
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
    /// What identifies the card or its group if the host wants identifiers in the derivation, see [`Identifiers::card_group`].
    pub card_group: &'k [u8],
}

impl Session {
    /// The chain of a host's certificates so far, if more were to follow for this key of an authority.
    pub(crate) fn chain<C: Curve>(&self, authority: [u8; 2]) -> Option<Chain<C>> {
        match &self.body {
            Body::Host(host) if host.more && host.authority == authority => {
                Some(Chain { key: EcPublic::new(&host.point).ok()?, path_len: host.path_len })
            }
            _ => None,
        }
    }

    /// A certificate was good: this is the chain with it. The former session is over.
    pub(crate) fn certify<C: Curve>(
        &mut self,
        authority: [u8; 2],
        chain: &Chain<C>,
        serial: &[u8],
        more: bool,
    ) -> Result<(), CryptoError> {
        self.end();
        let point = heapless::Vec::from_slice(chain.key.as_bytes()).map_err(|_| CryptoError)?;
        let serial = heapless::Vec::from_slice(serial).map_err(|_| CryptoError)?;
        self.body = Body::Host(Host { authority, more, path_len: chain.path_len, point, serial });
        self.phase = Phase::Certified;
        Ok(())
    }

    /// The serial number of a host whose chain of certificates is complete.
    pub(crate) fn host_serial(&self) -> Option<heapless::Vec<u8, SERIAL_MAX>> {
        match &self.body {
            Body::Host(host) if !host.more => Some(host.serial.clone()),
            _ => None,
        }
    }

    /// Ends the session, or gives out what it knows of a host's certificates, once.
    pub(crate) fn take_host(&mut self) -> Option<Host> {
        match core::mem::replace(self, Self::none()).body {
            Body::Host(host) => Some(host),
            _ => None,
        }
    }

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
        let card_group = keys.card_group;
        let identifiers = request.identifiers.map(|sent| Identifiers { card_group, ..sent });
        let request = Authenticate { identifiers, ..request };
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
