//! The top-up machines and the load server behind them.

use std::collections::BTreeMap;

use huiwan_crypto::International;
use huiwan_purse::account::Account;
use huiwan_purse::date::Stamp;
use huiwan_purse::host::SoftLoadKeys;
use huiwan_purse::host::online::{Input, OnlineSession, Outcome, Step};
use huiwan_purse::personalisation::KeyData;
use huiwan_purse::terminal::online::{Online, OnlineOutcome};
use huiwan_purse::terminal::{AID_JTT_978_EP, Device, LoadRequest, Pending, TopUp, TopUpOutcome, drive};
use huiwan_purse::transaction::Transaction;
use huiwan_testkit::rng::Seeded;

use crate::card::{Air, Uid};
use crate::city;

const MACHINE: Device = Device {
    aid: AID_JTT_978_EP,
    terminal: [0x10, 0x00, 0x00, 0x00, 0x00, 0x99],
    key_index: city::KEY_INDEX,
};

/// A load whose answer was lost, as machine and server keep it.
struct Open {
    session: [u8; OnlineSession::LEN],
    pending: [u8; Pending::LEN],
}

impl Open {
    fn restore(&self) -> OnlineSession {
        OnlineSession::from_bytes(&self.session).expect("the server's own form")
    }

    /// One step with its key operation, and the session as it is kept afterwards.
    fn step(
        &self,
        input: Input,
        keys: &mut SoftLoadKeys<International, 2>,
    ) -> (Outcome, [u8; OnlineSession::LEN]) {
        let mut session = self.restore();
        let mut step = session.step(input).expect("an open session takes it");
        if let Step::Key(question) = step {
            step = session.step(Input::Key(question.answer(keys))).expect("it waits for the answer");
        }
        let Step::Done(outcome) = step else { panic!("a card's evidence ended in {step:?}") };
        (outcome, session.to_bytes().expect("MAC2 is out"))
    }
}

/// The load server and its machines.
pub struct Bank {
    pub keys: SoftLoadKeys<International, 2>,
    challenges: Seeded,
    open: BTreeMap<Uid, Vec<Open>>,
    /// What was booked: money that is on a card for sure.
    pub booked: Vec<Transaction>,
    pub counts: Counts,
    /// The load this visit tore, and what became of torn ones, for the witness.
    pub torn: Option<Transaction>,
    pub decided: Vec<(Transaction, bool)>,
}

/// How the loads went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub loads: u32,
    pub torn: u32,
    /// Torn loads that happened: by the card's TAC, by the log and the next counter.
    pub confirmed: u32,
    pub by_counter: u32,
    pub reversed: u32,
}

impl Bank {
    pub fn new(load: &KeyData, tac: &KeyData, seed: u64) -> Self {
        Self {
            keys: SoftLoadKeys::new(city::PROFILE, [load.clone(), tac.clone()]),
            challenges: Seeded::new(seed),
            open: BTreeMap::new(),
            booked: Vec::new(),
            counts: Counts::default(),
            torn: None,
            decided: Vec::new(),
        }
    }

    /// Settles what is open for this card, then loads `amount` fen. Whether the rider is told that it worked.
    pub fn load(&mut self, air: &mut Air<'_>, uid: Uid, amount: u32, now: Stamp) -> bool {
        self.recover(air, uid);
        let (mut session, mut persisted) = (OnlineSession::new(), None);
        let mut engine = TopUp::new(MACHINE, amount);
        let mut approve = |request: &LoadRequest| {
            // The next counter under a right MAC1 tells of the load before; the same counter gets no second approval.
            for open in self.open.remove(&uid).unwrap_or_default() {
                let (outcome, restored) = open.step(Input::Reinit((*request).into()), &mut self.keys);
                match outcome {
                    Outcome::Completed(transaction) => {
                        self.counts.by_counter += 1;
                        self.booked.push(transaction);
                        self.decided.push((transaction, true));
                    }
                    Outcome::Doubtful(_) => {
                        self.open.entry(uid).or_default().push(Open { session: restored, ..open });
                    }
                    other => panic!("an honest card's counter ended in {other:?}"),
                }
            }
            if self.open.contains_key(&uid) {
                return None;
            }
            let Ok(Step::Key(question)) = session.step(Input::Request((*request).into(), now)) else {
                return None;
            };
            match session.step(Input::Key(question.answer(&mut self.keys))) {
                Ok(Step::Approved(approval)) => Some(approval.into()),
                other => panic!("MAC1 of an honest card is right: {other:?}"),
            }
        };
        let outcome = drive::top_up(&mut engine, air, &mut approve, &mut |pending| {
            persisted = Some(pending.to_bytes())
        });
        self.counts.loads += 1;
        match outcome.expect("the driver keeps to the rules") {
            TopUpOutcome::Loaded { tac, .. } => self.confirm(session, tac),
            // Only the card can tell, now or when it comes back.
            _ if session.request().is_some() => {
                let pending = persisted.expect("an engine persists before it credits");
                let doubtful = session.step(Input::TimedOut);
                assert!(matches!(doubtful, Ok(Step::Done(Outcome::Doubtful(_)))));
                self.counts.torn += 1;
                self.torn = Pending::from_bytes(&pending).map(|pending| pending.transaction);
                let session = session.to_bytes().expect("MAC2 is out");
                self.open.entry(uid).or_default().push(Open { session, pending });
                false
            }
            // No MAC2 was made.
            _ => false,
        }
    }

    fn confirm(&mut self, mut session: OnlineSession, tac: [u8; 4]) -> bool {
        let Ok(Step::Key(question)) = session.step(Input::Confirm(tac)) else {
            panic!("an approved load waits for its TAC");
        };
        match session.step(Input::Key(question.answer(&mut self.keys))) {
            Ok(Step::Done(Outcome::Completed(transaction))) => {
                self.booked.push(transaction);
                true
            }
            other => panic!("the TAC of an honest card ended in {other:?}"),
        }
    }

    /// Asks the card for the proof of every load that is open, or for its counter.
    fn recover(&mut self, air: &mut Air<'_>, uid: Uid) {
        for open in self.open.remove(&uid).unwrap_or_default() {
            let pending = Pending::from_bytes(&open.pending).expect("the machine's own record");
            let mut session = open.restore();
            let challenge = self.challenges.bytes();
            assert_eq!(session.step(Input::Challenge(challenge)), Ok(Step::Reinitialise(challenge)));
            let open = Open { session: session.to_bytes().expect("MAC2 is out"), ..open };
            let mut engine = Online::settle(MACHINE, Account::Ep, pending, challenge);
            let shown = drive::online(&mut engine, air, &mut |_| None, &mut |_| None, &mut |_| ());
            match shown.expect("the driver keeps to the rules") {
                OnlineOutcome::Completed { transaction, proof } => {
                    self.counts.confirmed += 1;
                    self.decided.push((transaction, true));
                    self.confirm(session, proof);
                }
                OnlineOutcome::Reinitialised(request) => {
                    let (outcome, _) = open.step(Input::Reinit(request), &mut self.keys);
                    match outcome {
                        Outcome::Reversed(transaction) => {
                            self.counts.reversed += 1;
                            self.decided.push((transaction, false));
                        }
                        Outcome::Completed(transaction) => {
                            self.counts.by_counter += 1;
                            self.booked.push(transaction);
                            self.decided.push((transaction, true));
                        }
                        other => panic!("an honest card's counter ended in {other:?}"),
                    }
                }
                // Torn again.
                OnlineOutcome::Failed(_) => self.open.entry(uid).or_default().push(open),
                other => panic!("an honest card's recovery ended in {other:?}"),
            }
        }
    }

    /// Cards whose torn loads are still open.
    pub fn open(&self) -> Vec<Uid> {
        self.open.keys().copied().collect()
    }
}
