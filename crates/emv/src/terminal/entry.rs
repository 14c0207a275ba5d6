//! The entry point: which application, which kernel. `[EMV-B-B 3]`

use super::outcome::{Fault, FaultKind, Outcome, Place, Verdict};
use super::ppse::{self, Candidate, Candidates};
use super::preprocessing::preprocess;
use super::qpboc::{Kernel, response, select};
use super::{COMMAND_MAX, Combination, Configuration, Input, Memory, Misuse, Step, Transaction};
use huiwan_apdu::Aid;
use huiwan_tlv::Full;

/// A contactless terminal: everything from [`Input::Start`] to [`Step::Done`].
///
/// See [the module](super) for an example.
#[derive(Debug)]
pub struct EntryPoint<'t> {
    configuration: &'t Configuration<'t>,
    kernel: Kernel<'t>,
    candidates: Candidates,
    transaction: Transaction,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    AwaitPpse,
    /// The answer to SELECT of this candidate.
    AwaitSelect(usize),
    /// The kernel works on this candidate, or has finished with it.
    Kernel(usize),
    Finished,
}

impl<'t> EntryPoint<'t> {
    /// A terminal waiting for its first transaction.
    #[must_use]
    pub fn new(configuration: &'t Configuration<'t>, memory: Memory<'t>) -> Self {
        Self {
            configuration,
            kernel: Kernel::new(configuration, memory),
            candidates: Candidates::new(),
            transaction: Transaction::default(),
            state: State::Idle,
        }
    }

    /// Takes what happened, says what to do next. `out` holds the next command, at least [`COMMAND_MAX`] bytes.
    ///
    /// # Errors
    /// [`Misuse`]: a mistake of the caller; nothing changed.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if out.len() < COMMAND_MAX {
            return Err(Misuse::OutTooSmall { needed: COMMAND_MAX });
        }
        match (self.state, input) {
            (_, Input::Start(transaction)) => Ok(self.on_start(transaction, out)),
            (State::AwaitPpse, Input::Response(answer)) => Ok(self.on_ppse(answer, out)),
            (State::AwaitSelect(index), Input::Response(answer)) => Ok(self.on_select(index, answer, out)),
            (State::AwaitPpse, Input::CardLost) => Ok(self.lost(Place::Ppse)),
            (State::AwaitSelect(_), Input::CardLost) => Ok(self.lost(Place::Select)),
            (State::AwaitPpse | State::AwaitSelect(_), Input::SeveralCards) => {
                Ok(self.finish(Outcome::of(Verdict::SeveralCards, None)))
            }
            (State::Kernel(index), input) => self.on_kernel(index, input, out),
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// See [`Kernel::online_data`].
    ///
    /// # Errors
    /// [`Full`] with the size needed.
    pub fn online_data<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        self.kernel.online_data(out)
    }

    /// What the kernel has read from the card.
    #[must_use]
    pub const fn kernel(&self) -> &Kernel<'t> {
        &self.kernel
    }

    fn on_start<'o>(&mut self, transaction: Transaction, out: &'o mut [u8]) -> Step<'o> {
        self.transaction = transaction;
        self.candidates.clear();
        self.kernel.reset();
        let allowed = |combination| preprocess(combination, transaction.amount).is_some();
        if !self.configuration.combinations.iter().any(allowed) {
            let fault = Fault::new(FaultKind::NoApplication, Place::Preprocessing);
            return self.finish(Outcome::of(Verdict::TryAnotherInterface, Some(fault)));
        }
        self.state = State::AwaitPpse;
        Step::Send(select(ppse::NAME, out))
    }

    fn on_ppse<'o>(&mut self, answer: &[u8], out: &'o mut [u8]) -> Step<'o> {
        let found = response(answer).and_then(|fci| self.collect(fci));
        match found {
            Ok(()) => self.select_from(0, FaultKind::NoApplication, Place::Ppse, out),
            Err(kind) => {
                let verdict = self.configuration.rules.no_directory;
                self.finish(Outcome::of(verdict, Some(Fault::new(kind, Place::Ppse))))
            }
        }
    }

    /// The applications in common, best first; equal ones in the order of the card. `[EMV-B-B 3.3.2]`
    fn collect(&mut self, fci: &[u8]) -> Result<(), FaultKind> {
        for entry in ppse::entries(fci)? {
            let entry = entry?;
            let fits = |combination: &&Combination| {
                entry.aid.starts_with(combination.aid.as_bytes()) && entry.allows(combination.kernel)
            };
            let mut fitting = self.configuration.combinations.iter().filter(fits);
            let ttq = fitting.find_map(|combination| preprocess(combination, self.transaction.amount));
            let (Some(ttq), Ok(aid)) = (ttq, Aid::new(entry.aid)) else { continue };
            let candidate = Candidate { aid, rank: entry.rank(), ttq };
            let place = self.candidates.iter().position(|other| other.rank > candidate.rank);
            let place = place.unwrap_or(self.candidates.len());
            self.candidates.insert(place, candidate).map_err(|_| FaultKind::TooMuchData)?;
        }
        Ok(())
    }

    /// Selects candidate `index`; without one the tap is over, for the reason given.
    fn select_from<'o>(
        &mut self,
        index: usize,
        kind: FaultKind,
        place: Place,
        out: &'o mut [u8],
    ) -> Step<'o> {
        let Some(candidate) = self.candidates.get(index) else {
            let verdict = self.configuration.rules.no_application;
            return self.finish(Outcome::of(verdict, Some(Fault::new(kind, place))));
        };
        self.state = State::AwaitSelect(index);
        Step::Send(select(candidate.aid.as_bytes(), out))
    }

    fn on_select<'o>(&mut self, index: usize, answer: &[u8], out: &'o mut [u8]) -> Step<'o> {
        let next = index.saturating_add(1);
        let fci = match response(answer) {
            Ok(fci) => fci,
            Err(kind) => return self.select_from(next, kind, Place::Select, out),
        };
        let Some(&Candidate { aid, ttq, .. }) = self.candidates.get(index) else {
            return self.select_from(next, FaultKind::NoApplication, Place::Select, out);
        };
        self.state = State::Kernel(index);
        match self.kernel.start(&self.transaction, &aid, ttq, fci) {
            Some(outcome) => self.after_kernel(index, outcome, out),
            None => Step::UnpredictableNumber,
        }
    }

    fn on_kernel<'o>(
        &mut self,
        index: usize,
        input: Input<'_>,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        let outcome = match self.kernel.advance(input, out)? {
            super::qpboc::Next::Send(len) => return Ok(Step::Send(out.get(..len).unwrap_or_default())),
            super::qpboc::Next::Done(outcome) => outcome,
        };
        Ok(self.after_kernel(index, outcome, out))
    }

    fn after_kernel<'o>(&mut self, index: usize, outcome: Outcome, out: &'o mut [u8]) -> Step<'o> {
        match (outcome.verdict, outcome.fault) {
            (Verdict::SelectNext, Some(Fault { kind, place })) => {
                self.select_from(index.saturating_add(1), kind, place, out)
            }
            // The kernel keeps its state: a torn tap or an issuer's answer goes on there.
            _ => Step::Done(outcome),
        }
    }

    fn lost(&mut self, place: Place) -> Step<'static> {
        self.finish(Outcome::of(Verdict::TryAgain, Some(Fault::new(FaultKind::CardLost, place))))
    }

    fn finish(&mut self, outcome: Outcome) -> Step<'static> {
        self.state = State::Finished;
        Step::Done(outcome)
    }
}
