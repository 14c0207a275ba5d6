//! Personalisation from a script: how groupings become commands, what is refused before anything is sent, and the session keys of CPS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_crypto::Tdes;
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::diversification::{Purpose, Scheme};
use huiwan_gp::host::key_store::Derivation;
use huiwan_gp::host::{
    Coding, Fault, FaultKind, Grouping, Input, Install, Job, KeyAnswer, KeyRef, KeyRequest, KeyStore,
    Manager, OpenChannel, Outcome, Packing, Personalise, SecurePremises, SoftKeyStore, Stage, Step,
    groupings,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp02;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::store_data::{Control, DgiPadding, Encryption, Structure, is_secret};
use huiwan_testkit::vectors;
use huiwan_tlv::dgi;
use proptest::prelude::*;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TOY_NAME: Aid = Aid::from_array(TOY_AID);
const AES: KeyRef = KeyRef::direct(1);
/// Room for groupings longer than the manager's own buffer.
const OUT: usize = 2048;

/// What a job looked like from outside.
#[derive(Debug, Default)]
struct Seen {
    /// Plain commands, as the key store was asked to protect them.
    plain: Vec<Vec<u8>>,
    /// What the key store encrypted.
    encrypted: Vec<Vec<u8>>,
    stored: Vec<(usize, u16)>,
    sent: usize,
}

impl Seen {
    /// P1, P2 and data of every STORE DATA.
    fn store_data(&self) -> Vec<(u8, u8, Vec<u8>)> {
        let commands = self.plain.iter().map(|raw| Command::parse(raw).unwrap());
        commands
            .filter(|command| command.ins() == 0xE2)
            .map(|command| (command.p1(), command.p2(), command.data().to_vec()))
            .collect()
    }
}

fn drive<'j>(
    card: &mut Card<'_, MapMemory>,
    store: &mut dyn KeyStore,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Outcome, Seen) {
    let mut seen = Seen::default();
    let (mut out, mut key_out) = (vec![0; OUT], vec![0; OUT]);
    let mut answer: Vec<u8>;
    let mut step = manager.step(Input::Start(job), &mut out).unwrap();
    loop {
        let input = match step {
            Step::Send(command) => {
                seen.sent += 1;
                answer = card.send(command);
                Input::Response(&answer)
            }
            Step::Key(request) => {
                if let KeyRequest::Wrap { command, .. } = request {
                    seen.plain.push(command.to_vec());
                }
                let encrypts = matches!(request, KeyRequest::Encrypt { .. });
                let answer = store.answer(&request, &mut key_out);
                if let (true, KeyAnswer::Bytes(bytes)) = (encrypts, answer) {
                    seen.encrypted.push(bytes.to_vec());
                }
                Input::Key(answer)
            }
            Step::Answer { .. } => Input::Continue,
            Step::Stored { index, id } => {
                seen.stored.push((index, id));
                Input::Continue
            }
            Step::Done(outcome) => return (outcome, seen),
        };
        step = manager.step(input, &mut out).unwrap();
    }
}

fn install<'j>() -> Job<'j> {
    Job::Install(Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: TOY_NAME,
        privileges: Privileges::NONE,
        parameters: Parameters::default(),
        make_selectable: true,
    })
}

fn open_job<'j>(key: KeyRef, key_version: u8, level: Level) -> Job<'j> {
    Job::Open(OpenChannel { aid: None, key_version, key, level, host_challenge: [9; 16].into() })
}

fn aes_store() -> SoftKeyStore<1, 2> {
    let mut store = SoftKeyStore::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store
}

/// A card with the toy on it, and a channel at this level; the card's memory afterwards.
fn at_level<T>(
    profile: &CardProfile,
    level: Level,
    f: impl FnOnce(
        &mut Card<'_, MapMemory>,
        &mut dyn FnMut(&mut Card<'_, MapMemory>, Job<'_>) -> (Outcome, Seen),
    ) -> T,
) -> (MapMemory, T) {
    with_card(profile, new_memory(&Factory::TEST), |card| {
        let (mut store, mut manager) = (aes_store(), Manager::new());
        for job in [open_job(AES, 0, Level::CMac), install(), open_job(AES, 0, level)] {
            assert_eq!(drive(card, &mut store, &mut manager, job).0, Outcome::Complete);
        }
        let channel = *manager.channel().unwrap();
        assert_eq!(channel.level, level);
        f(card, &mut |card, job| {
            // A manager borrows its jobs; each gets one of its own, on a channel of its own.
            let mut manager = Manager::new();
            let opened = drive(card, &mut store, &mut manager, open_job(AES, 0, level));
            assert_eq!(opened.0, Outcome::Complete);
            let end = drive(card, &mut store, &mut manager, job);
            assert_eq!(drive(card, &mut store, &mut manager, Job::Close).0, Outcome::Complete);
            end
        })
    })
}

const fn plain(id: u16, value: &[u8]) -> Grouping<'_> {
    Grouping { id, value, encrypt: false }
}

const fn secret(id: u16, value: &[u8]) -> Grouping<'_> {
    Grouping { id, value, encrypt: true }
}

fn personalise<'j>(script: &'j [Grouping<'j>], coding: Coding) -> Job<'j> {
    Job::Personalise(Personalise::new(Some(TOY_NAME), script, coding))
}

/// The objects the toy made of its groupings.
fn toys(memory: &MapMemory) -> Vec<(u16, Vec<u8>)> {
    let own = memory.objects.iter().filter(|((instance, id), _)| *instance == 1 && *id > 2);
    own.map(|((_, id), value)| (*id, value.clone())).collect()
}

#[test]
fn p1_says_the_structure_or_leaves_it_to_cps() {
    let script =
        [plain(0x0101, &[1; 300]), secret(0x8000, &[2; 48]), secret(0x8010, &[3; 8]), plain(0x0102, b"x")];
    for (coding, expected) in [
        (Coding::GP, [(0x08, 0), (0x08, 1), (0x68, 2), (0x68, 3), (0x88, 4)]),
        (Coding::CPS, [(0x00, 0), (0x00, 1), (0x60, 2), (0x60, 3), (0x80, 4)]),
    ] {
        let (memory, ()) = at_level(&PROFILE, Level::All, |card, drive| {
            let (outcome, seen) = drive(card, personalise(&script, coding));
            assert_eq!(outcome, Outcome::Complete);
            let sent: Vec<_> = seen.store_data().iter().map(|(p1, p2, _)| (*p1, *p2)).collect();
            assert_eq!(sent, expected);
            assert_eq!(seen.stored, [(0, 0x0101), (1, 0x8000), (2, 0x8010), (3, 0x0102)]);
            // The last command is encrypted too if that is what comes last.
            let (outcome, seen) = drive(card, personalise(&script[1..2], coding));
            assert_eq!(outcome, Outcome::Complete);
            assert_eq!(seen.store_data()[0].0, if coding == Coding::GP { 0xE8 } else { 0xE0 });
        });
        let padded = [&[3; 8][..], &[0x80, 0, 0, 0, 0, 0, 0, 0]].concat();
        let expected =
            [(0x0101, vec![1; 300]), (0x0102, b"x".to_vec()), (0x8000, vec![2; 48]), (0x8010, padded)];
        assert_eq!(toys(&memory), expected);
    }
    // A security domain would take data without the bits for BER-TLV.
    let script = [plain(0x0070, &[0x42, 0x02, 0x12, 0x34])];
    at_level(&PROFILE, Level::All, |card, drive| {
        let job = Job::Personalise(Personalise::new(None, &script, Coding::CPS));
        let (outcome, seen) = drive(card, job);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(seen.store_data(), [(0x88, 0, vec![0x00, 0x70, 4, 0x42, 2, 0x12, 0x34])]);
        assert_eq!(card.sw(&select(&[])), 0x9000);
        assert_eq!(card.send(&apdu([0x80, 0xCA, 0x00, 0x42], &[])), [0x42, 2, 0x12, 0x34, 0x90, 0x00]);
    });
}

#[test]
fn groupings_share_commands_where_that_is_wanted() {
    let long = [0x5A; 400];
    let script = [
        plain(0x0101, &[1; 100]),
        plain(0x0102, &[2; 100]),
        plain(0x0103, &[3; 100]),
        secret(0x8000, &[4; 48]),
        plain(0x0104, &[]),
        plain(0x0105, &long),
        plain(0x0106, &[6; 10]),
        plain(0x0107, &[7; 10]),
    ];
    let (memory, ()) = at_level(&PROFILE, Level::CMac, |card, drive| {
        let coding = Coding::CPS.with_packing(Packing::Filled);
        let (outcome, seen) = drive(card, personalise(&script, coding));
        assert_eq!(outcome, Outcome::Complete);
        let begins: Vec<_> = seen.store_data().iter().map(|(p1, _, data)| (*p1, data.len())).collect();
        // 247 bytes fit beside the MAC. A long grouping begins its own command and shares none.
        let expected =
            [(0x00, 206), (0x00, 103), (0x60, 51), (0x00, 3), (0x00, 247), (0x00, 158), (0x80, 26)];
        assert_eq!(begins, expected);
        let all: Vec<_> = (0..).zip(script.iter().map(|grouping| grouping.id)).collect();
        assert_eq!(seen.stored, all, "each is told, in order");
        // What is refused is somewhere in the command whose first grouping the fault names.
        let refused = [plain(0x0201, b"a"), plain(0x0202, b"b"), plain(0xDEAD, b"c"), plain(0x0203, b"d")];
        let (outcome, seen) = drive(card, personalise(&refused, coding));
        let stage = Stage::StoreData { index: 0, id: 0x0201 };
        assert_eq!(outcome, Outcome::Fault(Fault { stage, kind: FaultKind::Status(Sw::WRONG_DATA) }));
        assert_eq!(seen.stored, []);
        let (outcome, seen) = drive(card, personalise(&refused, Coding::CPS));
        let stage = Stage::StoreData { index: 2, id: 0xDEAD };
        assert_eq!(outcome, Outcome::Fault(Fault { stage, kind: FaultKind::Status(Sw::WRONG_DATA) }));
        assert_eq!(seen.stored, [(0, 0x0201), (1, 0x0202)]);
    });
    let stored = toys(&memory);
    assert!(stored.contains(&(0x0105, long.to_vec())) && stored.contains(&(0x0104, vec![])));
    assert!(stored.iter().all(|(id, _)| *id != 0x0203), "nothing behind what was refused");
}

#[test]
fn block_numbers_have_to_be_enough() {
    let values: Vec<[u8; 1]> = (0..=256).map(|n| [n as u8]).collect();
    let script: Vec<_> = values.iter().map(|value| plain(0x0101, value)).collect();
    at_level(&PROFILE, Level::CMac, |card, drive| {
        let (outcome, seen) = drive(card, personalise(&script, Coding::CPS));
        let stage = Stage::InstallForPersonalization;
        assert_eq!(outcome, Outcome::Fault(Fault { stage, kind: FaultKind::TooLong }));
        assert_eq!(seen.sent, 0, "a script that cannot end is not begun");
        let (outcome, seen) = drive(card, personalise(&script[..256], Coding::CPS));
        assert_eq!(outcome, Outcome::Complete);
        let commands = seen.store_data();
        assert_eq!((commands.len(), commands[255].0, commands[255].1), (256, 0x80, 0xFF));
        // Together they fit.
        let filled = Coding::CPS.with_packing(Packing::Filled);
        assert_eq!(drive(card, personalise(&script, filled)).0, Outcome::Complete);
    });
}

#[test]
fn no_personalisation_without_macs_but_in_secure_premises() {
    let script = [plain(0x0101, b"x"), secret(0x8000, &[2; 48])];
    for (level, allowed) in [(Level::Authenticated, false), (Level::CMac, true)] {
        at_level(&PROFILE, level, |card, drive| {
            let (outcome, seen) = drive(card, personalise(&script, Coding::CPS));
            if allowed {
                assert_eq!(outcome, Outcome::Complete);
            } else {
                let Outcome::Fault(fault) = outcome else { panic!() };
                assert_eq!((fault.kind, seen.sent), (FaultKind::WithoutMac, 0));
                assert!(fault.to_string().contains("guarded rooms"), "{fault}");
            }
            let request = Personalise::new(Some(TOY_NAME), &script, Coding::CPS);
            let request = request.without_mac(SecurePremises::i_know());
            assert_eq!(drive(card, Job::Personalise(request)).0, Outcome::Complete);
        });
    }
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (outcome, seen) =
            drive(card, &mut aes_store(), &mut Manager::new(), personalise(&script, Coding::CPS));
        assert!(matches!(outcome, Outcome::Fault(Fault { kind: FaultKind::NoChannel, .. })));
        assert_eq!(seen.sent, 0);
    });
}

#[test]
fn long_groupings_go_as_far_as_the_buffers() {
    let long: Vec<u8> = (0..590_u16).map(|n| n as u8).collect();
    let script = [plain(0x0201, &long), secret(0x8201, &long)];
    let (memory, ()) = at_level(&PROFILE, Level::All, |card, drive| {
        let (outcome, seen) = drive(card, personalise(&script, Coding::CPS));
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(seen.encrypted[0].len(), 592);
        // What the card's work space cannot hold is its affair, and said so.
        let more = vec![7; 1900];
        let (outcome, _) = drive(card, personalise(&[plain(0x0201, &more)], Coding::CPS));
        let Outcome::Fault(fault) = outcome else { panic!() };
        assert_eq!(fault.kind, FaultKind::Status(Sw::NOT_ENOUGH_MEMORY));
        // What the host's buffer cannot hold encrypted is not begun half way.
        let more = vec![7; OUT];
        let (outcome, _) = drive(card, personalise(&[secret(0x8201, &more)], Coding::CPS));
        let Outcome::Fault(fault) = outcome else { panic!() };
        assert_eq!(
            (fault.kind, fault.stage),
            (FaultKind::TooLong, Stage::StoreData { index: 0, id: 0x8201 })
        );
    });
    assert_eq!(toys(&memory), [(0x0201, long.clone()), (0x8201, long)]);
}

#[test]
fn a_fault_says_what_personalisers_learned() {
    let text = |id, sw| {
        let kind = FaultKind::Status(Sw::new(sw));
        Fault { stage: Stage::StoreData { index: 4, id }, kind }.to_string()
    };
    for (id, sw, words) in [
        (0x9000, 0x6985, "check values come before their keys"),
        (0x9000, 0x6982, "the card does not use these keys"),
        (0x9400, 0x6A80, "the card does not use these keys"),
        (0x8000, 0x6A80, "send the three keys together"),
        (0x8203, 0x6700, "before groupings that control the card"),
        (0x9102, 0x6A80, "its content, its length or its order"),
        (0x9102, 0x6A88, "leave it out of the script"),
        (0x0101, 0x6A86, "the other coding of P1"),
        (0x0002, 0x6985, "do not change money that moved"),
        (0x0101, 0x6A84, "memory is full"),
        (0x0101, 0x6F00, "the card has its own reason"),
        (0x0101, 0x6982, "the card ended the session"),
    ] {
        let text = text(id, sw);
        assert!(
            text.starts_with(&format!("store data of grouping {id:04X} (number 4): card answered {sw:04X}"))
        );
        assert!(text.contains(words), "{text}");
    }
}

/// KMC, diversification data, session and groupings of CPS, as a bureau's data preparation has them.
#[test]
fn a_cps_session_from_the_master_key() {
    let file = vectors::load(include_str!("vectors/personalisation.txt"));
    let v = file.block("derived-cps-dgi");
    assert!(
        v.is_weak(),
        "no witness: the card below is one, and `des` in the crypto crate has its own vectors"
    );
    let (kmc, kdd) = (v.array::<16>("in.kmc"), v.array::<10>("in.keydata"));
    let [enc, mac, dek] =
        Purpose::ALL.map(|purpose| *Scheme::Emv.derive(&Tdes::new2(&kmc), &kdd, purpose).expose());
    assert_eq!([&enc[..], &mac, &dek], [v.bytes("out.kenc"), v.bytes("out.kmac"), v.bytes("out.kdek")]);

    let mut factory = Factory::TEST;
    factory.scp02 = Some((0x20, [&enc, &mac, &dek]));
    factory.key_diversification = kdd;
    let profile = PROFILE.with_scp02(scp02::Options::I15);
    let (pin, keys, part) = (v.bytes("in.pin_block"), v.bytes("in.udk"), v.bytes("in.crt_component"));
    let checks = &v.bytes("out.dgi9000")[3..];
    let script = [
        secret(0x8010, &pin),
        secret(0x8000, &keys),
        plain(0x9000, checks),
        secret(0x8201, &part),
        plain(0x9010, &[3, 3]),
    ];
    let (memory, ()) = with_card(&profile, new_memory(&factory), |card| {
        let mut store = SoftKeyStore::<1, 1>::new();
        store.insert_des(1, &kmc, &kmc, &kmc).unwrap();
        let key = KeyRef { id: 1, derivation: Derivation::Des(Scheme::Emv) };
        let mut manager = Manager::new();
        // The first session of a card has counter 0000, the vector's 0001.
        for job in [open_job(key, 0x20, Level::CMac), install(), open_job(key, 0x20, Level::CMac)] {
            let (outcome, _) = drive(card, &mut store, &mut manager, job);
            assert_eq!(outcome, Outcome::Complete);
        }
        let (outcome, seen) = drive(card, &mut store, &mut manager, personalise(&script, Coding::CPS));
        assert_eq!(outcome, Outcome::Complete);
        let sent = seen.store_data();
        for (n, name) in ["8010", "8000", "9000", "8201", "9010"].into_iter().enumerate() {
            assert_eq!(sent[n].2, v.bytes(&format!("out.dgi{name}")), "{name}");
        }
        let whole = v.bytes("out.store_data_8010");
        assert_eq!(seen.plain[1][..whole.len()], whole);
        assert_eq!(sent[4].0, 0x80);
    });
    let stored = toys(&memory);
    assert!(
        stored.contains(&(0x8010, pin))
            && stored.contains(&(0x8000, keys))
            && stored.contains(&(0x8201, part))
    );
}

#[test]
fn scripts_in_bytes_are_encrypted_as_cps_says() {
    let bytes = [0x01, 0x01, 1, 0xAA, 0x80, 0x00, 1, 0xBB, 0x90, 0x00, 1, 0xCC, 0x85, 0x01, 0, 0x94, 0x00, 0];
    let read: Vec<_> = groupings(&bytes).map(Result::unwrap).collect();
    let expected = [
        plain(0x0101, &[0xAA]),
        secret(0x8000, &[0xBB]),
        plain(0x9000, &[0xCC]),
        secret(0x8501, &[]),
        plain(0x9400, &[]),
    ];
    assert_eq!(read, expected);
    assert_eq!(groupings(&bytes[..5]).last().unwrap().unwrap_err().at(), 4);
}

/// Padding straight from the table: what a grouping of this kind and length looks like when it is encrypted.
fn padded_by_hand(padding: DgiPadding, id: u16, value: &[u8], block: usize) -> Vec<u8> {
    let number = (0x8100..0x8400).contains(&id) || (0x8500..0x8600).contains(&id);
    let mut out = value.to_vec();
    let pads = match padding {
        DgiPadding::Always => true,
        DgiPadding::WhenNeeded => value.is_empty() || !value.len().is_multiple_of(block),
        DgiPadding::Cps => number || value.is_empty() || !value.len().is_multiple_of(block),
    };
    if pads {
        out.push(0x80);
        while !out.len().is_multiple_of(block) {
            out.push(0);
        }
    }
    out
}

fn any_script() -> impl Strategy<Value = Vec<(u16, Vec<u8>, bool)>> {
    let id = prop_oneof![0x0101_u16..0x0110, 0x8000_u16..0x8003, 0x8201_u16..0x8206, Just(0x8501)];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 230..270),
        prop::collection::vec(any::<u8>(), 500..560)
    ];
    prop::collection::vec((id, value, any::<bool>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a script holds, the card gets its groupings, in order, and the commands are one well-formed stream.
    #[test]
    fn the_card_gets_the_script(
        script in any_script(),
        padding in prop_oneof![Just(DgiPadding::Cps), Just(DgiPadding::Always), Just(DgiPadding::WhenNeeded)],
        filled in any::<bool>(),
        tells_structure in any::<bool>(),
        level in prop_oneof![Just(Level::CMac), Just(Level::CMacCEnc), Just(Level::All)],
    ) {
        // What is secret is not let through in the clear.
        let clear = level == Level::CMac;
        let script: Vec<_> =
            script.into_iter().map(|(id, value, encrypt)| (id, value, encrypt || clear && is_secret(id))).collect();
        let parts: Vec<_> =
            script.iter().map(|(id, value, encrypt)| Grouping { id: *id, value, encrypt: *encrypt }).collect();
        let packing = if filled { Packing::Filled } else { Packing::Single };
        let coding = Coding { tells_structure, padding, packing };
        let profile = PROFILE.with_dgi_padding(padding);
        let (memory, seen) = at_level(&profile, level, |card, drive| {
            let (outcome, seen) = drive(card, personalise(&parts, coding));
            assert_eq!(outcome, Outcome::Complete);
            seen
        });
        // The commands: numbered, the last one said once, each encrypted or not as a whole; together the groupings.
        let commands = seen.store_data();
        let mut stream = Vec::new();
        for (n, (p1, p2, data)) in commands.iter().enumerate() {
            prop_assert_eq!(usize::from(*p2), n);
            let control = Control::from_byte(*p1).unwrap();
            prop_assert_eq!(control.last, n + 1 == commands.len());
            let structure = if tells_structure { Structure::Dgi } else { Structure::Unstated };
            prop_assert_eq!(control.structure, structure);
            stream.extend_from_slice(data);
        }
        let sent: Vec<_> = dgi::Dgis::new(&stream).map(Result::unwrap).collect();
        prop_assert_eq!(sent.len(), parts.len());
        let mut expected = std::collections::BTreeMap::new();
        for ((id, value, encrypt), sent) in script.iter().zip(&sent) {
            prop_assert_eq!(sent.id, *id);
            let wire = if *encrypt { padded_by_hand(padding, *id, value, 16) } else { value.clone() };
            prop_assert_eq!(sent.value.len(), wire.len());
            let number = (0x8100..0x8400).contains(id) || *id == 0x8501;
            let removed = match padding {
                DgiPadding::Always => true,
                DgiPadding::Cps => number,
                DgiPadding::WhenNeeded => false,
            };
            expected.insert(*id, if removed { value.clone() } else { wire });
        }
        prop_assert_eq!(toys(&memory), expected.into_iter().collect::<Vec<_>>());
        if !filled {
            let any_plain = script.iter().all(|(_, _, encrypt)| !encrypt);
            let said = commands.iter().any(|(p1, _, _)| Control::from_byte(*p1).unwrap().encryption == Encryption::All);
            prop_assert_eq!(said, !any_plain);
        }
    }
}
