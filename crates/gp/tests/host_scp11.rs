//! The host's manager and the card manager over SCP11: channels of all three variants end to end, what they are good for, and what ends
//! them before they begin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{Factory, Scp11Profile, TEST_KEY};

use huiwan_gp::host::{
    Coding, Fault, FaultKind, Grouping, HostIdentity, Input, Install, Job, KeyError, KeyHandle, KeyRef,
    KeyStore, Manager, OpenChannel, OpenScp11, Outcome, Personalise, PutKeys, SoftKeyStore, Stage, Step,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::key_information::{self, TAG_E0_KEY_INFORMATION};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp11::Variant;
use huiwan_gp::secure_channel::{Level, Scp};
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;
use scp11_host::*;
use support::*;

type Store = SoftKeyStore<6, 2, Seeded>;
type ScpMapCard<'a> = ScpCard<'a, MapMemory>;

/// The authority of the card's certificates, and the one below it.
const CARD_ROOT: u8 = 0x51;
const CARD_SUB: u8 = 0x52;
const CA: KeyHandle = KeyHandle(1);
const OWN: KeyHandle = KeyHandle(2);
const STRANGER: KeyHandle = KeyHandle(3);
const NEW: KeyRef = KeyRef::direct(5);
const TOY_NAME: Aid = Aid::from_array(TOY_AID);
/// Room for a chain of X.509 certificates.
const OUT: usize = 2048;

fn store() -> Store {
    let mut store = Store::with_random(Seeded::new(3));
    store.insert_single(CA, public(CARD_ROOT).into()).unwrap();
    store.insert_single(OWN, private(HOST).into()).unwrap();
    store.insert_single(STRANGER, private(0x77).into()).unwrap();
    store.insert(4, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(5, &[0x91; 32], &[0x92; 32], &[0x93; 32]).unwrap();
    store
}

/// Certificates of the card's key for a variant, of either kind.
fn card_chain(key: u8, x509: bool) -> Vec<u8> {
    if x509 {
        [X509::authority(CARD_SUB, CARD_ROOT).write(), X509::host(key, CARD_SUB).write()].concat()
    } else {
        [gp_certificate(&[1], SIGNATURE, CARD_SUB, CARD_ROOT), gp_certificate(&[2], AGREEMENT, key, CARD_SUB)]
            .concat()
    }
}

/// STORE DATA of something for a key, in as many blocks as it takes.
fn store_for(id: u8, objects: &[u8]) -> Vec<Vec<u8>> {
    let data = [&[0xA6, 4, 0x83, 2, id, KVN], objects].concat();
    let count = data.chunks(200).count();
    let block = |(n, block): (usize, &[u8])| {
        apdu([0x80, 0xE2, if n + 1 == count { 0x90 } else { 0x10 }, n as u8], block)
    };
    data.chunks(200).enumerate().map(block).collect()
}

fn certificates(id: u8, chain: &[u8]) -> Vec<Vec<u8>> {
    store_for(id, &tlv(&[0xBF, 0x21], &[chain]))
}

/// Commands by the keys of SCP03.
fn admin(card: &mut ScpMapCard<'_>, commands: &[Vec<u8>]) {
    assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
    let mut session = open(card, 0x30, &test_keys(), Level::CMac);
    for command in commands {
        assert_eq!(run(card, &mut session, command).1, 0x9000);
    }
}

/// A card with keys and certificates for all three variants.
fn provisioned(x509: bool) -> MapMemory {
    with_scp11(Scp11Profile::DEFAULT, new_memory(&Factory::TEST), |card| {
        let told = VARIANTS
            .into_iter()
            .flat_map(|variant| certificates(variant.key_id(), &card_chain(card_key(variant), x509)));
        admin(card, &provisioning().into_iter().chain(told).collect::<Vec<_>>());
    })
    .0
}

/// Carries out a job; `way` may change commands and answers.
fn drive<'j>(
    card: &mut ScpMapCard<'_>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
    way: impl Fn(&[u8], &mut Vec<u8>),
) -> (Outcome, Vec<Vec<u8>>) {
    let (mut out, mut key_out) = ([0; OUT], [0; OUT]);
    let (mut answers, mut answer);
    answers = Vec::new();
    let mut step = manager.step(Input::Start(job), &mut out).unwrap();
    for _ in 0..500 {
        let input = match step {
            Step::Send(command) => {
                answer = fetch(card, command);
                way(command, &mut answer);
                Input::Response(&answer)
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Answer { data, .. } => {
                answers.push(data.to_vec());
                Input::Continue
            }
            Step::Stored { .. } => Input::Continue,
            Step::Done(outcome) => return (outcome, answers),
        };
        step = manager.step(input, &mut out).unwrap();
    }
    panic!("the task does not end");
}

fn straight<'j>(
    card: &mut ScpMapCard<'_>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Outcome, Vec<Vec<u8>>) {
    drive(card, store, manager, job, |_, _| ())
}

fn opening<'j>(variant: Variant, chain: &'j [&'j [u8]]) -> OpenScp11<'j> {
    OpenScp11 {
        aid: None,
        variant,
        key_version: KVN,
        key_id: variant.key_id(),
        level: Level::All,
        key_len: 16,
        mode: Mode::S8,
        authority: CA,
        certificates: None,
        host: variant.authenticates_host().then_some(HostIdentity {
            key: OWN,
            certificates: chain,
            authority_version: KVN,
            authority_id: KID_CA,
        }),
        key_diversification: [0; 10],
    }
}

fn refused(stage: Stage, sw: u16) -> Outcome {
    Outcome::Fault(Fault { stage, kind: FaultKind::Status(Sw::new(sw)) })
}

const SECRET: &[u8] = b"sixteen and more bytes";

/// A channel of each variant, and all that is done behind it: by a and c an application, secrets for it, keys that prove themselves; by b
/// what anyone may read.
#[test]
fn channels_end_to_end() {
    let toy = Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: TOY_NAME,
        privileges: Privileges::NONE,
        parameters: Parameters::default(),
        make_selectable: true,
    };
    let script = [
        Grouping { id: 0x0101, value: b"plain", encrypt: false },
        Grouping { id: 0x8201, value: SECRET, encrypt: true },
    ];
    let put =
        Job::PutKeys(PutKeys { key: NEW, version: 0x31, remove_old: false, host_challenge: [7; 8].into() });
    for x509 in [false, true] {
        let memory = provisioned(x509);
        let chain = chain(x509);
        let chain = [&chain[0][..], &chain[1][..]];
        for variant in VARIANTS {
            for (level, key_len, mode) in
                [(Level::All, 16, Mode::S8), (Level::CMacRMac, 24, Mode::S16), (Level::All, 32, Mode::S16)]
            {
                let what = format!("{variant:?} {level:?} {key_len} {mode:?} {x509}");
                let profile = Scp11Profile::DEFAULT.with_mode(mode);
                let (after, ()) = with_scp11(profile, memory.clone(), |card| {
                    let (store, manager) = (&mut store(), &mut Manager::new());
                    let request = OpenScp11 { level, key_len, mode, ..opening(variant, &chain) };
                    let mut job = |card: &mut _, job| straight(card, store, manager, job);
                    assert_eq!(job(card, Job::OpenScp11(request)).0, Outcome::Complete, "{what}");
                    let (outcome, information) = job(card, Job::GetData(TAG_E0_KEY_INFORMATION));
                    assert_eq!(outcome, Outcome::Complete, "{what}");
                    assert_eq!(key_information::keys(&information[0]).unwrap().count(), 7, "{what}");
                    if variant == Variant::B {
                        // Nobody is there: 6982 under the channel's protection, which goes on.
                        assert_eq!(job(card, Job::Install(toy)).0, refused(Stage::Install, 0x6982), "{what}");
                        assert_eq!(job(card, put).0, refused(Stage::PutKey, 0x6982), "{what}");
                        let personalise = Job::Personalise(Personalise::new(None, &script, Coding::GP));
                        assert_eq!(
                            job(card, personalise).0,
                            refused(Stage::StoreData { index: 0, id: 0x0101 }, 0x6982),
                            "{what}"
                        );
                        assert_eq!(job(card, Job::GetData(TAG_E0_KEY_INFORMATION)).1, information);
                        return;
                    }
                    assert_eq!(job(card, Job::Install(toy)).0, Outcome::Complete, "{what}");
                    let personalise = Job::Personalise(Personalise::new(Some(TOY_NAME), &script, Coding::GP));
                    assert_eq!(job(card, personalise).0, Outcome::Complete, "{what}");
                    assert_eq!(job(card, put).0, Outcome::Complete, "{what}");
                    // The channel is one of the new keys' now.
                    let channel = *manager.channel().unwrap();
                    assert!(matches!(channel.protocol, Scp::Scp03(_)));
                    assert_eq!(channel.key_version, 0x31, "{what}");
                });
                if variant == Variant::B {
                    assert_eq!(after.objects, memory.objects, "{what}");
                    continue;
                }
                // What the application got is plain there.
                let held = |id: u16| after.objects.iter().find(|(key, _)| key.0 != 0 && key.1 == id);
                assert_eq!(held(0x0101).unwrap().1, b"plain", "{what}");
                assert_eq!(&held(0x8201).unwrap().1[..SECRET.len()], SECRET, "{what}");
                with_scp11(profile, after, |card| {
                    let (store, manager) = (&mut store(), &mut Manager::new());
                    let request = OpenChannel {
                        aid: None,
                        key_version: 0x31,
                        key: NEW,
                        level: Level::All,
                        host_challenge: [7; 8].into(),
                    };
                    assert_eq!(straight(card, store, manager, Job::Open(request)).0, Outcome::Complete);
                });
            }
        }
    }
}

/// The same host on the same card, once what the test is about has happened: the fault, no channel, and nothing left in the key store.
fn fault(
    variant: Variant,
    setup: &[Vec<u8>],
    request: impl Fn(OpenScp11<'static>) -> OpenScp11<'static>,
    way: impl Fn(&[u8], &mut Vec<u8>),
) -> (Stage, FaultKind) {
    let chain: &'static [Vec<u8>; 2] = Box::leak(Box::new(chain(false)));
    let chain: &'static [&'static [u8]; 2] = Box::leak(Box::new([&chain[0][..], &chain[1][..]]));
    with_scp11(Scp11Profile::DEFAULT, provisioned(false), |card| {
        if !setup.is_empty() {
            admin(card, setup);
        }
        let (store, manager) = (&mut store(), &mut Manager::new());
        let mut last = None;
        // Three times, as the store has room for two sessions.
        for _ in 0..3 {
            let job = Job::OpenScp11(request(opening(variant, chain)));
            let (outcome, _) = drive(card, store, manager, job, &way);
            assert!(manager.channel().is_none());
            assert!(last.is_none_or(|last| last == outcome), "{last:?} {outcome:?}");
            last = Some(outcome);
        }
        // The card lets nobody at its content afterwards.
        assert_eq!(card.sw(&apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00"))), 0x6982);
        match last.unwrap() {
            Outcome::Fault(fault) => (fault.stage, fault.kind),
            Outcome::Complete => panic!("it opens"),
        }
    })
    .1
}

#[test]
fn a_card_that_is_not_what_it_says() {
    let certificate = (Stage::CardCertificates, FaultKind::Key(KeyError::Certificate));
    let receipt = (Stage::Authenticate, FaultKind::Key(KeyError::CardReceipt));
    for variant in VARIANTS {
        let told = |chain: &[u8]| fault(variant, &certificates(variant.key_id(), chain), |r| r, |_, _| ());
        let good = card_chain(card_key(variant), false);
        let own = gp_certificate(&[2], AGREEMENT, card_key(variant), CARD_SUB);
        let sub = gp_certificate(&[1], SIGNATURE, CARD_SUB, CARD_ROOT);
        // Another authority, the chain without its head or its end, another usage, a flipped bit.
        let strange = [gp_certificate(&[1], SIGNATURE, CARD_SUB, ROOT), own.clone()].concat();
        let usage = [sub.clone(), gp_certificate(&[2], SIGNATURE, card_key(variant), CARD_SUB)].concat();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for chain in [&strange, &own, &sub, &usage, &flipped, &good[..good.len() - 1].to_vec()] {
            assert_eq!(told(chain), certificate, "{variant:?}");
        }
        // A good certificate, and the card has not the key in it.
        assert_eq!(told(&card_chain(0x26, false)), receipt, "{variant:?}");
        // None at all.
        let none = fault(variant, &certificates(variant.key_id(), &[]), |r| r, |_, _| ());
        assert_eq!(none, (Stage::CardCertificates, FaultKind::Status(Sw::new(0x6A88))));
        // A key that the card does not have; certificates the host has already are not asked for.
        let chain: &'static [u8] = Box::leak(good.clone().into_boxed_slice());
        let known = |r: OpenScp11<'static>| OpenScp11 { certificates: Some(chain), key_version: 9, ..r };
        assert_eq!(
            fault(variant, &[], known, |_, _| ()),
            (Stage::Authenticate, FaultKind::Status(Sw::new(0x6A88)))
        );
        // The answer to the handshake changed on its way: point, receipt, their lengths.
        for at in [0, 2, 3, 40, 67, 68, 69, 70, 85] {
            let changed = |command: &[u8], answer: &mut Vec<u8>| {
                if command[1] == variant.ins() {
                    answer[at] ^= 1;
                }
            };
            assert_eq!(fault(variant, &[], |r| r, changed), receipt, "{variant:?} {at}");
        }
    }
}

#[test]
fn a_host_that_is_not_welcome() {
    for variant in [Variant::A, Variant::C] {
        let refused = |stage, sw| (stage, FaultKind::Status(Sw::new(sw)));
        let list = |id: u8, serials: &[u8]| store_for(id, &tlv(&[0x70], &[serials]));
        let listed = tlv(&[0x93], &[&[0x99, HOST]]);
        let other = tlv(&[0x93], &[&[0x99, 0x77]]);
        let with = |setup: &[Vec<u8>]| fault(variant, setup, |r| r, |_, _| ());
        // The list of the authority's key counts with the certificate, that of the card's with the handshake.
        assert_eq!(with(&list(KID_CA, &other)), refused(Stage::HostCertificates, 0x6640));
        assert_eq!(with(&list(variant.key_id(), &other)), refused(Stage::Authenticate, 0x6640));
        // On both lists; of another variant's key nobody asks.
        let third = if variant == Variant::A { 0x15 } else { 0x11 };
        let lists = [list(KID_CA, &listed), list(variant.key_id(), &listed), list(third, &other)].concat();
        with_scp11(Scp11Profile::DEFAULT, provisioned(false), |card| {
            admin(card, &lists);
            let chain = chain(false);
            let chain = [&chain[0][..], &chain[1][..]];
            let job = Job::OpenScp11(opening(variant, &chain));
            assert_eq!(straight(card, &mut store(), &mut Manager::new(), job).0, Outcome::Complete);
        });
        // Another authority's chain, none, one that is cut, another key than the certificate's.
        let changed = |certificates: Vec<Vec<u8>>| -> (Stage, FaultKind) {
            let certificates: &'static [Vec<u8>] = Box::leak(certificates.into_boxed_slice());
            let slices: Vec<&'static [u8]> = certificates.iter().map(|c| &c[..]).collect();
            let slices: &'static [&'static [u8]] = Box::leak(slices.into_boxed_slice());
            let request = |r: OpenScp11<'static>| {
                let host = r.host.map(|host| HostIdentity { certificates: slices, ..host });
                OpenScp11 { host, ..r }
            };
            fault(variant, &[], request, |_, _| ())
        };
        let good = chain(false);
        let strange = vec![gp_certificate(&[1], SIGNATURE, MIDDLE, 0x66), good[1].clone()];
        assert_eq!(changed(strange), refused(Stage::HostCertificates, 0x6600));
        assert_eq!(changed(vec![good[1].clone()]), refused(Stage::HostCertificates, 0x6600));
        assert_eq!(changed(vec![good[0].clone()]), refused(Stage::HostCertificates, 0x6600));
        assert_eq!(changed(vec![]), refused(Stage::Authenticate, 0x6985));
        let stranger = |r: OpenScp11<'static>| {
            let host = r.host.map(|host| HostIdentity { key: STRANGER, ..host });
            OpenScp11 { host, ..r }
        };
        // The card cannot know; its receipt tells the host, and the MACs of a stranger would tell the card.
        assert_eq!(
            fault(variant, &[], stranger, |_, _| ()),
            (Stage::Authenticate, FaultKind::Key(KeyError::CardReceipt))
        );
    }
}
