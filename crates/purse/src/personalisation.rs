//! What a purse is personalised with: our own map of data groupings (DGI), the same for the host that builds them and
//! the card that takes them.
//!
//! There is no public personalisation format for a JT/T 978 card; this one is Huiwan's own design.
//!
//! | DGI | content |
//! |---|---|
//! | `0001` | the passbook, as `0002`; on schemes that have one |
//! | `0002` | the purse ([`PurseData`], 15 bytes): balance 4 ‖ online counter 2 ‖ offline counter 2 ‖ overdraft limit 3 ‖ upper limit of the balance 4. Taken until the first transaction |
//! | `0003` | the [`Scheme`]: profile, and the issuer's settings; optional, and before everything else (6985 later, 6A81 for an unknown profile) |
//! | `0008` | application version for FCI tag 9F08, 2 bytes; optional |
//! | `000A` | the PIN, 1 to 6 bytes BCD, F behind an odd last digit; optional |
//! | `000C` | the authentication code of 建设部, 9 bytes; optional |
//! | `0015` | file 0015, 30 bytes; 43 on highway cards |
//! | `0016` | file 0016, 55 bytes; optional |
//! | `0017` | file 0017, 60 bytes; optional, on JT/T 978 only |
//! | `0062` | a file of the issuer's own ([`FileData`], 8 bytes); one grouping for each file, at most eight |
//! | `0063` | content of such a file ([`FileContent`]); as many groupings as it takes |
//! | `1A01`–`1A12` | record 1–18 of the composite file (001A; 0017 on 建设部 and bank cards, 0019 on ETC), up to 128 bytes, with its head |
//! | `8010` | the PIN as an ISO 9564-1 format 2 block, 4 to 12 digits; in the place of `000A`, which CPS would not have encrypted |
//! | `80kk` | a key of kind `kk` ([`KeyKind::code`]): index 1 ‖ version 1 ‖ algorithm 1 ‖ tries 1 ‖ key 16; one grouping for each index and for 3DES and SM4. Without the tries (19 bytes) they are 00 |
//! | `90kk` | the check value of such a key ([`KeyCheck`], 6 bytes), after the key; optional |
//!
//! Of encrypted groupings a security domain that follows CPS leaves the padding 80 00… in place: groupings of one length are taken with it
//! (purse, keys, PIN block and files; not `000A`, `0003`, files of the issuer's own and records).
//!
//! Answers to what is not taken: 6A80 a value that cannot be, 6A81 an unknown profile, 6985 too late or (`90kk`) before its key, 6982 a
//! wrong check value: the key is gone then; 6A88 a grouping the scheme does not have; files: 6A89 an identifier that is in use, 6A84 no room, 6A82 no such file, and what UPDATE BINARY
//! and UPDATE RECORD answer.
//!
//! The application can be selected once `0002` and `0015` are there. Files 0018 and 001E are empty at first.

use core::fmt;

use huiwan_tlv::{Full, dgi};

use crate::account::Account;
use crate::command::WrongLength;
use crate::keys::{KeyKind, KeyValue};
use crate::pack::{Pack, Unpack};
use crate::scheme::Scheme;
use crate::transit::holder::Holder;
use crate::transit::management::Management;
use crate::transit::public_info::{PublicInfo, Vehicle};
use huiwan_crypto::{Secret, pin_block};
use huiwan_tlv::At;
use zeroize::Zeroizing;

mod file;
mod key_check;

pub use file::{Condition, FileContent, FileData, Shape};
pub use key_check::KeyCheck;

/// Why bytes are not a value of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataError {
    /// Another length.
    WrongLength {
        /// Bytes it has to have.
        expected: usize,
    },
    /// A field has a value that cannot be.
    Value,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLength { expected } => write!(f, "value is not {expected} bytes long"),
            Self::Value => f.write_str("field has a value that cannot be"),
        }
    }
}

impl core::error::Error for DataError {}

/// The passbook: [`PurseData`].
pub const DGI_PASSBOOK: u16 = 0x0001;
/// The purse: [`PurseData`].
pub const DGI_PURSE: u16 = 0x0002;
/// The scheme.
pub const DGI_SCHEME: u16 = 0x0003;
/// Application version, FCI tag 9F08.
pub const DGI_VERSION: u16 = 0x0008;
/// The PIN.
pub const DGI_PIN: u16 = 0x000A;
/// The PIN as an ISO 9564-1 format 2 block.
pub const DGI_PIN_BLOCK: u16 = 0x8010;
/// The authentication code.
pub const DGI_AUTH_CODE: u16 = 0x000C;
/// File 0015.
pub const DGI_PUBLIC_INFO: u16 = 0x0015;
/// File 0016.
pub const DGI_HOLDER: u16 = 0x0016;
/// File 0017.
pub const DGI_MANAGEMENT: u16 = 0x0017;

/// A file of the issuer's own.
pub const DGI_FILE: u16 = 0x0062;
/// Content of a file of the issuer's own.
pub const DGI_FILE_CONTENT: u16 = 0x0063;

/// Record `number` of the composite file 001A.
#[must_use]
pub const fn dgi_record(number: u8) -> u16 {
    u16::from_be_bytes([0x1A, number])
}

/// A key of this kind.
#[must_use]
pub const fn dgi_key(kind: KeyKind) -> u16 {
    u16::from_be_bytes([0x80, kind.code()])
}

/// The check value of a key of this kind.
#[must_use]
pub const fn dgi_key_check(kind: KeyKind) -> u16 {
    u16::from_be_bytes([0x90, kind.code()])
}

/// What a grouping is, told by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grouping {
    /// [`DGI_PASSBOOK`] or [`DGI_PURSE`].
    Purse(Account),
    /// [`DGI_SCHEME`].
    Scheme,
    /// [`DGI_PIN`].
    Pin,
    /// [`DGI_PIN_BLOCK`].
    PinBlock,
    /// [`DGI_AUTH_CODE`].
    AuthCode,
    /// [`DGI_VERSION`].
    Version,
    /// [`DGI_PUBLIC_INFO`].
    PublicInfo,
    /// [`DGI_HOLDER`].
    Holder,
    /// [`DGI_MANAGEMENT`].
    Management,
    /// [`DGI_FILE`].
    File,
    /// [`DGI_FILE_CONTENT`].
    FileContent,
    /// [`dgi_record`], 1 to 255.
    Record(u8),
    /// [`dgi_key`].
    Key(KeyKind),
    /// [`dgi_key_check`].
    KeyCheck(KeyKind),
}

impl Grouping {
    /// The grouping with this number.
    #[must_use]
    pub const fn from_dgi(dgi: u16) -> Option<Self> {
        Some(match (dgi, dgi.to_be_bytes()) {
            (DGI_PASSBOOK, _) => Self::Purse(Account::Ed),
            (DGI_PURSE, _) => Self::Purse(Account::Ep),
            (DGI_SCHEME, _) => Self::Scheme,
            (DGI_PIN, _) => Self::Pin,
            (DGI_PIN_BLOCK, _) => Self::PinBlock,
            (DGI_AUTH_CODE, _) => Self::AuthCode,
            (DGI_VERSION, _) => Self::Version,
            (DGI_PUBLIC_INFO, _) => Self::PublicInfo,
            (DGI_HOLDER, _) => Self::Holder,
            (DGI_MANAGEMENT, _) => Self::Management,
            (DGI_FILE, _) => Self::File,
            (DGI_FILE_CONTENT, _) => Self::FileContent,
            (_, [0x1A, number]) if number != 0 => Self::Record(number),
            (_, [0x80, code]) => match KeyKind::from_code(code) {
                Some(kind) => Self::Key(kind),
                None => return None,
            },
            (_, [0x90, code]) => match KeyKind::from_code(code) {
                Some(kind) => Self::KeyCheck(kind),
                None => return None,
            },
            _ => return None,
        })
    }
}

/// Content of [`DGI_PURSE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurseData {
    /// Balance, fen, including the unused overdraft.
    pub balance: u32,
    /// Online counter.
    pub online_seq: u16,
    /// Offline counter.
    pub offline_seq: u16,
    /// Overdraft limit, fen, big endian: three bytes, so that a limit no card can hold cannot be asked for.
    pub overdraft: [u8; 3],
    /// Upper limit of the balance, fen.
    pub upper_limit: u32,
}

impl PurseData {
    /// Length in bytes.
    pub const LEN: usize = 15;

    /// Reads the value.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        if raw.len() != Self::LEN {
            return Err(At::new(WrongLength { expected: Self::LEN }, raw.len().min(Self::LEN)));
        }
        let mut fields = Unpack::new(raw);
        Ok(Self {
            balance: fields.u32(),
            online_seq: fields.u16(),
            offline_seq: fields.u16(),
            overdraft: fields.take(),
            upper_limit: fields.u32(),
        })
    }

    /// The value.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(self.overdraft)
            .put(self.upper_limit.to_be_bytes())
            .finish()
    }
}

/// The PIN in a data field: BCD, without the bytes FF behind it. `None` unless 1 to 6 bytes are left, all digits but for
/// one F at the end. [sheet 1.2]
#[must_use]
pub fn pin_value(data: &[u8]) -> Option<&[u8]> {
    let end = data.iter().rposition(|byte| *byte != 0xFF)?.checked_add(1)?;
    let value = data.get(..end).filter(|value| data.len() <= 8 && value.len() <= 6)?;
    let (last, whole) = value.split_last()?;
    let is_bcd = |byte: &u8| byte >> 4 <= 9 && byte & 0x0F <= 9;
    let ends = is_bcd(last) || (last >> 4 <= 9 && last & 0x0F == 0x0F);
    (whole.iter().all(is_bcd) && ends).then_some(value)
}

/// A card key with its references; the kind is in the DGI.
#[derive(Debug, Clone)]
pub struct KeyData {
    /// What it is for.
    pub kind: KeyKind,
    /// Index, as commands name it.
    pub index: u8,
    /// Version, as the card answers it.
    pub version: u8,
    /// Algorithm byte, as the card answers it: see [`keys::algorithm`](crate::keys::algorithm).
    pub algorithm: u8,
    /// How many wrong uses in a row block the key, 1 to 15; 0: as many as the profile says. Only keys that count have a use for
    /// it, see [`Profile::secured_errors`](crate::profile::Profile::secured_errors).
    pub tries: u8,
    /// The key.
    pub value: KeyValue,
}

impl KeyData {
    /// Length in bytes.
    pub const LEN: usize = 20;
    /// Length without the tries.
    pub const SHORT_LEN: usize = 19;

    /// Reads the value, with or without the tries.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(kind: KeyKind, raw: &[u8]) -> Result<Self, At<WrongLength>> {
        if raw.len() != Self::LEN && raw.len() != Self::SHORT_LEN {
            return Err(At::new(WrongLength { expected: Self::LEN }, raw.len().min(Self::LEN)));
        }
        let mut fields = Unpack::new(raw);
        Ok(Self {
            kind,
            index: fields.byte(),
            version: fields.byte(),
            algorithm: fields.byte(),
            tries: if raw.len() == Self::LEN { fields.byte() } else { 0 },
            value: Secret::new(fields.take()),
        })
    }

    /// The value. It holds the key in clear: it goes through the issuer's secure channel and nowhere else.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::LEN }> {
        Secret::new(
            Pack::new()
                .put([self.index, self.version, self.algorithm, self.tries])
                .put(*self.value.expose())
                .finish(),
        )
    }
}

/// Everything a card is issued with.
#[derive(Debug, Clone, Default)]
pub struct Personalisation<'a> {
    /// The scheme, unless the instance was told at installation or its module's is right.
    pub scheme: Option<Scheme>,
    /// The passbook, on schemes that have one.
    pub passbook: Option<PurseData>,
    /// The purse, on schemes that have one.
    pub purse: Option<PurseData>,
    /// The PIN, 1 to 6 bytes BCD, F behind an odd last digit.
    pub pin: Option<&'a [u8]>,
    /// The authentication code of 建设部.
    pub auth_code: Option<[u8; 9]>,
    /// Application version, FCI tag 9F08.
    pub version: Option<[u8; 2]>,
    /// File 0015.
    pub public_info: PublicInfo,
    /// File 0016.
    pub holder: Option<Holder>,
    /// File 0017.
    pub management: Option<Management>,
    /// What file 0015 of a highway card has more.
    pub vehicle: Option<Vehicle>,
    /// Files of the issuer's own.
    pub files: &'a [FileData],
    /// What is in them.
    pub contents: &'a [FileContent<'a>],
    /// Records of file 001A, from number 1.
    pub records: &'a [&'a [u8]],
    /// The card's keys.
    pub keys: &'a [KeyData],
    /// Check values of keys, which the card compares.
    pub checks: &'a [KeyCheck],
}

impl Personalisation<'_> {
    /// Each grouping in turn; those that make the card usable come last.
    pub fn for_each(&self, mut f: impl FnMut(u16, &[u8])) {
        if let Some(scheme) = &self.scheme {
            f(DGI_SCHEME, scheme.write(&mut [0; Scheme::MAX_LEN]));
        }
        for key in self.keys {
            f(dgi_key(key.kind), key.to_bytes().expose());
        }
        for check in self.checks {
            f(dgi_key_check(check.kind), &check.to_bytes());
        }
        match self.pin.map(|pin| (pin, pin_block::format2(pin))) {
            None => {}
            Some((_, Some(block))) => f(DGI_PIN_BLOCK, Zeroizing::new(block).as_slice()),
            // Of less than four digits there is no block.
            Some((pin, None)) => f(DGI_PIN, pin),
        }
        if let Some(auth_code) = &self.auth_code {
            f(DGI_AUTH_CODE, auth_code);
        }
        if let Some(version) = &self.version {
            f(DGI_VERSION, version);
        }
        if let Some(holder) = &self.holder {
            f(DGI_HOLDER, holder.as_bytes());
        }
        if let Some(management) = &self.management {
            f(DGI_MANAGEMENT, management.as_bytes());
        }
        for (number, record) in (1..=u8::MAX).zip(self.records) {
            f(dgi_record(number), record);
        }
        for file in self.files {
            f(DGI_FILE, &file.to_bytes());
        }
        for content in self.contents {
            content.write(|value| f(DGI_FILE_CONTENT, value));
        }
        match &self.vehicle {
            Some(vehicle) => f(DGI_PUBLIC_INFO, &self.public_info.with_vehicle(vehicle)),
            None => f(DGI_PUBLIC_INFO, self.public_info.as_bytes()),
        }
        if let Some(passbook) = &self.passbook {
            f(DGI_PASSBOOK, &passbook.to_bytes());
        }
        if let Some(purse) = &self.purse {
            f(DGI_PURSE, &purse.to_bytes());
        }
    }

    /// Bytes [`write`](Self::write) needs.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut len = 0_usize;
        self.for_each(|_, value| len = len.saturating_add(dgi::encoded_len(value.len())));
        len
    }

    /// All groupings one after another, as STORE DATA carries them.
    ///
    /// # Errors
    /// `Full` with the length needed.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let needed = self.encoded_len();
        if out.len() < needed {
            return Err(Full { needed });
        }
        let mut at = 0_usize;
        let mut result = Ok(());
        self.for_each(|id, value| {
            let written = dgi::put(out.get_mut(at..).unwrap_or_default(), id, value);
            match written {
                Ok(len) => at = at.saturating_add(len),
                Err(full) => result = Err(full),
            }
        });
        result?;
        out.get(..at).ok_or(Full { needed })
    }
}
