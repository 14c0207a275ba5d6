//! The terminal: gates, bus validators, shops and top-up devices as sans-IO engines.
//!
//! An engine takes an [`Input`] and returns a [`Step`]; transport, clock and PSAM are the caller's. [`Tap`] is the one
//! body of every payment, told what to do by a [`Service`]: [`metro::Entry`], [`metro::Exit`], [`desk::Desk`],
//! [`bus::Flat`], [`bus::On`], [`bus::Off`], [`purchase::Purchase`] on JT/T 978 cards, [`city::City`] on 建设部 cards,
//! [`etc::Entry`] and [`etc::Exit`] on highway cards. [`TopUp`] loads, [`online::Online`] does everything else with the
//! host, [`Inquiry`] reads, [`Lock`] locks blacklisted cards, [`Recovery`] finds out what became of a torn tap.
//!
//! Which cards are taken is a value, [`Policy`]; what a ride costs is a pure function of the visit ([`service::Priced`]), or
//! asked for ([`Step::Fare`]).
//!
//! ```text
//! Start ─ Send(SELECT) ─ Send(READ ..) ─ Fare? ─ Send(INITIALIZE) ─ SendAndKey(UPDATE CAPP, 80 70) ─ Send(..)
//!       ─ Persist(pending) ─ Send(DEBIT) ─ Accepted(receipt): the gate opens ─ Key(80 72) ─ Done
//! ```
//!
//! # Commands a card sees
//! | flow | commands | which |
//! |---|---|---|
//! | metro entry, exit, service desk | 6 | SELECT, READ 001A, INITIALIZE, two UPDATE CAPP, DEBIT |
//! | bus, distance fare | 6 | the same |
//! | bus, flat fare | 4 | SELECT, INITIALIZE, UPDATE CAPP, DEBIT |
//! | plain purchase | 3 | SELECT, INITIALIZE, DEBIT |
//! | city card | 5 | SELECT, READ 0017, INITIALIZE, UPDATE CAPP, DEBIT |
//! | highway entry, exit | 5 | the same with file 0019 |
//! | top-up | 3 | SELECT, INITIALIZE, CREDIT |
//! | lock | 3 | SELECT, GET CHALLENGE, APPLICATION BLOCK; 7 with a debit of the balance before |
//! | recovery | 3 | SELECT, PROVE, READ 0018; one more for each later transaction |
//!
//! One more each: READ 0015, of a card whose FCI has no copy of it; READ 0017, where the policy looks at card type or
//! interoperability; READ 001E or 0018, where it looks at the last payment ([`Last`]); GET AUTHENTICATION CODE, where it wants the
//! card to authenticate itself. Readers in the field are seen to send eight for a flat fare [sheet 5.6]: GET BALANCE is not needed,
//! since the initialisation tells the balance. Every command names the length it expects, so no card answers 6Cxx.

use core::fmt;

use huiwan_apdu::{Command, Response, Sw};

use crate::mac::TerminalNo;
use crate::psam::{SamAnswer, SamRequest};
use crate::transaction::Transaction;

pub mod bus;
pub mod city;
pub mod desk;
pub mod drive;
pub mod etc;
mod inquiry;
pub mod lock;
pub mod metro;
pub mod online;
pub mod policy;
pub mod purchase;
mod recovery;
mod select;
pub mod service;
mod tap;
mod top_up;

pub use inquiry::{Inquiry, InquiryOutcome, InquiryStep, LOG_RECORDS, Summary};
pub use lock::Lock;
pub use policy::{Blacklist, Last, Policy, Recent, RecentTaps, Refusal};
pub use recovery::{Recovered, Recovery, RecoveryStep};
pub use service::Service;
pub use tap::Tap;
pub use top_up::{LoadApproval, LoadRequest, TopUp, TopUpOutcome, TopUpStep};

/// A buffer of this length is enough for every command an engine sends.
pub const COMMAND_LEN: usize = 160;

/// The AID of the JT/T 978 purse. [sheet 5.1]
pub const AID_JTT_978_EP: &[u8] = &[0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05];

/// What the terminal is, the same for every card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The application to select.
    pub aid: &'static [u8],
    /// The PSAM's terminal number.
    pub terminal: TerminalNo,
    /// Key index the PSAM names.
    pub key_index: u8,
}

/// What an engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A card is there; its answers follow.
    Start,
    /// The card's answer, data ‖ SW.
    Response(&'a [u8]),
    /// The card has left, or its answer did not come in time.
    CardLost,
    /// The PSAM's answer.
    Key(SamAnswer),
    /// The fare asked for, fen.
    Fare(u32),
    /// [`Step::Persist`] is done, or [`Step::Accepted`] acted on.
    Proceed,
}

/// What an engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this command; go on with `Response` or `CardLost`.
    Send(&'o [u8]),
    /// Send this command and ask the PSAM at the same time; go on with both answers in any order.
    SendAndKey(&'o [u8], SamRequest),
    /// Ask the PSAM; go on with `Key`.
    Key(SamRequest),
    /// Half of a `SendAndKey` is still missing.
    Wait,
    /// Say what this card pays; go on with `Fare`. [`Tap::card`] tells what is known of it.
    Fare,
    /// Keep this where a power failure does not reach it, then go on with `Proceed`. Delete it when the tap is done,
    /// unless it ends in [`Outcome::Uncertain`].
    Persist(Pending),
    /// The card says that it has debited: a gate may open now. MAC2 is not checked yet, so a card without keys comes as far
    /// as this; who gives away more than a ride waits for [`Outcome::Paid`] with [`Mac2::Verified`]. Then go on with `Proceed`.
    Accepted(Receipt),
    /// The end.
    Done(Outcome),
}

/// How a tap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The card paid.
    Paid(Receipt),
    /// The card answered a debit, but its MAC2 is wrong: not a proof of payment. The TAC tells the back office.
    Disputed(Receipt),
    /// The card was not charged, because this terminal does not take it.
    Refused(Refusal),
    /// The debit was sent and its answer is missing: run [`Recovery`] with this before the same card is charged again, for
    /// its log tells two payments apart by terminal, amount and second only.
    Uncertain(Pending),
    /// The card was not charged, because something failed.
    Failed(Fault),
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The card left.
    CardLost {
        /// Before it answered this.
        during: Stage,
    },
    /// The card refused.
    Status {
        /// The command.
        during: Stage,
        /// Its answer.
        sw: Sw,
    },
    /// The answer is not what the command answers.
    Malformed {
        /// The command.
        during: Stage,
    },
    /// The PSAM refused, with its status word.
    Sam(Sw),
}

/// A command of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// SELECT.
    Select,
    /// READ BINARY of file 0015.
    PublicInfo,
    /// READ BINARY of file 0017.
    Management,
    /// READ RECORD of file 001E.
    Process,
    /// READ RECORD of the composite file.
    Record,
    /// GET AUTHENTICATION CODE.
    AuthCode,
    /// An INITIALIZE command.
    Initialize,
    /// UPDATE CAPP DATA CACHE.
    Cache,
    /// DEBIT FOR PURCHASE.
    Debit,
    /// The command that completes a transaction with the host: CREDIT FOR LOAD, DEBIT FOR UNLOAD, UPDATE OVERDRAW LIMIT,
    /// GREY UNLOCK.
    Credit,
    /// VERIFY.
    Verify,
    /// GET TRANSACTION PROVE.
    Prove,
    /// READ RECORD of the log.
    Log,
    /// GET BALANCE.
    Balance,
    /// GET CHALLENGE.
    Challenge,
    /// APPLICATION BLOCK or UNBLOCK.
    Lock,
}

/// What was asked of the PSAM about MAC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mac2 {
    /// It is right.
    Verified,
    /// It is wrong.
    Wrong,
    /// It was not checked yet, or the PSAM could not (it holds its last purchase only).
    NotChecked,
}

/// A payment, for settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// What the TAC covers, and what it does not.
    pub transaction: Transaction,
    /// TAC (MAC3 of an unload or grey unlock, which have none); `None` if only the card's log proves the payment (the card has made another transaction since).
    pub tac: Option<[u8; 4]>,
    /// What is known of MAC2.
    pub mac2: Mac2,
}

/// A transaction whose completion was sent: what [`Recovery`] needs, kept by the caller from before the command is sent
/// until its outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pending {
    /// The transaction as it will be if it happened.
    pub transaction: Transaction,
}

impl Pending {
    /// Length of the persisted form, bytes.
    pub const LEN: usize = 52;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 2;

    /// version 1 ‖ [`Transaction::to_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        crate::pack::Pack::new().put([Self::VERSION]).put(self.transaction.to_bytes()).finish()
    }

    /// Reads the persisted form; `None` for another version or length.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        match raw.split_first() {
            Some((&Self::VERSION, rest)) => {
                Some(Self { transaction: Transaction::from_bytes(rest.try_into().ok()?) })
            }
            _ => None,
        }
    }
}

/// The caller's mistake; the engine is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The engine does not wait for this input.
    UnexpectedInput,
    /// The buffer is too small; [`COMMAND_LEN`] is always enough.
    BufferTooSmall {
        /// Bytes needed.
        needed: usize,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedInput => f.write_str("input does not fit the engine's state"),
            Self::BufferTooSmall { needed } => {
                write!(f, "command buffer is too small, {needed} bytes needed")
            }
        }
    }
}

impl core::error::Error for Misuse {}

/// Writes a command where the caller wants it.
fn write<'o>(command: &Command<'_>, out: &'o mut [u8]) -> Result<&'o [u8], Misuse> {
    command.write(out).map_err(|full| Misuse::BufferTooSmall { needed: full.needed })
}

/// Data and status word of an answer.
fn answer(raw: &[u8], during: Stage) -> Result<(&[u8], Sw), Fault> {
    let response = Response::parse(raw).map_err(|_| Fault::Malformed { during })?;
    Ok((response.data(), response.sw()))
}

/// The data of an answer that has to be 9000.
fn ok(raw: &[u8], during: Stage) -> Result<&[u8], Fault> {
    match answer(raw, during)? {
        (data, sw) if sw.is_ok() => Ok(data),
        (_, sw) => Err(Fault::Status { during, sw }),
    }
}
