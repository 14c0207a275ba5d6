//! Blocking drivers: an engine run to its end over a transport, a PSAM and a few callbacks. For simple devices, examples
//! and tests; whoever wants to overlap card and PSAM calls the engines' `step`.

use super::lock::{Lock, LockStep, Locked};
use super::online::{Online, OnlineOutcome, OnlineStep, Pin};
use super::service::CardView;
use super::{
    COMMAND_LEN, Input, Inquiry, InquiryOutcome, InquiryStep, LoadApproval, LoadRequest, Misuse, Outcome,
    Pending, Receipt, Recovered, Recovery, RecoveryStep, Service, Step, Tap, TopUp, TopUpOutcome, TopUpStep,
};
use crate::online::{OnlineApproval, OnlineRequest};
use crate::psam::Sam;

/// The way to a card.
pub trait Transport {
    /// The card's answer, data ‖ SW; `None` if the card has left.
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]>;
}

/// What the device around a tap does.
pub trait Gate {
    /// The fare of this card, fen.
    fn fare(&mut self, card: &CardView) -> u32;
    /// Keeps the pending transaction.
    fn persist(&mut self, pending: &Pending);
    /// The card has paid: opens.
    fn open(&mut self, receipt: &Receipt);
}

fn input(answer: Option<&[u8]>) -> Input<'_> {
    answer.map_or(Input::CardLost, Input::Response)
}

/// Runs one tap.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn tap<V: Service>(
    engine: &mut Tap<'_, V>,
    card: &mut dyn Transport,
    sam: &mut dyn Sam,
    gate: &mut dyn Gate,
) -> Result<Outcome, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut answer = None;
    let mut next = Input::Start;
    loop {
        next = match engine.step(next, &mut out)? {
            Step::Send(command) => input(card.exchange(command)),
            Step::SendAndKey(command, request) => {
                answer = Some(sam.answer(&request));
                input(card.exchange(command))
            }
            Step::Key(request) => Input::Key(sam.answer(&request)),
            Step::Wait => match answer.take() {
                Some(answer) => Input::Key(answer),
                None => return Err(Misuse::UnexpectedInput),
            },
            Step::Fare => match engine.card() {
                Some(card) => Input::Fare(gate.fare(card)),
                None => return Err(Misuse::UnexpectedInput),
            },
            Step::Persist(pending) => {
                gate.persist(&pending);
                Input::Proceed
            }
            Step::Accepted(receipt) => {
                gate.open(&receipt);
                Input::Proceed
            }
            Step::Done(outcome) => return Ok(outcome),
        };
    }
}

/// Runs one recovery.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn recover(
    engine: &mut Recovery,
    card: &mut dyn Transport,
    sam: &mut dyn Sam,
) -> Result<Recovered, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut next = Input::Start;
    loop {
        next = match engine.step(next, &mut out)? {
            RecoveryStep::Send(command) => input(card.exchange(command)),
            RecoveryStep::Key(request) => Input::Key(sam.answer(&request)),
            RecoveryStep::Done(recovered) => return Ok(recovered),
        };
    }
}

/// Runs one top-up; `host` approves or declines, `persist` keeps the pending transaction.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn top_up(
    engine: &mut TopUp,
    card: &mut dyn Transport,
    host: &mut dyn FnMut(&LoadRequest) -> Option<LoadApproval>,
    persist: &mut dyn FnMut(&Pending),
) -> Result<TopUpOutcome, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut next = Input::Start;
    loop {
        let mut step = engine.step(next, &mut out)?;
        if let TopUpStep::Host(request) = step {
            step = engine.on_host(host(&request))?;
        }
        next = match step {
            TopUpStep::Send(command) => input(card.exchange(command)),
            TopUpStep::Persist(pending) => {
                persist(&pending);
                Input::Proceed
            }
            TopUpStep::Done(outcome) => return Ok(outcome),
            TopUpStep::Host(_) => return Err(Misuse::UnexpectedInput),
        };
    }
}

/// Runs one transaction with the host, or settles one; `pin` asks for the PIN (given the tries left after a wrong one),
/// `host` approves or declines, `persist` keeps the pending transaction.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn online(
    engine: &mut Online,
    card: &mut dyn Transport,
    pin: &mut dyn FnMut(Option<u8>) -> Option<Pin>,
    host: &mut dyn FnMut(&OnlineRequest) -> Option<OnlineApproval>,
    persist: &mut dyn FnMut(&Pending),
) -> Result<OnlineOutcome, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut next = Input::Start;
    loop {
        let mut step = engine.step(next, &mut out)?;
        if let OnlineStep::AskPin { tries } = step {
            step = engine.on_pin(pin(tries).as_ref(), &mut out)?;
        }
        if let OnlineStep::Host(request) = step {
            step = engine.on_host(host(&request))?;
        }
        next = match step {
            OnlineStep::Send(command) => input(card.exchange(command)),
            OnlineStep::Persist(pending) => {
                persist(&pending);
                Input::Proceed
            }
            OnlineStep::Done(outcome) => return Ok(outcome),
            OnlineStep::AskPin { .. } | OnlineStep::Host(_) => return Err(Misuse::UnexpectedInput),
        };
    }
}

/// Runs one lock; `persist` keeps the pending debit of a drain.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn lock(
    engine: &mut Lock<'_>,
    card: &mut dyn Transport,
    sam: &mut dyn Sam,
    persist: &mut dyn FnMut(&Pending),
) -> Result<Locked, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut answer = None;
    let mut next = Input::Start;
    loop {
        next = match engine.step(next, &mut out)? {
            LockStep::Send(command) => input(card.exchange(command)),
            LockStep::SendAndKey(command, request) => {
                answer = Some(sam.answer(&request));
                input(card.exchange(command))
            }
            LockStep::Key(request) => Input::Key(sam.answer(&request)),
            LockStep::Wait => match answer.take() {
                Some(answer) => Input::Key(answer),
                None => return Err(Misuse::UnexpectedInput),
            },
            LockStep::Persist(pending) => {
                persist(&pending);
                Input::Proceed
            }
            LockStep::Done(locked) => return Ok(locked),
        };
    }
}

/// Runs one inquiry.
///
/// # Errors
/// None in fact: the driver uses the engine as it wants to be used.
pub fn inquire(engine: &mut Inquiry, card: &mut dyn Transport) -> Result<InquiryOutcome, Misuse> {
    let mut out = [0; COMMAND_LEN];
    let mut next = Input::Start;
    loop {
        next = match engine.step(next, &mut out)? {
            InquiryStep::Send(command) => input(card.exchange(command)),
            InquiryStep::Done(outcome) => return Ok(outcome),
        };
    }
}
