//! What the operator decides: keys, stations, fares and discounts, and the clock. Pure values and functions.

use huiwan_crypto::Secret;
use huiwan_purse::date::Stamp;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::KeyData;
use huiwan_purse::profile::Profile;
use huiwan_purse::terminal::service::CardView;
use huiwan_purse::terminal::{bus, metro};
use huiwan_purse::transit::bus::{self as bus_record, Bus};
use huiwan_purse::transit::rail::{self, Rail};
use huiwan_testkit::rng::Seeded;

/// The scheme of every card and terminal.
pub const PROFILE: Profile = Profile::JTT_978;
/// Index, version and algorithm (3DES) of every key.
pub const KEY_INDEX: u8 = 1;
pub const KEY_VERSION: u8 = 1;
pub const TDES: u8 = 0;

const CITY: [u8; 2] = [0x10, 0x00];
pub const ISSUER: [u8; 8] = [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF];

/// What a trip without an exit costs, fen.
pub const MAXIMUM_FARE: u32 = 900;
/// What a ride without an alighting tap costs, fen.
pub const MARKED_AMOUNT: u32 = 400;
/// A ride on a line with one fare, fen.
pub const FLAT_FARE: u32 = 200;
/// Stops of a bus line.
pub const STOPS: u8 = 12;

/// What changing within [`TRANSFER_MINUTES`] takes off the fare, fen.
const TRANSFER_DISCOUNT: u32 = 100;
const TRANSFER_MINUTES: u32 = 30;
/// So long a rider who entered may come back to the gate of the same station for nothing.
const RETURN_MINUTES: u32 = 20;

/// The scheme's master keys.
pub fn masters(random: &mut Seeded) -> [KeyData; 4] {
    [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Maintenance].map(|kind| KeyData {
        kind,
        index: KEY_INDEX,
        version: KEY_VERSION,
        algorithm: TDES,
        tries: 0,
        value: Secret::new(random.bytes()),
    })
}

/// The moment `seconds` after midnight of the day.
pub fn stamp(seconds: u32) -> Stamp {
    let bcd = |n: u32| u8::try_from(n / 10 % 10 * 16 + n % 10).expect("two digits");
    Stamp {
        date: [0x20, 0x26, 0x11, 0x23],
        time: [bcd(seconds / 3600), bcd(seconds / 60 % 60), bcd(seconds % 60)],
    }
}

/// Minutes from one moment to a later one of the same day; `None` if it is not.
fn minutes(from: &[u8; 7], to: &[u8; 7]) -> Option<u32> {
    let (from_date, from) = from.split_at(4);
    let (to_date, to) = to.split_at(4);
    let minute = |time: &[u8]| {
        let digits = |byte: u8| u32::from(byte >> 4) * 10 + u32::from(byte & 0x0F);
        digits(time[0]) * 60 + digits(time[1])
    };
    (from_date == to_date).then(|| minute(to).checked_sub(minute(from))).flatten()
}

/// Whether a tap belongs to the same visit as an earlier one.
pub fn is_moment_ago(then: Stamp, now: Stamp) -> bool {
    minutes(&then.to_bytes(), &now.to_bytes()).is_some_and(|minutes| minutes <= 1)
}

/// What is off the fare of a trip that began at `entered`, when the one before ended at `left`.
pub fn transfer_discount(left: &[u8; 7], entered: &[u8; 7]) -> u32 {
    match minutes(left, entered) {
        Some(0..=TRANSFER_MINUTES) => TRANSFER_DISCOUNT,
        _ => 0,
    }
}

/// The fare by stations on the way, fen.
pub fn metro_fare(from: u8, to: u8) -> u32 {
    200 + u32::from(from.abs_diff(to)).div_ceil(3) * 100
}

/// The fare by stops on the way, fen.
pub fn bus_fare(from: u8, to: u8) -> u32 {
    100 + u32::from(from.abs_diff(to)).div_ceil(4) * 50
}

pub fn metro_place(station: u8, gate: u16) -> metro::Place {
    let [high, low] = gate.to_be_bytes();
    metro::Place {
        city: CITY,
        organisation: ISSUER,
        station: [0, 0, 0, 0, 0, 0, 0x10, station],
        device: [0, 0, 0, 0, 0, 0, high, low],
        line: [0x00, 0x10, 0x00, station, 0x00, 0x01, 0x00],
    }
}

pub fn bus_place(stop: u8) -> bus::Place {
    bus::Place {
        city: CITY,
        organisation: ISSUER,
        operator: [0x00, 0x05],
        line: [0x03, 0x00],
        stop,
        vehicle: *b"A-300-07",
        direction: 0xAB,
    }
}

fn rail(card: &CardView) -> Option<Rail> {
    card.record.as_ref().and_then(|record| Rail::parse(record).ok())
}

/// What a gate at `station` asks of a card that comes in and is in already: nothing if it only just entered here.
pub fn incomplete_trip(card: &CardView, station: u8, now: Stamp) -> u32 {
    let Some(record) = rail(card) else { return MAXIMUM_FARE };
    let [.., entry] = record.get(rail::ENTRY_STATION);
    match minutes(&record.get(rail::ENTRY_TIME), &now.to_bytes()) {
        Some(0..=RETURN_MINUTES) if entry == station => 0,
        _ => record.maximum_fare(),
    }
}

/// What a gate at `station` asks of a card that leaves.
pub fn leaving(card: &CardView, station: u8) -> u32 {
    let Some(record) = rail(card) else { return MAXIMUM_FARE };
    let [.., entry] = record.get(rail::ENTRY_STATION);
    // The trip before is still in the record, until this one's exit replaces it.
    let discount = transfer_discount(&record.get(rail::EXIT_TIME), &record.get(rail::ENTRY_TIME));
    metro_fare(entry, station) - discount
}

/// What a validator at `stop` asks of a card that alights.
pub fn alighting(card: &CardView, stop: u8) -> u32 {
    let Some(record) = card.record.as_ref().and_then(|record| Bus::parse(record).ok()) else {
        return MARKED_AMOUNT;
    };
    let [on] = record.get(bus_record::ON_STOP);
    let discount = transfer_discount(&record.get(bus_record::OFF_TIME), &record.get(bus_record::ON_TIME));
    bus_fare(on, stop) - discount
}
