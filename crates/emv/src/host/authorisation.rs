//! One online authorisation at the issuer, sans-IO.
//!
//! ```text
//! Start(field 55) ─▶ Key(Check) ─▶ Decide(Facts) ─▶ Key(Respond) ─▶ Key(ScriptMac)… ─▶ Done(Response: 8A ‖ 91 ‖ 71/72)
//! ```
//!
//! Keys stay with an [`IssuerKeys`] provider: the engine names operations and is given answers
//! ([`KeyRequest::perform`] does one with a provider at hand). What to approve is the caller's policy; the engine has checked the
//! cryptogram and tells what the card authenticated. A top-up is computed from the balance in *this* request's issuer
//! application data, never from the host's books, so an amount the card spent offline in between is not given back.
//!
//! ```
//! use huiwan_emv::host::authorisation::{Authorisation, Decision, Input, Step};
//! # use huiwan_emv::host::SoftIssuerKeys;
//! # fn authorise(field_55: &[u8], keys: &mut SoftIssuerKeys) -> Option<Vec<u8>> {
//! let mut engine = Authorisation::new();
//! let mut input = Input::Start { field_55, pan: None, sequence: None };
//! loop {
//!     let mut out = [0; 256];
//!     input = match engine.step(input, &mut out).ok()? {
//!         Step::Key(request) => Input::Key(request.perform(keys).ok()),
//!         Step::Decide(facts) => Input::Decide(if facts.verdict.cryptogram { Decision::approve() } else { Decision::decline() }),
//!         Step::Done(outcome) => return outcome.response().map(<[u8]>::to_vec),
//!     };
//! }
//! # }
//! ```

pub mod request;

use core::fmt;

use heapless::Vec;
use huiwan_tlv::{At, Full, Tag, Writer};

use super::keys::{CardReference, CryptogramCheck, IssuerKeys, KeyError, Verdict};
use crate::card::qpboc::{objects, scripts};
use crate::cryptogram::iad::IddId;
use crate::cryptogram::{Cryptogram, Cvr};
use crate::data::amount::Amount;
use crate::pan::Pan;
use crate::secure_messaging::{MAC_LEN, Transaction};

pub use request::{Request, RequestError};

/// The most scripts of one answer.
pub const SCRIPTS_MAX: usize = 4;
/// The most data of one script command.
pub const SCRIPT_DATA_MAX: usize = 32;

/// A secret operation the engine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRequest {
    /// Check the cryptogram and the reported amounts.
    Check(CryptogramCheck),
    /// Make the response cryptogram.
    Respond {
        /// Whose.
        card: CardReference,
        /// The ARQC and its counter.
        transaction: Transaction,
        /// 8A.
        code: [u8; 2],
    },
    /// Make the MAC of a script command.
    ScriptMac {
        /// Whose.
        card: CardReference,
        /// The ARQC and its counter.
        transaction: Transaction,
        /// CLA INS P1 P2.
        header: [u8; 4],
        /// The command's data.
        data: Vec<u8, SCRIPT_DATA_MAX>,
    },
}

/// The answer to a [`KeyRequest`] of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAnswer {
    /// What the check found.
    Check(Verdict),
    /// The response cryptogram.
    Respond([u8; 8]),
    /// The MAC.
    ScriptMac([u8; MAC_LEN]),
}

impl KeyRequest {
    /// Does the operation with a provider at hand.
    ///
    /// # Errors
    /// [`KeyError`] of the provider.
    pub fn perform(&self, keys: &mut dyn IssuerKeys) -> Result<KeyAnswer, KeyError> {
        match self {
            Self::Check(check) => keys.check(check).map(KeyAnswer::Check),
            Self::Respond { card, transaction, code } => {
                keys.respond(card, transaction, *code).map(KeyAnswer::Respond)
            }
            Self::ScriptMac { card, transaction, header, data } => {
                keys.script_mac(card, transaction, *header, data).map(KeyAnswer::ScriptMac)
            }
        }
    }
}

/// What the issuer's policy decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The request.
    pub request: Request,
    /// What the keys say about it.
    pub verdict: Verdict,
    /// What the card answered, by its own results.
    pub result: Option<Cryptogram>,
    /// Card verification results.
    pub cvr: Cvr,
    /// The e-cash balance the card reported, only if its MAC is right: low-order ten digits.
    pub balance: Option<Amount>,
}

/// A script command to send along.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Script {
    /// Raise the e-cash balance by this amount over what the card authenticated in this request.
    TopUp(Amount),
    /// PUT DATA of a changeable object.
    PutData {
        /// The tag.
        tag: u16,
        /// The value.
        value: Vec<u8, 6>,
    },
    /// APPLICATION BLOCK.
    Block,
    /// APPLICATION UNBLOCK.
    Unblock,
}

/// What the issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// 8A, authorisation response code.
    pub code: [u8; 2],
    /// Scripts for after the transaction (template 72).
    pub scripts: Vec<Script, SCRIPTS_MAX>,
}

impl Decision {
    /// "00", without scripts.
    #[must_use]
    pub const fn approve() -> Self {
        Self { code: *b"00", scripts: Vec::new() }
    }

    /// "05" (do not honour), without scripts.
    #[must_use]
    pub const fn decline() -> Self {
        Self { code: *b"05", scripts: Vec::new() }
    }

    /// The same with one more script; unchanged when there are [`SCRIPTS_MAX`] already.
    #[must_use]
    pub fn with_script(mut self, script: Script) -> Self {
        self.scripts.push(script).unwrap_or(());
        self
    }
}

/// What happens to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// An authorisation request arrived.
    Start {
        /// Its field 55.
        field_55: &'a [u8],
        /// The account number, when it comes in another field of the message (2 or 35). The sequence number (5F34) has to be in
        /// field 55, or is taken as 00.
        pan: Option<Pan>,
        /// The PAN sequence number, when it comes in another field (ISO 8583 field 23), as UnionPay terminals send it; else
        /// that of 5F34, else 00.
        sequence: Option<u8>,
    },
    /// The provider's answer to [`Step::Key`]; `None` when it failed.
    Key(Option<KeyAnswer>),
    /// The answer to [`Step::Decide`].
    Decide(Decision),
}

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Have this done by the key provider.
    Key(KeyRequest),
    /// Decide by policy.
    Decide(Facts),
    /// Finished.
    Done(Outcome<'o>),
}

/// How an authorisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'o> {
    /// The answer for the terminal, as TLVs: 8A, then 91 and 72 if the ARQC was right.
    Response(&'o [u8]),
    /// The request could not be read.
    BadRequest(At<RequestError>),
    /// The key provider failed.
    KeyProviderFailed,
    /// A top-up was decided, but the card reported no balance under its MAC, or the sum is no amount.
    NoAuthenticBalance,
    /// The answer is longer than the buffer.
    Full(Full),
}

impl<'o> Outcome<'o> {
    /// The answer for the terminal, if there is one.
    #[must_use]
    pub const fn response(&self) -> Option<&'o [u8]> {
        match self {
            Self::Response(response) => Some(response),
            _ => None,
        }
    }
}

/// The caller gave an input the engine did not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misuse;

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("input does not answer the last step of the authorisation")
    }
}
impl core::error::Error for Misuse {}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the scripts on")]
enum State {
    Idle,
    Checking(Request),
    Deciding(Facts),
    Responding(Facts, Decision),
    Scripting {
        facts: Facts,
        decision: Decision,
        response: [u8; 8],
        commands: Vec<ScriptCommand, SCRIPTS_MAX>,
    },
    Done,
}

#[derive(Debug, Clone)]
struct ScriptCommand {
    header: [u8; 4],
    data: Vec<u8, SCRIPT_DATA_MAX>,
    mac: Option<[u8; MAC_LEN]>,
}

/// The engine of one authorisation.
#[derive(Debug, Clone)]
pub struct Authorisation {
    state: State,
}

impl Default for Authorisation {
    fn default() -> Self {
        Self::new()
    }
}

impl Authorisation {
    /// Waits for [`Input::Start`].
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Idle }
    }

    /// One step. `out` is used for the answer only.
    ///
    /// # Errors
    /// [`Misuse`] when `input` does not answer the last step; nothing has changed then.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let (state, step) = match (self.state.clone(), input) {
            (State::Idle, Input::Start { field_55, pan, sequence }) => {
                match Request::parse(field_55, pan, sequence) {
                    Ok(request) => (State::Checking(request), Step::Key(KeyRequest::Check(request.check))),
                    Err(error) => done(Outcome::BadRequest(error)),
                }
            }
            (State::Checking(_) | State::Responding(..) | State::Scripting { .. }, Input::Key(None)) => {
                done(Outcome::KeyProviderFailed)
            }
            (State::Checking(request), Input::Key(Some(KeyAnswer::Check(verdict)))) => {
                let facts = facts(request, verdict);
                (State::Deciding(facts), Step::Decide(facts))
            }
            (State::Deciding(facts), Input::Decide(decision)) if facts.verdict.cryptogram => {
                let request = KeyRequest::Respond {
                    card: facts.request.check.card,
                    transaction: transaction(&facts),
                    code: decision.code,
                };
                (State::Responding(facts, decision), Step::Key(request))
            }
            // A wrong cryptogram gets a bare response code: a response cryptogram or script would prove something to a forger.
            (State::Deciding(_), Input::Decide(decision)) => done(answer(decision.code, None, &[], out)),
            (State::Responding(facts, decision), Input::Key(Some(KeyAnswer::Respond(response)))) => {
                match commands(&facts, &decision) {
                    Some(commands) => script(facts, decision, response, commands, out),
                    None => done(Outcome::NoAuthenticBalance),
                }
            }
            (
                State::Scripting { facts, decision, response, mut commands },
                Input::Key(Some(KeyAnswer::ScriptMac(mac))),
            ) => {
                if let Some(command) = commands.iter_mut().find(|command| command.mac.is_none()) {
                    command.mac = Some(mac);
                }
                script(facts, decision, response, commands, out)
            }
            _ => return Err(Misuse),
        };
        self.state = state;
        Ok(step)
    }
}

fn done(outcome: Outcome<'_>) -> (State, Step<'_>) {
    (State::Done, Step::Done(outcome))
}

fn transaction(facts: &Facts) -> Transaction {
    Transaction { atc: facts.request.check.data.atc, cryptogram: facts.request.check.cryptogram }
}

fn facts(request: Request, verdict: Verdict) -> Facts {
    let cvr = request.check.data.cvr;
    let reports_balance = |id| matches!(id, IddId::Balance | IddId::BalanceAndTotal);
    let balance = request
        .check
        .idd
        .filter(|idd| verdict.cryptogram && verdict.idd && reports_balance(idd.id()))
        .and_then(|idd| Amount::from_bcd(&idd.value()));
    Facts { request, verdict, result: cvr.first_result(), cvr, balance }
}

/// The commands of a decision; `None` when a top-up has no authentic balance to start from.
fn commands(facts: &Facts, decision: &Decision) -> Option<Vec<ScriptCommand, SCRIPTS_MAX>> {
    let mut commands = Vec::new();
    for script in &decision.scripts {
        let put = |tag: u16| {
            let [p1, p2] = tag.to_be_bytes();
            [0x04, scripts::PUT_DATA, p1, p2]
        };
        let (header, data) = match script {
            Script::TopUp(amount) => {
                let balance = facts.balance?.checked_add(*amount)?;
                (put(objects::BALANCE), Vec::from_slice(&balance.to_bcd()).ok()?)
            }
            Script::PutData { tag, value } => (put(*tag), Vec::from_slice(value).ok()?),
            Script::Block => ([0x84, scripts::APPLICATION_BLOCK, 0, 0], Vec::new()),
            Script::Unblock => ([0x84, scripts::APPLICATION_UNBLOCK, 0, 0], Vec::new()),
        };
        commands.push(ScriptCommand { header, data, mac: None }).ok()?;
    }
    Some(commands)
}

/// Asks for the next MAC, or finishes.
fn script(
    facts: Facts,
    decision: Decision,
    response: [u8; 8],
    commands: Vec<ScriptCommand, SCRIPTS_MAX>,
    out: &mut [u8],
) -> (State, Step<'_>) {
    match commands.iter().find(|command| command.mac.is_none()) {
        Some(command) => {
            let request = KeyRequest::ScriptMac {
                card: facts.request.check.card,
                transaction: transaction(&facts),
                header: command.header,
                data: command.data.clone(),
            };
            (State::Scripting { facts, decision, response, commands }, Step::Key(request))
        }
        None => done(answer(decision.code, Some(response), &commands, out)),
    }
}

/// 8A, 91 (response cryptogram ‖ code) and 72 with its commands. `[EMV-B3 10.9, 10.10]`
fn answer<'o>(
    code: [u8; 2],
    response: Option<[u8; 8]>,
    commands: &[ScriptCommand],
    out: &'o mut [u8],
) -> Outcome<'o> {
    let mut w = Writer::new(out);
    w.put(Tag::new(0x8A), &code);
    if let Some(response) = response {
        w.put_parts(Tag::new(0x91), &[&response, &code]);
    }
    if !commands.is_empty() {
        w.nested(Tag::new(0x72), |w| {
            // Script identifier: ours to choose; the terminal reports it back.
            w.put(Tag::new(0x9F18), &[0, 0, 0, 1]);
            for command in commands {
                let mac = command.mac.as_ref().map_or(&[][..], |mac| &mac[..]);
                // The data are at most SCRIPT_DATA_MAX bytes, so the length is one byte.
                let lc = u8::try_from(command.data.len().saturating_add(mac.len())).unwrap_or(u8::MAX);
                w.put_parts(Tag::new(0x86), &[&command.header, &[lc], &command.data, mac]);
            }
        });
    }
    match w.finish() {
        Ok(written) => Outcome::Response(written),
        Err(full) => Outcome::Full(full),
    }
}
