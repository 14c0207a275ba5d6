//! SCP11: certificates both ways, then MUTUAL or INTERNAL AUTHENTICATE. (AmdF, from code that cites it)

use huiwan_apdu::{Aid, Command, Ins, Ne, Response};
use huiwan_tlv::{Rules, find};

use super::Card;
use crate::get_data::TAG_BF21_CERTIFICATES;
use crate::host::fault::{Fault, FaultKind, Stage};
use crate::host::key_store::{KeyAnswer, KeyHandle, Scp11Request};
use crate::host::manager::{Channel, Event, Todo, Turn, copy, too_long};
use crate::scp03::{Mode, Options};
use crate::scp11::authenticate::DATA_MAX;
use crate::scp11::{Variant, certificate_request, perform_security_operation};
use crate::secure_channel::{Level, Scp};

/// How to open an SCP11 channel. The card's certificates pass through the output buffers of manager and key store: chains of X.509
/// certificates, which may have 2,000 bytes, need more than [`OUT_LEN`](crate::host::manager::OUT_LEN).
///
/// ```
/// use huiwan_crypto::ec::{EcPrivate, P256};
/// use huiwan_gp::host::manager::OUT_LEN;
/// use huiwan_gp::host::{HostIdentity, Input, Job, KeyHandle, Manager, OpenScp11, SoftKeyStore, Step};
/// use huiwan_gp::scp03::Mode;
/// use huiwan_gp::scp11::Variant;
/// use huiwan_gp::secure_channel::Level;
///
/// // The store has the authority of the card's certificates and the host's own key, and a random source for ephemeral keys.
/// let mut store = SoftKeyStore::<2, 1, _>::with_random(huiwan_testkit::rng::Seeded::new(1));
/// let (authority, own) = (KeyHandle(1), KeyHandle(2));
/// store.insert_single(authority, EcPrivate::<P256>::new(&[0x31; 32])?.public()?.into())?;
/// store.insert_single(own, EcPrivate::<P256>::new(&[0x42; 32])?.into())?;
///
/// let certificates: [&[u8]; 1] = [&[0x7F, 0x21, 0x00]]; // the host's, from the one the card's authority signed on
/// let variant = Variant::A;
/// let open = OpenScp11 {
///     aid: None,
///     variant,
///     key_version: 0x03,
///     key_id: variant.key_id(),
///     level: Level::All,
///     key_len: 16,
///     mode: Mode::S8,
///     authority,
///     certificates: None, // the card is asked
///     host: Some(HostIdentity { key: own, certificates: &certificates, authority_version: 0x03, authority_id: 0x10 }),
///     key_diversification: [0; 10],
/// };
/// let (mut manager, mut out) = (Manager::new(), [0; OUT_LEN]);
/// assert!(matches!(manager.step(Input::Start(Job::OpenScp11(open)), &mut out)?, Step::Send([0x00, 0xA4, ..])));
/// // The security domain answers, and is asked for the certificates of its key.
/// let selected = [0x6F, 0x0A, 0x84, 0x08, 0xA0, 0, 0, 1, 0x51, 0, 0, 0, 0x90, 0x00];
/// let Step::Send(command) = manager.step(Input::Response(&selected), &mut out)? else { panic!() };
/// assert_eq!(command, [0x80, 0xCA, 0xBF, 0x21, 6, 0xA6, 4, 0x83, 2, 0x11, 0x03, 0]);
/// // From here the driver of the manager goes on: the store checks them, and the receipt at the end.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenScp11<'j> {
    /// What to select; `None` for the card's default, the issuer security domain.
    pub aid: Option<Aid>,
    /// Variant. B opens a channel that tells the card nothing of the host: it reads, but does not manage.
    pub variant: Variant,
    /// Version of the card's key.
    pub key_version: u8,
    /// Identifier of the card's key; [`Variant::key_id`] by habit.
    pub key_id: u8,
    /// [`Level::All`], or [`Level::CMacRMac`].
    pub level: Level,
    /// Bytes of the session keys: 16, 24 or 32.
    pub key_len: u8,
    /// Mode of the messaging.
    pub mode: Mode,
    /// The authority of the card's certificates, in the key store.
    pub authority: KeyHandle,
    /// The card's certificates (the value of `BF21`) if they are known; `None` to ask the card.
    pub certificates: Option<&'j [u8]>,
    /// Who the host is; variant b does not tell.
    pub host: Option<HostIdentity<'j>>,
    /// Key diversification data of the card, for derived keys that are brought to it; its handshake does not tell.
    pub key_diversification: [u8; 10],
}

/// The host's side of mutual authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostIdentity<'j> {
    /// The host's static key in the key store.
    pub key: KeyHandle,
    /// Its certificates, from the one the card's authority signed to the host's own.
    pub certificates: &'j [&'j [u8]],
    /// Version of the card's key that the first of them is checked with.
    pub authority_version: u8,
    /// Identifier of that key.
    pub authority_id: u8,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    /// The card tells its certificates.
    Reading,
    /// The key store checks them.
    Verifying,
    /// The card has so many of the host's certificates, and so many bytes of the next.
    Presenting {
        done: usize,
        sent: usize,
    },
    Authenticating,
    /// The key store checks the receipt.
    Finishing,
}

#[derive(Debug)]
pub(super) struct Agreeing<'j> {
    request: OpenScp11<'j>,
    aid: Aid,
    card: Card,
    state: State,
    /// Data of the authenticate command, kept while certificates go to the card.
    data: heapless::Vec<u8, DATA_MAX>,
}

impl<'j> Agreeing<'j> {
    pub(super) const fn new(request: OpenScp11<'j>, aid: Aid, card: Card) -> Self {
        Self { request, aid, card, state: State::Start, data: heapless::Vec::new() }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Reading | State::Verifying => Stage::CardCertificates,
            State::Presenting { .. } => Stage::HostCertificates,
            State::Authenticating | State::Finishing => Stage::Authenticate,
        }
    }

    pub(super) fn turn(
        &mut self,
        event: Event<'_>,
        channel: &mut Option<Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = self.stage();
        match (self.state, event) {
            (State::Start, Event::Begin) => {
                if let Some(certificates) = self.request.certificates {
                    return self.verify(certificates, out);
                }
                self.state = State::Reading;
                let [.., p1, p2] = TAG_BF21_CERTIFICATES.get().to_be_bytes();
                let reference = certificate_request(self.request.key_id, self.request.key_version);
                let command = Command::new(cla, Ins::GET_DATA.value(), p1, p2).with_data(&reference);
                bare(command, stage, out)
            }
            (State::Reading, Event::Response(response)) => self.verify(certificates(&response, stage)?, out),
            (State::Verifying, Event::Key(KeyAnswer::Agreeing { session, data })) => {
                self.data = heapless::Vec::from_slice(data).map_err(|_| too_long(stage))?;
                // Known from here on, so that the key store hears of its end whatever happens to the card.
                *channel = Some(Channel {
                    session,
                    protocol: Scp::Scp03(Options::I60.with_mode(self.request.mode)),
                    level: self.request.level,
                    key_version: self.request.key_version,
                    aid: self.aid,
                    key_diversification: self.request.key_diversification,
                    card: self.card,
                });
                self.present(0, 0, cla, out)
            }
            (State::Verifying, Event::Key(KeyAnswer::Refused(error))) => {
                Err(Fault { stage, kind: FaultKind::Key(error) })
            }
            (State::Presenting { done, sent }, Event::Response(response)) if response.sw().is_ok() => {
                self.present(done, sent, cla, out)
            }
            (State::Authenticating, Event::Response(response)) if response.sw().is_ok() => {
                let session = channel.as_ref().map(|channel| channel.session);
                let len = copy(response.data(), out).ok_or(too_long(stage))?.len();
                self.state = State::Finishing;
                session
                    .map(|session| Todo::FinishScp11(session, len))
                    .ok_or(Fault { stage, kind: FaultKind::NoChannel })
            }
            (State::Finishing, Event::Key(KeyAnswer::Ready(_))) => Ok(Todo::Done),
            (_, Event::Response(response)) => {
                Self::fail(channel, Fault { stage, kind: FaultKind::Status(response.sw()) })
            }
            (_, Event::Key(KeyAnswer::Refused(error))) => {
                Self::fail(channel, Fault { stage, kind: FaultKind::Key(error) })
            }
            _ => Self::fail(channel, Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    fn verify(&mut self, certificates: &[u8], out: &mut [u8]) -> Turn {
        let len = copy(certificates, out).ok_or(too_long(Stage::CardCertificates))?.len();
        self.state = State::Verifying;
        Ok(Todo::BeginScp11(self.key_request(), len))
    }

    /// The key store forgets what it has begun.
    fn fail(channel: &mut Option<Channel>, fault: Fault) -> Turn {
        match channel.take() {
            Some(begun) => Ok(Todo::CloseAndFail(begun.session, fault)),
            None => Err(fault),
        }
    }

    const fn key_request(&self) -> Scp11Request {
        let OpenScp11 { variant, level, key_len, mode, authority, host, .. } = self.request;
        let own = match host {
            Some(host) => Some(host.key),
            None => None,
        };
        Scp11Request { variant, level, key_len, mode, authority, own }
    }

    /// The host's next certificate, in pieces by command chaining if it is long; after the last the authenticate command.
    fn present(&mut self, done: usize, sent: usize, cla: u8, out: &mut [u8]) -> Turn {
        let host = self.request.host.filter(|_| self.request.variant.authenticates_host());
        let presented = host.and_then(|host| Some((host, *host.certificates.get(done)?)));
        let Some((host, certificate)) = presented else {
            self.state = State::Authenticating;
            let OpenScp11 { variant, key_version, key_id, .. } = self.request;
            return bare(
                Command::new(cla, variant.ins(), key_version, key_id).with_data(&self.data),
                Stage::Authenticate,
                out,
            );
        };
        let rest = certificate.get(sent..).unwrap_or_default();
        let (piece, behind) = rest.split_at_checked(255).unwrap_or((rest, &[]));
        let whole = behind.is_empty();
        let last = done.saturating_add(1) >= host.certificates.len();
        self.state = if whole {
            State::Presenting { done: done.saturating_add(1), sent: 0 }
        } else {
            State::Presenting { done, sent: sent.saturating_add(piece.len()) }
        };
        let cla = if whole { cla } else { cla | CHAINING };
        let command =
            perform_security_operation(cla, host.authority_version, host.authority_id, piece, !last);
        bare(command, Stage::HostCertificates, out)
    }
}

/// Class bit: more of this command's data follows. [ISO7816-4 5.3.3]
const CHAINING: u8 = 0x10;

fn bare(command: Command<'_>, stage: Stage, out: &mut [u8]) -> Turn {
    let sent = command.with_ne(Ne::MAX_SHORT).write(out);
    sent.map(|sent| Todo::Bare(sent.len())).map_err(|_| too_long(stage))
}

/// The value of `BF21`.
fn certificates<'a>(response: &Response<'a>, stage: Stage) -> Result<&'a [u8], Fault> {
    if !response.sw().is_ok() {
        return Err(Fault { stage, kind: FaultKind::Status(response.sw()) });
    }
    match find(response.data(), Rules::ISO, TAG_BF21_CERTIFICATES) {
        Ok(Some(object)) => Ok(object.value()),
        _ => Err(Fault { stage, kind: FaultKind::Malformed("certificate store") }),
    }
}
