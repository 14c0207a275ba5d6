//! A ledger against random days of a card: purchases, trips, loads, wrong MACs, wrong order, tears anywhere, and
//! recoveries at once or later.
//!
//! - Money on the card + money collected − money loaded is what the card was issued with.
//! - A terminal never believes paid when the card did not debit, nor the reverse, after recovery.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_card::{Cut, Memory, ObjectId};
use huiwan_purse::date::Stamp;
use huiwan_purse::host::LoadKeys;
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::Sam;
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::metro::{self, Incomplete};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, LoadApproval, LoadRequest, Outcome, Pending, Policy, Receipt, Recovered, Recovery,
    Refusal, Service, Tap, TopUp, TopUpOutcome,
};
use proptest::prelude::*;
use world::by_hand::{bytes, secured};
use world::script::{Flash, Memories};
use world::{Band, DEVICE, ENTRY, EXIT, FULL_PURSE, Notes, PURSE, Tear, TearHow, groupings};

#[derive(Debug, Clone)]
enum Act {
    Enter,
    Leave { fare: u16 },
    Buy { amount: u16 },
    Load { amount: u16 },
    Raw { command: usize },
    Unblock,
    Recover,
}

#[derive(Debug, Clone)]
struct Event {
    act: Act,
    tear: Option<(usize, TearHow)>,
    /// Recover in the same moment, or leave it for a `Recover` later.
    recover: bool,
}

/// What a confused or hostile terminal sends.
const RAW: [&str; 8] = [
    "805401000F00010203202611221417400000000008",
    "805200000B202611221417400000000004",
    "805001020B010000000130008900034 00F",
    "80DC00F00106",
    "805003020B0100000000300089000340 0F",
    "84180000040000000 0",
    "805A0009020000 08",
    "00A4040008A00000063201010500",
];

fn event() -> impl Strategy<Value = Event> {
    let act = prop_oneof![
        4 => Just(Act::Enter),
        4 => (0_u16..2000).prop_map(|fare| Act::Leave { fare }),
        4 => (0_u16..3000).prop_map(|amount| Act::Buy { amount }),
        2 => (0_u16..60_000).prop_map(|amount| Act::Load { amount }),
        3 => (0..RAW.len()).prop_map(|command| Act::Raw { command }),
        1 => Just(Act::Unblock),
        2 => Just(Act::Recover),
    ];
    let how = prop_oneof![
        Just(TearHow::Unheard),
        // In the commit of a debit, anywhere.
        (0_u32..4, proptest::sample::select(&Cut::ALL[..])).prop_map(|(n, cut)| TearHow::InFlash(n, cut)),
        Just(TearHow::Unanswered)
    ];
    (act, proptest::option::of((0_usize..8, how)), any::<bool>()).prop_map(|(act, tear, recover)| Event {
        act,
        tear,
        recover,
    })
}

struct World {
    band: Band<Memories>,
    /// Two gates, so that a PSAM may have moved on before a recovery.
    sams: [Box<dyn Sam>; 2],
    clock: u8,
    collected: u64,
    loaded: u64,
    open: Vec<Open>,
}

struct Open {
    pending: Pending,
    gate: usize,
    /// What the card really did, seen through its memory.
    happened: bool,
    /// Transactions since.
    later: u32,
}

/// [`world::issued`] on a journal in flash.
fn issued_in_flash() -> Band<Memories> {
    let memory = FLASH.with(|flash| Memories::mount(flash.clone()).unwrap());
    let mut band = Band::blank(memory, world::modules(Profile::JTT_978), world::kept_entries());
    band.tracing = false;
    band
}

thread_local! {
    static FLASH: Flash = {
        let memory = Memories::format(Flash::erased()).unwrap();
        let mut band = Band::blank(memory, world::modules(Profile::JTT_978), world::kept_entries());
        assert_eq!(band.issue(FULL_PURSE), groupings(FULL_PURSE).len() + 1, "{:?}", band.trace.last());
        band.remove().into_flash()
    };
}

impl World {
    fn new() -> Self {
        Self {
            band: issued_in_flash(),
            sams: [Box::new(world::sam(100)), Box::new(world::sam(0xFFFF_FFF0))],
            clock: 0,
            collected: 0,
            loaded: 0,
            open: Vec::new(),
        }
    }

    fn purse(&mut self) -> (u32, u16, u16) {
        let mut raw = [0; 8];
        self.band.memory().read(ObjectId::new(PURSE, 2), 0, &mut raw).unwrap();
        let balance = u32::from_be_bytes(raw[..4].try_into().unwrap());
        (balance, u16::from_be_bytes([raw[4], raw[5]]), u16::from_be_bytes([raw[6], raw[7]]))
    }

    fn stamp(&mut self) -> Stamp {
        self.clock += 1;
        Stamp { date: [0x20, 0x26, 0x11, 0x22], time: [0x10, self.clock / 60, self.clock % 60] }
    }

    fn tap<V: Service>(&mut self, gate: usize, service: &V, fare: u32, recover: bool) {
        let (before, _, seq) = self.purse();
        let policy = Policy::default();
        let stamp = self.stamp();
        let mut tap = Tap::new(DEVICE, &policy, service, stamp);
        let mut notes = Notes { fare, ..Notes::default() };
        let outcome = drive::tap(&mut tap, &mut self.band, &mut *self.sams[gate], &mut notes).unwrap();
        self.band.retap();
        let (after, _, seq_after) = self.purse();
        let debited = seq_after != seq;
        if debited {
            self.open.iter_mut().for_each(|open| open.later += 1);
        }
        match outcome {
            Outcome::Paid(receipt) => {
                assert!(debited, "paid without a debit");
                self.collect(&receipt, before - after);
            }
            Outcome::Uncertain(pending) => {
                assert_eq!(notes.pending, Some(pending));
                self.open.push(Open { pending, gate, happened: debited, later: 0 });
                if recover {
                    self.recover_all();
                }
            }
            Outcome::Refused(_) | Outcome::Failed(_) => {
                assert_eq!((after, seq_after), (before, seq), "charged and not collected: {outcome:?}");
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    fn collect(&mut self, receipt: &Receipt, amount: u32) {
        assert_eq!(receipt.transaction.amount, amount);
        self.collected += u64::from(receipt.transaction.amount);
        if let Some(tac) = receipt.tac {
            world::load_keys().verify_tac(&receipt.transaction, &tac).unwrap();
        }
    }

    fn load(&mut self, amount: u32, recover: bool) {
        let (_, seq, _) = self.purse();
        let stamp = self.stamp();
        let mut keys = world::load_keys();
        let mut host = |request: &LoadRequest| {
            keys.approve_load(request, stamp).ok().map(|mac2| LoadApproval { stamp, mac2 })
        };
        let mut engine = TopUp::new(DEVICE, amount);
        let outcome = drive::top_up(&mut engine, &mut self.band, &mut host, &mut |_| {}).unwrap();
        self.band.retap();
        let loaded = self.purse().1 != seq;
        if loaded {
            self.open.iter_mut().for_each(|open| open.later += 1);
        }
        match outcome {
            TopUpOutcome::Loaded { transaction, tac } => {
                assert!(loaded);
                world::load_keys().verify_tac(&transaction, &tac).unwrap();
                self.loaded += u64::from(transaction.amount);
            }
            TopUpOutcome::Uncertain(pending) => {
                self.open.push(Open { pending, gate: 0, happened: loaded, later: 0 });
                if recover {
                    self.recover_all();
                }
            }
            outcome => assert!(!loaded, "loaded and not booked: {outcome:?}"),
        }
    }

    /// Each open transaction is settled by what the card says.
    fn recover_all(&mut self) {
        for open in core::mem::take(&mut self.open) {
            self.band.retap();
            let mut recovery = Recovery::new(AID_JTT_978_EP, open.pending);
            let recovered =
                drive::recover(&mut recovery, &mut self.band, &mut *self.sams[open.gate]).unwrap();
            let transaction = open.pending.transaction;
            match recovered {
                Recovered::Paid(receipt) => {
                    assert!(open.happened, "believed paid: {transaction:?}");
                    if let Some(tac) = receipt.tac {
                        world::load_keys().verify_tac(&transaction, &tac).unwrap();
                    }
                    self.settle(&open);
                }
                Recovered::NotPaid => assert!(!open.happened, "believed not paid: {transaction:?}"),
                // A locked card does not show its counter; later it will.
                Recovered::Unknown(None) if self.is_locked() => self.open.push(open),
                Recovered::Unknown(None) => {
                    assert!(open.later >= 10, "unknown after {} later transactions", open.later);
                    // The back office decides; here, the truth.
                    if open.happened {
                        self.settle(&open);
                    }
                }
                recovered => panic!("{recovered:?}"),
            }
        }
        self.band.retap();
    }

    fn is_locked(&mut self) -> bool {
        let select = self.band.send(&bytes("00A4040008A00000063201010500"));
        select[select.len() - 2..] == [0x62, 0x83]
    }

    fn unblock(&mut self) {
        if self.is_locked() {
            let unblock = secured(&mut self.band, "84180000", "");
            self.band.expect(&unblock, "9000");
        }
    }

    fn settle(&mut self, open: &Open) {
        let amount = u64::from(open.pending.transaction.amount);
        if open.pending.transaction.tti.is_offline() {
            self.collected += amount;
        } else {
            self.loaded += amount;
        }
    }

    fn run(&mut self, n: usize, event: &Event) {
        self.band.retap();
        self.band.tear = event.tear.map(|(command, how)| Tear { command, how });
        let gate = n % 2;
        match event.act {
            Act::Enter => {
                let entry = metro::Entry { incomplete: Incomplete::Charge(metro::Owed::Ask), ..ENTRY };
                self.tap(gate, &entry, 300, event.recover);
            }
            Act::Leave { fare } => self.tap(gate, &EXIT, fare.into(), event.recover),
            Act::Buy { amount } => self.tap(gate, &Purchase { amount: amount.into() }, 0, event.recover),
            Act::Load { amount } => self.load(amount.into(), event.recover),
            Act::Raw { command } => {
                let before = self.purse();
                self.band.tear = None;
                self.band.exchange(&bytes("00A4040008A00000063201010500"));
                self.band.exchange(&bytes(RAW[command]));
                self.band.exchange(&bytes(RAW[0]));
                self.band.exchange(&bytes(RAW[1]));
                self.band.retap();
                assert_eq!(self.purse(), before, "moved by {}", RAW[command]);
            }
            Act::Unblock => {
                self.band.tear = None;
                self.unblock();
            }
            Act::Recover => {
                self.band.tear = None;
                self.recover_all();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn a_day_balances(events in proptest::collection::vec(event(), 1..25)) {
        let mut world = World::new();
        for (n, event) in events.iter().enumerate() {
            world.run(n, event);
        }
        world.band.tear = None;
        world.band.retap();
        world.unblock();
        world.recover_all();
        prop_assert_eq!(world.open.len(), 0);
        let (balance, ..) = world.purse();
        prop_assert_eq!(
            u64::from(balance) + world.collected - world.loaded,
            u64::from(FULL_PURSE.balance)
        );
    }
}

#[test]
fn the_days_reach_what_they_are_meant_to_reach() {
    // A fixed day through every branch: torn and recovered later by another gate's PSAM, locked and unblocked.
    let mut world = World::new();
    let torn = |act: Act, command, how| Event { act, tear: Some((command, how)), recover: false };
    let plain = |act: Act| Event { act, tear: None, recover: true };
    world.run(0, &torn(Act::Enter, 5, TearHow::Unanswered));
    assert_eq!(world.open.len(), 1);
    world.run(2, &plain(Act::Buy { amount: 10 }));
    world.run(1, &torn(Act::Load { amount: 500 }, 2, TearHow::Unanswered));
    assert_eq!(world.open.len(), 2);
    for _ in 0..3 {
        // WRONG MACs lock the card; what is open is recovered all the same.
        world.run(0, &plain(Act::Raw { command: 2 }));
    }
    let policy = Policy::default();
    let service = Purchase { amount: 1 };
    let mut tap = Tap::new(DEVICE, &policy, &service, Stamp { date: [0x20, 0x26, 1, 1], time: [0; 3] });
    let outcome = drive::tap(&mut tap, &mut world.band, &mut *world.sams[0], &mut Notes::default()).unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal::Locked));
    world.run(0, &plain(Act::Recover));
    assert_eq!((world.collected, world.loaded, world.open.len()), (10, 500, 0));
    world.run(0, &plain(Act::Unblock));
    world.run(0, &plain(Act::Leave { fare: 250 }));
    assert_eq!((world.collected, world.purse().0), (260, 5000 - 260 + 500));
    let object = world::PURSE;
    assert!(world.band.memory().len(ObjectId::new(object, 7)).unwrap().is_some());
}
