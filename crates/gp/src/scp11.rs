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
//! What the host is: the chain of its certificates begins at the key of an authority that the card has (identifiers 10, 20 to 2F), and the
//! card may have a list of serial numbers it accepts.
//!
//! | variant | host is authentic | card's half of the first secret | second secret |
//! |---|---|---|---|
//! | a | yes | an ephemeral key | static with static |
//! | b | no: it must not open content management | an ephemeral key | ephemeral of the host with static |
//! | c | yes, but a script can be replayed: that is the application's to notice | its static key | static with static |

pub mod agreement;
pub mod authenticate;
pub mod certificate;

pub use agreement::{Secrets, SessionKeys};
pub use authenticate::{Authenticate, Identifiers};

use huiwan_apdu::{Command, Ne};

/// Protocol number.
pub const SCP: u8 = 0x11;
/// The "i" parameter of a card that speaks a, b and c with X.509 certificates. (a YubiKey 5.7; the text that gives its bits a meaning
/// is not public)
pub const I: u16 = 0x0D86;
/// Instruction byte of GENERATE KEY. (yubikey-manager)
pub const GENERATE_KEY: u8 = 0xF1;
/// Identifier of the key of a host's authority by habit; 20 to 2F are for more of them. \[GPC_GUI_010\]
pub const KID_AUTHORITY: u8 = 0x10;
/// Reference of the curve P-256 in keys. [AmdE 4.5]
pub const CURVE_P256: u8 = 0x00;
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

/// GENERATE KEY: a new private key under this version and identifier, in place of the key of version `replaced` (00: of none). The answer is
/// `B0` with the public point. (yubikey-manager)
#[must_use]
pub const fn generate_key(cla: u8, replaced: u8, key_id: u8, data: &[u8; 4]) -> Command<'_> {
    Command::new(cla, GENERATE_KEY, replaced, key_id).with_data(data).with_ne(Ne::MAX_SHORT)
}

/// The data of GENERATE KEY: version ‖ F0 01 curve.
#[must_use]
pub const fn generate_key_data(key_version: u8, curve: u8) -> [u8; 4] {
    [key_version, crate::put_key::TYPE_F0_ECC_CURVE, 0x01, curve]
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

    /// The variant of a card's key with this identifier.
    #[must_use]
    pub const fn from_key_id(key_id: u8) -> Option<Self> {
        match key_id {
            0x11 => Some(Self::A),
            0x13 => Some(Self::B),
            0x15 => Some(Self::C),
            _ => None,
        }
    }

    /// Reads the parameters without the bit that says whether identifiers are part of the derivation; `None` for what is none.
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
