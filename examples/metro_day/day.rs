//! The day: riders at random, each doing what a rider does next.

use huiwan_purse::personalisation::KeyData;
use huiwan_purse::terminal::Refusal;
use huiwan_purse::transaction::Transaction;
use huiwan_testkit::rng::Seeded;

use crate::arguments::Arguments;
use crate::bank::Bank;
use crate::card::{Applications, Card, Tear};
use crate::city;
use crate::gate::{Act, Gate, Kind, Sees};
use crate::ledger::{Event, Ledger};

/// The line opens, in seconds after midnight, and has so many seconds until it closes.
const OPENS: u32 = 5 * 3600 + 1800;
const OPEN_FOR: u32 = 18 * 3600;

/// Below this the rider goes to a machine first, fen.
const LOW: u32 = 1500;

/// Where a rider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Outside,
    Inside { station: u8 },
    Aboard { bus: usize, stop: u8 },
}

struct Rider {
    card: Card,
    at: At,
    /// The balance a display showed last, fen.
    shown: u32,
}

/// How the taps went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub taps: u32,
    pub paid: u32,
    pub refused: u32,
    /// The rider was asked to hold the card again.
    pub again: u32,
    /// Taps that were torn on purpose.
    pub tears: u32,
}

/// Everything there is.
pub struct Day {
    arguments: Arguments,
    applications: Applications,
    random: Seeded,
    riders: Vec<Rider>,
    pub gates: Vec<Gate>,
    pub bank: Bank,
    pub ledger: Ledger,
    pub counts: Counts,
    stations: u8,
}

impl Day {
    /// The evening before: keys, gates, and a blank card personalised for every rider.
    pub fn prepare(arguments: Arguments) -> Self {
        let mut random = Seeded::new(arguments.seed);
        let masters = city::masters(&mut random);
        let [purchase, load, tac, _] = &masters;
        let (gates, stations) = build(arguments.gates, purchase);
        let (applications, mut ledger) = (Applications::new(), Ledger::default());
        let riders = (0..arguments.riders)
            .map(|n| {
                ledger.issue(0);
                let card = Card::issue(n, &masters, &applications, &mut random);
                Rider { card, at: At::Outside, shown: 0 }
            })
            .collect();
        let (bank, counts) = (Bank::new(load, tac, arguments.seed), Counts::default());
        Self { arguments, applications, random, riders, gates, bank, ledger, counts, stations }
    }

    /// The day, until the line closes.
    pub fn run(&mut self) {
        while self.counts.taps < self.arguments.taps {
            let rider = usize::try_from(self.random.below(u64::from(self.arguments.riders))).expect("small");
            self.next(rider);
        }
    }

    /// Before the night, staff bring every card with an open tap or load back to where it was torn.
    pub fn clear_up(&mut self) {
        for n in 0..self.gates.len() {
            for uid in self.gates[n].open() {
                let now = city::stamp(OPENS + OPEN_FOR + 1800);
                let card = &mut self.riders[uid as usize].card;
                let mut air = card.enter_field(&self.applications, &mut self.random, None);
                self.gates[n].recover(&mut air, uid, now);
                drop(air);
                card.rest(None);
                self.book_gate(n);
            }
        }
        for uid in self.bank.open() {
            let rider = uid as usize;
            self.load(rider, 1, None);
        }
    }

    /// Every card's balance and counter, in the order of the riders.
    pub fn close(&mut self) -> crate::ledger::Balance {
        let Self { riders, applications, random, ledger, .. } = self;
        ledger.close(riders.iter_mut().map(|rider| rider.card.inspect(applications, random)))
    }

    fn chance(&mut self, part: f64) -> bool {
        (self.random.below(1_000_000) as f64) < part * 1e6
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.random.below(of.len() as u64)).expect("small")]
    }

    /// Seconds after midnight: the taps are spread over the day, at most four seconds apart.
    fn now(&self) -> u32 {
        let step = (f64::from(OPEN_FOR) / f64::from(self.arguments.taps)).min(4.0);
        OPENS + (f64::from(self.counts.taps) * step) as u32
    }

    /// What this rider does next.
    fn next(&mut self, rider: usize) {
        if self.riders[rider].shown < LOW {
            self.top_up(rider);
        }
        let at = self.riders[rider].at;
        let (act, gates) = match at {
            At::Outside if self.chance(0.7) => {
                let station = self.station();
                (Act::Enter, self.gates_of(|kind| kind == Kind::Entry { station }))
            }
            At::Outside => {
                let bus = self.gates_of(|kind| matches!(kind, Kind::Flat | Kind::Distance));
                let bus = self.pick(&bus);
                let stop = u8::try_from(self.random.below(u64::from(city::STOPS))).expect("a stop");
                match self.gates[bus].kind {
                    Kind::Flat => (Act::Ride, vec![bus]),
                    _ => (Act::Board { stop }, vec![bus]),
                }
            }
            At::Inside { .. } => {
                let station = self.station();
                (Act::Leave, self.gates_of(|kind| kind == Kind::Exit { station }))
            }
            // Some forget to hold the card when they get off.
            At::Aboard { .. } if self.chance(0.04) => {
                self.riders[rider].at = At::Outside;
                return;
            }
            At::Aboard { bus, stop } => {
                let stop = (stop + 1 + u8::try_from(self.random.below(6)).expect("small")) % city::STOPS;
                (Act::Alight { stop }, vec![bus])
            }
        };
        let gate = self.pick(&gates);
        if self.visit(rider, gate, &gates, act)
            && self.chance(0.015)
            && matches!(act, Act::Enter | Act::Leave)
        {
            // Held to the same gate twice.
            self.present(rider, gate, act);
        }
    }

    /// Holds the card to a gate until it opens or the rider gives up.
    fn visit(&mut self, rider: usize, mut gate: usize, gates: &[usize], act: Act) -> bool {
        for _ in 0..6 {
            match self.present(rider, gate, act) {
                Sees::Open { .. } => {
                    self.riders[rider].at = match (act, self.gates[gate].kind) {
                        (Act::Enter, Kind::Entry { station }) => At::Inside { station },
                        (Act::Board { stop }, _) => At::Aboard { bus: gate, stop },
                        _ => At::Outside,
                    };
                    return true;
                }
                Sees::Refused(Refusal::InsufficientBalance { .. }) => self.top_up(rider),
                Sees::Refused(_) => {
                    // The desk sees on the card that the rider has left or alighted already.
                    self.riders[rider].at = At::Outside;
                    return false;
                }
                Sees::Again if self.chance(0.85) => {}
                Sees::Again if self.chance(0.67) => gate = self.pick(gates),
                Sees::Again => return false,
            }
        }
        false
    }

    /// One tap.
    fn present(&mut self, rider: usize, gate: usize, act: Act) -> Sees {
        let tear = self.chance(self.arguments.tear_rate).then(|| Tear::random(&mut self.random, 8));
        let now = city::stamp(self.now());
        self.counts.taps += 1;
        self.counts.tears += u32::from(tear.is_some());
        let Rider { card, .. } = &mut self.riders[rider];
        let before = tear.map(|_| card.inspect(&self.applications, &mut self.random));
        let uid = card.uid;
        let mut air = card.enter_field(&self.applications, &mut self.random, tear);
        let seen = self.gates[gate].present(&mut air, uid, act, now);
        drop(air);
        card.rest(tear.and_then(Tear::in_collection));
        if let Some(transaction) = self.gates[gate].torn.take() {
            let after = card.inspect(&self.applications, &mut self.random);
            let happened = before.is_some_and(|(_, counter)| counter != after.1);
            self.ledger.tear(event(&transaction), happened);
        }
        self.book_gate(gate);
        match seen {
            Sees::Open { left, .. } => {
                self.counts.paid += 1;
                self.riders[rider].shown = left;
            }
            Sees::Refused(_) => self.counts.refused += 1,
            Sees::Again => self.counts.again += 1,
        }
        seen
    }

    /// What a gate found out about torn taps goes to the witness.
    fn book_gate(&mut self, gate: usize) {
        for (transaction, paid) in self.gates[gate].decided.drain(..) {
            self.ledger.decide(event(&transaction), paid);
        }
    }

    /// To a machine, three times at most.
    fn top_up(&mut self, rider: usize) {
        let amount = self.pick(&[3000, 5000, 10_000]);
        for _ in 0..3 {
            let tear = self.chance(self.arguments.tear_rate * 2.0).then(|| Tear::random(&mut self.random, 4));
            if self.load(rider, amount, tear) {
                break;
            }
        }
        self.riders[rider].shown = u32::MAX;
    }

    fn load(&mut self, rider: usize, amount: u32, tear: Option<Tear>) -> bool {
        let now = city::stamp(self.now());
        let card = &mut self.riders[rider].card;
        let before = tear.map(|_| card.inspect(&self.applications, &mut self.random));
        let uid = card.uid;
        let mut air = card.enter_field(&self.applications, &mut self.random, tear);
        let loaded = self.bank.load(&mut air, uid, amount, now);
        drop(air);
        card.rest(tear.and_then(Tear::in_collection));
        if let Some(transaction) = self.bank.torn.take() {
            let after = card.inspect(&self.applications, &mut self.random);
            let happened = before.is_some_and(|(balance, _)| balance != after.0);
            self.ledger.tear(event(&transaction), happened);
        }
        for (transaction, happened) in self.bank.decided.drain(..) {
            self.ledger.decide(event(&transaction), happened);
        }
        for transaction in self.bank.booked.drain(..) {
            self.ledger.load(Card::rider(&transaction.card), transaction.amount);
        }
        loaded
    }

    fn station(&mut self) -> u8 {
        u8::try_from(self.random.below(u64::from(self.stations))).expect("a station")
    }

    fn gates_of(&self, which: impl Fn(Kind) -> bool) -> Vec<usize> {
        (0..self.gates.len()).filter(|n| which(self.gates[*n].kind)).collect()
    }
}

/// What names a transaction in the ledger.
pub fn event(transaction: &Transaction) -> Event {
    let Transaction { card, seq, terminal, terminal_seq, .. } = transaction;
    (Card::rider(card), *seq, *terminal, *terminal_seq)
}

/// A fifth of the gates are in buses, half of those with one fare; the rest are entries and exits of up to 24 stations.
fn build(gates: u16, purchase: &KeyData) -> (Vec<Gate>, u8) {
    let buses = (gates / 5).max(1);
    let metro = (gates - buses) / 2 * 2;
    let stations = u8::try_from((metro / 4).clamp(1, 24)).expect("few");
    let kind = |n: u16| {
        let station = u8::try_from(n / 2 % u16::from(stations)).expect("a station");
        match n {
            _ if n >= metro && n.is_multiple_of(2) => Kind::Distance,
            _ if n >= metro => Kind::Flat,
            _ if n.is_multiple_of(2) => Kind::Entry { station },
            _ => Kind::Exit { station },
        }
    };
    ((0..gates).map(|n| Gate::new(n + 1, kind(n), purchase)).collect(), stations)
}
