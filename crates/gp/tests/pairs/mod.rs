//! Host and card of a secure channel against each other on any input: the bodies of the fuzz targets `scp02_pair`, `scp03_pair` and
//! `scp11_pair`, which a property test runs as well. What the host wraps the card unwraps to the same command and the other way round;
//! any flipped bit ends the session on the side that receives it.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_gp::card::secure_channel::{CardKeys, SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::{AwaitCard, AwaitReceipt, Open};
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Mode, Octets};
use huiwan_gp::scp11::Variant;
use huiwan_gp::scp11::certificate::Certificate;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::rng::Seeded;

const AID: [u8; 8] = [0xA0, 0, 0, 1, 0x51, 0, 0, 0];
const EVERY_I: [scp03::Options; 6] = [
    scp03::Options::I00,
    scp03::Options::I10,
    scp03::Options::I20,
    scp03::Options::I30,
    scp03::Options::I60,
    scp03::Options::I70,
];

/// SCP02, R-MAC sessions included.
pub fn scp02(data: &[u8]) {
    let Some((&[seed, i, level, flip], mut data)) = data.split_first_chunk::<4>() else { return };
    let options = scp02::Options::EVERY[usize::from(i) % scp02::Options::EVERY.len()];
    let level = Level::EVERY[usize::from(level) % Level::EVERY.len()];
    if !options.allows(level) {
        return;
    }
    let keys = scp02::StaticKeys::new(&[seed; 16], &[!seed; 16], &[seed; 16]).unwrap();
    let sequence = scp02::Sequence::from_bytes([seed & 0x7F, flip]);
    let mut card = Session::none();
    let mut host = if options.explicit() {
        let answer = card
            .initialize_update_scp02(&keys, 1, [0; 10], options, &[seed; 8], [flip; 6], sequence, &AID)
            .unwrap();
        let host =
            AwaitCard::new([seed; 8]).with_scp02(options).verify_card(0x80, &answer, &keys, level).unwrap();
        card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
        host.accepted(Sw::OK).unwrap()
    } else {
        card.initiate_implicitly(&keys, 1, options, sequence, &AID).unwrap();
        Open::implicit(options, &keys, sequence, &AID).unwrap()
    };

    let (mut wire, mut opened) = ([0; 400], [0; 400]);
    for _ in 0..16 {
        // One exchange: INS, P1, P2, data length, Le, status, response length, then the data of both.
        let Some((&[ins, p1, p2, lc, le, sw2, out_len], rest)) = data.split_first_chunk::<7>() else {
            return;
        };
        let (body, rest) = rest.split_at(usize::from(lc).min(rest.len()).min(scp02::max_command_data(level)));
        let (answer, rest) = rest.split_at(usize::from(out_len).min(rest.len()).min(248));
        data = rest;
        let mut command = Command::new(0x80, ins, p1, p2).with_data(body);
        if le & 1 != 0 {
            command = command.with_ne(Ne::short(le));
        }
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        let mut slot = [0; SESSION_LEN];
        card.store(&mut slot);
        let parsed = Command::parse(&sent).unwrap();
        let received = card.unwrap(&parsed, &mut opened).unwrap();
        assert_eq!((received.header(), received.data()), (command.header(), command.data()));

        // A flipped bit behind the class byte that leaves a command (Le apart) is found.
        if level.c_mac() {
            let covered = sent.len() - usize::from(parsed.ne().is_some());
            let bit = 8 + usize::from(flip) % ((covered - 1) * 8);
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = Command::parse(&flipped) {
                let mut victim = Session::load(&slot);
                assert_eq!(victim.unwrap(&flipped, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
                assert_eq!(victim.unwrap(&parsed, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            }
        }

        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        let (sw, expected) = match card.r_mac_session(&received, &mut reply) {
            Some(Ok(())) => (Sw::OK, None),
            Some(Err(sw)) => {
                reply.clear();
                (sw, Some(&[][..]))
            }
            None if sw2 % 4 == 0 => (Sw::new(0x6A80), Some(&[][..])),
            None => {
                reply.push(answer).unwrap();
                ([Sw::OK, Sw::new(0x6200 | u16::from(sw2))][usize::from(sw2 & 1)], Some(answer))
            }
        };
        let signed = card.level().is_some_and(Level::r_mac) && expected.is_some();
        card.wrap(&mut reply, sw).unwrap();
        let response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
        // The last exchange may be the one that is changed on its way back.
        if flip % 5 == 0 && data.len() < 7 && signed && (sw.is_ok() || sw.sw1() == 0x62) {
            return refuses_changed(&mut host, response, usize::from(flip));
        }
        let mut out = [0; 300];
        let got = host.unwrap(&response, &mut out).unwrap();
        assert_eq!(got.sw(), sw);
        if let Some(expected) = expected {
            assert_eq!(got.data(), expected);
        }
    }
}

/// A response with one bit changed is refused, and the session is over.
fn refuses_changed(host: &mut Open, mut response: Vec<u8>, flip: usize) {
    let bit = flip % (response.len() * 8);
    response[bit / 8] ^= 1 << (bit % 8);
    assert!(host.unwrap(&response, &mut [0; 300]).is_err());
    assert!(host.is_dead());
}

/// SCP03.
pub fn scp03(data: &[u8]) {
    let Some((&[size, i, level, flip], mut data)) = data.split_first_chunk::<4>() else { return };
    let len = [16, 24, 32][usize::from(size % 3)];
    let options = EVERY_I[usize::from(i % 6)].with_mode(if i & 0x80 != 0 { Mode::S16 } else { Mode::S8 });
    let level = Level::EVERY[usize::from(level % 6)];
    let key = [size; 32];
    let keys = scp03::StaticKeys::new(&key[..len], &key[..len], &key[..len]).unwrap();
    let octets = |byte| Octets::new(&[byte; 16][..options.mode().len()]).unwrap();
    let (host_challenge, card_challenge) = (octets(size), octets(flip));
    let mut card = Session::none();
    let answer = card
        .initialize_update(
            &keys,
            1,
            [0; 10],
            options,
            host_challenge.as_bytes(),
            card_challenge,
            Counter::ZERO,
        )
        .unwrap();
    let Ok(host) = AwaitCard::new(host_challenge).verify_card(0x80, &answer, &keys, level) else {
        assert!(!options.allows(level));
        return;
    };
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    let mut host = host.accepted(Sw::OK).unwrap();

    let (mut wire, mut opened) = ([0; 400], [0; 400]);
    for _ in 0..16 {
        // One exchange: header, data length, Le, status, response length, then the data of both.
        let Some((&[ins, p1, p2, lc, le, sw2, out_len], rest)) = data.split_first_chunk::<7>() else {
            return;
        };
        let (body, rest) =
            rest.split_at(usize::from(lc).min(rest.len()).min(options.mode().max_command_data(level)));
        let (answer, rest) = rest.split_at(
            usize::from(out_len).min(rest.len()).min(options.mode().max_response_data(level)).min(255),
        );
        data = rest;
        let mut command = Command::new(0x80, ins, p1, p2).with_data(body);
        if le & 1 != 0 {
            command = command.with_ne(Ne::short(le));
        }
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        let mut slot = [0; SESSION_LEN];
        card.store(&mut slot);
        let received = card.unwrap(&Command::parse(&sent).unwrap(), &mut opened).unwrap();
        assert_eq!(received, command);

        // A flipped bit behind the class byte that leaves a command (Le apart) is found.
        if level.c_mac() {
            let covered = sent.len() - usize::from(command.ne().is_some());
            let bit = 8 + usize::from(flip) % ((covered - 1) * 8);
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = Command::parse(&flipped) {
                let mut victim = Session::load(&slot);
                assert_eq!(victim.unwrap(&flipped, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
                assert!(!victim.is_open());
                let late = Command::parse(&sent).unwrap();
                assert_eq!(victim.unwrap(&late, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            }
        }

        let sw =
            [Sw::OK, Sw::new(0x6200 | u16::from(sw2)), Sw::new(0x6300 | u16::from(sw2)), Sw::new(0x6A80)]
                [usize::from(sw2 % 4)];
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        if sw.value() != 0x6A80 {
            reply.push(answer).unwrap();
        }
        card.wrap(&mut reply, sw).unwrap();
        let response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
        // The last exchange may be the one that is changed on its way back.
        if flip % 5 == 0 && data.len() < 7 && level.r_mac() && sw.value() != 0x6A80 {
            return refuses_changed(&mut host, response, usize::from(flip));
        }
        let mut out = [0; 300];
        let got = host.unwrap(&response, &mut out).unwrap();
        assert_eq!(got.sw(), sw);
        assert_eq!(got.data(), if sw.value() == 0x6A80 { &[] } else { answer });
    }
}

/// SCP11: any bytes for a handshake and for a certificate do no harm; an honest one opens a session both ends agree on; no changed answer,
/// and no changed command behind it, is taken for good.
pub fn scp11(data: &[u8]) {
    let Some((&[kind, size, flip, seed], rest)) = data.split_first_chunk::<4>() else { return };
    if let Some((certificate, behind)) = Certificate::parse(rest) {
        assert!(certificate.point.len() + certificate.signature.len() + behind.len() <= rest.len());
    }
    let variant = [Variant::A, Variant::B, Variant::C][usize::from(kind % 3)];
    let level = if kind & 0x40 == 0 { Level::All } else { Level::CMacRMac };
    let mode = if kind & 0x80 == 0 { Mode::S8 } else { Mode::S16 };
    let len = [16, 24, 32][usize::from(size % 3)];
    let key = |byte: u8| EcPrivate::<P256>::new(&[byte | 1; 32]).unwrap();
    // FF … FF is beyond the order of the curve.
    let (own, host_key, ephemeral) = (key(seed & 0x7E), key(flip & 0x7E), key(size & 0x7E));
    let host_public = host_key.public().unwrap();
    let keys = CardKeys { key_version: 1, own: &own, host: Some(&host_public), card_group: &[] };
    let handshake = AwaitReceipt::new(variant, level, len, ephemeral).unwrap();
    let open = |data: &[u8]| {
        let mut card = Session::none();
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        let mut random = Seeded::new(u64::from(seed));
        card.authenticate_scp11::<P256, Sha256>(variant, data, &keys, mode, &mut random, &mut reply)
            .map(|()| (card, reply.as_slice().to_vec()))
    };
    if let Ok((card, _)) = open(rest) {
        assert_eq!(card.is_open(), variant != Variant::B);
    }
    let (mut card, mut answer) = open(handshake.command(0x80, 1, 1).data()).unwrap();
    let public = own.public().unwrap();
    if flip & 1 != 0 {
        let bit = usize::from(flip) * 256 + usize::from(seed);
        let at = bit / 8 % answer.len();
        answer[at] ^= 1 << (bit % 8);
        let refused =
            handshake.verify_receipt_with::<Sha256>(&answer, Sw::OK, &public, Some(&host_key), mode);
        assert!(refused.is_err());
        return;
    }
    let mut host =
        handshake.verify_receipt_with::<Sha256>(&answer, Sw::OK, &public, Some(&host_key), mode).unwrap();
    let mut bodies =
        rest.chunks(usize::from(size).max(8).min(mode.max_command_data(level))).take(8).peekable();
    while let Some(body) = bodies.next() {
        let command = Command::new(0x80, 0xE2, seed, flip).with_data(body);
        let (mut wire, mut opened) = ([0; 300], [0; 300]);
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        let mut slot = [0; SESSION_LEN];
        card.store(&mut slot);
        let parsed = Command::parse(&sent).unwrap();
        assert_eq!(card.unwrap(&parsed, &mut opened).unwrap(), command);

        // A flipped bit behind the class byte that leaves a command is found, and ends the session.
        let bit = 8 + (usize::from(flip) * 8 + usize::from(seed)) % ((sent.len() - 1) * 8);
        let mut flipped = sent.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = Command::parse(&flipped) {
            let mut victim = Session::load(&slot);
            assert_eq!(victim.unwrap(&flipped, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            assert!(!victim.is_open() && victim.level().is_none());
            assert_eq!(victim.unwrap(&parsed, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
        }

        let sw = [Sw::OK, Sw::new(0x6310), Sw::new(0x6283), Sw::new(0x6A80)][usize::from(seed % 4)];
        let answer = if sw.value() == 0x6A80 { &[][..] } else { body };
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        reply.push(answer).unwrap();
        card.wrap(&mut reply, sw).unwrap();
        let response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
        // The last exchange may be the one that is changed on its way back.
        if bodies.peek().is_none() && seed % 3 == 0 && sw.value() != 0x6A80 {
            return refuses_changed(&mut host, response, bit);
        }
        let got = host.unwrap(&response, &mut opened).unwrap();
        assert_eq!((got.data(), got.sw()), (answer, sw));
    }
}
