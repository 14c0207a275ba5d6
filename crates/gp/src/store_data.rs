//! STORE DATA: the bits of P1 and the padding of encrypted data groupings. [GPC 11.11, CPS 4.3.5]

/// Instruction byte.
pub const INS: u8 = 0xE2;
/// The most bytes of a data grouping's plain value.
pub const DGI_MAX: usize = 512;

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

/// How an encrypted value was padded to whole blocks. The texts leave it to the scheme, so it is a value. (from a single source)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DgiPadding {
    /// Always 80 00…, removed by the security domain: the application gets the exact value.
    #[default]
    Always,
    /// Only when the value is not whole blocks (CPS); nothing is removed, since nobody can tell, and the application knows its lengths.
    WhenNeeded,
}
