//! Amounts and currencies. `[EMV-B3 A]`, ISO 4217.

use core::fmt;

/// An amount in minor units (fen, cents), written as n12: six bytes, two digits each, most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount six bytes can write.
    pub const MAX: Self = Self(999_999_999_999);

    /// An amount of `minor` units; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn new(minor: u64) -> Option<Self> {
        if minor <= Self::MAX.0 { Some(Self(minor)) } else { None }
    }

    /// From digits, two a byte; `None` when one is not a digit or the number is above [`Self::MAX`].
    ///
    /// ```
    /// use huiwan_emv::data::amount::Amount;
    /// let amount = Amount::from_bcd(&[0, 0, 0, 0, 0x12, 0x34]).unwrap();
    /// assert_eq!(amount.minor(), 1234);
    /// assert_eq!(amount.to_bcd(), [0, 0, 0, 0, 0x12, 0x34]);
    /// assert_eq!(Amount::from_bcd(&[0x0A]), None);
    /// ```
    #[must_use]
    pub fn from_bcd(bytes: &[u8]) -> Option<Self> {
        let mut minor = 0_u64;
        for byte in bytes {
            for digit in [byte >> 4, byte & 0x0F] {
                if digit > 9 {
                    return None;
                }
                minor = minor.checked_mul(10)?.checked_add(u64::from(digit))?;
            }
        }
        Self::new(minor)
    }

    /// The wire form n12.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 6] {
        let mut out = [0; 6];
        let mut rest = self.0;
        for byte in out.iter_mut().rev() {
            let pair = u8::try_from(rest % 100).unwrap_or_default();
            *byte = ((pair / 10) << 4) | (pair % 10);
            rest /= 100;
        }
        out
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// The sum; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// The difference; `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The amount as people write it, in `currency`.
    ///
    /// ```
    /// use huiwan_emv::data::amount::{Amount, Currency};
    /// assert_eq!(Amount::new(1234).unwrap().in_currency(Currency::CNY).to_string(), "12.34 CNY");
    /// ```
    #[must_use]
    pub const fn in_currency(self, currency: Currency) -> impl fmt::Display {
        Written { amount: self, currency }
    }
}

struct Written {
    amount: Amount,
    currency: Currency,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10_u64.checked_pow(u32::from(exponent)).unwrap_or(1);
        let minor = self.amount.minor();
        let (major, minor) = (minor.checked_div(unit).unwrap_or(minor), minor.checked_rem(unit).unwrap_or(0));
        match exponent {
            0 => write!(f, "{major} {}", self.currency),
            width => write!(f, "{major}.{minor:0width$} {}", self.currency, width = usize::from(width)),
        }
    }
}

/// A currency by its ISO 4217 number, written as n3: two bytes, 0156 for CNY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency([u8; 2]);

macro_rules! currencies {
    ($($name:ident = $code:literal, $exponent:literal;)+) => {
        impl Currency {
            $(
                #[doc = concat!(stringify!($name), ", ", stringify!($exponent), " decimal places.")]
                pub const $name: Self = Self(u16::to_be_bytes($code));
            )+

            /// The three letters; `None` for a currency that is not in the table.
            #[must_use]
            pub const fn letters(self) -> Option<&'static str> {
                match u16::from_be_bytes(self.0) {
                    $($code => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// How many decimal places it has; 2 for a currency that is not in the table.
            #[must_use]
            pub const fn exponent(self) -> u8 {
                match u16::from_be_bytes(self.0) {
                    $($code => $exponent,)+
                    _ => 2,
                }
            }
        }
    };
}

currencies! {
    AUD = 0x0036, 2;
    CAD = 0x0124, 2;
    CNY = 0x0156, 2;
    HKD = 0x0344, 2;
    IDR = 0x0360, 2;
    JPY = 0x0392, 0;
    KRW = 0x0410, 0;
    MOP = 0x0446, 2;
    MYR = 0x0458, 2;
    RUB = 0x0643, 2;
    SGD = 0x0702, 2;
    VND = 0x0704, 0;
    CHF = 0x0756, 2;
    THB = 0x0764, 2;
    GBP = 0x0826, 2;
    USD = 0x0840, 2;
    TWD = 0x0901, 2;
    EUR = 0x0978, 2;
}

impl Currency {
    /// From the wire form n3; `None` unless it is a 0 and three digits.
    #[must_use]
    pub const fn from_bcd(code: [u8; 2]) -> Option<Self> {
        let [high, low] = code;
        if high <= 9 && low >> 4 <= 9 && low & 0x0F <= 9 { Some(Self(code)) } else { None }
    }

    /// The wire form n3.
    #[must_use]
    pub const fn to_bcd(self) -> [u8; 2] {
        self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.letters() {
            Some(letters) => f.write_str(letters),
            None => write!(f, "{:03x}", u16::from_be_bytes(self.0)),
        }
    }
}
