//! Why a task failed, in words: what happened, what it likely means, what is safe to do.

use core::fmt;

use huiwan_apdu::{Aid, Sw};

use super::key_store::KeyError;
use crate::life_cycle::CardState;

mod content;

/// Where a task was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// SELECT.
    Select,
    /// INITIALIZE UPDATE.
    InitializeUpdate,
    /// EXTERNAL AUTHENTICATE.
    ExternalAuthenticate,
    /// The first command of an SCP02 channel without a handshake is being prepared.
    Initiate,
    /// GET DATA for the card's certificates of SCP11, and their check.
    CardCertificates,
    /// PERFORM SECURITY OPERATION with the host's certificates.
    HostCertificates,
    /// MUTUAL or INTERNAL AUTHENTICATE, and the check of its receipt.
    Authenticate,
    /// GET DATA.
    GetData,
    /// GET STATUS.
    GetStatus,
    /// INSTALL.
    Install,
    /// INSTALL [for extradition].
    Extradition,
    /// INSTALL [for registry update].
    RegistryUpdate,
    /// INSTALL [for load].
    InstallForLoad,
    /// LOAD.
    Load {
        /// Number of the block, from 0.
        block: u8,
    },
    /// The confirmation of the last LOAD: the file is on the card.
    LoadReceipt,
    /// INSTALL [for personalization].
    InstallForPersonalization,
    /// STORE DATA of a data grouping.
    StoreData {
        /// Its place in the script, from 0.
        index: usize,
        /// Its identifier.
        id: u16,
    },
    /// PUT KEY.
    PutKey,
    /// DELETE.
    Delete,
    /// SET STATUS.
    SetStatus,
    /// A command of the caller's.
    Command,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select => f.write_str("select"),
            Self::InitializeUpdate => f.write_str("initialize update"),
            Self::ExternalAuthenticate => f.write_str("external authenticate"),
            Self::Initiate => f.write_str("implicit initiation"),
            Self::CardCertificates => f.write_str("card certificates"),
            Self::HostCertificates => f.write_str("host certificates"),
            Self::Authenticate => f.write_str("authenticate"),
            Self::GetData => f.write_str("get data"),
            Self::GetStatus => f.write_str("get status"),
            Self::Install => f.write_str("install"),
            Self::Extradition => f.write_str("extradition"),
            Self::RegistryUpdate => f.write_str("registry update"),
            Self::InstallForLoad => f.write_str("install for load"),
            Self::Load { block } => write!(f, "load of block {block}"),
            Self::LoadReceipt => f.write_str("receipt of the load"),
            Self::InstallForPersonalization => f.write_str("install for personalization"),
            Self::StoreData { index, id } => write!(f, "store data of grouping {id:04X} (number {index})"),
            Self::PutKey => f.write_str("put key"),
            Self::Delete => f.write_str("delete"),
            Self::SetStatus => f.write_str("set status"),
            Self::Command => f.write_str("command"),
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The card refused with this status word.
    Status(Sw),
    /// The card's answer cannot be read; which part.
    Malformed(&'static str),
    /// The key store refused.
    Key(KeyError),
    /// The card is gone.
    CardLost,
    /// The task needs an open channel.
    NoChannel,
    /// Data do not fit a command or the output buffer, or a script needs more than 256 of STORE DATA.
    TooLong,
    /// The channel has no command MACs: anybody on the way could change what is personalised.
    WithoutMac,
    /// The card stored keys with other check values than were sent.
    CheckValues,
    /// There is a key set of the new version already.
    VersionTaken(u8),
    /// New keys are wanted on a card whose channels have no handshake.
    NotProvable,
    /// The card opened the channel with keys of this version, not of the one asked for.
    OtherVersion(u8),
    /// These keys were to be deleted, but it is their version that the channel stands on.
    KeysInUse(u8),
    /// A grouping of keys or of a PIN would go in the clear: it is not to be encrypted, and the channel does not encrypt commands either.
    SecretInClear,
    /// There is something of this AID already.
    AidTaken(Aid),
    /// The load file imports a package the card does not have, or not in this version.
    ImportMissing {
        /// AID of the package.
        aid: Aid,
        /// Major version wanted.
        major: u8,
        /// Minor version wanted, or a later one.
        minor: u8,
    },
    /// The card has less durable memory than the load file needs.
    NoMemory {
        /// Free bytes.
        free: u32,
        /// Bytes needed.
        needed: u32,
    },
    /// The load file makes more blocks than LOAD can number.
    TooManyBlocks {
        /// Blocks at this security level.
        needed: usize,
        /// Blocks that can be numbered.
        most: usize,
    },
    /// The load file has signatures, which are over its hash, but INSTALL is to carry none.
    HashMissing,
    /// This domain wants its signature in every load file, or in this one.
    SignatureMissing(Aid),
    /// What was asked for is done, but its receipt is wrong or missing.
    Receipt,
    /// The card is in this state, from which the change is no step.
    CardState(CardState),
}

/// A failed task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub stage: Stage,
    /// What.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.stage)?;
        match self.kind {
            FaultKind::Status(sw) => write!(f, "card answered {sw}"),
            FaultKind::Malformed(what) => write!(f, "card's {what} cannot be read"),
            FaultKind::Key(error) => write!(f, "{error}"),
            FaultKind::CardLost => f.write_str("card is gone"),
            FaultKind::NoChannel => f.write_str("no secure channel is open"),
            FaultKind::TooLong => f.write_str("data are too long"),
            FaultKind::WithoutMac => f.write_str("channel has no command macs"),
            FaultKind::CheckValues => f.write_str("card reports other key check values"),
            FaultKind::NotProvable => f.write_str("card cannot show that new keys work"),
            FaultKind::OtherVersion(version) => {
                write!(f, "card opened with key version {version:02X} instead")
            }
            FaultKind::KeysInUse(version) => write!(f, "key version {version:02X} is the channel's own"),
            FaultKind::SecretInClear => f.write_str("secret would go in the clear"),
            FaultKind::VersionTaken(version) => write!(f, "key version {version:02X} is there already"),
            FaultKind::AidTaken(aid) => write!(f, "{aid} is on the card already"),
            FaultKind::ImportMissing { aid, major, minor } => {
                write!(f, "package {aid} is not on the card in version {major}.{minor}")
            }
            FaultKind::NoMemory { free, needed } => {
                write!(f, "card has {free} bytes left, and the file needs {needed}")
            }
            FaultKind::TooManyBlocks { needed, most } => {
                write!(f, "file makes {needed} blocks, and only {most} can be numbered")
            }
            FaultKind::HashMissing => f.write_str("file is signed, but no hash is to be sent"),
            FaultKind::SignatureMissing(domain) => write!(f, "signature of {domain} is missing"),
            FaultKind::Receipt => f.write_str("receipt is wrong or missing"),
            FaultKind::CardState(state) => write!(f, "card is {}", state_name(state)),
        }?;
        let advice = self.advice();
        write!(f, "; {}; {}", advice.likely, advice.safe)
    }
}

impl core::error::Error for Fault {}

/// What a fault likely means and what is safe to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The likely cause.
    pub likely: &'static str,
    /// What does no harm.
    pub safe: &'static str,
}

const fn advice(likely: &'static str, safe: &'static str) -> Advice {
    Advice { likely, safe }
}

impl Fault {
    /// Cause and remedy in words.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        match self.kind {
            FaultKind::Status(sw) => self.status_advice(sw.value()),
            FaultKind::Malformed(_) => advice(
                "this card deviates from the specification or speaks another protocol version",
                "nothing was changed by reading; look at the answer before anything else is sent",
            ),
            FaultKind::Key(KeyError::CardCryptogram) => advice(
                "wrong keys, wrong key version or wrong derivation for this card",
                "nothing was sent that counts as a failed attempt; check the key reference before the next try",
            ),
            FaultKind::Key(KeyError::Certificate) => advice(
                "the card's certificates come from another authority, or belong to another key",
                "nothing was told to the card; do not go on before its origin is clear",
            ),
            FaultKind::Key(KeyError::CardReceipt) => advice(
                "the card does not hold the key of its certificate, or derives session keys by another hash or mode",
                "the channel was not used; check the card's profile, else do not trust this card",
            ),
            FaultKind::Key(KeyError::NotAuthentic) => advice(
                "the response was changed on its way, or the card lost the session",
                "open a new channel and read the card's state; do not assume that the command failed",
            ),
            FaultKind::Key(KeyError::Algorithm) => advice(
                "the key reference is of DES keys and the card's key version of AES keys, or the other way round",
                "nothing was sent that counts as a failed attempt; check key reference and key version",
            ),
            FaultKind::Key(KeyError::Level) => advice(
                "the secure channel of this key version is without response protection, or the level is of another protocol",
                "nothing was sent that counts as a failed attempt; take a level the card offers",
            ),
            FaultKind::Key(_) => advice(
                "the key store is not set up for this card or not reachable",
                "the card was not touched by this; repair the store and start the task again",
            ),
            FaultKind::CardLost => advice(
                "the card left the reader or the link broke",
                "read the card's state, then repeat the task; a change was made whole or not at all",
            ),
            FaultKind::NoChannel => advice("open has not been done or failed", "open a channel first"),
            FaultKind::TooLong => advice(
                "the data or their protection do not fit this security level",
                "nothing was sent; shorten or split the data",
            ),
            FaultKind::WithoutMac => advice(
                "the channel was opened with level 00 or 10, which is for machines in guarded rooms",
                "nothing was sent; open a channel with command MACs",
            ),
            FaultKind::CheckValues => advice(
                "the new keys arrived damaged or under a wrong data encryption key",
                "the old keys still work: open with them and delete the new version",
            ),
            FaultKind::NotProvable => advice(
                "its secure channel has no handshake, and the card itself chooses the key set",
                "nothing was changed; change keys by hand, with a second card of the kind at hand to try it on",
            ),
            FaultKind::OtherVersion(_) => advice(
                "the card does not look at the version it is asked for",
                "old keys and new ones are both there, and the old ones still work; do not remove them before the new ones have been \
                 proved",
            ),
            FaultKind::KeysInUse(_) => advice(
                "without them, and without others that are known to work, nobody can manage the card any more",
                "nothing was sent; open a channel with the keys that are to stay, and delete the others then",
            ),
            FaultKind::SecretInClear => advice(
                "the grouping was made by hand: the identifiers of keys and PINs are encrypted by themselves",
                "nothing was sent; have the grouping encrypted, or open a channel with command encryption",
            ),
            FaultKind::VersionTaken(_) => advice(
                "an earlier change of keys got further than its journal says",
                "try to open with the new keys; if that works, only the removal of the old ones is left",
            ),
            FaultKind::CardState(CardState::CardLocked) => advice(
                "the card was locked, on purpose or by an earlier attempt",
                "nothing was changed; the issuer security domain still answers, and whoever has its keys can unlock the card",
            ),
            FaultKind::CardState(CardState::Terminated) => {
                advice("the card was terminated", "there is no way back; only GET DATA still works")
            }
            FaultKind::CardState(_) => advice(
                "the life cycle goes OP_READY, INITIALIZED, SECURED, one step at a time and never back; lock and unlock are between \
                 SECURED and CARD_LOCKED",
                "nothing was changed; no card is lost by asking",
            ),
            kind => content::of_kind(kind),
        }
    }

    const fn status_advice(&self, sw: u16) -> Advice {
        if let Some(advice) = content::of_status(self.stage, sw) {
            return advice;
        }
        match (self.stage, sw) {
            (Stage::Select, 0x6A82 | 0x6A81) => advice(
                "the application is not on the card, locked, or the card itself is locked",
                "select the issuer security domain and list the registry",
            ),
            (Stage::InitializeUpdate, 0x6A88) => {
                advice("there is no key set of this version", "read the key information template (E0)")
            }
            (Stage::InitializeUpdate, 0x6985) => advice(
                "the sequence counter of this key set is at its end, or the card is terminated",
                "read the card's life cycle; another key set still opens a channel",
            ),
            (Stage::InitializeUpdate, 0x6982 | 0x6983) => advice(
                "the card limits failed attempts",
                "stop and find the right keys before any further attempt",
            ),
            (Stage::CardCertificates, 0x6A88) => advice(
                "the card has no certificate for a key of this identifier and version",
                "read the key information template (E0) for its keys of type B0",
            ),
            (Stage::HostCertificates, 0x6600 | 0x6640 | 0x6A88) => advice(
                "the card does not know the authority of the host's certificates, or the host is not on its list",
                "compare the authority's key on the card (E0) with the chain; the card was not changed",
            ),
            (Stage::ExternalAuthenticate, 0x6300) => advice(
                "the card does not accept the host cryptogram although its own was right",
                "do not repeat blindly: cards may count this; compare key version and protocol options",
            ),
            (Stage::ExternalAuthenticate, 0x6985) => advice(
                "the card wants a higher security level in its life cycle state",
                "open with command MACs at least",
            ),
            (Stage::SetStatus, 0x6985) => advice(
                "this domain may not do this: locking and terminating a card are privileges",
                "nothing was changed; open a channel on the issuer security domain",
            ),
            (Stage::Install, 0x6985) => advice(
                "an application of this AID exists, or the application refuses its parameters",
                "list the registry; an existing instance can be used or deleted",
            ),
            (Stage::Install | Stage::InstallForPersonalization | Stage::SetStatus, 0x6A88) => {
                advice("no such module or application", "list load files with modules, and applications")
            }
            (Stage::Install | Stage::StoreData { .. } | Stage::PutKey, 0x6A84) => advice(
                "the card's memory is full",
                "delete what is not needed; nothing was stored by this command",
            ),
            (Stage::StoreData { id, .. }, _) if let Some(advice) = store_data_advice(id, sw) => advice,
            (Stage::PutKey, 0x6982) => advice(
                "a key check value did not match: wrong data encryption key",
                "no key was changed; compare the data encryption key of the card with the store's",
            ),
            (Stage::PutKey, 0x6A80 | 0x6A88 | 0x9484 | 0x9485) => advice(
                "the card refuses this key type, length or version",
                "no key was changed; read the key information template (E0)",
            ),
            (Stage::SetStatus, 0x6A80) => advice(
                "the card is in this state already or may not go there from its present one",
                "read the present state with a listing",
            ),
            (Stage::Delete, 0x6985) => advice(
                "the object is in use: selected, serving this session, or referenced by others",
                "close other channels and delete what depends on it first",
            ),
            (_, 0x6982) => advice(
                "the card ended the session: protection was wrong or missing",
                "open a new channel; the command was not executed",
            ),
            (_, 0x6581) => advice(
                "the card's memory failed",
                "read the card's state before anything else; do not terminate the card",
            ),
            (_, 0x6985) => advice(
                "the card's life cycle or the order of commands does not allow this",
                "read the card's life cycle with a listing; a locked card can be unlocked",
            ),
            (_, 0x6D00 | 0x6E00 | 0x6881) => advice(
                "another application is selected, or this card lacks the command",
                "select the security domain and try once more",
            ),
            (_, 0x6A86) => advice(
                "this card does not offer this variant of the command",
                "nothing was changed; look at the card's profile",
            ),
            _ => advice("the card has its own reason", "read the card's state before the next change"),
        }
    }
}

/// What the answer to a data grouping means. The groupings before it are stored, and storing them again does no harm. [sheet 5.2]
const fn store_data_advice(id: u16, sw: u16) -> Option<Advice> {
    Some(match (id.to_be_bytes(), sw) {
        ([0x90 | 0x94, _], 0x6985) => advice(
            "check values come before their keys",
            "put the keys before their check values and start again from the first grouping",
        ),
        ([0x90 | 0x94, _], 0x6982 | 0x6A80) => advice(
            "the keys on the card are not those of the check values: another order of the keys, or another data encryption key",
            "the card does not use these keys; compare the data encryption key, then start again from the first grouping",
        ),
        ([0x80 | 0x84, _], 0x6700 | 0x6A80 | 0x6982) => advice(
            "keys that do not come all three in one grouping, are padded in another way, or are encrypted under another key",
            "send the three keys together; compare padding and data encryption key with the card's; start again from the first grouping",
        ),
        ([0x81..=0x83 | 0x85, _], 0x6700 | 0x6A80) => advice(
            "parts of a private key padded in another way, or after a grouping that closes the personalisation of keys",
            "put the parts of the key together and before groupings that control the card; start again from the first grouping",
        ),
        (_, 0x6A80 | 0x6700) => advice(
            "the application refuses this grouping: its content, its length or its order",
            "start the personalisation again from the first grouping after correcting the script",
        ),
        (_, 0x6A88) => advice(
            "the application does not know this grouping",
            "leave it out of the script, or personalise another application",
        ),
        (_, 0x6A86) => advice(
            "the card reads P1 otherwise or expects another block number: an earlier sequence may be open, or the last-block bit came twice",
            "try the other coding of P1 (with or without structure bits), from the first grouping",
        ),
        (_, 0x6985) => advice(
            "too early or too late: a grouping that has to come before it is missing, or the application is in use already",
            "correct the order of the script and start again from the first grouping; do not change money that moved",
        ),
        _ => return None,
    })
}

const fn state_name(state: CardState) -> &'static str {
    match state {
        CardState::OpReady => "OP_READY",
        CardState::Initialized => "INITIALIZED",
        CardState::Secured => "SECURED",
        CardState::CardLocked => "CARD_LOCKED",
        CardState::Terminated => "TERMINATED",
    }
}
