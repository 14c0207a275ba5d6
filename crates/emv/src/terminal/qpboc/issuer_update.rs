//! The second tap: the issuer's answer (91) and its scripts (71, 72) to the card. `[EMV-B3 10.9, 10.10]`, (correction 6)

use super::{Kernel, Next, State, select, tags};
use crate::data::bits::{Aip, Tvr};
use crate::terminal::{Fault, FaultKind, Message, Outcome, Place, Verdict};
use huiwan_apdu::{Command, Response, Sw};
use huiwan_tlv::{Rules, Tag, Tlv, parse};

/// The most scripts one answer may bring; results of 5 bytes each go to the host. `[EMV-B3 10.10]` has no number.
pub(super) const SCRIPTS_MAX: usize = 8;

/// What the scripts came to, one for each: `result << 4 ‖ sequence number`, then the script identifier. `[EMV-B4 A5]`
pub(super) type ScriptResults = heapless::Vec<[u8; 5], SCRIPTS_MAX>;

/// Where the second tap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The answer to SELECT is awaited.
    Select,
    /// The answer to EXTERNAL AUTHENTICATE is awaited.
    Authenticate,
    /// The answer to this command of this script is awaited.
    Script { script: usize, command: u8 },
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// A command of this length is in `out`.
    Send(Phase, usize),
    /// The issuer's answer is used up.
    Done,
}

impl Kernel<'_> {
    pub(super) fn on_issuer_answer(&mut self, answer: &[u8], out: &mut [u8]) -> Next {
        self.scripts.clear();
        let aside = if is_sound(answer) {
            self.card.push_aside(answer)
        } else {
            Err(FaultKind::Value(tags::SCRIPT_AFTER))
        };
        match aside {
            Ok(range) => {
                self.state = State::AwaitUpdate { phase: Phase::Select, answer: (range.start, range.end) };
                Next::Send(select(self.card.name(), out).len())
            }
            Err(kind) => Next::Done(self.finish_update(Some(Fault::new(kind, Place::IssuerUpdate)))),
        }
    }

    pub(super) fn on_update(
        &mut self,
        phase: Phase,
        answer: (usize, usize),
        card: &[u8],
        out: &mut [u8],
    ) -> Next {
        let fault = |kind| Some(Fault::new(kind, Place::IssuerUpdate));
        let sw = match Response::parse(card) {
            Ok(response) => response.sw(),
            Err(_) => return Next::Done(self.finish_update(fault(FaultKind::ResponseTruncated))),
        };
        let mut tvr = self.outcome.map(|outcome| outcome.tvr).unwrap_or_default();
        let aip = self.card.array(tags::AIP).map(Aip).unwrap_or_default();
        let mut update =
            Update { answer: self.card.aside(answer.0..answer.1), results: &mut self.scripts, tvr: &mut tvr };
        let follow = match phase {
            Phase::Select if !sw.is_ok() => {
                return Next::Done(self.finish_update(fault(FaultKind::Status(sw))));
            }
            Phase::Select => update.after_select(aip.issuer_authentication(), out),
            Phase::Authenticate => update.after_authenticate(sw, out),
            Phase::Script { script, command } => update.after_command(script, command, sw, out),
        };
        self.note_tvr(tvr);
        match follow {
            Follow::Send(phase, len) => {
                self.state = State::AwaitUpdate { phase, answer };
                Next::Send(len)
            }
            Follow::Done => Next::Done(self.finish_update(None)),
        }
    }

    const fn note_tvr(&mut self, tvr: Tvr) {
        if let Some(outcome) = &mut self.outcome {
            outcome.tvr = tvr;
        }
    }

    pub(super) fn finish_update(&mut self, fault: Option<Fault>) -> Outcome {
        let before = self.outcome;
        let mut outcome = Outcome::of(Verdict::IssuerUpdated, fault);
        if fault.is_some() {
            outcome.message = Message::CardNotAccepted;
        }
        if let Some(before) = before {
            (outcome.cvm, outcome.oda, outcome.tvr) = (before.cvm, before.oda, before.tvr);
        }
        self.finish(outcome)
    }
}

/// The issuer's answer as far as it is used: its objects, the results so far.
#[derive(Debug)]
pub(super) struct Update<'u> {
    pub(super) answer: &'u [u8],
    pub(super) results: &'u mut ScriptResults,
    pub(super) tvr: &'u mut Tvr,
}

impl<'u> Update<'u> {
    /// What follows after the answer to SELECT.
    pub(super) fn after_select(&mut self, card_authenticates_issuer: bool, out: &mut [u8]) -> Follow {
        let data = objects(self.answer).find(|object| object.tag() == tags::ISSUER_AUTHENTICATION_DATA);
        if let Some(data) = data.filter(|_| card_authenticates_issuer) {
            let command = Command::new(0x00, 0x82, 0x00, 0x00).with_data(data.value());
            if let Ok(command) = command.write(out) {
                return Follow::Send(Phase::Authenticate, command.len());
            }
            *self.tvr = self.tvr.with_issuer_authentication_failed(true);
        }
        self.script(0, 0, out)
    }

    /// What follows after the answer to EXTERNAL AUTHENTICATE; scripts go on even when it failed. `[EMV-B3 10.9]`
    pub(super) fn after_authenticate(&mut self, sw: Sw, out: &mut [u8]) -> Follow {
        if !sw.is_ok() {
            *self.tvr = self.tvr.with_issuer_authentication_failed(true);
        }
        self.script(0, 0, out)
    }

    /// What follows after the answer to a script command: the first failure ends its script. `[EMV-B3 10.10]`
    pub(super) fn after_command(&mut self, script: usize, command: u8, sw: Sw, out: &mut [u8]) -> Follow {
        if sw.is_ok() || sw.is_warning() {
            return self.script(script, command.saturating_add(1), out);
        }
        self.note(script, FAILED | command.saturating_add(1).min(0x0F));
        self.script(script.saturating_add(1), 0, out)
    }

    /// The first command from this one on; results of scripts that end on the way are noted.
    fn script(&mut self, mut script: usize, mut command: u8, out: &mut [u8]) -> Follow {
        while let Some(template) = self.template(script) {
            let found = template
                .children(Rules::EMV)
                .map_while(Result::ok)
                .filter(|object| object.tag() == tags::SCRIPT_COMMAND)
                .nth(usize::from(command));
            match found {
                None => self.note(script, SUCCESSFUL),
                // What is no command isn't sent.
                Some(object) => {
                    let place = Command::parse(object.value()).ok().and(out.get_mut(..object.value().len()));
                    if let Some(place) = place {
                        place.copy_from_slice(object.value());
                        return Follow::Send(Phase::Script { script, command }, object.value().len());
                    }
                    self.note(script, FAILED | command.saturating_add(1).min(0x0F));
                }
            }
            (script, command) = (script.saturating_add(1), 0);
        }
        Follow::Done
    }

    fn template(&self, script: usize) -> Option<Tlv<'u>> {
        let is_script = |object: &Tlv<'_>| matches!(object.tag(), tags::SCRIPT_BEFORE | tags::SCRIPT_AFTER);
        objects(self.answer).filter(is_script).take(SCRIPTS_MAX).nth(script)
    }

    fn note(&mut self, script: usize, result: u8) {
        let identifier = self.template(script).and_then(|template| {
            let mut children = template.children(Rules::EMV).map_while(Result::ok);
            let object = children.find(|object| object.tag() == tags::SCRIPT_IDENTIFIER)?;
            <[u8; 4]>::try_from(object.value()).ok()
        });
        let [a, b, c, d] = identifier.unwrap_or_default();
        if self.results.len() == script
            && self.results.push([result, a, b, c, d]).is_ok()
            && result & 0xF0 == FAILED
        {
            *self.tvr = self.tvr.with_script_failed_after(true);
        }
    }
}

const SUCCESSFUL: u8 = 0x20;
const FAILED: u8 = 0x10;

fn objects(answer: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    parse(answer, Rules::EMV).map_while(Result::ok)
}

/// Whether the issuer's answer is sound TLV with no more scripts than are kept track of.
pub(super) fn is_sound(answer: &[u8]) -> bool {
    let scripts = |tag: Tag| matches!(tag, tags::SCRIPT_BEFORE | tags::SCRIPT_AFTER);
    let sound =
        |object: Tlv<'_>| !scripts(object.tag()) || object.children(Rules::EMV).all(|child| child.is_ok());
    parse(answer, Rules::EMV).all(|object| object.is_ok_and(sound))
        && objects(answer).filter(|object| scripts(object.tag())).count() <= SCRIPTS_MAX
}
