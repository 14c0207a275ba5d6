//! The life of a payment wristband, from a blank secure element to a lost band and its successor: every byte by
//! Huiwan's own card, terminal and host code, through public APIs alone.
//!
//! One process plays TSM, phone, BLE link, wristband, shop terminal, bank, load server, bus validator and metro
//! gates. `main` is the story; each file beside it is one of its players.

// Amounts are in fen: 25_80 are 25.80 yuan.
#![allow(clippy::inconsistent_digit_grouping)]

mod arguments;
mod bank;
mod ble;
mod issuing;
mod narrator;
mod transit;
mod world;

use huiwan::element::Modules;
use huiwan_apdu::Aid;
use huiwan_card::DateTime;
use huiwan_gp::delete::Target;
use huiwan_gp::host::{Irrevocable, Job, SoftKeyStore, Transition};
use huiwan_testkit::rng::Seeded;

use crate::arguments::Arguments;
use crate::bank::Bank;
use crate::issuing::{Ownership, Tsm};
use crate::narrator::{Narrator, yuan};
use crate::transit::Transit;
use crate::world::{Band, World};

/// The account number, of a bank that does not exist.
const PAN: &str = "6299991234567895";
/// The transit card's number, and its successor's.
const TRANSIT_NUMBER: [u8; 10] = [0x31, 0x04, 0x10, 0x00, 0x00, 0x00, 0x20, 0x26, 0x00, 0x01];
const NEXT_TRANSIT_NUMBER: [u8; 10] = [0x31, 0x04, 0x10, 0x00, 0x00, 0x00, 0x20, 0x26, 0x00, 0x02];
/// The JT/T 978 purse.
const TRANSIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05]);

/// Prices, in fen.
const COFFEE: u64 = 25_80;
const JACKET: u64 = 888_00;
const E_CASH: u64 = 200_00;
const E_CASH_RAISE: u64 = 100_00;
const TOP_UP: u32 = 50_00;
const METRO: u32 = 4_00;
const BUS: u32 = 2_00;

fn main() {
    let arguments = match arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err((text, status)) => {
            if status == 0 {
                print!("{text}");
            } else {
                eprintln!("{text}");
            }
            std::process::exit(status);
        }
    };
    std::process::exit(tell(arguments));
}

fn tell(Arguments { telling, seed }: Arguments) -> i32 {
    let modules = Modules::default();
    let modules = modules.list();
    let mut random = Seeded::new(seed);
    let mut bank = Bank::new(&mut random);
    let mut transit = Transit::new(&mut random);
    let mut tsm = Tsm::new(SoftKeyStore::new());
    let factory: [[u8; 16]; 3] = [(); 3].map(|()| random.bytes());
    let factory = factory.each_ref().map(|key| key.as_slice());

    let mut story = World {
        narrator: Narrator::new(telling, seed),
        band: Band::blank(&modules, [0x00, 0x00, 0x00, 0x01], factory, random.below(u64::MAX)),
        random,
        now: DateTime { year: 2026, month: 11, day: 22, hour: 8, minute: 0, second: 0 },
    };
    let world = &mut story;

    world.narrator.chapter("A blank band");
    world
        .narrator
        .say("A band comes out of its box: its secure element holds a card manager and the factory's keys.");
    let maker = tsm.factory_keys(factory);
    let owner = take_over(world, &mut tsm, maker);

    world.narrator.chapter("A bank card and a transit card, over the air");
    issue(world, &mut tsm, owner, (&mut bank, E_CASH), (&transit, TRANSIT_NUMBER, 0));
    let balance = bank.balance(world);
    world.narrator.check(balance == Some(E_CASH), &format!("the screen shows {} of e-cash", yuan(E_CASH)));

    world.narrator.chapter("Coffee, below the limit");
    world.wait(20);
    bank::coffee(&mut bank, world, COFFEE);
    let e_cash = E_CASH - COFFEE;
    let balance = bank.balance(world);
    world.narrator.check(balance == Some(e_cash), &format!("{} of e-cash are left", yuan(e_cash)));

    world.narrator.chapter("A jacket, above the limit");
    world.wait(45);
    bank::jacket(&mut bank, world, JACKET, E_CASH_RAISE);
    let e_cash = e_cash + E_CASH_RAISE;
    let balance = bank.balance(world);
    world.narrator.check(balance == Some(e_cash), &format!("{} of e-cash now", yuan(e_cash)));

    world.narrator.chapter("Top-up over the air");
    transit.top_up(world, TOP_UP);

    world.narrator.chapter("Metro and bus");
    world.wait(30);
    transit.metro_entry(world);
    world.wait(25);
    transit.metro_exit(world, METRO);
    world.wait(5);
    transit.bus_ride(world, BUS);

    world.narrator.chapter("A torn tap");
    world.wait(55);
    transit.metro_entry(world);
    world.wait(25);
    transit.torn_metro_exit(world, METRO);

    world.narrator.chapter("On the band's screen");
    let left = TOP_UP - 2 * METRO - BUS;
    screen(world, &bank, &transit, left, e_cash);
    transit.settle(world);

    world.narrator.chapter("Lost");
    world.wait(20);
    lose(world, &mut tsm, owner, &mut bank, &mut transit);

    world.narrator.chapter("Issued anew");
    world.narrator.say("A new band arrives. Bank and transit operator move what the lost one held.");
    let random = world.random.below(u64::MAX);
    world.band = Band::blank(&modules, [0x00, 0x00, 0x00, 0x02], factory, random);
    let owner = take_over(world, &mut tsm, maker);
    issue(world, &mut tsm, owner, (&mut bank, e_cash), (&transit, NEXT_TRANSIT_NUMBER, left));
    bank::coffee(&mut bank, world, COFFEE);
    transit.metro_entry(world);
    screen(world, &bank, &transit, left, e_cash - COFFEE);
    transit.settle(world);

    story.narrator.end()
}

/// The TSM makes a band its own.
fn take_over(world: &mut World<'_>, tsm: &mut Tsm, maker: Ownership) -> Ownership {
    world.narrator.say(
        "The TSM opens a secure channel through the phone, and puts keys of its own in place of the maker's.",
    );
    let owner = tsm.take_over(world, maker);
    world.narrator.check(owner.is_some(), "the new keys work and the maker's are deleted");
    let serial = world.band.serial;
    let refused = owner.is_some() && tsm.take_over(world, maker).is_none();
    world
        .narrator
        .check(refused, &format!("the maker's keys open band {} no more", u32::from_be_bytes(serial)));
    owner.unwrap_or(maker)
}

/// Both cards come onto the band.
fn issue(
    world: &mut World<'_>,
    tsm: &mut Tsm,
    owner: Ownership,
    (bank, e_cash): (&mut Bank, u64),
    (transit, number, balance): (&Transit, [u8; 10], u32),
) {
    let bank_data = bank.card_data(PAN, e_cash, &mut world.random);
    let transit_data = transit.card_data(number, balance);
    let issued = tsm.issue(world, owner, (bank::AID, &bank_data), (TRANSIT, &transit_data));
    let air = world.band.air();
    let (report, seconds) = (air.report, air.elapsed() / 1000);
    world.narrator.check(issued, "both cards are installed and personalised");
    world.narrator.say(&format!(
        "So far {} messages in {} BLE frames, {} of them lost and {} doubled, {} disconnections: {seconds} s of radio.",
        report.messages, report.frames, report.lost, report.doubled, report.disconnects
    ));
}

/// What the wearer sees on the wrist.
fn screen(world: &mut World<'_>, bank: &Bank, transit: &Transit, purse: u32, e_cash: u64) {
    let shown = bank.balance(world);
    world.narrator.check(shown == Some(e_cash), &format!("bank card: {} of e-cash", yuan(e_cash)));
    let summary = transit.read(world);
    let balance = summary.as_ref().map(|summary| summary.balance);
    world.narrator.check(balance == Some(purse), &format!("transit card: {}", yuan(purse.into())));
    for line in summary.iter().flat_map(transit::log_lines) {
        world.narrator.say(&line);
    }
}

/// The band is lost: locked, useless to its finder, terminated.
fn lose(world: &mut World<'_>, tsm: &mut Tsm, owner: Ownership, bank: &mut Bank, transit: &mut Transit) {
    world
        .narrator
        .say("The wearer reports the band lost. The phone still reaches it: the TSM locks both cards.");
    let lock = [bank::AID, TRANSIT].map(|aid| Job::SetStatus(Transition::LockApplication(aid)));
    let locked = tsm.manage(world, owner, &lock);
    world.narrator.check(locked, "both cards are locked");
    world.narrator.say("Somebody finds the band and tries it.");
    let refused = bank::is_refused(bank, world);
    world.narrator.check(refused, "the shop's terminal finds no card to pay with");
    let refused = transit.is_refused(world);
    world.narrator.check(refused, "the gate stays shut");
    world.narrator.say("It stays lost: the TSM deletes both cards and terminates the element.");
    let know = Irrevocable::i_know();
    let end = [
        Job::Delete(Target::Content(bank::AID.as_bytes())),
        Job::Delete(Target::Content(TRANSIT.as_bytes())),
        Job::SetStatus(Transition::InitializeCard(know)),
        Job::SetStatus(Transition::SecureCard(know)),
        Job::SetStatus(Transition::TerminateCard(know)),
    ];
    let terminated = tsm.manage(world, owner, &end);
    world.narrator.check(terminated, "cards, keys and records are gone; the element is terminated");
    let dead = tsm.manage(world, owner, &[]);
    world.narrator.check(!dead, "it opens a channel to nobody any more");
}
