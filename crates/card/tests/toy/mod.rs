//! A toy application with a counter, a record file, a binary file and a PIN, and an element around it.
//!
//! Its invariant: the newest record of the cyclic file is `counter(4) ‖ amount(1) ‖ 00 00 00`, every older one has the counter
//! from before the amount of the next newer one was added, and object 1 holds the counter of the newest.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc
)]

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::files::{Access, Current, File, Files, Structure};
use huiwan_card::pin::Pin;
use huiwan_card::{
    Action, Batch, Context, Cut, Element, Entry, Environment, InstanceId, Interface, Journal, Memory, Module,
    ModuleId, ObjectId, RamFlash, ResponseWriter, StaticDirectory,
};

pub const TOY: InstanceId = InstanceId(1);
pub const AID: [u8; 6] = *b"\xF0TOY01";
const COUNTER: u16 = 1;
const PIN: Pin = Pin { object: 2, max_tries: 3 };
const PIN_GRANTED: u8 = 1;

/// Where the volatile slot remembers that the PIN was verified.
const VERIFIED: usize = 0;
/// Where it remembers the current file and record.
const CURRENT: core::ops::Range<usize> = 1..1 + Current::LEN;

pub const FILES: Files<'static> = Files(&[
    File {
        fid: 0x0018,
        sfi: 0x18,
        structure: Structure::Cyclic { len: 8, records: 4 },
        base: 0x0100,
        read: Access::FREE,
        update: Access::NEVER,
        grants: &[],
    },
    File {
        fid: 0x0015,
        sfi: 0x15,
        structure: Structure::Transparent { size: 32 },
        base: 0x0200,
        read: Access::FREE,
        update: Access::all_of(PIN_GRANTED),
        grants: &[],
    },
    File {
        fid: 0x0017,
        sfi: 0x17,
        structure: Structure::Variable { len: 40, records: 5, id_at: 0 },
        base: 0x0300,
        read: Access::all_of(PIN_GRANTED),
        update: Access::all_of(PIN_GRANTED),
        grants: &[],
    },
]);

pub struct Toy;

impl Toy {
    fn current(cx: &Context<'_>) -> Current {
        Current::from_bytes(cx.volatile[CURRENT].try_into().unwrap())
    }

    fn keep(cx: &mut Context<'_>, current: Current) {
        cx.volatile[CURRENT].copy_from_slice(&current.to_bytes());
    }

    fn count(cx: &mut Context<'_>, amount: u8) -> Result<u32, Sw> {
        let counter =
            u32::from_be_bytes(cx.read_array(COUNTER)?).checked_add(amount.into()).ok_or(Sw::new(0x9402))?;
        let mut record = [0; 8];
        record[..4].copy_from_slice(&counter.to_be_bytes());
        record[4] = amount;
        let mut buffer = [0; 128];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(COUNTER), &counter.to_be_bytes());
        FILES.by_sfi(0x18)?.append_record(cx.memory, &mut batch, cx.instance, &record)?;
        cx.commit(&batch)?;
        Ok(counter)
    }

    fn handle(cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Result<(), Sw> {
        let granted = if cx.volatile[VERIFIED] == 1 { PIN_GRANTED } else { 0 };
        match (command.class().map_err(|_| Sw::CLA_NOT_SUPPORTED)?.without_channel().to_byte(), command.ins())
        {
            (0x80, 0x10) => match *command.data() {
                [amount] => reply.push(&Self::count(cx, amount)?.to_be_bytes()),
                _ => Err(Sw::WRONG_LENGTH),
            },
            (0x80, 0x12) => reply.push(&cx.read_array::<4>(COUNTER)?),
            (0x80, 0x14) => reply.push(&cx.random_bytes::<8>()?),
            (0x80, 0x1C) => {
                let n = usize::from(command.p1p2());
                for at in 0..n {
                    reply.push(&[at as u8])?;
                }
                Ok(())
            }
            (0x80, 0x1E) => reply
                .push(&(command.data().len() as u16).to_be_bytes())
                .and_then(|()| reply.push(command.data().first_chunk::<4>().unwrap_or(&[0; 4]))),
            (0x80, 0x20) => reply.push(&[u8::from(cx.wearer_verified), cx.channel]),
            (0x00, 0x20) if command.data().is_empty() => Err(PIN.status(cx)?),
            (0x00, 0x20) => {
                cx.volatile[VERIFIED] = 0;
                PIN.verify(cx, command.data())?;
                cx.volatile[VERIFIED] = 1;
                Ok(())
            }
            (0x00, 0x24) => {
                let (old, new) = command.data().split_at_checked(4).ok_or(Sw::WRONG_LENGTH)?;
                PIN.change(cx, old, new)
            }
            (0x00, 0x2C) => PIN.unblock(cx, Some(command.data()).filter(|data| !data.is_empty())),
            (0x00, 0xA4) => {
                let fid = u16::from_be_bytes(command.data().try_into().map_err(|_| Sw::WRONG_LENGTH)?);
                let mut current = Self::current(cx);
                FILES.select(fid, &mut current)?;
                Self::keep(cx, current);
                Ok(())
            }
            (0x00, 0xB0 | 0xB2) => {
                let mut current = Self::current(cx);
                FILES.read(cx, command, &mut current, granted, reply)?;
                Self::keep(cx, current);
                Ok(())
            }
            (0x00, 0xD6 | 0xDC | 0xE2) => {
                let mut buffer = [0; 300];
                let mut batch = Batch::new(&mut buffer);
                let mut current = Self::current(cx);
                FILES.update(cx, command, command.data(), &mut current, granted, &mut batch)?;
                cx.commit(&batch)?;
                Self::keep(cx, current);
                Ok(())
            }
            (0x00 | 0x80, _) => Err(Sw::INS_NOT_SUPPORTED),
            _ => Err(Sw::CLA_NOT_SUPPORTED),
        }
    }
}

impl Module for Toy {
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        let mut buffer = [0; 128];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(cx.instance);
        batch.put(cx.object(COUNTER), &[0; 4]);
        PIN.set(cx.instance, &mut batch, parameters)?;
        cx.commit(&batch)
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        assert!(cx.volatile.iter().all(|&byte| byte == 0), "a new session begins with a zero slot");
        reply.push(cx.aid.as_bytes()).err().unwrap_or(Sw::OK)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        assert!(cx.scratch.len() >= 1024 && cx.scratch.iter().all(|&byte| byte == 0), "scratch is clean");
        Action::Reply(Self::handle(cx, command, reply).err().unwrap_or(Sw::OK))
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}

pub type Flash = RamFlash<8192, 512, 8>;
pub type Memories = Journal<Flash, 24>;
pub type ToyElement<'m> = Element<'m, Memories, StaticDirectory<'m>, 4, 16, 2048>;

pub fn entry(instance: InstanceId, module: u8, aid: &[u8]) -> Entry {
    Entry {
        aid: Aid::new(aid).unwrap(),
        instance,
        module: ModuleId(module),
        domain: InstanceId::ISSUER,
        selectable: true,
        contactless: true,
        label: Default::default(),
        priority: None,
    }
}

/// Flash with an installed toy whose PIN is 1234.
pub fn issued() -> Flash {
    let mut journal = Memories::format(Flash::erased()).unwrap();
    let mut buffer = [0; 128];
    let mut batch = Batch::new(&mut buffer);
    batch.put(ObjectId::new(TOY, COUNTER), &[0; 4]);
    PIN.set(TOY, &mut batch, b"1234").unwrap();
    journal.commit(&batch).unwrap();
    journal.into_flash()
}

/// What the toy holds, read straight from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub counter: u32,
    pub tries: u8,
    pub pin: Vec<u8>,
    pub records: Vec<Vec<u8>>,
    pub binary: Vec<u8>,
    pub variable: Vec<Vec<u8>>,
}

pub fn state(memory: &mut dyn Memory) -> State {
    let mut read = |id: u16| {
        let mut out = [0; 64];
        memory.read(ObjectId::new(TOY, id), 0, &mut out).map(<[u8]>::to_vec).unwrap_or_default()
    };
    let counter = u32::from_be_bytes(read(COUNTER).try_into().unwrap());
    let (pin, tries, binary) = (read(2), read(3)[0], read(0x0200));
    let records = |memory: &mut dyn Memory, sfi, most| {
        let mut out = [0; 64];
        (1..=most)
            .map_while(|n| {
                FILES.by_sfi(sfi).unwrap().read_record(memory, TOY, n, &mut out).map(<[u8]>::to_vec).ok()
            })
            .collect()
    };
    let (records, variable) = (records(memory, 0x18, 4), records(memory, 0x17, 5));
    State { counter, tries, pin, records, binary, variable }
}

/// The invariant of the toy.
pub fn check(state: &State) {
    assert!(state.tries <= 3);
    let mut counter = state.counter;
    for record in &state.records {
        assert_eq!(record[..4], counter.to_be_bytes(), "{state:?}");
        counter -= u32::from(record[4]);
    }
    if state.records.len() < 4 {
        assert_eq!(counter, 0, "{state:?}");
    }
}

/// Exchanges one command with an element that is powered on for it, and selects the toy first.
pub fn with_toy<R>(
    flash: Flash,
    work: impl FnOnce(&mut ToyElement<'_>, &mut Environment<'_>) -> R,
) -> (R, Flash) {
    let entries = [entry(TOY, 0, &AID)];
    let modules: [&dyn Module; 1] = [&Toy];
    let mut random = huiwan_testkit::rng::Seeded::new(7);
    let mut env = Environment { random: &mut random, now: None };
    let mut element = ToyElement::new(&modules, StaticDirectory(&entries), Memories::mount(flash).unwrap());
    element.power_on(Interface::Contactless, &mut env);
    let result = work(&mut element, &mut env);
    (result, element.into_memory().into_flash())
}

/// Any commands, resets, collections and power cuts. Input: `00 len APDU` a command · `01 n mode seed` power is cut in the operation
/// after the next n · `02` reset · `03` power off and on · `04` idle collection · anything else: a command taken from the rest, so
/// that raw APDUs are inputs as well.
pub fn any_apdu_with_cuts(input: &[u8]) {
    static ISSUED: std::sync::OnceLock<Flash> = std::sync::OnceLock::new();
    let entries = [entry(TOY, 0, &AID)];
    let modules: [&dyn Module; 1] = [&Toy];
    let mut random = huiwan_testkit::rng::Seeded::new(7);
    let mut env = Environment { random: &mut random, now: None };
    let mut flash = ISSUED.get_or_init(issued).clone();
    let mut rest = input;
    let mut last: Option<State> = None;
    // One life of the element, from mounting to the loss of power.
    for _ in 0..32 {
        flash.power_on();
        let mut memory = Memories::mount(flash).expect("what was cut mounts again");
        let found = state(&mut memory);
        check(&found);
        if let Some(last) = &last {
            assert!(found.counter >= last.counter);
        }
        last = Some(found);
        let mut element = ToyElement::new(&modules, StaticDirectory(&entries), memory);
        element.power_on(Interface::Contactless, &mut env);
        while let Some((&what, after)) = rest.split_first() {
            rest = after;
            match (what, rest) {
                (0, &[len, ref after @ ..]) => {
                    let (command, after) = after.split_at(after.len().min(len.into()));
                    rest = after;
                    let answer = element.exchange(command, &mut env);
                    assert!(answer.len() >= 2 && answer.len() <= 258);
                }
                (1, &[n, mode, seed, ref after @ ..]) => {
                    rest = after;
                    let cut = Cut::ALL[usize::from(mode) % 4];
                    element.memory_mut().flash_mut().cut_after(u32::from(n) % 16, cut, seed.into());
                }
                (2, _) => element.reset(),
                (3, _) => break,
                (4, _) => {
                    let done = element.memory_mut().collect();
                    assert!(done.is_ok() || element.memory().flash().is_dead(), "{done:?}");
                }
                _ => {
                    element.exchange(rest, &mut env);
                    rest = rest.get(5..).unwrap_or_default();
                }
            }
            if element.memory().flash().is_dead() {
                break;
            }
        }
        flash = element.into_memory().into_flash();
        if rest.is_empty() {
            break;
        }
    }
    flash.power_on();
    let mut memory = Memories::mount(flash).expect("what was cut mounts again");
    let found = state(&mut memory);
    check(&found);
    memory.collect().expect("a collection with power succeeds");
    assert_eq!(state(&mut memory), found);
}
