//! The TSM: jobs in a database as a few bytes each, workers that carry them on, and the links to the bands.
//!
//! One loop runs all visits at once, as an executor would: it takes the band whose answer arrives next, lets its worker go on to
//! the next command, and puts it back. Time is the links', not this computer's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use huiwan::sample::{BANK_AID, PURSE_KEY, TRANSIT_AID, transit_masters};
use huiwan::tsm::{bank_card, groupings, payment_environment, transit_card};
use huiwan_card::{Interface, Module};
use huiwan_crypto::International;
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{Coding, Grouping, Install, KeyRef, KeyStore, Personalise, SoftKeyStore};
use huiwan_gp::secure_channel::Level;
use huiwan_purse::account::Account;
use huiwan_purse::date::Stamp;
use huiwan_purse::host::SoftLoadKeys;
use huiwan_purse::host::tsm_job as top_up;
use huiwan_purse::profile::Profile;
use huiwan_purse::terminal::{AID_JTT_978_EP, Device};
use huiwan_testkit::rng::Seeded;

use crate::arguments::Arguments;
use crate::band::Band;
use crate::issuer::{self, Scripts};

/// What the bands' maker derives their first keys from.
pub const FACTORY_MASTERS: [[u8; 16]; 3] = [*b"factory encrypt.", *b"factory mac mac.", *b"factory key keys"];
pub const FACTORY_VERSION: u8 = 0x30;
/// What the TSM derives its own from.
pub const TSM_MASTERS: [[u8; 16]; 3] = [*b"tsm encryption..", *b"tsm mac mac mac.", *b"tsm keys of keys"];
pub const TSM_VERSION: u8 = 0x31;

const FACTORY: KeyRef = KeyRef::kdf3(1);
const TSM: KeyRef = KeyRef::kdf3(2);
const KEYS: [(u8, KeyRef); 2] = [(TSM_VERSION, TSM), (FACTORY_VERSION, FACTORY)];

/// What every wearer has ordered with the band, fen.
pub const TOP_UP: u32 = 2_000;

/// A job that has not come to its end by then never will.
const MAX_VISITS: u16 = 20_000;

/// What happened to all jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Issuing jobs.
    pub issued: u64,
    /// Top-up jobs.
    pub loaded: u64,
    pub stopped: u64,
    pub visits: u64,
    pub most_visits: u16,
    pub commands: u64,
    pub unheard: u64,
    pub unanswered: u64,
    pub killed_at_command: u64,
    pub killed_before_saving: u64,
    pub killed_after_saving: u64,
    pub savings: u64,
}

impl Counts {
    pub fn add(&mut self, more: &Self) {
        self.most_visits = self.most_visits.max(more.most_visits);
        for (sum, more) in [
            (&mut self.issued, more.issued),
            (&mut self.loaded, more.loaded),
            (&mut self.stopped, more.stopped),
            (&mut self.visits, more.visits),
            (&mut self.commands, more.commands),
            (&mut self.unheard, more.unheard),
            (&mut self.unanswered, more.unanswered),
            (&mut self.killed_at_command, more.killed_at_command),
            (&mut self.killed_before_saving, more.killed_before_saving),
            (&mut self.killed_after_saving, more.killed_after_saving),
            (&mut self.savings, more.savings),
        ] {
            *sum += more;
        }
    }
}

/// One band's way through the TSM.
struct Line<'j, 'm> {
    band: Band<'m>,
    plan: Plan<'j>,
    /// The job's row in the database: first that of issuing, then that of the top-up.
    row: Row,
    visit: Option<Box<At<'j>>>,
    /// When its wearer came first, and when the jobs were over, milliseconds.
    came: u64,
    over: u64,
}

/// What the database has of a job.
#[derive(Clone, Copy)]
enum Row {
    Issuing([u8; JobState::LEN]),
    TopUp([u8; top_up::JobState::LEN]),
}

/// A visit under way.
struct At<'j> {
    work: Work<'j>,
    answer: Vec<u8>,
    /// The answer, or the command, was lost.
    lost: bool,
    begun: bool,
}

/// A worker, and what dies with it.
#[expect(clippy::large_enum_variant, reason = "in a box already")]
enum Work<'j> {
    Issuing(Worker<'j>, SoftKeyStore<2, 1>),
    TopUp(top_up::Worker, SoftLoadKeys<International, 4>),
}

/// What a worker hears.
enum Heard<'a> {
    Start([u8; 32]),
    Response(&'a [u8]),
    Saved,
    Lost,
}

/// What a worker wants.
enum Wants<'o> {
    Send(&'o [u8]),
    Save(Row),
    Done(Ended),
}

enum Ended {
    Complete,
    Again,
    Stopped(String),
}

/// The outcome of one wave of bands.
pub struct Wave<'m> {
    pub bands: Vec<Band<'m>>,
    /// How long each job took, milliseconds.
    pub times: Vec<u64>,
    pub counts: Counts,
}

/// Issues the bands, all at the same time.
pub fn issue<'m>(
    arguments: &Arguments,
    modules: &'m [&'m dyn Module],
    numbers: core::ops::Range<u32>,
    scripts: &[Scripts],
) -> Wave<'m> {
    let mut random = Seeded::new(arguments.seed ^ u64::from(numbers.start) << 32);
    let cut: Vec<_> = scripts.iter().map(cut).collect();
    let goals: Vec<_> = cut.iter().map(|(bank, transit)| goals(bank, transit)).collect();
    let mut lines: Vec<_> = numbers
        .zip(&goals)
        .map(|(number, goals)| Line {
            band: Band::new(number, modules, arguments.seed),
            plan: Plan { aid: None, keys: &KEYS, level: Level::All, goals },
            row: Row::Issuing(JobState::new(number.into()).to_bytes()),
            visit: None,
            // Wearers come within a minute.
            came: random.below(60_000),
            over: 0,
        })
        .collect();

    let mut counts = Counts::default();
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut queue: BinaryHeap<_> =
        lines.iter().enumerate().map(|(index, line)| Reverse((line.came, index))).collect();
    while let Some(Reverse((now, index))) = queue.pop() {
        let line = &mut lines[index];
        match line.turn(arguments, &mut random, &mut counts, &mut out, &mut key_out) {
            Some(delay) => queue.push(Reverse((now + delay, index))),
            None => line.over = now,
        }
    }
    Wave {
        times: lines.iter().map(|line| line.over - line.came).collect(),
        bands: lines.into_iter().map(|line| line.band).collect(),
        counts,
    }
}

type Cut<'s> = (Vec<Grouping<'s>>, Vec<Grouping<'s>>);

fn cut(scripts: &Scripts) -> Cut<'_> {
    let cut = |script| groupings::<24>(script).expect("at most 24 groupings").to_vec();
    (cut(&scripts.bank), cut(&scripts.transit))
}

fn goals<'j>(bank: &'j [Grouping<'j>], transit: &'j [Grouping<'j>]) -> [Goal<'j>; 4] {
    let issued = |install: Install<'j>, script| Goal::Issued {
        personalise: Personalise::new(Some(install.instance), script, Coding::GP),
        install,
    };
    [
        Goal::Keys { key: TSM, version: TSM_VERSION, retire: Some(FACTORY_VERSION) },
        issued(payment_environment(), &[]),
        issued(bank_card(BANK_AID, b"HUIWAN DEBIT", 1), bank),
        issued(transit_card(TRANSIT_AID), transit),
    ]
}

impl<'j> Line<'j, '_> {
    /// The answer is there, or the next visit is due: goes on to the next command. How long that takes; `None`: over.
    fn turn(
        &mut self,
        arguments: &Arguments,
        random: &mut Seeded,
        counts: &mut Counts,
        out: &mut [u8],
        key_out: &mut [u8],
    ) -> Option<u64> {
        let visit = match &mut self.visit {
            Some(visit) => visit,
            none => {
                self.band.power_on(Interface::Internal);
                counts.visits += 1;
                none.insert(Box::new(At::new(self.plan, &self.row, self.band.number())))
            }
        };
        let answer = core::mem::take(&mut visit.answer);
        let mut heard = match (visit.begun, visit.lost) {
            (false, _) => Heard::Start(random.bytes()),
            (true, true) => Heard::Lost,
            (true, false) => Heard::Response(&answer),
        };
        visit.begun = true;
        loop {
            let wants = visit.work.step(heard, out, key_out);
            let dies =
                matches!(wants, Wants::Send(_) | Wants::Save(_)) && chance(random, arguments.kill_rate);
            heard = match wants {
                Wants::Send(command) => {
                    counts.commands += 1;
                    visit.lost = chance(random, arguments.loss);
                    if visit.lost && random.below(2) == 0 {
                        counts.unheard += 1;
                    } else {
                        counts.unanswered += u64::from(visit.lost);
                        self.band.exchange(command, &mut visit.answer);
                    }
                    if dies {
                        counts.killed_at_command += 1;
                        return Some(self.leave(random));
                    }
                    // A command over Bluetooth takes 15 to 50 ms; that one is lost is noticed after two seconds.
                    return Some(if visit.lost { 2_000 } else { 15 + random.below(36) });
                }
                Wants::Save(_) if dies && random.below(2) == 0 => {
                    counts.killed_before_saving += 1;
                    return Some(self.leave(random));
                }
                Wants::Save(row) => {
                    counts.savings += 1;
                    self.row = row;
                    if dies {
                        counts.killed_after_saving += 1;
                        return Some(self.leave(random));
                    }
                    Heard::Saved
                }
                Wants::Done(ended) => {
                    let visits = visit.work.visits();
                    counts.most_visits = counts.most_visits.max(visits);
                    let wait = self.leave(random);
                    let number = self.band.number();
                    match (ended, &self.row) {
                        (Ended::Complete, Row::Issuing(_)) => {
                            counts.issued += 1;
                            self.row = Row::TopUp(top_up::JobState::new(number.into()).to_bytes());
                            return Some(wait);
                        }
                        (Ended::Complete, Row::TopUp(_)) => counts.loaded += 1,
                        (Ended::Again, _) if visits < MAX_VISITS => return Some(wait),
                        (ended, _) => {
                            counts.stopped += 1;
                            let why = match ended {
                                Ended::Stopped(why) => why,
                                _ => format!("job not done after {MAX_VISITS} visits"),
                            };
                            eprintln!("band {number}: {why}");
                        }
                    }
                    return None;
                }
            };
        }
    }

    /// The visit is over, whoever ended it. The wearer tries again after a while.
    fn leave(&mut self, random: &mut Seeded) -> u64 {
        self.visit = None;
        1_000 + random.below(9_000)
    }
}

impl<'j> At<'j> {
    /// Another worker takes the job as the database has it.
    fn new(plan: Plan<'j>, row: &Row, number: u32) -> Self {
        let kept = "the database keeps what it is given";
        let work = match row {
            Row::Issuing(saved) => {
                let mut store = SoftKeyStore::new();
                for (id, [enc, mac, dek]) in [(1, &FACTORY_MASTERS), (2, &TSM_MASTERS)] {
                    store.insert(id, enc, mac, dek).expect("two key sets have room");
                }
                Work::Issuing(Worker::new(plan, JobState::from_bytes(saved).expect(kept)), store)
            }
            Row::TopUp(saved) => {
                let state = top_up::JobState::from_bytes(saved).expect(kept);
                let keys = SoftLoadKeys::new(Profile::JTT_978, transit_masters());
                Work::TopUp(top_up::Worker::new(order(number), state), keys)
            }
        };
        Self { work, answer: Vec::new(), lost: false, begun: false }
    }
}

/// The first load of the band's transit card, whose counter personalisation has set to 0.
fn order(number: u32) -> top_up::Plan {
    top_up::Plan {
        card: issuer::transit_card(number),
        account: Account::Ep,
        device: Device { aid: AID_JTT_978_EP, terminal: *b"TSM 01", key_index: PURSE_KEY },
        amount: TOP_UP,
        online_seq: 0,
        stamp: Stamp { date: [0x20, 0x26, 0x11, 0x28], time: [0x20, 0x15, 0x00] },
        goal: top_up::Goal::Loaded,
    }
}

impl Work<'_> {
    fn visits(&self) -> u16 {
        match self {
            Self::Issuing(worker, _) => worker.state().visits,
            Self::TopUp(worker, _) => worker.state().visits,
        }
    }

    /// On to the next thing that can go wrong.
    fn step<'o>(&mut self, heard: Heard<'_>, out: &'o mut [u8], key_out: &mut [u8]) -> Wants<'o> {
        let answered = "the loop answers what is asked";
        match self {
            Self::Issuing(worker, store) => {
                let mut input = match heard {
                    Heard::Start(random) => Input::Start(random),
                    Heard::Response(answer) => Input::Response(answer),
                    Heard::Saved => Input::Continue,
                    Heard::Lost => Input::Lost,
                };
                let len = loop {
                    input = match worker.step(input, &mut *out).expect(answered) {
                        Step::Send(command) => break command.len(),
                        Step::Key(request) => Input::Key(store.answer(&request, key_out)),
                        Step::Persist(state) => return Wants::Save(Row::Issuing(state.to_bytes())),
                        Step::Progress(_) => Input::Continue,
                        Step::Done(Visit::Complete) => return Wants::Done(Ended::Complete),
                        Step::Done(Visit::Stopped { goal, fault }) => {
                            return Wants::Done(Ended::Stopped(format!(
                                "job stopped at goal {goal}: {fault}"
                            )));
                        }
                        Step::Done(_) => return Wants::Done(Ended::Again),
                    };
                };
                Wants::Send(&out[..len])
            }
            Self::TopUp(worker, keys) => {
                let mut input = match heard {
                    Heard::Start(random) => {
                        top_up::Input::Start(*random.first_chunk().expect("six of thirty-two bytes"))
                    }
                    Heard::Response(answer) => top_up::Input::Response(answer),
                    Heard::Saved => top_up::Input::Continue,
                    Heard::Lost => top_up::Input::Lost,
                };
                let len = loop {
                    input = match worker.step(input, &mut *out).expect(answered) {
                        top_up::Step::Send(command) => break command.len(),
                        top_up::Step::Key(request) => top_up::Input::Key(request.answer(keys)),
                        top_up::Step::Persist(state) => return Wants::Save(Row::TopUp(state.to_bytes())),
                        top_up::Step::Done(top_up::Visit::Loaded(_)) => return Wants::Done(Ended::Complete),
                        top_up::Step::Done(top_up::Visit::Stopped(cause)) => {
                            return Wants::Done(Ended::Stopped(format!("top-up stopped: {cause}")));
                        }
                        top_up::Step::Done(_) => return Wants::Done(Ended::Again),
                    };
                };
                Wants::Send(&out[..len])
            }
        }
    }
}

fn chance(random: &mut Seeded, part: f64) -> bool {
    (random.below(1 << 32) as f64) < part * f64::from(u32::MAX)
}
