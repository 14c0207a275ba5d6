//! The state machine of a secure channel on a whole card, row by row of the table at the head of `card/secure_channel.rs`, for SCP02 and
//! SCP03, then for SCP11. [GPC 10.2, D.1, E.1, AmdD 5, AmdF 5]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::mac::{Padding, alg3};
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::{CardProfile, Factory, Scp11Profile, TEST_KEY};
use huiwan_gp::host::secure_channel::{AwaitAcceptance, AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::secure_channel::{Level, StaticKeysRef};
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::hex;
use scp11_host::{ScpCard, VARIANTS, Wish, certify_host, chain, provisioning, with_scp11};
use support::*;

type MapCard<'a> = Card<'a, MapMemory>;

const PROFILE: CardProfile = CardProfile::DEFAULT.with_scp02(scp02::Options::I75);
const GET_STATUS: &str = "80F28002024F0000";
const GET_DATA: &str = "80CA006600";
/// To the toy application on channel 1.
const ECHO_ON_1: &str = "8112000002112200";

/// A key set of the card, and so a protocol.
struct Protocol {
    kvn: u8,
    des: scp02::StaticKeys,
    aes: scp03::StaticKeys,
}

impl Protocol {
    fn keys(&self) -> StaticKeysRef<'_> {
        if self.is_scp02() { (&self.des).into() } else { (&self.aes).into() }
    }

    const fn is_scp02(&self) -> bool {
        self.kvn == 0x20
    }

    /// INITIALIZE UPDATE on the channel of `cla`, and what the host makes of the answer.
    fn update(&self, card: &mut MapCard<'_>, cla: u8, level: Level) -> AwaitAcceptance {
        let answer = card.send(&apdu([cla, 0x50, self.kvn, 0], &[1, 2, 3, 4, 5, 6, 7, 8]));
        let (data, sw) = answer.split_last_chunk::<2>().unwrap();
        assert_eq!(*sw, [0x90, 0x00]);
        let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
        handshake.verify_card(cla, &Answer::parse(data).unwrap(), self.keys(), level).unwrap()
    }

    fn open(&self, card: &mut MapCard<'_>, cla: u8, level: Level) -> Open {
        let verified = self.update(card, cla, level);
        let sw = card.sw(verified.command());
        verified.accepted(Sw::new(sw)).unwrap()
    }

    /// The counter of the key set.
    fn counter(&self, card: &MapCard<'_>) -> u32 {
        let object = card.element.memory().objects.get(&(0, 0x0300 | u16::from(self.kvn)));
        object.map_or(0, |value| u32::from_be_bytes([0, value[0], value[1], value[2]]))
    }
}

/// Runs `f` on a new card for each protocol.
fn both(f: impl Fn(&mut MapCard<'_>, &Protocol)) {
    for kvn in [0x20, 0x30] {
        let protocol = Protocol { kvn, des: scp02::StaticKeys::base(&TEST_KEY).unwrap(), aes: test_keys() };
        with_card(&PROFILE, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| f(card, &protocol));
    }
}

fn levels() -> [Level; 4] {
    [Level::CMac, Level::CMacCEnc, Level::CMacRMac, Level::CMacCEncRMac]
}

/// A plain command under the session's protection, not sent.
fn wrap(session: &mut Open, command: &str) -> Vec<u8> {
    let mut wire = [0; 300];
    session.wrap(&Command::parse(&hex(command)).unwrap(), &mut wire).unwrap().to_vec()
}

/// Opens a channel and selects an application on it.
fn on_channel(card: &mut MapCard<'_>, number: u8, aid: &[u8]) {
    assert_eq!(card.send(&hex("0070000001")), [number, 0x90, 0x00]);
    assert_eq!(card.sw(&apdu([number, 0xA4, 0x04, 0x00], aid)), 0x9000);
}

/// No session: what needs one is refused, what needs none is answered, and there is no challenge to answer.
fn assert_none(card: &mut MapCard<'_>, what: &str) {
    assert_eq!(card.sw(&hex(GET_STATUS)), 0x6982, "{what}");
    assert_eq!(card.sw(&hex(GET_DATA)), 0x9000, "{what}");
    assert_eq!(card.sw(&hex("848201001000000000000000000000000000000000")), 0x6985, "{what}");
}

#[test]
fn initialize_update_of_an_unknown_key_set() {
    both(|card, protocol| {
        let mut old = protocol.open(card, 0x80, Level::CMac);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x7F, 0], &[1; 8])), 0x6A88);
        assert_eq!(card.sw(&wrap(&mut old, GET_DATA)), 0x6982, "the old session is gone");
        assert_none(card, "unknown version");
        // P2 is 00 in both protocols. [GPC E.5.1.4, AmdD 7.1.1.3]
        assert_eq!(card.sw(&apdu([0x80, 0x50, protocol.kvn, 1], &[1; 8])), 0x6A86);
        assert_none(card, "P2");
        for len in [0, 7, 9, 16] {
            assert_eq!(card.sw(&apdu([0x80, 0x50, protocol.kvn, 0], &vec![1; len])), 0x6700);
            assert_none(card, "length of the challenge");
        }
    });
}

#[test]
fn initialize_update_ends_what_was_open_or_aborted() {
    both(|card, protocol| {
        for level in levels() {
            // Open, with either class byte. [GPC 11.1.4]
            for cla in [0x80, 0x84] {
                let mut old = protocol.open(card, 0x80, level);
                assert_eq!(run(card, &mut old, &hex(GET_STATUS)).1, 0x9000);
                assert_eq!(card.sw(&apdu([cla, 0x50, protocol.kvn, 0], &[1; 8])), 0x9000);
                assert_eq!(card.sw(&wrap(&mut old, GET_STATUS)), 0x6982);
                assert_none(card, "between");
            }
            // Aborted.
            let _ = protocol.open(card, 0x80, level);
            assert_eq!(card.sw(&hex("84F280020A4F00000000000000000000")), 0x6982);
            let mut new = protocol.open(card, 0x80, level);
            assert_eq!(run(card, &mut new, &hex(GET_STATUS)).1, 0x9000);
        }
    });
}

#[test]
fn counters_at_their_end() {
    // SCP03: three bytes, spent by INITIALIZE UPDATE. SCP02: two, of which a card guarantees half, spent by the first good MAC.
    for (kvn, last, guaranteed) in [(0x20, 0xFFFF_u32, 0x7FFF_u32), (0x30, 0xFF_FFFF, 0x7F_FFFF)] {
        let protocol = Protocol { kvn, des: scp02::StaticKeys::base(&TEST_KEY).unwrap(), aes: test_keys() };
        let at = |value: u32| {
            let mut memory = new_memory(&Factory::TEST.with_scp02_test_keys());
            memory.objects.insert((0, 0x0300 | u16::from(kvn)), value.to_be_bytes()[1..].to_vec());
            memory
        };
        with_card(&PROFILE, at(guaranteed), |card| {
            protocol.open(card, 0x80, Level::CMac);
            assert_eq!(protocol.counter(card), guaranteed + 1);
        });
        with_card(&PROFILE, at(last - 1), |card| {
            protocol.open(card, 0x80, Level::CMac);
            assert_eq!(protocol.counter(card), last);
            for _ in 0..2 {
                assert_eq!(card.sw(&apdu([0x80, 0x50, kvn, 0], &[1; 8])), 0x6985);
                assert_none(card, "counter");
                assert_eq!(protocol.counter(card), last, "it does not wrap");
            }
        });
    }
    // Implicit initiation needs a counter too.
    let mut memory = new_memory(&Factory::TEST.with_scp02_test_keys());
    memory.objects.insert((0, 0x0320), vec![0, 0xFF, 0xFF]);
    with_card(&PROFILE.with_scp02(scp02::Options::I1A), memory, |card| {
        assert_eq!(card.sw(&hex("84F280020A4F00000000000000000000")), 0x6985);
    });
}

#[test]
fn another_command_forgets_the_challenge() {
    both(|card, protocol| {
        let between = [
            GET_DATA,
            GET_STATUS,
            "00CA006600",
            "8001000000",
            "84F280020A4F00000000000000000000",
            "00A4040000",
            "00A4040008A00000015100000000",
        ];
        for command in between {
            let verified = protocol.update(card, 0x80, Level::CMac);
            card.send(&hex(command));
            assert_eq!(card.sw(verified.command()), 0x6985, "{command}");
            assert_none(card, command);
        }
        // What is not for this channel's application is not another command to it.
        let verified = protocol.update(card, 0x80, Level::CMac);
        assert_eq!(card.sw(&hex("0070000001")), 0x9000);
        assert_eq!(card.sw(&hex("81CA006600")), 0x6985, "nothing is selected there");
        assert_eq!(card.sw(verified.command()), 0x9000);
    });
}

#[test]
fn external_authenticate_out_of_turn() {
    both(|card, protocol| {
        let verified = protocol.update(card, 0x80, Level::CMac);
        let right = verified.command().to_vec();
        card.power_on();
        assert_eq!(card.sw(&right), 0x6985, "none");
        // Open: that session ends.
        let verified = protocol.update(card, 0x80, Level::CMac);
        let right = verified.command().to_vec();
        assert_eq!(card.sw(&right), 0x9000);
        let mut session = verified.accepted(Sw::OK).unwrap();
        assert_eq!(card.sw(&right), 0x6985, "open");
        assert_eq!(card.sw(&wrap(&mut session, GET_STATUS)), 0x6982);
        // Aborted.
        let _ = protocol.open(card, 0x80, Level::CMac);
        assert_eq!(card.sw(&hex("84F280020A4F00000000000000000000")), 0x6982);
        assert_eq!(card.sw(&right), 0x6985, "aborted");
        assert_none(card, "end");
    });
}

#[test]
fn external_authenticate_wrong() {
    both(|card, protocol| {
        // The byte changed, the status word.
        let faults: [(usize, u8, u16); 8] = [
            (5, 0x01, 0x6300),  // host cryptogram
            (12, 0x80, 0x6300), // its other end
            (13, 0x01, 0x6982), // C-MAC
            (20, 0x80, 0x6982),
            (2, 0x02, 0x6982), // another level, under the MAC
            (2, 0x80, 0x6A86), // a level there is not
            (3, 0x01, 0x6A86), // P2
            (0, 0x04, 0x6982), // no secure messaging
        ];
        for (at, bit, expected) in faults {
            let before = protocol.counter(card);
            let verified = protocol.update(card, 0x80, Level::CMac);
            let mut wrong = verified.command().to_vec();
            wrong[at] ^= bit;
            assert_eq!(card.sw(&wrong), expected, "{at} {bit:02X}");
            assert_eq!(card.sw(verified.command()), 0x6985, "the challenge is spent");
            assert_none(card, "wrong host");
            // SCP02 counts sessions, SCP03 challenges.
            let spent = u32::from(!protocol.is_scp02());
            assert_eq!(protocol.counter(card), before + spent, "{at} {bit:02X}");
        }
        // Too short, too long. [AmdD 7.1.2.4 leaves the status word open]
        for len in [0, 8, 15, 17] {
            protocol.update(card, 0x80, Level::CMac);
            let wrong = apdu([0x84, 0x82, 0x01, 0x00], &vec![0; len]);
            assert_eq!(card.sw(&wrong), 0x6700, "{len}");
            assert_none(card, "length");
        }
    });
}

#[test]
fn a_fault_aborts_an_open_session() {
    both(|card, protocol| {
        for level in levels() {
            // What is made of a right command.
            type Fault = fn(&mut Vec<u8>);
            let faults: [(&str, Fault); 7] = [
                ("wrong MAC", |sent| *sent.iter_mut().nth_back(1).unwrap() ^= 1),
                ("wrong data", |sent| sent[5] ^= 0x80),
                ("no MAC", |sent| *sent = hex(GET_STATUS)),
                ("no MAC, but said", |sent| *sent = hex("84F28002024F0000")),
                ("nothing, but said", |sent| *sent = hex("84F2800200")),
                ("Lc too long", |sent| sent[4] += 9),
                ("Lc too short", |sent| sent[4] -= 3),
            ];
            for (what, fault) in faults {
                let mut session = protocol.open(card, 0x80, level);
                assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
                let right = wrap(&mut session, GET_STATUS);
                let mut sent = right.clone();
                fault(&mut sent);
                assert_eq!(card.send(&sent), hex("6982"), "{what}, {level:?}");
                // Aborted: every protected command is refused, plain ones find no session.
                for command in [&right, &wrap(&mut session, GET_DATA), &hex("84CA006600")] {
                    assert_eq!(card.send(command), hex("6982"), "{what}, {level:?}");
                }
                assert_eq!(card.sw(&hex(GET_STATUS)), 0x6982, "{what}");
                assert_eq!(card.sw(&hex(GET_DATA)), 0x9000, "{what}");
                assert_eq!(card.send(&right), hex("6982"), "{what}: still");
            }
        }
    });
}

/// Padding is wrong under a right MAC, which in SCP03 is over what is on the wire: a host with the keys sends it.
#[test]
fn bad_padding_under_a_good_mac_aborts() {
    use huiwan_gp::scp03::{c_mac, session_keys};
    both(|card, protocol| {
        if protocol.is_scp02() {
            // There the MAC is over the plain data, so wrong padding is a wrong MAC: `bad_padding_and_bad_mac_look_alike`.
            return;
        }
        let answer = card.send(&apdu([0x80, 0x50, 0x30, 0], &[1, 2, 3, 4, 5, 6, 7, 8]));
        let parsed = Answer::parse(&answer[..answer.len() - 2]).unwrap();
        let mut raw = [0; 96];
        session_keys::derive_raw(&protocol.aes, &[1, 2, 3, 4, 5, 6, 7, 8], &answer[13..21], &mut raw)
            .unwrap();
        let s_mac = Aes::new(&raw[16..32]).unwrap();
        let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
        let verified = handshake.verify_card(0x80, &parsed, &protocol.aes, Level::CMacCEnc).unwrap();
        let command = verified.command().to_vec();
        assert_eq!(card.sw(&command), 0x9000);
        // The chaining value is the whole CMAC, made again.
        let mode = huiwan_gp::scp03::Mode::S8;
        let header = c_mac::Header::new(mode, [0x84, 0x82, 0x03, 0], 8, false).unwrap();
        let chaining = c_mac::chain(&s_mac, &[0; 16], &header, &command[5..13]);
        assert_eq!(chaining[..8], command[13..]);
        // Sixteen bytes that decrypt to no padding, as it happens.
        let header = c_mac::Header::new(mode, [0x84, 0xF2, 0x80, 0x02], 16, false).unwrap();
        let data = [0x77; 16];
        let mac = c_mac::chain(&s_mac, &chaining, &header, &data);
        let sent = apdu([0x84, 0xF2, 0x80, 0x02], &[&data[..], &mac[..8]].concat());
        assert_eq!(card.send(&sent), hex("6982"));
        assert_eq!(card.sw(&hex("84CA006600")), 0x6982);
        assert_eq!(card.sw(&hex(GET_DATA)), 0x9000, "aborted: no plain command ends it once more");
    });
}

#[test]
fn more_protection_than_agreed_aborts() {
    both(|card, protocol| {
        let mut session = protocol.open(card, 0x80, Level::Authenticated);
        assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
        assert_eq!(card.sw(&hex("84F280020A4F00000000000000000000")), 0x6982);
        assert_eq!(card.sw(&hex(GET_STATUS)), 0x6982);
        assert_none(card, "aborted");
    });
}

#[test]
fn an_error_under_good_protection_ends_nothing() {
    both(|card, protocol| {
        for level in levels() {
            let mut session = protocol.open(card, 0x80, level);
            for (command, expected) in [
                ("80F28002024F0000", 0x9000),
                ("80F24002024F0000", 0x6A88),
                ("80F28002015C00", 0x6A80),
                ("80F2810200", 0x6A86),
                ("80E4000003D20131", 0x6A88),
                ("8001000000", 0x6D00),
                ("80CA123400", 0x6A88),
                ("80F28002024F0000", 0x9000),
            ] {
                assert_eq!(run(card, &mut session, &hex(command)).1, expected, "{command} {level:?}");
            }
        }
    });
}

#[test]
fn selection_reset_and_channel_end_a_session() {
    both(|card, protocol| {
        let mut session = protocol.open(card, 0x80, Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))).1, 0x9000);
        type End = fn(&mut MapCard<'_>);
        let ends: [(&str, End); 4] = [
            ("another application", |card| {
                assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
                assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            }),
            ("the same", |card| assert_eq!(card.sw(&select(&hex("A000000151000000"))), 0x9000)),
            ("the default one", |card| assert_eq!(card.sw(&hex("00A4040000")), 0x9000)),
            ("reset", |card| card.power_on()),
        ];
        for (what, end) in ends {
            let mut session = protocol.open(card, 0x80, Level::CMac);
            assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
            let next = wrap(&mut session, GET_STATUS);
            end(card);
            assert_eq!(card.sw(&next), 0x6982, "{what}");
            assert_none(card, what);
            // A challenge ends the same way.
            let verified = protocol.update(card, 0x80, Level::CMac);
            end(card);
            assert_eq!(card.sw(verified.command()), 0x6985, "{what}");
        }
        // A selection that finds nothing selects nothing, and ends nothing.
        let mut session = protocol.open(card, 0x80, Level::CMac);
        assert_eq!(card.sw(&select(&hex("A000000003"))), 0x6A82);
        assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
        // A channel that is closed and opened again.
        on_channel(card, 1, &TOY_AID);
        let mut session = protocol.open(card, 0x81, Level::CMac);
        assert_eq!(run(card, &mut session, &hex(ECHO_ON_1)).1, 0x9000);
        let next = wrap(&mut session, ECHO_ON_1);
        assert_eq!(card.sw(&hex("00708001")), 0x9000);
        on_channel(card, 1, &TOY_AID);
        assert_eq!(card.sw(&next), 0x6982);
    });
}

/// The domain serves a session on the basic channel, and those of two applications on two others.
#[test]
fn sessions_on_several_channels_live_side_by_side() {
    const SECOND: [u8; 7] = [0xF0, 1, 2, 3, 4, 1, 2];
    both(|card, protocol| {
        let mut session = protocol.open(card, 0x80, Level::CMac);
        for aid in [TOY_AID, SECOND] {
            assert_eq!(run(card, &mut session, &install_toy(&aid, &hex("C900"))).1, 0x9000);
        }
        on_channel(card, 1, &TOY_AID);
        on_channel(card, 2, &SECOND);
        assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000, "two channels later");
        for levels in [[Level::CMac; 3], [Level::CMacCEnc, Level::CMacRMac, Level::CMacCEncRMac]] {
            let mut zero = protocol.open(card, 0x80, levels[0]);
            let mut one = protocol.open(card, 0x81, levels[1]);
            let mut two = protocol.open(card, 0x82, levels[2]);
            for round in 0..3 {
                assert_eq!(run(card, &mut zero, &hex(GET_STATUS)).1, 0x9000, "{round}");
                for (session, command, level) in
                    [(&mut two, "8212000002112200", levels[2]), (&mut one, ECHO_ON_1, levels[1])]
                {
                    let p = level.protection();
                    let told = [true, p.c_mac, p.c_enc, p.r_mac, p.r_enc].map(u8::from);
                    let expected = [&told[..], &[0x11, 0x22]].concat();
                    assert_eq!(run(card, session, &hex(command)), (expected, 0x9000), "{round}");
                }
            }
            // A command of one session sent on the channel of another ends that other one, and no third.
            let sent = wrap(&mut one, ECHO_ON_1);
            let moved = [&[0x86], &sent[1..]].concat();
            assert_eq!(card.sw(&moved), 0x6982);
            assert_eq!(card.sw(&wrap(&mut two, "8212000002112200")), 0x6982);
            assert_eq!(card.sw(&sent), 0x9000);
            assert_eq!(run(card, &mut zero, &hex(GET_STATUS)).1, 0x9000);
            let moved = [&[0x84], &wrap(&mut one, ECHO_ON_1)[1..]].concat();
            assert_eq!(card.sw(&moved), 0x6982);
            assert_eq!(card.sw(&wrap(&mut zero, GET_STATUS)), 0x6982);
        }
    });
}

#[test]
fn an_interrupted_chain_is_discarded_and_the_session_stays() {
    both(|card, protocol| {
        for level in [Level::CMac, Level::CMacCEncRMac] {
            let mut session = protocol.open(card, 0x80, level);
            let command = install_toy(&TOY_AID, &hex("C9021234"));
            let data = &command[5..command.len() - 1];
            let more = apdu([0x80, 0xE6, 0x8C, 0x00], &data[..10]);
            let last = apdu([0x80, 0xE6, 0x0C, 0x00], &data[10..]);
            for between in [GET_STATUS, GET_DATA, "80E4000003D20131", "8001000000"] {
                assert_eq!(run(card, &mut session, &more).1, 0x9000);
                assert_eq!(run(card, &mut session, &hex(between)).1, 0x6985, "{between}");
                assert_eq!(run(card, &mut session, &last).1, 0x6A80, "{between}");
            }
            assert_eq!(run(card, &mut session, &more).1, 0x9000);
            assert_eq!(run(card, &mut session, &last).1, 0x9000);
            let delete = apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F, 7][..], &TOY_AID].concat());
            assert_eq!(run(card, &mut session, &delete).1, 0x9000);
            // A chain does not outlive its session.
            assert_eq!(run(card, &mut session, &more).1, 0x9000);
            let mut session = protocol.open(card, 0x80, level);
            assert_eq!(run(card, &mut session, &last).1, 0x6A80);
            assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
        }
    });
}

/// SCP02: an error is under the chain of R-MACs with Li = 00, though it carries none. SCP03: nothing is chained. Naive, from the table
/// of the sheet. `source: self (weak)` [GPC E.4.5, AmdD 6.2.5]
#[test]
fn r_mac_over_an_error() {
    with_card(&PROFILE, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let des = scp02::StaticKeys::base(&TEST_KEY).unwrap();
        let answer = card.send(&apdu([0x80, 0x50, 0x20, 0], &[1, 2, 3, 4, 5, 6, 7, 8]));
        let sequence = [answer[12], answer[13]];
        let parsed = Answer::parse(&answer[..answer.len() - 2]).unwrap();
        let verified = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8])
            .verify_card(0x80, &parsed, &des, Level::CMacRMac)
            .unwrap();
        let icv: [u8; 8] = verified.command()[13..21].try_into().unwrap();
        assert_eq!(card.sw(verified.command()), 0x9000);
        let mut session = verified.accepted(Sw::OK).unwrap();
        let mut key = [0; 16];
        key[..4].copy_from_slice(&[0x01, 0x02, sequence[0], sequence[1]]);
        Tdes::new2(&TEST_KEY).encrypt_cbc(&[0; 8], &mut key).unwrap();
        let key = Tdes::new2(&key);
        // The error: Lc and data of the plain command, no response data, the status word.
        let sent = wrap(&mut session, "80F28002015C00");
        assert_eq!(card.send(&sent), hex("6A80"));
        session.unwrap(&hex("6A80"), &mut [0; 8]).unwrap();
        let first = alg3(&key, &icv, &[&hex("80F28002015C"), &hex("006A80")], Padding::Method2);
        let sent = wrap(&mut session, "80CA00C100");
        let response = card.send(&sent);
        let (data, rest) = response.split_at(response.len() - 10);
        let message = [&hex("80CA00C100")[..], &[data.len() as u8], data, &hex("9000")].concat();
        assert_eq!(rest[..8], alg3(&key, &first, &[&message], Padding::Method2));
    });
}

/// A session without command MACs that was opened before the card was SECURED does nothing behind it: whoever is between card and host
/// could. Reading needs no session.
#[test]
fn a_session_without_macs_ends_with_the_personalisation_of_the_card() {
    both(|card, protocol| {
        let mut session = protocol.open(card, 0x80, Level::Authenticated);
        for state in [0x07, 0x0F] {
            assert_eq!(run(card, &mut session, &apdu([0x80, 0xF0, 0x80, state], &[])).1, 0x9000);
        }
        for command in [GET_STATUS, "80E290000342010700", "80F0807F00"] {
            assert_eq!(run(card, &mut session, &hex(command)).1, 0x6982, "{command}");
        }
        assert_eq!(run(card, &mut session, &hex(GET_DATA)).1, 0x9000);
        let mut session = protocol.open(card, 0x80, Level::CMac);
        assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
    });
}

type Scp11Card<'a> = ScpCard<'a, MapMemory>;

/// Runs `f` on a new card with SCP11 for each variant and both levels.
fn every_variant(f: impl Fn(&mut Scp11Card<'_>, Wish<'static>)) {
    let profile = Scp11Profile::DEFAULT;
    let (provisioned, ()) = with_scp11(profile, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        for command in provisioning().iter().chain([&install_toy(&TOY_AID, &hex("C900"))]) {
            assert_eq!(run(card, &mut session, command).1, 0x9000);
        }
    });
    for variant in VARIANTS {
        for level in [Level::All, Level::CMacRMac] {
            let wish = Wish { level, ..Wish::new(variant) };
            with_scp11(profile, provisioned.clone(), |card| f(card, wish));
        }
    }
}

/// What a session of this variant reads: the registry, or what anyone may ask.
fn read(wish: Wish<'_>) -> &'static str {
    if wish.variant.authenticates_host() { GET_STATUS } else { GET_DATA }
}

/// As [`assert_none`], and no certificate waits.
fn assert_none_scp11(card: &mut Scp11Card<'_>, wish: Wish<'_>, what: &str) {
    assert_eq!(card.sw(&hex(GET_STATUS)), 0x6982, "{what}");
    assert_eq!(card.sw(&hex(GET_DATA)), 0x9000, "{what}");
    if wish.variant.authenticates_host() {
        assert_eq!(card.sw(&wish.command()), 0x6985, "{what}");
    }
}

#[test]
fn scp11_handshake_with_an_unknown_key_ends_the_session() {
    every_variant(|card, wish| {
        for (at, value) in [(2, 0x7F), (3, 0x12)] {
            let mut old = wish.open(card).unwrap();
            if wish.variant.authenticates_host() {
                certify_host(card, false);
                assert_eq!(card.sw(&wrap(&mut old, GET_STATUS)), 0x6982, "with the first certificate");
                certify_host(card, false);
            }
            let mut unknown = wish.command();
            unknown[at] = value;
            assert_eq!(card.sw(&unknown), 0x6A88);
            assert_eq!(card.sw(&wrap(&mut old, read(wish))), 0x6982, "the old session is gone");
            assert_none_scp11(card, wish, "unknown key");
        }
    });
}

#[test]
fn scp11_handshake_ends_what_was_open_or_aborted() {
    every_variant(|card, wish| {
        // Open.
        let mut old = wish.open(card).unwrap();
        assert_eq!(run(card, &mut old, &hex(read(wish))).1, 0x9000);
        let mut new = wish.open(card).unwrap();
        let sent = wrap(&mut new, read(wish));
        // The other session's MAC ends this one; of b and c as of a.
        assert_eq!(card.sw(&wrap(&mut old, read(wish))), 0x6982);
        assert_eq!(card.sw(&sent), 0x6982);
        // Aborted.
        let mut new = wish.open(card).unwrap();
        assert_eq!(run(card, &mut new, &hex(read(wish))).1, 0x9000);
        // By INITIALIZE UPDATE, and that by a handshake.
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x30, 0], &[1; 8])), 0x9000);
        assert_eq!(card.sw(&wrap(&mut new, read(wish))), 0x6982);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x30, 0], &[1; 8])), 0x9000);
        let mut new = wish.open(card).unwrap();
        assert_eq!(run(card, &mut new, &hex(read(wish))).1, 0x9000);
    });
}

/// There is no counter: what is spent is a certificate, by any attempt; and a handshake that is replayed opens a channel with the card's
/// fresh key, except for c.
#[test]
fn scp11_certificates_are_forgotten_like_a_challenge() {
    every_variant(|card, wish| {
        if !wish.variant.authenticates_host() {
            return;
        }
        let between = [
            ("00A4040000", false),
            ("00A4040008A00000015100000000", false),
            ("8050300008010203040506070800", false),
            // The card's own certificates may be read between those of the host; nothing depends on the order.
            ("80CABF2106A6048302130300", true),
            (GET_DATA, true),
            (GET_STATUS, true),
            ("84F280020A4F00000000000000000000", true),
        ];
        for (command, stays) in between {
            certify_host(card, false);
            card.send(&hex(command));
            let expected = if stays { 0x9000 } else { 0x6985 };
            assert_eq!(card.sw(&wish.command()), expected, "{command}");
            assert_eq!(card.sw(&wish.command()), 0x6985, "{command}");
        }
        // What is wrong with the command costs the certificates too. [sheet 2.5: NONE]
        let mut wrong = wish.command();
        let last = wrong.len() - 2;
        wrong[last] ^= 1;
        certify_host(card, false);
        assert_eq!(card.sw(&wrong), 0x6A80);
        assert_none_scp11(card, wish, "wrong host");
    });
}

#[test]
fn scp11_a_fault_aborts_an_open_session() {
    every_variant(|card, wish| {
        type Fault = fn(&mut Vec<u8>);
        let faults: [(&str, Fault); 6] = [
            ("wrong MAC", |sent| *sent.iter_mut().nth_back(1).unwrap() ^= 1),
            ("wrong header", |sent| sent[3] ^= 0x80),
            ("no MAC", |sent| *sent = [&[0x80], &sent[1..4], &[0]].concat()),
            ("nothing, but said", |sent| sent.truncate(4)),
            ("Lc too long", |sent| sent[4] += 9),
            ("Lc too short", |sent| sent[4] -= 3),
        ];
        for (what, fault) in faults {
            let mut session = wish.open(card).unwrap();
            assert_eq!(run(card, &mut session, &hex(read(wish))).1, 0x9000);
            let right = wrap(&mut session, read(wish));
            let mut sent = right.clone();
            fault(&mut sent);
            assert_eq!(card.send(&sent), hex("6982"), "{what}, {:?}", wish.variant);
            for command in [&right, &wrap(&mut session, GET_DATA), &hex("84CA006600")] {
                assert_eq!(card.send(command), hex("6982"), "{what}, {:?}", wish.variant);
            }
            assert_none_scp11(card, wish, what);
            assert_eq!(card.send(&right), hex("6982"), "{what}: still");
        }
    });
}

#[test]
fn scp11_an_error_under_good_protection_ends_nothing() {
    every_variant(|card, wish| {
        let known = wish.variant.authenticates_host();
        let mut session = wish.open(card).unwrap();
        let rows = [
            ("80F28002024F0000", 0x9000),
            ("80F24002024F0000", 0x9000),
            ("80F28002015C00", 0x6A80),
            ("80F2810200", 0x6A86),
            ("80E4000003D20131", 0x6A88),
        ];
        for (command, expected) in rows {
            // Nobody manages nothing, whatever else is wrong.
            let expected = if known { expected } else { 0x6982 };
            assert_eq!(run(card, &mut session, &hex(command)).1, expected, "{command} {:?}", wish.variant);
        }
        for (command, expected) in [("8001000000", 0x6D00), ("80CA123400", 0x6A88), (GET_DATA, 0x9000)] {
            assert_eq!(run(card, &mut session, &hex(command)).1, expected, "{command} {:?}", wish.variant);
        }
    });
}

#[test]
fn scp11_selection_reset_and_channel_end_a_session() {
    every_variant(|card, wish| {
        type End = fn(&mut Scp11Card<'_>);
        let ends: [(&str, End); 4] = [
            ("another application", |card| {
                assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
                assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            }),
            ("the same", |card| assert_eq!(card.sw(&select(&hex("A000000151000000"))), 0x9000)),
            ("the default one", |card| assert_eq!(card.sw(&hex("00A4040000")), 0x9000)),
            ("reset", |card| card.power_on()),
        ];
        for (what, end) in ends {
            let mut session = wish.open(card).unwrap();
            let next = wrap(&mut session, read(wish));
            end(card);
            assert_eq!(card.sw(&next), 0x6982, "{what}");
            assert_none_scp11(card, wish, what);
            // Certificates end the same way.
            if wish.variant.authenticates_host() {
                certify_host(card, false);
                end(card);
                assert_eq!(card.sw(&wish.command()), 0x6985, "{what}");
            }
        }
        // A selection that finds nothing selects nothing, and ends nothing.
        let mut session = wish.open(card).unwrap();
        assert_eq!(card.sw(&select(&hex("A000000003"))), 0x6A82);
        assert_eq!(run(card, &mut session, &hex(read(wish))).1, 0x9000);
        // Another channel with a session of its own, which the first does not notice, and which ends with its channel.
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.sw(&apdu([0x01, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
        let on_1 = |mut command: Vec<u8>| {
            command[0] |= 1;
            command
        };
        if wish.variant.authenticates_host() {
            for (certificate, p2) in chain(false).iter().zip([0x90, 0x10]) {
                assert_eq!(card.sw(&apdu([0x81, 0x2A, 0x03, p2], certificate)), 0x9000);
            }
        }
        let answer = card.send(&on_1(wish.command()));
        let mut other = wish.opened(&answer).unwrap();
        let (told, sw) = run(card, &mut other, &hex(ECHO_ON_1));
        assert_eq!((&told[5..], sw), (&[0x11, 0x22][..], 0x9000));
        assert_eq!(run(card, &mut session, &hex(read(wish))).1, 0x9000);
        let next = wrap(&mut other, ECHO_ON_1);
        assert_eq!(card.sw(&hex("00708001")), 0x9000);
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.sw(&apdu([0x01, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&next), 0x6982);
        assert_eq!(run(card, &mut session, &hex(read(wish))).1, 0x9000);
    });
}

#[test]
fn scp11_an_interrupted_chain_is_discarded_and_the_session_stays() {
    every_variant(|card, wish| {
        if !wish.variant.authenticates_host() {
            return;
        }
        let mut session = wish.open(card).unwrap();
        let command = install_toy(&[0xF0, 1, 2, 3, 4, 1, 2], &hex("C9021234"));
        let data = &command[5..command.len() - 1];
        let more = apdu([0x80, 0xE6, 0x8C, 0x00], &data[..10]);
        let last = apdu([0x80, 0xE6, 0x0C, 0x00], &data[10..]);
        for between in [GET_STATUS, GET_DATA, "80E4000003D20131", "8001000000"] {
            assert_eq!(run(card, &mut session, &more).1, 0x9000);
            assert_eq!(run(card, &mut session, &hex(between)).1, 0x6985, "{between}");
            assert_eq!(run(card, &mut session, &last).1, 0x6A80, "{between}");
        }
        assert_eq!(run(card, &mut session, &more).1, 0x9000);
        assert_eq!(run(card, &mut session, &last).1, 0x9000);
        // A chain does not outlive its session.
        assert_eq!(run(card, &mut session, &more).1, 0x9000);
        let mut session = wish.open(card).unwrap();
        assert_eq!(run(card, &mut session, &last).1, 0x6A80);
        assert_eq!(run(card, &mut session, &hex(GET_STATUS)).1, 0x9000);
    });
}

/// A host that gets an answer without protection, or a wrong one, is done with the session; an error needs no protection. [AmdD 6.2.5]
#[test]
fn scp11_no_mac_on_an_error() {
    every_variant(|card, wish| {
        let mut session = wish.open(card).unwrap();
        let sent = wrap(&mut session, "80CA123400");
        assert_eq!(card.send(&sent), hex("6A88"));
        assert_eq!(session.unwrap(&hex("6A88"), &mut [0; 8]).unwrap().sw(), Sw::new(0x6A88));
        assert_eq!(run(card, &mut session, &hex(read(wish))).1, 0x9000);
        wrap(&mut session, read(wish));
        assert!(session.unwrap(&hex("9000"), &mut [0; 8]).is_err());
        assert!(session.is_dead());
    });
}
