//! Metro, bus, top-up and the screen: the transit card from all sides.

use huiwan_crypto::{International, Secret};
use huiwan_purse::date::Stamp;
use huiwan_purse::host::SoftLoadKeys;
use huiwan_purse::host::online::{
    Input as HostInput, OnlineSession, Outcome as HostOutcome, Step as HostStep,
};
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::host::settlement::{self, Record};
use huiwan_purse::keys::{CardId, KeyKind};
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{Sam, SamKey, SoftSam};
use huiwan_purse::terminal::drive::{self, Gate};
use huiwan_purse::terminal::service::{CardView, Fare};
use huiwan_purse::terminal::{
    self, Device, Inquiry, InquiryOutcome, Outcome, Pending, Policy, Receipt, Recovered, Recovery, Service,
    Summary, Tap, TopUp, TopUpOutcome, bus, metro,
};
use huiwan_purse::transit::bus::Bus;
use huiwan_purse::transit::log::{self, LogRecord};
use huiwan_purse::transit::management::{self, Management};
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::transit::rail::Rail;
use huiwan_testkit::rng::Seeded;

use crate::narrator::yuan;
use crate::world::{Route, World};

/// The instruction of DEBIT FOR PURCHASE.
const DEBIT: u8 = 0x54;
/// Index of every key of the scheme.
const KEY_INDEX: u8 = 1;
/// The version and algorithm (3DES) of every key of the scheme.
const KEY_VERSION: u8 = 1;
const TDES: u8 = 0;
const CITY: [u8; 2] = [0x10, 0x00];
const ISSUER: [u8; 8] = [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF];

/// The transit scheme's keys, and every terminal that holds some of them.
pub struct Transit {
    profile: Profile,
    masters: [KeyData; 4],
    host: SoftLoadKeys<International, 2>,
    entry: Terminal,
    exit: Terminal,
    validator: Terminal,
    /// What the day's terminals will upload.
    records: Vec<Record>,
}

/// A device with its PSAM.
struct Terminal {
    device: Device,
    sam: SoftSam<International, 1>,
}

/// What a gate did with a tap.
#[derive(Default)]
struct Door {
    pending: Option<Pending>,
    opened: bool,
    fare: u32,
}

impl Gate for Door {
    fn fare(&mut self, _: &CardView) -> u32 {
        self.fare
    }

    fn persist(&mut self, pending: &Pending) {
        self.pending = Some(*pending);
    }

    fn open(&mut self, _: &Receipt) {
        self.opened = true;
    }
}

impl Transit {
    pub fn new(random: &mut Seeded) -> Self {
        let profile = Profile::JTT_978;
        let mut master = |kind| KeyData {
            kind,
            index: KEY_INDEX,
            version: KEY_VERSION,
            algorithm: TDES,
            tries: 0,
            value: Secret::new(random.bytes()),
        };
        let masters = [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Maintenance].map(&mut master);
        let [purchase, load, tac, _] = &masters;
        let terminal = |number| {
            let key = SamKey { version: KEY_VERSION, algorithm: TDES, value: purchase.value.clone() };
            let sam = SoftSam::new(&profile, number, KEY_INDEX, [key], 1);
            let device = Device {
                aid: terminal::AID_JTT_978_EP,
                terminal: sam.terminal(),
                key_index: sam.key_index(),
            };
            Terminal { device, sam }
        };
        Self {
            host: SoftLoadKeys::new(profile, [load.clone(), tac.clone()]),
            entry: terminal([0x10, 0x00, 0x01, 0x00, 0x00, 0x01]),
            exit: terminal([0x10, 0x00, 0x01, 0x00, 0x00, 0x02]),
            validator: terminal([0x10, 0x00, 0x02, 0x00, 0x00, 0x07]),
            records: Vec::new(),
            profile,
            masters,
        }
    }

    /// The data groupings of a new transit card.
    pub fn card_data(&self, serial: [u8; 10], balance: u32) -> Vec<u8> {
        let public_info = PublicInfo::new()
            .with(public_info::ISSUER, ISSUER)
            .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
            .with(public_info::APPLICATION_VERSION, [0x01])
            .with(public_info::SERIAL, serial)
            .with(public_info::START_DATE, [0x20, 0x26, 0x01, 0x01])
            .with(public_info::END_DATE, [0x20, 0x36, 0x12, 0x31]);
        let management = Management::new()
            .with(management::COUNTRY, [0x00, 0x00, 0x01, 0x56])
            .with(management::CITY, CITY)
            .with(management::INTEROP, [0x00, 0x01]);
        let card = CardId { issuer: ISSUER, serial };
        let keys = self.masters.each_ref().map(|master| {
            card_key::<International>(&self.profile, master, &card).expect("3DES is in the suite")
        });
        let (rail, bus) = (Rail::new(), Bus::new());
        let data = Personalisation {
            passbook: None,
            purse: Some(PurseData { balance, upper_limit: 100_000, ..PurseData::default() }),
            pin: None,
            version: Some([0x01, 0x00]),
            public_info,
            holder: None,
            management: Some(management),
            records: &[rail.as_bytes(), bus.as_bytes()],
            keys: &keys,
            ..Personalisation::default()
        };
        let mut out = vec![0; data.encoded_len()];
        data.write(&mut out).expect("the length is the one asked for").to_vec()
    }

    /// Money from the wearer's account to the purse, through the phone.
    pub fn top_up(&mut self, world: &mut World<'_>, amount: u32) {
        world.narrator.say(&format!("The wearer asks for {} on the transit card.", yuan(amount.into())));
        let stamp = Stamp::from(world.now);
        let device = Device {
            aid: terminal::AID_JTT_978_EP,
            terminal: [0x10, 0x00, 0x00, 0x00, 0x00, 0x99],
            key_index: KEY_INDEX,
        };
        let mut session = OnlineSession::new();
        let host = &mut self.host;
        let outcome = world.talk(Route::Air, "load server", "transit card", |line| {
            let mut engine = TopUp::new(device, amount);
            let approve = &mut |request: &terminal::LoadRequest| {
                let HostStep::Key(question) =
                    session.step(HostInput::Request((*request).into(), stamp)).ok()?
                else {
                    return None;
                };
                match session.step(HostInput::Key(question.answer(host))).ok()? {
                    HostStep::Approved(approval) => Some(approval.into()),
                    _ => None,
                }
            };
            drive::top_up(&mut engine, line, approve, &mut |_| ()).expect("the driver keeps to the rules")
        });
        let booked = match outcome {
            TopUpOutcome::Loaded { tac, .. } => match session.step(HostInput::Confirm(tac)) {
                Ok(HostStep::Key(question)) => session.step(HostInput::Key(question.answer(&mut self.host))),
                other => other,
            },
            other => panic!("the top-up ended in {other:?}"),
        };
        let loaded = matches!(booked, Ok(HostStep::Done(HostOutcome::Completed(_))));
        world.narrator.check(loaded, "the load server verified MAC1 and the card's TAC, and books the load");
    }

    pub fn metro_entry(&mut self, world: &mut World<'_>) {
        let paid = self.tap(world, Who::Entry, &ENTRY, 0);
        world.narrator.check(paid == Some(0), "the entry gate opens and charges nothing");
    }

    pub fn metro_exit(&mut self, world: &mut World<'_>, fare: u32) {
        let paid = self.tap(
            world,
            Who::Exit,
            &metro::Exit { place: metro_place(2), rules: metro::ExitRules::PLAIN },
            fare,
        );
        world.narrator.check(paid == Some(fare), &format!("the exit gate takes {}", yuan(fare.into())));
    }

    /// A metro exit whose last answer is lost, and what the gate makes of it.
    pub fn torn_metro_exit(&mut self, world: &mut World<'_>, fare: u32) {
        let service = metro::Exit { place: metro_place(2), rules: metro::ExitRules::PLAIN };
        let policy = Policy::default();
        let stamp = Stamp::from(world.now);
        let exit = &mut self.exit;
        let mut door = Door { fare, ..Door::default() };
        let outcome = world.talk(Route::Antenna, "exit gate", "transit card", |line| {
            line.tear_at(DEBIT);
            let mut engine = Tap::new(exit.device, &policy, &service, stamp);
            drive::tap(&mut engine, line, &mut exit.sam, &mut door).expect("the driver keeps to the rules")
        });
        world.narrator.say("The wrist is pulled away while the card debits: the gate never sees the answer.");
        let uncertain = matches!(outcome, Outcome::Uncertain(_));
        world
            .narrator
            .check(uncertain && !door.opened, "the gate stays shut and remembers the pending debit");
        let pending = door.pending.expect("an engine persists before it debits");
        let pending = Pending::from_bytes(&pending.to_bytes()).expect("the gate's own record");

        world.narrator.say("The wearer holds the band to the gate again.");
        let recovered = world.talk(Route::Antenna, "exit gate", "transit card", |line| {
            let mut engine = Recovery::new(terminal::AID_JTT_978_EP, pending);
            drive::recover(&mut engine, line, &mut exit.sam).expect("the driver keeps to the rules")
        });
        match recovered {
            Recovered::Paid(receipt) => {
                world.narrator.check(
                    receipt.transaction.amount == fare,
                    &format!(
                        "the transaction proof shows that {} was paid: the gate opens",
                        yuan(fare.into())
                    ),
                );
                self.records.extend(Record::from_receipt(&receipt));
            }
            other => world.narrator.check(false, &format!("the recovery ended in {other:?}")),
        }
    }

    pub fn bus_ride(&mut self, world: &mut World<'_>, fare: u32) {
        let place = bus::Place {
            city: CITY,
            organisation: ISSUER,
            operator: [0x00, 0x05],
            line: [0x03, 0x00],
            stop: 12,
            vehicle: *b"A-300-07",
            direction: 0xAB,
        };
        let paid = self.tap(world, Who::Validator, &bus::Flat { place, fare: Fare::Fixed(fare) }, fare);
        world.narrator.check(paid == Some(fare), &format!("the validator takes {}", yuan(fare.into())));
    }

    /// A tap that nobody disturbs; the amount paid, or nothing.
    fn tap<V: Service>(&mut self, world: &mut World<'_>, who: Who, service: &V, fare: u32) -> Option<u32> {
        let (terminal, name) = match who {
            Who::Entry => (&mut self.entry, "entry gate"),
            Who::Exit => (&mut self.exit, "exit gate"),
            Who::Validator => (&mut self.validator, "bus validator"),
        };
        let policy = Policy::default();
        let stamp = Stamp::from(world.now);
        let mut door = Door { fare, ..Door::default() };
        let outcome = world.talk(Route::Antenna, name, "transit card", |line| {
            let mut engine = Tap::new(terminal.device, &policy, service, stamp);
            drive::tap(&mut engine, line, &mut terminal.sam, &mut door)
                .expect("the driver keeps to the rules")
        });
        match outcome {
            Outcome::Paid(receipt) if door.opened => {
                self.records.extend(Record::from_receipt(&receipt));
                Some(receipt.transaction.amount)
            }
            _ => None,
        }
    }

    /// Whether the exit gate turns the band away.
    pub fn is_refused(&mut self, world: &mut World<'_>) -> bool {
        self.tap(world, Who::Entry, &ENTRY, 0).is_none()
    }

    /// Balance and log, as the band's own screen shows them.
    pub fn read(&self, world: &mut World<'_>) -> Option<Summary> {
        let outcome = world.talk(Route::Screen, "band MCU", "transit card", |line| {
            let mut engine = Inquiry::new(terminal::AID_JTT_978_EP);
            drive::inquire(&mut engine, line).expect("the driver keeps to the rules")
        });
        match outcome {
            InquiryOutcome::Read(summary) => Some(summary),
            _ => None,
        }
    }

    /// Night: every record's TAC is verified and none came twice.
    pub fn settle(&mut self, world: &mut World<'_>) {
        let file: Vec<u8> = self.records.iter().flat_map(|record| record.to_bytes()).collect();
        let records: Vec<Record> =
            settlement::Records::new(&file).collect::<Result<_, _>>().expect("the terminals' own file");
        let mut verdicts = vec![0; settlement::verdict_len(records.len())];
        settlement::verify(&mut self.host, &records, &mut verdicts);
        let right = (0..records.len()).all(|n| settlement::verdict(&verdicts, n));
        let mut order = vec![0; records.len()];
        let mut twice = verdicts.clone();
        let counted = settlement::duplicates(&records, &verdicts, &mut order, &mut twice);
        let once = counted && twice.iter().all(|byte| *byte == 0);
        let total: u64 = records.iter().map(|record| u64::from(record.transaction.amount)).sum();
        world.narrator.check(
            right && once,
            &format!(
                "{} uploaded rides, {} in all: every TAC is right, none came twice",
                records.len(),
                yuan(total)
            ),
        );
    }
}

/// The log as a screen shows it.
pub fn log_lines(summary: &Summary) -> Vec<String> {
    let line = |record: &LogRecord| {
        let amount = yuan(record.amount().into());
        let what = record.tti().name().unwrap_or("transaction");
        let [y1, y2, month, day] = record.get(log::DATE);
        let [hour, minute, _] = record.get(log::TIME);
        format!("  {y1:02x}{y2:02x}-{month:02x}-{day:02x} {hour:02x}:{minute:02x}  {amount:>8}  {what}")
    };
    summary.log.iter().map(line).collect()
}

#[derive(Clone, Copy)]
enum Who {
    Entry,
    Exit,
    Validator,
}

/// The entry gate's business.
const ENTRY: metro::Entry =
    metro::Entry { place: metro_place(1), maximum_fare: 900, incomplete: metro::Incomplete::Refuse };

const fn metro_place(station: u8) -> metro::Place {
    metro::Place {
        city: CITY,
        organisation: ISSUER,
        station: [0, 0, 0, 0, 0, 0, 0x10, station],
        device: [0, 0, 0, 0, 0, 0, 0x01, station],
        line: [0x00, 0x10, 0x00, station, 0x00, 0x01, 0x00],
    }
}
