//! A card with SCP11, and the host's keys, certificates and commands, for the tests of both.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::sync::OnceLock;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{DateTime, Element, Environment, Memory, Module, ModuleId};
use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_crypto::{Aes, BlockKey, hash};
use huiwan_gp::card::{CardManager, CardProfile, ModuleEntry, Registry, RsaKeys, Scp11Profile};
use huiwan_gp::host::secure_channel::{AwaitReceipt, Open};
use huiwan_gp::put_key::put_ecc_private_field;
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp11::{Identifiers, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::rng::Seeded;

use crate::support::{Card, TOY, Toy, apdu};

pub const ANSWER: usize = 2048 + 2;
pub type ScpCard<'a, M> = Card<'a, M, ANSWER>;
/// Version of the card's SCP11 keys and of the authority's.
pub const KVN: u8 = 0x03;
pub const KID_CA: u8 = 0x10;
/// The card's private numbers for a, b, c; the authority's, one below it, and the host's.
pub const CARD: [u8; 3] = [0x21, 0x23, 0x25];
pub const ROOT: u8 = 0x31;
pub const MIDDLE: u8 = 0x32;
pub const HOST: u8 = 0x42;
pub const VARIANTS: [Variant; 3] = [Variant::A, Variant::B, Variant::C];

pub fn private(byte: u8) -> EcPrivate<P256> {
    EcPrivate::new(&[byte; 32]).unwrap()
}

pub fn public(byte: u8) -> EcPublic<P256> {
    private(byte).public().unwrap()
}

/// The card's key for a variant.
pub fn card_key(variant: Variant) -> u8 {
    CARD[VARIANTS.iter().position(|v| *v == variant).unwrap()]
}

pub fn with_scp11<M: Memory, T>(
    profile: Scp11Profile,
    memory: M,
    f: impl FnOnce(&mut ScpCard<'_, M>) -> T,
) -> (M, T) {
    let card_profile = CardProfile::DEFAULT;
    let entries = [TOY, ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(&card_profile, &entries)
        .with_content_management(Some(&RsaKeys))
        .with_scp11::<P256, Sha256>(profile);
    let modules: [&dyn Module; 2] = [&manager, &Toy];
    let element = Element::new(&modules, Registry::new(&card_profile), memory);
    let mut card = Card { element: element.with_answer::<ANSWER>(), random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

/// The whole answer to a command, fetched by GET RESPONSE as far as it goes.
pub fn fetch<M: Memory>(card: &mut ScpCard<'_, M>, command: &[u8]) -> Vec<u8> {
    let (mut whole, mut answer) = (vec![], card.send(command));
    loop {
        assert!(answer.len() <= 258);
        let (data, sw) = answer.split_last_chunk::<2>().unwrap();
        whole.extend(data);
        let [0x61, more] = *sw else { return [whole, sw.to_vec()].concat() };
        answer = card.send(&[0x00, 0xC0, 0x00, 0x00, more]);
    }
}

/// A command through the session, its answer as long as it is.
pub fn run_long<M: Memory>(card: &mut ScpCard<'_, M>, session: &mut Open, command: &[u8]) -> (Vec<u8>, u16) {
    let (mut wire, mut out) = ([0; 2200], [0; 2200]);
    let sent = session.wrap(&Command::parse(command).unwrap(), &mut wire).unwrap().to_vec();
    let answer = fetch(card, &sent);
    let opened = session.unwrap(&answer, &mut out).unwrap();
    (opened.data().to_vec(), opened.sw().value())
}

/// PUT KEY of a private number encrypted under `dek`.
pub fn put_private(replaced: u8, version: u8, id: u8, d: &[u8], dek: &Aes) -> Vec<u8> {
    let mut block = d.to_vec();
    dek.encrypt_cbc(&[0; 16], &mut block).unwrap();
    let mut data = [0; 100];
    data[0] = version;
    let len = put_ecc_private_field(&mut data, 1, d.len(), &block, 0).unwrap();
    apdu([0x80, 0xD8, replaced, id], &data[..len])
}

/// PUT KEY of a point.
pub fn put_public(replaced: u8, version: u8, id: u8, point: &[u8]) -> Vec<u8> {
    let mut data = [0; 160];
    data[0] = version;
    let len = huiwan_gp::put_key::put_ecc_field(&mut data, 1, point, 0).unwrap();
    apdu([0x80, 0xD8, replaced, id], &data[..len])
}

/// What gives a card all three keys and the authority, under the test keys of SCP03.
pub fn provisioning() -> Vec<Vec<u8>> {
    let dek = Aes::new(&huiwan_gp::card::TEST_KEY).unwrap();
    let mut commands: Vec<_> = VARIANTS
        .into_iter()
        .map(|variant| put_private(0, KVN, variant.key_id(), &[card_key(variant); 32], &dek))
        .collect();
    commands.push(put_public(0, KVN, KID_CA, public(ROOT).as_bytes()));
    commands
}

pub fn tlv(tag: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let len = match value.len() {
        n @ 0..=0x7F => vec![n as u8],
        n @ 0x80..=0xFF => vec![0x81, n as u8],
        n => vec![0x82, (n >> 8) as u8, n as u8],
    };
    [tag, &len, &value].concat()
}

fn der_signature(by: &EcPrivate<P256>, signed: &[u8]) -> Vec<u8> {
    let mut plain = [0; 64];
    by.sign(&hash::sha256(&[signed]), &mut plain).unwrap();
    let number = |half: &[u8]| {
        let mut number = half.to_vec();
        while number.len() > 1 && number[0] == 0 {
            number.remove(0);
        }
        if number[0] & 0x80 != 0 {
            number.insert(0, 0);
        }
        tlv(&[0x02], &[&number])
    };
    tlv(&[0x30], &[&number(&plain[..32]), &number(&plain[32..])])
}

/// A certificate of GlobalPlatform's form.
pub fn gp_certificate(serial: &[u8], usage: [u8; 2], key: u8, by: u8) -> Vec<u8> {
    let point = public(key);
    let body = [
        tlv(&[0x93], &[serial]),
        tlv(&[0x42], &[b"CA"]),
        tlv(&[0x5F, 0x20], &[b"OCE"]),
        tlv(&[0x95], &[&usage]),
        tlv(&[0x5F, 0x25], &[&[0x20, 0x25, 0x01, 0x01]]),
        tlv(&[0x5F, 0x24], &[&[0x20, 0x35, 0x12, 0x31]]),
        tlv(&[0x7F, 0x49], &[&tlv(&[0xB0], &[point.as_bytes()]), &tlv(&[0xF0], &[&[0]])]),
    ]
    .concat();
    let signature = der_signature(&private(by), &body);
    tlv(&[0x7F, 0x21], &[&body, &tlv(&[0x5F, 0x37], &[&signature])])
}

pub const AGREEMENT: [u8; 2] = [0x00, 0x80];
pub const SIGNATURE: [u8; 2] = [0x82, 0x00];

/// What an X.509 certificate says. [RFC 5280 4]
#[derive(Clone)]
pub struct X509 {
    pub serial: Vec<u8>,
    pub issuer: &'static [u8],
    pub subject: &'static [u8],
    pub from: Vec<u8>,
    pub until: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    pub key: u8,
    pub by: u8,
    pub algorithm: [u8; 2],
}

/// An extension: the last byte of its OID in arc 2.5.29, critical, value.
pub fn extension(id: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = tlv(&[0x01], &[&[0xFF]]);
    tlv(
        &[0x30],
        &[&tlv(&[0x06], &[&[0x55, 0x1D, id]]), if critical { &flag } else { &[] }, &tlv(&[0x04], &[value])],
    )
}

/// Key usage with these bits in its first byte.
pub fn key_usage(bits: u8) -> Vec<u8> {
    extension(0x0F, true, &[0x03, 0x02, bits.trailing_zeros() as u8 & 7, bits])
}

/// Basic constraints of an authority.
pub fn authority(path_len: Option<u8>) -> Vec<u8> {
    let path = path_len.map_or(vec![], |len| vec![0x02, 0x01, len]);
    extension(0x13, true, &tlv(&[0x30], &[&[0x01, 0x01, 0xFF], &path]))
}

impl X509 {
    /// An authority below `by`.
    pub fn authority(key: u8, by: u8) -> Self {
        Self {
            serial: vec![0x01, key],
            issuer: b"CA-KLOC",
            subject: b"KLOC",
            from: tlv(&[0x17], &[b"250101000000Z"]),
            until: tlv(&[0x18], &[b"20351231235959Z"]),
            extensions: vec![authority(None), key_usage(0x04)],
            key,
            by,
            algorithm: [0x03, 0x02],
        }
    }

    /// A host.
    pub fn host(key: u8, by: u8) -> Self {
        let extensions = vec![extension(0x13, true, &[0x30, 0x00]), key_usage(0x08)];
        Self {
            serial: vec![0x00, 0x99, key],
            issuer: b"KLOC",
            subject: b"OCE",
            extensions,
            ..Self::authority(key, by)
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let name = |text: &[u8]| {
            let part = [&tlv(&[0x06], &[&[0x55, 0x04, 0x03]])[..], &tlv(&[0x0C], &[text])].concat();
            tlv(&[0x30], &[&tlv(&[0x31], &[&tlv(&[0x30], &[&part])])])
        };
        let ecdsa =
            |end: &[u8]| tlv(&[0x30], &[&tlv(&[0x06], &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04], end])]);
        let point = public(self.key);
        let algorithm = [
            tlv(&[0x06], &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]]),
            tlv(&[0x06], &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]]),
        ]
        .concat();
        let tbs = tlv(
            &[0x30],
            &[
                &tlv(&[0xA0], &[&[0x02, 0x01, 0x02]]),
                &tlv(&[0x02], &[&self.serial]),
                &ecdsa(&[0x03, 0x02]),
                &name(self.issuer),
                &tlv(&[0x30], &[&self.from, &self.until]),
                &name(self.subject),
                &tlv(&[0x30], &[&tlv(&[0x30], &[&algorithm]), &tlv(&[0x03], &[&[0], point.as_bytes()])]),
                &tlv(&[0xA3], &[&tlv(&[0x30], &[&self.extensions.concat()])]),
            ],
        );
        let signature = der_signature(&private(self.by), &tbs);
        tlv(&[0x30], &[&tbs, &ecdsa(&self.algorithm), &tlv(&[0x03], &[&[0], &signature])])
    }
}

/// PERFORM SECURITY OPERATION in as many commands as it takes, by command chaining.
pub fn certify<M: Memory>(card: &mut ScpCard<'_, M>, certificate: &[u8], more: bool) -> u16 {
    certify_under(card, certificate, more, KVN)
}

pub fn certify_under<M: Memory>(
    card: &mut ScpCard<'_, M>,
    certificate: &[u8],
    more: bool,
    version: u8,
) -> u16 {
    let p2 = KID_CA | if more { 0x80 } else { 0 };
    let mut pieces = certificate.chunks(255).peekable();
    loop {
        let piece = pieces.next().unwrap();
        let last = pieces.peek().is_none();
        let sw = card.sw(&apdu([if last { 0x80 } else { 0x90 }, 0x2A, version, p2], piece));
        if last || sw != 0x9000 {
            return sw;
        }
    }
}

/// The certificates of the host's chain, of either kind.
pub fn chain(x509: bool) -> [Vec<u8>; 2] {
    if x509 {
        [X509::authority(MIDDLE, ROOT).write(), X509::host(HOST, MIDDLE).write()]
    } else {
        [
            gp_certificate(&[1], SIGNATURE, MIDDLE, ROOT),
            gp_certificate(&[0x99, HOST], AGREEMENT, HOST, MIDDLE),
        ]
    }
}

pub fn certify_host<M: Memory>(card: &mut ScpCard<'_, M>, x509: bool) {
    static CHAINS: [OnceLock<[Vec<u8>; 2]>; 2] = [OnceLock::new(), OnceLock::new()];
    let [first, second] = CHAINS[usize::from(x509)].get_or_init(|| chain(x509));
    assert_eq!(certify(card, first, true), 0x9000);
    assert_eq!(certify(card, second, false), 0x9000);
}

/// What a host asks for.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub variant: Variant,
    pub level: Level,
    pub key_len: u8,
    pub mode: Mode,
    pub identifiers: Option<Identifiers<'a>>,
    pub ephemeral: u8,
}

impl Wish<'_> {
    pub const fn new(variant: Variant) -> Self {
        Self { variant, level: Level::All, key_len: 16, mode: Mode::S8, identifiers: None, ephemeral: 0x63 }
    }

    pub fn handshake(&self) -> AwaitReceipt<P256> {
        AwaitReceipt::new_with(
            self.variant,
            self.level,
            self.key_len,
            private(self.ephemeral),
            self.identifiers,
        )
        .unwrap()
    }

    /// MUTUAL or INTERNAL AUTHENTICATE.
    pub fn command(&self) -> Vec<u8> {
        let mut out = [0; 300];
        self.handshake().command(0x80, KVN, self.variant.key_id()).write(&mut out).unwrap().to_vec()
    }

    /// What the host makes of the answer.
    pub fn opened(&self, answer: &[u8]) -> Result<Open, u16> {
        let (data, sw) = answer.split_last_chunk::<2>().unwrap();
        let sw = u16::from_be_bytes(*sw);
        if sw != 0x9000 {
            return Err(sw);
        }
        let own = private(HOST);
        self.handshake()
            .verify_receipt_with::<Sha256>(
                data,
                Sw::OK,
                &public(card_key(self.variant)),
                self.variant.authenticates_host().then_some(&own),
                self.mode,
            )
            .map_err(|_| 0)
    }

    /// The handshake with a provisioned card, certificates and all.
    pub fn open<M: Memory>(&self, card: &mut ScpCard<'_, M>) -> Result<Open, u16> {
        if self.variant.authenticates_host() {
            certify_host(card, false);
        }
        let answer = card.send(&self.command());
        self.opened(&answer)
    }
}

/// A command on a card that knows the time.
pub fn sw_at<M: Memory>(card: &mut ScpCard<'_, M>, command: &[u8], now: DateTime) -> u16 {
    let mut env = Environment { random: &mut card.random, now: Some(now) };
    let answer = card.element.exchange(command, &mut env);
    u16::from_be_bytes(*answer.last_chunk::<2>().unwrap())
}
