//! A card with the registry service, wallet cards that listen and change themselves, and a terminal's view of it.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Action, Context, Directory, Element, Interface, Module, ModuleId, ResponseWriter};
use huiwan_gp::card::crs::{own_state, set_own_state};
use huiwan_gp::card::{CardManager, CardProfile, Crs, Factory, ModuleEntry, Registry};
use huiwan_gp::crs;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{Aids, Fields, Interaction, Parameters};
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_gp::scp03::Level;
use huiwan_testkit::rng::Seeded;

use crate::support::*;

/// Keeps what it is told (INS 10 reads `event ‖ LV AID` of each notice, P1 01 forgets them); INS 20 makes its own state P1, and P2 01
/// replaces those that exclude it.
pub struct WalletCard;

const HEARD: u16 = 1;

impl Module for WalletCard {
    fn install(&self, cx: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        cx.put(HEARD, &[])
    }

    fn select(&self, _: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        reply.push(&[0x6F, 0x00]).err().unwrap_or(Sw::OK)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let mut buffer = [0; 256];
        let result = match (command.ins(), command.p1()) {
            (0x10, 0) => cx.read(HEARD, &mut buffer).and_then(|heard| reply.push(heard)),
            (0x10, _) => cx.put(HEARD, &[]),
            (0x20, state) => {
                let conflicts = if command.p2() == 1 {
                    huiwan_gp::card::Conflicts::Replace
                } else {
                    huiwan_gp::card::Conflicts::Refuse
                };
                set_own_state(cx, ContactlessState::from_byte(state).unwrap(), conflicts)
                    .and_then(|()| own_state(cx))
                    .and_then(|state| reply.push(&[state.byte()]))
            }
            _ => Err(Sw::INS_NOT_SUPPORTED),
        };
        Action::Reply(result.err().unwrap_or(Sw::OK))
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }

    fn notified(&self, cx: &mut Context<'_>, event: u8, about: &Aid) {
        let mut buffer = [0; 64];
        let mut heard = cx.read(HEARD, &mut buffer).unwrap_or_default().to_vec();
        heard.extend([event, about.as_bytes().len() as u8]);
        heard.extend(about.as_bytes());
        // A listener whose memory is full, or without power, hears nothing; nobody else minds.
        let _ = cx.put(HEARD, &heard);
    }
}

pub const WALLET_CARD: ModuleEntry = ModuleEntry {
    load_file: Aid::from_array([0xF0, 0x0A, 0x0B, 0x0C, 0x0D]),
    module: Aid::from_array([0xF0, 0x0A, 0x0B, 0x0C, 0x0D, 0x01]),
    id: ModuleId(2),
};

pub type CrsCard<'a> = Card<'a, MapMemory>;

pub const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

/// AID number `n` of the wallet.
pub const fn card_aid(n: u8) -> [u8; 6] {
    [0xF0, 0xCA, 0x4D, 0x00, 0x00, n]
}

/// Runs `f` on a powered card over `memory`.
pub fn over<T>(
    profile: &CardProfile,
    memory: MapMemory,
    f: impl FnOnce(&mut CrsCard<'_>) -> T,
) -> (MapMemory, T) {
    let entries = [WALLET_CARD, ModuleEntry::crs(ModuleId(3)), ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(profile, &entries);
    let service = Crs::new(profile);
    let modules: [&dyn Module; 4] = [&manager, &Toy, &WalletCard, &service];
    let mut card =
        Card { element: Element::new(&modules, Registry::new(profile), memory), random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

/// A new card with the service installed, which may activate.
pub fn with_crs<T>(profile: &CardProfile, f: impl FnOnce(&mut CrsCard<'_>) -> T) -> (MapMemory, T) {
    over(profile, new_memory(&Factory::TEST), |card| {
        let mut session = issuer(card);
        assert_eq!(run(card, &mut session, &install_crs([0x00, 0x00, 0x20])).1, 0x9000);
        assert_eq!(card.sw(&select(crs::AID.as_bytes())), 0x9000);
        f(card)
    })
}

pub fn issuer(card: &mut CrsCard<'_>) -> Open {
    assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
    open(card, 0, &test_keys(), Level::CMac)
}

pub fn install_crs(privileges: [u8; 3]) -> Vec<u8> {
    let fields = Fields {
        load_file: crs::LOAD_FILE.as_bytes(),
        module: crs::AID.as_bytes(),
        instance: crs::AID.as_bytes(),
        privileges: &privileges,
        parameters: &[0xC9, 0x00, 0xEF, 0x05, 0xA0, 0x03, 0x81, 0x01, 0x01],
        token: &[],
    };
    install(0x0C, 0, &fields)
}

/// How a wallet card is installed.
#[derive(Default)]
pub struct Wallet<'w> {
    pub privileges: [u8; 3],
    pub active: bool,
    pub priority: Option<u8>,
    pub interaction: Interaction<'w>,
}

pub fn install_card(p1: u8, n: u8, wallet: &Wallet<'_>) -> Vec<u8> {
    let (mut buffer, mut interaction) = ([0; 250], [0; 250]);
    let parameters = Parameters {
        contactless: Some(if wallet.active {
            ContactlessState::Activated
        } else {
            ContactlessState::Deactivated
        }),
        priority: wallet.priority,
        user_interaction: wallet.interaction.write(&mut interaction).unwrap(),
        ..Parameters::default()
    };
    let fields = Fields {
        load_file: WALLET_CARD.load_file.as_bytes(),
        module: WALLET_CARD.module.as_bytes(),
        instance: &card_aid(n),
        privileges: &wallet.privileges,
        parameters: parameters.write(&mut buffer).unwrap(),
        token: &[],
    };
    install(p1, 0, &fields)
}

/// Installs wallet card `n` and selects the service again.
pub fn add(card: &mut CrsCard<'_>, n: u8, wallet: &Wallet<'_>) {
    let mut session = issuer(card);
    assert_eq!(run(card, &mut session, &install_card(0x0C, n, wallet)).1, 0x9000);
    assert_eq!(card.sw(&select(crs::AID.as_bytes())), 0x9000);
}

/// One command of the issuer's, then the service is selected again.
pub fn manage(card: &mut CrsCard<'_>, command: &[u8]) -> u16 {
    let mut session = issuer(card);
    let sw = run(card, &mut session, command).1;
    assert_eq!(card.sw(&select(crs::AID.as_bytes())), 0x9000);
    sw
}

pub fn aids<'a>(numbers: &[u8], buffer: &'a mut [u8]) -> Aids<'a> {
    let names: Vec<_> = numbers.iter().map(|n| card_aid(*n)).collect();
    Aids::write(names.iter().map(|name| &name[..]), buffer).unwrap()
}

/// SET STATUS for wallet cards.
pub fn set(p1: u8, p2: u8, numbers: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xF0, p1, p2], aids(numbers, &mut [0; 250]).raw())
}

pub fn lock(n: u8, locked: bool) -> Vec<u8> {
    apdu([0x80, 0xF0, 0x40, if locked { 0x80 } else { 0x00 }], &card_aid(n))
}

pub fn delete(n: u8) -> Vec<u8> {
    apdu([0x80, 0xE4, 0x00, 0x00], &[&[0x4F, 6][..], &card_aid(n)].concat())
}

/// Data and status word.
pub fn ask(card: &mut CrsCard<'_>, command: &[u8]) -> (Vec<u8>, u16) {
    let answer = card.send(command);
    let (data, sw) = answer.split_last_chunk::<2>().unwrap();
    (data.to_vec(), u16::from_be_bytes(*sw))
}

/// What a terminal finds on the antenna, in the order of the payment environment: what the directory says, as `emv`'s PPSE reads it.
pub fn ppse(profile: &CardProfile, memory: &mut MapMemory) -> Vec<u8> {
    let registry = Registry::new(profile);
    let (mut index, mut found) = (0, Vec::new());
    while let Some(entry) = registry.nth(memory, index).unwrap() {
        if let Some(priority) = entry.priority
            && entry.is_selectable(Interface::Contactless)
        {
            let priority = if priority == 0 { 0xFF } else { priority };
            found.push((priority, index, entry.aid.as_bytes().last().copied().unwrap()));
        }
        index += 1;
    }
    found.sort_unstable();
    found.into_iter().map(|(_, _, n)| n).collect()
}

pub fn updates(card: &mut CrsCard<'_>) -> u16 {
    let (data, sw) = ask(card, &huiwan_testkit::hex("80CA00A500"));
    assert_eq!(sw, 0x9000);
    crs::Service::parse(&data).unwrap().unwrap().updates
}

/// What wallet card `n` has heard since it was last asked: event and last byte of the AID.
pub fn heard(card: &mut CrsCard<'_>, n: u8) -> Vec<(u8, u8)> {
    assert_eq!(card.sw(&select(&card_aid(n))), 0x9000);
    let (data, _) = ask(card, &huiwan_testkit::hex("8010000000"));
    assert_eq!(card.sw(&huiwan_testkit::hex("8010010000")), 0x9000);
    assert_eq!(card.sw(&select(crs::AID.as_bytes())), 0x9000);
    let (mut rest, mut found) = (&data[..], Vec::new());
    while let [event, len, behind @ ..] = rest {
        let (aid, behind) = behind.split_at(usize::from(*len));
        found.push((*event, *aid.last().unwrap()));
        rest = behind;
    }
    found
}
