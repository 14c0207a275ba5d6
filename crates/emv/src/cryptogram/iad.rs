//! Issuer discretionary data: what a PBOC card reports to its issuer inside 9F10, under its MAC key; and the results the card notes.
//! The layout of 9F10 is [`Iad`].
//!
//! ```text
//! 07 │ DKI │ CVN │ 03 │ CVR(3) │ ALG │ IDD length │ IDD = id │ value(s) of 5 bytes │ MAC(4)
//! ```

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{CryptoError, Tdes, ct_eq};

use super::Cvn;
use crate::data::bits::{Cryptogram, Cvr};
use crate::data::iad::Iad;

impl Cvr {
    /// The results of a single (qPBOC) or first cryptogram: second not requested, nothing else noted.
    #[must_use]
    pub const fn first(result: Cryptogram) -> Self {
        let bits = match result {
            Cryptogram::Aac => 0x00,
            Cryptogram::Tc => 0x10,
            Cryptogram::Arqc => 0x20,
        };
        Self([3, 0x80 | bits, 0, 0])
    }

    /// Sets the number of scripts processed, at most 15 (byte 3 bits 8–5 after the length).
    #[must_use]
    pub const fn with_script_count(self, count: u8) -> Self {
        let [len, first, second, third] = self.0;
        let count = if count > 15 { 15 } else { count };
        Self([len, first, second, (third & 0x0F) | (count << 4)])
    }
}

/// What the issuer discretionary data report. Values are the low-order five bytes of n12 amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IddId {
    /// 01: e-cash balance.
    Balance,
    /// 02: cumulative total transaction amount.
    CumulativeTotal,
    /// 03: both, balance first.
    BalanceAndTotal,
    /// 04: cumulative total and its limit.
    TotalAndLimit,
    /// 05: available offline amount.
    Available,
}

impl IddId {
    /// Reads the identifier byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Balance),
            2 => Some(Self::CumulativeTotal),
            3 => Some(Self::BalanceAndTotal),
            4 => Some(Self::TotalAndLimit),
            5 => Some(Self::Available),
            _ => None,
        }
    }

    /// The identifier byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Balance => 1,
            Self::CumulativeTotal => 2,
            Self::BalanceAndTotal => 3,
            Self::TotalAndLimit => 4,
            Self::Available => 5,
        }
    }

    /// How many values of five bytes follow.
    #[must_use]
    pub const fn values(self) -> usize {
        match self {
            Self::BalanceAndTotal | Self::TotalAndLimit => 2,
            _ => 1,
        }
    }

    /// Length byte of the discretionary data: id, values, MAC.
    #[must_use]
    pub const fn idd_len(self) -> u8 {
        match self.values() {
            1 => 0x0A,
            _ => 0x0F,
        }
    }
}

/// The MAC of the discretionary data under the session MAC key: leftmost four bytes over ATC ‖ values ‖ zeros to a whole block, then padding 80.
///
/// One value gives `ATC ‖ v ‖ 00`, which published numbers confirm; for two values `ATC ‖ v1 ‖ v2 ‖ 0⁴` public implementations disagree
/// about the padding after it, and this is the form of the one that pads as for one value.
#[must_use]
pub fn idd_mac(session: &Tdes, atc: [u8; 2], values: &[[u8; 5]]) -> [u8; 4] {
    let len = values.len().saturating_mul(5).saturating_add(2);
    let fill = len.next_multiple_of(8).saturating_sub(len);
    let zeros = [0; 8];
    let [a, b, c, d, ..] = mac::alg3(
        session,
        &[0; 8],
        &[&atc, values.as_flattened(), zeros.get(..fill).unwrap_or(&zeros)],
        Padding::Method2,
    );
    [a, b, c, d]
}

impl Iad<'_> {
    /// The cryptogram version, if it is one of PBOC's.
    #[must_use]
    pub const fn version(&self) -> Option<Cvn> {
        Cvn::from_byte(self.cvn)
    }

    /// The discretionary data, when they have the form of PBOC.
    ///
    /// ```
    /// # use huiwan_emv::data::iad::Iad;
    /// let raw = [0x07, 0x00, 0x01, 0x03, 0xA0, 0x40, 0x02, 0x01, 0x0A, 0x01, 0, 0, 0, 0x10, 0, 0xD1, 0xF6, 0x11, 0x52];
    /// let idd = Iad::parse(&raw).and_then(|iad| iad.idd());
    /// assert_eq!(idd.map(|idd| idd.value()), Some([0, 0, 0, 0x10, 0]));
    /// ```
    #[must_use]
    pub fn idd(&self) -> Option<Idd> {
        let (&id, rest) = self.discretionary.split_first()?;
        let id = IddId::from_byte(id)?;
        let (values, mac) = rest.split_last_chunk::<4>()?;
        let (values, []) = values.as_chunks::<5>() else { return None };
        let (&first, more) = values.split_first()?;
        (values.len() == id.values()).then_some(Idd { id, first, second: more.first().copied(), mac: *mac })
    }
}

/// Issuer discretionary data: amounts the card reports under its MAC key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idd {
    id: IddId,
    first: [u8; 5],
    second: Option<[u8; 5]>,
    mac: [u8; 4],
}

impl Idd {
    /// What is reported.
    #[must_use]
    pub const fn id(&self) -> IddId {
        self.id
    }

    /// The first value: low-order five bytes of an n12 amount.
    #[must_use]
    pub const fn value(&self) -> [u8; 5] {
        self.first
    }

    /// The second value, for the identifiers that have two.
    #[must_use]
    pub const fn second_value(&self) -> Option<[u8; 5]> {
        self.second
    }

    /// Checks the MAC under the session MAC key, in constant time.
    ///
    /// # Errors
    /// [`CryptoError`] when it is wrong.
    pub fn verify(&self, session: &Tdes, atc: [u8; 2]) -> Result<(), CryptoError> {
        let mac = match self.second {
            None => idd_mac(session, atc, &[self.first]),
            Some(second) => idd_mac(session, atc, &[self.first, second]),
        };
        if ct_eq(&mac, &self.mac) { Ok(()) } else { Err(CryptoError) }
    }
}
