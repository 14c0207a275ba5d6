//! SET STATUS: whose state changes, and to what. [GPC 11.10]

/// Instruction byte.
pub const INS: u8 = 0xF0;
/// P1: the card (issuer security domain).
pub const CARD: u8 = 0x80;
/// P1: an application or supplementary security domain.
pub const APPLICATION: u8 = 0x40;
/// P1: a security domain and everything associated with it.
pub const DOMAIN_AND_ASSOCIATED: u8 = 0x60;
/// P2 of an application: locked.
pub const LOCK: u8 = 0x80;
/// P2 of an application: unlocked.
pub const UNLOCK: u8 = 0x00;
