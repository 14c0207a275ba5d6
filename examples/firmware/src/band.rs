//! A blank element in RAM: a transit card and a bank card installed through SCP03, the purse personalised, and two taps.

use crate::Failed;
use core::hint::black_box;
use huiwan::element::{LOAD_FILE, Modules, PAYMENT_MODULE, PPSE_MODULE, PURSE_MODULE, SecureElement};
use huiwan::relay::{self, Request};
use huiwan_apdu::{Aid, Command, Ne, Response, Sw};
use huiwan_card::{Environment, Interface, Journal, RamFlash, Random};
use huiwan_crypto::{International, RandomFailed, Secret};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::{self, Combination, Configuration, EntryPoint, Transaction};
use huiwan_gp::card::{CardProfile, Factory, Registry, TEST_KEY, format};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::install::{self, Fields};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_gp::store_data::{self, Control, Encryption, Structure};
use huiwan_purse::date::Stamp;
use huiwan_purse::host::personalise::card_key;
use huiwan_purse::keys::{CardId, KeyKind};
use huiwan_purse::personalisation::{KeyData, Personalisation, PurseData};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{SamKey, SoftSam};
use huiwan_purse::terminal::drive::{self, Gate, Transport};
use huiwan_purse::terminal::policy::Policy;
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::CardView;
use huiwan_purse::terminal::{AID_JTT_978_EP, Device, Outcome, Pending, Receipt, Tap};
use huiwan_purse::transit::public_info::{self, PublicInfo};

/// Bytes of RAM that stand for flash; `.ci/thumb` takes them off the figure for RAM.
pub const FLASH: usize = 32_768;

type Flash = RamFlash<FLASH>;
type BandElement<'m> = SecureElement<'m, Journal<&'m mut Flash, 160>>;

const DEBIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
const TERMINAL: [u8; 6] = [0x30, 0x00, 0x89, 0x00, 0x03, 0x40];
const CARD: CardId = CardId {
    issuer: [1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF],
    serial: [0x31, 4, 0x89, 0, 0, 0, 0x12, 0x34, 0x56, 0x78],
};

/// Predictable: the image shows sizes and panics, not secrets.
struct Counter(u8);

impl Random for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

struct Band<'m> {
    element: BandElement<'m>,
    random: Counter,
}

impl Band<'_> {
    fn power(&mut self, interface: Interface) {
        self.element.power_off();
        self.element.power_on(interface, &mut Environment { random: &mut self.random, now: None });
    }

    fn send(&mut self, command: &[u8]) -> &[u8] {
        self.element.exchange(command, &mut Environment { random: &mut self.random, now: None })
    }

    /// Sends a plain command as the TSM and checks that it worked.
    fn ok(&mut self, session: &mut Open, command: Command<'_>) -> Result<(), Failed> {
        let (mut wire, mut plain) = ([0; 261], [0; 261]);
        let sent = session.wrap(&command, &mut wire).map_err(|_| "wrap")?;
        let answer = self.send(sent);
        let answer = session.unwrap(answer, &mut plain).map_err(|_| "unwrap")?;
        if answer.sw() == Sw::OK { Ok(()) } else { Err("refused by the card manager") }
    }

    fn open(&mut self) -> Result<Open, Failed> {
        self.power(Interface::Internal);
        let keys = StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).map_err(|_| "keys")?;
        let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
        let mut wire = [0; 32];
        let command = handshake.command(0x80, 0).write(&mut wire).map_err(|_| "full")?;
        let answer = Response::parse(self.send(command)).map_err(|_| "answer")?;
        let answer = Answer::parse(answer.data()).map_err(|_| "initialize update")?;
        let verified =
            handshake.verify_card(0x80, &answer, &keys, Level::All).map_err(|_| "card cryptogram")?;
        let answer = Response::parse(self.send(verified.command())).map_err(|_| "answer")?;
        verified.accepted(answer.sw()).map_err(|_| "external authenticate")
    }

    fn install(&mut self, session: &mut Open, module: &Aid, instance: &[u8]) -> Result<(), Failed> {
        let mut data = [0; 128];
        let fields = Fields {
            load_file: LOAD_FILE.as_bytes(),
            module: module.as_bytes(),
            instance,
            privileges: &[0],
            parameters: &[0xC9, 0x00],
            token: &[],
        };
        let data = fields.write(&mut data).map_err(|_| "full")?;
        let purpose = install::FOR_INSTALL | install::FOR_MAKE_SELECTABLE;
        self.ok(session, Command::new(0x80, install::INS, purpose, 0).with_data(data).with_ne(Ne::MAX_SHORT))
    }

    fn personalise_purse(&mut self, session: &mut Open) -> Result<(), Failed> {
        let mut data = [0; 32];
        let fields = Fields { instance: AID_JTT_978_EP, ..Fields::default() };
        let data = fields.write(&mut data).map_err(|_| "full")?;
        let command = Command::new(0x80, install::INS, install::FOR_PERSONALIZATION, 0).with_data(data);
        self.ok(session, command.with_ne(Ne::MAX_SHORT))?;
        let masters = masters();
        let key = |index: usize| {
            let master = masters.get(index).ok_or("no such key")?;
            card_key::<International>(&Profile::JTT_978, master, &CARD).map_err(|_| "card key")
        };
        let keys = [key(0)?, key(1)?, key(2)?, key(3)?];
        let personalisation = Personalisation {
            passbook: None,
            purse: Some(PurseData {
                balance: 5_000,
                online_seq: 0,
                offline_seq: 0,
                overdraft: [0; 3],
                upper_limit: 100_000,
            }),
            pin: None,
            version: None,
            public_info: PublicInfo::new()
                .with(public_info::ISSUER, CARD.issuer)
                .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
                .with(public_info::APPLICATION_VERSION, [0x01])
                .with(public_info::SERIAL, CARD.serial)
                .with(public_info::START_DATE, [0x20, 0x25, 0x01, 0x01])
                .with(public_info::END_DATE, [0x20, 0x99, 0x12, 0x31]),
            holder: None,
            management: None,
            records: &[],
            keys: &keys,
            ..Personalisation::default()
        };
        let (mut block, mut result) = (0_u8, Ok(()));
        personalisation.for_each(|dgi, value| {
            let mut grouping = [0; 200];
            let control = Control { last: false, encryption: Encryption::None, structure: Structure::Dgi };
            let len = huiwan_tlv::dgi::put(&mut grouping, dgi, value).unwrap_or(0);
            let data = grouping.get(..len).unwrap_or_default();
            let command = Command::new(0x80, store_data::INS, control.byte(), block).with_data(data);
            let stored = self.ok(session, command.with_ne(Ne::MAX_SHORT));
            result = result.and(stored);
            block = block.wrapping_add(1);
        });
        result
    }
}

impl Transport for Band<'_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        Some(self.send(command))
    }
}

fn masters() -> [KeyData; 4] {
    [KeyKind::Purchase, KeyKind::Load, KeyKind::Tac, KeyKind::Maintenance].map(|kind| KeyData {
        kind,
        index: 1,
        version: 1,
        algorithm: 1,
        tries: 0,
        value: Secret::new([0x40 | kind.code(); 16]),
    })
}

/// A till that opens at once.
#[derive(Default)]
struct Till {
    opened: bool,
}

impl Gate for Till {
    fn fare(&mut self, _: &CardView) -> u32 {
        0
    }
    fn persist(&mut self, pending: &Pending) {
        black_box(pending.to_bytes());
    }
    fn open(&mut self, _: &Receipt) {
        self.opened = true;
    }
}

/// The whole life of a band, in short.
pub fn life() -> Result<(), Failed> {
    const PROFILE: CardProfile = CardProfile::DEFAULT;
    let mut flash = Flash::new();
    let mut memory = Journal::format(&mut flash).map_err(|_| "journal")?;
    format(&mut memory, &Factory::TEST).map_err(|_| "factory")?;
    let modules = Modules::default();
    let modules = modules.list();
    let element = SecureElement::new(&modules, Registry::new(&PROFILE), memory);
    let mut band = Band { element, random: Counter(7) };

    let mut session = band.open()?;
    band.install(&mut session, &PURSE_MODULE, AID_JTT_978_EP)?;
    band.install(&mut session, &PAYMENT_MODULE, DEBIT.as_bytes())?;
    band.install(&mut session, &PPSE_MODULE, b"2PAY.SYS.DDF01")?;
    band.personalise_purse(&mut session)?;
    buy(&mut band)?;
    pay(&mut band)?;
    ask(&mut band)
}

/// The phone asks the card manager who it is, through the relay.
fn ask(band: &mut Band<'_>) -> Result<(), Failed> {
    let (mut request, mut answer) = ([0; 16], [0; 300]);
    for step in [Request::PowerOn, Request::Transmit(&[0x80, 0xCA, 0x9F, 0x7F, 0x00]), Request::PowerOff] {
        let request = step.write(&mut request).map_err(|_| "full")?;
        let mut environment = Environment { random: &mut band.random, now: None };
        let answer =
            relay::serve(&mut band.element, request, &mut environment, &mut answer).map_err(|_| "full")?;
        match (step, relay::Answer::parse(answer)) {
            (Request::Transmit(_), Ok(relay::Answer::Response(response)))
                if response.ends_with(&[0x90, 0x00]) => {}
            (Request::PowerOn | Request::PowerOff, Ok(relay::Answer::Done)) => {}
            _ => return Err("the relay"),
        }
    }
    Ok(())
}

/// A purchase of 1.00 yuan from the purse.
fn buy(band: &mut Band<'_>) -> Result<(), Failed> {
    band.power(Interface::Contactless);
    let [purchase, ..] = masters();
    let key = SamKey { version: 1, algorithm: 1, value: purchase.value };
    let mut sam = SoftSam::<International, 1>::new(&Profile::JTT_978, TERMINAL, 1, [key], 1);
    let device = Device { aid: AID_JTT_978_EP, terminal: TERMINAL, key_index: 1 };
    let stamp = Stamp { date: [0x20, 0x26, 0x11, 0x22], time: [0x14, 0x17, 0x40] };
    let (policy, service, mut till) = (Policy::default(), Purchase { amount: 100 }, Till::default());
    let mut tap = Tap::new(device, &policy, &service, stamp);
    match drive::tap(&mut tap, band, &mut sam, &mut till) {
        Ok(Outcome::Paid(_)) if till.opened => Ok(()),
        _ => Err("the purse did not pay"),
    }
}

/// A contactless payment. The bank card has no data yet, so the terminal must come to an end without taking money.
fn pay(band: &mut Band<'_>) -> Result<(), Failed> {
    band.power(Interface::Contactless);
    let combinations = [Combination::quick_pass(DEBIT, Ttq([0x26, 0x00, 0x00, 0x80]))];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    let (mut data, mut static_data, mut out) = ([0; 1024], [0; 256], [0; terminal::COMMAND_MAX]);
    let memory = terminal::Memory { data: &mut data, static_data: &mut static_data };
    let mut kernel = EntryPoint::new(&configuration, memory);
    let mut transaction = Transaction::default();
    transaction.amount = Amount::new(100).ok_or("amount")?;
    let mut input = terminal::Input::Start(transaction);
    for _ in 0..64 {
        input = match kernel.step(input, &mut out) {
            Ok(terminal::Step::Send(command)) => terminal::Input::Response(band.send(command)),
            Ok(terminal::Step::UnpredictableNumber) => terminal::Input::UnpredictableNumber([1, 2, 3, 4]),
            Ok(terminal::Step::Done(outcome)) if outcome.verdict != terminal::Verdict::Approved => {
                return Ok(());
            }
            _ => return Err("the terminal did not decline"),
        };
    }
    Err("the payment did not end")
}
