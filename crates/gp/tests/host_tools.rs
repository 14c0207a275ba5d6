//! What host tools in the field send, replayed: each of their commands gets an answer the tool goes on with.
//!
//! The sequences are those of GlobalPlatformPro (martinpaljak/GlobalPlatformPro, GPSession and GPTool), of gpshell
//! (kaoh/globalplatform, globalplatform.c) and of pySim (osmocom/pysim, global_platform): which commands in which order, with which
//! optional fields and with or without Le. The bytes are put together here; the channel is this crate's host side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Element, Module, ModuleId};
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::{CardManager, CardProfile, Factory, ModuleEntry, Registry, RsaKeys, TEST_KEY};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::put_key::KeyType;
use huiwan_gp::recognition::{self, Protocol};
use huiwan_gp::secure_channel::{Level, StaticKeysRef};
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::{hex, vectors};
use support::*;

type MapCard<'a> = Card<'a, MapMemory>;

const I55: Protocol = Protocol { scp: 2, i: 0x55 };
const I70: Protocol = Protocol { scp: 3, i: 0x70 };

/// A card as it is bought: SCP02 and SCP03, domains, LOAD.
fn bought<T>(factory: &Factory<'_>, f: impl FnOnce(&mut MapCard<'_>) -> T) -> T {
    let profile = CardProfile::DEFAULT.with_scp02(scp02::Options::I55);
    let entries = [TOY, APPLET, ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(&profile, &entries).with_content_management(Some(&RsaKeys));
    let modules: [&dyn Module; 2] = [&manager, &Toy];
    let element = Element::new(&modules, Registry::new(&profile), new_memory(factory));
    let mut card = Card { element, random: Seeded::new(1) };
    card.power_on();
    f(&mut card)
}

/// Keys of either protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keys {
    Des([u8; 16]),
    Aes([u8; 16]),
}

impl Keys {
    const TEST: [(u8, Self); 2] = [(0x20, Self::Des(TEST_KEY)), (0x30, Self::Aes(TEST_KEY))];

    fn key_type(self) -> KeyType {
        match self {
            Self::Des(_) => KeyType::Des,
            Self::Aes(_) => KeyType::Aes,
        }
    }

    fn bytes(self) -> [u8; 16] {
        match self {
            Self::Des(key) | Self::Aes(key) => key,
        }
    }

    /// A fresh key set of the same kind.
    fn fresh(self, byte: u8) -> Self {
        match self {
            Self::Des(_) => Self::Des([byte; 16]),
            Self::Aes(_) => Self::Aes([byte; 16]),
        }
    }
}

/// A session, and the key under which its host encrypts keys.
struct Session {
    channel: Open,
    dek: Keys,
}

impl Session {
    /// The handshake on what is selected.
    fn open(card: &mut MapCard<'_>, version: u8, keys: Keys, level: Level) -> Self {
        let key = keys.bytes();
        let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
        let update = [&[0x80, 0x50, version, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x00][..]].concat();
        let answer = card.send(&update);
        let (data, sw) = answer.split_last_chunk::<2>().unwrap();
        assert_eq!(sw, &[0x90, 0x00], "INITIALIZE UPDATE {version:02X}");
        let answer = Answer::parse(data).unwrap();
        let des = scp02::StaticKeys::new(&key, &key, &key).unwrap();
        let aes = scp03::StaticKeys::new(&key, &key, &key).unwrap();
        let (handshake, keys, dek) = match keys {
            Keys::Des(_) => (
                handshake.with_scp02(scp02::Options::I55),
                StaticKeysRef::from(&des),
                dek_of(&key, [data[12], data[13]]),
            ),
            Keys::Aes(_) => (handshake, StaticKeysRef::from(&aes), keys),
        };
        let verified = handshake.verify_card(0x80, &answer, keys, level).unwrap();
        // With Le or without: tools do both.
        let with_le = [verified.command(), &[0x00]].concat();
        let sw = card.sw(if version & 1 == 0 { &with_le } else { verified.command() });
        Self { channel: verified.accepted(Sw::new(sw)).unwrap(), dek }
    }

    /// The answer to a command; its status word is one of those the tool expects.
    fn expect(&mut self, card: &mut MapCard<'_>, command: &[u8], expected: &[u16]) -> Vec<u8> {
        let (data, sw) = run(card, &mut self.channel, command);
        assert!(expected.contains(&sw), "{command:02X?}: {sw:04X}");
        data
    }

    fn ok(&mut self, card: &mut MapCard<'_>, command: &[u8]) -> Vec<u8> {
        self.expect(card, command, &[0x9000])
    }

    fn encrypt(&self, key: &[u8; 16]) -> Vec<u8> {
        let mut block = key.to_vec();
        match self.dek {
            Keys::Des(dek) => Tdes::new2(&dek).encrypt_ecb(&mut block).unwrap(),
            Keys::Aes(dek) => Aes::new(&dek).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap(),
        }
        block
    }
}

/// The data encryption key of an SCP02 session. [GPC E.4.1]
fn dek_of(key: &[u8; 16], sequence: [u8; 2]) -> Keys {
    let mut derived = [0; 16];
    derived[..4].copy_from_slice(&[0x01, 0x81, sequence[0], sequence[1]]);
    Tdes::new2(key).encrypt_cbc(&[0; 8], &mut derived).unwrap();
    Keys::Des(derived)
}

/// A command without Le, as GlobalPlatformPro sends most.
fn bare(header: [u8; 4], data: &[u8]) -> Vec<u8> {
    let [cla, ins, p1, p2] = header;
    let mut out = [0; 300];
    Command::new(cla, ins, p1, p2).with_data(data).write(&mut out).unwrap().to_vec()
}

fn lv(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| [&[field.len() as u8][..], field].concat()).collect()
}

/// A key set in the form a tool writes it.
fn key_set(session: &Session, version: u8, keys: Keys, clear_length: bool) -> Vec<u8> {
    let key = keys.bytes();
    let mut data = vec![version];
    for _ in 0..3 {
        let block = session.encrypt(&key);
        let inner: &[u8] = if clear_length { &[16] } else { &[] };
        data.push(keys.key_type().byte());
        data.extend(lv(&[&[inner, &block].concat(), &keys.key_type().check_value(&key).unwrap()]));
    }
    data
}

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const PACKAGE: [u8; 7] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01];
const DOMAIN: [u8; 5] = [0xF0, 0xD0, 0x00, 0x00, 0x01];
/// Load file and module of [`TOY`], and the instance.
const TOY_NAMES: [&[u8]; 3] =
    [&[0xF0, 0x01, 0x02, 0x03, 0x04], &[0xF0, 0x01, 0x02, 0x03, 0x04, 0x01], &TOY_AID];

/// The commands kaoh's test sent to a real card for helloworld.cap.
fn hello_world() -> Vec<Vec<u8>> {
    let file = vectors::load(include_str!("vectors/cap_load.txt"));
    let v = file.block("kaoh-scp02-i15-install-macenc");
    (0..6).map(|n| v.bytes(&format!("out.commands.{n}.plain"))).collect()
}

/// Its load file, in blocks.
fn blocks(size: usize) -> Vec<Vec<u8>> {
    let loads = hello_world().into_iter().filter(|c| c[1] == 0xE8);
    let file: Vec<u8> = loads.flat_map(|c| c[5..5 + usize::from(c[4])].to_vec()).collect();
    file.chunks(size).map(<[u8]>::to_vec).collect()
}

/// `gp --info`: what is asked before any session. What is not there is 6A88, which the tool passes over in silence.
fn gp_info(card: &mut MapCard<'_>) -> Vec<Protocol> {
    let fci = card.send(&hex("00A4040000"));
    assert!(fci.starts_with(&[0x6F]) && fci.ends_with(&[0x90, 0x00]));
    assert!(fci.windows(10).any(|part| part == [&[0x84, 0x08][..], &ISSUER].concat()));
    for (tag, there) in [
        ("9F7F", true),
        ("0042", false),
        ("0045", false),
        ("00CF", true),
        ("00C1", true),
        ("0067", true),
        ("00E0", true),
    ] {
        let answer = card.send(&hex(&format!("80CA{tag}00")));
        let tag = hex(tag.trim_start_matches("00"));
        assert_eq!(answer.starts_with(&tag) && answer.ends_with(&[0x90, 0x00]), there, "{tag:02X?}");
        assert!(there || answer == [0x6A, 0x88]);
    }
    let recognition = card.send(&hex("80CA006600"));
    recognition::protocols(&recognition[..recognition.len() - 2]).unwrap().collect()
}

/// `gp --list`: four scopes, the next page until 9000.
fn gp_list(card: &mut MapCard<'_>, session: &mut Session) -> Vec<u8> {
    let mut told = Vec::new();
    for scope in [0x80, 0x40, 0x20, 0x10] {
        let mut p2 = 0x02;
        loop {
            let (data, sw) = run(card, &mut session.channel, &apdu([0x80, 0xF2, scope, p2], &[0x4F, 0x00]));
            told.extend(data);
            match sw {
                0x6310 => p2 = 0x03,
                0x9000 | 0x6A88 => break,
                other => panic!("scope {scope:02X}: {other:04X}"),
            }
        }
    }
    told
}

#[test]
fn the_protocol_of_version_00_is_listed_first() {
    bought(&Factory::TEST.with_scp02_test_keys(), |card| assert_eq!(gp_info(card), [I70, I55]));
    bought(&Factory::TEST, |card| assert_eq!(gp_info(card), [I70]));
    let des = Factory::TEST.with_key_type(KeyType::Des).with_key_version(0x20);
    bought(&des, |card| {
        assert_eq!(gp_info(card), [I55]);
        // With keys for the other protocol it is listed behind; a domain without keys has those of its parent.
        let mut session = Session::open(card, 0x00, Keys::Des(TEST_KEY), Level::CMac);
        let data = key_set(&session, 0x31, Keys::Aes([7; 16]), true);
        session.ok(card, &bare([0x80, 0xD8, 0x00, 0x81], &data));
        session.ok(card, &install_domain(&DOMAIN, [0x80, 0, 0], &[]));
        assert_eq!(gp_info(card), [I55, I70]);
        let fci = card.send(&select(&DOMAIN));
        let listed = recognition::protocols_of_application(&fci[..fci.len() - 2]).unwrap();
        assert_eq!(listed.collect::<Vec<_>>(), [I55, I70]);
    });
}

#[test]
fn globalplatformpro() {
    for (version, keys) in Keys::TEST {
        for level in [Level::CMac, Level::CMacCEnc] {
            bought(&Factory::TEST.with_scp02_test_keys(), |card| {
                gp_info(card);
                let mut session = Session::open(card, version, keys, level);
                gp_list(card, &mut session);
                // --load: no hash, no parameters, no token, never Le.
                let fields = lv(&[&PACKAGE, &ISSUER, &[], &[], &[]]);
                session.ok(card, &bare([0x80, 0xE6, 0x02, 0x00], &fields));
                let loaded = blocks(239);
                for (n, block) in loaded.iter().enumerate() {
                    let last = if n == loaded.len() - 1 { 0x80 } else { 0x00 };
                    session.ok(card, &bare([0x80, 0xE8, last, n as u8], block));
                }
                // --create, --domain
                let [file, module, instance] = TOY_NAMES;
                let fields = lv(&[file, module, instance, &[0x00], &[0xC9, 0x00], &[]]);
                session.ok(card, &bare([0x80, 0xE6, 0x0C, 0x00], &fields));
                session.expect(card, &bare([0x80, 0xE6, 0x0C, 0x00], &fields), &[0x6985]);
                let accepts = hex("C906820120870120");
                let fields = lv(&[&SSD_FILE, &SSD_MODULE, &DOMAIN, &[0x80], &accepts, &[]]);
                session.ok(card, &bare([0x80, 0xE6, 0x0C, 0x00], &fields));
                let listed = gp_list(card, &mut session);
                for aid in [&PACKAGE[..], &TOY_AID, &DOMAIN] {
                    assert!(listed.windows(aid.len()).any(|part| part == aid), "{aid:02X?}");
                }
                // --move
                let fields = lv(&[&DOMAIN, &[], &TOY_AID, &[], &[], &[]]);
                session.ok(card, &bare([0x80, 0xE6, 0x10, 0x00], &fields));
                // --make-default, which some cards of version 2.1.1 take; here it is for what is not selectable yet. [GPC 11.5.2.3.3]
                let fields = lv(&[&[], &[], &TOY_AID, &[0x04], &[], &[]]);
                session.expect(card, &bare([0x80, 0xE6, 0x08, 0x00], &fields), &[0x6985]);
                // --lock-applet, --unlock-applet
                session.ok(card, &bare([0x80, 0xF0, 0x40, 0x80], &TOY_AID));
                session.ok(card, &bare([0x80, 0xF0, 0x40, 0x00], &TOY_AID));
                // --store-data to an application
                let fields = lv(&[&[], &[], &TOY_AID, &[], &[], &[]]);
                session.expect(card, &apdu([0x80, 0xE6, 0x20, 0x00], &fields), &[0x9000, 0x6985]);
                // --delete: an application, then a package with what is of it.
                for (p2, aid) in [(0x00, &TOY_AID[..]), (0x80, &DOMAIN), (0x80, &PACKAGE)] {
                    let data = [&[0x4F][..], &lv(&[aid])].concat();
                    session.ok(card, &bare([0x80, 0xE4, 0x00, p2], &data));
                    session.expect(card, &bare([0x80, 0xE4, 0x00, p2], &data), &[0x6A88]);
                }
            });
        }
    }
}

#[test]
fn globalplatformpro_changes_keys() {
    for (version, keys) in Keys::TEST {
        bought(&Factory::TEST.with_scp02_test_keys(), |card| {
            assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            let mut session = Session::open(card, version, keys, Level::CMac);
            // --lock: the template first, then the set under its own version; the session goes on.
            session.ok(card, &apdu([0x80, 0xCA, 0x00, 0xE0], &[]));
            let own = keys.fresh(0x5A);
            let data = key_set(&session, version, own, keys.key_type() == KeyType::Aes);
            session.ok(card, &bare([0x80, 0xD8, version, 0x81], &data));
            gp_list(card, &mut session);
            // --unlock, in a session under the new keys.
            assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            let mut session = Session::open(card, version, own, Level::CMac);
            let data = key_set(&session, version, keys, keys.key_type() == KeyType::Aes);
            session.ok(card, &bare([0x80, 0xD8, version, 0x81], &data));
            // --put-key of another version, --delete-key; older versions leave out the length of D2.
            let mut session = Session::open(card, version, keys, Level::CMac);
            let data = key_set(&session, 0x05, own, keys.key_type() == KeyType::Aes);
            session.ok(card, &bare([0x80, 0xD8, 0x00, 0x81], &data));
            session.expect(card, &bare([0x80, 0xE4, 0x00, 0x00], &[0xD2, 0x05]), &[0x6A80]);
            session.ok(card, &bare([0x80, 0xE4, 0x00, 0x00], &[0xD2, 0x01, 0x05]));
        });
        // --lock of a card with initial keys: they are added to, under version 01, and gone.
        let initial = Factory::TEST.with_key_type(keys.key_type()).with_key_version(0xFF);
        bought(&initial, |card| {
            let mut session = Session::open(card, 0x00, keys, Level::CMac);
            let told = session.ok(card, &apdu([0x80, 0xCA, 0x00, 0xE0], &[]));
            assert_eq!(told[5], 0xFF, "the tool decides by the first entry");
            let own = keys.fresh(0x5A);
            let data = key_set(&session, 0x01, own, keys.key_type() == KeyType::Aes);
            session.ok(card, &bare([0x80, 0xD8, 0x00, 0x81], &data));
            assert_eq!(card.sw(&hex("8050FF0008010203040506070800")), 0x6A88);
            Session::open(card, 0x00, own, Level::CMac);
        });
    }
}

#[test]
fn globalplatformpro_secures_and_locks_the_card() {
    for (version, keys) in Keys::TEST {
        bought(&Factory::TEST.with_scp02_test_keys(), |card| {
            assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            let mut session = Session::open(card, version, keys, Level::CMac);
            // --secure-card, --lock-card, --unlock-card: neither data nor Le.
            for state in [0x07, 0x0F, 0x7F] {
                session.ok(card, &bare([0x80, 0xF0, 0x80, state], &[]));
            }
            // The tool goes on at 6283.
            assert_eq!(card.sw(&hex("00A4040000")), 0x6283);
            let mut session = Session::open(card, version, keys, Level::CMac);
            session.ok(card, &bare([0x80, 0xF0, 0x80, 0x0F], &[]));
            assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
            // --rename-isd
            let mut session = Session::open(card, version, keys, Level::CMac);
            session.ok(card, &bare([0x80, 0xE2, 0x90, 0x00], &hex("4F08A000000003000000")));
            assert_eq!(card.sw(&hex("00A4040008A00000000300000000")), 0x9000);
        });
    }
}

#[test]
fn gpshell() {
    for (version, keys) in Keys::TEST {
        bought(&Factory::TEST.with_scp02_test_keys(), |card| {
            assert_eq!(card.sw(&bare([0x00, 0xA4, 0x04, 0x00], &ISSUER)), 0x9000);
            // open_sc asks which protocol it is when the script does not say.
            let recognition = card.send(&hex("80CA006600"));
            assert_eq!(recognition::protocols(&recognition[..recognition.len() - 2]).unwrap().count(), 2);
            let mut session = Session::open(card, version, keys, Level::CMacCEnc);
            // get_status in both formats.
            for (scope, format) in
                [(0x80, 0x02), (0x40, 0x02), (0x20, 0x02), (0x10, 0x02), (0x80, 0x00), (0x20, 0x00)]
            {
                session.expect(card, &apdu([0x80, 0xF2, scope, format], &[0x4F, 0x00]), &[0x9000, 0x6A88]);
            }
            session.ok(card, &hex("80CA00E000"));
            session.ok(card, &hex("80CA9F7F00"));
            session.expect(card, &hex("80CAFF2100"), &[0x9000, 0x6A88]);
            // install -file, as it was recorded with a real card; its issuer domain and its applet have other names here.
            let recorded = hello_world();
            let limits = hex("EF08C6020160C80207D0");
            for command in &recorded {
                match command[1..3] {
                    [0xE4, _] => drop(session.expect(card, command, &[0x6A88])),
                    [0xE8, _] => drop(session.ok(card, command)),
                    [_, 0x02] => {
                        let fields = lv(&[&PACKAGE, &ISSUER, &[], &limits, &[]]);
                        session.ok(card, &apdu([0x80, 0xE6, 0x02, 0x00], &fields));
                    }
                    _ => {}
                }
            }
            let [file, module, instance] = TOY_NAMES;
            let limits = hex("C900EF08C8020100C7020100");
            let fields = lv(&[file, module, instance, &[0x00], &limits, &[]]);
            session.ok(card, &apdu([0x80, 0xE6, 0x0C, 0x00], &fields));
            assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
            assert_eq!(card.sw(&bare([0x00, 0xA4, 0x04, 0x00], &ISSUER)), 0x9000);
            let mut session = Session::open(card, version, keys, Level::CMacCEnc);
            // put_sc_key; delete_key: of one key, which would leave a set that opens no channel, and of all.
            let data = key_set(&session, 0x02, keys.fresh(0x33), keys.key_type() == KeyType::Aes);
            session.ok(card, &apdu([0x80, 0xD8, 0x00, 0x81], &data));
            let one = [0xD0, 0x01, 0x01, 0xD2, 0x01, 0x02];
            session.expect(card, &apdu([0x80, 0xE4, 0x00, 0x00], &one), &[0x6985]);
            session.ok(card, &apdu([0x80, 0xE4, 0x00, 0x00], &one[3..]));
            // set_status, delete: always with what is related, also an application.
            session.ok(card, &apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID));
            session.ok(card, &apdu([0x80, 0xF0, 0x40, 0x07], &TOY_AID));
            for aid in [&TOY_AID[..], &PACKAGE] {
                session.ok(card, &apdu([0x80, 0xE4, 0x00, 0x80], &[&[0x4F][..], &lv(&[aid])].concat()));
            }
        });
    }
}

#[test]
fn pysim() {
    for (version, keys) in Keys::TEST {
        bought(&Factory::TEST.with_scp02_test_keys(), |card| {
            // It asks for control parameters, and takes the file control information.
            assert_eq!(card.sw(&apdu([0x00, 0xA4, 0x04, 0x04], &ISSUER)), 0x9000);
            let mut session = Session::open(card, version, keys, Level::CMacCEnc);
            // get_status names the tags it wants, one by one.
            for scope in [0x80, 0x40, 0x20, 0x10] {
                let data = hex("4F005C054F9F70C5CC");
                session.expect(card, &apdu([0x80, 0xF2, scope, 0x02], &data), &[0x9000, 0x6310, 0x6A88]);
            }
            for tag in ["0066", "0067", "00E0", "00C1", "00D3", "2F00", "FF21"] {
                // The memory of these tests does not say how much room it has.
                let expected: &[u16] = if tag == "FF21" { &[0x6A88] } else { &[0x9000] };
                session.expect(card, &hex(&format!("80CA{tag}00")), expected);
            }
            let [file, module, instance] = TOY_NAMES;
            let parameters = hex("C900EF08C7020100C8020100");
            let fields = lv(&[file, module, instance, &[0x00], &parameters, &[]]);
            session.ok(card, &apdu([0x80, 0xE6, 0x04, 0x00], &fields));
            let fields = lv(&[&[], &[], instance, &[0x00], &[], &[]]);
            session.ok(card, &apdu([0x80, 0xE6, 0x08, 0x00], &fields));
            // Lock and unlock through the state itself.
            session.ok(card, &bare([0x80, 0xF0, 0x40, 0x80], instance));
            session.ok(card, &bare([0x80, 0xF0, 0x40, 0x07], instance));
            session.ok(card, &apdu([0x80, 0xE6, 0x02, 0x00], &lv(&[&PACKAGE, &ISSUER, &[], &[], &[]])));
            let loaded = blocks(200);
            for (n, block) in loaded.iter().enumerate() {
                let last = if n == loaded.len() - 1 { 0x80 } else { 0x00 };
                session.ok(card, &apdu([0x80, 0xE8, last, n as u8], block));
            }
            // One key alone, without a check value.
            let key = keys.fresh(0x44);
            let block = session.encrypt(&key.bytes());
            let block = if key.key_type() == KeyType::Aes { [&[16][..], &block].concat() } else { block };
            let data = [&[0x42, key.key_type().byte()][..], &lv(&[&block, &[]])].concat();
            session.ok(card, &apdu([0x80, 0xD8, 0x00, 0x01], &data));
            session.ok(card, &apdu([0x80, 0xE4, 0x00, 0x00], &[0xD0, 0x01, 0x01, 0xD2, 0x01, 0x42]));
            session.ok(card, &apdu([0x80, 0xE4, 0x00, 0x80], &[&[0x4F][..], &lv(&[&PACKAGE])].concat()));
            session.ok(card, &apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F][..], &lv(&[instance])].concat()));
            // SET STATUS of the card with an empty AID, which is a Le.
            session.ok(card, &hex("80F0800700"));
        });
    }
}

#[test]
fn py_gp_tells_the_clear_length_of_des_keys() {
    bought(&Factory::TEST.with_scp02_test_keys(), |card| {
        let mut session = Session::open(card, 0x20, Keys::Des(TEST_KEY), Level::CMac);
        let own = Keys::Des([0x17; 16]);
        let good = key_set(&session, 0x41, own, true);
        assert_eq!(good[1..4], [0x80, 17, 16]);
        for wrong in [0, 8, 15, 17, 24] {
            let mut data = good.clone();
            data[3] = wrong;
            // A key of one block is a DES key too, but two blocks are not its encryption.
            session.expect(card, &bare([0x80, 0xD8, 0x00, 0x81], &data), &[0x6A80]);
        }
        session.ok(card, &bare([0x80, 0xD8, 0x00, 0x81], &good));
        Session::open(card, 0x41, own, Level::CMac);
    });
}
