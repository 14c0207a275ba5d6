//! How a tap ends: the decision, what to show, what to do with the field, and why.

use crate::data::bits::Tvr;
use core::fmt;
use huiwan_apdu::Sw;
use huiwan_tlv::{At, Tag, TlvError};

/// The end of a tap, as far as the card is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The decision.
    pub verdict: Verdict,
    /// How the cardholder is, or will be, verified.
    pub cvm: Cvm,
    /// What offline data authentication found.
    pub oda: Oda,
    /// What to show.
    pub message: Message,
    /// What to do with the field.
    pub field: Field,
    /// Card and terminal can both bring the issuer's answer to the card in a second tap ([`super::Input::IssuerAnswer`]).
    pub issuer_update: bool,
    /// What the terminal noted. The TVR of the cryptogram is the one in the PDOL data, all zeros.
    pub tvr: Tvr,
    /// What was wrong, when something was.
    pub fault: Option<Fault>,
}

/// The decision. `[EMV-B-A 6]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Paid offline.
    Approved,
    /// Ask the issuer.
    OnlineRequest,
    /// Not paid.
    Declined,
    /// This card pays another way: insert or swipe it.
    TryAnotherInterface,
    /// Present the card again; a new transaction.
    TryAgain,
    /// This application can't; [`super::EntryPoint`] goes on with the next and never returns this.
    SelectNext,
    /// No way to pay with this card.
    EndApplication,
    /// Present one card only; a new transaction.
    SeveralCards,
    /// The card left while its last record, which books the debit, was under way: the payment may or may not have
    /// happened. Present the same card again ([`super::Input::SameCardAgain`]).
    Torn,
    /// It stays unknown whether the card paid: ask the card for its log or balance.
    Unknown,
    /// The issuer's answer was given to the card; see the script results.
    IssuerUpdated,
}

/// How the cardholder is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cvm {
    /// Not at all.
    #[default]
    None,
    /// By a PIN the issuer checks.
    OnlinePin,
    /// By a signature on the receipt.
    Signature,
    /// By the device itself (fingerprint, passcode); done.
    Device,
}

/// What offline data authentication found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Oda {
    /// It wasn't performed.
    #[default]
    NotPerformed,
    /// The card is genuine and signed this transaction.
    Passed,
    /// It failed: no chain of trust, or a wrong signature.
    Failed,
}

/// What to show. Texts and times are the scheme's; these are their meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Message {
    Approved,
    ApprovedPleaseSign,
    Authorising,
    EnterPin,
    Declined,
    InsertCard,
    PresentCardAgain,
    PresentOneCardOnly,
    PresentSameCardAgain,
    SeePhone,
    CardNotAccepted,
    CheckBalance,
}

/// What to do with the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Off at once, so that the card can be taken away.
    Off,
    /// Off for so many milliseconds, then on for another try.
    OffFor(u16),
    /// Leave it on.
    On,
}

/// What was wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Where.
    pub place: Place,
}

impl Fault {
    pub(crate) const fn new(kind: FaultKind, place: Place) -> Self {
        Self { kind, place }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

/// What was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// An answer without status word.
    ResponseTruncated,
    /// A status word that is not success.
    Status(Sw),
    /// The answer is no template of the kind that belongs here.
    Template,
    /// The answer is no TLV; the offset is in the answer.
    Tlv(At<TlvError>),
    /// A mandatory object is missing.
    Missing(Tag),
    /// A primitive object came twice.
    Repeated(Tag),
    /// An object has no value of its format, or one that contradicts another.
    Value(Tag),
    /// The terminal's memory is full.
    TooMuchData,
    /// The AFL lists more records than the rules allow.
    TooManyRecords,
    /// No application that both sides have is left.
    NoApplication,
    /// The card left the field.
    CardLost,
    /// The same card came too late.
    TooLate,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResponseTruncated => f.write_str("response has no status word"),
            Self::Status(sw) => write!(f, "status word {sw}"),
            Self::Template => f.write_str("unexpected template"),
            Self::Tlv(error) => write!(f, "{error}"),
            Self::Missing(tag) => write!(f, "{tag} is missing"),
            Self::Repeated(tag) => write!(f, "{tag} came twice"),
            Self::Value(tag) => write!(f, "{tag} has a wrong value"),
            Self::TooMuchData => f.write_str("more data than the terminal's memory holds"),
            Self::TooManyRecords => f.write_str("more records than the rules allow"),
            Self::NoApplication => f.write_str("no application left"),
            Self::CardLost => f.write_str("card left the field"),
            Self::TooLate => f.write_str("card came back too late"),
        }
    }
}

/// Where something was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Before any command: limits.
    Preprocessing,
    /// SELECT PPSE.
    Ppse,
    /// SELECT of the application.
    Select,
    /// GET PROCESSING OPTIONS.
    Gpo,
    /// READ RECORD.
    Record {
        /// Short file identifier.
        sfi: u8,
        /// Record number.
        number: u8,
    },
    /// After the last record.
    Decision,
    /// Recovery of a torn tap.
    Recovery,
    /// The second tap.
    IssuerUpdate,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preprocessing => f.write_str("pre-processing"),
            Self::Ppse => f.write_str("select ppse"),
            Self::Select => f.write_str("select application"),
            Self::Gpo => f.write_str("get processing options"),
            Self::Record { sfi, number } => write!(f, "read record {number} of file {sfi}"),
            Self::Decision => f.write_str("decision"),
            Self::Recovery => f.write_str("recovery of a torn tap"),
            Self::IssuerUpdate => f.write_str("issuer update"),
        }
    }
}

impl Outcome {
    /// The outcome that belongs to a verdict: its message and what happens to the field. `[EMV-B-A 6.2]`
    pub(crate) const fn of(verdict: Verdict, fault: Option<Fault>) -> Self {
        let (message, field) = match verdict {
            Verdict::Approved | Verdict::IssuerUpdated => (Message::Approved, Field::Off),
            Verdict::OnlineRequest => (Message::Authorising, Field::Off),
            Verdict::Declined => (Message::Declined, Field::Off),
            Verdict::TryAnotherInterface => (Message::InsertCard, Field::On),
            Verdict::TryAgain => (Message::PresentCardAgain, Field::On),
            Verdict::SelectNext | Verdict::EndApplication => (Message::CardNotAccepted, Field::Off),
            Verdict::SeveralCards => (Message::PresentOneCardOnly, Field::On),
            Verdict::Torn => (Message::PresentSameCardAgain, Field::On),
            Verdict::Unknown => (Message::CheckBalance, Field::Off),
        };
        Self {
            verdict,
            cvm: Cvm::None,
            oda: Oda::NotPerformed,
            message,
            field,
            issuer_update: false,
            tvr: Tvr([0; 5]),
            fault,
        }
    }
}
