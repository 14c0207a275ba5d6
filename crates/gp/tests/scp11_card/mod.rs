//! A card that speaks SCP11 and nothing else: certificates, handshake, and an application that gives back what it gets.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
use huiwan_crypto::hash;
use huiwan_crypto::kdf::Sha256;
use huiwan_gp::card::secure_channel::{CardKeys, Session, verify_host_certificates};
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp11::Variant;
use huiwan_testkit::rng::Seeded;

pub const AID: [u8; 8] = [0xA0, 0, 0, 1, 0x51, 0, 0, 0];
pub const KEY_VERSION: u8 = 0x03;
pub const AUTHORITY: (u8, u8) = (0x10, 0x20);

pub fn private(byte: u8) -> EcPrivate<P256> {
    EcPrivate::new(&[byte; 32]).unwrap()
}

pub fn public(byte: u8) -> EcPublic<P256> {
    private(byte).public().unwrap()
}

pub const CARD_ROOT: u8 = 0x31;
pub const CARD_SUB: u8 = 0x32;
pub const CARD: u8 = 0x33;
pub const HOST_ROOT: u8 = 0x41;
pub const HOST_SUB: u8 = 0x42;
pub const HOST: u8 = 0x43;
pub const AGREEMENT: [u8; 2] = [0x00, 0x80];
pub const SIGNATURE: [u8; 2] = [0x82, 0x00];

pub fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let len = match value.len() {
        len @ 0..0x80 => vec![len as u8],
        len @ 0x80..0x100 => vec![0x81, len as u8],
        len => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [tag, &len, value].concat()
}

/// A certificate of GlobalPlatform's form, with `filler` bytes in an object nobody reads.
pub fn certificate(serial: u8, usage: [u8; 2], key: u8, by: u8, filler: usize) -> Vec<u8> {
    certificate_of(serial, usage, public(key), by, filler)
}

/// The same for any key.
pub fn certificate_of(serial: u8, usage: [u8; 2], point: EcPublic<P256>, by: u8, filler: usize) -> Vec<u8> {
    let body = [
        tlv(&[0x93], &[serial]),
        tlv(&[0x42], b"CA"),
        tlv(&[0x5F, 0x20], b"ID"),
        tlv(&[0x95], &usage),
        tlv(&[0x5F, 0x24], &[0x20, 0x35, 0x01, 0x01]),
        tlv(&[0x53], &vec![0xAA; filler]),
        tlv(&[0x7F, 0x49], &[tlv(&[0xB0], point.as_bytes()), tlv(&[0xF0], &[0])].concat()),
    ]
    .concat();
    let mut signature = [0; 64];
    private(by).sign(&hash::sha256(&[&body]), &mut signature).unwrap();
    tlv(&[0x7F, 0x21], &[body, tlv(&[0x5F, 0x37], &signature)].concat())
}

/// The card's certificates: an authority below the root, then its own.
pub fn card_chain() -> Vec<u8> {
    [certificate(1, SIGNATURE, CARD_SUB, CARD_ROOT, 0), certificate(2, AGREEMENT, CARD, CARD_SUB, 0)].concat()
}

/// The host's, the second longer than a command.
pub fn host_chain() -> [Vec<u8>; 2] {
    [certificate(3, SIGNATURE, HOST_SUB, HOST_ROOT, 0), certificate(4, AGREEMENT, HOST, HOST_SUB, 200)]
}

pub struct Scp11Card {
    pub variant: Variant,
    pub mode: Mode,
    pub chain: Vec<u8>,
    pub session: Session,
    host: Option<EcPublic<P256>>,
    presented: Vec<u8>,
    random: Seeded,
    /// Headers of what came.
    pub seen: Vec<[u8; 4]>,
    /// Plain data of what came through the channel.
    pub done: Vec<Vec<u8>>,
    /// Byte of the authenticate answer that is changed on its way.
    pub flip: Option<usize>,
}

impl Scp11Card {
    pub fn new(variant: Variant, mode: Mode) -> Self {
        Self {
            variant,
            mode,
            chain: card_chain(),
            session: Session::none(),
            host: None,
            presented: Vec::new(),
            random: Seeded::new(9),
            seen: Vec::new(),
            done: Vec::new(),
            flip: None,
        }
    }

    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let command = Command::parse(command).unwrap();
        self.seen.push(command.header());
        match self.answer(&command) {
            Ok((data, sw)) => [&data[..], &sw.value().to_be_bytes()].concat(),
            Err(sw) => sw.value().to_be_bytes().to_vec(),
        }
    }

    fn answer(&mut self, command: &Command<'_>) -> Result<(Vec<u8>, Sw), Sw> {
        let [cla, ins, p1, p2] = command.header();
        match (cla & 0x04 != 0, ins) {
            (false, 0xA4) => {
                self.session = Session::none();
                self.presented.clear();
                Ok((tlv(&[0x6F], &tlv(&[0x84], &AID)), Sw::OK))
            }
            (false, 0xCA) if (p1, p2) == (0xBF, 0x21) => {
                let key = [0xA6, 4, 0x83, 2, self.variant.key_id(), KEY_VERSION];
                if command.data() != key {
                    return Err(Sw::REFERENCED_DATA_NOT_FOUND);
                }
                Ok((tlv(&[0xBF, 0x21], &self.chain), Sw::OK))
            }
            (false, 0x2A) => {
                if (p1, p2 & 0x7F) != AUTHORITY {
                    return Err(Sw::REFERENCED_DATA_NOT_FOUND);
                }
                self.presented.extend_from_slice(command.data());
                if cla & 0x10 == 0 && p2 & 0x80 == 0 {
                    let chain = core::mem::take(&mut self.presented);
                    let root = public(HOST_ROOT);
                    self.host = Some(verify_host_certificates::<P256, Sha256>(&root, &chain, |_| true)?);
                }
                Ok((Vec::new(), Sw::OK))
            }
            (false, 0x82 | 0x88) => {
                if (ins, p1, p2) != (self.variant.ins(), KEY_VERSION, self.variant.key_id()) {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let own = private(CARD);
                let keys = CardKeys {
                    key_version: KEY_VERSION,
                    own: &own,
                    host: self.host.as_ref(),
                    card_group: &[],
                };
                let mut buffer = [0; 256];
                let mut reply = ResponseWriter::new(&mut buffer);
                self.session.authenticate_scp11::<P256, Sha256>(
                    self.variant,
                    command.data(),
                    &keys,
                    self.mode,
                    &mut self.random,
                    &mut reply,
                )?;
                let mut answer = reply.as_slice().to_vec();
                if let Some(at) = self.flip {
                    answer[at] ^= 1;
                }
                Ok((answer, Sw::OK))
            }
            (true, _) => {
                let mut plain = [0; 300];
                let data = self.session.unwrap(command, &mut plain)?.data().to_vec();
                let mut buffer = [0; 300];
                let mut reply = ResponseWriter::new(&mut buffer);
                reply.push(&data)?;
                self.done.push(data);
                let sw = Sw::OK;
                self.session.wrap(&mut reply, sw)?;
                Ok((reply.as_slice().to_vec(), sw))
            }
            (false, _) => Err(Sw::SECURITY_STATUS),
        }
    }
}
