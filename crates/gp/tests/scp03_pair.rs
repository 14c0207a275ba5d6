//! Host and card against each other: every key length, option, level and APDU case; every flipped bit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::card::{CardProfile, Factory};
use huiwan_gp::host::secure_channel::{AwaitCard, Open, SessionError};
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Level, Mode, Octets, Options, StaticKeys};
use support::*;

const EVERY_I: [Options; 6] =
    [Options::I00, Options::I10, Options::I20, Options::I30, Options::I60, Options::I70];

/// Every "i", in both modes.
fn every_i() -> impl Iterator<Item = Options> {
    [Mode::S8, Mode::S16].into_iter().flat_map(|mode| EVERY_I.map(|options| options.with_mode(mode)))
}

fn keys(len: usize) -> StaticKeys {
    let key: Vec<u8> = (0..32).collect();
    StaticKeys::new(&key[..len], &[&key[1..len], &[0xAA]].concat(), &key[..len]).unwrap()
}

/// A session open on both ends.
fn pair(keys: &StaticKeys, options: Options, level: Level) -> (Open, Session) {
    let len = options.mode().len();
    let bytes: Vec<u8> = (1..=32).collect();
    let octets = |bytes: &[u8]| Octets::new(bytes).unwrap();
    let (host_challenge, card_challenge) = (octets(&bytes[..len]), octets(&bytes[16..16 + len]));
    let mut card = Session::none();
    let answer = card
        .initialize_update(
            keys,
            0x30,
            [0; 10],
            options,
            host_challenge.as_bytes(),
            card_challenge,
            Counter::ZERO,
        )
        .unwrap();
    let host = AwaitCard::new(host_challenge).verify_card(0x80, &answer, keys, level).unwrap();
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    (host.accepted(Sw::OK).unwrap(), card)
}

/// The same session once more, as the volatile slot keeps it.
fn copy(card: &Session) -> Session {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    Session::load(&slot)
}

fn combinations() -> impl Iterator<Item = (StaticKeys, Options, Level)> {
    [16, 24, 32].into_iter().flat_map(|len| {
        every_i().flat_map(move |options| {
            Level::EVERY
                .into_iter()
                .filter(move |level| options.allows(*level))
                .map(move |level| (keys(len), options, level))
        })
    })
}

#[test]
fn every_case_of_command_and_response() {
    let data: Vec<u8> = (0..=255).chain(0..=44).collect();
    let mut exchanges = 0;
    for (keys, options, level) in combinations() {
        let (mut host, mut card) = pair(&keys, options, level);
        let most = options.mode().max_command_data(level);
        let plain = Command::new(0x80, 0xE2, 0x12, 0x34);
        let commands = [
            plain,
            plain.with_ne(Ne::MAX_SHORT),
            plain.with_ne(Ne::short(0x10)),
            plain.with_data(&data[..1]),
            plain.with_data(&data[..16]),
            plain.with_data(&data[..most]),
            plain.with_data(&data[..1]).with_ne(Ne::MAX_SHORT),
            plain.with_data(&data[..most]).with_ne(Ne::short(0xFF)),
            plain.with_data(&data[..300]).extended(true),
            plain.with_data(&data[..300]).with_ne(Ne::MAX_EXTENDED).extended(true),
            plain.with_data(&data[..most]).with_ne(Ne::MAX_EXTENDED).extended(true),
        ];
        for (n, command) in commands.iter().enumerate() {
            let (mut wire, mut opened) = ([0; 400], [0; 400]);
            let sent = host.wrap(command, &mut wire).unwrap();
            let received = card.unwrap(&Command::parse(sent).unwrap(), &mut opened).unwrap();
            assert_eq!(received, *command, "{options:?} {level:?} {n}");
            let again = card.reopen(&Command::parse(sent).unwrap(), &mut [0; 400]).map(|c| c.data().len());
            assert_eq!(again, Ok(command.data().len()));
            let len = [0, 1, 15, 16, 17, options.mode().max_response_data(level).min(256)][n % 6];
            let sw = [Sw::OK, Sw::MORE_ENTRIES, Sw::WARNING_SELECTED_INVALIDATED][n % 3];
            let mut buffer = [0; 256];
            let mut reply = ResponseWriter::new(&mut buffer);
            reply.push(&data[..len]).unwrap();
            card.wrap(&mut reply, sw).unwrap();
            assert_eq!(reply.len() > len, level.r_mac(), "an R-MAC comes with the level");
            let response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
            let mut out = [0; 300];
            let got = host.unwrap(&response, &mut out).unwrap();
            assert_eq!((got.data(), got.sw()), (&data[..len], sw), "{options:?} {level:?} {n}");
            exchanges += 1;
        }
        // An error comes bare, and the session goes on.
        let mut wire = [0; 400];
        let sent = host.wrap(&plain, &mut wire).unwrap();
        card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 400]).unwrap();
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        card.wrap(&mut reply, Sw::WRONG_DATA).unwrap();
        assert_eq!(reply.len(), 0);
        assert_eq!(host.unwrap(&[0x6A, 0x80], &mut [0; 10]).unwrap().sw(), Sw::WRONG_DATA);
        let sent = host.wrap(&plain, &mut wire).unwrap();
        card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 400]).unwrap();
    }
    assert_eq!(exchanges, 2 * 3 * 28 * 11);
}

#[test]
fn one_byte_too_many_is_refused_and_changes_nothing() {
    for (keys, options, level) in combinations().filter(|(.., level)| level.c_mac()) {
        let (mut host, mut card) = pair(&keys, options, level);
        let data = [0x55; 255];
        let long = Command::new(0x80, 0xE2, 0, 0).with_data(&data[..=options.mode().max_command_data(level)]);
        assert_eq!(host.wrap(&long, &mut [0; 300]), Err(SessionError::TooLong));
        let short = Command::new(0x80, 0xE2, 0, 0).with_data(&data[..10]);
        let needed = match host.wrap(&short, &mut [0; 5]) {
            Err(SessionError::Full { needed }) => needed,
            other => panic!("{other:?}"),
        };
        let mut wire = vec![0; needed];
        let sent = host.wrap(&short, &mut wire).unwrap();
        assert_eq!(card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 300]).unwrap().data(), &data[..10]);
    }
}

#[test]
fn every_flipped_bit_of_a_command_ends_the_session() {
    for (keys, options, level) in combinations().filter(|(.., level)| level.c_mac()) {
        let (mut host, card) = pair(&keys, options, level);
        let command = Command::new(0x80, 0xF2, 0x40, 0x02).with_data(&[0x4F, 0x00]).with_ne(Ne::MAX_SHORT);
        let mut wire = [0; 64];
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        // INS, P1, P2, then data and MAC; the class byte, Lc and Le have tests of their own.
        for bit in (8..32).chain(40..(sent.len() - 1) * 8) {
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            let mut card = copy(&card);
            let result = card.unwrap(&Command::parse(&flipped).unwrap(), &mut [0; 64]).map(|_| ());
            assert_eq!(result, Err(Sw::SECURITY_STATUS), "bit {bit}");
            // Dead: the right command comes too late, and so does any other protected one.
            let result = card.unwrap(&Command::parse(&sent).unwrap(), &mut [0; 64]).map(|_| ());
            assert_eq!(result, Err(Sw::SECURITY_STATUS));
            assert!(!card.is_open() && card.protection() == huiwan_card::Protection::default());
        }
    }
}

#[test]
fn class_byte_bits() {
    // The bits of CLA, from b8: what a whole card answers, and whether the session lives.
    let table = [
        (0x80, 0x6982, false), // interindustry: the MAC is over another class
        (0x40, 0x6881, true),  // channel 8 is not open; the domain never sees it
        (0x20, 0x6982, false), // a reserved bit, under the MAC
        (0x10, 0x6982, false), // chaining is under the MAC
        (0x08, 0x6982, false), // another kind of secure messaging
        (0x04, 0x6982, false), // no secure messaging where it was agreed
        (0x02, 0x6881, true),  // channel 2 is not open
        (0x01, 0x6881, true),  // channel 1 is not open
    ];
    for (bit, expected, lives) in table {
        with_card(&CardProfile::DEFAULT, new_memory(&Factory::TEST), |card| {
            let mut session = open(card, 0, &test_keys(), Level::All);
            let mut wire = [0; 64];
            let mut sent = session
                .wrap(&Command::parse(&[0x80, 0xCA, 0x00, 0x66, 0x00]).unwrap(), &mut wire)
                .unwrap()
                .to_vec();
            sent[0] ^= bit;
            assert_eq!(card.sw(&sent), expected, "{bit:02X}");
            sent[0] ^= bit;
            assert_eq!(card.sw(&sent), if lives { 0x9000 } else { 0x6982 }, "{bit:02X}");
        });
    }
}

#[test]
fn le_is_not_under_the_mac() {
    with_card(&CardProfile::DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        for bit in [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01] {
            let mut wire = [0; 64];
            let command = Command::parse(&[0x80, 0xCA, 0x00, 0x42, 0x00]).unwrap();
            let mut sent = session.wrap(&command, &mut wire).unwrap().to_vec();
            *sent.last_mut().unwrap() ^= bit;
            // The command is executed all the same; a shorter Le only changes how the answer is fetched.
            assert_eq!(card.sw(&sent), 0x6A88, "{bit:02X}");
        }
    });
}

#[test]
fn lc_bits() {
    // A wrong Lc is either no command at all, of which the domain gets the header alone (`scp_every_bit.rs`), or one with a wrong MAC.
    let mut fatal = 0;
    for bit in 0..8 {
        for with_le in [false, true] {
            let (mut host, mut card) = pair(&keys(16), Options::I70, Level::All);
            let command = Command::new(0x80, 0xE2, 0, 0).with_data(&[0x4F, 0x00]);
            let command = if with_le { command.with_ne(Ne::MAX_SHORT) } else { command };
            let mut wire = [0; 64];
            let mut sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            sent[4] ^= 1 << bit;
            if let Ok(parsed) = Command::parse(&sent) {
                assert_eq!(card.unwrap(&parsed, &mut [0; 64]).map(|_| ()), Err(Sw::SECURITY_STATUS));
                assert!(!card.is_open());
                fatal += 1;
            }
        }
    }
    assert!(fatal > 0);
}

#[test]
fn replay_reorder_and_loss_end_the_session() {
    let (mut host, card) = pair(&keys(16), Options::I70, Level::CMacCEnc);
    let command = Command::new(0x80, 0xE2, 0, 0).with_data(&[1, 2, 3]);
    let (mut one, mut two) = ([0; 64], [0; 64]);
    let one = Command::parse(host.wrap(&command, &mut one).unwrap()).unwrap();
    let two = Command::parse(host.wrap(&command, &mut two).unwrap()).unwrap();
    assert_ne!(one.data(), two.data(), "the same data twice");
    let unwrap = |card: &mut Session, command| card.unwrap(command, &mut [0; 64]).map(|_| ());
    let mut replayed = copy(&card);
    assert_eq!(unwrap(&mut replayed, &one), Ok(()));
    assert_eq!(unwrap(&mut replayed, &one), Err(Sw::SECURITY_STATUS));
    assert_eq!(unwrap(&mut replayed, &two), Err(Sw::SECURITY_STATUS));
    let mut lost = copy(&card);
    assert_eq!(unwrap(&mut lost, &two), Err(Sw::SECURITY_STATUS));
}

#[test]
fn plain_command_in_a_protected_session_ends_it() {
    for level in [Level::CMac, Level::All] {
        let (_, mut card) = pair(&keys(32), Options::I70, level);
        let plain = Command::new(0x80, 0xCA, 0, 0x66);
        assert_eq!(card.unwrap(&plain, &mut [0; 64]).map(|_| ()), Err(Sw::SECURITY_STATUS));
        assert!(!card.is_open());
    }
    // And protection nobody agreed on.
    let (_, mut card) = pair(&keys(32), Options::I70, Level::Authenticated);
    assert!(card.unwrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut [0; 64]).is_ok());
    let protected = Command::new(0x84, 0xCA, 0, 0x66).with_data(&[0; 8]);
    assert_eq!(card.unwrap(&protected, &mut [0; 64]).map(|_| ()), Err(Sw::SECURITY_STATUS));
    assert!(!card.is_open());
}

#[test]
fn every_flipped_bit_of_a_response_is_refused_by_the_host() {
    let levels = combinations()
        .filter(|(_, options, level)| level.r_mac() && options.with_mode(Mode::S8) == Options::I70);
    for (keys, options, level) in levels {
        for data in [&[][..], &[1, 2, 3, 4, 5]] {
            for sw in [Sw::OK, Sw::MORE_ENTRIES, Sw::new(0x6283)] {
                let command = Command::new(0x80, 0xCA, 0, 0x66).with_ne(Ne::MAX_SHORT);
                let exchange = || {
                    let (mut host, mut card) = pair(&keys, options, level);
                    let mut wire = [0; 64];
                    let sent = host.wrap(&command, &mut wire).unwrap();
                    card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 64]).unwrap();
                    let mut buffer = [0; 256];
                    let mut reply = ResponseWriter::new(&mut buffer);
                    reply.push(data).unwrap();
                    card.wrap(&mut reply, sw).unwrap();
                    (host, [reply.as_slice(), &sw.value().to_be_bytes()].concat())
                };
                let (mut host, response) = exchange();
                assert_eq!(host.unwrap(&response, &mut [0; 64]).unwrap().data(), data);
                for bit in 0..response.len() * 8 {
                    let (mut host, mut response) = exchange();
                    response[bit / 8] ^= 0x80 >> (bit % 8);
                    assert_eq!(
                        host.unwrap(&response, &mut [0; 64]),
                        Err(SessionError::NotAuthentic),
                        "bit {bit}"
                    );
                    assert!(host.is_dead());
                    assert_eq!(host.wrap(&command, &mut [0; 64]), Err(SessionError::NotAuthentic));
                }
                // Success without protection is no success.
                let (mut host, _) = exchange();
                assert_eq!(host.unwrap(&[0x90, 0x00], &mut [0; 64]), Err(SessionError::NotAuthentic));
                assert!(host.is_dead());
            }
        }
    }
}

#[test]
fn responses_out_of_turn() {
    let (mut host, _) = pair(&keys(16), Options::I70, Level::All);
    assert_eq!(host.unwrap(&[0x6A, 0x88], &mut [0; 64]), Err(SessionError::OutOfTurn));
    host.wrap(&Command::new(0x80, 0xCA, 0, 0x66), &mut [0; 64]).unwrap();
    assert_eq!(host.unwrap(&[0x90], &mut [0; 64]), Err(SessionError::OutOfTurn));
    assert_eq!(host.unwrap(&[0x6A, 0x88], &mut [0; 64]).unwrap().sw(), Sw::new(0x6A88));
    assert_eq!(host.unwrap(&[0x6A, 0x88], &mut [0; 64]), Err(SessionError::OutOfTurn));
}

#[test]
fn wrong_keys_get_nowhere() {
    let (host_challenge, card_challenge) = ([1; 8], [2; 8]);
    let mut card = Session::none();
    let answer = card
        .initialize_update(
            &keys(16),
            0x30,
            [0; 10],
            Options::I70,
            &host_challenge,
            card_challenge,
            Counter::ZERO,
        )
        .unwrap();
    let refused = AwaitCard::new(host_challenge).verify_card(0x80, &answer, &test_keys(), Level::CMac);
    assert_eq!(refused.map(|_| ()).unwrap_err(), SessionError::NotAuthentic);
    let refused = AwaitCard::new([3; 8]).verify_card(0x80, &answer, &keys(16), Level::CMac);
    assert_eq!(refused.map(|_| ()).unwrap_err(), SessionError::NotAuthentic);
    // Every flipped bit of EXTERNAL AUTHENTICATE but Le: no session, and the right one comes too late.
    let host = AwaitCard::new(host_challenge).verify_card(0x80, &answer, &keys(16), Level::CMac).unwrap();
    let initialised = copy(&card);
    for bit in (16..24).chain(40..21 * 8) {
        let mut command = host.command().to_vec();
        command[bit / 8] ^= 0x80 >> (bit % 8);
        let mut card = copy(&initialised);
        let expected = match bit {
            16..24 if Level::from_byte(command[2]).is_none() => 0x6A86,
            16..24 => 0x6982,
            40..104 => 0x6300,
            _ => 0x6982,
        };
        let result = card.external_authenticate(&Command::parse(&command).unwrap());
        assert_eq!(result, Err(Sw::new(expected)), "bit {bit}");
        let result = card.external_authenticate(&Command::parse(host.command()).unwrap());
        assert_eq!(result, Err(Sw::CONDITIONS_NOT_SATISFIED));
    }
    let mut good = copy(&initialised);
    assert_eq!(good.external_authenticate(&Command::parse(host.command()).unwrap()), Ok(()));
}

#[test]
fn whole_cards_speak_every_option_level_and_key_length() {
    let key: Vec<u8> = (0x40..0x60).collect();
    for len in [16, 24, 32] {
        let key = &key[..len];
        let keys = StaticKeys::new(key, key, key).unwrap();
        let factory = Factory { keys: [key, key, key], ..Factory::TEST };
        for options in every_i() {
            with_card(&CardProfile::DEFAULT.with_scp03(options), new_memory(&factory), |card| {
                for level in Level::EVERY.into_iter().filter(|level| options.allows(*level)) {
                    let mut session = open(card, 0x30, &keys, level);
                    for command in ["80CA006600", "80CA9F7F00", "80F28002024F0000", "80CA123400"] {
                        let command = huiwan_testkit::hex(command);
                        let (data, sw) = run(card, &mut session, &command);
                        let found = command[2] != 0x12;
                        assert_eq!((sw, data.is_empty()), (if found { 0x9000 } else { 0x6A88 }, !found));
                    }
                    // The longest data: an object of the domain and a list that is not one.
                    let mut data = vec![0x42, 0x08, 1, 2, 3, 4, 5, 6, 7, 8];
                    assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &data)).1, 0x9000);
                    data.resize(options.mode().max_command_data(level), 0xFF);
                    assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &data)).1, 0x6A80);
                    assert_eq!(
                        run(card, &mut session, &[0x80, 0xCA, 0x00, 0x42, 0x00]).0[..4],
                        [0x42, 0x08, 1, 2]
                    );
                }
            });
        }
    }
}
