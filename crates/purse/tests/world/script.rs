//! Scripts: what happens to a card, one step a line, to be read and replayed.
//!
//! `load ep 500`, `buy ed 100 wrong`, `composite ep 7 cut 3 random`, `retap`: verb, account, amount, and what becomes of the last
//! command of the step. `wrong`: its MAC or PIN is wrong. `lost`: its answer is. `cut N MODE`: power is cut in its flash
//! operation N.

use core::cell::RefCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::str::FromStr;
use std::collections::BTreeMap;

use huiwan_card::{Batch, Cut, InstanceId, Journal, Memory, ObjectId, RamFlash};
use huiwan_crypto::Both;
use huiwan_purse::card::Purse;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::Profile;
use huiwan_testkit::rng::Seeded;

use super::paper::{Durable, PIN, Paper, composite_record, u32_at};
use super::{Band, TearHow, Tearable, hex};

pub type Flash = RamFlash<{ 16 * 1024 }, 1024>;
pub type Memories = Journal<Flash, 128>;

impl Tearable for Memories {
    fn tear(&mut self, how: TearHow) {
        match how {
            TearHow::BeforeCommit => self.flash_mut().cut_after(0, Cut::Before, 0),
            TearHow::InFlash(n, cut) => self.flash_mut().cut_after(n, cut, 31 * n + 7),
            TearHow::Unheard | TearHow::Unanswered => {}
            TearHow::AfterCommit => panic!("of how many operations?"),
        }
    }

    fn power_up(self) -> Self {
        let mut flash = self.into_flash();
        flash.power_on();
        let mut memory = Self::mount(flash).unwrap();
        memory.collect().unwrap();
        memory
    }
}

macro_rules! verbs {
    ($($name:ident = $text:literal $account:literal $amount:literal;)*) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Verb { $($name,)* }

        impl Verb {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether it is of an account, and of an amount.
            const fn wants(self) -> (bool, bool) {
                match self { $(Self::$name => ($account, $amount),)* }
            }
        }
    };
}

verbs! {
    Load = "load" true true;
    Unload = "unload" true true;
    Buy = "buy" true true;
    Cash = "cash" true true;
    // The amount modulo 3 chooses the records: one, two, or a trip record too.
    Composite = "composite" true true;
    Limit = "limit" true true;
    GreyLock = "grey-lock" true false;
    GreyPay = "grey-pay" true true;
    GreyHost = "grey-host" true true;
    GreyTake = "grey-take" false false;
    // INITIALIZE FOR PURCHASE and no more.
    Open = "open" true true;
    // A completion of kind amount modulo 6 that nothing led up to.
    Stray = "stray" false true;
    // GET AUTHENTICATION CODE: the next MAC1 covers it.
    Code = "code" false false;
    Verify = "verify" false false;
    ChangePin = "change-pin" false true;
    ReloadPin = "reload-pin" false true;
    UnblockPin = "unblock-pin" false false;
    Block = "block" false false;
    BlockForever = "block-forever" false false;
    BlockCard = "block-card" false false;
    Unblock = "unblock" false false;
    // A byte of file 0015.
    UpdateInfo = "update-info" false true;
    UpdateRecord = "update-record" false true;
    AppendRecord = "append-record" false true;
    Retap = "retap" false false;
    // No command: the card tidies its flash, between two taps.
    Idle = "idle" false false;
}

/// How the last command of a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Answered,
    Lost,
    Cut(u32, Cut),
}

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub verb: Verb,
    /// P2: 01 ED, 02 EP.
    pub account: u8,
    pub amount: u32,
    /// Whether its MAC or PIN is wrong.
    pub wrong: bool,
    pub how: How,
}

impl Step {
    /// A step without what its verb does not want.
    pub fn new(verb: Verb, account: u8, amount: u32, wrong: bool, how: How) -> Self {
        let wants = verb.wants();
        let (account, amount) = (if wants.0 { account } else { 2 }, if wants.1 { amount } else { 0 });
        Self { verb, account, amount, wrong, how }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.text())?;
        let (account, amount) = self.verb.wants();
        if account {
            f.write_str(if self.account == 1 { " ed" } else { " ep" })?;
        }
        if amount {
            write!(f, " {}", self.amount)?;
        }
        if self.wrong {
            f.write_str(" wrong")?;
        }
        match self.how {
            How::Answered => Ok(()),
            How::Lost => f.write_str(" lost"),
            How::Cut(n, cut) => write!(f, " cut {n} {}", format!("{cut:?}").to_lowercase()),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let verb = Verb::ALL.iter().find(|v| v.text() == verb).ok_or(format!("no verb {verb}"))?;
        let mut step = Self { verb: *verb, account: 2, amount: 0, wrong: false, how: How::Answered };
        while let Some(word) = words.next() {
            match word {
                "ed" => step.account = 1,
                "ep" => step.account = 2,
                "wrong" => step.wrong = true,
                "lost" => step.how = How::Lost,
                "cut" => {
                    let n = words.next().and_then(|n| n.parse().ok()).ok_or("cut where?")?;
                    let mode = words.next().unwrap_or_default();
                    let is = |cut: &&Cut| format!("{cut:?}").eq_ignore_ascii_case(mode);
                    let cut = Cut::ALL.iter().find(is).ok_or("cut how?")?;
                    step.how = How::Cut(n, *cut);
                }
                amount => step.amount = amount.parse().map_err(|_| format!("no word {amount}"))?,
            }
        }
        Ok(step)
    }
}

/// A card and its day: scheme, seed of its keys, and the steps. `Debug` prints what [`FromStr`] reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    pub profile: usize,
    pub seed: u64,
    pub steps: Vec<Step>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "card {} {}", Profile::ALL[self.profile].code, self.seed)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let head: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
        let ["card", code, seed] = head[..] else { return Err("card CODE SEED".into()) };
        let profile = Profile::ALL.iter().position(|profile| profile.code.to_string() == code);
        let (profile, seed) = (profile.ok_or("no such scheme")?, seed.parse().map_err(|_| "seed")?);
        Ok(Self { profile, seed, steps: lines.map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl Script {
    /// The script that a fuzzer's input stands for: scheme and seed, then four bytes a step.
    pub fn from_bytes(input: &[u8]) -> Self {
        let (head, rest) = input.split_first().unwrap_or((&0, &[]));
        let schemes = Profile::ALL.len();
        let steps = rest.as_chunks::<4>().0.iter().map(|[verb, flags, high, low]| {
            let verb = Verb::ALL[usize::from(*verb) % Verb::ALL.len()];
            let amount = u32::from(u16::from_be_bytes([*high, *low])) % 3000;
            let how = match flags >> 4 {
                n @ 0..=7 => How::Cut(u32::from(n), Cut::ALL[usize::from(flags >> 2 & 3)]),
                8 => How::Lost,
                _ => How::Answered,
            };
            Step::new(verb, 1 + (flags & 1), amount, flags & 2 != 0, how)
        });
        let (profile, seed) = (usize::from(*head) % schemes, usize::from(*head) / schemes % 8);
        Self { profile, seed: seed as u64, steps: steps.take(40).collect() }
    }
}

fn apdu(header: [u8; 4], data: &[u8], le: Option<u8>) -> Vec<u8> {
    [&header[..], &[data.len() as u8], data, le.as_slice()].concat()
}

/// A lock the pump knows of.
#[derive(Debug, Clone)]
struct Locking {
    p2: u8,
    init: Vec<u8>,
    terminal_seq: u32,
}

/// What recovery asks for: TTI and counter after; and the amounts in question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    tti: u8,
    seq: u16,
    collected: i64,
    loaded: i64,
}

/// A card, the same card on paper, and somebody who uses both and keeps the books.
pub struct World {
    band: Band<Memories>,
    /// What the card may be: more than one after a cut that no command can tell apart.
    papers: Vec<Paper>,
    collected: i64,
    loaded: i64,
    issued: i64,
    locking: Option<Locking>,
    terminal_seq: u32,
    /// Terminal numbers, dates and times.
    random: Seeded,
    /// How often each type was done and believed.
    pub done: BTreeMap<u8, u32>,
    /// What the last initialisation was answered, unless 9000.
    pub refused: Option<u16>,
    /// A card that is locked for good is not selected any more: its element's card manager answers.
    selected: bool,
    /// Cuts that hit, for the harness' own test.
    pub cuts: u32,
    /// At the last cut: every state the command goes through, and those the card was found in.
    pub between: (Vec<Durable>, Vec<Durable>),
    erased: u32,
    steps: u32,
}

type Modules = &'static [&'static dyn huiwan_card::Module];

thread_local! {
    // Not dropped, for leak checkers.
    static MADE: ManuallyDrop<RefCell<Vec<(Profile, Modules)>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static ISSUED: RefCell<Vec<((Profile, u64), Flash)>> = const { RefCell::new(Vec::new()) };
}

/// The modules of a scheme whose keys may be of both algorithms.
pub fn modules(profile: Profile) -> Modules {
    MADE.with(|made| {
        let mut made = made.borrow_mut();
        if let Some((_, modules)) = made.iter().find(|(of, _)| *of == profile) {
            return *modules;
        }
        let [issuer, _] = super::modules(profile) else { panic!() };
        let purse: &'static dyn huiwan_card::Module = Box::leak(Box::new(Purse::<Both>::new(profile)));
        let modules: Modules = Box::leak(Box::new([*issuer, purse]));
        made.push((profile, modules));
        modules
    })
}

/// Puts the card on paper into silicon.
fn issued(paper: &Paper, seed: u64) -> Flash {
    let memory = Memories::format(Flash::erased()).unwrap();
    let mut band = Band::blank(memory, modules(paper.profile), super::kept_entries());
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    for (dgi, value) in paper.groupings() {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(&value)));
    }
    let mut memory = band.remove();
    // Some years pass: everywhere in the ring there may be the end of it.
    for n in 0..80 + 3 * seed {
        memory.collect().unwrap();
        let mut buffer = [0; 256];
        let mut batch = Batch::new(&mut buffer);
        batch.put(ObjectId::new(InstanceId::ISSUER, 1), &[n as u8; 200]);
        memory.commit(&batch).unwrap();
    }
    memory.into_flash()
}

/// The same, made once.
fn kept(paper: &Paper, seed: u64) -> Flash {
    let of = (paper.profile, seed);
    let found = ISSUED.with_borrow(|kept| kept.iter().find(|(it, _)| *it == of).cloned());
    found.map_or_else(
        || {
            let flash = issued(paper, seed);
            ISSUED.with_borrow_mut(|kept| kept.push((of, flash.clone())));
            flash
        },
        |(_, flash)| flash,
    )
}

impl World {
    pub fn new(profile: Profile, seed: u64) -> Self {
        let paper = Paper::new(profile, seed);
        let flash = kept(&paper, seed);
        Self::in_flash(paper, flash, seed)
    }

    /// Any card on paper.
    pub fn of(paper: Paper) -> Self {
        let flash = issued(&paper, 0);
        Self::in_flash(paper, flash, 0)
    }

    fn in_flash(paper: Paper, flash: Flash, seed: u64) -> Self {
        let memory = Memories::mount(flash).unwrap();
        let profile = paper.profile;
        let erased = memory.flash().erases();
        let mut band = Band::blank(memory, modules(profile), super::kept_entries());
        band.tracing = false;
        let issued = paper.money();
        let mut world = Self {
            band,
            papers: vec![paper],
            collected: 0,
            loaded: 0,
            issued,
            locking: None,
            terminal_seq: 0xFFFD,
            random: Seeded::new(seed),
            done: BTreeMap::new(),
            refused: None,
            selected: false,
            cuts: 0,
            between: (Vec::new(), Vec::new()),
            erased,
            steps: 0,
        };
        world.tap();
        world
    }

    /// Runs a script to its end and balances the books.
    pub fn run(script: &Script) -> Self {
        let mut world = Self::new(Profile::ALL[script.profile], script.seed);
        for step in &script.steps {
            world.step(step);
        }
        world.audit();
        world
    }

    /// Pages its flash erased since it was issued.
    pub fn erases(&mut self) -> u32 {
        self.band.memory().flash().erases() - self.erased
    }

    /// The card on paper.
    pub fn paper(&self) -> &Paper {
        &self.papers[0]
    }

    /// Sends a command; the answer has to be that of a card on paper.
    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let real = self.band.send(command);
        self.compare(command, &real);
        real
    }

    fn compare(&mut self, command: &[u8], real: &[u8]) {
        let mut expected = Vec::new();
        self.papers.retain_mut(|paper| {
            let answer = paper.answer(command, real);
            let same = answer == real;
            expected.push(hex(&answer));
            same
        });
        assert!(!self.papers.is_empty(), "{} answers {} and not {expected:?}", hex(command), hex(real));
    }

    fn select(&mut self) {
        self.selected = self.send(&huiwan_testkit::hex("00A4040008A00000063201010500")).len() > 2;
    }

    /// The holder presents the card, and the PIN if it still has tries.
    pub fn tap(&mut self) {
        self.select();
        let paper = self.paper();
        if paper.lock() == 0 && paper.durable.tries > 0 {
            let pin = paper.durable.pin.clone();
            self.send(&apdu([0x00, 0x20, 0x00, 0x00], &pin, None));
        }
    }

    /// Takes the card out of the field; power is back.
    fn retap(&mut self) {
        let mut flash = self.band.remove().into_flash();
        flash.power_on();
        self.band.insert(Memories::mount(flash).unwrap());
        self.forget();
    }

    fn forget(&mut self) {
        for paper in &mut self.papers {
            let durable = paper.durable.clone();
            paper.power_cut(durable);
        }
    }

    /// What the card tells is what is on paper; papers of which this is not true are thrown away.
    pub fn read_out(&mut self) {
        let band = &mut self.band;
        let mut wrong = Vec::new();
        self.papers.retain(|paper| {
            let differs = paper.readings().into_iter().find_map(|(command, expected)| {
                let real = band.send(&command);
                (real != expected)
                    .then(|| format!("{} answers {} not {}", hex(&command), hex(&real), hex(&expected)))
            });
            let same = differs.is_none();
            wrong.extend(differs);
            same
        });
        assert!(!self.papers.is_empty(), "between before and after: {wrong:#?}");
        self.papers.dedup_by(|a, b| a.durable == b.durable);
        // It began with a selection.
        self.forget();
    }

    /// The commands that lead up to the last one, and the last one, if they were answered well.
    fn prepare(&mut self, step: &Step) -> Option<(Vec<u8>, Option<Asked>)> {
        let Step { verb, account: p2, amount, .. } = *step;
        let four = amount.to_be_bytes();
        let terminal: [u8; 6] = self.random.bytes();
        let stamp = self.random.bytes::<7>().to_vec();
        let d11 = [&[0x01], &four[..], &terminal].concat();
        let profile = self.paper().profile;
        let begin = |world: &mut Self, cla: u8, ins: u8, p1: u8, data: &[u8], le: u8| {
            let mut answer = world.send(&apdu([cla, ins, p1, p2], data, Some(le)));
            let sw = answer.split_off(answer.len() - 2);
            world.refused = (sw != [0x90, 0x00]).then(|| u16::from_be_bytes([sw[0], sw[1]]));
            world.refused.is_none().then_some(answer)
        };
        let seq = |init: &[u8], at: usize| u16::from_be_bytes([init[at], init[at + 1]]);
        let secured = |world: &mut Self, kind, header: [u8; 4], data: &[u8]| {
            let mut challenge = world.send(&[0x00, 0x84, 0x00, 0x00, if amount & 1 == 0 { 4 } else { 8 }]);
            challenge.truncate(challenge.len() - 2);
            let message = [&header[..], &[data.len() as u8 + 4], data].concat();
            let (family, key) = world.paper().key(kind);
            let mac = family.secured(key, &challenge, &message);
            (apdu(header, &[data, &mac].concat(), None), None)
        };
        let composite_p2 = profile.composite_sfi << 3;
        Some(match verb {
            Verb::Load | Verb::Unload => {
                let load = verb == Verb::Load;
                let (p1, kind, tti) = if load { (0, KeyKind::Load, p2) } else { (5, KeyKind::Unload, 3) };
                let init = begin(self, 0x80, 0x50, p1, &d11, 0x10)?;
                let message = [&four[..], &[tti], &terminal, &stamp].concat();
                let mac2 = self.paper().online(kind, &init[8..12], seq(&init, 4), &message);
                let header = if load { [0x80, 0x52, 0x00, 0x00] } else { [0x80, 0x54, 0x03, 0x00] };
                let (loaded, collected) = if load { (amount, 0) } else { (0, amount) };
                let asked =
                    Asked { tti, seq: seq(&init, 4) + 1, collected: collected.into(), loaded: loaded.into() };
                (apdu(header, &[stamp, mac2].concat(), Some(4)), Some(asked))
            }
            Verb::Buy | Verb::Cash | Verb::Composite => {
                let (p1, tti) = match verb {
                    Verb::Buy => (1, 4 + p2),
                    Verb::Cash => (2, 4),
                    _ => (3, 9),
                };
                let init = begin(self, 0x80, 0x50, p1, &d11, 0x0F)?;
                if verb == Verb::Composite {
                    let records = self.paper().durable.composite.clone();
                    for stored in &records[..if amount % 3 == 0 { 1 } else { 2 }] {
                        let id = stored[usize::from(profile.records.match_at)];
                        let record = composite_record(&profile, id, amount as u8);
                        self.send(&apdu([0x80, 0xDC, id, composite_p2], &record, None));
                    }
                    if amount % 3 == 2 && profile.process_sfi != 0 {
                        self.send(&apdu(
                            [0x80, 0xDC, 0, profile.process_sfi << 3],
                            &[amount as u8; 48],
                            None,
                        ));
                    }
                }
                self.terminal_seq += 1;
                let terminal_seq = self.terminal_seq.to_be_bytes();
                let mut message = [&four[..], &[tti], &terminal, &stamp].concat();
                if self.paper().auth_code_read() {
                    message.extend(&self.paper().auth_code);
                }
                let mac1 = self.paper().debit(&init[11..15], seq(&init, 4), &terminal_seq, &message);
                let data = [&terminal_seq[..], &stamp, &mac1].concat();
                let asked = Asked { tti, seq: seq(&init, 4) + 1, collected: amount.into(), loaded: 0 };
                (apdu([0x80, 0x54, 0x01, 0x00], &data, Some(8)), Some(asked))
            }
            Verb::Limit => {
                let init = begin(self, 0x80, 0x50, 4, &[&[0x01], &terminal[..]].concat(), 0x13)?;
                let message = [&four[1..], &[0x07], &terminal, &stamp].concat();
                let mac2 = self.paper().online(KeyKind::Update, &init[11..15], seq(&init, 4), &message);
                let data = [&four[1..], &stamp, &mac2].concat();
                let asked = Asked { tti: 7, seq: seq(&init, 4) + 1, collected: 0, loaded: 0 };
                (apdu([0x80, 0x58, 0x00, 0x00], &data, Some(4)), Some(asked))
            }
            Verb::GreyLock => {
                let init = begin(self, 0xE0, 0x7A, 8, &[&[0x01], &terminal[..]].concat(), 0x0F)?;
                self.terminal_seq += 2;
                let terminal_seq = self.terminal_seq;
                let locking = Locking { p2, init, terminal_seq };
                let mac1 = self.grey(&locking, &[&[0x91], &terminal[..], &stamp].concat());
                let data = [&terminal_seq.to_be_bytes()[..], b"pump", &stamp, &mac1].concat();
                let asked = Asked { tti: 0x91, seq: seq(&locking.init, 4) + 1, collected: 0, loaded: 0 };
                self.locking = Some(locking);
                (apdu([0xE0, 0x7C, 0x08, 0x00], &data, Some(8)), Some(asked))
            }
            Verb::GreyPay => {
                let locking = self.locking.clone()?;
                let gmac = self.grey(&locking, &four);
                let seq = seq(&locking.init, 4) + 1;
                let terminal_seq = locking.terminal_seq + 1;
                let head = [&four[..], &seq.to_be_bytes(), &terminal, &terminal_seq.to_be_bytes()].concat();
                let asked = Asked { tti: 0x93, seq, collected: amount.into(), loaded: 0 };
                let header = [0xE0, 0x7E, 0x08, locking.p2];
                (apdu(header, &[head, stamp, gmac].concat(), Some(4)), Some(asked))
            }
            Verb::GreyHost => {
                let init = begin(self, 0xE0, 0x7A, 9, &[&[0x01], &terminal[..]].concat(), 0x12)?;
                let message = [&four[..], &[0x95], &terminal, &stamp].concat();
                let mac2 = self.paper().online(KeyKind::GreyUnlock, &init[10..14], seq(&init, 6), &message);
                let asked = Asked { tti: 0x95, seq: seq(&init, 6) + 1, collected: amount.into(), loaded: 0 };
                (apdu([0xE0, 0x7E, 0x09, 0x00], &[&four[..], &stamp, &mac2].concat(), Some(4)), Some(asked))
            }
            Verb::GreyTake => (vec![0xE0, 0xCA, 0x01, 0x00, 0x1E], None),
            Verb::Open => (apdu([0x80, 0x50, 0x01, p2], &d11, Some(0x0F)), None),
            Verb::Stray => {
                let (header, len, le) = match amount % 6 {
                    0 => ([0x80, 0x54, 0x01, 0x00], 15, 8),
                    1 => ([0x80, 0x52, 0x00, 0x00], 11, 4),
                    2 => ([0x80, 0x54, 0x03, 0x00], 11, 4),
                    3 => ([0x80, 0x58, 0x00, 0x00], 14, 4),
                    4 => ([0xE0, 0x7C, 0x08, 0x00], 19, 8),
                    _ => ([0xE0, 0x7E, 0x09, 0x00], 15, 4),
                };
                (apdu(header, &vec![0; len], Some(le)), None)
            }
            Verb::Code => (vec![0x80, 0xCA, 0x00, 0x00, 0x09], None),
            Verb::Verify => (apdu([0x00, 0x20, 0x00, 0x00], &self.paper().durable.pin.clone(), None), None),
            Verb::ChangePin => {
                let new = [PIN[0], PIN[1], (amount % 10) as u8];
                let data = [&self.paper().durable.pin[..], &[0xFF], &new].concat();
                (apdu([0x80, 0x5E, 0x01, 0x00], &data, None), None)
            }
            Verb::ReloadPin => {
                let new = [PIN[0], (amount % 10) as u8];
                let mac = self.paper().tac(KeyKind::PinReload, &new);
                (apdu([0x80, 0x5E, 0x00, 0x00], &[&new[..], &mac].concat(), None), None)
            }
            Verb::UnblockPin => {
                let (family, dpuk) = self.paper().key(KeyKind::PinUnblock);
                let sealed = family.sealed_pin(dpuk, &self.paper().durable.pin);
                secured(self, KeyKind::PinUnblock, [0x84, 0x24, 0x00, 0x00], &sealed)
            }
            Verb::Block => secured(self, KeyKind::Maintenance, [0x84, 0x1E, 0x00, 0x00], &[]),
            Verb::BlockForever => secured(self, KeyKind::Maintenance, [0x84, 0x1E, 0x00, 0x01], &[]),
            Verb::BlockCard => secured(self, KeyKind::Maintenance, [0x84, 0x16, 0x00, 0x00], &[]),
            Verb::Unblock => secured(self, KeyKind::Maintenance, [0x84, 0x18, 0x00, 0x00], &[]),
            Verb::UpdateInfo => secured(self, KeyKind::Maintenance, [0x04, 0xD6, 0x95, 28], &[amount as u8]),
            Verb::UpdateRecord => {
                let id = self.paper().durable.composite[0][usize::from(profile.records.match_at)];
                let record = composite_record(&profile, id, amount as u8);
                secured(self, KeyKind::Maintenance, [0x04, 0xDC, 1, composite_p2 | 4], &record)
            }
            Verb::AppendRecord => {
                let record = composite_record(&profile, 0x0B, amount as u8);
                secured(self, KeyKind::Maintenance, [0x04, 0xE2, 0, composite_p2], &record)
            }
            Verb::Retap | Verb::Idle => {
                self.retap();
                self.tap();
                return None;
            }
        })
    }

    fn grey(&self, locking: &Locking, message: &[u8]) -> Vec<u8> {
        let (family, dpk) = self.paper().key(KeyKind::Purchase);
        let (init, seq) = (&locking.init, locking.terminal_seq.to_be_bytes());
        family.mac(&family.grey_session(dpk, &init[11..15], &init[4..6], &seq, b"pump"), message)
    }

    pub fn step(&mut self, step: &Step) {
        if step.verb == Verb::Idle {
            return self.idle(step.how);
        }
        // A device that is never idle tidies up before it is full.
        self.steps += 1;
        if self.steps.is_multiple_of(4) {
            self.band.memory().collect().unwrap();
        }
        if !self.selected && step.verb != Verb::Retap {
            return;
        }
        let Some((mut command, asked)) = self.prepare(step) else { return };
        let wrong = step.wrong && command.len() > 5 && step.verb != Verb::Open;
        if wrong {
            let pin = command[..2] == [0x00, 0x20] || command[..3] == [0x80, 0x5E, 0x01];
            let at = if pin { 5 } else { 4 + usize::from(command[4]) };
            command[at] ^= 1;
        }
        match step.how {
            How::Answered => {
                let answer = self.send(&command);
                let done = answer.ends_with(&[0x90, 0x00]);
                assert!(!(done && wrong), "wrong and taken: {step}");
                if let Some(asked) = asked.filter(|_| done) {
                    self.believe(&asked);
                }
            }
            How::Lost => {
                self.send(&command);
                self.retap();
                self.recover(asked);
            }
            How::Cut(n, cut) => self.cut(&command, n, cut, asked),
        }
    }

    fn cut(&mut self, command: &[u8], n: u32, cut: Cut, asked: Option<Asked>) {
        self.band.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
        let real = self.band.send(command);
        if !self.band.memory().flash().is_dead() {
            self.band.memory().flash_mut().power_on();
            self.compare(command, &real);
            if let Some(asked) = asked.filter(|_| real.ends_with(&[0x90, 0x00])) {
                self.believe(&asked);
            }
            return;
        }
        self.cuts += 1;
        assert_eq!(real, [0x65, 0x81], "nothing but a memory failure leaves a dying card");
        // A flash that died needs a command that writes.
        let mut papers = Vec::new();
        for paper in &self.papers {
            let mut tried = paper.clone();
            tried.answer(command, &real);
            assert!(!tried.commits.is_empty(), "{} writes where nothing changes", hex(command));
            for durable in core::iter::once(&paper.durable).chain(&tried.commits) {
                let mut then = paper.clone();
                then.power_cut(durable.clone());
                papers.push(then);
            }
        }
        self.between.0 = papers.iter().map(|paper| paper.durable.clone()).collect();
        self.papers = papers;
        self.retap();
        self.read_out();
        self.between.1 = self.papers.iter().map(|paper| paper.durable.clone()).collect();
        // A torn commit costs a page: who only ever cuts and never tidies up gets 6A84, memory full.
        self.band.memory().collect().unwrap();
        self.recover(asked);
    }

    fn idle(&mut self, how: How) {
        let journal = self.band.memory();
        if let How::Cut(n, cut) = how {
            journal.flash_mut().cut_after(n, cut, 31 * n + 7);
        }
        let collected = journal.collect();
        assert_eq!(collected.is_err(), journal.flash().is_dead(), "{collected:?}");
        self.cuts += u32::from(collected.is_err());
        self.retap();
        self.read_out();
        // The next quiet moment comes.
        self.band.memory().collect().unwrap();
        self.tap();
    }

    /// What a terminal or host does that got no answer: it asks the card.
    fn recover(&mut self, asked: Option<Asked>) {
        self.select();
        if let Some(asked) = asked {
            let Asked { tti, seq, .. } = asked;
            let answer = if !self.selected {
                Vec::new()
            } else {
                self.send(&[&[0x80, 0x5A, 0x00, tti, 0x02], &seq.to_be_bytes()[..], &[0x08]].concat())
            };
            let happened =
                self.paper().durable.proof.as_ref().is_some_and(|(t, s, _)| (*t, *s) == (tti, seq));
            match answer.len() {
                10 => {
                    assert!(happened, "believed paid");
                    self.believe(&asked);
                }
                // A card that is locked for good tells nobody: the back office decides, here by the truth.
                _ if self.paper().lock() >= 2 && happened => self.believe(&asked),
                _ => assert!(!happened, "believed not paid"),
            }
        }
        self.tap();
    }

    fn believe(&mut self, asked: &Asked) {
        self.collected += asked.collected;
        self.loaded += asked.loaded;
        *self.done.entry(asked.tti).or_default() += 1;
        if matches!(asked.tti, 0x93 | 0x95) {
            // One lock is paid once: its proof cannot tell two amounts apart, so a pump that is paid asks no more.
            self.locking = None;
        }
        self.balances();
    }

    /// Money on the card + money collected − money loaded is what the card was issued with.
    fn balances(&self) {
        for paper in &self.papers {
            assert_eq!(paper.money() + self.collected - self.loaded, self.issued, "money");
        }
    }

    /// At the end of the day the card is read out; a lock that can be lifted is.
    pub fn audit(&mut self) {
        self.retap();
        self.read_out();
        self.balances();
        let unblock = Step::new(Verb::Unblock, 2, 0, false, How::Answered);
        let reload = Step::new(Verb::ReloadPin, 2, 0, false, How::Answered);
        self.select();
        if self.paper().lock() == 1 {
            self.step(&unblock);
        }
        self.step(&reload);
        self.retap();
        self.tap();
        if !self.selected {
            return;
        }
        for p2 in [1, 2] {
            let answer = self.send(&[0x80, 0x5C, 0x00, p2, 0x04]);
            if let (6, Some(account)) = (answer.len(), self.paper().durable.accounts.get(&p2)) {
                assert_eq!(u32_at(&answer, 0), account.balance);
            }
        }
    }
}
