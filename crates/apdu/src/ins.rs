use core::fmt;

/// An instruction byte. [ISO7816-4 5.5]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ins(u8);

impl Ins {
    /// An instruction by its value.
    #[inline]
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The value.
    #[inline]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The command name of ISO 7816; `None` if it has none.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(ins, _)| *ins == self).map(|(_, name)| *name)
    }
}

impl From<u8> for Ins {
    fn from(value: u8) -> Self {
        Self(value)
    }
}

impl fmt::Display for Ins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Ins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ins({self})")
    }
}

/// One row per instruction: constant, value, name.
macro_rules! instructions {
    ($($constant:ident = $value:literal, $name:literal;)+) => {
        impl Ins {
            $(
                #[doc = concat!("`", stringify!($value), "`: ", $name, ".")]
                pub const $constant: Self = Self($value);
            )+
        }

        const NAMES: &[(Ins, &str)] = &[$((Ins::$constant, $name),)+];
    };
}

// [ISO7816-4 5.5, table 4], [ISO7816-8], [ISO7816-9]
instructions! {
    DEACTIVATE_FILE = 0x04, "DEACTIVATE FILE";
    ERASE_RECORD = 0x0C, "ERASE RECORD";
    ERASE_BINARY = 0x0E, "ERASE BINARY";
    VERIFY = 0x20, "VERIFY";
    VERIFY_BER = 0x21, "VERIFY (BER-TLV)";
    MANAGE_SECURITY_ENVIRONMENT = 0x22, "MANAGE SECURITY ENVIRONMENT";
    CHANGE_REFERENCE_DATA = 0x24, "CHANGE REFERENCE DATA";
    DISABLE_VERIFICATION = 0x26, "DISABLE VERIFICATION REQUIREMENT";
    ENABLE_VERIFICATION = 0x28, "ENABLE VERIFICATION REQUIREMENT";
    PERFORM_SECURITY_OPERATION = 0x2A, "PERFORM SECURITY OPERATION";
    RESET_RETRY_COUNTER = 0x2C, "RESET RETRY COUNTER";
    ACTIVATE_FILE = 0x44, "ACTIVATE FILE";
    GENERATE_KEY_PAIR = 0x46, "GENERATE ASYMMETRIC KEY PAIR";
    MANAGE_CHANNEL = 0x70, "MANAGE CHANNEL";
    EXTERNAL_AUTHENTICATE = 0x82, "EXTERNAL AUTHENTICATE";
    GET_CHALLENGE = 0x84, "GET CHALLENGE";
    GENERAL_AUTHENTICATE = 0x86, "GENERAL AUTHENTICATE";
    INTERNAL_AUTHENTICATE = 0x88, "INTERNAL AUTHENTICATE";
    SEARCH_BINARY = 0xA0, "SEARCH BINARY";
    SEARCH_RECORD = 0xA2, "SEARCH RECORD";
    SELECT = 0xA4, "SELECT";
    READ_BINARY = 0xB0, "READ BINARY";
    READ_BINARY_BER = 0xB1, "READ BINARY (BER-TLV)";
    READ_RECORD = 0xB2, "READ RECORD";
    READ_RECORD_BER = 0xB3, "READ RECORD (BER-TLV)";
    GET_RESPONSE = 0xC0, "GET RESPONSE";
    ENVELOPE = 0xC2, "ENVELOPE";
    ENVELOPE_BER = 0xC3, "ENVELOPE (BER-TLV)";
    GET_DATA = 0xCA, "GET DATA";
    GET_DATA_BER = 0xCB, "GET DATA (BER-TLV)";
    WRITE_BINARY = 0xD0, "WRITE BINARY";
    WRITE_RECORD = 0xD2, "WRITE RECORD";
    UPDATE_BINARY = 0xD6, "UPDATE BINARY";
    UPDATE_BINARY_BER = 0xD7, "UPDATE BINARY (BER-TLV)";
    PUT_DATA = 0xDA, "PUT DATA";
    PUT_DATA_BER = 0xDB, "PUT DATA (BER-TLV)";
    UPDATE_RECORD = 0xDC, "UPDATE RECORD";
    UPDATE_RECORD_BER = 0xDD, "UPDATE RECORD (BER-TLV)";
    CREATE_FILE = 0xE0, "CREATE FILE";
    APPEND_RECORD = 0xE2, "APPEND RECORD";
    DELETE_FILE = 0xE4, "DELETE FILE";
    TERMINATE_DF = 0xE6, "TERMINATE DF";
    TERMINATE_EF = 0xE8, "TERMINATE EF";
    TERMINATE_CARD = 0xFE, "TERMINATE CARD USAGE";
}
