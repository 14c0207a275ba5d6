//! The TSM: jobs in a database as twelve bytes each, workers that carry them on, and the links to the bands.
//!
//! One loop runs all visits at once, as an executor would: it takes the band whose answer arrives next, lets its worker go on to
//! the next command, and puts it back. Time is the links', not this computer's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use huiwan::sample::{BANK_AID, TRANSIT_AID};
use huiwan::tsm::{bank_card, groupings, payment_environment, transit_card};
use huiwan_card::{Interface, Module};
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{Coding, Grouping, Install, KeyRef, KeyStore, Personalise, SoftKeyStore};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::rng::Seeded;

use crate::arguments::Arguments;
use crate::band::Band;
use crate::issuer::Scripts;

/// What the bands' maker derives their first keys from.
pub const FACTORY_MASTERS: [[u8; 16]; 3] = [*b"factory encrypt.", *b"factory mac mac.", *b"factory key keys"];
pub const FACTORY_VERSION: u8 = 0x30;
/// What the TSM derives its own from.
pub const TSM_MASTERS: [[u8; 16]; 3] = [*b"tsm encryption..", *b"tsm mac mac mac.", *b"tsm keys of keys"];
pub const TSM_VERSION: u8 = 0x31;

const FACTORY: KeyRef = KeyRef::kdf3(1);
const TSM: KeyRef = KeyRef::kdf3(2);
const KEYS: [(u8, KeyRef); 2] = [(TSM_VERSION, TSM), (FACTORY_VERSION, FACTORY)];

/// A job that has not come to its end by then never will.
const MAX_VISITS: u16 = 20_000;

/// What happened to all jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub complete: u64,
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
            (&mut self.complete, more.complete),
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
    /// The job's row in the database.
    saved: [u8; JobState::LEN],
    visit: Option<Box<At<'j>>>,
    /// When its wearer came first, and when the job was over, milliseconds.
    came: u64,
    over: u64,
}

/// A visit under way.
struct At<'j> {
    worker: Worker<'j>,
    /// The worker's sessions die with it.
    store: SoftKeyStore<2, 1>,
    answer: Vec<u8>,
    /// The answer, or the command, was lost.
    lost: bool,
    begun: bool,
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
            saved: JobState::new(number.into()).to_bytes(),
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
                none.insert(Box::new(At::new(self.plan, &self.saved)))
            }
        };
        let mut input = match (visit.begun, visit.lost) {
            (false, _) => Input::Start(random.bytes()),
            (true, true) => Input::Lost,
            (true, false) => Input::Response(&visit.answer),
        };
        visit.begun = true;
        loop {
            let step = visit.worker.step(input, out).expect("the loop answers what is asked");
            let dies =
                matches!(step, Step::Send(_) | Step::Persist(_)) && chance(random, arguments.kill_rate);
            input = match step {
                Step::Send(command) => {
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
                Step::Key(request) => Input::Key(visit.store.answer(&request, key_out)),
                Step::Persist(_) if dies && random.below(2) == 0 => {
                    counts.killed_before_saving += 1;
                    return Some(self.leave(random));
                }
                Step::Persist(state) => {
                    counts.savings += 1;
                    self.saved = state.to_bytes();
                    if dies {
                        counts.killed_after_saving += 1;
                        return Some(self.leave(random));
                    }
                    Input::Continue
                }
                Step::Progress(_) => Input::Continue,
                Step::Done(ended) => {
                    let visits = visit.worker.state().visits;
                    counts.most_visits = counts.most_visits.max(visits);
                    let wait = self.leave(random);
                    match ended {
                        Visit::Complete => counts.complete += 1,
                        Visit::Again(_) if visits < MAX_VISITS => return Some(wait),
                        ended => {
                            counts.stopped += 1;
                            let number = self.band.number();
                            eprintln!("band {number}: {}", said(&ended));
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
    fn new(plan: Plan<'j>, saved: &[u8]) -> Self {
        let mut store = SoftKeyStore::new();
        for (id, [enc, mac, dek]) in [(1, &FACTORY_MASTERS), (2, &TSM_MASTERS)] {
            store.insert(id, enc, mac, dek).expect("two key sets have room");
        }
        let state = JobState::from_bytes(saved).expect("the database keeps what it is given");
        Self { worker: Worker::new(plan, state), store, answer: Vec::new(), lost: false, begun: false }
    }
}

fn said(ended: &Visit) -> String {
    match ended {
        Visit::Stopped { goal, fault } => format!("job stopped at goal {goal}: {fault}"),
        _ => format!("job not done after {MAX_VISITS} visits"),
    }
}

fn chance(random: &mut Seeded, part: f64) -> bool {
    (random.below(1 << 32) as f64) < part * f64::from(u32::MAX)
}
