//! A rider's card: the purse application on an element over a journal in flash, and the air between it and a terminal.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{
    Action, Context, Cut, Element, Entry, Environment, Forward, InstanceId, Interface, Journal, Module,
    ModuleId, RamFlash, ResponseWriter, StaticDirectory,
};
use huiwan_crypto::International;
use huiwan_purse::card::{Purse, VOLATILE_LEN};
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::CardId;
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::terminal::AID_JTT_978_EP;
use huiwan_purse::terminal::drive::Transport;
use huiwan_purse::transit::bus::Bus;
use huiwan_purse::transit::management::{self, Management};
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::transit::rail::Rail;
use huiwan_testkit::rng::Seeded;

use crate::city;

/// Eight pages of 4 KiB for each card, and the objects its journal keeps track of.
type Memory = Journal<RamFlash<{ 32 * 1024 }>, 96>;

const PURSE: InstanceId = InstanceId(1);
const ISSUER_AID: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

const MODULES: &[&dyn Module] = &[&Issuer, &Purse::<International>::new(city::PROFILE)];

/// What the reader of a terminal tells cards apart by before it talks to them.
pub type Uid = u32;

/// Stands for the issuer's security domain in the factory: 80 E6 installs the purse, 80 E2 DGI ‖ value personalises it.
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
            (0xE6, _) => Action::Forward(Forward::Install {
                module: ModuleId(1),
                instance: PURSE,
                aid: Aid::new(AID_JTT_978_EP).expect("an AID of eight bytes"),
                len: 0,
            }),
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

/// The two applications of every card.
pub struct Applications([Entry; 2]);

impl Applications {
    pub fn new() -> Self {
        let entry = |aid: &[u8], instance: InstanceId, module: u8| Entry {
            aid: Aid::new(aid).expect("an AID of eight bytes"),
            instance,
            module: ModuleId(module),
            domain: InstanceId::ISSUER,
            selectable: true,
            contactless: true,
            label: Default::default(),
            priority: None,
        };
        Self([entry(ISSUER_AID, InstanceId::ISSUER, 0), entry(AID_JTT_978_EP, PURSE, 1)])
    }
}

/// A card: what its flash holds.
pub struct Card {
    pub uid: Uid,
    memory: Option<Box<Memory>>,
}

/// How and when a card leaves the field too early.
#[derive(Clone, Copy, Debug)]
pub struct Tear {
    /// At which command, 0 = the first.
    pub command: u64,
    pub how: How,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    /// The command does not reach the card.
    Unheard,
    /// The card loses its power in a flash operation of the command.
    PowerCut { after: u32, cut: Cut, seed: u32 },
    /// The answer does not reach the terminal.
    Unanswered,
}

impl Tear {
    /// Anywhere in the first `commands` commands.
    pub fn random(random: &mut Seeded, commands: u64) -> Self {
        let how = match random.below(3) {
            0 => How::Unheard,
            1 => How::PowerCut {
                after: u32::try_from(random.below(4)).unwrap_or(0),
                cut: Cut::ALL[usize::try_from(random.below(4)).unwrap_or(0)],
                seed: u32::from_be_bytes(random.bytes()),
            },
            _ => How::Unanswered,
        };
        Self { command: random.below(commands), how }
    }

    /// The same loss of power in the midst of a collection, if one is due.
    pub fn in_collection(self) -> Option<(u32, Cut, u32)> {
        match self.how {
            How::PowerCut { after, cut, seed } => Some((after, cut, seed)),
            _ => None,
        }
    }
}

impl Card {
    /// The number of rider `n`, and back.
    pub fn id(n: u32) -> CardId {
        let mut serial = [0x31, 0x04, 0x89, 0x00, 0x00, 0x00, 0, 0, 0, 0];
        for (place, digits) in serial[6..].iter_mut().zip([1_000_000, 10_000, 100, 1]) {
            let two = n / digits % 100;
            *place = u8::try_from(two / 10 * 16 + two % 10).expect("two digits");
        }
        CardId { issuer: city::ISSUER, serial }
    }

    pub fn rider(id: &CardId) -> usize {
        id.serial[6..]
            .iter()
            .fold(0, |n, byte| n * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F))
    }

    /// A card for rider `n`, made and personalised by APDUs.
    pub fn issue(n: u32, masters: &[KeyData; 4], applications: &Applications, random: &mut Seeded) -> Self {
        let memory = Memory::format(RamFlash::new()).expect("erased flash can be formatted");
        let mut card = Self { uid: n, memory: Some(Box::new(memory)) };
        let id = Self::id(n);
        let keys = masters.each_ref().map(|master| {
            card_key::<International>(&city::PROFILE, master, &id).expect("3DES is in the suite")
        });
        let (rail, bus) = (Rail::new(), Bus::new());
        let data = Personalisation {
            passbook: None,
            purse: Some(PurseData { upper_limit: 100_000, ..PurseData::default() }),
            pin: None,
            version: Some([0x01, 0x00]),
            public_info: PublicInfo::new()
                .with(public_info::ISSUER, id.issuer)
                .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
                .with(public_info::APPLICATION_VERSION, [0x01])
                .with(public_info::SERIAL, id.serial)
                .with(public_info::START_DATE, [0x20, 0x26, 0x01, 0x01])
                .with(public_info::END_DATE, [0x20, 0x36, 0x12, 0x31]),
            holder: None,
            management: Some(Management::new().with(management::COUNTRY, [0x00, 0x00, 0x01, 0x56])),
            records: &[rail.as_bytes(), bus.as_bytes()],
            keys: &keys,
            ..Personalisation::default()
        };
        let mut commands = vec![vec![0x00, 0xA4, 0x04, 0x00, 0x08], vec![0x80, 0xE6, 0x00, 0x00]];
        commands[0].extend(ISSUER_AID);
        data.for_each(|dgi, value| {
            let len = u8::try_from(value.len() + 2).expect("a short command");
            let mut command = vec![0x80, 0xE2, 0x00, 0x00, len];
            command.extend(dgi.to_be_bytes());
            command.extend(value);
            commands.push(command);
        });
        let mut air = card.enter_field(applications, random, None);
        for command in &commands {
            assert_eq!(air.exchange(command), Some(&[0x90, 0x00][..]), "a blank card takes {command:02X?}");
        }
        drop(air);
        card.rest(None);
        card
    }

    /// The card is held to a terminal.
    pub fn enter_field<'c>(
        &'c mut self,
        applications: &'c Applications,
        random: &'c mut Seeded,
        tear: Option<Tear>,
    ) -> Air<'c> {
        let mut element = Element::new(MODULES, StaticDirectory(&applications.0), self.memory());
        element.power_on(Interface::Contactless, &mut Environment { random, now: None });
        Air { element, random, tear, gone: false, answer: Vec::with_capacity(256) }
    }

    /// The card is out of the field: power comes from the band's battery again, and what was cut is taken up. When its
    /// journal asks for it, it collects; `cut` is a loss of power in the midst of that.
    pub fn rest(&mut self, cut: Option<(u32, Cut, u32)>) {
        self.power_on();
        let memory = self.memory();
        if memory.needs_collection() {
            if let Some((after, cut, seed)) = cut {
                memory.flash_mut().cut_after(after, cut, seed);
            }
            // A collection that is cut goes on at the next rest.
            if memory.collect().is_err() {
                assert!(memory.flash().is_dead(), "a collection fails for want of power only");
            }
            self.power_on();
        }
    }

    fn power_on(&mut self) {
        if self.memory().flash().is_dead() {
            let mut flash = self.memory.take().expect("a card has its memory").into_flash();
            flash.power_on();
            self.memory = Some(Box::new(Memory::mount(flash).expect("no cut spoils a journal")));
        } else {
            self.memory().flash_mut().power_on();
        }
    }

    fn memory(&mut self) -> &mut Memory {
        self.memory.as_mut().expect("a card has its memory")
    }

    /// Balance and offline counter, as the card tells anybody: SELECT, GET BALANCE, and a purchase of nothing that is not
    /// completed. Raw bytes on purpose: this is what the day is judged by.
    pub fn inspect(&mut self, applications: &Applications, random: &mut Seeded) -> (u32, u16) {
        const SELECT: &[u8] =
            &[0x00, 0xA4, 0x04, 0x00, 0x08, 0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05, 0x00];
        const BALANCE: &[u8] = &[0x80, 0x5C, 0x00, 0x02, 0x04];
        const INITIALIZE: &[u8] =
            &[0x80, 0x50, 0x01, 0x02, 0x0B, city::KEY_INDEX, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0F];
        let mut air = self.enter_field(applications, random, None);
        air.exchange(SELECT);
        let balance = match air.exchange(BALANCE) {
            Some(&[a, b, c, d, 0x90, 0x00]) => u32::from_be_bytes([a, b, c, d]),
            other => panic!("GET BALANCE answered {other:02X?}"),
        };
        match air.exchange(INITIALIZE) {
            Some(&[a, b, c, d, high, low, .., 0x90, 0x00]) if balance == u32::from_be_bytes([a, b, c, d]) => {
                (balance, u16::from_be_bytes([high, low]))
            }
            other => panic!("INITIALIZE FOR PURCHASE answered {other:02X?}"),
        }
    }
}

/// A card in the field of a terminal.
pub struct Air<'c> {
    element: Element<'c, &'c mut Memory, StaticDirectory<'c>, 4, VOLATILE_LEN, 2048>,
    random: &'c mut Seeded,
    tear: Option<Tear>,
    gone: bool,
    answer: Vec<u8>,
}

impl Transport for Air<'_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        let how = match &mut self.tear {
            Some(Tear { command: 0, how }) => Some(*how),
            Some(tear) => {
                tear.command -= 1;
                None
            }
            None => None,
        };
        if self.gone || matches!(how, Some(How::Unheard)) {
            self.gone = true;
            return None;
        }
        if let Some(How::PowerCut { after, cut, seed }) = how {
            self.element.memory_mut().flash_mut().cut_after(after, cut, seed);
        }
        let mut environment = Environment { random: self.random, now: None };
        let answer = self.element.exchange(command, &mut environment);
        self.answer.clear();
        self.answer.extend_from_slice(answer);
        self.gone = how.is_some();
        if self.gone { None } else { Some(&self.answer) }
    }
}
