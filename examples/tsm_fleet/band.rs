//! A band in its wearer's hands: an element over flash, blank from the factory, with keys of its own.

use huiwan::element::SecureElement;
use huiwan::sample::{BANK_AID, PURSE, TRANSIT_AID};
use huiwan_apdu::{Command, Ne, Response, Sw};
use huiwan_card::{Environment, Interface, Journal, Module, RamFlash};
use huiwan_crypto::Aes;
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
use huiwan_gp::diversification::{Purpose, kdf3};
use huiwan_gp::get_status::entries;
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::life_cycle::ApplicationState;
use huiwan_gp::scp03::StaticKeys;
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::rng::Seeded;

use crate::issuer::transit_card;
use crate::tsm::{FACTORY_MASTERS, FACTORY_VERSION, TOP_UP, TSM_MASTERS, TSM_VERSION};

/// Eight pages of 4 KiB, and the objects the journal keeps track of.
type Memory = Journal<RamFlash<{ 32 * 1024 }>, 128>;

/// The payment environment's name.
const PPSE: &[u8] = b"2PAY.SYS.DDF01";

pub struct Band<'m> {
    number: u32,
    element: Box<SecureElement<'m, Memory>>,
    random: Seeded,
}

impl<'m> Band<'m> {
    /// A band as it leaves the factory.
    pub fn new(number: u32, modules: &'m [&'m dyn Module], seed: u64) -> Self {
        let mut memory = Memory::format(RamFlash::new()).expect("flash of whole pages");
        let factory = Factory::TEST.with_serial(number.to_be_bytes());
        let keys = diversified(&FACTORY_MASTERS, &factory.key_diversification);
        let keys = [&keys[0][..], &keys[1], &keys[2]];
        format(&mut memory, &Factory { key_version: FACTORY_VERSION, keys, ..factory })
            .expect("room for the keys");
        let registry = Registry::new(&CardProfile::DEFAULT);
        Self {
            number,
            element: Box::new(SecureElement::new(modules, registry, memory)),
            random: Seeded::new(seed ^ u64::from(number)),
        }
    }

    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The wearer's phone powers the band's element for a visit, or a terminal's field does. Before, at rest, the band put its flash
    /// in order.
    pub fn power_on(&mut self, interface: Interface) {
        let mut environment = Environment { random: &mut self.random, now: None };
        self.element.power_off();
        self.element.memory_mut().collect().expect("the flash is not cut, and has room");
        self.element.power_on(interface, &mut environment);
    }

    /// A command and its answer.
    pub fn exchange(&mut self, command: &[u8], answer: &mut Vec<u8>) {
        let mut environment = Environment { random: &mut self.random, now: None };
        answer.clear();
        answer.extend_from_slice(self.element.exchange(command, &mut environment));
    }

    fn send(&mut self, header: [u8; 4], data: &[u8]) -> (Vec<u8>, Sw) {
        let [cla, ins, p1, p2] = header;
        let mut wire = [0; 300];
        let command = Command::new(cla, ins, p1, p2).with_data(data).with_ne(Ne::MAX_SHORT);
        let mut answer = Vec::new();
        self.exchange(command.write(&mut wire).expect("a short command"), &mut answer);
        let response = Response::parse(&answer).expect("an answer has a status word");
        (response.data().to_vec(), response.sw())
    }

    fn select(&mut self, aid: &[u8]) -> (Vec<u8>, Sw) {
        self.send([0x00, 0xA4, 0x04, 0x00], aid)
    }

    /// Whether the band is as its issuers want it; if not, what is not.
    pub fn audit(&mut self) -> Result<(), &'static str> {
        let ensure = |right: bool, what| if right { Ok(()) } else { Err(what) };
        // A terminal and a gate.
        self.power_on(Interface::Contactless);
        let (directory, sw) = self.select(PPSE);
        ensure(sw.is_ok() && contains(&directory, BANK_AID.as_bytes()), "bank card is not in the directory")?;
        ensure(self.select(BANK_AID.as_bytes()).1.is_ok(), "bank card cannot be selected")?;
        ensure(self.select(TRANSIT_AID.as_bytes()).1.is_ok(), "transit card cannot be selected")?;
        let (balance, sw) = self.send([0x80, 0x5C, 0x00, 0x02], &[]);
        ensure(sw.is_ok() && balance == (PURSE + TOP_UP).to_be_bytes(), "purse has another balance")?;
        let (file, sw) = self.send([0x00, 0xB0, 0x95, 0x00], &[]);
        let serial = transit_card(self.number).serial;
        ensure(sw.is_ok() && contains(&file, &serial), "transit card has another number")?;
        // The TSM with the band's own keys, and the factory with what it knew.
        self.power_on(Interface::Internal);
        ensure(self.select(&[]).1.is_ok(), "card manager cannot be selected")?;
        let kdd = Factory::TEST.with_serial(self.number.to_be_bytes()).key_diversification;
        ensure(
            self.open(FACTORY_VERSION, diversified(&FACTORY_MASTERS, &kdd)).is_none(),
            "old keys are still there",
        )?;
        let mut session = self
            .open(TSM_VERSION, diversified(&TSM_MASTERS, &kdd))
            .ok_or("new keys do not open a channel")?;
        let mut wire = [0; 300];
        let list = Command::new(0x80, 0xF2, 0x40, 0x02).with_data(&[0x4F, 0x00]).with_ne(Ne::MAX_SHORT);
        let list = session.wrap(&list, &mut wire).map_err(|_| "session does not take a command")?;
        let mut answer = Vec::new();
        self.exchange(list, &mut answer);
        let mut out = [0; 300];
        let list = session.unwrap(&answer, &mut out).map_err(|_| "registry is not authentic")?;
        let mut found = Vec::new();
        for entry in entries(list.data()) {
            let entry = entry.map_err(|_| "registry cannot be read")?;
            ensure(
                entry.application_state() == ApplicationState::SELECTABLE,
                "application is not selectable",
            )?;
            found.push(entry.aid.to_vec());
        }
        found.sort();
        let mut wanted = [PPSE, BANK_AID.as_bytes(), TRANSIT_AID.as_bytes()].map(<[u8]>::to_vec);
        wanted.sort();
        ensure(found == wanted, "registry holds other applications")
    }

    fn open(&mut self, version: u8, keys: [[u8; 16]; 3]) -> Option<Open> {
        let [enc, mac, dek] = &keys;
        let keys = StaticKeys::new(enc, mac, dek).expect("AES keys");
        let challenge: [u8; 8] = self.random.bytes();
        let (answer, sw) = self.send([0x80, 0x50, version, 0x00], &challenge);
        let answer = Answer::parse(&answer).ok().filter(|_| sw.is_ok())?;
        let host = AwaitCard::new(challenge).verify_card(0x80, &answer, &keys, Level::CMacRMac).ok()?;
        let mut answer = Vec::new();
        self.exchange(host.command(), &mut answer);
        host.accepted(Response::parse(&answer).ok()?.sw()).ok()
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The keys of a card, straight from the masters.
fn diversified(masters: &[[u8; 16]; 3], kdd: &[u8; 10]) -> [[u8; 16]; 3] {
    let mut keys = [[0; 16]; 3];
    for ((purpose, master), key) in Purpose::ALL.into_iter().zip(masters).zip(&mut keys) {
        kdf3(&Aes::new(master).expect("an AES key"), kdd, purpose, key).expect("as long as its master");
    }
    keys
}
