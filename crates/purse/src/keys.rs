//! Keys of the purse: kinds, diversification, session keys and the TAC key, once for all sides.

use huiwan_crypto::{Algorithm, CryptoError, Secret, SuiteKey};

use crate::pack::Pack;
use crate::profile::{Profile, TacKey};

/// A 16-byte key as it is stored, never printed.
pub type KeyValue = Secret<16>;

macro_rules! key_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $short:literal;)*) => {
        /// What a card key is for. The code is ours: it stands in the DGI and in the object number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum KeyKind { $($(#[$doc])* $name = $code,)* }

        impl KeyKind {
            /// The kind with this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// Our code of the kind.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }

            /// The standard's short name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $short,)* }
            }
        }
    };
}

// [sheet 2.1]
key_kinds! {
    /// Purchase, cash withdrawal, composite purchase, grey lock.
    Purchase = 0x01, "DPK";
    /// Load.
    Load = 0x02, "DLK";
    /// Transaction authentication code.
    Tac = 0x03, "DTK";
    /// Unload.
    Unload = 0x04, "DULK";
    /// Overdraft limit update.
    Update = 0x05, "DUK";
    /// PIN unblock.
    PinUnblock = 0x06, "DPUK";
    /// PIN reload.
    PinReload = 0x07, "DRPK";
    /// Application maintenance: block, unblock, secured file updates.
    Maintenance = 0x08, "DAMK";
    /// Online grey unlock.
    GreyUnlock = 0x09, "DUGK";
    /// EXTERNAL AUTHENTICATE, and nothing else: the card never encrypts with it for others to see.
    ExternalAuthentication = 0x0A, "external authentication key";
    /// INTERNAL AUTHENTICATE, and nothing else: whatever it encrypts says nothing about another key.
    InternalAuthentication = 0x0B, "internal authentication key";
    /// Protects WRITE KEY (主控密钥).
    Control = 0x0C, "control key";
}

/// Who a card is, as far as keys depend on it: the first bytes of file 0015.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardId {
    /// Issuer identification: the four-byte code ‖ `FFFFFFFF`.
    pub issuer: [u8; 8],
    /// Application serial number, BCD.
    pub serial: [u8; 10],
}

impl CardId {
    /// The eight bytes that stand for `factor`.
    #[must_use]
    pub fn factor(&self, factor: Factor) -> [u8; 8] {
        match factor {
            Factor::Issuer => self.issuer,
            // The rightmost eight of ten. [sheet 2.2]
            Factor::Serial => {
                let [_, _, serial @ ..] = self.serial;
                serial
            }
            // 建设部 reads the issuer field as issuer 2 ‖ city 2. [sheet 2.2, 5.2: S:HD, S:TU]
            Factor::City => {
                let [_, _, a, b, ..] = self.issuer;
                [a, b, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00]
            }
            Factor::Region => {
                let [a, b, c, d, ..] = self.issuer;
                [a, b, c, d, a, b, c, d]
            }
        }
    }
}

/// One level of diversification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Factor {
    /// By issuer identification.
    Issuer,
    /// By application serial number.
    Serial,
    /// By city code 2 ‖ `FF0000000000`: 建设部 cards. \[S:HD\]
    City,
    /// By the four-byte region code twice: highway (ETC) cards. \[I:W-ETC,ETC1\]
    Region,
}

/// The most levels a path has in a command or is remembered for; no scheme has more than two.
pub(crate) const MAX_LEVELS: usize = 4;

/// The levels from a key to a card's key, in the order they are applied.
pub type Path = &'static [Factor];

/// The algorithm an answer's algorithm byte stands for. 00 and 01 = 3DES, 04 = SM4. [M for 3DES; S:ETC-SM4]
#[must_use]
pub const fn algorithm(byte: u8) -> Option<Algorithm> {
    match byte {
        0x00 | 0x01 => Some(Algorithm::Tdes),
        0x04 => Some(Algorithm::Sm4),
        _ => None,
    }
}

/// The key ready for use.
///
/// # Errors
/// If the algorithm byte is unknown or outside the suite.
pub fn open<K: SuiteKey>(algorithm_byte: u8, value: &KeyValue) -> Result<K, CryptoError> {
    let algorithm = algorithm(algorithm_byte).ok_or(CryptoError)?;
    K::new(algorithm, value.expose()).ok_or(CryptoError)
}

/// One level: 3DES(K, F) ‖ 3DES(K, ¬F), or SM4(K, F ‖ ¬F). [sheet 2.2; SM4: S:ETC-SM4]
///
/// # Errors
/// If the algorithm byte is unknown or outside the suite.
pub fn diversify<K: SuiteKey>(
    algorithm_byte: u8,
    parent: &KeyValue,
    factor: &[u8; 8],
) -> Result<KeyValue, CryptoError> {
    child(&open::<K>(algorithm_byte, parent)?, factor)
}

fn child<K: SuiteKey>(parent: &K, factor: &[u8; 8]) -> Result<KeyValue, CryptoError> {
    let mut child: [u8; 16] = Pack::new().put(*factor).put(factor.map(|byte| !byte)).finish();
    parent.encrypt_ecb(&mut child)?;
    Ok(Secret::new(child))
}

/// Every level of `path` in turn.
///
/// # Errors
/// If the algorithm byte is unknown or outside the suite.
pub fn derive<K: SuiteKey>(
    algorithm_byte: u8,
    master: &KeyValue,
    card: &CardId,
    path: &[Factor],
) -> Result<KeyValue, CryptoError> {
    derive_levels::<K>(algorithm_byte, master, path.iter().map(|factor| card.factor(*factor)))
}

/// The same from the factors themselves, in the order they are applied.
pub(crate) fn derive_levels<K: SuiteKey>(
    algorithm_byte: u8,
    master: &KeyValue,
    levels: impl Iterator<Item = [u8; 8]>,
) -> Result<KeyValue, CryptoError> {
    let mut value = master.clone();
    for factor in levels {
        value = diversify::<K>(algorithm_byte, &value, &factor)?;
    }
    Ok(value)
}

/// Derives along a path and remembers the last derivation's key of the level before the card, ready for use: the cards of
/// one issuer, city or region share it.
#[derive(Clone, Default)]
pub struct Deriver<K> {
    last: Option<Parent<K>>,
}

#[derive(Clone)]
struct Parent<K> {
    /// Which master key, as the caller numbers them.
    master: usize,
    /// The factors that led to it.
    levels: heapless::Vec<[u8; 8], MAX_LEVELS>,
    key: K,
}

impl<K> core::fmt::Debug for Deriver<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deriver").finish_non_exhaustive()
    }
}

impl<K: SuiteKey> Deriver<K> {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The same as [`derive()`]; `number` tells the caller's master keys apart.
    ///
    /// # Errors
    /// If the algorithm byte is unknown or outside the suite.
    pub fn derive(
        &mut self,
        number: usize,
        algorithm_byte: u8,
        master: &KeyValue,
        card: &CardId,
        path: &[Factor],
    ) -> Result<KeyValue, CryptoError> {
        let mut levels = heapless::Vec::<_, MAX_LEVELS>::new();
        for factor in path {
            if levels.push(card.factor(*factor)).is_err() {
                return derive::<K>(algorithm_byte, master, card, path);
            }
        }
        self.derive_levels(number, algorithm_byte, master, &levels)
    }

    /// The same from the factors themselves, in the order they are applied.
    pub(crate) fn derive_levels(
        &mut self,
        number: usize,
        algorithm_byte: u8,
        master: &KeyValue,
        levels: &[[u8; 8]],
    ) -> Result<KeyValue, CryptoError> {
        let Some((factor, above)) = levels.split_last() else { return Ok(master.clone()) };
        let shared = |parent: &&Parent<K>| parent.master == number && parent.levels == above;
        if let Some(parent) = self.last.as_ref().filter(shared) {
            return child(&parent.key, factor);
        }
        let key = open(algorithm_byte, &derive_levels::<K>(algorithm_byte, master, above.iter().copied())?)?;
        let value = child(&key, factor);
        self.last =
            heapless::Vec::from_slice(above).ok().map(|levels| Parent { master: number, levels, key });
        value
    }
}

/// SESLK (also SESULK, SESUK and the key of an online grey unlock): random ‖ online counter ‖ 8000 under the card's key. [sheet 2.3]
///
/// # Errors
/// If the key has no session form.
pub fn load_session<K: SuiteKey>(key: &K, random: [u8; 4], online_seq: u16) -> Result<K, CryptoError> {
    session(key, random, online_seq, [0x80, 0x00])
}

/// SESPK: random ‖ offline counter ‖ last two bytes of the terminal's transaction number. [sheet 2.3]
///
/// # Errors
/// If the key has no session form.
pub fn purchase_session<K: SuiteKey>(
    key: &K,
    random: [u8; 4],
    offline_seq: u16,
    terminal_seq: u32,
) -> Result<K, CryptoError> {
    let [_, _, low @ ..] = terminal_seq.to_be_bytes();
    session(key, random, offline_seq, low)
}

/// The session key of a grey lock: the session key of a purchase, once more over the terminal's random number.
/// 3DES(DPK, random ‖ offline counter ‖ last two bytes of the terminal's number) gives T, DES(T, terminal random ‖
/// 80000000) the key. \[S:LOH; SM4 by analogy\]
///
/// # Errors
/// If the key has no session form.
pub fn grey_session<K: SuiteKey>(
    dpk: &K,
    random: [u8; 4],
    offline_seq: u16,
    terminal_seq: u32,
    terminal_random: [u8; 4],
) -> Result<K, CryptoError> {
    let first: K = purchase_session(dpk, random, offline_seq, terminal_seq)?;
    let mut block: [u8; 8] = Pack::new().put(terminal_random).put([0x80, 0x00, 0x00, 0x00]).finish();
    match first.algorithm() {
        Algorithm::Des => {
            first.encrypt_ecb(&mut block)?;
            K::new(Algorithm::Des, Secret::new(block).expose()).ok_or(CryptoError)
        }
        Algorithm::Sm4 => {
            let mut wide: [u8; 16] = Pack::new().put(block).put(block.map(|byte| !byte)).finish();
            first.encrypt_ecb(&mut wide)?;
            K::new(Algorithm::Sm4, Secret::new(wide).expose()).ok_or(CryptoError)
        }
        _ => Err(CryptoError),
    }
}

/// 3DES keys give an eight-byte DES key; SM4 keys give SM4(K, X ‖ ¬X). [sheet 2.3]
fn session<K: SuiteKey>(key: &K, random: [u8; 4], seq: u16, tail: [u8; 2]) -> Result<K, CryptoError> {
    let mut block: [u8; 8] = Pack::new().put(random).put(seq.to_be_bytes()).put(tail).finish();
    match key.algorithm() {
        Algorithm::Tdes => {
            key.encrypt_ecb(&mut block)?;
            K::new(Algorithm::Des, Secret::new(block).expose()).ok_or(CryptoError)
        }
        Algorithm::Sm4 => {
            let mut wide: [u8; 16] = Pack::new().put(block).put(block.map(|byte| !byte)).finish();
            key.encrypt_ecb(&mut wide)?;
            K::new(Algorithm::Sm4, Secret::new(wide).expose()).ok_or(CryptoError)
        }
        _ => Err(CryptoError),
    }
}

/// The key TACs are computed with: for 3DES the two halves of DTK added together, for SM4 as the profile says.
/// [sheet 2.5, correction 2]
///
/// # Errors
/// If the algorithm byte is unknown or outside the suite.
pub fn tac_key<K: SuiteKey>(profile: &Profile, algorithm_byte: u8, dtk: &KeyValue) -> Result<K, CryptoError> {
    match (algorithm(algorithm_byte), profile.sm4_tac_key) {
        (Some(Algorithm::Tdes), _) => {
            let Some((left, right)) = dtk.expose().split_first_chunk::<8>() else { return Err(CryptoError) };
            let mut folded = *left;
            folded.iter_mut().zip(right).for_each(|(left, right)| *left ^= right);
            K::new(Algorithm::Des, Secret::new(folded).expose()).ok_or(CryptoError)
        }
        (Some(_), TacKey::Whole) => open(algorithm_byte, dtk),
        (None, _) => Err(CryptoError),
    }
}
