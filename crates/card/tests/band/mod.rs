//! An element of recording doubles: applications 1–4, their domain 5, the issuer's domain 0.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

use core::cell::RefCell;
use std::rc::Rc;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{
    Action, Batch, Compute, Context, Directory, Element, Entry, Environment, Forward, InstanceId, Interface,
    Journal, Memory, Module, ModuleId, ObjectId, Options, Protection, RamFlash, ResponseWriter,
};
use huiwan_crypto::CryptoError;
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_testkit::{hex, rng::Seeded};

pub const APP1: InstanceId = InstanceId(1);
pub const APP2: InstanceId = InstanceId(2);
pub const APP3: InstanceId = InstanceId(3);
pub const DOMAIN: InstanceId = InstanceId(5);

pub type Log = Rc<RefCell<Vec<String>>>;
pub type Entries = Rc<RefCell<Vec<Entry>>>;

pub fn entry(instance: InstanceId, module: u8, aid: &[u8], domain: InstanceId) -> Entry {
    Entry {
        aid: Aid::new(aid).unwrap(),
        instance,
        module: ModuleId(module),
        domain,
        selectable: true,
        contactless: true,
        label: Default::default(),
        priority: None,
    }
}

pub fn entries() -> Vec<Entry> {
    vec![
        entry(InstanceId::ISSUER, 0, b"\xF0ISSUER", InstanceId::ISSUER),
        entry(APP1, 1, b"\xF0APP1", DOMAIN),
        entry(APP2, 1, b"\xF0APP2", DOMAIN),
        entry(APP3, 1, b"\xF0APP3", DOMAIN),
        entry(InstanceId(4), 1, b"\xF0APP4", InstanceId::ISSUER),
        entry(DOMAIN, 0, b"\xF0DOMAIN", DOMAIN),
    ]
}

/// A directory that a test changes.
pub struct Shared(Entries);

impl Directory for Shared {
    fn nth(&self, _: &mut dyn Memory, index: usize) -> Result<Option<Entry>, Sw> {
        Ok(self.0.borrow().get(index).cloned())
    }
    /// The issuer's domain is above all domains.
    fn associated(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<InstanceId, Sw> {
        let entry = self.entry(memory, instance)?;
        Ok(if entry.is_security_domain() { InstanceId::ISSUER } else { entry.domain })
    }
    fn default(&self, _: &mut dyn Memory, interface: Interface, _: u8) -> Result<Entry, Sw> {
        self.0.borrow().iter().find(|entry| entry.is_selectable(interface)).cloned().ok_or(Sw::FILE_NOT_FOUND)
    }
}

fn note(log: &Log, text: String) {
    log.borrow_mut().push(text);
}

fn selected(log: &Log, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
    note(log, format!("select {} ({:02X})", cx.instance.0, cx.volatile[0]));
    if cx.instance == APP3 {
        reply.push(b"not to be seen").unwrap();
        return Sw::CONDITIONS_NOT_SATISFIED;
    }
    reply.push(format!("FCI{}", cx.instance.0).as_bytes()).unwrap();
    Sw::OK
}

pub struct App(Log);

impl App {
    fn handle(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<Action, Sw> {
        let data = command.data();
        match command.ins() {
            0x10 => cx.volatile[0] = command.p1(),
            0x12 => reply.push(&[cx.volatile[0]])?,
            0x14 => return Ok(Action::ToSecurityDomain),
            0x16 => return Ok(Action::Forward(forward(cx, command))),
            0x18 => {
                cx.scratch[..data.len()].copy_from_slice(data);
                return Ok(Action::Compute(Compute::RsaCrt { key: [10, 11, 12, 13, 14], len: data.len() }));
            }
            0x1A => {
                cx.scratch[..data.len()].copy_from_slice(data);
                return Ok(Action::Compute(Compute::Sm2Sign { key: 20, len: data.len() }));
            }
            0x1C => {
                let n = usize::from(command.p1p2());
                reply.reserve(n)?.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
            }
            0x1E => reply.push(&(data.len() as u16).to_be_bytes())?,
            0x20 => reply.push(&[cx.wearer_verified.into(), cx.channel])?,
            0x22 => {
                reply.push(b"data")?;
                return Err(Sw::new(command.p1p2()));
            }
            0x24 => reply.push(&cx.random_bytes::<8>()?)?,
            0x26 => {
                let (to, about) = (InstanceId(command.p1()), cx.aid);
                for event in data {
                    reply.push(&[cx.notify(to, *event, about).into()])?;
                }
            }
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        }
        Ok(Action::Reply(Sw::OK))
    }
}

/// INS 16: P1 says what, P2 whom; the data are handed over.
fn forward(cx: &mut Context<'_>, command: &Command<'_>) -> Forward {
    let data = command.data();
    cx.scratch[..data.len()].copy_from_slice(data);
    let (to, len) = (InstanceId(command.p2()), data.len());
    match command.p1() {
        0 => {
            Forward::Install { module: ModuleId(1), instance: to, aid: Aid::new(b"\xF0NEWAPP").unwrap(), len }
        }
        1 => Forward::Personalise { to, dgi: 0x8000, len },
        2 => {
            let mut plain = vec![0x80, 0x1E, 0, 0, len as u8];
            plain.extend_from_slice(data);
            cx.scratch[..plain.len()].copy_from_slice(&plain);
            Forward::Process { to, protection: Protection::default(), len: plain.len() }
        }
        _ => Forward::Uninstall { instance: to },
    }
}

impl Module for App {
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        note(
            &self.0,
            format!(
                "install {} {}",
                cx.instance.0,
                parameters.iter().map(|b| format!("{b:02X}")).collect::<String>()
            ),
        );
        Ok(())
    }
    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        selected(&self.0, cx, reply)
    }
    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let mac = if cx.protection.c_mac { " mac" } else { "" };
        note(&self.0, format!("process {} {:02X}{mac}", cx.instance.0, command.ins()));
        self.handle(cx, command, reply).unwrap_or_else(Action::Reply)
    }
    fn computed(
        &self,
        cx: &mut Context<'_>,
        _: &Command<'_>,
        result: Result<usize, CryptoError>,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        let sw = match result {
            Ok(n) => reply.push(&cx.scratch[..n]).err().unwrap_or(Sw::OK),
            Err(CryptoError) => Sw::UNKNOWN,
        };
        Action::Reply(sw)
    }
    fn deselect(&self, cx: &mut Context<'_>) {
        note(&self.0, format!("deselect {} ({:02X})", cx.instance.0, cx.volatile[0]));
    }
    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        note(
            &self.0,
            format!(
                "personalise {} {dgi:04X} {}",
                cx.instance.0,
                data.iter().map(|b| format!("{b:02X}")).collect::<String>()
            ),
        );
        if data == [0xFF, 0xFF] { Err(Sw::WRONG_DATA) } else { Ok(()) }
    }
    fn notified(&self, cx: &mut Context<'_>, event: u8, about: &huiwan_apdu::Aid) {
        note(&self.0, format!("notified {} {event:02X} {about} ({:02X})", cx.instance.0, cx.volatile[0]));
        // It goes no further.
        cx.notify(InstanceId(1), 0xEE, cx.aid);
    }
    fn power_on(&self, cx: &mut Context<'_>) {
        note(&self.0, format!("power {}", cx.instance.0));
    }
}

pub struct Domain(Log, Entries);

impl Module for Domain {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::FUNCTION_NOT_SUPPORTED)
    }
    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        selected(&self.0, cx, reply)
    }
    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, _: &mut ResponseWriter<'_>) -> Action {
        let served = cx.served.map(|of| format!(" for {}", of.0)).unwrap_or_default();
        note(&self.0, format!("process {} {:02X}{served}", cx.instance.0, command.ins()));
        match (command.ins(), cx.served) {
            (0x14, Some(to)) => {
                cx.volatile[0] += 1;
                let ins = [0x1E, 0x14, 0x18][usize::from(command.p1())];
                let mut plain = vec![0x80, ins, 1, 0];
                if !command.data().is_empty() {
                    plain.push(command.data().len() as u8);
                    plain.extend_from_slice(command.data());
                }
                cx.scratch[..plain.len()].copy_from_slice(&plain);
                let protection = Protection { authenticated: true, c_mac: true, ..Protection::default() };
                Action::Forward(Forward::Process { to, protection, len: plain.len() })
            }
            (0x14, None) => Action::ToSecurityDomain,
            (0x16, _) => Action::Forward(forward(cx, command)),
            (0x12, _) => Action::Reply(Sw::OK),
            _ => Action::Reply(Sw::INS_NOT_SUPPORTED),
        }
    }
    fn forwarded(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        result: Sw,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        note(&self.0, format!("forwarded {} {result}", cx.instance.0));
        if command.ins() == 0x14 && result.is_ok() {
            reply.push(&[0xD0, cx.volatile[0]]).unwrap();
        }
        if command.data() == [0xDE, 0xAD] {
            self.1.borrow_mut().retain(|entry| entry.instance != InstanceId(command.p2()));
        }
        Action::Reply(result)
    }
    fn deselect(&self, cx: &mut Context<'_>) {
        note(&self.0, format!("deselect {} ({:02X})", cx.instance.0, cx.volatile[0]));
    }
    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::FUNCTION_NOT_SUPPORTED)
    }
    fn power_on(&self, cx: &mut Context<'_>) {
        note(&self.0, format!("power {}", cx.instance.0));
    }
}

pub type Memories = Journal<RamFlash<65536>, 32>;

pub fn memory() -> Memories {
    Journal::format(RamFlash::new()).unwrap()
}

pub struct Band {
    pub element: Element<'static, Memories, Shared, 4, 16, 2048>,
    pub log: Log,
    random: Seeded,
}

impl Band {
    pub fn new(list: Vec<Entry>) -> Self {
        Self::with_options(list, Options::DEFAULT)
    }

    pub fn with_options(list: Vec<Entry>, options: Options) -> Self {
        let log = Log::default();
        let list = Rc::new(RefCell::new(list));
        let modules: [&'static dyn Module; 2] =
            [Box::leak(Box::new(Domain(log.clone(), list.clone()))), Box::leak(Box::new(App(log.clone())))];
        let modules = Box::leak(Box::new(modules));
        let element = Element::new(modules, Shared(list), memory())
            .with_suite::<huiwan_crypto::Both>()
            .with_options(options);
        let mut band = Self { element, log, random: Seeded::new(1) };
        band.power_on(Interface::Contact);
        band
    }

    pub fn power_on(&mut self, interface: Interface) {
        self.element.power_on(interface, &mut Environment { random: &mut self.random, now: None });
    }

    /// Answer data and status word.
    pub fn send(&mut self, command: &[u8]) -> (Vec<u8>, u16) {
        let mut env = Environment { random: &mut self.random, now: None };
        let reply = self.element.exchange(command, &mut env);
        let (data, sw) = reply.split_last_chunk::<2>().unwrap();
        (data.to_vec(), u16::from_be_bytes(*sw))
    }

    pub fn select(&mut self, name: &[u8]) -> (Vec<u8>, u16) {
        let mut command = vec![0x00, 0xA4, 0x04, 0x00];
        if !name.is_empty() {
            command.push(name.len() as u8);
            command.extend_from_slice(name);
        }
        self.send(&command)
    }

    pub fn put(&mut self, object: ObjectId, data: &[u8]) {
        let mut buffer = [0; 512];
        let mut batch = Batch::new(&mut buffer);
        batch.put(object, data);
        self.element.memory_mut().commit(&batch).unwrap();
    }

    pub fn put_rsa_key(&mut self, instance: InstanceId) {
        let key = rsa();
        for (id, part) in (10..).zip(key.expose_parts()) {
            self.put(ObjectId::new(instance, id), part);
        }
    }
}

/// A 512-bit key made for this test with a fixed seed.
pub fn rsa() -> RsaPrivate {
    let p = hex("F9F90F812DD96B620942C3FBB6D3E87988EBD52478E21103C14B051002C19AA9");
    let q = hex("CF91540C27756991A0931ED42ECDCC0A62D74145DDD4A05422BFB8E0931719FD");
    RsaPrivate::from_primes(&p, &q, &[3]).unwrap()
}

pub fn rsa_public() -> RsaPublic {
    rsa().public().clone()
}
