//! What the tests of content management by the host share: a driver, a key store, load files.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Command};
use huiwan_card::Memory;
use huiwan_gp::cap::Kind;
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::get_status::{self, Scope};
use huiwan_gp::host::key_store::SingleKey;
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    Fault, Input, Job, KeyAnswer, KeyHandle, KeyRef, KeyRequest, KeyStore, Manager, OpenChannel, Outcome,
    SoftKeyStore, Step,
};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::vectors;

use crate::support::{Card, MapMemory, apdu, install_domain, open, put_keys, run, select, test_keys};

pub const TEST: KeyRef = KeyRef::direct(1);
pub const OWN: KeyRef = KeyRef::direct(2);
pub const TOKEN: KeyHandle = KeyHandle(0x70);
pub const RECEIPT: KeyHandle = KeyHandle(0x71);
pub const STRANGE: KeyHandle = KeyHandle(0x7F);

/// Keys of the domains besides the issuer's.
pub const KEY: [u8; 16] = [0x11; 16];
pub const TOKEN_KEY: [u8; 16] = [0x70; 16];
pub const RECEIPT_KEY: [u8; 16] = [0x71; 16];

pub const ISSUER: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00]);
pub const BANK: Aid = Aid::from_array([0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01]);
pub const OTHER: Aid = Aid::from_array([0xF0, 0xBA, 0x00, 0x00, 0x00, 0x02]);
pub const DAP: Aid = Aid::from_array([0xF0, 0xBA, 0x00, 0x00, 0x00, 0x03]);
/// The public CAP file's package and applet.
pub const ELF: Aid = Aid::from_array([0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01]);
pub const APP: Aid = Aid::from_array([0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01, 0x01]);

pub type Store = SoftKeyStore<4, 2>;

pub fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &KEY, &KEY, &KEY).unwrap();
    for (handle, key) in [(TOKEN, TOKEN_KEY), (RECEIPT, RECEIPT_KEY), (STRANGE, [0x7F; 16])] {
        store.insert_single(handle, SingleKey::aes(&key).unwrap()).unwrap();
    }
    store
}

/// The commands a real card's log has for helloworld.cap.
pub fn hello_world() -> Vec<Vec<u8>> {
    let file = vectors::load(include_str!("../vectors/cap_load.txt"));
    let v = file.block("kaoh-scp02-i15-install-macenc");
    (0..6).map(|n| v.bytes(&format!("out.commands.{n}.plain"))).collect()
}

/// Its components, as they stand in the load file.
pub fn components() -> Vec<u8> {
    let loads = hello_world();
    let file: Vec<u8> =
        loads.iter().filter(|c| c[1] == 0xE8).flat_map(|c| c[5..5 + usize::from(c[4])].to_vec()).collect();
    file[4..].to_vec()
}

pub fn component(kind: Kind, info: &[u8]) -> Vec<u8> {
    [&[kind.tag()][..], &(info.len() as u16).to_be_bytes(), info].concat()
}

/// A package without code: header, imports, and a method component of so many bytes.
pub fn package(aid: &[u8], imports: &[(&[u8], u8, u8)], method: usize) -> Vec<u8> {
    let mut header = vec![0xDE, 0xCA, 0xFF, 0xED, 0x01, 0x02, 0x00, 0x00, 0x01, aid.len() as u8];
    header.extend(aid);
    let mut list = vec![imports.len() as u8];
    for (aid, major, minor) in imports {
        list.extend([*minor, *major, aid.len() as u8]);
        list.extend(*aid);
    }
    [
        component(Kind::Header, &header),
        component(Kind::Import, &list),
        component(Kind::Method, &vec![0x5A; method]),
    ]
    .concat()
}

pub fn open_job(aid: Option<Aid>, key: KeyRef, level: Level) -> Job<'static> {
    Job::Open(OpenChannel { aid, key_version: 0, key, level, host_challenge: [9; 8].into() })
}

/// What happens to a command, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accident {
    /// It never reaches the card.
    Unheard,
    /// The card carries it out, and its answer is lost.
    Unanswered,
    /// The same, and the card loses power then.
    PowerOff,
}

/// What a task did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Plain commands.
    pub commands: Vec<Vec<u8>>,
    pub answers: Vec<Vec<u8>>,
}

impl Report {
    /// INS, P1 and P2 of the commands.
    pub fn headers(&self) -> Vec<[u8; 3]> {
        self.commands.iter().map(|command| [command[1], command[2], command[3]]).collect()
    }
}

pub type Sign = fn(&[u8]) -> Vec<u8>;

/// What stands between the manager and the world.
pub struct World {
    pub accident: Option<(Accident, usize)>,
    /// Changes a plain command before it is protected: a card with a mind of its own.
    pub change: fn(&mut [u8]),
    /// Tokens made elsewhere.
    pub token: Option<Sign>,
}

impl Default for World {
    fn default() -> Self {
        Self { accident: None, change: |_| (), token: None }
    }
}

impl World {
    pub fn run<'j, M: Memory>(
        &self,
        card: &mut Card<'_, M>,
        store: &mut Store,
        manager: &mut Manager<'j>,
        job: Job<'j>,
    ) -> (Outcome, Report) {
        let mut report = Report::default();
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let (mut sent, mut answer, mut made);
        sent = 0;
        let mut step = manager.step(Input::Start(job), &mut out).unwrap();
        for _ in 0..4000 {
            let input = match step {
                Step::Send(command) => {
                    sent += 1;
                    let accident =
                        self.accident.filter(|(_, at)| at + 1 == sent).map(|(accident, _)| accident);
                    if accident != Some(Accident::Unheard) {
                        answer = card.send(command);
                        if accident == Some(Accident::PowerOff) {
                            card.power_on();
                        }
                        if accident.is_some() { Input::CardLost } else { Input::Response(&answer) }
                    } else {
                        Input::CardLost
                    }
                }
                Step::Key(KeyRequest::Wrap { session, command }) => {
                    let mut command = command.to_vec();
                    report.commands.push(command.clone());
                    (self.change)(&mut command);
                    Input::Key(store.answer(&KeyRequest::Wrap { session, command: &command }, &mut key_out))
                }
                Step::Key(KeyRequest::SignToken { message, .. }) if self.token.is_some() => {
                    made = self.token.unwrap()(message);
                    Input::Key(KeyAnswer::Bytes(&made))
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Answer { data, .. } => {
                    report.answers.push(data.to_vec());
                    Input::Continue
                }
                Step::Stored { .. } => Input::Continue,
                Step::Done(outcome) => return (outcome, report),
            };
            step = manager.step(input, &mut out).unwrap();
        }
        panic!("the task does not end");
    }
}

pub fn run_job<'j, M: Memory>(
    card: &mut Card<'_, M>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> Report {
    let (outcome, report) = World::default().run(card, store, manager, job);
    assert_eq!(outcome, Outcome::Complete, "{job:?}");
    report
}

pub fn fault<'j, M: Memory>(
    card: &mut Card<'_, M>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Fault, Report) {
    match World::default().run(card, store, manager, job) {
        (Outcome::Fault(fault), report) => (fault, report),
        (Outcome::Complete, _) => panic!("{job:?} ends well"),
    }
}

/// A security domain with keys of its own.
pub fn new_domain<M: Memory>(card: &mut Card<'_, M>, aid: &Aid, privileges: [u8; 3]) {
    assert_eq!(card.sw(&select(ISSUER.as_bytes())), 0x9000);
    let mut session = open(card, 0, &test_keys(), Level::CMac);
    assert_eq!(run(card, &mut session, &install_domain(aid.as_bytes(), privileges, &[])).1, 0x9000);
    assert_eq!(card.sw(&select(aid.as_bytes())), 0x9000);
    let mut session = open(card, 0, &test_keys(), Level::CMac);
    assert_eq!(run(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)).1, 0x9000);
}

/// A key of a domain: of tokens, receipts, signatures or ciphered files.
pub fn put_key<M: Memory>(card: &mut Card<'_, M>, domain: &Aid, dek: &[u8; 16], version: u8, key: &[u8]) {
    assert_eq!(card.sw(&select(domain.as_bytes())), 0x9000);
    let mut session = open(card, 0, &StaticKeys::new(dek, dek, dek).unwrap(), Level::CMac);
    assert_eq!(run(card, &mut session, &put_keys(0, version, 1, &[key], dek)).1, 0x9000);
}

/// Load files with their modules, as the issuer sees them.
pub fn files<M: Memory>(card: &mut Card<'_, M>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    assert_eq!(card.sw(&select(ISSUER.as_bytes())), 0x9000);
    let mut session = open(card, 0, &test_keys(), Level::CMac);
    let scope = Scope::LoadFilesAndModules.byte();
    let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, scope, 0x02], &[0x4F, 0x00]));
    get_status::entries(&data)
        .map(Result::unwrap)
        .map(|entry| (entry.aid.to_vec(), entry.modules().map(<[u8]>::to_vec).collect()))
        .collect()
}

/// Everything but the sequence counters, which count sessions.
pub fn content(memory: &MapMemory) -> BTreeMap<(u8, u16), Vec<u8>> {
    let mut objects = memory.objects.clone();
    objects.retain(|(_, id), _| id >> 8 != 3);
    objects
}

/// The plain command without its Le.
pub fn without_le(command: &[u8]) -> Vec<u8> {
    let command = Command::parse(command).unwrap();
    let mut out = [0; 300];
    Command::new(command.cla(), command.ins(), command.p1(), command.p2())
        .with_data(command.data())
        .write(&mut out)
        .unwrap()
        .to_vec()
}
