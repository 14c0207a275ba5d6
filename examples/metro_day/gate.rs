//! A gate or bus validator: its PSAM, what survives its own loss of power, and the file it uploads at night.

use std::collections::BTreeMap;

use huiwan_crypto::International;
use huiwan_purse::date::Stamp;
use huiwan_purse::host::settlement::Record;
use huiwan_purse::personalisation::KeyData;
use huiwan_purse::psam::{SamKey, SoftSam};
use huiwan_purse::terminal::drive::{self, Gate as Hardware};
use huiwan_purse::terminal::service::{CardView, Fare};
use huiwan_purse::terminal::{
    AID_JTT_978_EP, Device, Mac2, Outcome, Pending, Policy, Receipt, Recovered, Recovery, Refusal, Service,
    Tap, bus, metro,
};
use huiwan_purse::transaction::Transaction;

use crate::card::{Air, Uid};
use crate::city;

/// What a gate is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Entry {
        station: u8,
    },
    Exit {
        station: u8,
    },
    /// A bus with one fare.
    Flat,
    /// A bus with a distance fare, at whatever stop it is.
    Distance,
}

/// What a rider does with a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Enter,
    Leave,
    Ride,
    Board { stop: u8 },
    Alight { stop: u8 },
}

/// What a rider sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Open, and the display shows what was paid and what is left.
    Open { paid: u32, left: u32 },
    /// Shut.
    Refused(Refusal),
    /// "Please hold your card again."
    Again,
}

/// What became of torn taps at one gate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recoveries {
    pub paid: u32,
    pub not_paid: u32,
    pub unknown: u32,
    /// The card left during the recovery as well.
    pub torn: u32,
}

/// A gate.
pub struct Gate {
    pub kind: Kind,
    device: Device,
    sam: SoftSam<International, 1>,
    /// The persisted records of debits that were sent and not answered, by the card the reader saw.
    pending: BTreeMap<Uid, Vec<[u8; Pending::LEN]>>,
    /// Those no card can tell any more, for the back office.
    pub undecided: Vec<[u8; Pending::LEN]>,
    /// What only a card's log proves, for the back office.
    pub by_hand: Vec<Transaction>,
    /// The records to upload.
    pub file: Vec<u8>,
    /// The debit this tap tore, for the witness.
    pub torn: Option<Transaction>,
    /// What recoveries said of torn debits, for the witness.
    pub decided: Vec<(Transaction, bool)>,
    pub recoveries: Recoveries,
}

/// The gate's hardware during one tap.
struct Door<'f> {
    fare: &'f dyn Fn(&CardView) -> u32,
    /// Flash of the gate.
    persisted: Option<[u8; Pending::LEN]>,
    open: bool,
}

impl Hardware for Door<'_> {
    fn fare(&mut self, card: &CardView) -> u32 {
        (self.fare)(card)
    }

    fn persist(&mut self, pending: &Pending) {
        self.persisted = Some(pending.to_bytes());
    }

    fn open(&mut self, _: &Receipt) {
        self.open = true;
    }
}

impl Gate {
    pub fn new(number: u16, kind: Kind, purchase: &KeyData) -> Self {
        let [high, low] = number.to_be_bytes();
        let industry = if matches!(kind, Kind::Flat | Kind::Distance) { 0x02 } else { 0x01 };
        let terminal = [0x10, 0x00, industry, 0x00, high, low];
        let key = SamKey {
            version: purchase.version,
            algorithm: purchase.algorithm,
            value: purchase.value.clone(),
        };
        Self {
            kind,
            device: Device { aid: AID_JTT_978_EP, terminal, key_index: city::KEY_INDEX },
            sam: SoftSam::new(&city::PROFILE, terminal, city::KEY_INDEX, [key], 1),
            pending: BTreeMap::new(),
            undecided: Vec::new(),
            by_hand: Vec::new(),
            file: Vec::new(),
            torn: None,
            decided: Vec::new(),
            recoveries: Recoveries::default(),
        }
    }

    /// The card with this number is held to the gate.
    pub fn present(&mut self, air: &mut Air<'_>, uid: Uid, act: Act, now: Stamp) -> Sees {
        if let Some(seen) = self.recover(air, uid, now) {
            return seen;
        }
        match (self.kind, act) {
            (Kind::Entry { station }, Act::Enter) => {
                let [_, .., high, low] = self.device.terminal;
                let service = metro::Entry {
                    place: city::metro_place(station, u16::from_be_bytes([high, low])),
                    maximum_fare: city::MAXIMUM_FARE,
                    incomplete: metro::Incomplete::Charge(metro::Owed::Ask),
                };
                self.tap(air, uid, &service, now, &|card| city::incomplete_trip(card, station, now))
            }
            (Kind::Exit { station }, Act::Leave) => {
                let [_, .., high, low] = self.device.terminal;
                let place = city::metro_place(station, u16::from_be_bytes([high, low]));
                self.tap(air, uid, &metro::Exit { place, rules: metro::ExitRules::PLAIN }, now, &|card| {
                    city::leaving(card, station)
                })
            }
            (Kind::Flat, Act::Ride) => {
                let service = bus::Flat { place: city::bus_place(0), fare: Fare::Fixed(city::FLAT_FARE) };
                self.tap(air, uid, &service, now, &|_| city::FLAT_FARE)
            }
            (Kind::Distance, Act::Board { stop }) => {
                let service = bus::On { place: city::bus_place(stop), marked_amount: city::MARKED_AMOUNT };
                self.tap(air, uid, &service, now, &|_| city::MARKED_AMOUNT)
            }
            (Kind::Distance, Act::Alight { stop }) => {
                let service = bus::Off { place: city::bus_place(stop) };
                self.tap(air, uid, &service, now, &|card| city::alighting(card, stop))
            }
            (kind, act) => panic!("{act:?} at {kind:?}"),
        }
    }

    /// Finds out what became of the card's torn debits here, before it is charged again. The answer is what the rider sees
    /// if this settles the visit: the card left again, or it did pay a moment ago.
    pub fn recover(&mut self, air: &mut Air<'_>, uid: Uid, now: Stamp) -> Option<Sees> {
        let (mut paid, mut open) = (None, Vec::new());
        for raw in self.pending.remove(&uid)? {
            let pending = Pending::from_bytes(&raw).expect("the gate's own record");
            let mut engine = Recovery::new(AID_JTT_978_EP, pending);
            match drive::recover(&mut engine, air, &mut self.sam).expect("the driver keeps to the rules") {
                Recovered::Paid(receipt) => {
                    self.recoveries.paid += 1;
                    self.decided.push((receipt.transaction, true));
                    self.keep(&receipt);
                    if city::is_moment_ago(pending.transaction.stamp, now) {
                        paid = Some(open_for(&receipt));
                    }
                }
                Recovered::NotPaid => {
                    self.recoveries.not_paid += 1;
                    self.decided.push((pending.transaction, false));
                }
                Recovered::Unknown(None) => {
                    self.recoveries.unknown += 1;
                    self.undecided.push(raw);
                }
                Recovered::Unknown(Some(_)) => {
                    self.recoveries.torn += 1;
                    open.push(raw);
                }
                other => panic!("an honest card's recovery ended in {other:?}"),
            }
        }
        if open.is_empty() {
            return paid;
        }
        self.pending.insert(uid, open);
        Some(Sees::Again)
    }

    fn tap<V: Service>(
        &mut self,
        air: &mut Air<'_>,
        uid: Uid,
        service: &V,
        now: Stamp,
        fare: &dyn Fn(&CardView) -> u32,
    ) -> Sees {
        let policy = Policy::default();
        let mut door = Door { fare, persisted: None, open: false };
        let mut engine = Tap::new(self.device, &policy, service, now);
        let outcome = drive::tap(&mut engine, air, &mut self.sam, &mut door);
        match outcome.expect("the driver keeps to the rules") {
            Outcome::Paid(receipt) => {
                assert!(door.open && receipt.mac2 == Mac2::Verified, "an honest card's MAC2 is right");
                self.keep(&receipt);
                open_for(&receipt)
            }
            Outcome::Uncertain(_) => {
                // What is left after a restart of the gate is what it persisted.
                let raw = door.persisted.expect("an engine persists before it debits");
                self.torn = Pending::from_bytes(&raw).map(|pending| pending.transaction);
                self.pending.entry(uid).or_default().push(raw);
                Sees::Again
            }
            Outcome::Refused(refusal) => Sees::Refused(refusal),
            Outcome::Failed(_) => Sees::Again,
            other => panic!("an honest card's tap ended in {other:?}"),
        }
    }

    /// For the upload, or for the back office if there is no TAC.
    fn keep(&mut self, receipt: &Receipt) {
        match Record::from_receipt(receipt) {
            Some(record) => self.file.extend(record.to_bytes()),
            None => self.by_hand.push(receipt.transaction),
        }
    }

    /// Cards whose torn debits are still open here.
    pub fn open(&self) -> Vec<Uid> {
        self.pending.keys().copied().collect()
    }
}

fn open_for(receipt: &Receipt) -> Sees {
    let left = receipt.transaction.balance_after().expect("a card pays what it has");
    Sees::Open { paid: receipt.transaction.amount, left }
}
