//! Status words of the purse beyond ISO 7816-4, one row each.

use huiwan_apdu::Sw;

macro_rules! status_words {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Sw = Sw::new($code);)*

        /// The meaning of a purse status word, if it is one.
        #[must_use]
        pub fn name(sw: Sw) -> Option<&'static str> {
            match sw.value() {
                $($code => Some($text),)*
                _ => None,
            }
        }
    };
}

status_words! {
    /// A transaction MAC is wrong.
    MAC_INVALID = 0x9302, "transaction mac invalid";
    /// The application is permanently locked.
    PERMANENTLY_LOCKED = 0x9303, "application permanently locked";
    /// The balance does not cover the amount.
    INSUFFICIENT_BALANCE = 0x9401, "insufficient balance";
    /// A transaction counter is at its end.
    COUNTER_AT_END = 0x9402, "transaction counter at its end";
    /// The key index is not supported.
    KEY_INDEX = 0x9403, "key index not supported";
    /// The proof asked for is not held.
    NO_PROOF = 0x9406, "transaction proof not available";
    /// The composite record is locked.
    RECORD_LOCKED = 0x9407, "composite application locked";
    /// The purse is grey-locked.
    GREY_LOCKED = 0x9408, "purse grey-locked";
}
