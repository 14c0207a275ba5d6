//! Secure Channel Protocol 11 over elliptic curves: what host and card both compute. (AmdF, from code that cites it)
//!
//! ```text
//! host                                                card
//!  GET DATA BF21                               ◀──     certificate with PK.SD                certificate
//!  PERFORM SECURITY OPERATION (certificate)    ──▶     PK.OCE, if the chain is good (a, c)   certificate
//!  MUTUAL (a, c) or INTERNAL (b) AUTHENTICATE  ──▶     two shared secrets, session keys      agreement
//!  receipt, session keys                       ◀──     ephemeral key, receipt                agreement
//!  from here as SCP03, the receipt as first chaining value                                   crate::scp03
//! ```
//! | variant | host is authentic | card's half of the first secret | second secret |
//! |---|---|---|---|
//! | a | yes | an ephemeral key | static with static |
//! | b | no: it must not open content management | an ephemeral key | ephemeral of the host with static |
//! | c | yes, but a script can be replayed: that is the application's to notice | its static key | static with static |

pub mod agreement;
pub mod authenticate;
pub mod certificate;

pub use agreement::{Secrets, SessionKeys};
pub use authenticate::Authenticate;

use huiwan_apdu::{Command, Ne};

/// The protocol number in card recognition data.
pub const SCP: u8 = 0x11;
/// Instruction byte of PERFORM SECURITY OPERATION.
pub const PERFORM_SECURITY_OPERATION: u8 = 0x2A;
/// P2 bit of PERFORM SECURITY OPERATION: more certificates follow.
pub const MORE: u8 = 0x80;

/// PERFORM SECURITY OPERATION with one host certificate, for the authority key of this version and identifier; `more` says that the next
/// of the chain follows. One longer than 255 bytes goes in pieces by command chaining ([`huiwan_apdu::chaining`]).
#[must_use]
pub const fn perform_security_operation(
    cla: u8,
    key_version: u8,
    key_id: u8,
    certificate: &[u8],
    more: bool,
) -> Command<'_> {
    let p2 = if more { key_id | MORE } else { key_id };
    Command::new(cla, PERFORM_SECURITY_OPERATION, key_version, p2)
        .with_data(certificate)
        .with_ne(Ne::MAX_SHORT)
}

/// The data of GET DATA `BF21` that asks for the certificate of a key: A6 { 83 identifier ‖ version }.
#[must_use]
pub const fn certificate_request(key_id: u8, key_version: u8) -> [u8; 6] {
    [0xA6, 0x04, 0x83, 0x02, key_id, key_version]
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Mutual authentication.
    A,
    /// Of the card alone.
    B,
    /// Mutual, with scripts that can be made ahead for a group of cards.
    C,
}

impl Variant {
    /// Identifier of the card's key by habit. \[GPC_GUI_010\]
    #[must_use]
    pub const fn key_id(self) -> u8 {
        match self {
            Self::A => 0x11,
            Self::B => 0x13,
            Self::C => 0x15,
        }
    }

    /// Instruction byte: MUTUAL AUTHENTICATE or INTERNAL AUTHENTICATE.
    #[must_use]
    pub const fn ins(self) -> u8 {
        match self {
            Self::A | Self::C => 0x82,
            Self::B => 0x88,
        }
    }

    /// The variant as the parameters of the command say it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::A => 0x01,
            Self::B => 0x00,
            Self::C => 0x03,
        }
    }

    /// Reads the parameters; `None` for what is none, or says that a host identifier is part of the derivation.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::B),
            0x01 => Some(Self::A),
            0x03 => Some(Self::C),
            _ => None,
        }
    }

    /// Whether the card knows who the host is.
    #[must_use]
    pub const fn authenticates_host(self) -> bool {
        !matches!(self, Self::B)
    }
}
