//! SCP02, host and card against each other: every "i", level and APDU case; every flipped bit; R-MAC sessions; whole cards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::secure_channel::{AwaitCard, Open, SessionError};
use huiwan_gp::scp02::{Options, Sequence, StaticKeys, max_command_data, max_response_data};
use huiwan_gp::secure_channel::Level;
use support::*;

const AID: [u8; 8] = [0xA0, 0, 0, 1, 0x51, 0, 0, 0];
const SEQUENCE: Sequence = Sequence::from_bytes([0x12, 0x34]);

fn keys(options: Options) -> StaticKeys {
    if options.three_keys() {
        StaticKeys::new(&[0x11; 16], &TEST_KEY, &[0x33; 16]).unwrap()
    } else {
        StaticKeys::base(&TEST_KEY).unwrap()
    }
}

/// A session open on both ends; an implicit one before its first command.
fn pair(options: Options, level: Level) -> (Open, Session) {
    let keys = keys(options);
    let mut card = Session::none();
    if !options.explicit() {
        card.initiate_implicitly(&keys, 0x20, options, SEQUENCE, &AID).unwrap();
        return (Open::implicit(options, &keys, SEQUENCE, &AID).unwrap(), card);
    }
    let host_challenge = [1, 2, 3, 4, 5, 6, 7, 8];
    let answer = card
        .initialize_update_scp02(
            &keys,
            0x20,
            [0; 10],
            options,
            &host_challenge,
            [6, 5, 4, 3, 2, 1],
            SEQUENCE,
            &AID,
        )
        .unwrap();
    let expected = AwaitCard::challenge_is_expected(&answer, &keys, &AID);
    assert_eq!(expected, Some(options.predictable()));
    let host =
        AwaitCard::new(host_challenge).with_scp02(options).verify_card(0x80, &answer, &keys, level).unwrap();
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    (host.accepted(Sw::OK).unwrap(), card)
}

/// The same session once more, as the volatile slot keeps it.
fn copy(card: &Session) -> Session {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    Session::load(&slot)
}

fn combinations() -> impl Iterator<Item = (Options, Level)> {
    Options::EVERY.into_iter().flat_map(|options| {
        Level::EVERY
            .into_iter()
            .filter(move |level| options.allows(*level))
            .map(move |level| (options, level))
    })
}

/// One exchange through both ends: the bytes that went back.
fn exchange(host: &mut Open, card: &mut Session, command: &Command<'_>, data: &[u8], sw: Sw) -> Vec<u8> {
    let (mut wire, mut opened) = ([0; 400], [0; 400]);
    let sent = host.wrap(command, &mut wire).unwrap();
    let sent = Command::parse(sent).unwrap();
    let received = card.unwrap(&sent, &mut opened).unwrap();
    assert_eq!((received.header(), received.data()), (command.header(), command.data()));
    assert_eq!(card.reopen(&sent, &mut [0; 400]).map(|c| c.data().len()), Ok(command.data().len()));
    // Between command and answer the session may lie in its slot.
    *card = copy(card);
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    match card.r_mac_session(&received, &mut reply) {
        Some(result) => assert_eq!(result, Ok(())),
        None => reply.push(data).unwrap(),
    }
    card.wrap(&mut reply, sw).unwrap();
    [reply.as_slice(), &sw.value().to_be_bytes()].concat()
}

#[test]
fn every_case_of_command_and_response() {
    let data: Vec<u8> = (0..=255).chain(0..=44).collect();
    let mut exchanges = 0;
    for (options, level) in combinations() {
        let (mut host, mut card) = pair(options, level);
        let most = max_command_data(level);
        let plain = Command::new(0x80, 0xE2, 0x12, 0x34);
        let mut commands = vec![
            plain,
            plain.with_ne(Ne::MAX_SHORT),
            plain.with_ne(Ne::short(0x10)),
            plain.with_data(&data[..1]).with_ne(Ne::MAX_SHORT),
            plain.with_data(&data[..most]).with_ne(Ne::short(0xFF)),
            plain.with_data(&data[..most]),
            plain.with_data(&data[..300]).extended(true),
            plain.with_data(&data[..300]).with_ne(Ne::MAX_EXTENDED).extended(true),
        ];
        // Every place of the padding in its block, short and extended.
        for len in 1..=24 {
            commands.push(plain.with_data(&data[..len]));
            commands.push(plain.with_data(&data[..len]).extended(true).with_ne(Ne::MAX_EXTENDED));
        }
        // Data that looks like padding itself.
        commands.push(plain.with_data(&[0x80, 0, 0, 0, 0, 0, 0, 0]));
        commands.push(plain.with_data(&[0; 8]));
        for (n, command) in commands.iter().enumerate() {
            let len = [0, 1, 7, 8, 9, max_response_data(level)][n % 6];
            let sw = [Sw::OK, Sw::MORE_ENTRIES, Sw::WARNING_SELECTED_INVALIDATED][n % 3];
            let response = exchange(&mut host, &mut card, command, &data[..len], sw);
            assert_eq!(response.len(), len + 2 + if level.r_mac() { 8 } else { 0 });
            let mut out = [0; 300];
            let got = host.unwrap(&response, &mut out).unwrap();
            assert_eq!((got.data(), got.sw()), (&data[..len], sw), "{options:?} {level:?} {n}");
            exchanges += 1;
        }
        // An error comes bare, and the session, its R-MACs too, goes on.
        let response = exchange(&mut host, &mut card, &plain, &[], Sw::WRONG_DATA);
        assert_eq!(response, [0x6A, 0x80]);
        assert_eq!(host.unwrap(&response, &mut [0; 10]).unwrap().sw(), Sw::WRONG_DATA);
        let response = exchange(&mut host, &mut card, &plain, &[1], Sw::OK);
        assert_eq!(host.unwrap(&response, &mut [0; 10]).unwrap().data(), [1]);
    }
    // Nine explicit i, three levels each, and three more with R-MAC for two of them; four implicit.
    assert_eq!(exchanges, (9 * 3 + 2 * 3 + 4) * 58);
}

#[test]
fn one_byte_too_many_is_refused_and_changes_nothing() {
    for (options, level) in combinations().filter(|(_, level)| level.c_mac()) {
        let (mut host, mut card) = pair(options, level);
        let data = [0x55; 255];
        let long = Command::new(0x80, 0xE2, 0, 0).with_data(&data[..=max_command_data(level)]);
        assert_eq!(host.wrap(&long, &mut [0; 300]), Err(SessionError::TooLong));
        let short = Command::new(0x80, 0xE2, 0, 0).with_data(&data[..10]);
        assert!(matches!(host.wrap(&short, &mut [0; 5]), Err(SessionError::Full { .. })));
        exchange(&mut host, &mut card, &short, &[], Sw::OK);
    }
}

#[test]
fn every_flipped_bit_of_a_command_ends_the_session() {
    for (options, level) in combinations().filter(|(_, level)| level.c_mac()) {
        let data = [0x4F, 0x00, 0x5C, 0x02, 0x9F, 0x70, 0xC5, 0x80, 0x00];
        for (first, len) in [(true, 0), (true, 9), (false, 2), (false, 8)] {
            let (mut host, mut card) = pair(options, level);
            if !first {
                let response =
                    exchange(&mut host, &mut card, &Command::new(0x80, 0xCA, 0, 0x66), &[], Sw::OK);
                host.unwrap(&response, &mut [0; 9]).unwrap();
            }
            let command = Command::new(0x80, 0xF2, 0x40, 0x02).with_data(&data[..len]).with_ne(Ne::MAX_SHORT);
            let mut wire = [0; 64];
            let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            // INS, P1, P2, Lc as far as it leaves a command, data and MAC.
            for bit in 8..(sent.len() - 1) * 8 {
                let mut flipped = sent.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                let Ok(flipped) = Command::parse(&flipped) else {
                    assert!((32..40).contains(&bit), "only Lc makes it no command");
                    continue;
                };
                let mut card = copy(&card);
                let result = card.unwrap(&flipped, &mut [0; 64]).map(|_| ());
                assert_eq!(result, Err(Sw::SECURITY_STATUS), "{options:?} {level:?} bit {bit}");
                let result = card.unwrap(&Command::parse(&sent).unwrap(), &mut [0; 64]).map(|_| ());
                assert_eq!(result, Err(Sw::SECURITY_STATUS));
                assert!(!card.is_open() && card.protection() == huiwan_card::Protection::default());
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_response_is_refused_by_the_host() {
    for (options, level) in combinations().filter(|(_, level)| level.r_mac()) {
        let command = Command::new(0x80, 0xCA, 0, 0x66);
        for data in [&[][..], &[1, 2, 3, 4, 5]] {
            for sw in [Sw::OK, Sw::MORE_ENTRIES, Sw::WARNING_SELECTED_INVALIDATED] {
                let (mut host, mut card) = pair(options, level);
                let response = exchange(&mut host, &mut card, &command, data, sw);
                for bit in 0..response.len() * 8 {
                    let (mut host, mut card) = pair(options, level);
                    let mut response = exchange(&mut host, &mut card, &command, data, sw);
                    response[bit / 8] ^= 0x80 >> (bit % 8);
                    let refused = host.unwrap(&response, &mut [0; 64]).map(|_| ());
                    assert_eq!(refused, Err(SessionError::NotAuthentic), "bit {bit}");
                    assert!(host.is_dead());
                }
                assert_eq!(host.unwrap(&[0x90, 0x00], &mut [0; 64]), Err(SessionError::NotAuthentic));
            }
        }
    }
}

#[test]
fn replay_reorder_and_loss_end_the_session() {
    for (options, level) in combinations().filter(|(_, level)| level.c_mac()) {
        let (mut host, card) = pair(options, level);
        let command = Command::new(0x80, 0xE2, 0, 0).with_data(&[1, 2, 3]);
        let (mut one, mut two) = ([0; 64], [0; 64]);
        let one = Command::parse(host.wrap(&command, &mut one).unwrap()).unwrap();
        let two = Command::parse(host.wrap(&command, &mut two).unwrap()).unwrap();
        let unwrap = |card: &mut Session, command| card.unwrap(command, &mut [0; 64]).map(|_| ());
        let mut replayed = copy(&card);
        assert_eq!(unwrap(&mut replayed, &one), Ok(()));
        assert_eq!(unwrap(&mut replayed, &one), Err(Sw::SECURITY_STATUS));
        let mut lost = copy(&card);
        assert_eq!(unwrap(&mut lost, &two), Err(Sw::SECURITY_STATUS));
        // A plain command where protection was agreed.
        let mut plain = copy(&card);
        let unprotected = Command::new(0x80, 0xCA, 0, 0x66);
        assert_eq!(unwrap(&mut plain, &unprotected), Err(Sw::SECURITY_STATUS));
        assert_eq!(unwrap(&mut plain, &one), Err(Sw::SECURITY_STATUS));
    }
}

#[test]
fn r_mac_sessions() {
    let begin = [0x80, 0x7A, 0x10, 0x01, 0x03, 0x02, 0xAA, 0xBB];
    let ordinary = Command::new(0x80, 0xCA, 0, 0x66).with_ne(Ne::MAX_SHORT);
    for options in [Options::I35, Options::I75] {
        for level in [Level::Authenticated, Level::CMac, Level::CMacCEnc] {
            for every in [true, false] {
                let (mut host, mut card) = pair(options, level);
                let mut go = |command: &Command<'_>, data: &[u8]| {
                    let response = exchange(&mut host, &mut card, command, data, Sw::OK);
                    let mut out = [0; 64];
                    let opened = host.unwrap(&response, &mut out).unwrap().data().to_vec();
                    (response.len() - 2, opened)
                };
                assert_eq!(go(&ordinary, &[7]), (1, vec![7]));
                let mut begin = begin;
                begin[2] = if every { 0x10 } else { 0x00 };
                assert_eq!(go(&Command::parse(&begin).unwrap(), &[]), (0, vec![]));
                let carried = if every { 8 } else { 0 };
                assert_eq!(go(&ordinary, &[1, 2]), (2 + carried, vec![1, 2]));
                let end = |p2| Command::new(0x80, 0x78, 0x00, p2).with_ne(Ne::MAX_SHORT);
                let (_, first) = go(&end(0x01), &[]);
                assert_eq!(go(&ordinary, &[1, 2]).0, 2 + carried);
                let (_, second) = go(&end(0x03), &[]);
                assert!(first.len() == 8 && second.len() == 8 && first != second);
                assert_eq!(go(&ordinary, &[7]), (1, vec![7]));
                // And once more, from the same beginning.
                go(&Command::parse(&begin).unwrap(), &[]);
                assert_eq!(go(&ordinary, &[1, 2]).0, 2 + carried);
                assert_eq!(go(&end(0x03), &[]).1, first);
            }
        }
    }
    // A changed answer on the way is found at the end.
    let (mut host, mut card) = pair(Options::I35, Level::CMac);
    let mut begin = begin;
    begin[2] = 0;
    for (command, change) in [(Command::parse(&begin).unwrap(), false), (ordinary, true)] {
        let mut response = exchange(&mut host, &mut card, &command, &[5], Sw::OK);
        if change {
            response[0] ^= 1;
        }
        host.unwrap(&response, &mut [0; 64]).unwrap();
    }
    let end = Command::new(0x80, 0x78, 0x00, 0x03).with_ne(Ne::MAX_SHORT);
    let response = exchange(&mut host, &mut card, &end, &[], Sw::OK);
    assert_eq!(host.unwrap(&response, &mut [0; 64]), Err(SessionError::NotAuthentic));
}

/// The naive R-MAC from the table [sheet 2.2], with the counter's next value, against the pair. `source: self (weak)`
#[test]
fn r_mac_after_begin_is_as_the_table_says() {
    use huiwan_crypto::mac::{Padding, alg3};
    use huiwan_crypto::{BlockKey, Tdes};
    let (mut host, mut card) = pair(Options::I35, Level::CMac);
    let mut key = [0; 16];
    key[..4].copy_from_slice(&[0x01, 0x02, 0x12, 0x35]);
    Tdes::new2(&TEST_KEY).encrypt_cbc(&[0; 8], &mut key).unwrap();
    let key = Tdes::new2(&key);
    // The C-MAC of EXTERNAL AUTHENTICATE, made again.
    let answer = {
        let mut again = Session::none();
        again
            .initialize_update_scp02(
                &keys(Options::I35),
                0x20,
                [0; 10],
                Options::I35,
                &[1, 2, 3, 4, 5, 6, 7, 8],
                [6, 5, 4, 3, 2, 1],
                SEQUENCE,
                &AID,
            )
            .unwrap()
    };
    let verified = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8])
        .verify_card(0x80, &answer, &keys(Options::I35), Level::CMac)
        .unwrap();
    let icv: [u8; 8] = verified.command()[13..].try_into().unwrap();
    let begin = [0x80, 0x7A, 0x10, 0x01, 0x01, 0x00];
    let response = exchange(&mut host, &mut card, &Command::parse(&begin).unwrap(), &[], Sw::OK);
    host.unwrap(&response, &mut [0; 9]).unwrap();
    let first = alg3(&key, &icv, &[&begin, &[0x00, 0x90, 0x00]], Padding::Method2);
    // On channel 1, case 2: Lc 00 is under the MAC, the channel is not.
    let get = Command::new(0x81, 0xCA, 0x00, 0x66).with_ne(Ne::MAX_SHORT);
    let response = exchange(&mut host, &mut card, &get, &[0xDD], Sw::OK);
    let message = [0x80, 0xCA, 0x00, 0x66, 0x00, 0x01, 0xDD, 0x90, 0x00];
    assert_eq!(response[1..9], alg3(&key, &first, &[&message], Padding::Method2));
}

fn profile(options: Options) -> CardProfile {
    CardProfile::DEFAULT.with_scp02(options)
}

fn factory() -> Factory<'static> {
    Factory::TEST.with_scp02_test_keys()
}

fn counter(card: &Card<'_, MapMemory>) -> Vec<u8> {
    card.element.memory().objects.get(&(0, 0x0320)).cloned().unwrap_or_default()
}

/// As the others, with the "i" that the answer of a card does not tell.
fn open_as(card: &mut Card<'_, MapMemory>, options: Options, keys: &StaticKeys, level: Level) -> Open {
    let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]).with_scp02(options);
    let answer = card.send(&apdu([0x80, 0x50, 0x20, 0x00], &[1, 2, 3, 4, 5, 6, 7, 8]));
    let answer = huiwan_gp::initialize_update::Answer::parse(&answer[..answer.len() - 2]).unwrap();
    let verified = handshake.verify_card(0x80, &answer, keys, level).unwrap();
    let sw = card.sw(verified.command());
    verified.accepted(Sw::new(sw)).unwrap()
}

#[test]
fn whole_cards_speak_every_option_and_level() {
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    for options in Options::EVERY.into_iter().filter(|options| options.explicit()) {
        with_card(&profile(options), new_memory(&factory()), |card| {
            for (n, level) in Level::EVERY.into_iter().filter(|level| options.allows(*level)).enumerate() {
                let mut session = open_as(card, options, &keys, level);
                assert_eq!(counter(card), [0, 0, n as u8 + 1]);
                for command in ["80CA006600", "80CA9F7F00", "80F28002024F0000", "80CA123400"] {
                    let command = huiwan_testkit::hex(command);
                    let (data, sw) = run(card, &mut session, &command);
                    let found = command[2] != 0x12;
                    assert_eq!((sw, data.is_empty()), (if found { 0x9000 } else { 0x6A88 }, !found));
                }
                let mut data = vec![0x42, 0x08, 1, 2, 3, 4, 5, 6, 7, 8];
                assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &data)).1, 0x9000);
                data.resize(max_command_data(level), 0xFF);
                assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &data)).1, 0x6A80);
            }
            // Its other key set still speaks SCP03.
            open(card, 0x30, &test_keys(), Level::All);
        });
    }
}

#[test]
fn implicit_initiation_on_a_whole_card() {
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    for options in Options::EVERY.into_iter().filter(|options| !options.explicit()) {
        with_card(&profile(options), new_memory(&factory()), |card| {
            for spent in 0..3_u8 {
                card.power_on();
                let sequence = Sequence::from_bytes([0, spent]);
                let mut session = Open::implicit(options, &keys, sequence, &AID).unwrap();
                // A forged command opens nothing, spends nothing and locks nothing.
                let forged = [0x84, 0xF2, 0x80, 0x02, 0x0A, 0x4F, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
                assert_eq!(card.sw(&forged), 0x6982);
                let (data, sw) = run(card, &mut session, &huiwan_testkit::hex("80F28002024F0000"));
                assert_eq!((sw, data.is_empty()), (0x9000, false));
                assert_eq!(counter(card), [0, 0, spent + 1]);
                assert_eq!(run(card, &mut session, &huiwan_testkit::hex("80CA006600")).1, 0x9000);
                // Once open, a wrong MAC ends it, and only a new selection begins another.
                assert_eq!(card.sw(&forged), 0x6982);
                let mut next =
                    Open::implicit(options, &keys, Sequence::from_bytes([0, spent + 1]), &AID).unwrap();
                let mut wire = [0; 64];
                let command = huiwan_testkit::hex("80F28002024F0000");
                let sent = next.wrap(&Command::parse(&command).unwrap(), &mut wire).unwrap();
                assert_eq!(card.sw(sent), 0x6982);
            }
        });
    }
}

/// What was under way in a session is not under way in the next, whatever ended the first: here an EXTERNAL AUTHENTICATE that anybody can
/// send.
#[test]
fn an_implicit_session_begins_anew() {
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    with_card(&profile(Options::I1A), new_memory(&factory()), |card| {
        let mut session = Open::implicit(Options::I1A, &keys, Sequence::ZERO, &AID).unwrap();
        let toy = support::install_toy(&support::TOY_AID, &huiwan_testkit::hex("C900"));
        assert_eq!(run(card, &mut session, &toy).1, 0x9000);
        let fields = huiwan_gp::install::Fields { instance: &support::TOY_AID, ..Default::default() };
        assert_eq!(run(card, &mut session, &support::install(0x20, 0, &fields)).1, 0x9000);
        assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x00, 0], &[0x01])).1, 0x9000);
        assert_eq!(card.sw(&apdu([0x84, 0x82, 0x00, 0x00], &[0; 16])), 0x6985);
        let mut session = Open::implicit(Options::I1A, &keys, Sequence::from_bytes([0, 1]), &AID).unwrap();
        // For the domain itself, from its first block on.
        assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &[0x42, 1, 7])).1, 0x9000);
        assert_eq!(run(card, &mut session, &huiwan_testkit::hex("80CA004200")).0, [0x42, 1, 7]);
    });
}

#[test]
fn the_counter_is_spent_by_the_first_good_mac_and_ends() {
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    with_card(&profile(Options::I55), new_memory(&factory()), |card| {
        // INITIALIZE UPDATE spends nothing, neither does a wrong host.
        let update = apdu([0x80, 0x50, 0x20, 0x00], &[1; 8]);
        let first = card.send(&update);
        assert_eq!(card.send(&update), first, "a predictable challenge");
        assert_eq!(card.sw(&huiwan_testkit::hex("8482010010000000000000000000000000000000000000")), 0x6700);
        card.send(&update);
        assert_eq!(card.sw(&huiwan_testkit::hex("848201001000000000000000000000000000000000")), 0x6300);
        assert_eq!(card.sw(&huiwan_testkit::hex("848201001000000000000000000000000000000000")), 0x6985);
        assert_eq!(counter(card), []);
        open(card, 0x20, &keys, Level::CMac);
        assert_eq!(counter(card), [0, 0, 1]);
        assert_ne!(card.send(&update), first);
    });
    let mut memory = new_memory(&factory());
    memory.objects.insert((0, 0x0320), vec![0, 0xFF, 0xFE]);
    with_card(&profile(Options::I15), memory, |card| {
        open(card, 0x20, &keys, Level::CMac);
        assert_eq!(counter(card), [0, 0xFF, 0xFF]);
        assert_eq!(try_open(card, 0x20, &keys, Level::CMac).map(|_| ()), Err(0x6985));
        open(card, 0x30, &test_keys(), Level::CMac);
    });
    // No SCP02 in the profile: DES keys open nothing.
    with_card(&CardProfile::DEFAULT, new_memory(&factory()), |card| {
        assert_eq!(try_open(card, 0x20, &keys, Level::CMac).map(|_| ()), Err(0x6A88));
    });
}

/// The power goes at the counter's commit: no session without a spent counter, and none that the host would take for open.
#[test]
fn the_counter_is_durable_before_the_session_is_used() {
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    for done in [false, true] {
        let mut memory = new_memory(&factory());
        (memory.cut, memory.done_before_cut) = (Some(0), done);
        let (mut memory, ()) = with_card(&profile(Options::I75), memory, |card| {
            let refused = try_open(card, 0x20, &keys, Level::CMac).map(|_| ()).unwrap_err();
            assert_eq!(refused, 0x6581);
            // The card did not open behind the host's back.
            assert_eq!(card.sw(&huiwan_testkit::hex("80F28002024F0000")), 0x6982);
        });
        memory.cut = None;
        with_card(&profile(Options::I75), memory, |card| {
            assert_eq!(counter(card), if done { vec![0, 0, 1] } else { vec![] });
            open(card, 0x20, &keys, Level::CMac);
        });
        let mut memory = new_memory(&factory());
        (memory.cut, memory.done_before_cut) = (Some(0), done);
        with_card(&profile(Options::I1A), memory, |card| {
            let mut session = Open::implicit(Options::I1A, &keys, Sequence::ZERO, &AID).unwrap();
            let mut wire = [0; 64];
            let command = huiwan_testkit::hex("80F28002024F0000");
            let sent = session.wrap(&Command::parse(&command).unwrap(), &mut wire).unwrap();
            assert_eq!(card.sw(sent), 0x6581);
            assert_eq!(card.sw(&command), 0x6982);
        });
    }
}

#[test]
fn class_byte_bits() {
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
    let keys = StaticKeys::base(&TEST_KEY).unwrap();
    for level in [Level::CMac, Level::CMacCEnc, Level::CMacCEncRMac] {
        for (bit, expected, lives) in table {
            with_card(&profile(Options::I75), new_memory(&factory()), |card| {
                let mut session = open(card, 0x20, &keys, level);
                let mut wire = [0; 64];
                let command = huiwan_testkit::hex("80CA006600");
                let sent = session.wrap(&Command::parse(&command).unwrap(), &mut wire).unwrap();
                let mut sent = sent.to_vec();
                sent[0] ^= bit;
                assert_eq!(card.sw(&sent), expected, "{bit:02X}");
                sent[0] ^= bit;
                assert_eq!(card.sw(&sent), if lives { 0x9000 } else { 0x6982 }, "{bit:02X}");
            });
        }
        with_card(&profile(Options::I75), new_memory(&factory()), |card| {
            let mut session = open(card, 0x20, &keys, level);
            for bit in [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01] {
                let mut wire = [0; 64];
                let command = huiwan_testkit::hex("80CA004200");
                let sent = session.wrap(&Command::parse(&command).unwrap(), &mut wire).unwrap();
                let mut sent = sent.to_vec();
                // Le is not under the MAC: the command is executed all the same.
                *sent.last_mut().unwrap() ^= bit;
                assert_eq!(card.sw(&sent), 0x6A88, "{bit:02X}");
            }
        });
    }
}

/// A wrong padding and a wrong MAC are one fault: same answer, same state, whatever the last block decrypts to.
#[test]
fn bad_padding_and_bad_mac_look_alike() {
    use huiwan_crypto::{BlockKey, Tdes};
    let keys = keys(Options::I15);
    let mut s_enc = [0; 16];
    s_enc[..4].copy_from_slice(&[0x01, 0x82, 0x12, 0x34]);
    keys.enc().encrypt_cbc(&[0; 8], &mut s_enc).unwrap();
    let s_enc = Tdes::new2(&s_enc);
    let paddings = [[0; 8], [0x55; 8], [0x80; 8], [0x80, 0, 0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 0x80]];
    for last in paddings {
        for blocks in [1, 2, 29] {
            let (_, mut card) = pair(Options::I15, Level::CMacCEnc);
            let mut data = vec![0x11; (blocks - 1) * 8];
            data.extend(last);
            s_enc.encrypt_cbc(&[0; 8], &mut data).unwrap();
            data.extend([0xEE; 8]);
            let forged = Command::new(0x84, 0xE2, 0, 0).with_data(&data);
            assert_eq!(card.unwrap(&forged, &mut [0; 300]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            let (mut slot, mut other) = ([0; SESSION_LEN], [0; SESSION_LEN]);
            card.store(&mut slot);
            let (_, mut card) = pair(Options::I15, Level::CMacCEnc);
            assert!(card.unwrap(&forged.with_data(&[0; 16]), &mut [0; 300]).is_err());
            card.store(&mut other);
            assert_eq!(slot, other);
        }
    }
}
