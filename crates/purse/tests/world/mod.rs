//! A small world for the purse's tests: an issuer's keys, one card behind an element, a gate with its PSAM.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

pub mod bank;
pub mod by_hand;
pub mod fuel;
pub mod oracle;
pub mod paper;
pub mod script;
pub mod secured;

use core::cell::RefCell;
use core::mem::ManuallyDrop;
use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{
    Action, Batch, Context, Element, Entry, Environment, Forward, InstanceId, Interface, Memory, MemoryError,
    Module, ModuleId, ObjectId, ResponseWriter, StaticDirectory, Write,
};
use huiwan_crypto::{International, Secret};
use huiwan_purse::card::{Purse, VOLATILE_LEN};
use huiwan_purse::date::Stamp;
use huiwan_purse::host::SoftLoadKeys;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::{CardId, KeyKind};
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{SamKey, SoftSam};
use huiwan_purse::terminal::drive::{Gate, Transport};
use huiwan_purse::terminal::metro::{Entry as MetroEntry, Exit as MetroExit, ExitRules, Incomplete, Place};
use huiwan_purse::terminal::service::CardView;
use huiwan_purse::terminal::{AID_JTT_978_EP, Device, Pending, Receipt};
use huiwan_purse::transit::bus::Bus;
use huiwan_purse::transit::holder::Holder;
use huiwan_purse::transit::management::{self, Management};
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::transit::rail::Rail;
use huiwan_testkit::rng::Seeded;

pub type Suite = International;

pub const TERMINAL: [u8; 6] = [0x30, 0x00, 0x89, 0x00, 0x03, 0x40];
pub const STAMP: Stamp = Stamp { date: [0x20, 0x26, 0x11, 0x22], time: [0x14, 0x17, 0x40] };
pub const CARD: CardId = CardId {
    issuer: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
    serial: [0x31, 0x04, 0x89, 0x00, 0x00, 0x00, 0x12, 0x34, 0x56, 0x78],
};
pub const DEVICE: Device = Device { aid: AID_JTT_978_EP, terminal: TERMINAL, key_index: 1 };
pub const PLACE: Place = Place {
    city: [0x10, 0x00],
    organisation: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
    station: [0, 0, 0, 0, 0, 0, 0x08, 0x19],
    device: [0, 0, 0, 0, 0, 0, 0, 0x11],
    line: [0x08, 0x00, 0x19, 0x00, 0x30, 0x00, 0x00],
};
pub const ENTRY: MetroEntry = MetroEntry { place: PLACE, maximum_fare: 1500, incomplete: Incomplete::Refuse };
pub const EXIT: MetroExit = MetroExit { place: PLACE, rules: ExitRules::PLAIN };

/// The issuer's master keys.
pub fn masters() -> [KeyData; 4] {
    let mut random = Seeded::new(0x4B45_5953);
    [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Maintenance].map(|kind| KeyData {
        kind,
        index: 1,
        version: 1,
        algorithm: 1,
        tries: 0,
        value: Secret::new(random.bytes()),
    })
}

pub fn card_keys() -> Vec<KeyData> {
    masters().iter().map(|master| card_key::<Suite>(&Profile::JTT_978, master, &CARD).unwrap()).collect()
}

pub fn sam(next_seq: u32) -> SoftSam<Suite, 1> {
    let [purchase, ..] = masters();
    let key = SamKey { version: purchase.version, algorithm: purchase.algorithm, value: purchase.value };
    SoftSam::new(&Profile::JTT_978, TERMINAL, 1, [key], next_seq)
}

pub fn load_keys() -> SoftLoadKeys<Suite, 4> {
    SoftLoadKeys::new(Profile::JTT_978, masters())
}

pub fn public_info() -> PublicInfo {
    PublicInfo::new()
        .with(public_info::ISSUER, CARD.issuer)
        .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
        .with(public_info::APPLICATION_VERSION, [0x01])
        .with(public_info::SERIAL, CARD.serial)
        .with(public_info::START_DATE, [0x20, 0x25, 0x01, 0x01])
        .with(public_info::END_DATE, [0x20, 0x99, 0x12, 0x31])
}

/// Every grouping of a test card.
pub fn groupings(purse: PurseData) -> Vec<(u16, Vec<u8>)> {
    let (rail, bus) = (Rail::new(), Bus::new());
    let mut list = Vec::new();
    Personalisation {
        passbook: None,
        purse: Some(purse),
        pin: None,
        version: Some([0x00, 0x01]),
        public_info: public_info(),
        holder: Some(Holder::new()),
        management: Some(
            Management::new()
                .with(management::COUNTRY, [0, 0, 1, 0x56])
                .with(management::INTEROP, [0, 1])
                .with(management::CARD_TYPE, [1]),
        ),
        records: &[rail.as_bytes(), bus.as_bytes()],
        keys: &card_keys(),
        ..Personalisation::default()
    }
    .for_each(|dgi, value| list.push((dgi, value.to_vec())));
    list
}

pub const FULL_PURSE: PurseData =
    PurseData { balance: 5000, online_seq: 7, offline_seq: 0x042C, overdraft: [0; 3], upper_limit: 100_000 };

/// A memory in which a commit can be cut: before it (nothing is written) or after it (nobody hears of it).
#[derive(Debug, Clone, Default)]
pub struct RamMemory {
    pub objects: BTreeMap<ObjectId, Vec<u8>>,
    pub cut: Option<Cut>,
    dead: bool,
    pub commits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Before,
    After,
}

impl RamMemory {
    pub fn power_on(&mut self) {
        self.dead = false;
        self.cut = None;
    }
}

impl Memory for RamMemory {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        if self.dead {
            return Err(MemoryError::PowerLost);
        }
        let data = self.objects.get(&object).ok_or(MemoryError::NotFound)?;
        let data = data.get(at..).unwrap_or_default();
        let len = data.len().min(out.len());
        out[..len].copy_from_slice(&data[..len]);
        Ok(&out[..len])
    }

    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        if self.dead { Err(MemoryError::PowerLost) } else { Ok(self.objects.get(&object).map(Vec::len)) }
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        if batch.overflowed() {
            return Err(MemoryError::TooLarge);
        }
        if self.dead || self.cut == Some(Cut::Before) {
            self.dead = true;
            return Err(MemoryError::PowerLost);
        }
        self.commits += 1;
        for write in batch.iter() {
            match write {
                Write::Put(object, data) => {
                    self.objects.insert(object, data.to_vec());
                }
                Write::Delete(object) => {
                    self.objects.remove(&object);
                }
                Write::DeleteInstance(instance) => {
                    self.objects.retain(|object, _| object.instance != instance)
                }
            }
        }
        if self.cut == Some(Cut::After) {
            self.dead = true;
            return Err(MemoryError::PowerLost);
        }
        Ok(())
    }

    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        Ok(self.objects.keys().copied().find(|object| after.is_none_or(|after| *object > after)))
    }
}

/// Stands for the issuer's security domain: 80 E6 installs the purse with the data as parameters, 80 E2 00 00 DGI ‖ value personalises it.
struct Issuer;

impl Module for Issuer {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }
    fn select(&self, _: &mut Context<'_>, _: &mut ResponseWriter<'_>) -> Sw {
        Sw::OK
    }
    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, _: &mut ResponseWriter<'_>) -> Action {
        match (command.ins(), command.data()) {
            (0xE6, parameters) => {
                cx.scratch[..parameters.len()].copy_from_slice(parameters);
                Action::Forward(Forward::Install {
                    module: ModuleId(1),
                    instance: PURSE,
                    aid: Aid::new(AID_JTT_978_EP).unwrap(),
                    len: parameters.len(),
                })
            }
            (0xE2, [high, low, value @ ..]) => {
                cx.scratch[..value.len()].copy_from_slice(value);
                let dgi = u16::from_be_bytes([*high, *low]);
                Action::Forward(Forward::Personalise { to: PURSE, dgi, len: value.len() })
            }
            _ => Action::Reply(Sw::INS_NOT_SUPPORTED),
        }
    }
    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::FUNCTION_NOT_SUPPORTED)
    }
}

pub const PURSE: InstanceId = InstanceId(1);
const ISSUER_AID: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

pub fn entries() -> [Entry; 2] {
    let entry = |aid: &[u8], instance: InstanceId, module: u8| Entry {
        aid: Aid::new(aid).unwrap(),
        instance,
        module: ModuleId(module),
        domain: InstanceId::ISSUER,
        selectable: true,
        contactless: true,
        label: Default::default(),
        priority: None,
    };
    [entry(ISSUER_AID, InstanceId::ISSUER, 0), entry(AID_JTT_978_EP, PURSE, 1)]
}

/// A card in the field of a reader.
pub struct Band<M: Memory> {
    element: Option<Element<'static, M, StaticDirectory<'static>, 4, VOLATILE_LEN, 2048>>,
    modules: &'static [&'static dyn Module],
    entries: &'static [Entry],
    random: Seeded,
    answer: Vec<u8>,
    /// How the tap is torn, if it is.
    pub tear: Option<Tear>,
    /// Whether `trace` is kept.
    pub tracing: bool,
    /// Every command and its answer.
    pub trace: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Where a tap is torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tear {
    /// At which command from now on, 0 = the next.
    pub command: usize,
    pub how: TearHow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TearHow {
    /// The command does not reach the card.
    Unheard,
    /// The card does not commit.
    BeforeCommit,
    /// The card commits and cannot answer.
    AfterCommit,
    /// The answer does not reach the terminal.
    Unanswered,
    /// Power is cut in this flash operation, counted from 0: of cards in flash.
    InFlash(u32, huiwan_card::Cut),
}

/// A memory whose power can be cut and comes back.
pub trait Tearable: Memory {
    /// The next command is torn like this, as far as memory is concerned.
    fn tear(&mut self, how: TearHow);
    /// Power is back.
    fn power_up(self) -> Self;
}

impl Tearable for RamMemory {
    fn tear(&mut self, how: TearHow) {
        match how {
            TearHow::BeforeCommit => self.cut = Some(Cut::Before),
            TearHow::AfterCommit => self.cut = Some(Cut::After),
            TearHow::Unheard | TearHow::Unanswered => {}
            TearHow::InFlash(..) => panic!("there is no flash"),
        }
    }

    fn power_up(mut self) -> Self {
        self.power_on();
        self
    }
}

type Modules = &'static [&'static dyn Module];

thread_local! {
    // Made once for each scheme and kept: fuzzing makes cards by the thousand.
    // Not dropped, or a leak checker sees at the end of the process what was kept until then.
    static MODULES: ManuallyDrop<RefCell<Vec<(Profile, Modules)>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static KEPT: RefCell<Vec<(Profile, RamMemory)>> = const { RefCell::new(Vec::new()) };
    static ENTRIES: &'static [Entry] = Box::leak(Box::new(entries()));
}

pub fn modules(profile: Profile) -> Modules {
    MODULES.with(|made| {
        let mut made = made.borrow_mut();
        if let Some((_, modules)) = made.iter().find(|(of, _)| *of == profile) {
            return *modules;
        }
        let purse: &'static dyn Module = Box::leak(Box::new(Purse::<Suite>::new(profile)));
        let modules: Modules = Box::leak(Box::new([&Issuer as &'static dyn Module, purse]));
        made.push((profile, modules));
        modules
    })
}

/// The memory of [`bank`]'s card of this scheme, made once.
pub fn kept(profile: Profile, make: impl FnOnce() -> RamMemory) -> RamMemory {
    let found = KEPT.with_borrow(|kept| kept.iter().find(|(of, _)| *of == profile).cloned());
    found.map_or_else(
        || {
            let memory = make();
            KEPT.with_borrow_mut(|kept| kept.push((profile, memory.clone())));
            memory
        },
        |(_, memory)| memory,
    )
}

/// [`entries()`], made once.
pub fn kept_entries() -> &'static [Entry] {
    ENTRIES.with(|entries| *entries)
}

impl<M: Memory> Band<M> {
    pub fn blank(memory: M, modules: &'static [&'static dyn Module], entries: &'static [Entry]) -> Self {
        let mut band = Self {
            element: None,
            modules,
            entries,
            random: Seeded::new(0x4241_4E44),
            answer: Vec::new(),
            tear: None,
            tracing: true,
            trace: Vec::new(),
        };
        band.insert(memory);
        band
    }

    /// Powers the element up on this memory.
    pub fn insert(&mut self, memory: M) {
        let mut element = Element::new(self.modules, StaticDirectory(self.entries), memory);
        element.power_on(Interface::Contactless, &mut Environment { random: &mut self.random, now: None });
        self.element = Some(element);
    }

    /// The same behind contacts that speak T=0.
    pub fn put_on_contacts(&mut self) {
        let memory = self.remove();
        let options = huiwan_card::Options::DEFAULT.with_t0(true);
        let mut element =
            Element::new(self.modules, StaticDirectory(self.entries), memory).with_options(options);
        element.power_on(Interface::Contact, &mut Environment { random: &mut self.random, now: None });
        self.element = Some(element);
    }

    /// Takes the power away.
    pub fn remove(&mut self) -> M {
        self.element.take().unwrap().into_memory()
    }

    pub fn memory(&mut self) -> &mut M {
        self.element.as_mut().unwrap().memory_mut()
    }

    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let mut env = Environment { random: &mut self.random, now: None };
        let answer = self.element.as_mut().unwrap().exchange(command, &mut env).to_vec();
        if self.tracing {
            self.trace.push((command.to_vec(), answer.clone()));
        }
        answer
    }

    /// Sends hex, expects hex.
    #[track_caller]
    pub fn expect(&mut self, command: &str, answer: &str) {
        let got = self.send(&huiwan_testkit::hex(command));
        assert_eq!(hex(&got), answer.replace(' ', ""), "answer to {command}");
    }

    /// Sends hex, expects 9000, returns the data.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Vec<u8> {
        let mut got = self.send(&huiwan_testkit::hex(command));
        assert_eq!(got.split_off(got.len() - 2), [0x90, 0x00], "answer to {command}");
        got
    }

    /// Selects the purse.
    #[track_caller]
    pub fn select(&mut self) -> Vec<u8> {
        self.ok("00A4040008A00000063201010500")
    }

    /// Installs and personalises. The answer is how far it came: the number of commands that were answered 9000.
    pub fn issue(&mut self, purse: PurseData) -> usize {
        let install = vec![0x80, 0xE6, 0x00, 0x00];
        let mut commands = vec![install];
        for (dgi, value) in groupings(purse) {
            let mut command = vec![0x80, 0xE2, 0x00, 0x00, u8::try_from(value.len() + 2).unwrap()];
            command.extend(dgi.to_be_bytes());
            command.extend(value);
            commands.push(command);
        }
        self.send(&huiwan_testkit::hex("00A4040008A00000015100000000"));
        for (n, command) in commands.iter().enumerate() {
            if self.send(command) != [0x90, 0x00] {
                return n;
            }
        }
        commands.len()
    }
}

pub type RamBand = Band<RamMemory>;

/// An issued card with [`FULL_PURSE`].
pub fn issued() -> RamBand {
    issued_with(Profile::JTT_978, FULL_PURSE)
}

pub fn issued_with(profile: Profile, purse: PurseData) -> RamBand {
    let mut band = Band::blank(RamMemory::default(), modules(profile), kept_entries());
    assert_eq!(band.issue(purse), groupings(purse).len() + 1, "{:?}", band.trace.last());
    band.trace.clear();
    band
}

impl<M: Tearable> Band<M> {
    /// Leaves the field and comes back.
    pub fn retap(&mut self) {
        let memory = self.remove();
        self.insert(memory.power_up());
        self.tear = None;
    }
}

impl<M: Tearable> Transport for Band<M> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        let how = match &mut self.tear {
            Some(Tear { command: 0, how }) => Some(*how),
            Some(tear) => {
                tear.command -= 1;
                None
            }
            None => None,
        };
        match how {
            Some(TearHow::Unheard) => return None,
            Some(how) => self.memory().tear(how),
            None => {}
        }
        self.answer = self.send(command);
        if how.is_some() {
            return None;
        }
        Some(&self.answer)
    }
}

/// A gate that notes what happens.
#[derive(Debug, Default)]
pub struct Notes {
    pub fare: u32,
    pub pending: Option<Pending>,
    pub opened: Option<Receipt>,
}

impl Gate for Notes {
    fn fare(&mut self, _: &CardView) -> u32 {
        self.fare
    }
    fn persist(&mut self, pending: &Pending) {
        // What survives a power failure is the persisted form.
        self.pending = Some(Pending::from_bytes(&pending.to_bytes()).unwrap());
    }
    fn open(&mut self, receipt: &Receipt) {
        self.opened = Some(*receipt);
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
