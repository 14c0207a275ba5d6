//! What every bit of an exchange does, the same questions put to SCP02, SCP03 and SCP11: class byte and Le by a table with a reason for
//! each bit, everything else fatal; most data by the numbers; logical channels; answers without protection.
//!
//! The first half is about the two ends of a session; the second sends the bytes to a whole card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use std::sync::OnceLock;

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_gp::card::secure_channel::{CardKeys, SESSION_LEN, Session};
use huiwan_gp::card::{CardProfile, Factory, Scp11Profile, TEST_KEY};
use huiwan_gp::host::secure_channel::{AwaitCard, AwaitReceipt, Open, SessionError};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Mode, Octets};
use huiwan_gp::scp11::Variant;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;
use scp11_host::{Wish, certify_host, provisioning, with_scp11};
use support::*;

const AID: [u8; 8] = [0xA0, 0, 0, 1, 0x51, 0, 0, 0];
const SEQUENCE: scp02::Sequence = scp02::Sequence::from_bytes([0x12, 0x34]);

/// A protocol as a card may speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Scp02(scp02::Options),
    Scp03(usize, scp03::Options),
    Scp11(Variant, u8, Mode),
}

impl Protocol {
    /// Every one: thirteen SCP02, three key lengths with twelve "i" of SCP03, three variants of SCP11 with three and both modes.
    fn every() -> Vec<Self> {
        use scp03::Options;
        let mut every: Vec<_> = scp02::Options::EVERY.map(Self::Scp02).to_vec();
        let i = [Options::I00, Options::I10, Options::I20, Options::I30, Options::I60, Options::I70];
        for (len, short) in [(16, 16), (24, 24), (32, 32)] {
            for mode in [Mode::S8, Mode::S16] {
                every.extend(i.map(|options| Self::Scp03(len, options.with_mode(mode))));
                every.extend([Variant::A, Variant::B, Variant::C].map(|v| Self::Scp11(v, short, mode)));
            }
        }
        every
    }

    /// Its levels.
    fn levels(self) -> Vec<Level> {
        let allowed = |level: &Level| match self {
            Self::Scp02(options) => options.allows(*level),
            Self::Scp03(_, options) => options.allows(*level),
            // Key usage 34 and 3C.
            Self::Scp11(..) => matches!(level, Level::CMacRMac | Level::All),
        };
        Level::EVERY.into_iter().filter(allowed).collect()
    }

    /// A session open on both ends; an implicit one before its first command.
    fn open(self, level: Level) -> (Open, Session) {
        let mut card = Session::none();
        match self {
            Self::Scp02(options) => {
                let keys = scp02_keys(options);
                if !options.explicit() {
                    card.initiate_implicitly(&keys, 0x20, options, SEQUENCE, &AID).unwrap();
                    return (Open::implicit(options, &keys, SEQUENCE, &AID).unwrap(), card);
                }
                let answer = card
                    .initialize_update_scp02(&keys, 1, [0; 10], options, &[1; 8], [2; 6], SEQUENCE, &AID)
                    .unwrap();
                let host = AwaitCard::new([1; 8]).with_scp02(options);
                let host = host.verify_card(0x80, &answer, &keys, level).unwrap();
                card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
                (host.accepted(Sw::OK).unwrap(), card)
            }
            Self::Scp03(len, options) => {
                let key: Vec<u8> = (0..32).collect();
                let keys =
                    scp03::StaticKeys::new(&key[..len], &key[..len], &[&[0xAA], &key[1..len]].concat())
                        .unwrap();
                let octets = |byte: u8| Octets::new(&[byte; 16][..options.mode().len()]).unwrap();
                let (host, mine) = (octets(1), octets(2));
                let answer = card
                    .initialize_update(&keys, 1, [0; 10], options, host.as_bytes(), mine, Counter::ZERO)
                    .unwrap();
                let host = AwaitCard::new(host).verify_card(0x80, &answer, &keys, level).unwrap();
                card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
                (host.accepted(Sw::OK).unwrap(), card)
            }
            Self::Scp11(variant, len, mode) => {
                let own = EcPrivate::<P256>::new(&[0x21; 32]).unwrap();
                let theirs = EcPrivate::<P256>::new(&[0x42; 32]).unwrap();
                let (public, host_public) = (own.public().unwrap(), theirs.public().unwrap());
                let ephemeral = EcPrivate::<P256>::new(&[0x63; 32]).unwrap();
                let handshake = AwaitReceipt::new(variant, level, len, ephemeral).unwrap();
                let keys = CardKeys { key_version: 3, own: &own, host: Some(&host_public), card_group: &[] };
                let mut buffer = [0; 256];
                let mut reply = ResponseWriter::new(&mut buffer);
                let command = handshake.command(0x80, 1, 1);
                let (data, random) = (command.data(), &mut Seeded::new(7));
                card.authenticate_scp11::<P256, Sha256>(variant, data, &keys, mode, random, &mut reply)
                    .unwrap();
                let answer = reply.as_slice();
                let host =
                    handshake.verify_receipt_with::<Sha256>(answer, Sw::OK, &public, Some(&theirs), mode);
                (host.unwrap(), card)
            }
        }
    }

    /// Length of a MAC on the wire.
    fn mac_len(self) -> usize {
        match self {
            Self::Scp02(_) => 8,
            Self::Scp03(_, options) => options.mode().len(),
            Self::Scp11(_, _, mode) => mode.len(),
        }
    }
}

fn scp02_keys(options: scp02::Options) -> scp02::StaticKeys {
    if options.three_keys() {
        scp02::StaticKeys::new(&[0x11; 16], &TEST_KEY, &[0x33; 16]).unwrap()
    } else {
        scp02::StaticKeys::base(&TEST_KEY).unwrap()
    }
}

/// The same session once more, as the volatile slot keeps it.
fn copy(card: &Session) -> Session {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    Session::load(&slot)
}

fn combinations() -> Vec<(Protocol, Level)> {
    let levels = |protocol: Protocol| protocol.levels().into_iter().map(move |level| (protocol, level));
    Protocol::every().into_iter().flat_map(levels).collect()
}

/// A session is dead: nothing is open, and the right command comes too late.
fn assert_dead(card: &mut Session, right: &[u8], what: &str) {
    assert!(!card.is_open(), "{what}");
    assert_eq!(card.protection(), huiwan_card::Protection::default(), "{what}");
    let late = card.unwrap(&Command::parse(right).unwrap(), &mut [0; 300]).map(|_| ());
    assert_eq!(late, Err(Sw::SECURITY_STATUS), "{what}");
}

/// What the card sends back for this data and status word.
fn answer(card: &mut Session, data: &[u8], sw: Sw) -> Result<Vec<u8>, Sw> {
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    reply.push(data).unwrap();
    card.wrap(&mut reply, sw)?;
    Ok([reply.as_slice(), &sw.value().to_be_bytes()].concat())
}

/// The numbers themselves, as the table has them. [sheet 1.0]
#[test]
fn most_data_is_that_of_the_table() {
    // Level, then most command data and most response data: SCP02, S8, S16.
    let table = [
        (Level::Authenticated, [(255, 256), (255, 256), (255, 256)]),
        (Level::CMac, [(247, 256), (247, 256), (239, 256)]),
        (Level::CMacCEnc, [(239, 256), (239, 256), (223, 256)]),
        (Level::RMac, [(255, 248), (0, 0), (0, 0)]),
        (Level::CMacRMac, [(247, 248), (247, 248), (239, 240)]),
        (Level::CMacCEncRMac, [(239, 248), (239, 248), (223, 240)]),
        (Level::All, [(0, 0), (239, 239), (223, 239)]),
    ];
    let bytes = [0x5A; 256];
    let combinations = combinations();
    // SCP02: nine explicit "i" with three levels, three more with R-MAC for two of them; four implicit ones. SCP03: "i" without R-MAC,
    // with it, with R-ENC have 3, 5 and 6 levels. SCP11 has two.
    assert_eq!(combinations.len(), (9 * 3 + 2 * 3 + 4) + 3 * 2 * (2 * 3 + 2 * 5 + 2 * 6) + 3 * 2 * 3 * 2);
    for (protocol, level) in combinations {
        let column = match (protocol, protocol.mac_len()) {
            (Protocol::Scp02(_), _) => 0,
            (_, 8) => 1,
            _ => 2,
        };
        let (_, row) = table.iter().find(|row| row.0 == level).unwrap();
        let (most, most_back) = row[column];
        let name = format!("{protocol:?} {level:?}");
        let (mut host, mut card) = protocol.open(level);
        let command = Command::new(0x80, 0xE2, 1, 2);
        let mut wire = [0; 300];
        if level.c_mac() {
            // One byte more is refused, and costs nothing.
            let long = command.with_data(&bytes[..=most]);
            assert_eq!(host.wrap(&long, &mut [0; 400]), Err(SessionError::TooLong), "{name}");
        }
        for len in [0, 1, most] {
            let plain = command.with_data(&bytes[..len]);
            let sent = host.wrap(&plain, &mut wire).unwrap();
            assert!(sent.len() <= 5 + 255 + 1, "{name}");
            let mut opened = [0; 300];
            let received = card.unwrap(&Command::parse(sent).unwrap(), &mut opened).unwrap();
            assert_eq!((received.header(), received.data()), (plain.header(), plain.data()), "{name}");
            assert_eq!(card.max_response_data(), if level.r_mac() { most_back } else { 256 }, "{name}");
            if level.r_mac() {
                let mut victim = copy(&card);
                let too_much = answer(&mut victim, &bytes[..=most_back], Sw::OK);
                assert!(too_much.is_err(), "{name}: {} bytes", most_back + 1);
            }
            let response = answer(&mut card, &bytes[..most_back], Sw::OK).unwrap();
            assert!(response.len() <= 258, "{name}");
            let mut out = [0; 300];
            let got = host.unwrap(&response, &mut out).unwrap();
            assert_eq!(got.data(), &bytes[..most_back], "{name}");
        }
    }
}

/// Extended commands: 2E, 3E and 4E, the longest Lc there is, and one more byte.
#[test]
fn extended_length_to_its_end() {
    let bytes = vec![0xC3; 65536];
    let picked = combinations().into_iter().filter(|(protocol, level)| {
        level.c_mac()
            && match protocol {
                Protocol::Scp02(_) => true,
                Protocol::Scp03(len, options) => *len == 16 && options.with_mode(Mode::S8).byte() == 0x70,
                Protocol::Scp11(variant, len, _) => *variant == Variant::A && *len == 32,
            }
    });
    for (protocol, level) in picked {
        let (mut host, mut card) = protocol.open(level);
        let most = match (level.c_enc(), protocol) {
            (false, _) => 65535 - protocol.mac_len(),
            // Whole blocks, one byte of padding at least.
            (true, Protocol::Scp02(_)) => (65535 - 8) / 8 * 8 - 1,
            (true, _) => (65535 - protocol.mac_len()) / 16 * 16 - 1,
        };
        let command = Command::new(0x80, 0xE2, 1, 2).extended(true);
        let long = command.with_data(&bytes[..=most]);
        let (mut wire, mut opened) = (vec![0; 66000], vec![0; 66000]);
        assert_eq!(host.wrap(&long, &mut wire).map(<[u8]>::len), Err(SessionError::TooLong));
        let cases = [
            command.with_ne(Ne::MAX_EXTENDED),
            command.with_data(&bytes[..1]),
            command.with_data(&bytes[..300]).with_ne(Ne::MAX_EXTENDED),
            command.with_data(&bytes[..most]).with_ne(Ne::MAX_EXTENDED),
            command.with_data(&bytes[..most]),
        ];
        for plain in cases {
            let sent = host.wrap(&plain, &mut wire).unwrap();
            let received = card.unwrap(&Command::parse(sent).unwrap(), &mut opened).unwrap();
            assert_eq!((received.header(), received.data()), (plain.header(), plain.data()));
            // With R-MAC on every answer SCP02 asks for one where the plain command did not. [sheet, correction 3]
            assert!(received.ne() == plain.ne() || (level.r_mac() && plain.ne().is_none()));
            let response = answer(&mut card, &[1], Sw::OK).unwrap();
            assert_eq!(host.unwrap(&response, &mut opened).unwrap().data(), [1]);
        }
    }
}

/// The number of the channel is not under a MAC: the same bytes behind the class byte on all twenty. [GPC 11.1.4]
#[test]
fn logical_channels_are_outside_the_mac() {
    for (protocol, level) in combinations() {
        let mut first: Option<Vec<u8>> = None;
        let (_, fresh) = protocol.open(level);
        // Of SCP11 and its public keys one channel of each form is enough.
        let few = matches!(protocol, Protocol::Scp11(..));
        for channel in (0..20).filter(|channel| !few || [0, 3, 4, 19].contains(channel)) {
            let (plain, protected) = match channel {
                0..=3 => (0x80 | channel, 0x84 | channel),
                _ => (0xC0 | (channel - 4), 0xE0 | (channel - 4)),
            };
            let (mut host, _) = protocol.open(level);
            let mut card = copy(&fresh);
            let command = Command::new(plain, 0xF2, 0x40, 0x02).with_data(&[0x4F, 0]).with_ne(Ne::MAX_SHORT);
            let mut wire = [0; 64];
            let sent = host.wrap(&command, &mut wire).unwrap();
            assert_eq!(sent[0], if level.c_mac() { protected } else { plain }, "{protocol:?} {level:?}");
            let same = first.get_or_insert_with(|| sent[1..].to_vec());
            assert_eq!(sent[1..], same[..], "{protocol:?} {level:?} channel {channel}");
            let mut opened = [0; 64];
            let received = card.unwrap(&Command::parse(sent).unwrap(), &mut opened).unwrap();
            assert_eq!(received, command, "{protocol:?} {level:?} channel {channel}");
            let response = answer(&mut card, &[7], Sw::OK).unwrap();
            assert_eq!(host.unwrap(&response, &mut [0; 64]).unwrap().data(), [7]);
        }
    }
}

/// A flipped bit of the class byte, and whether the session takes the command. `84`, `E0`: protected on channels 0 and 4; `80`: plain.
const CLASS: [(u8, u8, bool); 24] = [
    (0x84, 0x80, false), // 04: interindustry, and the MAC is over a proprietary class
    (0x84, 0x40, false), // C4: plain on channel 8
    (0x84, 0x20, false), // A4: reserved, under the MAC
    (0x84, 0x10, false), // 94: chaining is under the MAC
    (0x84, 0x08, false), // 8C: ISO secure messaging, which is not what was agreed
    (0x84, 0x04, false), // 80: no secure messaging where it was agreed
    (0x84, 0x02, true),  // 86: channel 2, whose session is another; the number is not under the MAC
    (0x84, 0x01, true),  // 85: channel 1
    (0xE0, 0x80, false), // 60: interindustry
    (0xE0, 0x40, false), // A0: a first class byte, plain
    (0xE0, 0x20, false), // C0: no secure messaging
    (0xE0, 0x10, false), // F0: chaining
    (0xE0, 0x08, true),  // E8: channel 12
    (0xE0, 0x04, true),  // E4: channel 8
    (0xE0, 0x02, true),  // E2: channel 6
    (0xE0, 0x01, true),  // E1: channel 5
    (0x80, 0x80, true),  // 00: nothing is under a MAC; what the class means is the dispatcher's
    (0x80, 0x40, true),  // C0: channel 4
    (0x80, 0x20, true),  // A0: reserved, the dispatcher's too
    (0x80, 0x10, true),  // 90: chaining
    (0x80, 0x08, false), // 88: secure messaging that was not agreed
    (0x80, 0x04, false), // 84: the same in GlobalPlatform's form
    (0x80, 0x02, true),  // 82: channel 2
    (0x80, 0x01, true),  // 81: channel 1
];

#[test]
fn the_class_byte_bit_by_bit() {
    let mut checked = 0;
    for (protocol, level) in combinations() {
        let (_, fresh) = protocol.open(level);
        for class in [0x84, 0xE0, 0x80] {
            if level.c_mac() != (class != 0x80) {
                continue;
            }
            let (mut host, _) = protocol.open(level);
            let plain = if class == 0xE0 { 0xC0 } else { 0x80 };
            let command = Command::new(plain, 0xF2, 0x40, 0x02).with_data(&[0x4F, 0]).with_ne(Ne::MAX_SHORT);
            let mut wire = [0; 64];
            let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            assert_eq!(sent[0], class);
            for (_, bit, taken) in CLASS.into_iter().filter(|row| row.0 == class) {
                let mut flipped = sent.clone();
                flipped[0] ^= bit;
                let what = format!("{protocol:?} {level:?} {class:02X} {bit:02X}");
                let mut victim = copy(&fresh);
                let result = victim.unwrap(&Command::parse(&flipped).unwrap(), &mut [0; 64]).map(|_| ());
                if taken {
                    assert_eq!(result, Ok(()), "{what}");
                } else {
                    assert_eq!(result, Err(Sw::SECURITY_STATUS), "{what}");
                    if class != 0x80 {
                        assert_dead(&mut victim, &sent, &what);
                    }
                    assert!(!victim.is_open(), "{what}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 3000, "{checked}");
}

/// INS, P1, P2, Lc, data and MAC: every bit is fatal. Lc where it leaves a command; where not, a whole card is asked below.
#[test]
fn every_other_bit_is_fatal() {
    let data = [0x4F, 0x00, 0x5C, 0x02, 0x9F, 0x70, 0xC5, 0x80, 0x00];
    for (protocol, level) in combinations().into_iter().filter(|(_, level)| level.c_mac()) {
        for (len, le) in [(0, true), (9, true), (2, false), (8, false)] {
            let (mut host, card) = protocol.open(level);
            let command = Command::new(0x80, 0xF2, 0x40, 0x02).with_data(&data[..len]);
            let command = if le { command.with_ne(Ne::MAX_SHORT) } else { command };
            let mut wire = [0; 64];
            let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            let covered = sent.len() - usize::from(Command::parse(&sent).unwrap().ne().is_some());
            let mut no_command = 0;
            for bit in 8..covered * 8 {
                let mut flipped = sent.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                let what = format!("{protocol:?} {level:?} {len} bit {bit}");
                let Ok(flipped) = Command::parse(&flipped) else {
                    assert!((32..40).contains(&bit), "{what}");
                    no_command += 1;
                    continue;
                };
                let mut victim = copy(&card);
                let result = victim.unwrap(&flipped, &mut [0; 64]).map(|_| ());
                assert_eq!(result, Err(Sw::SECURITY_STATUS), "{what}");
                assert_dead(&mut victim, &sent, &what);
            }
            // One bit may make Le of the last byte of the MAC, or data of Le.
            assert!((7..=8).contains(&no_command), "{no_command}");
        }
    }
}

/// SCP11; SCP02 and SCP03 have theirs in `scp02_pair.rs` and `scp03_pair.rs`.
#[test]
fn every_bit_of_a_protected_answer_is_fatal() {
    let cards = [
        (Variant::A, 16, Mode::S8),
        (Variant::B, 24, Mode::S16),
        (Variant::C, 32, Mode::S8),
        (Variant::A, 32, Mode::S16),
    ];
    for (variant, len, mode) in cards {
        for level in [Level::All, Level::CMacRMac] {
            let answers = match level {
                Level::All => [(&[1, 2, 3][..], 0x9000), (&[], 0x6283)],
                _ => [(&[][..], 0x9000), (&[4], 0x6310)],
            };
            for (data, sw) in answers {
                let exchange = || {
                    let (mut host, mut card) = Protocol::Scp11(variant, len, mode).open(level);
                    let mut wire = [0; 64];
                    let sent = host.wrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut wire).unwrap();
                    card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 64]).unwrap();
                    let response = answer(&mut card, data, Sw::new(sw)).unwrap();
                    (host, response)
                };
                let (mut host, response) = exchange();
                assert_eq!(host.unwrap(&response, &mut [0; 64]).unwrap().data(), data);
                for bit in 0..response.len() * 8 {
                    let (mut host, mut response) = exchange();
                    response[bit / 8] ^= 0x80 >> (bit % 8);
                    let refused = host.unwrap(&response, &mut [0; 64]).map(|_| ());
                    assert_eq!(refused, Err(SessionError::NotAuthentic), "{variant:?} {mode:?} bit {bit}");
                    assert!(host.is_dead());
                }
            }
        }
    }
}

/// Success and warnings without their MAC, whatever stands in its place: refused, and the session is over.
#[test]
fn an_unprotected_answer_is_never_success() {
    for (protocol, level) in combinations().into_iter().filter(|(_, level)| level.r_mac()) {
        let few = matches!(protocol, Protocol::Scp11(..));
        let warnings = (0x6200..=0x63FF).filter(|sw| !few || sw % 0x40 == 0x10);
        for sw in core::iter::once(0x9000_u16).chain(warnings) {
            for filling in [0, 1, protocol.mac_len()] {
                // Nothing, a byte, and as many as the MAC has.
                if filling == 1 && sw % 0x40 != 0x10 {
                    continue;
                }
                let (mut host, _) = protocol.open(level);
                let mut wire = [0; 64];
                host.wrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut wire).unwrap();
                let response = [&vec![0; filling][..], &sw.to_be_bytes()].concat();
                let got = host.unwrap(&response, &mut [0; 64]).map(|_| ());
                assert_eq!(got, Err(SessionError::NotAuthentic), "{protocol:?} {level:?} {sw:04X} {filling}");
                assert!(host.is_dead());
                let next = host.wrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut wire).map(|_| ());
                assert_eq!(next, Err(SessionError::NotAuthentic));
            }
        }
        // An error has no data.
        let (mut host, _) = protocol.open(level);
        host.wrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut [0; 64]).unwrap();
        assert_eq!(host.unwrap(&[1, 0x6A, 0x88], &mut [0; 9]).map(|_| ()), Err(SessionError::NotAuthentic));
    }
}

/// Sends bytes to a card.
type Send<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

fn status(send: Send<'_>, command: &[u8]) -> u16 {
    u16::from_be_bytes(*send(command).last_chunk::<2>().unwrap())
}

/// A whole card with a session open on it.
fn on_a_card((protocol, level): (Protocol, Level), f: impl FnOnce(Send<'_>, &mut Open)) {
    let des = scp02::StaticKeys::base(&TEST_KEY).unwrap();
    let factory = Factory::TEST.with_scp02_test_keys();
    let profile = match protocol {
        Protocol::Scp02(options) => CardProfile::DEFAULT.with_scp02(options),
        Protocol::Scp03(_, options) => CardProfile::DEFAULT.with_scp03(options),
        Protocol::Scp11(variant, key_len, mode) => {
            let wish = Wish { level, key_len, mode, ..Wish::new(variant) };
            with_scp11(Scp11Profile::DEFAULT.with_mode(mode), scp11_memory(), |card| {
                let mut session = wish.open(card).unwrap();
                f(&mut |command| card.send(command), &mut session);
            });
            return;
        }
    };
    with_card(&profile, new_memory(&factory), |card| {
        let mut session = match protocol {
            Protocol::Scp02(options) if !options.explicit() => {
                let mut session = Open::implicit(options, &des, scp02::Sequence::ZERO, &AID).unwrap();
                assert_eq!(run(card, &mut session, &hex("80CA006600")).1, 0x9000);
                session
            }
            Protocol::Scp02(options) => open_scp02(card, options, &des, level),
            _ => open(card, 0x30, &test_keys(), level),
        };
        f(&mut |command| card.send(command), &mut session);
    });
}

/// A card with the keys of SCP11, and a certificate of the one for b.
fn scp11_memory() -> MapMemory {
    static MEMORY: OnceLock<MapMemory> = OnceLock::new();
    let make = || {
        let (memory, ()) = with_scp11(Scp11Profile::DEFAULT, new_memory(&Factory::TEST), |card| {
            let mut session = open(card, 0x30, &test_keys(), Level::CMac);
            let certificate = apdu([0x80, 0xE2, 0x90, 0x00], &hex("A60483021303BF2103010203"));
            for command in provisioning().iter().chain([&certificate]) {
                assert_eq!(run(card, &mut session, command).1, 0x9000);
            }
        });
        memory
    };
    MEMORY.get_or_init(make).clone()
}

/// As the others, with the "i" that the answer of a card does not tell.
fn open_scp02(
    card: &mut Card<'_, MapMemory>,
    options: scp02::Options,
    keys: &scp02::StaticKeys,
    level: Level,
) -> Open {
    let answer = card.send(&apdu([0x80, 0x50, 0x20, 0x00], &[1; 8]));
    let answer = Answer::parse(&answer[..answer.len() - 2]).unwrap();
    let verified =
        AwaitCard::new([1; 8]).with_scp02(options).verify_card(0x80, &answer, keys, level).unwrap();
    let sw = card.sw(verified.command());
    verified.accepted(Sw::new(sw)).unwrap()
}

fn cards() -> Vec<(Protocol, Level)> {
    let mut cards = vec![];
    for level in [Level::CMac, Level::CMacCEnc, Level::CMacRMac, Level::CMacCEncRMac] {
        cards.push((Protocol::Scp02(scp02::Options::I75), level));
    }
    cards.push((Protocol::Scp02(scp02::Options::I05), Level::CMacCEnc));
    cards.push((Protocol::Scp02(scp02::Options::I0A), Level::CMac));
    cards.push((Protocol::Scp02(scp02::Options::I1A), Level::CMac));
    for mode in [Mode::S8, Mode::S16] {
        for level in [Level::CMac, Level::CMacCEnc, Level::CMacRMac, Level::CMacCEncRMac, Level::All] {
            cards.push((Protocol::Scp03(16, scp03::Options::I70.with_mode(mode)), level));
        }
    }
    cards.extend([
        (Protocol::Scp11(Variant::A, 16, Mode::S8), Level::All),
        (Protocol::Scp11(Variant::B, 24, Mode::S8), Level::CMacRMac),
        (Protocol::Scp11(Variant::C, 32, Mode::S8), Level::All),
        (Protocol::Scp11(Variant::A, 32, Mode::S16), Level::CMacRMac),
        (Protocol::Scp11(Variant::B, 16, Mode::S16), Level::All),
        (Protocol::Scp11(Variant::C, 16, Mode::S16), Level::CMacRMac),
    ]);
    cards
}

/// GET STATUS as sent to a whole card, each of its bits flipped: the status word, and whether the session lives. Where the host is nobody,
/// GET DATA.
#[test]
fn every_bit_sent_to_a_card() {
    for card in cards() {
        let scp11 = matches!(card.0, Protocol::Scp11(..));
        let commands = match card.0 {
            Protocol::Scp11(Variant::B, ..) => ["80CABF2106A6048302130300", "80CA00E000"],
            _ => ["80F28002024F0000", "80F2800200"],
        };
        // A handshake with certificates takes its time; the longer MAC has its place in one command.
        let few = matches!(card.0, Protocol::Scp11(_, _, Mode::S16));
        for command in commands.into_iter().skip(usize::from(few)) {
            let mut len = 0;
            on_a_card(card, |_, session| {
                let mut wire = [0; 64];
                len = session.wrap(&Command::parse(&hex(command)).unwrap(), &mut wire).unwrap().len();
            });
            for bit in 0..len * 8 {
                let (expected, lives): (&[u16], bool) = match bit {
                    0 => (&[0x6982], false), // interindustry: the MAC is over another class
                    1 => (&[0x6881], true),  // channel 8 is not open: the domain never sees it
                    2 => (&[0x6982], false), // a reserved bit, under the MAC
                    // Chaining is under the MAC. A card that joins chains keeps the piece, and the whole is no command of this session.
                    3 if scp11 => (&[0x9000], false),
                    3 => (&[0x6982], false),
                    4 => (&[0x6982], false),    // another kind of secure messaging
                    5 => (&[0x6982], false),    // no secure messaging where it was agreed
                    6 | 7 => (&[0x6881], true), // channels 2 and 1 are not open
                    // INS, P1, P2, Lc whether it leaves a command or not, data, MAC.
                    _ if bit < (len - 1) * 8 => (&[0x6982], false),
                    // Le is under no MAC: the command is carried out, and only how the answer is fetched is another matter.
                    _ => (&[], true),
                };
                on_a_card(card, |send, session| {
                    let what = format!("{card:?} {command} bit {bit}");
                    let mut wire = [0; 64];
                    let right = session.wrap(&Command::parse(&hex(command)).unwrap(), &mut wire).unwrap();
                    let right = right.to_vec();
                    let mut flipped = right.clone();
                    flipped[bit / 8] ^= 0x80 >> (bit % 8);
                    let got = status(send, &flipped);
                    let carried_out = got == 0x9000 || got == 0x6A80 || got >> 8 == 0x61;
                    assert!(
                        expected.contains(&got) || expected.is_empty() && carried_out,
                        "{what}: {got:04X}"
                    );
                    let late = status(send, &right);
                    if bit >= (len - 1) * 8 {
                        // Executed once: the session has gone on, the same bytes are a replay.
                        assert_eq!(late, 0x6982, "{what}");
                    } else {
                        assert_eq!(late == 0x6982, !lives, "{what}: {late:04X}");
                    }
                });
            }
        }
    }
}

/// What the card sends back under SCP11 reaches the host whole, or the session is over.
#[test]
fn every_bit_of_an_answer_from_a_card_is_fatal() {
    for variant in scp11_host::VARIANTS {
        for (level, mode) in [(Level::All, Mode::S8), (Level::CMacRMac, Mode::S16)] {
            let wish = Wish { level, mode, ..Wish::new(variant) };
            with_scp11(Scp11Profile::DEFAULT.with_mode(mode), scp11_memory(), |card| {
                if variant.authenticates_host() {
                    certify_host(card, false);
                }
                let opening = card.send(&wish.command());
                // The host's end of the session, as often as it takes, before it gets this answer.
                let ask = hex("80CA008307A6054203A1A2A300");
                let host = || {
                    let mut host = wish.opened(&opening).unwrap();
                    let mut wire = [0; 64];
                    let certificate = hex("80CABF2106A6048302130300");
                    let sent = host.wrap(&Command::parse(&certificate).unwrap(), &mut wire).unwrap().to_vec();
                    (host, sent)
                };
                let answer = card.send(&host().1);
                assert_eq!(host().0.unwrap(&answer, &mut [0; 64]).unwrap().data(), hex("BF2103010203"));
                for bit in 0..answer.len() * 8 {
                    let (mut host, _) = host();
                    let mut flipped = answer.clone();
                    flipped[bit / 8] ^= 0x80 >> (bit % 8);
                    let refused = host.unwrap(&flipped, &mut [0; 64]).map(|_| ());
                    assert_eq!(refused, Err(SessionError::NotAuthentic), "{variant:?} {mode:?} bit {bit}");
                    assert!(host.is_dead());
                    assert!(host.wrap(&Command::parse(&ask).unwrap(), &mut [0; 64]).is_err());
                }
            });
        }
    }
}

/// MUTUAL and INTERNAL AUTHENTICATE: a changed command opens nothing that the host takes for its session, and neither does a changed answer.
#[test]
fn every_bit_of_the_handshake() {
    for variant in scp11_host::VARIANTS {
        with_scp11(Scp11Profile::DEFAULT, scp11_memory(), |card| {
            let wish = Wish::new(variant);
            let right = wish.command();
            let mut handshake = |command: &[u8]| {
                assert_eq!(card.sw(&select(&AID)), 0x9000);
                if variant.authenticates_host() {
                    certify_host(card, false);
                }
                card.send(command)
            };
            let answer = handshake(&right);
            assert!(wish.opened(&answer).is_ok());
            // Data: parameters, key usage, types, the host's point.
            let (mut refused, mut other_keys) = (0, 0);
            for bit in 5 * 8..(right.len() - 1) * 8 {
                let mut flipped = right.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                match wish.opened(&handshake(&flipped)).map(|_| ()) {
                    Err(0) => other_keys += 1,
                    Err(0x6A80 | 0x6985) => refused += 1,
                    other => panic!("{variant:?} bit {bit}: {other:04X?}"),
                }
            }
            // The point is off its curve; another level or length of keys is agreed to, by one end.
            assert!(refused > 600 && (1..20).contains(&other_keys), "{refused} {other_keys}");
            for bit in 0..(answer.len() - 2) * 8 {
                let mut flipped = answer.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                assert_eq!(wish.opened(&flipped).unwrap_err(), 0, "{variant:?} bit {bit}");
            }
        });
    }
}

/// Before an implicit session is open a changed first command opens none, spends nothing, and the right one still may.
#[test]
fn every_bit_of_the_first_command_of_an_implicit_session() {
    let des = scp02::StaticKeys::base(&TEST_KEY).unwrap();
    for options in [scp02::Options::I0A, scp02::Options::I1A] {
        let profile = CardProfile::DEFAULT.with_scp02(options);
        with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let mut session = Open::implicit(options, &des, scp02::Sequence::ZERO, &AID).unwrap();
            let mut wire = [0; 64];
            let command = hex("80F28002024F0000");
            let right = session.wrap(&Command::parse(&command).unwrap(), &mut wire).unwrap().to_vec();
            for bit in 0..(right.len() - 1) * 8 {
                let mut flipped = right.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                let expected = if matches!(bit, 1 | 6 | 7) { 0x6881 } else { 0x6982 };
                assert_eq!(card.sw(&flipped), expected, "{options:?} bit {bit}");
                assert_eq!(card.element.memory().objects.get(&(0, 0x0320)), None, "{options:?} bit {bit}");
            }
            assert_eq!(card.sw(&right), 0x9000);
            assert_eq!(card.element.memory().objects.get(&(0, 0x0320)), Some(&vec![0, 0, 1]));
        });
    }
}
