//! The qPBOC kernel (kernel 7, UnionPay quickPass): from the final SELECT's answer to an [`Outcome`].
//!
//! One file for each phase: `gpo`, `records`, `oda`, `restrictions`, `cvm`, `outcome`; after the tap, `recovery` and
//! `issuer_update`. What sources disagree on is in [`Rules`]. The state table is `Kernel::advance`.

mod card_data;
mod cvm;
mod gpo;
mod issuer_update;
mod oda;
mod outcome;
mod records;
mod recovery;
mod restrictions;
mod rules;
mod tags;
#[cfg(test)]
mod tests;

use super::{
    COMMAND_MAX, Configuration, Cvm, Fault, FaultKind, Field, Input, Memory, Message, Misuse, Oda, Outcome,
    Place, Step, Transaction, Verdict,
};
use crate::cryptogram::Cryptogram;
use crate::qualifiers::{Ctq, Ttq};
use card_data::{CardData, Mark};
use gpo::TerminalData;
use huiwan_apdu::{Aid, Command, Ne, Response, Sw};
use huiwan_tlv::{Full, Rules as TlvRules, Tag, Writer, find_path, parse};
use issuer_update::{Phase, ScriptResults};
use records::{Afl, Record};
use restrictions::Restrictions;

pub use rules::{CvmResultRules, Rules};

/// The kernel of one terminal, for one transaction after another.
#[derive(Debug)]
pub struct Kernel<'k> {
    configuration: &'k Configuration<'k>,
    card: CardData<'k>,
    terminal: TerminalData,
    state: State,
    /// What the card decided, once it has.
    decision: Option<Cryptogram>,
    outcome: Option<Outcome>,
    /// The number of the last GET PROCESSING OPTIONS, whatever transaction that was.
    last_number: Option<[u8; 4]>,
    scripts: ScriptResults,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    AwaitNumber,
    AwaitGpo,
    /// The answer to READ RECORD of the record with this index along the AFL. The mark is where the records begin.
    AwaitRecord {
        index: usize,
        begin: Mark,
        recovering: bool,
    },
    /// The last record's answer was lost.
    Torn {
        begin: Mark,
    },
    /// The same card again: the answer to SELECT, then to GET DATA of the ATC.
    AwaitReselect {
        begin: Mark,
    },
    AwaitAtc {
        begin: Mark,
    },
    /// The second tap. The issuer's answer lies aside in the card's memory.
    AwaitUpdate {
        phase: Phase,
        answer: (usize, usize),
    },
    Done,
}

/// What to do next; a command is in the caller's buffer.
pub(super) enum Next {
    Send(usize),
    Done(Outcome),
}

impl<'k> Kernel<'k> {
    /// A kernel waiting for [`Self::start`].
    #[must_use]
    pub const fn new(configuration: &'k Configuration<'k>, memory: Memory<'k>) -> Self {
        Self {
            configuration,
            card: CardData::new(memory),
            terminal: TerminalData::ZERO,
            state: State::Idle,
            decision: None,
            outcome: None,
            last_number: None,
            scripts: ScriptResults::new(),
        }
    }

    /// Begins a transaction with the answer to the final SELECT of `aid` (without status word). Next comes
    /// [`Input::UnpredictableNumber`], unless the card is none for this kernel: then the outcome is returned.
    #[must_use]
    pub fn start(&mut self, transaction: &Transaction, aid: &Aid, ttq: Ttq, fci: &[u8]) -> Option<Outcome> {
        self.reset();
        self.terminal = TerminalData::new(transaction, ttq);
        match self.read_fci(aid, fci) {
            Ok(()) => {
                self.state = State::AwaitNumber;
                None
            }
            Err(kind) => Some(self.fail(kind, Place::Select)),
        }
    }

    /// Takes what happened, says what to do next. `out` holds the next command, at least [`COMMAND_MAX`] bytes.
    ///
    /// # Errors
    /// [`Misuse`]: a mistake of the caller; nothing changed.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        Ok(match self.advance(input, out)? {
            Next::Send(len) => Step::Send(out.get(..len).unwrap_or_default()),
            Next::Done(outcome) => Step::Done(outcome),
        })
    }

    pub(super) fn advance(&mut self, input: Input<'_>, out: &mut [u8]) -> Result<Next, Misuse> {
        if out.len() < COMMAND_MAX {
            return Err(Misuse::OutTooSmall { needed: COMMAND_MAX });
        }
        match (self.state, input) {
            (State::AwaitNumber, Input::UnpredictableNumber(number)) => self.on_number(number, out),
            (State::AwaitGpo, Input::Response(answer)) => Ok(self.on_gpo(answer, out)),
            (State::AwaitRecord { index, begin, recovering }, Input::Response(answer)) => {
                Ok(self.on_record(index, begin, recovering, answer, out))
            }
            (State::Torn { begin }, Input::SameCardAgain { elapsed_ms }) => {
                Ok(self.on_same_card(begin, elapsed_ms, out))
            }
            (State::AwaitReselect { begin }, Input::Response(answer)) => {
                Ok(self.on_reselect(begin, answer, out))
            }
            (State::AwaitAtc { begin }, Input::Response(answer)) => Ok(self.on_atc(begin, answer, out)),
            (State::Done, Input::IssuerAnswer(answer)) if self.outcome.is_some_and(|o| o.issuer_update) => {
                Ok(self.on_issuer_answer(answer, out))
            }
            (State::AwaitUpdate { phase, answer }, Input::Response(response)) => {
                Ok(self.on_update(phase, answer, response, out))
            }
            (State::Idle | State::Done | State::Torn { .. }, _) => Err(Misuse::UnexpectedInput),
            (_, Input::CardLost) => Ok(self.on_card_lost()),
            (_, Input::SeveralCards) => Ok(self.on_several_cards()),
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The data objects for the host (field 55), in the order of [`Rules::online_data`]; what the card didn't send is left
    /// out. After an online request, or after an approval for the clearing file.
    ///
    /// # Errors
    /// [`Full`] with the size needed.
    pub fn online_data<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut writer = Writer::new(out);
        for &tag in self.configuration.rules.online_data {
            match tag {
                tags::CVM_RESULTS => writer.put(tag, &self.cvm_results()),
                tags::CID => {
                    if let Some(kind) = self.decision {
                        writer.put(tag, &[kind.cid()]);
                    }
                }
                tag => {
                    let terminal = self.terminal.get(self.configuration, tag).map(|(value, _)| value);
                    if let Some(value) = terminal.or_else(|| self.card.get(tag)) {
                        writer.put(tag, value);
                    }
                }
            }
        }
        writer.finish().map(|data| &*data)
    }

    /// The value of an object the card sent in this tap (primitive or template): of GPO answer and records, else of the FCI.
    #[must_use]
    pub fn card_object(&self, tag: Tag) -> Option<&[u8]> {
        self.card.get(tag)
    }

    /// What became of the issuer's scripts, five bytes each, as tag 9F5B (DF31) takes them.
    #[must_use]
    pub fn script_results(&self) -> &[[u8; 5]] {
        &self.scripts
    }

    pub(super) fn reset(&mut self) {
        self.card.clear();
        self.terminal = TerminalData::ZERO;
        self.state = State::Idle;
        self.decision = None;
        self.outcome = None;
        self.scripts.clear();
    }

    /// Name and proprietary objects of the FCI. `[EMV-B1 11.3]`
    fn read_fci(&mut self, aid: &Aid, fci: &[u8]) -> Result<(), FaultKind> {
        let object = |path: &[Tag]| match find_path(fci, TlvRules::EMV, path) {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(FaultKind::Missing(path.last().copied().unwrap_or(tags::FCI))),
            Err(error) => Err(FaultKind::Tlv(error)),
        };
        let name = object(&[tags::FCI, tags::DF_NAME])?;
        // What was selected is what answers; the name also says whose CA keys count.
        if !(5..=16).contains(&name.value().len()) || !name.value().starts_with(aid.as_bytes()) {
            return Err(FaultKind::Value(tags::DF_NAME));
        }
        let proprietary = object(&[tags::FCI, tags::FCI_PROPRIETARY])?;
        if let Some(error) = parse(proprietary.value(), TlvRules::EMV).find_map(Result::err) {
            return Err(FaultKind::Tlv(error.shifted(proprietary.value_at())));
        }
        self.card.push_fci(name.raw())?;
        self.card.push_fci(proprietary.value())?;
        gpo::check_pdol(&self.card, self.configuration.rules.pdol_needs)
    }

    fn on_number(&mut self, number: [u8; 4], out: &mut [u8]) -> Result<Next, Misuse> {
        if self.last_number == Some(number) {
            return Err(Misuse::UnpredictableNumberRepeated);
        }
        self.last_number = Some(number);
        self.terminal.unpredictable_number = number;
        Ok(match gpo::command(&self.card, &self.terminal, self.configuration, out) {
            Ok(len) => {
                self.state = State::AwaitGpo;
                Next::Send(len)
            }
            Err(kind) => Next::Done(self.fail(kind, Place::Gpo)),
        })
    }

    fn on_gpo(&mut self, answer: &[u8], out: &mut [u8]) -> Next {
        let read = response(answer).and_then(|answer| gpo::read_answer(answer, &mut self.card));
        let kind = match read {
            Ok(kind) => kind,
            Err(kind) => return Next::Done(self.fail(kind, Place::Gpo)),
        };
        self.decision = Some(kind);
        // Ends before the records are read, with which the card would book.
        let ttq = self.terminal.ttq;
        if kind == Cryptogram::Tc && ttq.online_cryptogram_required() && !ttq.offline_only() {
            return Next::Done(self.fail(FaultKind::Value(tags::IAD), Place::Gpo));
        }
        let wants_records = match kind {
            Cryptogram::Aac => false,
            Cryptogram::Tc => true,
            Cryptogram::Arqc => ttq.oda_for_online() && self.card.get(tags::AFL).is_some(),
        };
        if !wants_records {
            return self.conclude(false);
        }
        if self.card.get(tags::AFL).is_none() {
            return Next::Done(self.fail(FaultKind::Missing(tags::AFL), Place::Gpo));
        }
        let begin = self.card.mark();
        self.read_record(0, begin, false, out)
    }

    /// Reads the record with this index, or concludes after the last.
    fn read_record(&mut self, index: usize, begin: Mark, recovering: bool, out: &mut [u8]) -> Next {
        let command = match self.record(index) {
            Ok(Some(record)) => records::command(record, out),
            Ok(None) => return self.conclude(recovering),
            Err(kind) => Err(kind),
        };
        match command {
            Ok(len) => {
                self.state = State::AwaitRecord { index, begin, recovering };
                Next::Send(len)
            }
            Err(kind) => Next::Done(self.fail(kind, Place::Gpo)),
        }
    }

    fn record(&self, index: usize) -> Result<Option<Record>, FaultKind> {
        let afl = self.card.get(tags::AFL).ok_or(FaultKind::Missing(tags::AFL))?;
        Ok(Afl::parse(afl, self.configuration.rules.records_max)?.records().nth(index))
    }

    fn on_record(
        &mut self,
        index: usize,
        begin: Mark,
        recovering: bool,
        answer: &[u8],
        out: &mut [u8],
    ) -> Next {
        let Ok(Some(record)) = self.record(index) else {
            return Next::Done(self.fail(FaultKind::Value(tags::AFL), Place::Gpo));
        };
        let read = response(answer).and_then(|answer| records::read_answer(answer, record, &mut self.card));
        match read {
            Ok(()) => self.read_record(index.saturating_add(1), begin, recovering, out),
            // An answer without status word is a lost one.
            Err(FaultKind::ResponseTruncated) => self.on_card_lost(),
            Err(kind) => {
                let fault = Fault::new(kind, Place::Record { sfi: record.sfi, number: record.number });
                match kind {
                    FaultKind::Status(sw)
                        if recovering && self.configuration.rules.not_booked.contains(&sw) =>
                    {
                        Next::Done(self.finish(Outcome::of(Verdict::TryAgain, Some(fault))))
                    }
                    // Another card, or one that has forgotten: the right one may still come.
                    _ if recovering => self.torn(begin, Some(fault)),
                    _ => Next::Done(self.fail(kind, fault.place)),
                }
            }
        }
    }

    /// Authentication, restrictions, cardholder verification, decision.
    fn conclude(&mut self, recovering: bool) -> Next {
        let outcome = match self.facts() {
            Ok(facts) => outcome::decide(&facts),
            Err(kind) => return Next::Done(self.fail(kind, Place::Decision)),
        };
        if recovering && outcome.oda != Oda::Passed {
            // The card that paid, if it did, isn't proven to be this one.
            return Next::Done(self.finish(Outcome::of(Verdict::Unknown, outcome.fault)));
        }
        Next::Done(self.finish(outcome))
    }

    fn facts(&self) -> Result<outcome::Facts, FaultKind> {
        let kind = self.decision.ok_or(FaultKind::Missing(tags::IAD))?;
        let ctq = match self.card.get(tags::CTQ) {
            None => None,
            Some(value) => Some(Ctq(value.try_into().map_err(|_| FaultKind::Value(tags::CTQ))?)),
        };
        let mut facts = outcome::Facts {
            kind,
            ttq: self.terminal.ttq,
            ctq,
            signed_ctq: None,
            oda: Oda::NotPerformed,
            restrictions: Restrictions::default(),
            cash_barred: self.cash_barred(ctq.unwrap_or_default()),
            issuer_update: self.terminal.ttq.issuer_update()
                && (ctq.is_some_and(Ctq::issuer_update) || !self.configuration.rules.ctq_issuer_update),
        };
        if kind == Cryptogram::Aac {
            return Ok(facts);
        }
        let pan = restrictions::pan(&self.card)?;
        if kind == Cryptogram::Tc {
            facts.restrictions = restrictions::check(&self.card, &self.terminal, self.configuration, &pan)?;
        }
        if self.has_read_records() {
            let (oda, authenticated) =
                oda::authenticate(&self.card, &self.terminal, self.configuration, &pan);
            facts.oda = oda;
            facts.signed_ctq = authenticated.and_then(|authenticated| authenticated.ctq);
        }
        Ok(facts)
    }

    const fn has_read_records(&self) -> bool {
        matches!(self.state, State::AwaitRecord { .. })
    }

    /// CTQ 1.3 to 1.1, where the scheme gives them a meaning. (correction 9)
    fn cash_barred(&self, ctq: Ctq) -> bool {
        let [kind] = self.terminal.kind;
        let is_atm = matches!(self.configuration.terminal_type, 0x14..=0x16);
        self.configuration.rules.ctq_cash_bits
            && ((ctq.switch_for_cash() && kind == 0x01)
                || (ctq.switch_for_cashback() && self.terminal.other_amount != [0; 6])
                || (ctq.not_at_atm() && is_atm))
    }

    fn cvm_results(&self) -> [u8; 3] {
        let rules = &self.configuration.rules.cvm_results;
        match self.outcome.map(|outcome| outcome.cvm).unwrap_or_default() {
            Cvm::None => rules.none.0,
            Cvm::OnlinePin => rules.online_pin.0,
            Cvm::Signature => rules.signature.0,
            Cvm::Device => rules.device.0,
        }
    }

    fn fail(&mut self, kind: FaultKind, place: Place) -> Outcome {
        let rules = &self.configuration.rules;
        let verdict = match (kind, place) {
            (FaultKind::Status(sw), Place::Gpo) => rules.after_gpo_status(sw),
            (FaultKind::Status(_), _) => rules.record_status,
            (FaultKind::Value(tags::DF_NAME), Place::Select) => Verdict::SelectNext,
            (FaultKind::Missing(tag), Place::Select) if rules.pdol_needs.contains(&tag) => {
                Verdict::SelectNext
            }
            _ => rules.bad_data,
        };
        let mut outcome = Outcome::of(verdict, Some(Fault::new(kind, place)));
        if kind == FaultKind::Status(Sw::COMMAND_NOT_ALLOWED) && verdict == Verdict::TryAgain {
            outcome.message = Message::SeePhone;
            outcome.field = Field::OffFor(rules.see_phone_ms);
        }
        self.finish(outcome)
    }

    const fn finish(&mut self, outcome: Outcome) -> Outcome {
        self.outcome = Some(outcome);
        self.state = State::Done;
        outcome
    }
}

/// The data of an answer with status word 9000.
pub(super) fn response(answer: &[u8]) -> Result<&[u8], FaultKind> {
    let response = Response::parse(answer).map_err(|_| FaultKind::ResponseTruncated)?;
    if response.sw().is_ok() { Ok(response.data()) } else { Err(FaultKind::Status(response.sw())) }
}

/// SELECT by name, first occurrence. `out` must have [`COMMAND_MAX`] bytes, a name 16 at most.
pub(super) fn select<'o>(name: &[u8], out: &'o mut [u8]) -> &'o [u8] {
    let command = Command::new(0x00, 0xA4, 0x04, 0x00).with_data(name).with_ne(Ne::MAX_SHORT);
    command.write(out).unwrap_or_default()
}
