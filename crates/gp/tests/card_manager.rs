//! The card manager through the element: every command, its refusals, and power lost at every commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Aid, Command};
use huiwan_card::{Cut, Interface, Journal, Memory, RamFlash};
use huiwan_crypto::{Aes, BlockKey};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::get_status::{self, Search};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::install::{Fields, Parameters};
use huiwan_gp::key_information;
use huiwan_gp::life_cycle::{CardState, ContactlessState};
use huiwan_gp::put_key::{KeyType, put_field};
use huiwan_gp::scp03::{Level, Options, StaticKeys};
use huiwan_gp::store_data::DgiPadding;
use huiwan_testkit::hex;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;

fn card<T>(f: impl FnOnce(&mut Card<'_, MapMemory>) -> T) -> T {
    with_card(&PROFILE, new_memory(&Factory::TEST), f).1
}

fn session<T>(f: impl FnOnce(&mut Card<'_, MapMemory>, &mut Open) -> T) -> T {
    card(|card| {
        let mut session = open(card, 0, &test_keys(), Level::All);
        f(card, &mut session)
    })
}

fn sw<M: Memory>(card: &mut Card<'_, M>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

fn for_personalization(aid: &[u8]) -> Vec<u8> {
    let mut out = [0; 64];
    let fields = Fields { instance: aid, ..Fields::default() };
    apdu([0x80, 0xE6, 0x20, 0x00], fields.write(&mut out).unwrap())
}

fn read_toy<M: Memory>(card: &mut Card<'_, M>, object: u16) -> Vec<u8> {
    assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
    let [p1, p2] = object.to_be_bytes();
    card.send(&apdu([0x80, 0x10, p1, p2], &[]))
}

fn put_key(replaced: u8, version: u8, keys: [&[u8]; 3], dek: &[u8]) -> Vec<u8> {
    let mut data = [0; 250];
    data[0] = version;
    let mut at = 1;
    for key in keys {
        let mut block = key.to_vec();
        block.resize(key.len().next_multiple_of(16), 0xA5);
        Aes::new(dek).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let kcv = KeyType::Aes.check_value(key).unwrap();
        at = put_field(&mut data, at, KeyType::Aes, key.len(), &block, &kcv).unwrap();
    }
    apdu([0x80, 0xD8, replaced, 0x81], &data[..at])
}

#[test]
fn select_answers_fci() {
    card(|card| {
        for select in [hex("00A4040000"), select(&hex("A000000151000000")), select(&hex("A000000151"))] {
            let answer = card.send(&select);
            let (fci, sw) = answer.split_last_chunk::<2>().unwrap();
            assert_eq!(*sw, [0x90, 0x00]);
            assert_eq!(fci[..4], [0x6F, (fci.len() - 2) as u8, 0x84, 0x08]);
            assert_eq!(fci[4..12], hex("A000000151000000"));
            assert_eq!(fci[fci.len() - 4..], hex("9F6501FF"));
        }
        assert_eq!(card.sw(&select(&hex("A000000003"))), 0x6A82);
    });
}

#[test]
fn get_data_tells_the_truth() {
    card(|card| {
        // 66: GlobalPlatform 2.3.1 and SCP03 i=70, object identifiers as registered. [GPC H.2]
        let recognition = card.send(&hex("80CA006600"));
        let expected = concat!(
            "6631732F",
            "06072A864886FC6B01",
            "600C060A2A864886FC6B02020301",
            "630906072A864886FC6B03",
            "640B06092A864886FC6B040370",
            "9000"
        );
        assert_eq!(recognition, hex(expected));
        let protocols: Vec<_> =
            huiwan_gp::recognition::protocols(&recognition[..recognition.len() - 2]).unwrap().collect();
        assert_eq!(protocols, [huiwan_gp::recognition::Protocol { scp: 3, i: 0x70 }]);
        assert_eq!(card.send(&hex("80CA00E000")), hex("E012C00401308810C00402308810C004033088109000"));
        assert_eq!(card.send(&hex("80CA00C100")), hex("C1030000009000"));
        assert_eq!(card.send(&hex("80CA00CF00")), hex("CF0A000000000000000000009000"));
        assert_eq!(card.send(&hex("80CA9F7F00")).len(), 3 + 42 + 2);
        assert_eq!(card.send(&hex("00CA9F7F00"))[..3], hex("9F7F2A"));
        assert_eq!(card.sw(&hex("80CA004200")), 0x6A88);
        assert_eq!(card.sw(&hex("80CA123400")), 0x6A88);
        open(card, 0x30, &test_keys(), Level::Authenticated);
        assert_eq!(card.send(&hex("80CA00C100")), hex("C1030000019000"));
    });
}

#[test]
fn nothing_without_a_session() {
    card(|card| {
        for ins in [0xF2, 0xF0, 0xE6, 0xE2, 0xD8, 0xE4] {
            assert_eq!(card.sw(&apdu([0x80, ins, 0x40, 0x02], &hex("4F00"))), 0x6982, "{ins:02X}");
            assert_eq!(
                card.sw(&apdu([0x84, ins, 0x40, 0x02], &hex("4F000011223344556677"))),
                0x6982,
                "{ins:02X}"
            );
        }
        // Classes that are not GlobalPlatform's, and pieces of a chain.
        open(card, 0, &test_keys(), Level::Authenticated);
        for (cla, expected) in [(0x90, 0x6884), (0xD0, 0x6881), (0xA0, 0x6E00), (0xB0, 0x6E00)] {
            assert_eq!(card.sw(&apdu([cla, 0xE4, 0x00, 0x00], &hex("D20130"))), expected, "{cla:02X}");
            assert_eq!(card.sw(&apdu([cla, 0xCA, 0x00, 0x66], &[])), expected, "{cla:02X}");
        }
        assert_eq!(card.sw(&apdu([0x90, 0x50, 0x00, 0x00], &[0; 8])), 0x6884);
        assert_eq!(card.sw(&apdu([0x80, 0xE4, 0x00, 0x00], &hex("D20130"))), 0x6985, "the session lives");
        assert_eq!(card.sw(&hex("80010000")), 0x6D00);
        assert_eq!(card.sw(&hex("00E4000000")), 0x6E00);
        // What OpenSC tries with every card: SELECT of the master file.
        for select in ["00A40000023F0000", "00A4000C023F00", "00A4000000"] {
            assert_eq!(card.sw(&hex(select)), 0x6A82, "{select}");
        }
    });
}

#[test]
fn handshake_in_the_wrong_order() {
    card(|card| {
        assert_eq!(card.sw(&hex("8482010010000102030405060708090A0B0C0D0E0F")), 0x6985);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x31, 0x00], &[0; 8])), 0x6A88);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x30, 0x01], &[0; 8])), 0x6A86);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x30, 0x00], &[0; 16])), 0x6700);
        // A wrong cryptogram ends the attempt: the right one is too late.
        let keys = test_keys();
        let handshake = huiwan_gp::host::secure_channel::AwaitCard::new([7; 8]);
        let answer = card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        let answer = huiwan_gp::initialize_update::Answer::parse(&answer[..answer.len() - 2]).unwrap();
        let verified = handshake.verify_card(0x80, &answer, &keys, Level::CMac).unwrap();
        let mut wrong = verified.command().to_vec();
        wrong[5] ^= 1;
        assert_eq!(card.sw(&wrong), 0x6300);
        assert_eq!(card.sw(verified.command()), 0x6985);
        // Another command between the two: the challenge is forgotten.
        card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        assert_eq!(card.sw(&hex("80CA006600")), 0x9000);
        assert_eq!(card.sw(&hex("8482010010000102030405060708090A0B0C0D0E0F")), 0x6985);
        // Le on EXTERNAL AUTHENTICATE does no harm.
        let handshake = huiwan_gp::host::secure_channel::AwaitCard::new([7; 8]);
        let answer = card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        let answer = huiwan_gp::initialize_update::Answer::parse(&answer[..answer.len() - 2]).unwrap();
        let verified = handshake.verify_card(0x80, &answer, &keys, Level::CMac).unwrap();
        assert_eq!(card.sw(&[verified.command(), &[0x00]].concat()), 0x9000);
    });
}

#[test]
fn challenge_of_a_channel_opened_on_an_application() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        let answer = card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        let answer = Answer::parse(&answer[..answer.len() - 2]).unwrap();
        assert_eq!(
            huiwan_gp::host::secure_channel::AwaitCard::challenge_is_expected(
                &answer,
                &test_keys(),
                &TOY_AID
            ),
            Some(true)
        );
    });
}

#[test]
fn counter_at_its_end() {
    let mut memory = new_memory(&Factory::TEST);
    memory.objects.insert((0, 0x0330), vec![0xFF, 0xFF, 0xFE]);
    with_card(&PROFILE, memory, |card| {
        open(card, 0x30, &test_keys(), Level::All);
        assert_eq!(
            card.send(&hex("80CA00C100")),
            hex("6982"),
            "a plain command in a session that wants MACs"
        );
        assert_eq!(card.send(&hex("80CA00C100")), hex("C103FFFFFF9000"));
        assert_eq!(try_open(card, 0x30, &test_keys(), Level::All).unwrap_err(), 0x6985);
    });
}

#[test]
fn counter_is_durable_before_it_is_used() {
    // Power fails as the counter is written: nothing of the new value has left the card.
    let mut memory = new_memory(&Factory::TEST);
    memory.cut = Some(0);
    with_card(&PROFILE, memory, |card| {
        assert_eq!(card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8])), hex("6581"));
    });
}

#[test]
fn install_select_personalise_delete() {
    session(|card, session| {
        let parameters = Parameters {
            application: b"hello",
            contactless: Some(ContactlessState::Deactivated),
            label: Some(b"Toy card"),
            priority: Some(3),
            ..Parameters::NONE
        };
        let mut buffer = [0; 64];
        let parameters = parameters.write(&mut buffer).unwrap();
        let install = install_toy(&TOY_AID, parameters);
        assert_eq!(run(card, session, &install), (vec![0x00], 0x9000));
        assert_eq!(sw(card, session, &install), 0x6985, "it is there already");
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        // Two groupings in one block, then one that goes over three blocks with its header cut.
        let long: Vec<u8> = (0..=255).chain(0..=143).collect();
        let mut stream = hex("0101 03 AABBCC 0102 00".replace(' ', "").as_str());
        stream.extend(hex("0103FF0190"));
        stream.extend(&long);
        let blocks = [&stream[..12], &stream[12..200], &stream[200..]];
        for (n, block) in (0_u8..).zip(blocks) {
            let p1 = if n == 2 { 0x88 } else { 0x08 };
            assert_eq!(run(card, session, &apdu([0x80, 0xE2, p1, n], block)), (vec![], 0x9000), "block {n}");
        }
        assert_eq!(run(card, session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00"))).1, 0x9000);
        assert_eq!(read_toy(card, 1), b"hello\x90\x00");
        assert_eq!(read_toy(card, 0x0101), hex("AABBCC9000"));
        assert_eq!(read_toy(card, 0x0102), hex("9000"));
        card.power_on_at(Interface::Contactless);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82, "not activated on the antenna");
        card.power_on();
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        let (data, status) =
            run(card, &mut session, &apdu([0x80, 0xE4, 0x00, 0x80], &[&[0x4F, 7][..], &TOY_AID].concat()));
        assert_eq!((data, status), (vec![0x00], 0x9000));
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
    });
}

/// SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE, STORE DATA: an application is personalised on a channel of its own. [CPS 4.3]
#[test]
fn channel_opened_on_an_application() {
    for level in [Level::Authenticated, Level::CMac, Level::CMacCEnc, Level::All] {
        session(|card, session| {
            assert_eq!(sw(card, session, &install_toy(&TOY_AID, &[])), 0x9000);
            assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
            // The session of the domain ended when the application was selected.
            assert_eq!(card.sw(&apdu([0x80, 0xE2, 0x80, 0x00], &hex("010101AA"))), 0x6982);
            let mut session = open(card, 0, &test_keys(), level);
            assert_eq!(
                sw(card, &mut session, &apdu([0x80, 0xE2, 0x00, 0x00], &hex("010101AA010202"))),
                0x9000
            );
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0x01], &hex("BBCC010301DD"))), 0x9000);
            // A second sequence begins with block 0, and the application may refuse.
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0x02], &hex("010101AA"))), 0x6A86);
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0x00], &hex("DEAD01AA"))), 0x6A80);
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0x00], &hex("010401EE"))), 0x9000);
            // What is not the domain's business goes back to the application, with its protection.
            let protection = level.protection();
            let told = [
                protection.authenticated,
                protection.c_mac,
                protection.c_enc,
                protection.r_mac,
                protection.r_enc,
            ];
            if level == Level::Authenticated {
                // Nothing marks the command as one of the channel, so the application keeps it.
                assert_eq!(run(card, &mut session, &hex("8012000002112200")).0[0], 0);
            } else {
                let (data, sw) = run(card, &mut session, &hex("8012000002112200"));
                assert_eq!(sw, 0x9000);
                assert_eq!(data, [told.map(u8::from).as_slice(), &[0x11, 0x22]].concat());
                // The content of the card is not managed on such a channel: the application gets the command.
                for command in [
                    // APPEND RECORD has the number of STORE DATA.
                    apdu([0x00, 0xE2, 0x80, 0x00], &hex("010101BB")),
                    install_toy(&hex("F00102030401FF"), &[]),
                    apdu([0x80, 0xE4, 0x00, 0x00], &hex("4F07F0010203040101")),
                    apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")),
                    apdu([0x80, 0xF0, 0x80, 0x7F], &hex("A000000151000000")),
                    put_key(0, 0x31, [&[1; 16], &[2; 16], &[3; 16]], &TEST_KEY),
                ] {
                    assert_eq!(run(card, &mut session, &command), (vec![], 0x6D00));
                }
            }
            for (object, value) in
                [(0x0101, "AA9000"), (0x0102, "BBCC9000"), (0x0103, "DD9000"), (0x0104, "EE9000")]
            {
                assert_eq!(read_toy(card, object), hex(value), "{level:?}");
            }
            // And that ended with the selection.
            assert_eq!(card.sw(&apdu([0x80, 0xE2, 0x80, 0x00], &hex("010101AA"))), 0x6982);
        });
    }
}

#[test]
fn long_grouping_arrives_whole() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        let value: Vec<u8> = (0..512_u16).map(|n| (n % 251) as u8).collect();
        let stream = [&hex("0200FF0200")[..], &value].concat();
        let blocks: Vec<_> = stream.chunks(100).collect();
        for (n, block) in (0_u8..).zip(&blocks) {
            let p1 = if usize::from(n) + 1 == blocks.len() { 0x88 } else { 0x08 };
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, p1, n], block)), 0x9000, "block {n}");
        }
    });
    // What scratch will never hold beside the application's work space is refused when it is announced.
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        let stream = [&hex("0200FF0800")[..], &[0; 50]].concat();
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x08, 0], &stream)), 0x6A84);
    });
}

#[test]
fn block_numbers_do_not_start_again() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        for last in [false, true] {
            assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
            for n in 0..=0xFE {
                assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x00, n], &[1, 1, 1, n])), 0x9000, "{n}");
            }
            // FF has to be the last; otherwise nothing of it is stored.
            let (p1, expected) = if last { (0x80, 0x9000) } else { (0x00, 0x6A86) };
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, p1, 0xFF], &[1, 1, 1, 0xFF])), expected);
            // The application is not meant any more: these are no objects of the domain.
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x80, 0x00], &[1, 1, 1, 0x77])), 0x6A80);
            let stored = if last { 0xFF } else { 0xFE };
            assert_eq!(read_toy(card, 0x0101), [stored, 0x90, 0x00]);
            assert_eq!(card.sw(&select(&[])), 0x9000);
            *session = open(card, 0, &test_keys(), Level::CMac);
        }
    });
}

#[test]
fn encrypted_groupings_are_opened_by_the_domain() {
    const PADDED: &str = "241234FFFFFFFFFF8000000000000000";
    const EXACT: &str = "241234FFFFFFFFFF";
    for (padding, id, clear, stored) in [
        (DgiPadding::Always, 0x8010_u16, PADDED, EXACT),
        (DgiPadding::WhenNeeded, 0x8010, PADDED, PADDED),
        // CPS: what is no part of a private key may be whole blocks by itself.
        (DgiPadding::Cps, 0x8010, PADDED, PADDED),
        (DgiPadding::Cps, 0x8201, PADDED, EXACT),
        (DgiPadding::Cps, 0x8501, PADDED, EXACT),
    ] {
        let profile = PROFILE.with_dgi_padding(padding);
        with_card(&profile, new_memory(&Factory::TEST), |card| {
            let mut session = open(card, 0, &test_keys(), Level::CMacCEnc);
            assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
            assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
            let mut value = hex(clear);
            Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut value).unwrap();
            // With GlobalPlatform's statement of the structure, and without as CPS has it.
            let grouping = [&id.to_be_bytes()[..], &[0x10], &value].concat();
            for p1 in [0xE8, 0xE0] {
                assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
                assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, p1, 0], &grouping)), 0x9000);
            }
            assert_eq!(read_toy(card, id), hex(&format!("{stored}9000")));
        });
    }
    // What is no whole block, and what should have padding and has none, is refused.
    for value in ["00112233445566778899AABBCCDDEE", "00112233445566778899AABBCCDDEEFF"] {
        session(|card, session| {
            assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
            assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
            let grouping = [&[0x82, 0x01, (value.len() / 2) as u8][..], &hex(value)].concat();
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0xE0, 0], &grouping)), 0x6A80);
        });
    }
}

#[test]
fn store_data_out_of_order() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x08, 1], &hex("010100"))), 0x6A86, "block 0 is due");
        // Every error ends the sequence: the application is addressed no more.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x08, 0], &hex("010100"))), 0x6A88);
        for (p1, what) in [(0x08, "block 1 is due"), (0x18, "reserved"), (0x10, "BER-TLV to an application")]
        {
            assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x08, 0], &hex("010100"))), 0x9000);
            let p2 = u8::from(p1 != 0x08);
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, p1, p2], &hex("010100"))), 0x6A86, "{what}");
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x08, 1], &hex("010100"))), 0x6A86, "{what}");
        }
        // A sequence to the domain that stopped half way does not stand in the way of the next.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x10, 0], &hex("42021234"))), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 0], &hex("42021234"))), 0x6A86);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 0], &hex("42021234"))), 0x9000);
    });
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &hex("01010500"))),
            0x6A80,
            "the last block ends inside a grouping"
        );
        // The error ended the sequence: the next block does not reach the application, nor the domain as its own data.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &hex("010100"))), 0x6A88);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &hex("DEAD0100"))),
            0x6A80,
            "refused by the application"
        );
        assert_eq!(sw(card, session, &for_personalization(&hex("F0AABBCCDD"))), 0x6A88);
    });
}

#[test]
fn store_data_to_the_domain() {
    session(|card, session| {
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 0], &hex("42041122334445021234"))), 0x9000);
        assert_eq!(run(card, session, &hex("80CA004200")).0, hex("420411223344"));
        let url = hex("00700E5F500B687474703A2F2F622E636E");
        let url = [&url[..3], &url[3..]].concat();
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &url)), 0x9000);
        assert_eq!(run(card, session, &hex("80CA5F5000")).0, hex("5F500B687474703A2F2F622E636E"));
        // Whole or not at all.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 0], &hex("420199670100"))), 0x6A88);
        assert_eq!(run(card, session, &hex("80CA004200")).0, hex("420411223344"));
    });
}

#[test]
fn get_status_scopes_and_pages() {
    session(|card, session| {
        let all = hex("4F00");
        let status = |card: &mut Card<'_, _>, session: &mut Open, p1, p2, data: &[u8]| {
            run(card, session, &apdu([0x80, 0xF2, p1, p2], data))
        };
        assert_eq!(status(card, session, 0x40, 0x02, &all).1, 0x6A88, "no application yet");
        assert_eq!(
            status(card, session, 0x80, 0x02, &all),
            (hex("E31D4F08A0000001510000009F700101C5039C5E00CC08A000000151000000"), 0x9000)
        );
        assert_eq!(
            status(card, session, 0x20, 0x02, &all),
            (hex("E3194F05F0010203049F700101CE020100CC08A000000151000000"), 0x9000)
        );
        assert_eq!(
            status(card, session, 0x10, 0x02, &all),
            (hex("E3214F05F0010203049F700101CE0201008406F00102030401CC08A000000151000000"), 0x9000)
        );
        for n in 1..=9_u8 {
            let aid = [0xF0, 1, 2, 3, 4, 1, n];
            assert_eq!(sw(card, session, &install_toy(&aid, &hex("C900"))), 0x9000);
        }
        assert_eq!(status(card, session, 0x40, 0x03, &all).1, 0x6985, "next before first");
        let (mut found, mut p2, mut pages) = (Vec::new(), 0x02, 0);
        loop {
            let (data, sw) = status(card, session, 0x40, p2, &all);
            for entry in get_status::entries(&data) {
                let entry = entry.unwrap();
                assert_eq!((entry.life_cycle, entry.contactless), (0x07, Some(0x01)));
                assert_eq!(entry.load_file, Some(TOY.load_file.as_bytes()));
                found.push(entry.aid.to_vec());
            }
            pages += 1;
            p2 = 0x03;
            if sw == 0x9000 {
                break;
            }
            assert_eq!(sw, 0x6310);
        }
        assert_eq!(found, (1..=9_u8).map(|n| vec![0xF0, 1, 2, 3, 4, 1, n]).collect::<Vec<_>>());
        assert!(pages > 1);
        // Another command drops the list.
        assert_eq!(status(card, session, 0x40, 0x02, &all).1, 0x6310);
        assert_eq!(run(card, session, &hex("80CA006600")).1, 0x9000);
        assert_eq!(status(card, session, 0x40, 0x03, &all).1, 0x6985);
        // Search by the beginning of an AID, chosen tags only.
        let mut buffer = [0; 32];
        let search = Search { prefix: &[0xF0, 1, 2, 3, 4, 1, 5], tags: Some(&[0x4F, 0x9F, 0x70]) };
        let search = search.write(&mut buffer).unwrap().to_vec();
        assert_eq!(
            status(card, session, 0x40, 0x02, &search),
            (hex("E30E4F07F00102030401059F70020701"), 0x9000)
        );
        assert_eq!(status(card, session, 0x40, 0x02, &hex("5C014F")).1, 0x6A80, "4F is missing");
        assert_eq!(status(card, session, 0x41, 0x02, &all).1, 0x6A86);
        assert_eq!(status(card, session, 0x40, 0x04, &all).1, 0x6A86);
    });
}

#[test]
fn install_refusals() {
    session(|card, session| {
        let fields = Fields {
            load_file: TOY.load_file.as_bytes(),
            module: TOY.module.as_bytes(),
            instance: &TOY_AID,
            privileges: &[0],
            parameters: &[0xC9, 0x00],
            token: &[],
        };
        let mut try_fields = |p1: u8, p2: u8, fields: Fields<'_>| {
            let mut out = [0; 200];
            sw(card, session, &apdu([0x80, 0xE6, p1, p2], fields.write(&mut out).unwrap()))
        };
        assert_eq!(try_fields(0x0C, 0x00, Fields { load_file: &[1, 2, 3, 4, 5], ..fields }), 0x6A88);
        assert_eq!(try_fields(0x0C, 0x00, Fields { instance: &[1, 2, 3, 4], ..fields }), 0x6A80);
        assert_eq!(try_fields(0x0C, 0x00, Fields { instance: &hex("A000000151000000"), ..fields }), 0x6985);
        assert_eq!(
            try_fields(0x0C, 0x00, Fields { instance: TOY.load_file.as_bytes(), ..fields }),
            0x6985,
            "the AID of a load file"
        );
        assert_eq!(
            try_fields(0x0C, 0x00, Fields { privileges: &[0x80, 0, 0], ..fields }),
            0x6A80,
            "security domain"
        );
        assert_eq!(try_fields(0x0C, 0x00, Fields { privileges: &[0, 0], ..fields }), 0x6A80);
        assert_eq!(try_fields(0x0C, 0x00, Fields { token: &[1], ..fields }), 0x6A80);
        assert_eq!(try_fields(0x0C, 0x00, Fields { parameters: &[0xC9, 0x05], ..fields }), 0x6A80);
        assert_eq!(
            try_fields(0x0C, 0x00, Fields { parameters: &hex("C901FF"), ..fields }),
            0x6985,
            "refused by the application"
        );
        assert_eq!(try_fields(0x02, 0x00, fields), 0x6A86);
        assert_eq!(try_fields(0x0C, 0x01, fields), 0x6A86);
        assert_eq!(try_fields(0x08, 0x00, fields), 0x6A88, "not installed yet");
        assert_eq!(try_fields(0x04, 0x00, fields), 0x9000);
        assert_eq!(try_fields(0x08, 0x00, fields), 0x9000);
        assert_eq!(try_fields(0x08, 0x00, fields), 0x6985);
    });
}

#[test]
fn default_selected_application_answers_first() {
    session(|card, session| {
        let fields = Fields {
            load_file: TOY.load_file.as_bytes(),
            module: TOY.module.as_bytes(),
            instance: &TOY_AID,
            privileges: &[0x04, 0, 0],
            parameters: &[0xC9, 0x00],
            token: &[],
        };
        let mut out = [0; 200];
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE6, 0x0C, 0x00], fields.write(&mut out).unwrap())),
            0x9000
        );
        let second = Fields { instance: &[0xF0, 1, 2, 3, 4, 1, 2], ..fields };
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE6, 0x0C, 0x00], second.write(&mut out).unwrap())),
            0x6985
        );
        card.power_on();
        assert_eq!(card.send(&hex("8010000200")), b"first\x90\x00");
        assert_eq!(card.send(&hex("00A4040000")), hex("6F009000"));
    });
}

#[test]
fn command_too_long_for_the_card_ends_the_session() {
    session(|card, session| {
        let command = Command::new(0x84, 0xE2, 0x90, 0).with_data(&[0; 300]).extended(true);
        let mut wire = [0; 320];
        let wire = command.write(&mut wire).unwrap().to_vec();
        assert_eq!(card.sw(&wire), 0x6982);
        assert_eq!(sw(card, session, &hex("80CA004200")), 0x6982);
    });
    card(|card| {
        let command = Command::new(0x80, 0xE2, 0x90, 0).with_data(&[0; 300]).extended(true);
        let mut wire = [0; 320];
        let wire = command.write(&mut wire).unwrap().to_vec();
        assert_eq!(card.sw(&wire), 0x6700);
    });
}

#[test]
fn lock_and_unlock_an_application() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        let set = |p2| apdu([0x80, 0xF0, 0x40, p2], &TOY_AID);
        assert_eq!(sw(card, session, &set(0x07)), 0x6A80, "it is unlocked");
        assert_eq!(sw(card, session, &set(0x80)), 0x9000);
        assert_eq!(sw(card, session, &set(0x80)), 0x6A80);
        let (data, _) = run(card, session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")));
        let entry = get_status::entries(&data).next().unwrap().unwrap();
        assert_eq!((entry.life_cycle, entry.contactless), (0x87, Some(0x00)));
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x6985);
        card.power_on();
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &set(0x07)), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
    });
}

#[test]
fn locking_reaches_a_session_on_another_channel() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(card.sw(&hex("0070000001")), 0x9000);
        assert_eq!(card.sw(&apdu([0x01, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&hex("8110000200")), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&hex("8110000200")), 0x6985, "application locked");
        assert_eq!(sw(card, session, &apdu([0x80, 0xF0, 0x40, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&hex("8110000200")), 0x9000);
        assert_eq!(sw(card, session, &hex("80F080FF00")), 0x9000);
        assert_eq!(card.sw(&hex("8110000200")), 0x6985, "card terminated");
    });
}

#[test]
fn card_life_cycle() {
    session(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        let set = |state: CardState| apdu([0x80, 0xF0, 0x80, state.byte()], &hex("A000000151000000"));
        assert_eq!(sw(card, session, &set(CardState::Secured)), 0x6A80, "not in one step");
        assert_eq!(sw(card, session, &set(CardState::OpReady)), 0x6A80, "it is there");
        assert_eq!(sw(card, session, &set(CardState::Initialized)), 0x9000);
        assert_eq!(sw(card, session, &hex("80F0800F00")), 0x9000, "the AID may be left out");
        assert_eq!(sw(card, session, &set(CardState::Initialized)), 0x6A80, "not back");
        assert_eq!(
            try_open(card, 0, &test_keys(), Level::Authenticated).unwrap_err(),
            0x6985,
            "SECURED wants MACs"
        );
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &set(CardState::CardLocked)), 0x9000);
        assert_eq!(sw(card, &mut session, &install_toy(&[0xF0, 1, 2, 3, 4, 1, 2], &hex("C900"))), 0x6985);
        card.power_on();
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A81);
        assert_eq!(card.sw(&hex("00A4040000")), 0x6283);
        assert_eq!(card.sw(&select(&hex("A000000151000000"))), 0x6283);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &set(CardState::Secured)), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &set(CardState::Terminated)), 0x9000);
        assert_eq!(sw(card, &mut session, &set(CardState::Secured)), 0x6985, "there is no way back");
        card.power_on();
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
        assert_eq!(card.sw(&hex("80CA9F7F00")), 0x9000);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x00, 0x00], &[0; 8])), 0x6985);
    });
}

#[test]
fn put_key_adds_and_replaces() {
    let (a, b, c) = ([0x11; 16], [0x22; 16], [0x33; 16]);
    session(|card, session| {
        let add = put_key(0x00, 0x31, [&a, &b, &c], &TEST_KEY);
        let (answer, status) = run(card, session, &add);
        let kcv = |key: &[u8]| KeyType::Aes.check_value(key).unwrap();
        assert_eq!((answer, status), ([&[0x31][..], &kcv(&a), &kcv(&b), &kcv(&c)].concat(), 0x9000));
        assert_eq!(sw(card, session, &add), 0x6A80, "the version is taken");
        let (template, _) = run(card, session, &hex("80CA00E000"));
        assert_eq!(key_information::keys(&template).unwrap().count(), 6);
        // The new set opens a channel, its counter begins at 1.
        let keys = StaticKeys::new(&a, &b, &c).unwrap();
        let mut session = open(card, 0x31, &keys, Level::All);
        // It may replace the other set, and itself under another version.
        assert_eq!(sw(card, &mut session, &put_key(0x30, 0x32, [&b, &b, &b], &c)), 0x9000);
        assert_eq!(try_open(card, 0x30, &test_keys(), Level::All).unwrap_err(), 0x6A88);
        let mut session = open(card, 0x32, &StaticKeys::new(&b, &b, &b).unwrap(), Level::All);
        assert_eq!(sw(card, &mut session, &put_key(0x33, 0x33, [&a, &a, &a], &b)), 0x6A88);
        assert_eq!(
            sw(card, &mut session, &put_key(0x32, 0x31, [&a, &a, &a], &b)),
            0x6A80,
            "onto another set"
        );
        let long = [0x44; 32];
        assert_eq!(
            sw(card, &mut session, &put_key(0x32, 0x32, [&long, &long, &long], &b)),
            0x6A80,
            "another length"
        );
        assert_eq!(sw(card, &mut session, &put_key(0x00, 0x34, [&long, &long, &long], &b)), 0x9000);
        let mut session = open(card, 0x34, &StaticKeys::new(&long, &long, &long).unwrap(), Level::All);
        let medium = [0x55; 24];
        assert_eq!(sw(card, &mut session, &put_key(0x00, 0x35, [&medium, &medium, &medium], &long)), 0x9000);
        open(card, 0x35, &StaticKeys::new(&medium, &medium, &medium).unwrap(), Level::All);
    });
}

#[test]
fn put_key_refuses_what_is_wrong() {
    let key = [0x11; 16];
    session(|card, session| {
        let good = put_key(0x00, 0x31, [&key, &key, &key], &TEST_KEY);
        let mut wrong = good.clone();
        // A flipped bit of the first encrypted key: its check value is wrong. Nothing is stored.
        wrong[5 + 1 + 3] ^= 1;
        assert_eq!(sw(card, session, &wrong), 0x6982);
        let mut wrong = good.clone();
        wrong[5] = 0x80;
        assert_eq!(sw(card, session, &wrong), 0x6A80, "key version");
        let mut wrong = good.clone();
        wrong[6] = 0x82;
        assert_eq!(sw(card, session, &wrong), 0x6A80, "key type");
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xD8, 0x00, 0x01], &good[5..good.len() - 1])),
            0x6A80,
            "several, but not said"
        );
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xD8, 0x00, 0x81], &good[5..good.len() - 5])),
            0x6A80,
            "truncated"
        );
        assert_eq!(try_open(card, 0x31, &test_keys(), Level::All).unwrap_err(), 0x6A88);
    });
}

#[test]
fn keys_are_at_most_those_that_get_data_tells() {
    session(|card, session| {
        for version in 1..=12 {
            assert_eq!(sw(card, session, &put_key(0, version, [&TEST_KEY; 3], &TEST_KEY)), 0x9000);
        }
        assert_eq!(sw(card, session, &put_key(0, 13, [&TEST_KEY; 3], &TEST_KEY)), 0x6A84);
        assert_eq!(sw(card, session, &put_key(12, 13, [&TEST_KEY; 3], &TEST_KEY)), 0x9000);
        let (data, sw) = run(card, session, &hex("80CA00E000"));
        assert_eq!((key_information::keys(&data).unwrap().count(), sw), (39, 0x9000));
    });
}

#[test]
fn initial_keys_go_when_others_come() {
    let factory = Factory::TEST.with_key_version(0xFF);
    with_card(&PROFILE, new_memory(&factory), |card| {
        let mut session = open(card, 0x00, &test_keys(), Level::All);
        let key = [0x11; 16];
        assert_eq!(sw(card, &mut session, &put_key(0x00, 0x30, [&key, &key, &key], &TEST_KEY)), 0x9000);
        // The session goes on, under the new DEK.
        let second = [0x22; 16];
        assert_eq!(sw(card, &mut session, &put_key(0x00, 0x31, [&second, &second, &second], &key)), 0x9000);
        let (template, _) = run(card, &mut session, &hex("80CA00E000"));
        let versions: Vec<_> = key_information::keys(&template).unwrap().map(|key| key.version).collect();
        assert_eq!(versions, [0x30, 0x30, 0x30, 0x31, 0x31, 0x31]);
        assert_eq!(try_open(card, 0xFF, &test_keys(), Level::All).unwrap_err(), 0x6A88);
        open(card, 0x00, &StaticKeys::new(&key, &key, &key).unwrap(), Level::All);
    });
}

#[test]
fn delete_refusals() {
    session(|card, session| {
        let content =
            |aid: &[u8]| apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F, aid.len() as u8][..], aid].concat());
        assert_eq!(sw(card, session, &content(&TOY_AID)), 0x6A88);
        assert_eq!(sw(card, session, &content(&hex("A000000151000000"))), 0x6985, "the domain itself");
        assert_eq!(sw(card, session, &content(TOY.load_file.as_bytes())), 0x6985, "native code");
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE4, 0x00, 0x00], &hex("D20130"))),
            0x6985,
            "the set in use"
        );
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0x00, 0x00], &hex("D20131"))), 0x6A88);
        assert_eq!(
            sw(card, session, &apdu([0x80, 0xE4, 0x00, 0x00], &hex("D00101D20130"))),
            0x6985,
            "one key of it"
        );
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0x00, 0x00], &hex("5A0100"))), 0x6A80);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0x01, 0x00], &hex("D20130"))), 0x6A86);
        // The application refuses: it stays.
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &hex("BEEF0100"))), 0x9000);
        assert_eq!(sw(card, session, &content(&TOY_AID)), 0x6986);
        assert_eq!(sw(card, session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00"))), 0x9000);
        assert_eq!(read_toy(card, 0xBEEF), hex("009000"));
        // Selected on another channel.
        card.power_on();
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.sw(&[&hex("01A40400")[..], &[7], &TOY_AID, &[0]].concat()), 0x9000);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &content(&TOY_AID)), 0x6985);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00"))), 0x9000);
    });
}

#[test]
fn options_of_the_profile_hold() {
    let profile =
        PROFILE.with_scp03(Options::I00).with_issuer_aid(Aid::new(&hex("A000000003000000")).unwrap());
    with_card(&profile, new_memory(&Factory::TEST), |card| {
        assert_eq!(card.sw(&select(&hex("A000000003000000"))), 0x9000);
        let answer = card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        assert_eq!(answer.len(), 29 + 2);
        assert_eq!(
            card.sw(&hex("8482330010000102030405060708090A0B0C0D0E0F")),
            0x6A86,
            "R-MAC is not among the options"
        );
        let mut session = open(card, 0, &test_keys(), Level::CMacCEnc);
        assert_eq!(sw(card, &mut session, &hex("80CA006600")), 0x9000);
        let again = card.send(&apdu([0x80, 0x50, 0x00, 0x00], &[7; 8]));
        assert_ne!(answer[13..21], again[13..21], "random challenges");
    });
}

/// What of a card can be seen from outside: registry, keys, life cycle, issuer data, and that nothing is left over.
fn snapshot(memory: &MapMemory, keys: &[(u8, StaticKeys)]) -> String {
    let mut memory = memory.clone();
    (memory.cut, memory.commits) = (None, 0);
    let (memory, seen) = with_card(&PROFILE, memory, |card| {
        let mut seen = String::new();
        let recognition = [hex("80CA00E000"), hex("80CA004200"), hex("80CA004500"), hex("00A4040000")];
        for command in recognition {
            seen += &format!("{:02X?}\n", card.send(&command));
        }
        let session = keys.iter().find_map(|(kvn, keys)| try_open(card, *kvn, keys, Level::CMac).ok());
        match session {
            Some(mut session) => {
                for scope in [0x80, 0x40] {
                    seen += &format!(
                        "{:02X?}\n",
                        run(card, &mut session, &apdu([0x80, 0xF2, scope, 0x02], &hex("4F00")))
                    );
                }
            }
            None => seen += "no channel\n",
        }
        seen += &format!("{:04X}\n", card.sw(&select(&TOY_AID)));
        seen
    });
    // Objects of instances without an entry have been swept, as have pieces.
    for &(instance, id) in memory.objects.keys() {
        assert!(
            instance == 0 || memory.objects.contains_key(&(0, 0x0100 | u16::from(instance))),
            "{instance} {id:04X}"
        );
        assert!(!(instance == 0 && id >= 0x0400), "piece left over");
    }
    seen
}

/// Cuts `command` at every commit, before it and after it: the card is as before or as after, never between.
fn cut_everywhere(name: &str, prepare: &[Vec<u8>], command: &[u8], keys: &[(u8, StaticKeys)]) {
    let prepared = with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        for command in prepare {
            assert_eq!(sw(card, &mut session, command), 0x9000, "{name}");
        }
    })
    .0;
    // Personalisation is prepared in the same session as the command, so it is repeated there.
    let attempt = |cut: Option<usize>, done: bool| {
        let mut memory = prepared.clone();
        (memory.cut, memory.commits, memory.done_before_cut) = (None, 0, done);
        with_card(&PROFILE, memory, |card| {
            let mut session = open(card, 0, &test_keys(), Level::CMac);
            if let Some(last) = prepare.last().filter(|last| last[1] == 0xE6 && last[2] == 0x20) {
                assert_eq!(sw(card, &mut session, last), 0x9000);
            }
            let memory = card.element.memory_mut();
            (memory.commits, memory.cut) = (0, cut);
            let mut wire = [0; 300];
            let parsed = huiwan_apdu::Command::parse(command).unwrap();
            let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
            let answer = card.send(&sent);
            (answer, card.element.memory().commits)
        })
    };
    let (after, (answer, commits)) = attempt(None, false);
    assert_eq!(answer[answer.len() - 2..], [0x90, 0x00], "{name}: {answer:02X?}");
    assert!(commits > 0, "{name}");
    let (before, after) = (snapshot(&prepared, keys), snapshot(&after, keys));
    assert_ne!(before, after, "{name}");
    for cut in 0..commits {
        for done in [false, true] {
            let (memory, (answer, _)) = attempt(Some(cut), done);
            let seen = snapshot(&memory, keys);
            assert!(seen == before || seen == after, "{name}, cut {cut} {done}:\n{seen}\n{before}\n{after}");
            // Who was told 9000 finds the new state.
            if answer[answer.len() - 2..] == [0x90, 0x00] {
                assert_eq!(seen, after, "{name}, cut {cut} {done}");
            }
        }
    }
}

#[test]
fn power_cuts_at_every_commit() {
    let key = [0x11; 16];
    let old = (0x30, test_keys());
    let new = (0x31, StaticKeys::new(&key, &key, &key).unwrap());
    let both = [old, new];
    let three: [&[u8]; 3] = [&key, &key, &key];
    cut_everywhere("put key, add", &[], &put_key(0x00, 0x31, three, &TEST_KEY), &both);
    cut_everywhere("put key, replace", &[], &put_key(0x30, 0x31, three, &TEST_KEY), &both);
    let install = install_toy(&TOY_AID, &hex("C9021234"));
    cut_everywhere("install", &[], &install, &both);
    cut_everywhere("lock", core::slice::from_ref(&install), &apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID), &both);
    cut_everywhere("initialize card", &[], &hex("80F0800700"), &both);
    let delete = apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F, 7][..], &TOY_AID].concat());
    cut_everywhere("delete", core::slice::from_ref(&install), &delete, &both);
    let add = put_key(0x00, 0x31, three, &TEST_KEY);
    cut_everywhere("delete key", &[add], &apdu([0x80, 0xE4, 0x00, 0x00], &hex("D20131")), &both);
    cut_everywhere("store data", &[], &apdu([0x80, 0xE2, 0x90, 0], &hex("42041122334445021234")), &both);
}

#[test]
fn pieces_of_a_cut_personalisation_are_swept() {
    let (memory, ()) = with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x08, 0], &hex("010110AABB"))), 0x9000);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x08, 1], &hex("CCDD"))), 0x9000);
    });
    assert!(memory.objects.contains_key(&(0, 0x1001)));
    let (memory, ()) = with_card(&PROFILE, memory, |card| {
        assert_eq!(sw_of_pieces(card), 0x9000);
    });
    let (memory, ()) = with_card(&PROFILE, memory, |_| {});
    assert!(!memory.objects.keys().any(|key| key.0 == 0 && key.1 >= 0x0400));
}

/// A grouping in three pieces that is given up, then one in two that arrives: the pieces have a gap.
fn sw_of_pieces(card: &mut Card<'_, MapMemory>) -> u16 {
    let mut session = open(card, 0, &test_keys(), Level::CMac);
    assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
    for (block, data) in [(0, "010110AABB"), (1, "CCDD"), (2, "EEFF")] {
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x08, block], &hex(data))), 0x9000);
    }
    assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
    assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x08, 0], &hex("010104AABB"))), 0x9000);
    sw(card, &mut session, &apdu([0x80, 0xE2, 0x88, 1], &hex("CCDD")))
}

/// Flash of the element for cuts inside a commit.
type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 64>;

/// What the objects of a journal are, so that two states can be compared.
fn objects(memory: &mut FlashMemory) -> MapMemory {
    let mut map = MapMemory::default();
    let mut at = None;
    while let Some(object) = memory.next_object(at).unwrap() {
        let mut buffer = [0; 600];
        let value = memory.read(object, 0, &mut buffer).unwrap().to_vec();
        map.objects.insert((object.instance.0, object.id), value);
        at = Some(object);
    }
    map
}

/// Cuts `command` in every mode at every flash operation, on a real journal.
fn cut_in_flash(name: &str, prepare: &[Vec<u8>], command: &[u8], keys: &[(u8, StaticKeys)]) {
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST).unwrap();
    let (prepared, ()) = with_card(&PROFILE, blank, |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        for command in prepare {
            assert_eq!(sw(card, &mut session, command), 0x9000, "{name}");
        }
    });
    let prepared = prepared.into_flash();
    let attempt = |cut: Option<(u32, Cut)>| {
        let memory = FlashMemory::mount(prepared.clone()).unwrap();
        let (memory, (answer, operations)) = with_card(&PROFILE, memory, |card| {
            let mut session = open(card, 0, &test_keys(), Level::CMac);
            let before = card.element.memory().flash().operations();
            if let Some((after, mode)) = cut {
                card.element.memory_mut().flash_mut().cut_after(after, mode, after ^ 0x5A5A);
            }
            let mut wire = [0; 300];
            let parsed = huiwan_apdu::Command::parse(command).unwrap();
            let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
            (card.send(&sent), card.element.memory().flash().operations() - before)
        });
        let mut flash = memory.into_flash();
        flash.power_on();
        let mut memory = FlashMemory::mount(flash).unwrap_or_else(|error| panic!("{name}, {cut:?}: {error}"));
        (objects(&mut memory), answer, operations)
    };
    let before = snapshot(&objects(&mut FlashMemory::mount(prepared.clone()).unwrap()), keys);
    let (after, answer, operations) = attempt(None);
    assert_eq!(answer[answer.len() - 2..], [0x90, 0x00], "{name}");
    let after = snapshot(&after, keys);
    assert_ne!(before, after, "{name}");
    for at in 0..operations {
        for mode in Cut::ALL {
            let (memory, answer, _) = attempt(Some((at, mode)));
            let seen = snapshot(&memory, keys);
            assert!(seen == before || seen == after, "{name}, {mode:?} at {at}:\n{seen}\n{before}\n{after}");
            if answer[answer.len() - 2..] == [0x90, 0x00] {
                assert_eq!(seen, after, "{name}, {mode:?} at {at}");
            }
        }
    }
}

#[test]
fn power_cuts_at_every_flash_operation() {
    let key = [0x11; 16];
    let three: [&[u8]; 3] = [&key, &key, &key];
    let both = [(0x30, test_keys()), (0x31, StaticKeys::new(&key, &key, &key).unwrap())];
    let install = install_toy(&TOY_AID, &hex("C9021234"));
    let delete = apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F, 7][..], &TOY_AID].concat());
    cut_in_flash("put key", &[], &put_key(0x30, 0x31, three, &TEST_KEY), &both);
    cut_in_flash("install", &[], &install, &both);
    cut_in_flash("lock", core::slice::from_ref(&install), &apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID), &both);
    cut_in_flash("delete", core::slice::from_ref(&install), &delete, &both);
    cut_in_flash("store data", &[], &apdu([0x80, 0xE2, 0x90, 0], &hex("42041122334445021234")), &both);
    let add = put_key(0x00, 0x31, three, &TEST_KEY);
    cut_in_flash("delete key", &[add], &apdu([0x80, 0xE4, 0x00, 0x00], &[0xD2, 1, 0x31]), &both);
    let issuer = hex("A000000151000000");
    let set = |state: u8| apdu([0x80, 0xF0, 0x80, state], &issuer);
    cut_in_flash("initialize card", &[], &set(0x07), &both);
    cut_in_flash("secure card", &[set(0x07)], &set(0x0F), &both);
    cut_in_flash("lock card", &[set(0x07), set(0x0F)], &set(0x7F), &both);
    cut_in_flash("terminate card", &[set(0x07), set(0x0F)], &set(0xFF), &both);
}
