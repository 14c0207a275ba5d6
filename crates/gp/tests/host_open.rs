//! Opening channels with the manager: SCP11 by certificates, SCP02 without a handshake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_card;
mod support;

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
use huiwan_crypto::{Random, RandomFailed};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::diversification::Scheme;
use huiwan_gp::get_data::TAG_C1_SEQUENCE_COUNTER;
use huiwan_gp::host::key_store::{Derivation, Scp11Request, SingleKey};
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    FaultKind, HostIdentity, Input, Job, KeyAnswer, KeyError, KeyHandle, KeyRef, KeyRequest, KeyStore,
    Manager, OpenChannel, OpenImplicit, OpenScp11, Outcome, PutKeys, SessionId, SoftKeyStore, Stage, Step,
};
use huiwan_gp::scp02::{Options, Sequence};
use huiwan_gp::scp03::{Level, Mode};
use huiwan_gp::scp11::{Authenticate, Variant};
use huiwan_gp::secure_channel::Scp;
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::{hex, vectors};
use scp11_card::{
    AGREEMENT, AUTHORITY, CARD, CARD_ROOT, CARD_SUB, HOST, KEY_VERSION, SIGNATURE, Scp11Card, certificate,
    certificate_of, host_chain, private, public,
};
use support::{Card, MapMemory, new_memory, with_card};

type Store = SoftKeyStore<8, 2, Seeded>;

const CA: KeyHandle = KeyHandle(1);
const OWN: KeyHandle = KeyHandle(2);
const STRANGER: KeyHandle = KeyHandle(3);
const AES: KeyHandle = KeyHandle(4);

/// GET STATUS of the issuer domain.
const STATUS: [u8; 8] = [0x80, 0xF2, 0x80, 0x02, 0x02, 0x4F, 0x00, 0x00];

fn store() -> Store {
    let mut store = Store::with_random(Seeded::new(3));
    store.insert_single(CA, public(CARD_ROOT).into()).unwrap();
    store.insert_single(OWN, private(HOST).into()).unwrap();
    store.insert_single(STRANGER, private(0x77).into()).unwrap();
    store.insert_single(AES, SingleKey::aes(&[1; 16]).unwrap()).unwrap();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_des(2, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store
}

/// Runs a task on whatever answers; returns its answers too.
fn run<'j>(
    mut card: impl FnMut(&[u8]) -> Vec<u8>,
    store: &mut impl KeyStore,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Outcome, Vec<Vec<u8>>) {
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut answers = Vec::new();
    let mut answer;
    let mut step = manager.step(Input::Start(job), &mut out).unwrap();
    for _ in 0..100 {
        let input = match step {
            Step::Send(command) => {
                answer = card(command);
                if answer.is_empty() { Input::CardLost } else { Input::Response(&answer) }
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

fn fault(outcome: Outcome) -> (Stage, FaultKind) {
    match outcome {
        Outcome::Fault(fault) => {
            assert!(fault.to_string().contains("; "), "{fault}");
            (fault.stage, fault.kind)
        }
        Outcome::Complete => panic!("complete"),
    }
}

fn open_scp11<'j>(variant: Variant, mode: Mode, certificates: &'j [&'j [u8]]) -> OpenScp11<'j> {
    OpenScp11 {
        aid: None,
        variant,
        key_version: KEY_VERSION,
        key_id: variant.key_id(),
        level: Level::All,
        key_len: 16,
        mode,
        authority: CA,
        certificates: None,
        host: variant.authenticates_host().then_some(HostIdentity {
            key: OWN,
            certificates,
            authority_version: AUTHORITY.0,
            authority_id: AUTHORITY.1,
        }),
        key_diversification: [0; 10],
    }
}

#[test]
fn scp11_in_every_variant() {
    let chain = host_chain();
    let certificates = [&chain[0][..], &chain[1][..]];
    for variant in [Variant::A, Variant::B, Variant::C] {
        for mode in [Mode::S8, Mode::S16] {
            for (level, key_len) in [(Level::All, 16), (Level::CMacRMac, 24), (Level::All, 32)] {
                let (mut card, store, manager) =
                    (Scp11Card::new(variant, mode), &mut store(), &mut Manager::new());
                let request = OpenScp11 { level, key_len, ..open_scp11(variant, mode, &certificates) };
                let (outcome, _) = run(|c| card.send(c), store, manager, Job::OpenScp11(request));
                assert_eq!(outcome, Outcome::Complete, "{variant:?} {mode:?} {level:?}");
                let pso = [[0x80, 0x2A, 0x10, 0xA0], [0x90, 0x2A, 0x10, 0x20], [0x80, 0x2A, 0x10, 0x20]];
                let mut expected = vec![[0x00, 0xA4, 0x04, 0x00], [0x80, 0xCA, 0xBF, 0x21]];
                if variant != Variant::B {
                    expected.extend(pso);
                }
                expected.push([0x80, variant.ins(), KEY_VERSION, variant.key_id()]);
                assert_eq!(card.seen, expected);
                let channel = manager.channel().unwrap();
                assert_eq!(
                    (channel.level, channel.protocol.max_command_data(level)),
                    (level, { mode.max_command_data(level) })
                );
                // The session carries commands, and its own DEK encrypts.
                let command = [0x80, 0xE2, 0x00, 0x00, 0x03, 1, 2, 3, 0x00];
                let (outcome, answers) = run(|c| card.send(c), store, manager, Job::Command(&command));
                assert_eq!((outcome, answers), (Outcome::Complete, vec![vec![1, 2, 3]]));
                let session = manager.channel().unwrap().session;
                let mut out = [0; 16];
                assert!(store.encrypt(session, &[0; 16], &mut out).is_ok());
                assert_eq!(card.session.is_open(), variant != Variant::B);
                assert_eq!(run(|c| card.send(c), store, manager, Job::Close).0, Outcome::Complete);
                assert_eq!(store.encrypt(session, &[0; 16], &mut out), Err(KeyError::UnknownSession));
            }
        }
    }
}

#[test]
fn scp11_certificates_have_their_time() {
    let chain = host_chain();
    let certificates = [&chain[0][..], &chain[1][..]];
    // The last day is 2035-01-01.
    for (year, month, day, valid) in [(2034, 12, 31, true), (2035, 1, 1, true), (2035, 1, 2, false)] {
        let (store, manager) = (&mut store(), &mut Manager::new());
        store.set_time(huiwan_card::DateTime { year, month, day, hour: 12, minute: 0, second: 0 });
        let mut card = Scp11Card::new(Variant::A, Mode::S8);
        let job = Job::OpenScp11(open_scp11(Variant::A, Mode::S8, &certificates));
        let (outcome, _) = run(|c| card.send(c), store, manager, job);
        if valid {
            assert_eq!(outcome, Outcome::Complete, "{year}-{month}-{day}");
        } else {
            let refused = (Stage::CardCertificates, FaultKind::Key(KeyError::Certificate));
            assert_eq!(fault(outcome), refused);
        }
    }
}

#[test]
fn scp11_refused_or_false() {
    let chain = host_chain();
    let certificates = [&chain[0][..], &chain[1][..]];
    for variant in [Variant::A, Variant::B, Variant::C] {
        let good = open_scp11(variant, Mode::S8, &certificates);
        // Twice, so that a session left behind in the store (which has two) would show.
        let ends = |setup: &dyn Fn(&mut Scp11Card), request: OpenScp11<'_>| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            let mut last = None;
            for _ in 0..3 {
                let mut card = Scp11Card::new(variant, Mode::S8);
                setup(&mut card);
                let (outcome, _) = run(|c| card.send(c), store, manager, Job::OpenScp11(request));
                assert!(manager.channel().is_none());
                assert!(last.is_none_or(|last| last == outcome));
                last = Some(outcome);
            }
            fault(last.unwrap())
        };
        let certificate_refused = (Stage::CardCertificates, FaultKind::Key(KeyError::Certificate));
        let with_chain = |chain: Vec<u8>| move |card: &mut Scp11Card| card.chain = chain.clone();
        let key = |error| FaultKind::Key(error);
        // Another authority; a chain that ends early; a certificate of another usage; one flipped bit; nothing.
        let own = certificate(2, AGREEMENT, CARD, CARD_SUB, 0);
        assert_eq!(ends(&with_chain(own), good), certificate_refused);
        assert_eq!(
            ends(&with_chain(certificate(1, SIGNATURE, CARD_SUB, CARD_ROOT, 0)), good),
            certificate_refused
        );
        let misused =
            [certificate(1, AGREEMENT, CARD_SUB, CARD_ROOT, 0), certificate(2, AGREEMENT, CARD, CARD_SUB, 0)];
        assert_eq!(ends(&with_chain(misused.concat()), good), certificate_refused);
        let mut flipped = scp11_card::card_chain();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(ends(&with_chain(flipped), good), certificate_refused);
        assert_eq!(ends(&with_chain(Vec::new()), good), certificate_refused);
        // A good certificate of another key: the receipt is wrong.
        let other =
            [certificate(1, SIGNATURE, CARD_SUB, CARD_ROOT, 0), certificate(2, AGREEMENT, 0x55, CARD_SUB, 0)];
        let receipt = (Stage::Authenticate, key(KeyError::CardReceipt));
        assert_eq!(ends(&with_chain(other.concat()), good), receipt);
        for at in [3, 60, 68, 70, 85] {
            assert_eq!(ends(&|card: &mut Scp11Card| card.flip = Some(at), good), receipt, "{at}");
        }
        // The store lacks a key, or has one of another kind.
        let unknown = (Stage::CardCertificates, key(KeyError::UnknownKey));
        let algorithm = (Stage::CardCertificates, key(KeyError::Algorithm));
        assert_eq!(ends(&|_| (), OpenScp11 { authority: KeyHandle(9), ..good }), unknown);
        assert_eq!(ends(&|_| (), OpenScp11 { authority: AES, ..good }), algorithm);
        assert_eq!(
            ends(&|_| (), OpenScp11 { authority: OWN, ..good }),
            certificate_refused,
            "an authority that is not the card's"
        );
        assert_eq!(
            ends(&|_| (), OpenScp11 { level: Level::CMac, ..good }),
            (Stage::CardCertificates, key(KeyError::Level))
        );
        // The card has no such key.
        let absent = (Stage::CardCertificates, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND));
        assert_eq!(ends(&|_| (), OpenScp11 { key_version: 9, ..good }), absent);
        if let Some(host) = good.host {
            // Another key than the certificate's: the card cannot know it, so the receipt tells.
            let stranger = HostIdentity { key: STRANGER, ..host };
            assert_eq!(ends(&|_| (), OpenScp11 { host: Some(stranger), ..good }), receipt);
            let missing = HostIdentity { key: KeyHandle(9), ..host };
            assert_eq!(
                ends(&|_| (), OpenScp11 { host: Some(missing), ..good }),
                (Stage::Authenticate, key(KeyError::UnknownKey))
            );
            // The card knows neither this authority nor this order.
            let unknown = HostIdentity { authority_id: 0x21, ..host };
            assert_eq!(
                ends(&|_| (), OpenScp11 { host: Some(unknown), ..good }),
                (Stage::HostCertificates, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND))
            );
            let reversed = [certificates[1], certificates[0]];
            let reversed = HostIdentity { certificates: &reversed, ..host };
            assert_eq!(
                ends(&|_| (), OpenScp11 { host: Some(reversed), ..good }),
                (Stage::HostCertificates, FaultKind::Status(Sw::new(0x6600)))
            );
            let nobody = HostIdentity { certificates: &[], ..host };
            assert_eq!(
                ends(&|_| (), OpenScp11 { host: Some(nobody), ..good }),
                (Stage::Authenticate, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND))
            );
        }
        // A card that goes away at any command leaves no session behind.
        for lost_at in 0..6 {
            let (store, manager) = (&mut store(), &mut Manager::new());
            for _ in 0..3 {
                let mut card = Scp11Card::new(variant, Mode::S8);
                let mut sent = 0;
                let (outcome, _) = run(
                    |command| {
                        sent += 1;
                        if sent > lost_at { Vec::new() } else { card.send(command) }
                    },
                    store,
                    manager,
                    Job::OpenScp11(good),
                );
                if variant == Variant::B && lost_at > 2 {
                    assert_eq!(outcome, Outcome::Complete);
                    run(|_| Vec::new(), store, manager, Job::Close);
                } else {
                    assert_eq!(fault(outcome).1, FaultKind::CardLost, "{lost_at}");
                }
            }
        }
    }
}

#[test]
fn a_store_without_randomness_opens_no_scp11() {
    let mut poor = SoftKeyStore::<4, 1>::new();
    poor.insert_single(CA, public(CARD_ROOT).into()).unwrap();
    let mut card = Scp11Card::new(Variant::B, Mode::S8);
    let request = open_scp11(Variant::B, Mode::S8, &[]);
    let (outcome, _) = run(|c| card.send(c), &mut poor, &mut Manager::new(), Job::OpenScp11(request));
    assert_eq!(fault(outcome), (Stage::CardCertificates, FaultKind::Key(KeyError::Unavailable)));
}

/// Gives out the ephemeral key of a published session.
struct Published(Vec<u8>);

impl Random for Published {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

#[test]
fn the_store_agrees_as_in_published_sessions() {
    let file = vectors::load(include_str!("vectors/scp11.txt"));
    let mut variants = Vec::new();
    for v in file.group("scp11_session").filter(|v| !v.is_weak() && v.text("in.curve") == "secp256r1") {
        let raw = v.bytes("in.authenticate_command");
        let command = Command::parse(&raw).unwrap();
        let asked = Authenticate::parse(command.data()).unwrap();
        let mut store = SoftKeyStore::<2, 1, _>::with_random(Published(v.bytes("in.oce_ephemeral_private")));
        store.insert_single(CA, public(CARD_ROOT).into()).unwrap();
        let own = EcPrivate::<P256>::new(&v.bytes("in.oce_static_private")).unwrap();
        store.insert_single(OWN, own.into()).unwrap();
        // The published certificate's authority is not published: ours certifies the same key.
        let card = EcPublic::<P256>::new(&v.bytes("in.sd_public")).unwrap();
        let certificates = certificate_of(1, AGREEMENT, card, CARD_ROOT, 0);
        let request = Scp11Request {
            variant: asked.variant,
            level: asked.level,
            key_len: asked.key_len,
            mode: if v.text("in.s16") == "true" { Mode::S16 } else { Mode::S8 },
            authority: CA,
            own: Some(OWN),
        };
        let mut out = [0; 300];
        let begin = KeyRequest::BeginScp11 { request, certificates: &certificates };
        let KeyAnswer::Agreeing { session, data } = store.answer(&begin, &mut out) else { panic!() };
        assert_eq!(data, command.data(), "{}", v.id());
        let response = v.bytes("in.authenticate_response");
        let finish = KeyRequest::FinishScp11 { session, answer: &response[..response.len() - 2] };
        assert_eq!(store.answer(&finish, &mut out), KeyAnswer::Ready(session), "{}", v.id());
        for n in 0.. {
            let Some(plain) = v.get(&format!("out.commands.{n}.plain")) else { break };
            let wrapped = v.bytes(&format!("out.commands.{n}.wrapped"));
            assert_eq!(store.wrap(session, &hex(plain), &mut out).unwrap(), wrapped, "{} {n}", v.id());
            let response = v.bytes(&format!("out.commands.{n}.response"));
            let opened = store.unwrap(session, &response, &mut out).unwrap();
            assert_eq!(opened[..opened.len() - 2], v.bytes(&format!("out.commands.{n}.response_plain")));
        }
        variants.push(asked.variant);
    }
    assert!(variants.contains(&Variant::A) && variants.contains(&Variant::C), "{variants:?}");
}

/// A store that is away at one request.
struct Away<S> {
    inner: S,
    left: usize,
}

impl<S: KeyStore> Away<S> {
    fn answer<'o>(&mut self, request: &KeyRequest<'_>, out: &'o mut [u8]) -> KeyAnswer<'o> {
        let here = self.left != 0;
        self.left = self.left.wrapping_sub(1);
        if here { self.inner.answer(request, out) } else { KeyAnswer::Refused(KeyError::Unavailable) }
    }
}

#[test]
fn a_store_that_is_away_ends_the_task_and_leaves_nothing() {
    let chain = host_chain();
    let certificates = [&chain[0][..], &chain[1][..]];
    for variant in [Variant::A, Variant::B, Variant::C] {
        for away_at in 0..3 {
            let (mut manager, mut card) = (Manager::new(), Scp11Card::new(variant, Mode::S8));
            let mut store = Away { inner: store(), left: away_at };
            let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
            let job = Job::OpenScp11(open_scp11(variant, Mode::S8, &certificates));
            let mut step = manager.step(Input::Start(job), &mut out).unwrap();
            let mut answer;
            let outcome = loop {
                let input = match step {
                    Step::Send(command) => {
                        answer = card.send(command);
                        Input::Response(&answer)
                    }
                    Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                    Step::Done(outcome) => break outcome,
                    _ => Input::Continue,
                };
                step = manager.step(input, &mut out).unwrap();
            };
            if away_at == 2 {
                assert_eq!(outcome, Outcome::Complete);
                continue;
            }
            assert_eq!(fault(outcome).1, FaultKind::Key(KeyError::Unavailable));
            assert!(manager.channel().is_none());
            // What had begun was closed.
            let session = SessionId(1);
            let unknown = store.inner.finish_scp11(session, &[]);
            assert_eq!(unknown, Err(KeyError::UnknownSession));
        }
    }
}

fn profile(options: Options) -> CardProfile {
    CardProfile::DEFAULT.with_scp02(options)
}

fn open_implicit(options: Options, sequence: Option<Sequence>) -> OpenImplicit {
    OpenImplicit {
        aid: None,
        options,
        key_version: 0x20,
        key: KeyRef::direct(2),
        sequence,
        key_diversification: None,
    }
}

/// A card of which only the DES key set is left, so that C1 is SCP02's.
fn with_des_card(options: Options, f: impl FnOnce(&mut Card<'_, MapMemory>)) {
    let profile = profile(options);
    with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        let open = Job::OpenImplicit(open_implicit(options, Some(Sequence::ZERO)));
        assert_eq!(run(|c| card.send(c), store, manager, open).0, Outcome::Complete);
        let delete = Job::Delete(Target::Key { id: None, version: Some(0x30) });
        assert_eq!(run(|c| card.send(c), store, manager, delete).0, Outcome::Complete);
        card.power_on();
        f(card);
    });
}

#[test]
fn scp02_without_a_handshake() {
    for options in [Options::I0A, Options::I0B, Options::I1A, Options::I1B] {
        with_des_card(options, |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            for spent in 1..4_u8 {
                // The counter is read from the card, or known.
                let sequence = (spent == 2).then_some(Sequence::from_bytes([0, spent]));
                let mut sent = Vec::new();
                let open = Job::OpenImplicit(open_implicit(options, sequence));
                let (outcome, _) = run(
                    |command| {
                        sent.push(command[1]);
                        card.send(command)
                    },
                    store,
                    manager,
                    open,
                );
                assert_eq!(outcome, Outcome::Complete);
                let expected: &[u8] = if spent == 2 { &[0xA4] } else { &[0xA4, 0xCA] };
                assert_eq!(sent, expected);
                let channel = manager.channel().unwrap();
                assert_eq!((channel.protocol, channel.level), (Scp::Scp02(options), Level::CMac));
                // Nothing has opened yet; the first command does.
                let (outcome, answers) = run(|c| card.send(c), store, manager, Job::Command(&STATUS));
                assert_eq!((outcome, answers.len()), (Outcome::Complete, 1));
                assert!(!answers[0].is_empty());
                let (_, counter) =
                    run(|c| card.send(c), store, manager, Job::GetData(TAG_C1_SEQUENCE_COUNTER));
                assert_eq!(counter, [vec![0xC1, 2, 0, spent + 1]]);
            }
            // A wrong counter: the first command is refused, the next session is as good as before.
            let wrong = Job::OpenImplicit(open_implicit(options, Some(Sequence::from_bytes([0, 9]))));
            assert_eq!(run(|c| card.send(c), store, manager, wrong).0, Outcome::Complete);
            let delete = Job::Delete(Target::Key { id: None, version: Some(0x30) });
            let (outcome, _) = run(|c| card.send(c), store, manager, delete);
            assert_eq!(fault(outcome), (Stage::Delete, FaultKind::Status(Sw::SECURITY_STATUS)));
            let open = Job::OpenImplicit(open_implicit(options, None));
            assert_eq!(run(|c| card.send(c), store, manager, open).0, Outcome::Complete);
            let (outcome, _) = run(|c| card.send(c), store, manager, delete);
            assert_eq!(outcome, Outcome::Complete, "not there any more");
            // New AES keys come in under the session's DEK, in CBC, and prove themselves over SCP03.
            let put = PutKeys {
                key: KeyRef::direct(1),
                version: 0x31,
                remove_old: false,
                host_challenge: [8; 16].into(),
            };
            assert_eq!(run(|c| card.send(c), store, manager, Job::PutKeys(put)).0, Outcome::Complete);
            assert!(matches!(manager.channel().unwrap().protocol, Scp::Scp03(_)));
        });
    }
}

#[test]
fn what_cannot_be_opened_without_a_handshake() {
    with_des_card(Options::I1A, |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        let good = open_implicit(Options::I1A, Some(Sequence::from_bytes([0, 1])));
        let mut refused =
            |request| fault(run(|c| card.send(c), store, manager, Job::OpenImplicit(request)).0);
        let key = |error| (Stage::Initiate, FaultKind::Key(error));
        assert_eq!(refused(OpenImplicit { options: Options::I15, ..good }), key(KeyError::Unavailable));
        assert_eq!(refused(OpenImplicit { key: KeyRef::direct(1), ..good }), key(KeyError::Algorithm));
        assert_eq!(refused(OpenImplicit { key: KeyRef::direct(7), ..good }), key(KeyError::UnknownKey));
        let last = Some(Sequence::LAST);
        assert_eq!(refused(OpenImplicit { sequence: last, ..good }), key(KeyError::Unavailable));
        // Derived keys need the card's data, which it is asked for.
        let derived =
            OpenImplicit { key: KeyRef { id: 2, derivation: Derivation::Des(Scheme::Visa2) }, ..good };
        let (outcome, _) = run(|c| card.send(c), store, manager, Job::OpenImplicit(derived));
        assert_eq!(outcome, Outcome::Complete);
        let told = card.send(&[0x80, 0xCA, 0x00, 0xCF, 0x00]);
        assert_eq!(manager.channel().unwrap().key_diversification, told[2..12]);
        for answer in [vec![0x6A, 0x88], vec![0xCF, 0x02, 1, 2, 0x90, 0x00]] {
            let (outcome, _) = run(
                |command| if command[1] == 0xCA { answer.clone() } else { card.send(command) },
                store,
                manager,
                Job::OpenImplicit(derived),
            );
            assert_eq!(fault(outcome).0, Stage::GetData);
        }
    });
    // C1 of a card whose default keys are of SCP03 has three bytes.
    with_card(&profile(Options::I1A), new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let open = Job::OpenImplicit(open_implicit(Options::I1A, None));
        let (outcome, _) = run(|c| card.send(c), &mut store(), &mut Manager::new(), open);
        assert_eq!(fault(outcome), (Stage::GetData, FaultKind::Malformed("sequence counter")));
    });
}

#[test]
fn recognition_data_that_name_nothing_but_implicit_initiation() {
    with_des_card(Options::I1A, |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        // Our own card always speaks SCP03 too; this one says it does not.
        let mut fci = [0; 128];
        let mut w = huiwan_tlv::Writer::new(&mut fci);
        w.nested(huiwan_tlv::Tag::new(0x6F), |w| {
            w.put(huiwan_tlv::Tag::new(0x84), CardProfile::DEFAULT.issuer_aid.as_bytes());
            w.nested(huiwan_tlv::Tag::new(0xA5), |w| {
                huiwan_gp::recognition::write_template(w, [Scp::Scp02(Options::I1A).into()].into_iter());
            });
        });
        let fci = [&*w.finish().unwrap(), &[0x90, 0x00]].concat();
        let open = |level| {
            Job::Open(OpenChannel {
                aid: None,
                key_version: 0x20,
                key: KeyRef::direct(2),
                level,
                host_challenge: [1; 8].into(),
            })
        };
        let mut send = |command: &[u8]| {
            let answer = card.send(command);
            if command[1] == 0xA4 { fci.clone() } else { answer }
        };
        let (outcome, _) = run(&mut send, store, manager, open(Level::CMacCEnc));
        assert_eq!(fault(outcome), (Stage::Initiate, FaultKind::Key(KeyError::Level)));
        assert_eq!(run(&mut send, store, manager, open(Level::CMac)).0, Outcome::Complete);
        let (outcome, answers) = run(&mut send, store, manager, Job::Command(&STATUS));
        assert_eq!((outcome, answers.len()), (Outcome::Complete, 1));
    });
}

#[test]
fn answers_that_do_not_fit_end_the_task() {
    let chain = host_chain();
    let certificates = [&chain[0][..], &chain[1][..]];
    let mut card = Scp11Card::new(Variant::A, Mode::S8);
    let mut manager = Manager::new();
    let mut out = [0; OUT_LEN];
    let job = Job::OpenScp11(open_scp11(Variant::A, Mode::S8, &certificates));
    let mut step = manager.step(Input::Start(job), &mut out).unwrap();
    let mut answer;
    loop {
        let input = match step {
            Step::Send(command) => {
                answer = card.send(command);
                Input::Response(&answer)
            }
            Step::Key(KeyRequest::BeginScp11 { .. }) => Input::Key(KeyAnswer::Bytes(&[1, 2, 3])),
            Step::Key(_) => panic!("no session was begun"),
            Step::Done(outcome) => {
                let kind = FaultKind::Malformed("key store answer");
                assert_eq!(fault(outcome), (Stage::CardCertificates, kind));
                break;
            }
            _ => Input::Continue,
        };
        step = manager.step(input, &mut out).unwrap();
    }
}
