//! What a terminal is and knows: the same for all its transactions.

use super::qpboc::Rules;
use crate::certificates::{CaKey, CaKeys};
use crate::data::amount::Amount;
use crate::data::bits::TerminalCapabilities;
use crate::qualifiers::Ttq;
use huiwan_apdu::Aid;
use huiwan_tlv::{Tag, dol};

/// A terminal's parameters.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Configuration<'c> {
    /// The applications it takes, each with its kernel and limits.
    pub combinations: &'c [Combination],
    /// 9F1A.
    pub country: [u8; 2],
    /// 9F33.
    pub capabilities: TerminalCapabilities,
    /// 9F40.
    pub additional_capabilities: [u8; 5],
    /// 9F35.
    pub terminal_type: u8,
    /// 9F1E.
    pub serial_number: [u8; 8],
    /// 9F09.
    pub application_version: [u8; 2],
    /// Further values cards may ask for in their PDOL, as DF60, DF69 or 9F4E; what is not here is filled with zeros.
    pub more: &'c [(Tag, &'c [u8], dol::Format)],
    /// Certification authority keys.
    pub keys: &'c dyn CaKeys,
    /// Cards to refuse.
    pub exceptions: &'c dyn ExceptionFile,
    /// What the kernel takes from the scheme.
    pub rules: Rules,
}

/// An application a terminal takes. `[EMV-B-A 5.8]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Combination {
    /// The application, or the beginning of its identifier.
    pub aid: Aid,
    /// Which kernel: 07 for quickPass.
    pub kernel: u8,
    /// TTQ before the bits of one transaction are set.
    pub ttq: Ttq,
    /// Contactless limits.
    pub limits: Limits,
}

impl Combination {
    /// A combination for quickPass without limits.
    #[must_use]
    pub const fn quick_pass(aid: Aid, ttq: Ttq) -> Self {
        Self { aid, kernel: KERNEL_QUICK_PASS, ttq, limits: Limits::NONE }
    }

    /// The same with other limits.
    #[must_use]
    pub const fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// The kernel identifier of quickPass.
pub const KERNEL_QUICK_PASS: u8 = 0x07;

/// Reader limits, each off when `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Status check: this very amount asks for an online cryptogram.
    pub status_check: Option<Amount>,
    /// DF20: from this amount on, contactless is not for this terminal.
    pub transaction: Option<Amount>,
    /// DF21: from this amount on the cardholder must be verified.
    pub cvm: Option<Amount>,
    /// DF19, else 9F1B: above this amount an online cryptogram is required.
    pub floor: Option<Amount>,
    /// Amount zero is fine, as the extended (transit) application uses it.
    pub zero_is_allowed: bool,
}

impl Limits {
    /// No limits.
    pub const NONE: Self =
        Self { status_check: None, transaction: None, cvm: None, floor: None, zero_is_allowed: false };
}

/// The terminal's list of cards to refuse.
pub trait ExceptionFile {
    /// Whether the card with this account number (digits two a byte, F-padded as tag 5A has it) and sequence number
    /// (5F34) is on the list.
    fn contains(&self, pan: &[u8], sequence_number: Option<u8>) -> bool;
}

/// No keys, no exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Nothing;

impl ExceptionFile for Nothing {
    fn contains(&self, _: &[u8], _: Option<u8>) -> bool {
        false
    }
}

impl CaKeys for Nothing {
    fn find(&self, _: &[u8; 5], _: u8) -> Option<CaKey<'_>> {
        None
    }
}

/// UnionPay debit, credit, quasi-credit and e-cash, online capable, without limits.
const QUICK_PASS: [Combination; 4] = {
    const fn one(last: u8) -> Combination {
        let aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, last]);
        Combination::quick_pass(aid, Ttq([0x26, 0x00, 0x00, 0x80]))
    }
    [one(0x01), one(0x02), one(0x03), one(0x06)]
};

impl Default for Configuration<'_> {
    /// An attended Chinese POS (type 22) for quickPass, online capable, without limits, keys or exceptions.
    fn default() -> Self {
        Self {
            combinations: &QUICK_PASS,
            country: [0x01, 0x56],
            capabilities: TerminalCapabilities([0xE0, 0xE9, 0xC8]),
            additional_capabilities: [0; 5],
            terminal_type: 0x22,
            serial_number: *b"00000000",
            application_version: [0x00, 0x30],
            more: &[],
            keys: &Nothing,
            exceptions: &Nothing,
            rules: Rules::QUICK_PASS,
        }
    }
}

impl core::fmt::Debug for Configuration<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Configuration")
            .field("combinations", &self.combinations)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
