use core::fmt;

/// A status word, SW1 most significant. [ISO7816-4 5.6]
///
/// ```
/// use huiwan_apdu::Sw;
///
/// assert!(Sw::new(0x9000).is_ok());
/// assert_eq!(Sw::FILE_NOT_FOUND.name(), Some("file or application not found"));
/// assert_eq!(Sw::tries_left(2).to_string(), "63C2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sw(u16);

impl Sw {
    /// A status word by its value.
    #[inline]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// 61xx: `n` bytes of response data are waiting; 0 stands for 256 or more.
    #[inline]
    pub const fn more_data(n: u8) -> Self {
        Self(u16::from_be_bytes([0x61, n]))
    }

    /// 6Cxx: wrong Le, `n` bytes are available; 0 stands for 256.
    #[inline]
    pub const fn wrong_le(n: u8) -> Self {
        Self(u16::from_be_bytes([0x6C, n]))
    }

    /// 63Cx: verification failed, `n` tries left (15 and more are shown as 15).
    #[inline]
    pub const fn tries_left(n: u8) -> Self {
        Self(u16::from_be_bytes([0x63, if n < 0x0F { 0xC0 | n } else { 0xCF }]))
    }

    /// The value.
    #[inline]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// The first byte.
    #[inline]
    pub const fn sw1(self) -> u8 {
        let [sw1, _] = self.0.to_be_bytes();
        sw1
    }

    /// The second byte.
    #[inline]
    pub const fn sw2(self) -> u8 {
        let [_, sw2] = self.0.to_be_bytes();
        sw2
    }

    /// Whether it is 9000.
    #[inline]
    pub const fn is_ok(self) -> bool {
        self.0 == 0x9000
    }

    /// Whether it is a warning, 62xx or 63xx.
    #[inline]
    pub const fn is_warning(self) -> bool {
        matches!(self.sw1(), 0x62 | 0x63)
    }

    /// How many tries are left, if this is 63Cx.
    #[inline]
    pub const fn tries(self) -> Option<u8> {
        match self.0 {
            0x63C0..=0x63CF => Some(self.sw2() & 0x0F),
            _ => None,
        }
    }

    /// What ISO 7816-4 says about it; `None` if nothing.
    pub fn name(self) -> Option<&'static str> {
        if let Some((_, name)) = NAMES.iter().find(|(sw, _)| *sw == self) {
            return Some(name);
        }
        match self.0 {
            0x6100..=0x61FF => Some("success, more response data waiting"),
            0x63C0..=0x63CF => Some("warning, tries left"),
            0x6C00..=0x6CFF => Some("wrong le, exact length given"),
            _ => None,
        }
    }
}

impl From<u16> for Sw {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl From<[u8; 2]> for Sw {
    fn from(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }
}

impl fmt::Display for Sw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for Sw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sw({self})")
    }
}

/// One row per status word: constant, value, text.
macro_rules! status_words {
    ($($name:ident = $value:literal, $text:literal;)+) => {
        impl Sw {
            $(
                #[doc = concat!("`", stringify!($value), "`: ", $text, ".")]
                pub const $name: Self = Self($value);
            )+
        }

        const NAMES: &[(Sw, &str)] = &[$((Sw::$name, $text),)+];
    };
}

// [ISO7816-4 5.6, tables 5 and 6]
status_words! {
    OK = 0x9000, "success";
    WARNING_UNCHANGED = 0x6200, "warning, memory unchanged";
    WARNING_CORRUPTED = 0x6281, "warning, returned data may be corrupted";
    WARNING_END_OF_FILE = 0x6282, "warning, end of file before ne bytes";
    WARNING_SELECTED_INVALIDATED = 0x6283, "warning, selected file deactivated";
    WARNING_FCI_FORMAT = 0x6284, "warning, file control information badly formatted";
    WARNING_TERMINATED = 0x6285, "warning, selected file terminated";
    WARNING_CHANGED = 0x6300, "warning, memory changed or verification failed";
    MORE_ENTRIES = 0x6310, "warning, more data available";
    WARNING_FILE_FULL = 0x6381, "warning, file filled up by the last write";
    EXECUTION_ERROR = 0x6400, "execution error, memory unchanged";
    EXECUTION_ERROR_CHANGED = 0x6500, "execution error, memory changed";
    MEMORY_FAILURE = 0x6581, "memory failure";
    WRONG_LENGTH = 0x6700, "wrong length";
    CLA_FUNCTION_NOT_SUPPORTED = 0x6800, "function in cla not supported";
    CHANNEL_NOT_SUPPORTED = 0x6881, "logical channel not supported";
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882, "secure messaging not supported";
    LAST_OF_CHAIN_EXPECTED = 0x6883, "last command of the chain expected";
    CHAINING_NOT_SUPPORTED = 0x6884, "command chaining not supported";
    COMMAND_NOT_ALLOWED_GENERAL = 0x6900, "command not allowed";
    COMMAND_STATE = 0x6901, "command not accepted in this state";
    COMMAND_INCOMPATIBLE = 0x6981, "command incompatible with file structure";
    SECURITY_STATUS = 0x6982, "security status not satisfied";
    AUTH_BLOCKED = 0x6983, "authentication method blocked";
    DATA_INVALIDATED = 0x6984, "reference data not usable";
    CONDITIONS_NOT_SATISFIED = 0x6985, "conditions of use not satisfied";
    COMMAND_NOT_ALLOWED = 0x6986, "command not allowed, no current file";
    SM_MISSING = 0x6987, "secure messaging data objects missing";
    SM_INCORRECT = 0x6988, "secure messaging data objects incorrect";
    WRONG_PARAMETERS = 0x6A00, "wrong parameters";
    WRONG_DATA = 0x6A80, "incorrect parameters in the command data";
    FUNCTION_NOT_SUPPORTED = 0x6A81, "function not supported";
    FILE_NOT_FOUND = 0x6A82, "file or application not found";
    RECORD_NOT_FOUND = 0x6A83, "record not found";
    NOT_ENOUGH_MEMORY = 0x6A84, "not enough memory space";
    INCONSISTENT_LENGTH = 0x6A85, "lc inconsistent with tlv structure";
    WRONG_P1P2 = 0x6A86, "incorrect p1 p2";
    LC_INCONSISTENT = 0x6A87, "lc inconsistent with p1 p2";
    REFERENCED_DATA_NOT_FOUND = 0x6A88, "referenced data not found";
    FILE_EXISTS = 0x6A89, "file already exists";
    NAME_EXISTS = 0x6A8A, "df name already exists";
    WRONG_OFFSET = 0x6B00, "wrong p1 p2, offset outside the file";
    INS_NOT_SUPPORTED = 0x6D00, "instruction not supported";
    CLA_NOT_SUPPORTED = 0x6E00, "class not supported";
    UNKNOWN = 0x6F00, "no precise diagnosis";
}
