//! The data fields of the PSAM's commands, as the terminal sends and the PSAM reads them. [sheet 4]

use crate::date::Stamp;
use crate::keys::{CardId, Factor, MAX_LEVELS, Path};
use crate::mac::TerminalNo;
use crate::pack::{Pack, Unpack};
use crate::profile::Profile;
use crate::tti::Tti;

/// What 80 70 and E0 40 carry before the factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) random: [u8; 4],
    pub(crate) offline_seq: u16,
    /// Fen; of a grey lock, the balance.
    pub(crate) amount: u32,
    pub(crate) tti: Tti,
    pub(crate) stamp: Stamp,
    pub(crate) key_version: u8,
    pub(crate) algorithm: u8,
}

impl Terms {
    pub(crate) const LEN: usize = 20;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.random)
            .put(self.offline_seq.to_be_bytes())
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.stamp.to_bytes())
            .put([self.key_version, self.algorithm])
            .finish()
    }

    pub(crate) fn parse(raw: &[u8; Self::LEN]) -> Self {
        let mut fields = Unpack::new(raw);
        Self {
            random: fields.take(),
            offline_seq: fields.u16(),
            amount: fields.u32(),
            tti: Tti(fields.byte()),
            stamp: Stamp::from_bytes(&fields.take()),
            key_version: fields.byte(),
            algorithm: fields.byte(),
        }
    }
}

/// The factors of `card` in the order they are sent.
pub(crate) fn factors(profile: &Profile, card: &CardId) -> impl Iterator<Item = u8> {
    let card = *card;
    profile.sam_factors.iter().take(MAX_LEVELS).flat_map(move |factor| card.factor(*factor))
}

/// A card as far as a PSAM knows it: its factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The last eight bytes of its serial number; zero where the scheme does not send it.
    pub(crate) serial: [u8; 8],
    /// The factors in the order they are applied.
    pub(crate) levels: heapless::Vec<[u8; 8], MAX_LEVELS>,
}

impl Holder {
    pub(crate) const LEN: usize = 8 + 1 + 8 * MAX_LEVELS;

    /// `None` for a path of more levels than there is room for.
    pub(crate) fn of(card: &CardId, path: Path) -> Option<Self> {
        let mut levels = heapless::Vec::new();
        for factor in path {
            levels.push(card.factor(*factor)).ok()?;
        }
        Some(Self { serial: card.factor(Factor::Serial), levels })
    }

    /// From the factors of a command. `None` if they are not those of the scheme, or if `path` wants one that is not
    /// among them.
    pub(crate) fn parse(profile: &Profile, path: Path, raw: &[u8]) -> Option<Self> {
        let sent = profile.sam_factors.get(..profile.sam_factors.len().min(MAX_LEVELS))?;
        if raw.len() != sent.len().checked_mul(8)? {
            return None;
        }
        let (raw, _) = raw.as_chunks::<8>();
        let find = |wanted: &Factor| {
            sent.iter().zip(raw).find(|(factor, _)| *factor == wanted).map(|(_, value)| *value)
        };
        let mut levels = heapless::Vec::new();
        for factor in path {
            levels.push(find(factor)?).ok()?;
        }
        Some(Self { serial: find(&Factor::Serial).unwrap_or_default(), levels })
    }

    pub(crate) fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut levels = [0; 8 * MAX_LEVELS];
        levels.iter_mut().zip(self.levels.as_flattened()).for_each(|(to, from)| *to = *from);
        let count = u8::try_from(self.levels.len()).unwrap_or_default();
        Pack::new().put(self.serial).put([count]).put(levels).finish()
    }

    pub(crate) fn from_bytes(raw: &[u8; Self::LEN]) -> Self {
        let mut fields = Unpack::new(raw);
        let serial = fields.take();
        let count = usize::from(fields.byte());
        let levels: [u8; 8 * MAX_LEVELS] = fields.take();
        let (levels, _) = levels.as_chunks::<8>();
        let levels = levels.get(..count).unwrap_or_default();
        Self { serial, levels: heapless::Vec::from_slice(levels).unwrap_or_default() }
    }
}

/// The data of E0 44.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gmac {
    pub(crate) serial: [u8; 8],
    pub(crate) offline_seq: u16,
    pub(crate) amount: u32,
}

impl Gmac {
    pub(crate) fn to_bytes(self) -> [u8; 15] {
        Pack::new()
            .put([Tti::DEBIT_FOR_UNLOCK.0])
            .put(self.serial)
            .put(self.offline_seq.to_be_bytes())
            .put(self.amount.to_be_bytes())
            .finish()
    }

    /// `None` for another transaction type.
    pub(crate) fn parse(raw: &[u8; 15]) -> Option<Self> {
        let mut fields = Unpack::new(raw);
        let tti = Tti(fields.byte());
        (tti == Tti::DEBIT_FOR_UNLOCK).then(|| Self {
            serial: fields.take(),
            offline_seq: fields.u16(),
            amount: fields.u32(),
        })
    }
}

/// A PSAM's key file 0017. [I:HD,LIB for the first byte; the rest S:HD]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFile {
    /// Index of the cards' purchase key, for their initialisation.
    pub key_index: u8,
    /// Issuer.
    pub issuer: [u8; 8],
    /// Acquirer.
    pub acquirer: [u8; 8],
    /// First day of use, BCD YYYYMMDD.
    pub start: [u8; 4],
    /// Last day of use, BCD YYYYMMDD.
    pub end: [u8; 4],
}

impl KeyFile {
    /// Length in bytes.
    pub const LEN: usize = 25;

    /// Reads the file.
    #[must_use]
    pub fn parse(raw: &[u8; Self::LEN]) -> Self {
        let mut fields = Unpack::new(raw);
        Self {
            key_index: fields.byte(),
            issuer: fields.take(),
            acquirer: fields.take(),
            start: fields.take(),
            end: fields.take(),
        }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put([self.key_index])
            .put(self.issuer)
            .put(self.acquirer)
            .put(self.start)
            .put(self.end)
            .finish()
    }
}

/// A PSAM's file 0015. \[I:W-ETC\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamInfo {
    /// Serial number of the PSAM.
    pub serial: [u8; 10],
    /// Version.
    pub version: u8,
    /// Type of key card.
    pub kind: u8,
    /// Issuer's own.
    pub fci: [u8; 2],
}

impl SamInfo {
    /// Length in bytes.
    pub const LEN: usize = 14;

    /// Reads the file.
    #[must_use]
    pub fn parse(raw: &[u8; Self::LEN]) -> Self {
        let mut fields = Unpack::new(raw);
        Self { serial: fields.take(), version: fields.byte(), kind: fields.byte(), fci: fields.take() }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.serial).put([self.version, self.kind]).put(self.fci).finish()
    }
}

/// Length of file 0016, the terminal number.
pub(crate) const TERMINAL_LEN: usize = size_of::<TerminalNo>();
