//! STORE DATA: the bits of P1, which groupings are secret, and how those are padded. [GPC 11.11, CPS 4.3.5, sheet 5.2]
//!
//! An application takes its groupings from P1 of either kind: 08 68 88 E8 as GlobalPlatform writes them, 00 60 80 E0 as CPS does.
//! What a security domain keeps for itself comes in the first kind only, since without the bits its data are BER-TLV.

/// Instruction byte.
pub const INS: u8 = 0xE2;
/// Block numbers are 00 to FF and do not start again: the commands a sequence has at most.
pub const BLOCKS_MAX: usize = 256;

/// What the data field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// No statement (b5b4 = 00): data groupings when an application is personalised (CPS), BER-TLV for a domain.
    Unstated,
    /// Data groupings (01).
    Dgi,
    /// BER-TLV (10).
    BerTlv,
}

/// Whether the values are encrypted under the data encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// No statement, taken as none (b7b6 = 00).
    None,
    /// The application's own affair (01).
    Application,
    /// Every value (11).
    All,
}

/// P1 of STORE DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// Last block of the sequence (b8).
    pub last: bool,
    /// Encryption of the values (b7b6).
    pub encryption: Encryption,
    /// Structure (b5b4).
    pub structure: Structure,
}

impl Control {
    /// Reads P1; `None` for reserved values. Whether answer data are wanted (b1) makes no difference: no object of a domain answers
    /// any, and the Le of the command says the rest.
    #[must_use]
    pub const fn from_byte(p1: u8) -> Option<Self> {
        if p1 & 0x06 != 0 {
            return None;
        }
        let encryption = match p1 & 0x60 {
            0x00 => Encryption::None,
            0x20 => Encryption::Application,
            0x60 => Encryption::All,
            _ => return None,
        };
        let structure = match p1 & 0x18 {
            0x00 => Structure::Unstated,
            0x08 => Structure::Dgi,
            0x10 => Structure::BerTlv,
            _ => return None,
        };
        Some(Self { last: p1 & 0x80 != 0, encryption, structure })
    }

    /// P1.
    #[must_use]
    pub const fn byte(self) -> u8 {
        let last = if self.last { 0x80 } else { 0 };
        let encryption = match self.encryption {
            Encryption::None => 0,
            Encryption::Application => 0x20,
            Encryption::All => 0x60,
        };
        let structure = match self.structure {
            Structure::Unstated => 0,
            Structure::Dgi => 0x08,
            Structure::BerTlv => 0x10,
        };
        last | encryption | structure
    }
}

/// Whether CPS has a grouping encrypted: keys, PIN blocks and private keys, `80xx` to `85xx`. Check values (`90xx`, `94xx`) are not,
/// though some PBOC scripts do it. [sheet 5.2]
#[must_use]
pub const fn is_secret(dgi: u16) -> bool {
    matches!(dgi.to_be_bytes(), [0x80..=0x85, _])
}

/// Whether CPS has the value of an encrypted grouping padded in any case: numbers of a private key (RSA `81xx` `82xx` `83xx`, elliptic
/// curves `81xx` `85xx`), whose length nobody could tell otherwise. [sheet 5.2]
const fn is_number(dgi: u16) -> bool {
    matches!(dgi.to_be_bytes(), [0x81 | 0x82 | 0x83 | 0x85, _])
}

/// How encrypted values are padded to whole blocks. The padding is 80 00….
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DgiPadding {
    /// As CPS has it: parts of private keys always, and the security domain removes the padding; all others only when they are not
    /// whole blocks, and the padding stays: nobody but the application can tell. [sheet 5.2]
    #[default]
    Cps,
    /// Always, removed by the security domain: the application gets the exact value. (from a single source)
    Always,
    /// Only when the value is not whole blocks; nothing is removed. (from a single source)
    WhenNeeded,
}

impl DgiPadding {
    /// Whether the value of this grouping is padded even if it is whole blocks. Only such padding can be removed without knowing what
    /// the value is.
    #[must_use]
    pub const fn always(self, dgi: u16) -> bool {
        match self {
            Self::Cps => is_number(dgi),
            Self::Always => true,
            Self::WhenNeeded => false,
        }
    }

    /// Bytes of a value when it is padded to blocks of `block_len` bytes.
    #[must_use]
    pub fn padded_len(self, dgi: u16, len: usize, block_len: usize) -> usize {
        let over = len.checked_rem(block_len).unwrap_or_default();
        if over == 0 && len != 0 && !self.always(dgi) {
            len
        } else {
            len.saturating_sub(over).saturating_add(block_len)
        }
    }
}
