//! The PSAM: the security module in the terminal, at the level of its own commands.
//!
//! Engines never hold purse keys. They ask with a [`SamRequest`] and go on with a [`SamAnswer`]; a real PSAM behind any
//! link ([`InitForPurchase::command_data`] is what it wants to see) and [`SoftSam`] are interchangeable.

use core::fmt;

use huiwan_apdu::Sw;

use crate::date::Stamp;
use crate::keys::{CardId, Factor};
use crate::mac::{Mac, PurchaseTac, TerminalNo};
use crate::pack::Unpack;
use crate::profile::Profile;
use crate::status;
use crate::tti::Tti;

pub mod card;
mod engine;
mod link;
pub mod personalisation;
mod soft;
mod wire;

pub use engine::auth_code;
pub use link::{Ask, AskStep, LinkedSam, Opening, SamApplication};
pub use soft::{SamKey, SoftSam, UsageKey};
pub use wire::{KeyFile, SamInfo};

/// INIT SAM FOR PURCHASE (80 70): a terminal transaction number and MAC1 for a purchase. [sheet 4]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitForPurchase {
    /// The card, whose factors diversify the key.
    pub card: CardId,
    /// The card's random number.
    pub random: [u8; 4],
    /// The card's offline counter.
    pub offline_seq: u16,
    /// Amount, fen.
    pub amount: u32,
    /// 04, 05, 06 or 09.
    pub tti: Tti,
    /// The terminal's date and time.
    pub stamp: Stamp,
    /// Key version, as the card answered it.
    pub key_version: u8,
    /// Algorithm, as the card answered it.
    pub algorithm: u8,
}

impl InitForPurchase {
    /// The fixed part of the command data; eight bytes for each factor follow.
    pub const FIXED_LEN: usize = 20;

    /// The command data: random ‖ counter ‖ amount ‖ type ‖ date ‖ time ‖ key version ‖ algorithm ‖ factors.
    #[must_use]
    pub fn command_data(&self, profile: &Profile) -> heapless::Vec<u8, 52> {
        // Four factors fit; no scheme has more than two.
        self.terms().to_bytes().into_iter().chain(wire::factors(profile, &self.card)).collect()
    }

    pub(crate) const fn terms(&self) -> wire::Terms {
        let Self { random, offline_seq, amount, tti, stamp, key_version, algorithm, .. } = *self;
        wire::Terms { random, offline_seq, amount, tti, stamp, key_version, algorithm }
    }
}

/// Answer of INIT SAM FOR PURCHASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamPurchase {
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// MAC1.
    pub mac1: Mac,
}

impl SamPurchase {
    /// Reads the answer; `None` if it is not eight bytes long.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let raw: &[u8; 8] = raw.try_into().ok()?;
        let mut fields = Unpack::new(raw);
        Some(Self { terminal_seq: fields.u32(), mac1: fields.take() })
    }
}

/// CREDIT SAM FOR PURCHASE (80 72): checks the card's MAC2. [sheet 4]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditForPurchase {
    /// The terminal's transaction number the MAC belongs to; a real PSAM knows only its last one.
    pub terminal_seq: u32,
    /// MAC2, which is the command data.
    pub mac2: Mac,
}

/// INIT SAM FOR GREY LOCK (E0 40): a terminal transaction number, a random number and MAC1. \[S:LOH\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitForGreyLock {
    /// The card.
    pub card: CardId,
    /// The card's random number.
    pub random: [u8; 4],
    /// The card's offline counter.
    pub offline_seq: u16,
    /// The card's balance, fen: it stands in the place of the amount.
    pub balance: u32,
    /// The terminal's date and time.
    pub stamp: Stamp,
    /// Key version, as the card answered it.
    pub key_version: u8,
    /// Algorithm, as the card answered it.
    pub algorithm: u8,
}

impl InitForGreyLock {
    /// The command data, as of a purchase: the balance in the place of the amount, type 91.
    #[must_use]
    pub fn command_data(&self, profile: &Profile) -> heapless::Vec<u8, 52> {
        self.terms().to_bytes().into_iter().chain(wire::factors(profile, &self.card)).collect()
    }

    pub(crate) const fn terms(&self) -> wire::Terms {
        let Self { random, offline_seq, balance, stamp, key_version, algorithm, .. } = *self;
        let (amount, tti) = (balance, Tti::GREY_LOCK);
        wire::Terms { random, offline_seq, amount, tti, stamp, key_version, algorithm }
    }
}

/// Answer of INIT SAM FOR GREY LOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamGreyLock {
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// The terminal's random number.
    pub terminal_random: [u8; 4],
    /// MAC1.
    pub mac1: Mac,
}

impl SamGreyLock {
    /// Reads the answer; `None` if it is not twelve bytes long.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let raw: &[u8; 12] = raw.try_into().ok()?;
        let mut fields = Unpack::new(raw);
        Some(Self { terminal_seq: fields.u32(), terminal_random: fields.take(), mac1: fields.take() })
    }
}

/// E0 42: checks MAC2 of a grey lock. \[S:LOH\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertifyGreyLock {
    /// The terminal's transaction number the MAC belongs to.
    pub terminal_seq: u32,
    /// MAC2, which is the command data.
    pub mac2: Mac,
}

/// E0 44: GMAC of a debit for unlock, by the session key of the grey lock before. \[S:LOH\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalculateGmac {
    /// The card.
    pub card: CardId,
    /// Offline counter, as DEBIT FOR UNLOCK names it.
    pub offline_seq: u16,
    /// Amount, fen.
    pub amount: u32,
}

impl CalculateGmac {
    /// The command data: 93 ‖ serial 8 ‖ offline counter ‖ amount.
    #[must_use]
    pub fn command_data(&self) -> [u8; 15] {
        wire::Gmac {
            serial: self.card.factor(Factor::Serial),
            offline_seq: self.offline_seq,
            amount: self.amount,
        }
        .to_bytes()
    }
}

/// INIT DES and DES CALCULATION (80 1A, 80 FA 05): a MAC under a diversified maintenance key, as the lock of a
/// blacklisted card needs it. [sheet 5.6: I:SH,HD]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureCommand {
    /// The card.
    pub card: CardId,
    /// Version of the maintenance key.
    pub key_version: u8,
    /// Algorithm of the maintenance key.
    pub algorithm: u8,
    /// The card's challenge, filled up with zeros to eight bytes.
    pub challenge: [u8; 8],
    /// CLA, INS, P1, P2 and Lc of the command, whose data are the MAC alone.
    pub header: [u8; 5],
}

/// AUTHENTICATE (80 CA): checks the authentication code of a 建设部 card. \[S:XA\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckAuthCode {
    /// The card.
    pub card: CardId,
    /// The code, as the card answered it.
    pub code: [u8; 9],
}

/// INIT DES and DES CALCULATION with the TAC key: the TAC a purchase has to have, where the PSAM holds that key (闪卡).
/// \[S:W-TAC\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecomputeTac {
    /// The card.
    pub card: CardId,
    /// Algorithm of the TAC key.
    pub algorithm: u8,
    /// What the TAC covers.
    pub message: PurchaseTac,
}

/// What an engine wants from the PSAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamRequest {
    /// 80 70.
    InitForPurchase(InitForPurchase),
    /// 80 72.
    CreditForPurchase(CreditForPurchase),
    /// E0 40.
    InitForGreyLock(InitForGreyLock),
    /// E0 42.
    CertifyGreyLock(CertifyGreyLock),
    /// E0 44.
    CalculateGmac(CalculateGmac),
    /// 80 1A, 80 FA.
    SecureCommand(SecureCommand),
    /// 80 CA.
    CheckAuthCode(CheckAuthCode),
    /// 80 1A, 80 FA with the TAC key.
    RecomputeTac(RecomputeTac),
}

/// What the PSAM answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamAnswer {
    /// To 80 70.
    Purchase(SamPurchase),
    /// To 80 72: MAC2 is right.
    Credited,
    /// To E0 40.
    GreyLock(SamGreyLock),
    /// To E0 42: MAC2 is right.
    Certified,
    /// To E0 44: GMAC. To 80 FA: the MAC or TAC.
    Mac(Mac),
    /// To 80 CA: the code is the card's.
    Authentic,
    /// To any.
    Refused(SamRefused),
}

/// The PSAM refused with this status word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SamRefused(pub Sw);

impl SamRefused {
    /// MAC2 is wrong.
    pub const MAC_INVALID: Self = Self(status::MAC_INVALID);
    /// There is no such key.
    pub const NO_KEY: Self = Self(status::KEY_INDEX);
    /// The PSAM has no such command.
    pub const NO_COMMAND: Self = Self(Sw::INS_NOT_SUPPORTED);
    /// There is no purchase this belongs to.
    pub const STATE: Self = Self(Sw::COMMAND_STATE);
    /// Too many wrong MAC2: the purchase keys are locked.
    pub const LOCKED: Self = Self(Sw::AUTH_BLOCKED);
    /// The transaction number is at its end.
    pub const COUNTER_AT_END: Self = Self(status::COUNTER_AT_END);
}

impl fmt::Display for SamRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "psam refused with {}", self.0)
    }
}

impl core::error::Error for SamRefused {}

/// A PSAM.
pub trait Sam {
    /// The number of the terminal it makes.
    fn terminal(&self) -> TerminalNo;

    /// The purchase key's index for the card's initialisation.
    fn key_index(&self) -> u8;

    /// INIT SAM FOR PURCHASE.
    ///
    /// # Errors
    /// Its status word.
    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused>;

    /// CREDIT SAM FOR PURCHASE.
    ///
    /// # Errors
    /// Its status word; [`SamRefused::MAC_INVALID`] if MAC2 is wrong.
    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused>;

    /// INIT SAM FOR GREY LOCK. A PSAM of a scheme without grey lock has no such command.
    ///
    /// # Errors
    /// Its status word.
    fn init_for_grey_lock(&mut self, request: &InitForGreyLock) -> Result<SamGreyLock, SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// E0 42, after [`init_for_grey_lock`](Self::init_for_grey_lock).
    ///
    /// # Errors
    /// Its status word; [`SamRefused::MAC_INVALID`] if MAC2 is wrong.
    fn certify_grey_lock(&mut self, request: &CertifyGreyLock) -> Result<(), SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// E0 44.
    ///
    /// # Errors
    /// Its status word.
    fn calculate_gmac(&mut self, request: &CalculateGmac) -> Result<Mac, SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// INIT DES and DES CALCULATION for the MAC of a secured command without data.
    ///
    /// # Errors
    /// Its status word.
    fn secure_command(&mut self, request: &SecureCommand) -> Result<Mac, SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// 80 CA of 建设部.
    ///
    /// # Errors
    /// Its status word.
    fn check_auth_code(&mut self, request: &CheckAuthCode) -> Result<(), SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// INIT DES and DES CALCULATION with the TAC key, where the PSAM holds it.
    ///
    /// # Errors
    /// Its status word.
    fn recompute_tac(&mut self, request: &RecomputeTac) -> Result<Mac, SamRefused> {
        let _ = request;
        Err(SamRefused::NO_COMMAND)
    }

    /// Whatever an engine asks.
    fn answer(&mut self, request: &SamRequest) -> SamAnswer {
        let answer = match request {
            SamRequest::InitForPurchase(request) => self.init_for_purchase(request).map(SamAnswer::Purchase),
            SamRequest::CreditForPurchase(request) => {
                self.credit_for_purchase(request).map(|()| SamAnswer::Credited)
            }
            SamRequest::InitForGreyLock(request) => self.init_for_grey_lock(request).map(SamAnswer::GreyLock),
            SamRequest::CertifyGreyLock(request) => {
                self.certify_grey_lock(request).map(|()| SamAnswer::Certified)
            }
            SamRequest::CalculateGmac(request) => self.calculate_gmac(request).map(SamAnswer::Mac),
            SamRequest::SecureCommand(request) => self.secure_command(request).map(SamAnswer::Mac),
            SamRequest::CheckAuthCode(request) => {
                self.check_auth_code(request).map(|()| SamAnswer::Authentic)
            }
            SamRequest::RecomputeTac(request) => self.recompute_tac(request).map(SamAnswer::Mac),
        };
        answer.unwrap_or_else(SamAnswer::Refused)
    }

    /// Several requests in order, for a software module that serves many gates; as many as both slices have.
    fn answer_all(&mut self, requests: &[SamRequest], answers: &mut [SamAnswer]) {
        for (request, answer) in requests.iter().zip(answers) {
            *answer = self.answer(request);
        }
    }
}
