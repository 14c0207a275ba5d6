//! Torn taps: what a card that left may have done, and how to find out. (correction 8)
//!
//! Plain e-cash has no transaction proof: the debit lands with the last record. A terminal that lost that answer selects
//! the application again, sees by the counter (9F36) that the card still stands where it left it, and reads the same
//! records again; the card's signature over the first tap's number proves that it is the same card and the same payment.

use super::card_data::Mark;
use super::records::Record;
use super::{Kernel, Next, State, response, select, tags};
use crate::cryptogram::Cryptogram;
use crate::terminal::{Fault, FaultKind, Outcome, Place, Verdict};
use huiwan_apdu::{Command, Ne};
use huiwan_tlv::{Rules, find};

impl Kernel<'_> {
    /// A tap that loses its last record is torn: the card may have booked the debit. (correction 8)
    pub(super) fn on_card_lost(&mut self) -> Next {
        let fault = |place| Some(Fault::new(FaultKind::CardLost, place));
        match self.state {
            State::AwaitRecord { index, begin, recovering } => {
                let is_last = matches!(self.record(index.saturating_add(1)), Ok(None));
                let record = self.record(index).ok().flatten();
                let place =
                    record.map_or(Place::Gpo, |Record { sfi, number, .. }| Place::Record { sfi, number });
                if recovering || (is_last && self.decision == Some(Cryptogram::Tc)) {
                    return self.torn(begin, fault(place));
                }
                Next::Done(self.finish(Outcome::of(Verdict::TryAgain, fault(place))))
            }
            State::AwaitReselect { begin } | State::AwaitAtc { begin } => {
                self.torn(begin, fault(Place::Recovery))
            }
            State::AwaitUpdate { .. } => Next::Done(self.finish_update(fault(Place::IssuerUpdate))),
            _ => Next::Done(self.finish(Outcome::of(Verdict::TryAgain, fault(Place::Gpo)))),
        }
    }

    pub(super) fn on_several_cards(&mut self) -> Next {
        match self.on_card_lost() {
            Next::Done(outcome) if outcome.verdict == Verdict::TryAgain => {
                Next::Done(self.finish(Outcome::of(Verdict::SeveralCards, None)))
            }
            next => next,
        }
    }

    pub(super) fn torn(&mut self, begin: Mark, fault: Option<Fault>) -> Next {
        let outcome = self.finish(Outcome::of(Verdict::Torn, fault));
        self.state = State::Torn { begin };
        Next::Done(outcome)
    }

    pub(super) fn on_same_card(&mut self, begin: Mark, elapsed_ms: u32, out: &mut [u8]) -> Next {
        if elapsed_ms > self.configuration.rules.recovery_window_ms {
            let fault = Fault::new(FaultKind::TooLate, Place::Recovery);
            return Next::Done(self.finish(Outcome::of(Verdict::Unknown, Some(fault))));
        }
        self.state = State::AwaitReselect { begin };
        Next::Send(select(self.card.name(), out).len())
    }

    pub(super) fn on_reselect(&mut self, begin: Mark, answer: &[u8], out: &mut [u8]) -> Next {
        let command = Command::new(0x80, 0xCA, 0x9F, 0x36).with_ne(Ne::MAX_SHORT).write(out);
        match (response(answer), command) {
            (Ok(_), Ok(command)) => {
                self.state = State::AwaitAtc { begin };
                Next::Send(command.len())
            }
            (Err(kind), _) => self.torn(begin, Some(Fault::new(kind, Place::Recovery))),
            (_, Err(_)) => self.torn(begin, Some(Fault::new(FaultKind::TooMuchData, Place::Recovery))),
        }
    }

    /// The card must stand where the torn transaction left it; then its records are read again.
    pub(super) fn on_atc(&mut self, begin: Mark, answer: &[u8], out: &mut [u8]) -> Next {
        let atc = response(answer).and_then(|answer| {
            let object = find(answer, Rules::EMV, tags::ATC).map_err(FaultKind::Tlv)?;
            Ok(object.ok_or(FaultKind::Missing(tags::ATC))?.value())
        });
        match atc {
            Ok(atc) if Some(atc) == self.card.get(tags::ATC) => {
                self.card.rewind(begin);
                self.read_record(0, begin, true, out)
            }
            Ok(_) => self.torn(begin, Some(Fault::new(FaultKind::Value(tags::ATC), Place::Recovery))),
            Err(kind) => self.torn(begin, Some(Fault::new(kind, Place::Recovery))),
        }
    }
}
