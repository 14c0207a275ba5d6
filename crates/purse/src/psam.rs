//! The PSAM: the security module in the terminal, at the level of its own commands.
//!
//! Engines never hold purse keys. They ask with a [`SamRequest`] and go on with a [`SamAnswer`]; a real PSAM behind any
//! link ([`InitForPurchase::command_data`] is what it wants to see) and [`SoftSam`] are interchangeable.

use core::fmt;

use huiwan_apdu::Sw;

use crate::date::Stamp;
use crate::keys::CardId;
use crate::mac::{Mac, TerminalNo};
use crate::pack::{Pack, Unpack};
use crate::profile::Profile;
use crate::status;
use crate::tti::Tti;

mod soft;

pub use soft::{SamKey, SoftSam};

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
    /// 06 or 09.
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
        let fixed: [u8; Self::FIXED_LEN] = Pack::new()
            .put(self.random)
            .put(self.offline_seq.to_be_bytes())
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.stamp.to_bytes())
            .put([self.key_version, self.algorithm])
            .finish();
        // Four factors fit; no scheme has more than two.
        let factors = profile.sam_factors.iter().take(4).flat_map(|factor| self.card.factor(*factor));
        fixed.into_iter().chain(factors).collect()
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

/// What an engine wants from the PSAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamRequest {
    /// 80 70.
    InitForPurchase(InitForPurchase),
    /// 80 72.
    CreditForPurchase(CreditForPurchase),
}

/// What the PSAM answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamAnswer {
    /// To 80 70.
    Purchase(SamPurchase),
    /// To 80 72: MAC2 is right.
    Credited,
    /// To either.
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
    /// There is no purchase this belongs to.
    pub const STATE: Self = Self(Sw::COMMAND_STATE);
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

    /// Whatever an engine asks.
    fn answer(&mut self, request: &SamRequest) -> SamAnswer {
        match request {
            SamRequest::InitForPurchase(request) => match self.init_for_purchase(request) {
                Ok(purchase) => SamAnswer::Purchase(purchase),
                Err(refused) => SamAnswer::Refused(refused),
            },
            SamRequest::CreditForPurchase(request) => match self.credit_for_purchase(request) {
                Ok(()) => SamAnswer::Credited,
                Err(refused) => SamAnswer::Refused(refused),
            },
        }
    }

    /// Several requests in order, for a software module that serves many gates; as many as both slices have.
    fn answer_all(&mut self, requests: &[SamRequest], answers: &mut [SamAnswer]) {
        for (request, answer) in requests.iter().zip(answers) {
            *answer = self.answer(request);
        }
    }
}
