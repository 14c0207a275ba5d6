//! SCP11: published sessions on three curves, and host and card against each other on P-256.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Protection, ResponseWriter, SecureChannel};
use huiwan_crypto::CryptoError;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, P256};
use huiwan_crypto::hash;
use huiwan_crypto::kdf::Sha256;
use huiwan_gp::card::secure_channel::{
    CERTIFICATE_NOT_VERIFIED, CardKeys, NOT_ON_WHITELIST, SESSION_LEN, Session, verify_host_certificates,
};
use huiwan_gp::host::secure_channel::{AwaitReceipt, Open, SessionError};
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp11::certificate::Certificate;
use huiwan_gp::scp11::{Authenticate, Secrets, SessionKeys, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors::{self, Block};

const SCP11: &str = include_str!("vectors/scp11.txt");

/// A curve of another RustCrypto crate, as a user would bring it: agreement alone.
macro_rules! curve {
    ($name:ident, $field:literal, $secret:ty, $public:ty) => {
        #[derive(Debug)]
        struct $name;

        impl Curve for $name {
            const FIELD_LEN: usize = $field;

            fn public(private: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
                use p384::elliptic_curve::sec1::ToSec1Point;
                let key = <$secret>::from_slice(private).map_err(|_| CryptoError)?;
                out.copy_from_slice(key.public_key().to_sec1_point(false).as_bytes());
                Ok(())
            }
            fn is_point(point: &[u8]) -> bool {
                <$public>::from_sec1_bytes(point).is_ok()
            }
            fn agree(private: &[u8], point: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
                use p384::elliptic_curve::point::AffineCoordinates;
                let key = <$secret>::from_slice(private).map_err(|_| CryptoError)?;
                let point = <$public>::from_sec1_bytes(point).map_err(|_| CryptoError)?;
                let shared = point.to_projective() * *key.to_nonzero_scalar();
                out.copy_from_slice(&shared.to_affine().x());
                Ok(())
            }
            fn verify(_: &[u8], _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
                Err(CryptoError)
            }
            fn sign(_: &[u8], _: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
                Err(CryptoError)
            }
        }
    };
}

curve!(P384, 48, p384::SecretKey, p384::PublicKey);
curve!(
    BrainpoolP256r1,
    32,
    p384::elliptic_curve::SecretKey<bp256::BrainpoolP256r1>,
    p384::elliptic_curve::PublicKey<bp256::BrainpoolP256r1>
);

fn variant(v: &Block<'_>) -> Variant {
    match v.text("in.variant") {
        "a" => Variant::A,
        "b" => Variant::B,
        _ => Variant::C,
    }
}

/// The host's side of a published session, byte by byte, and the numbers in between.
fn host_speaks<C: Curve>(v: &Block<'_>) {
    let raw = v.bytes("in.authenticate_command");
    let command = Command::parse(&raw).unwrap();
    let request = Authenticate::parse(command.data()).unwrap();
    let ephemeral = EcPrivate::<C>::new(&v.bytes("in.oce_ephemeral_private")).unwrap();
    let own = EcPrivate::<C>::new(&v.bytes("in.oce_static_private")).unwrap();
    let card = EcPublic::<C>::new(&v.bytes("in.sd_public")).unwrap();
    let response = v.bytes("in.authenticate_response");
    let (answer, sw) = response.split_last_chunk::<2>().unwrap();

    let their_point = &answer[answer.len() - 18 - (1 + 2 * C::FIELD_LEN)..answer.len() - 18];
    let theirs = EcPublic::<C>::new(their_point).unwrap();
    let secrets = Secrets::agree((&ephemeral, &theirs), (&own, &card)).unwrap();
    assert_eq!(secrets.expose(), v.bytes("out.shared_secret"), "{}", v.id());
    let keys = SessionKeys::derive::<Sha256>(&secrets, &request).unwrap();
    let (raw_keys, len) = (keys.messaging(), keys.key_len());
    assert_eq!(raw_keys[..len], v.bytes("out.session_enc"), "{}", v.id());
    assert_eq!(raw_keys[len..2 * len], v.bytes("out.session_mac"), "{}", v.id());
    assert_eq!(raw_keys[2 * len..3 * len], v.bytes("out.session_rmac"), "{}", v.id());
    assert_eq!(keys.dek(), v.bytes("out.session_dek"), "{}", v.id());

    // The certificate, if it is there, holds the same key.
    if let Some(stored) = v.get("in.sd_certificate_get_data") {
        let stored = hex(stored);
        let inner = huiwan_tlv::parse(&stored, huiwan_tlv::Rules::ISO).next().unwrap().unwrap();
        let (certificate, rest) = Certificate::parse(inner.value()).unwrap();
        assert_eq!((certificate.point, rest), (card.as_bytes(), &[][..]), "{}", v.id());
    }
    let handshake = AwaitReceipt::new(variant(v), request.level, request.key_len, ephemeral).unwrap();
    let mut out = [0; 300];
    let sent = handshake.command(0x80, raw[2], raw[3]).write(&mut out).unwrap();
    assert_eq!(sent, raw, "{}", v.id());
    let mode = if v.text("in.s16") == "true" { Mode::S16 } else { Mode::S8 };
    let sw = Sw::new(u16::from_be_bytes(*sw));
    let mut session = handshake.verify_receipt_with::<Sha256>(answer, sw, &card, Some(&own), mode).unwrap();
    for n in 0.. {
        let Some(plain) = v.get(&format!("out.commands.{n}.plain")) else { break };
        let (plain, mut wire, mut opened) = (hex(plain), [0; 300], [0; 300]);
        let sent = session.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
        assert_eq!(sent, v.bytes(&format!("out.commands.{n}.wrapped")), "{} command {n}", v.id());
        let response = v.bytes(&format!("out.commands.{n}.response"));
        let got = session.unwrap(&response, &mut opened).unwrap();
        assert_eq!(got.data(), v.bytes(&format!("out.commands.{n}.response_plain")), "{} {n}", v.id());
    }
}

#[test]
fn host_speaks_as_published_sessions() {
    let file = vectors::load(SCP11);
    let mut curves = std::collections::BTreeMap::<&str, usize>::new();
    for v in file.group("scp11_session").filter(|v| !v.is_weak()) {
        let curve = v.text("in.curve");
        match curve {
            "secp256r1" => host_speaks::<P256>(v),
            "secp384r1" => host_speaks::<P384>(v),
            "brainpoolP256r1" => host_speaks::<BrainpoolP256r1>(v),
            other => panic!("{other}"),
        }
        *curves.entry(curve).or_default() += 1;
    }
    assert!(curves.len() == 3 && curves.values().sum::<usize>() >= 5, "{curves:?}");
}

/// Variant b. Computed; another implementation (yubikey-manager) took it, but nobody published it: weak.
#[test]
fn variant_b() {
    let file = vectors::load(SCP11);
    let v = file.block("derived-scp11b-p256");
    let ephemeral = EcPrivate::<P256>::new(&v.bytes("in.oce_ephemeral_private")).unwrap();
    let card = EcPrivate::<P256>::new(&v.bytes("in.sd_static_private")).unwrap().public().unwrap();
    let handshake = AwaitReceipt::new(Variant::B, Level::All, 16, ephemeral).unwrap();
    let raw = v.bytes("out.internal_authenticate");
    let mut out = [0; 300];
    assert_eq!(handshake.command(0x80, raw[2], raw[3]).write(&mut out).unwrap(), raw);
    let mut session = handshake.verify_receipt(&v.bytes("out.response"), Sw::OK, &card, None).unwrap();
    let first = v.bytes("out.first_command");
    let plain = [0x80, first[1], first[2], first[3], 0x00];
    assert_eq!(session.wrap(&Command::parse(&plain).unwrap(), &mut out).unwrap(), first);
}

struct Keys {
    card: EcPrivate<P256>,
    host: EcPrivate<P256>,
}

fn keys() -> Keys {
    Keys { card: EcPrivate::new(&[0x21; 32]).unwrap(), host: EcPrivate::new(&[0x42; 32]).unwrap() }
}

fn handshake(variant: Variant, level: Level, key_len: u8) -> AwaitReceipt<P256> {
    AwaitReceipt::new(variant, level, key_len, EcPrivate::new(&[0x63; 32]).unwrap()).unwrap()
}

/// The card's answer to a handshake.
fn answer(variant: Variant, data: &[u8], mode: Mode) -> Result<(Session, Vec<u8>), Sw> {
    let keys = keys();
    let host = keys.host.public().unwrap();
    let own = CardKeys { key_version: 3, own: &keys.card, host: Some(&host), card_group: &[] };
    let mut card = Session::none();
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    card.authenticate_scp11::<P256, Sha256>(variant, data, &own, mode, &mut Seeded::new(7), &mut reply)?;
    Ok((card, reply.as_slice().to_vec()))
}

fn pair(variant: Variant, level: Level, key_len: u8, mode: Mode) -> (Open, Session) {
    let (keys, handshake) = (keys(), handshake(variant, level, key_len));
    let (card, answer) = answer(variant, handshake.command(0x80, 1, 1).data(), mode).unwrap();
    let public = keys.card.public().unwrap();
    let host =
        handshake.verify_receipt_with::<Sha256>(&answer, Sw::OK, &public, Some(&keys.host), mode).unwrap();
    (host, card)
}

const VARIANTS: [Variant; 3] = [Variant::A, Variant::B, Variant::C];

fn combinations() -> impl Iterator<Item = (Variant, Level, u8, Mode)> {
    VARIANTS.into_iter().flat_map(|variant| {
        [Level::All, Level::CMacRMac].into_iter().flat_map(move |level| {
            [16, 24, 32].into_iter().flat_map(move |len| {
                [Mode::S8, Mode::S16].into_iter().map(move |mode| (variant, level, len, mode))
            })
        })
    })
}

fn copy(card: &Session) -> Session {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    Session::load(&slot)
}

#[test]
fn pairs_exchange_and_any_flipped_bit_ends_them() {
    for (variant, level, len, mode) in combinations() {
        let (mut host, card) = pair(variant, level, len, mode);
        let data: Vec<u8> = (0..=255).collect();
        let mut card = copy(&card);
        for size in [0, 1, 15, 16, mode.max_command_data(level)] {
            let command = Command::new(0x80, 0xE2, 1, 2).with_data(&data[..size]);
            let (mut wire, mut opened) = ([0; 300], [0; 300]);
            let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            if size == 1 {
                for bit in (8..32).chain(40..sent.len() * 8) {
                    let mut flipped = sent.clone();
                    flipped[bit / 8] ^= 0x80 >> (bit % 8);
                    let mut victim = copy(&card);
                    let result = victim.unwrap(&Command::parse(&flipped).unwrap(), &mut [0; 300]).map(|_| ());
                    assert_eq!(result, Err(Sw::SECURITY_STATUS), "bit {bit}");
                    assert_eq!(victim.protection(), Protection::default());
                    let late = victim.unwrap(&Command::parse(&sent).unwrap(), &mut [0; 300]).map(|_| ());
                    assert_eq!(late, Err(Sw::SECURITY_STATUS));
                }
            }
            assert_eq!(
                card.unwrap(&Command::parse(&sent).unwrap(), &mut opened).unwrap().data(),
                &data[..size]
            );
            let mut buffer = [0; 256];
            let mut reply = ResponseWriter::new(&mut buffer);
            reply.push(&data[..size.min(mode.max_response_data(level))]).unwrap();
            card.wrap(&mut reply, Sw::OK).unwrap();
            let mut response = [reply.as_slice(), &[0x90, 0x00]].concat();
            if size == 16 {
                // The last one is changed on its way.
                response[3] ^= 1;
                assert_eq!(host.unwrap(&response, &mut opened).map(|_| ()), Err(SessionError::NotAuthentic));
                assert!(host.is_dead());
                break;
            }
            assert_eq!(host.unwrap(&response, &mut opened).unwrap().data(), &data[..size]);
        }
    }
}

#[test]
fn only_variants_that_know_the_host_open_the_card() {
    for variant in VARIANTS {
        let (_, card) = pair(variant, Level::All, 16, Mode::S8);
        let knows = variant != Variant::B;
        assert_eq!((card.is_open(), card.protection().authenticated), (knows, knows));
        assert!(card.protection().c_mac && card.protection().r_enc && card.level().is_some());
        assert_eq!(copy(&card).is_open(), knows);
    }
}

#[test]
fn handshakes_that_fail() {
    let keys = keys();
    let public = keys.card.public().unwrap();
    for variant in VARIANTS {
        let data = handshake(variant, Level::All, 16).command(0x80, 1, 1).data().to_vec();
        let (_, good) = answer(variant, &data, Mode::S8).unwrap();
        let verify = |answer: &[u8], sw| {
            handshake(variant, Level::All, 16)
                .verify_receipt(answer, sw, &public, Some(&keys.host))
                .map(|_| ())
        };
        assert_eq!(verify(&good, Sw::OK), Ok(()));
        assert_eq!(verify(&good, Sw::SECURITY_STATUS), Err(SessionError::NotAuthentic));
        // Every flipped bit of point and receipt, every cut, and any other card.
        for bit in 0..good.len() * 8 {
            let mut wrong = good.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&wrong, Sw::OK), Err(SessionError::NotAuthentic), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(verify(&good[..cut], Sw::OK).is_err());
        }
        let other = EcPrivate::<P256>::new(&[0x77; 32]).unwrap().public().unwrap();
        let refused =
            handshake(variant, Level::All, 16).verify_receipt(&good, Sw::OK, &other, Some(&keys.host));
        assert_eq!(refused.map(|_| ()).unwrap_err(), SessionError::NotAuthentic);
        // A host with another static key: the receipt is not for it, except in b, which has none.
        let stranger = EcPrivate::<P256>::new(&[0x78; 32]).unwrap();
        let refused =
            handshake(variant, Level::All, 16).verify_receipt(&good, Sw::OK, &public, Some(&stranger));
        assert_eq!(refused.is_ok(), variant == Variant::B);
        // The card: every cut and malformed point; a variant that is not its key's.
        for cut in 0..data.len() {
            assert!(answer(variant, &data[..cut], Mode::S8).is_err());
        }
        let mut off_curve = data.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        assert_eq!(answer(variant, &off_curve, Mode::S8).map(|_| ()).unwrap_err(), Sw::WRONG_DATA);
        let another = if variant == Variant::A { Variant::C } else { Variant::A };
        assert_eq!(answer(another, &data, Mode::S8).map(|_| ()).unwrap_err(), Sw::CONDITIONS_NOT_SATISFIED);
    }
    // Without the host's certificate there is no mutual authentication.
    let own = CardKeys { key_version: 3, own: &keys.card, host: None, card_group: &[] };
    let mut buffer = [0; 256];
    let data = handshake(Variant::A, Level::All, 16).command(0x80, 1, 1).data().to_vec();
    let refused = Session::none().authenticate_scp11::<P256, Sha256>(
        Variant::A,
        &data,
        &own,
        Mode::S8,
        &mut Seeded::new(1),
        &mut ResponseWriter::new(&mut buffer),
    );
    assert_eq!(refused, Err(Sw::REFERENCED_DATA_NOT_FOUND));
}

fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let len = if value.len() < 0x80 { vec![value.len() as u8] } else { vec![0x81, value.len() as u8] };
    [tag, &len, value].concat()
}

/// A certificate of GlobalPlatform's form, signed by `by`.
fn certificate(serial: u8, usage: [u8; 2], key: &EcPublic<P256>, by: &EcPrivate<P256>) -> Vec<u8> {
    let public = tlv(&[0x7F, 0x49], &[tlv(&[0xB0], key.as_bytes()), tlv(&[0xF0], &[0])].concat());
    let body = [
        tlv(&[0x93], &[serial]),
        tlv(&[0x42], b"CA"),
        tlv(&[0x5F, 0x20], b"OCE"),
        tlv(&[0x95], &usage),
        tlv(&[0x5F, 0x24], &[0x20, 0x35, 0x01, 0x01]),
        public,
    ]
    .concat();
    let mut signature = [0; 64];
    by.sign(&hash::sha256(&[&body]), &mut signature).unwrap();
    tlv(&[0x7F, 0x21], &[body, tlv(&[0x5F, 0x37], &signature)].concat())
}

#[test]
fn commands_around_the_handshake() {
    use huiwan_gp::scp11::{certificate_request, perform_security_operation};
    let mut out = [0; 16];
    let sent =
        perform_security_operation(0x80, 0x03, 0x10, &[0x7F, 0x21, 0x00], true).write(&mut out).unwrap();
    assert_eq!(sent, hex("802A0390037F210000"));
    let sent =
        perform_security_operation(0x80, 0x03, 0x10, &[0x7F, 0x21, 0x00], false).write(&mut out).unwrap();
    assert_eq!(sent, hex("802A0310037F210000"));
    assert_eq!(certificate_request(0x11, 0x03)[..], hex("A60483021103"));
}

#[test]
fn host_certificates() {
    let root = EcPrivate::<P256>::new(&[0x31; 32]).unwrap();
    let sub = EcPrivate::<P256>::new(&[0x32; 32]).unwrap();
    let host = EcPrivate::<P256>::new(&[0x33; 32]).unwrap().public().unwrap();
    let (root_key, sub_key) = (root.public().unwrap(), sub.public().unwrap());
    let verify =
        |chain: &[u8]| verify_host_certificates::<P256, Sha256>(&root_key, chain, |serial| serial == [7]);
    let chain = [certificate(1, [0x82, 0], &sub_key, &root), certificate(7, [0, 0x80], &host, &sub)].concat();
    assert_eq!(verify(&chain), Ok(host));
    assert_eq!(verify(&certificate(7, [0, 0x80], &host, &root)), Ok(host));
    assert_eq!(verify(&certificate(8, [0, 0x80], &host, &root)), Err(NOT_ON_WHITELIST));
    // An end certificate signs nothing, and a signing one agrees nothing.
    let misused =
        [certificate(1, [0, 0x80], &sub_key, &root), certificate(7, [0, 0x80], &host, &sub)].concat();
    assert_eq!(verify(&misused), Err(CERTIFICATE_NOT_VERIFIED));
    assert_eq!(verify(&certificate(7, [0x82, 0], &host, &root)), Err(CERTIFICATE_NOT_VERIFIED));
    assert_eq!(verify(&certificate(7, [0, 0x80], &host, &sub)), Err(CERTIFICATE_NOT_VERIFIED));
    for bit in 0..chain.len() * 8 {
        let mut wrong = chain.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&wrong).is_err(), "bit {bit}");
    }
}
