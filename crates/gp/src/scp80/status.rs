//! How a card took a packet.

use core::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Response status code. (from memory)
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status { $($(#[$doc])* $name,)* }

        impl Status {
            /// Reads the code.
            #[must_use]
            pub const fn from_byte(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The code.
            #[must_use]
            pub const fn byte(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }
        }

        impl fmt::Display for Status {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

statuses! {
    /// Proof of receipt.
    Ok = 0x00, "packet was taken";
    /// The checksum is wrong.
    Checksum = 0x01, "checksum is wrong";
    /// The counter is used up or was used before.
    CounterLow = 0x02, "counter is too low";
    /// The counter leaves a gap.
    CounterHigh = 0x03, "counter is too high";
    /// The counter is at its end.
    CounterBlocked = 0x04, "counter is blocked";
    /// Deciphering failed.
    Ciphering = 0x05, "ciphering failed";
    /// Another security error.
    Unidentified = 0x06, "unidentified security error";
    /// There is no memory.
    Memory = 0x07, "insufficient memory";
    /// The card needs more time.
    MoreTime = 0x08, "more time is needed";
    /// There is no such application.
    Tar = 0x09, "tar is unknown";
    /// The packet is less protected than the application demands.
    SecurityLevel = 0x0A, "security level is insufficient";
}
