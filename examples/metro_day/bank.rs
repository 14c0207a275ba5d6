//! The top-up machines and the load server behind them.

use std::collections::BTreeMap;

use huiwan_crypto::International;
use huiwan_purse::date::Stamp;
use huiwan_purse::host::SoftLoadKeys;
use huiwan_purse::host::load::{Input, LoadSession, Outcome, Step};
use huiwan_purse::personalisation::KeyData;
use huiwan_purse::psam::SoftSam;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, Device, LoadRequest, Pending, Recovered, Recovery, TopUp, TopUpOutcome, drive,
};
use huiwan_purse::transaction::Transaction;

use crate::card::{Air, Uid};
use crate::city;

const MACHINE: Device = Device {
    aid: AID_JTT_978_EP,
    terminal: [0x10, 0x00, 0x00, 0x00, 0x00, 0x99],
    key_index: city::KEY_INDEX,
};

/// A load whose answer was lost, as machine and server keep it.
struct Open {
    session: [u8; LoadSession::LEN],
    pending: [u8; Pending::LEN],
}

/// The load server and its machines.
pub struct Bank {
    pub keys: SoftLoadKeys<International, 2>,
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
    pub fn new(load: &KeyData, tac: &KeyData) -> Self {
        Self {
            keys: SoftLoadKeys::new(city::PROFILE, [load.clone(), tac.clone()]),
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
        let (mut session, mut persisted) = (LoadSession::new(), None);
        let mut engine = TopUp::new(MACHINE, amount);
        let mut approve = |request: &LoadRequest| {
            let Ok(Step::Key(question)) = session.step(Input::Request(*request, now)) else { return None };
            let Ok(Step::Approved(approval)) = session.step(Input::Key(question.answer(&mut self.keys)))
            else {
                panic!("MAC1 of an honest card is right");
            };
            // The counter under a right MAC1 tells of every load before.
            for open in self.open.remove(&uid).unwrap_or_default() {
                let mut session = LoadSession::from_bytes(&open.session).expect("the server's own form");
                let transaction =
                    Pending::from_bytes(&open.pending).expect("the machine's own record").transaction;
                let happened = request.init.online_seq != transaction.seq;
                if happened {
                    self.counts.by_counter += 1;
                    self.booked.push(transaction);
                } else {
                    self.counts.reversed += 1;
                    let reversed = session.step(Input::NotLoaded);
                    assert_eq!(reversed, Ok(Step::Done(Outcome::Reversed(transaction))));
                }
                self.decided.push((transaction, happened));
            }
            Some(approval)
        };
        let outcome = drive::top_up(&mut engine, air, &mut approve, &mut |pending| {
            persisted = Some(pending.to_bytes())
        });
        self.counts.loads += 1;
        match outcome.expect("the driver keeps to the rules") {
            TopUpOutcome::Loaded { tac, .. } => self.confirm(session, tac),
            TopUpOutcome::Uncertain(_) => {
                let pending = persisted.expect("an engine persists before it credits");
                let doubtful = session.step(Input::TimedOut);
                assert!(matches!(doubtful, Ok(Step::Done(Outcome::Doubtful(_)))));
                self.counts.torn += 1;
                self.torn = Pending::from_bytes(&pending).map(|pending| pending.transaction);
                let session = session.to_bytes().expect("MAC2 is out");
                self.open.entry(uid).or_default().push(Open { session, pending });
                false
            }
            _ => {
                // Nothing reached the card. If MAC2 was made, the money goes back.
                let _ = session.step(Input::NotLoaded);
                false
            }
        }
    }

    fn confirm(&mut self, mut session: LoadSession, tac: [u8; 4]) -> bool {
        let Ok(Step::Key(question)) = session.step(Input::Confirm(tac)) else {
            panic!("an approved load waits for its TAC");
        };
        match session.step(Input::Key(question.answer(&mut self.keys))) {
            Ok(Step::Done(Outcome::Loaded(transaction))) => {
                self.booked.push(transaction);
                true
            }
            other => panic!("the TAC of an honest card ended in {other:?}"),
        }
    }

    /// Asks the card for the proof of every load that is open.
    fn recover(&mut self, air: &mut Air<'_>, uid: Uid) {
        for open in self.open.remove(&uid).unwrap_or_default() {
            let pending = Pending::from_bytes(&open.pending).expect("the machine's own record");
            let mut session = LoadSession::from_bytes(&open.session).expect("the server's own form");
            let mut engine = Recovery::new(AID_JTT_978_EP, pending);
            // A load's recovery asks no PSAM.
            let mut none = SoftSam::<International, 0>::new(&city::PROFILE, MACHINE.terminal, 1, [], 0);
            match drive::recover(&mut engine, air, &mut none).expect("the driver keeps to the rules") {
                Recovered::Paid(receipt) if receipt.tac.is_some() => {
                    self.counts.confirmed += 1;
                    self.decided.push((receipt.transaction, true));
                    self.confirm(session, receipt.tac.unwrap_or_default());
                }
                Recovered::NotPaid => {
                    self.counts.reversed += 1;
                    self.decided.push((pending.transaction, false));
                    let reversed = session.step(Input::NotLoaded);
                    assert_eq!(reversed, Ok(Step::Done(Outcome::Reversed(pending.transaction))));
                }
                // Only a log says so, or nothing does (now): the counter of the next load tells.
                Recovered::Paid(_) | Recovered::Unknown(_) => self.open.entry(uid).or_default().push(open),
                other => panic!("an honest card's recovery ended in {other:?}"),
            }
        }
    }

    /// Cards whose torn loads are still open.
    pub fn open(&self) -> Vec<Uid> {
        self.open.keys().copied().collect()
    }
}
