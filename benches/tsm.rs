//! A TSM's work for one band, cards in memory: scripts made ahead of time, a script played, a whole job with new keys, a load file.
//!
//! Elements of the throughput are whole scripts and jobs, so that a report tells bands per second and core; the names tell the APDUs. `floor` is what nobody can leave out: for a
//! script the AES work over its bytes with expanded keys, for a job and a played script the card's own work.
//!
//! `cargo bench -p huiwan-benches --bench tsm`
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use huiwan::element::{Modules, SecureElement};
use huiwan::sample::{PURSE, TRANSIT_AID, TRANSIT_CARD, transit_keys};
use huiwan::tsm::{groupings, payment_environment, transit_card};
use huiwan_card::{Environment, Interface, Journal, Module, RamFlash};
use huiwan_crypto::{Aes, hash, mac};
use huiwan_gp::cap::{CapFile, Kind, LoadFile};
use huiwan_gp::card::{CardProfile, Factory, Registry, TEST_KEY, format};
use huiwan_gp::host::manager;
use huiwan_gp::host::player::{self, End, Player};
use huiwan_gp::host::script::{self, Plan as ScriptPlan, Protocol, Script, ScriptCard};
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{
    Coding, Grouping, Job, KeyRef, KeyStore, Load, Manager, OpenChannel, Outcome, Personalise, SoftKeyStore,
};
use huiwan_gp::scp02::{Options, Sequence};
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::secure_channel::Level;
use huiwan_purse::personalisation::{Personalisation, PurseData};
use huiwan_purse::transit::bus::Bus;
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::transit::rail::Rail;
use huiwan_testkit::rng::Seeded;

type Store = SoftKeyStore<3, 1>;
type Band<'m> = Box<SecureElement<'m, Journal<RamFlash<{ 64 * 1024 }>, 128>>>;

const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::kdf3(2);
const TEST_DES: KeyRef = KeyRef::direct(3);

fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store.insert_des(3, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store
}

fn data() -> Vec<u8> {
    let (rail, bus) = (Rail::new(), Bus::new());
    let data = Personalisation {
        purse: Some(PurseData { balance: PURSE, upper_limit: 100_000, ..PurseData::default() }),
        version: Some([0x01, 0x00]),
        public_info: PublicInfo::new()
            .with(public_info::ISSUER, TRANSIT_CARD.issuer)
            .with(public_info::SERIAL, TRANSIT_CARD.serial),
        records: &[rail.as_bytes(), bus.as_bytes()],
        keys: &transit_keys().unwrap(),
        ..Personalisation::default()
    };
    let mut out = [0; 640];
    data.write(&mut out).unwrap().to_vec()
}

fn issued<'j>(script: &'j [Grouping<'j>]) -> Goal<'j> {
    let personalise = Personalise::new(Some(TRANSIT_AID), script, Coding::GP);
    Goal::Issued { install: transit_card(TRANSIT_AID), personalise }
}

fn blank<'m>(modules: &'m [&'m dyn Module]) -> Band<'m> {
    let mut memory = Journal::format(RamFlash::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    let mut band = Box::new(SecureElement::new(modules, Registry::new(&CardProfile::DEFAULT), memory));
    band.power_on(Interface::Internal, &mut Environment { random: &mut Seeded::new(1), now: None });
    band
}

const SCP03: Protocol =
    Protocol::Scp03 { options: CardProfile::DEFAULT.scp03, counter: Counter::from_bytes([0, 0, 1]) };
const SCP02: Protocol = Protocol::Scp02 { options: Options::I55, sequence: Sequence::ZERO };

fn write(goal: &Goal<'_>, protocol: Protocol, store: &mut Store, out: &mut [u8]) -> usize {
    let (probe, actions) = script::for_goal(goal);
    let (key_version, key) = match protocol {
        Protocol::Scp02 { .. } => (0x20, TEST_DES),
        _ => (0x30, TEST),
    };
    let aid = CardProfile::DEFAULT.issuer_aid;
    let card = ScriptCard { aid, key_version, key, key_diversification: [0; 10], protocol };
    let host_challenge = [7; 8].into();
    let level = Level::CMacCEnc;
    let plan = ScriptPlan { job: 1, card, level, host_challenge, probe, actions: &actions, used: &[] };
    script::write(plan, store, out).unwrap().len()
}

fn play(band: &mut Band<'_>, window: &[Script<'_>]) -> Vec<Vec<u8>> {
    let mut random = Seeded::new(1);
    let mut env = Environment { random: &mut random, now: None };
    let (mut player, mut out) = (Player::new(window), [0; player::OUT_LEN]);
    let (mut answer, mut sent, mut input) = (Vec::new(), Vec::new(), player::Input::Start);
    loop {
        input = match player.step(input, &mut out).unwrap() {
            player::Step::Send(command) => {
                sent.push(command.to_vec());
                answer.clear();
                answer.extend_from_slice(band.exchange(command, &mut env));
                player::Input::Response(&answer)
            }
            player::Step::Keep(_) => player::Input::Continue,
            player::Step::Done(report) => {
                assert_eq!(report.end, End::Complete);
                return sent;
            }
        };
    }
}

fn work(band: &mut Band<'_>, goals: &[Goal<'_>], store: &mut Store) -> Vec<Vec<u8>> {
    let mut random = Seeded::new(1);
    let mut env = Environment { random: &mut random, now: None };
    let keys = [(0x31, NEW), (0x30, TEST)];
    let mut worker = Worker::new(Plan { aid: None, keys: &keys, level: Level::All, goals }, JobState::new(1));
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let (mut answer, mut sent, mut input) = (Vec::new(), Vec::new(), Input::Start([7; 32]));
    loop {
        input = match worker.step(input, &mut out).unwrap() {
            Step::Send(command) => {
                sent.push(command.to_vec());
                answer.clear();
                answer.extend_from_slice(band.exchange(command, &mut env));
                Input::Response(&answer)
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Persist(_) | Step::Progress(_) => Input::Continue,
            Step::Done(visit) => {
                assert_eq!(visit, Visit::Complete);
                return sent;
            }
        };
    }
}

/// A package without code, of `method` bytes and three hundred more: what LOAD does with it is what it does with any.
fn package(method: usize) -> Vec<u8> {
    const PACKAGE: [u8; 7] = [0xD2, 0x76, 0x00, 0x01, 0x24, 0x02, 0x01];
    let component = |kind: Kind, info: &[u8]| {
        [&[kind.tag()][..], &u16::try_from(info.len()).unwrap().to_be_bytes(), info].concat()
    };
    let header = [&[0xDE, 0xCA, 0xFF, 0xED, 0x01, 0x02, 0x00, 0x00, 0x01, 7][..], &PACKAGE].concat();
    [
        component(Kind::Header, &header),
        component(Kind::Import, &[0]),
        component(Kind::Method, &vec![0x5A; method]),
        component(Kind::ConstantPool, &[0; 300]),
    ]
    .concat()
}

/// Opens a channel, carries out one task in it and closes it.
fn manage(band: &mut Band<'_>, job: Job<'_>, store: &mut Store) -> Vec<Vec<u8>> {
    let mut random = Seeded::new(1);
    let mut env = Environment { random: &mut random, now: None };
    let host_challenge = [7; 8].into();
    let open = OpenChannel { aid: None, key_version: 0, key: TEST, level: Level::CMacCEnc, host_challenge };
    let mut manager = Manager::new();
    let (mut out, mut key_out) = ([0; manager::OUT_LEN], [0; manager::OUT_LEN]);
    let (mut answer, mut sent) = (Vec::new(), Vec::new());
    for job in [Job::Open(open), job, Job::Close] {
        let mut input = manager::Input::Start(job);
        loop {
            input = match manager.step(input, &mut out).unwrap() {
                manager::Step::Send(command) => {
                    sent.push(command.to_vec());
                    answer.clear();
                    answer.extend_from_slice(band.exchange(command, &mut env));
                    manager::Input::Response(&answer)
                }
                manager::Step::Key(request) => manager::Input::Key(store.answer(&request, &mut key_out)),
                manager::Step::Answer { .. } | manager::Step::Stored { .. } => manager::Input::Continue,
                manager::Step::Done(Outcome::Complete) => break,
                manager::Step::Done(outcome) => panic!("{outcome:?}"),
            };
        }
    }
    sent
}

/// The card's part alone: the same commands to a card that is as the first one was.
fn replay(band: &mut Band<'_>, commands: &[Vec<u8>]) -> usize {
    let mut random = Seeded::new(1);
    let mut env = Environment { random: &mut random, now: None };
    commands.iter().map(|command| band.exchange(command, &mut env).len()).sum()
}

fn scripts(c: &mut Criterion) {
    let data = data();
    let script = groupings::<12>(&data).unwrap();
    let goal = issued(&script);
    let mut store = store();
    let mut out = [0; 4096];
    let len = write(&goal, SCP03, &mut store, &mut out);
    let raw = out[..len].to_vec();
    let window = [Script::parse(&raw).unwrap()];

    let mut group = c.benchmark_group("tsm/script");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("write_transit_card/{}_commands", window[0].count()), |b| {
        b.iter(|| write(black_box(&goal), SCP03, &mut store, &mut out));
    });
    group.bench_function(format!("write_transit_card_scp02/{}_commands", window[0].count()), |b| {
        b.iter(|| write(black_box(&goal), SCP02, &mut store, &mut out));
    });
    let (enc, authentic) = (Aes::new(&TEST_KEY).unwrap(), Aes::new(&TEST_KEY).unwrap());
    let mut bytes = vec![0; len.next_multiple_of(16)];
    group.bench_function("floor_encrypt_then_cmac", |b| {
        b.iter(|| {
            mac::encrypt_then_cmac(&enc, &[0; 16], &authentic, &[], black_box(&mut bytes), &[]).unwrap()
        });
    });
    group.bench_function("parse", |b| b.iter(|| Script::parse(black_box(&raw)).unwrap().count()));

    let modules = Modules::default();
    let list = modules.list();
    let sent = play(&mut blank(&list), &window);
    group.bench_function(format!("play_transit_card/{}_commands", sent.len()), |b| {
        b.iter_batched_ref(|| blank(&list), |band| play(band, &window).len(), BatchSize::SmallInput);
    });
    group.bench_function("floor_card_alone", |b| {
        b.iter_batched_ref(|| blank(&list), |band| replay(band, &sent), BatchSize::SmallInput);
    });
    group.finish();
}

fn jobs(c: &mut Criterion) {
    let data = data();
    let script = groupings::<12>(&data).unwrap();
    let environment = payment_environment();
    let nothing = Personalise::new(Some(environment.instance), &[], Coding::GP);
    let goals = [
        Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) },
        Goal::Issued { install: environment, personalise: nothing },
        issued(&script),
    ];
    let mut store = store();
    let modules = Modules::default();
    let list = modules.list();
    let sent = work(&mut blank(&list), &goals, &mut store);
    let mut group = c.benchmark_group("tsm/job");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("keys_and_transit_card/{}_commands", sent.len()), |b| {
        b.iter_batched_ref(
            || blank(&list),
            |band| work(band, &goals, &mut store).len(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("floor_card_alone", |b| {
        b.iter_batched_ref(|| blank(&list), |band| replay(band, &sent), BatchSize::SmallInput);
    });
    // Issuance without new keys.
    let issuance = &goals[1..];
    let sent = work(&mut blank(&list), issuance, &mut store);
    group.bench_function(format!("transit_card/{}_commands", sent.len()), |b| {
        b.iter_batched_ref(
            || blank(&list),
            |band| work(band, issuance, &mut store).len(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// A load file onto a card, C-MAC and C-ENC; `floor_sha256` is the hash of it that host and card cannot leave out.
fn load(c: &mut Criterion) {
    let components = package(8 * 1024 - 300);
    let cap = CapFile::from_load_data(&components).unwrap();
    let job = || Job::Load(Load::new(LoadFile::new(&cap)));
    let mut store = store();
    let modules = Modules::default().with_content_management();
    let list = modules.list();
    let sent = manage(&mut blank(&list), job(), &mut store);
    let mut group = c.benchmark_group("tsm/load");
    group.throughput(Throughput::Bytes(u64::try_from(components.len()).unwrap()));
    group.bench_function(format!("cap_8_kib/{}_commands", sent.len()), |b| {
        b.iter_batched_ref(
            || blank(&list),
            |band| manage(band, job(), &mut store).len(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("floor_card_alone", |b| {
        b.iter_batched_ref(|| blank(&list), |band| replay(band, &sent), BatchSize::SmallInput);
    });
    group.bench_function("floor_sha256", |b| b.iter(|| hash::sha256(&[black_box(&components)])));
    group.finish();
}

criterion_group!(benches, scripts, jobs, load);
criterion_main!(benches);
