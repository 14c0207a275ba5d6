//! Scripts for every protocol whose sessions are known ahead: SCP03 in S16 mode, SCP02 without a handshake and with R-MAC, SCP11c.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_card;
mod support;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::host::key_store::{KeyHandle, SingleKey};
use huiwan_gp::host::manager::{self, Manager};
use huiwan_gp::host::player::{self, End, Player, Report};
use huiwan_gp::host::script::{
    self, Action, Allowed, Plan, Protocol, Script, ScriptCard, WriteError, sequences,
};
use huiwan_gp::host::tsm_job::Goal;
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, HostIdentity, Install, Job, KeyError, KeyRef, KeyStore, OpenImplicit,
    OpenScp11, Outcome, Personalise, SoftKeyStore,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp02::{self, Sequence};
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Level, Mode, Octets, Options};
use huiwan_gp::scp11::Variant;
use huiwan_tlv::Tag;
use scp11_card::{
    AGREEMENT, AUTHORITY, CARD, CARD_ROOT, CARD_SUB, HOST, KEY_VERSION, SIGNATURE, Scp11Card, certificate,
    host_chain, private, public,
};
use support::*;

const AES: KeyRef = KeyRef::direct(1);
const DES: KeyRef = KeyRef::direct(2);
const CA: KeyHandle = KeyHandle(1);
const OWN: KeyHandle = KeyHandle(2);
const APP: Aid = Aid::from_array(TOY_AID);
const TEMPLATE: Tag = Tag::new(0x66);
const GROUPINGS: [Grouping<'static>; 2] = [
    Grouping { id: 0x0101, value: &[5; 300], encrypt: false },
    Grouping { id: 0x8000, value: &[9; 48], encrypt: true },
];

fn store() -> SoftKeyStore<4, 2> {
    let mut store = SoftKeyStore::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_des(2, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_single(CA, public(CARD_ROOT).into()).unwrap();
    store.insert_single(OWN, private(HOST).into()).unwrap();
    store
}

fn written(plan: Plan<'_>) -> Result<Vec<u8>, WriteError> {
    let (mut store, mut out) = (store(), [0; 4096]);
    let written = script::write(plan, &mut store, &mut out).map(<[u8]>::to_vec);
    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
    written
}

/// Goes through the session once more with these answers.
fn checked(plan: Plan<'_>, answers: &[(u16, Vec<u8>)]) -> Result<Vec<u8>, WriteError> {
    let (mut store, mut out) = (store(), [0; 4096]);
    let answers: Vec<_> = answers.iter().map(|(entry, answer)| (*entry, &answer[..])).collect();
    let checked = script::check(plan, &mut store, &answers, &mut out).map(<[u8]>::to_vec);
    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
    checked
}

/// Plays on whatever answers; the link breaks before this command.
fn play(
    mut player: Player<'_>,
    lost_at: usize,
    mut card: impl FnMut(&[u8]) -> Vec<u8>,
) -> (Report, Vec<(u16, Vec<u8>)>, usize) {
    let (mut out, mut answer, mut kept, mut sent) = ([0; player::OUT_LEN], vec![], vec![], 0);
    let mut input = player::Input::Start;
    loop {
        input = match player.step(input, &mut out).unwrap() {
            player::Step::Send(_) if sent == lost_at => player::Input::Lost,
            player::Step::Send(command) => {
                sent += 1;
                answer = card(command);
                player::Input::Response(&answer)
            }
            player::Step::Keep(entry) => {
                kept.push((entry, answer.clone()));
                player::Input::Continue
            }
            player::Step::Done(report) => return (report, kept, sent),
        };
    }
}

const NEVER: usize = usize::MAX;

fn issued() -> Goal<'static> {
    let install = Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: APP,
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", ..Parameters::default() },
        make_selectable: true,
    };
    let personalise = Personalise::new(Some(APP), &GROUPINGS, Coding::GP);
    Goal::Issued { install, personalise }
}

/// The toy is there and holds what the script brought.
fn is_issued(card: &mut Card<'_, MapMemory>) {
    card.power_on();
    assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
    assert_eq!(card.send(&[0x80, 0x10, 0x80, 0x00, 0x00]), [&[9; 48][..], &[0x90, 0x00]].concat());
}

fn s16(options: Options) -> Options {
    options.with_mode(Mode::S16)
}

fn scp03(options: Options, counter: u8) -> ScriptCard<'static> {
    ScriptCard {
        aid: CardProfile::DEFAULT.issuer_aid,
        key_version: 0x30,
        key: AES,
        key_diversification: Factory::TEST.key_diversification,
        protocol: Protocol::Scp03 { options, counter: Counter::from_bytes([0, 0, counter]) },
    }
}

fn scp02(options: scp02::Options, sequence: u8) -> ScriptCard<'static> {
    let sequence = Sequence::from_bytes([0, sequence]);
    ScriptCard {
        key_version: 0x20,
        key: DES,
        protocol: Protocol::Scp02 { options, sequence },
        ..scp03(Options::I70, 0)
    }
}

fn plan<'j>(
    card: ScriptCard<'j>,
    level: Level,
    host_challenge: impl Into<Octets>,
    probe: Option<Aid>,
    actions: &'j [Action<'j>],
) -> Plan<'j> {
    Plan { job: 9, card, level, host_challenge: host_challenge.into(), probe, actions, used: &[] }
}

#[test]
fn s16_is_as_predictable_as_s8() {
    for (options, level) in [
        (Options::I10, Level::CMac),
        (Options::I10, Level::CMacCEnc),
        (Options::I30, Level::CMacRMac),
        (Options::I70, Level::All),
    ] {
        let profile = CardProfile::DEFAULT.with_scp03(s16(options));
        with_card(&profile, new_memory(&Factory::TEST), |card| {
            let goal = issued();
            let (probe, mut actions) = script::for_goal(&goal);
            actions.last_mut().unwrap().keep = true;
            let raws: Vec<_> = (1..4)
                .map(|n| written(plan(scp03(s16(options), n), level, [n; 16], probe, &actions)).unwrap())
                .collect();
            let scripts: Vec<_> = raws.iter().map(|raw| Script::parse(raw).unwrap()).collect();
            assert_eq!(scripts[0].header().host_challenge, [1; 16]);
            assert_eq!(scripts[0].used().unwrap().host_challenge, Octets::from([1; 16]));
            // One value of the window is lost; the next script is due and does it.
            let (report, ..) = play(Player::new(&scripts), 7, |command| card.send(command));
            assert_eq!(report.end, End::Lost);
            card.power_on();
            let (report, kept, _) = play(Player::new(&scripts), NEVER, |command| card.send(command));
            assert_eq!((report.end, report.counter), (End::Complete, Counter::from_bytes([0, 0, 2])));
            is_issued(card);
            // What came back is the card's.
            let again = plan(scp03(s16(options), 2), level, [2; 16], probe, &actions);
            assert_eq!(checked(again, &kept).as_ref(), Ok(&raws[1]), "{level:?}");
            if level.r_mac() {
                let mut forged = kept;
                forged[0].1[0] ^= 1;
                assert_eq!(checked(again, &forged), Err(WriteError::Key(KeyError::NotAuthentic)));
            }
        });
    }
    // A challenge of the other mode's length is none.
    let refused = |options, challenge: Octets| {
        written(plan(scp03(options, 1), Level::CMac, challenge, None, &[])).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(s16(Options::I10), [1; 8].into()), WriteError::Challenge);
    assert_eq!(refused(Options::I10, [1; 16].into()), WriteError::Challenge);
    assert_eq!(refused(s16(Options::I60), [1; 16].into()), WriteError::NotPredictable);
}

/// A card of which only the DES key set is left, so that C1 is SCP02's; one session is spent for that.
fn des_memory(profile: &CardProfile, options: scp02::Options) -> MapMemory {
    let (memory, ()) = with_card(profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        let (mut out, mut key_out) = ([0; manager::OUT_LEN], [0; manager::OUT_LEN]);
        let open = OpenImplicit {
            aid: None,
            options,
            key_version: 0x20,
            key: DES,
            sequence: Some(Sequence::ZERO),
            key_diversification: None,
        };
        for job in [Job::OpenImplicit(open), Job::Delete(Target::Key { id: None, version: Some(0x30) })] {
            let mut answer;
            let mut step = manager.step(manager::Input::Start(job), &mut out).unwrap();
            loop {
                let input = match step {
                    manager::Step::Send(command) => {
                        answer = card.send(command);
                        manager::Input::Response(&answer)
                    }
                    manager::Step::Key(request) => manager::Input::Key(store.answer(&request, &mut key_out)),
                    manager::Step::Done(outcome) => break assert_eq!(outcome, Outcome::Complete),
                    _ => manager::Input::Continue,
                };
                step = manager.step(input, &mut out).unwrap();
            }
        }
    });
    memory
}

#[test]
fn scp02_without_a_handshake_is_torn_and_finished() {
    for options in [scp02::Options::I0B, scp02::Options::I1A] {
        let profile = CardProfile::DEFAULT.with_scp02(options);
        let memory = des_memory(&profile, options);
        let goal = issued();
        let (probe, actions) = script::for_goal(&goal);
        let zeros = Octets::zero(Mode::S8);
        let raws: Vec<_> = sequences(Sequence::from_bytes([0, 1]), 3)
            .map(|sequence| {
                let [_, n] = sequence.to_bytes();
                written(plan(scp02(options, n), Level::CMac, zeros, probe, &actions)).unwrap()
            })
            .collect();
        let scripts: Vec<_> = raws.iter().map(|raw| Script::parse(raw).unwrap()).collect();
        assert!(scripts[0].entries().all(|entry| !entry.initializes()));
        assert_eq!((scripts[0].header().i, scripts[0].header().host_challenge), (options.byte(), &[][..]));
        for lost_at in 0.. {
            let (_, whole) = with_card(&profile, memory.clone(), |card| {
                let (report, _, sent) = play(Player::new(&scripts), lost_at, |command| card.send(command));
                if report.end == End::Complete {
                    is_issued(card);
                    return true;
                }
                assert_eq!(report.end, End::Lost);
                // Whether the session had begun, the counter tells; the script that is due does the rest.
                card.power_on();
                let (report, ..) = play(Player::new(&scripts), NEVER, |command| card.send(command));
                assert_eq!(report.end, End::Complete, "{lost_at} {sent}");
                is_issued(card);
                // Played again without asking: the card refuses it, and has lost nothing.
                card.power_on();
                let again = Player::at_once(&scripts[0]);
                let (report, ..) = play(again, NEVER, |command| card.send(command));
                assert_eq!(report.end, End::Complete, "the probe finds it done");
                false
            });
            if whole {
                assert!(lost_at > 8);
                break;
            }
        }
        // A replay without a probe is refused by the card.
        let actions = [Action { job: Job::GetData(TEMPLATE), also: &[], keep: false }];
        let raw = written(plan(scp02(options, 1), Level::CMac, zeros, None, &actions)).unwrap();
        let script = Script::parse(&raw).unwrap();
        with_card(&profile, memory, |card| {
            let (report, ..) = play(Player::at_once(&script), NEVER, |command| card.send(command));
            assert_eq!(report.end, End::Complete);
            card.power_on();
            let (report, ..) = play(Player::at_once(&script), NEVER, |command| card.send(command));
            assert_eq!((report.end, report.sw), (End::Refused, Sw::SECURITY_STATUS));
            // Asked for its counter, it says that no script is due.
            let (report, ..) = play(Player::new(core::slice::from_ref(&script)), NEVER, |c| card.send(c));
            assert_eq!(report.end, End::NoScript);
        });
        // The counter alone makes the keys: nothing else makes two scripts of one counter different.
        let used = [script.used().unwrap()];
        let again = Plan { used: &used, ..plan(scp02(options, 1), Level::CMac, zeros, None, &[]) };
        assert_eq!(written(again), Err(WriteError::ChallengeUsed));
        let other = Octets::from([1; 8]);
        assert_eq!(written(Plan { host_challenge: other, ..again }), Err(WriteError::Challenge));
        assert_eq!(written(Plan { level: Level::CMacCEnc, ..again }), Err(WriteError::Level));
    }
    assert_eq!(sequences(Sequence::from_bytes([0xFF, 0xFD]), 9).count(), 2, "the last value opens none");
}

#[test]
fn r_macs_of_scp02_are_checked_afterwards() {
    let options = scp02::Options::I75;
    let profile = CardProfile::DEFAULT.with_scp02(options);
    for level in [Level::CMacRMac, Level::CMacCEncRMac] {
        let absent = [Allowed::go_on(Sw::REFERENCED_DATA_NOT_FOUND)];
        let action = |job| Action { job, also: &absent, keep: false };
        // An error in the middle has no R-MAC of its own, and the next one is over it too.
        let actions = [
            action(Job::GetData(TEMPLATE)),
            action(Job::Delete(Target::Content(&TOY_AID))),
            action(Job::GetData(Tag::new(0xE0))),
            action(Job::GetData(TEMPLATE)),
        ];
        let plan = plan(scp02(options, 0), level, [4; 8], None, &actions);
        let raw = written(plan).unwrap();
        let script = Script::parse(&raw).unwrap();
        with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let (report, kept, _) = play(Player::at_once(&script), NEVER, |command| card.send(command));
            assert_eq!(report.end, End::Complete);
            // SELECT, INITIALIZE UPDATE and EXTERNAL AUTHENTICATE prove nothing; all the others are there.
            assert_eq!(kept.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [3, 4, 5, 6]);
            assert_eq!(kept[1].1, [0x6A, 0x88]);
            for len in 0..=kept.len() {
                assert_eq!(checked(plan, &kept[..len]).as_ref(), Ok(&raw), "as far as they came");
            }
            for (index, (_, answer)) in kept.iter().enumerate() {
                for at in 0..answer.len() {
                    let mut forged = kept.clone();
                    forged[index].1[at] ^= 0x01;
                    assert_eq!(
                        checked(plan, &forged),
                        Err(WriteError::Key(KeyError::NotAuthentic)),
                        "{level:?} {index} {at}"
                    );
                }
                let mut gap = kept.clone();
                let (missing, _) = gap.remove(index);
                let last = index + 1 == kept.len();
                let expected = if last { Ok(raw.clone()) } else { Err(WriteError::Gap(missing)) };
                assert_eq!(checked(plan, &gap), expected);
            }
            let mut swapped = kept.clone();
            (swapped[0].1, swapped[3].1) = (kept[3].1.clone(), kept[0].1.clone());
            assert_eq!(checked(plan, &swapped), Err(WriteError::Key(KeyError::NotAuthentic)));
        });
    }
    // A card without R-MAC.
    let plan = plan(scp02(scp02::Options::I55, 0), Level::CMacRMac, [4; 8], None, &[]);
    assert_eq!(written(plan), Err(WriteError::Level));
}

fn group<'j>(certificates: &'j [u8], host: &'j [&'j [u8]], mode: Mode) -> OpenScp11<'j> {
    OpenScp11 {
        aid: None,
        variant: Variant::C,
        key_version: 0,
        key_id: Variant::C.key_id(),
        level: Level::CMac,
        key_len: 16,
        mode,
        authority: CA,
        certificates: Some(certificates),
        host: Some(HostIdentity {
            key: OWN,
            certificates: host,
            authority_version: AUTHORITY.0,
            authority_id: AUTHORITY.1,
        }),
        key_diversification: [1; 10],
    }
}

fn scp11<'j>(open: &'j OpenScp11<'j>) -> ScriptCard<'j> {
    ScriptCard {
        aid: Aid::from_array(scp11_card::AID),
        key_version: KEY_VERSION,
        key: KeyRef::direct(99),
        key_diversification: [0; 10],
        protocol: Protocol::Scp11c(open),
    }
}

const TOP_UP: [u8; 9] = [0x80, 0xE2, 0x00, 0x00, 0x03, 1, 2, 3, 0x00];

#[test]
fn an_scp11c_script_serves_a_group() {
    let chain = host_chain();
    let host = [&chain[0][..], &chain[1][..]];
    let certificates = scp11_card::card_chain();
    for mode in [Mode::S8, Mode::S16] {
        for level in [Level::All, Level::CMacRMac] {
            let open = group(&certificates, &host, mode);
            let actions = [Action { job: Job::Command(&TOP_UP), also: &[], keep: true }];
            let plan = plan(scp11(&open), level, [6; 16], None, &actions);
            let raw = written(plan).unwrap();
            assert_eq!(written(plan).unwrap(), raw, "the same seed, the same session");
            assert_ne!(written(Plan { host_challenge: [7; 16].into(), ..plan }).unwrap(), raw);
            let script = Script::parse(&raw).unwrap();
            let header = script.header();
            assert_eq!((header.scp, header.i, header.counter), (0x11, 0x03, Counter::ZERO));
            assert_eq!((header.host_challenge, script.used()), (&[][..], None));
            // SELECT, three pieces of two certificates, MUTUAL AUTHENTICATE, the command.
            assert_eq!(script.count(), 6);
            // Every card of the group, and each as often as somebody plays it: that is the application's to notice.
            for _ in 0..2 {
                let mut card = Scp11Card::new(Variant::C, mode);
                for times in 1..3 {
                    let window = [script];
                    let (report, kept, _) = play(Player::new(&window), NEVER, |command| card.send(command));
                    assert_eq!(report.end, End::Complete);
                    assert_eq!(card.done, vec![vec![1, 2, 3]; times]);
                    assert_eq!(checked(plan, &kept).as_ref(), Ok(&raw));
                    let mut forged = kept;
                    forged[0].1[0] ^= 1;
                    assert_eq!(checked(plan, &forged), Err(WriteError::Key(KeyError::NotAuthentic)));
                }
            }
            // A card in the other mode, of another variant, without the host's authority: nothing is done.
            let other = if mode == Mode::S8 { Mode::S16 } else { Mode::S8 };
            let mut card = Scp11Card::new(Variant::C, other);
            let (report, ..) = play(Player::at_once(&script), NEVER, |command| card.send(command));
            assert_eq!((report.end, report.sw, card.done.len()), (End::Refused, Sw::SECURITY_STATUS, 0));
            let mut card = Scp11Card::new(Variant::A, mode);
            let (report, ..) = play(Player::at_once(&script), NEVER, |command| card.send(command));
            assert_eq!((report.end, card.done.len()), (End::Refused, 0));
        }
    }
}

#[test]
fn what_cannot_be_a_group_script() {
    let chain = host_chain();
    let host = [&chain[0][..], &chain[1][..]];
    let certificates = scp11_card::card_chain();
    let good = group(&certificates, &host, Mode::S8);
    let refused = |open: OpenScp11<'_>, level, challenge: Octets| {
        written(plan(scp11(&open), level, challenge, None, &[])).map(|_| ()).unwrap_err()
    };
    let seed = Octets::from([6; 16]);
    let key = |error| match error {
        WriteError::Fault(fault) => fault.kind,
        other => panic!("{other}"),
    };
    assert_eq!(refused(good, Level::CMac, seed), WriteError::Level);
    assert_eq!(refused(good, Level::All, [1; 8].into()), WriteError::Challenge);
    for variant in [Variant::A, Variant::B] {
        let open = OpenScp11 { variant, ..good };
        assert_eq!(refused(open, Level::All, seed), WriteError::NotPredictable);
    }
    let unknown = OpenScp11 { certificates: None, ..good };
    assert_eq!(refused(unknown, Level::All, seed), WriteError::NotPredictable);
    let misused =
        [certificate(1, AGREEMENT, CARD_SUB, CARD_ROOT, 0), certificate(2, AGREEMENT, CARD, CARD_SUB, 0)]
            .concat();
    let open = OpenScp11 { certificates: Some(&misused), ..good };
    assert_eq!(key(refused(open, Level::All, seed)), FaultKind::Key(KeyError::Certificate));
    let open = OpenScp11 { authority: KeyHandle(9), ..good };
    assert_eq!(key(refused(open, Level::All, seed)), FaultKind::Key(KeyError::UnknownKey));
    let nobody = OpenScp11 { host: None, ..good };
    assert_eq!(key(refused(nobody, Level::All, seed)), FaultKind::Key(KeyError::UnknownKey));
    // The seed of an earlier script.
    let used = [script::Used {
        key_diversification: [0; 10],
        key_version: KEY_VERSION,
        counter: Counter::ZERO,
        host_challenge: seed,
    }];
    let again = Plan { used: &used, ..plan(scp11(&good), Level::All, seed, None, &[]) };
    assert_eq!(written(again), Err(WriteError::ChallengeUsed));
    // The certificate of another key of the same authority: the script opens no card of the group.
    let other =
        [certificate(1, SIGNATURE, CARD_SUB, CARD_ROOT, 0), certificate(2, AGREEMENT, 0x66, CARD_SUB, 0)]
            .concat();
    let open = OpenScp11 { certificates: Some(&other), ..good };
    let actions = [Action { job: Job::Command(&TOP_UP), also: &[], keep: false }];
    let raw = written(plan(scp11(&open), Level::All, seed, None, &actions)).unwrap();
    let mut card = Scp11Card::new(Variant::C, Mode::S8);
    let script = Script::parse(&raw).unwrap();
    let (report, ..) = play(Player::at_once(&script), NEVER, |command| card.send(command));
    assert_eq!((report.end, report.sw, card.done.len()), (End::Refused, Sw::SECURITY_STATUS, 0));
    // A store that has the key as something else.
    let mut store = store();
    store.insert_single(OWN, SingleKey::aes(&[1; 16]).unwrap()).unwrap();
    let plan = plan(scp11(&good), Level::All, seed, None, &[]);
    let refused = script::write(plan, &mut store, &mut [0; 4096]).map(|_| ()).unwrap_err();
    assert_eq!(key(refused), FaultKind::Key(KeyError::Algorithm));
}
