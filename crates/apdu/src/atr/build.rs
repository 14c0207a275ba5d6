use core::fmt;

use heapless::Vec;
use huiwan_tlv::Full;

use super::{Atr, Convention, Interface, exclusive_or};

/// Builds an answer to reset; TD bytes and TCK follow from what is asked for.
///
/// ```
/// use huiwan_apdu::atr::{Atr, AtrBuilder, Interface};
///
/// // The PC/SC form of a contactless card with four historical bytes. [PCSC3 3.1.3.2.3]
/// let mut out = [0; Atr::MAX_LEN];
/// let atr = AtrBuilder::new(Interface::NONE)
///     .protocol(0, Interface::NONE)
///     .protocol(1, Interface::NONE)
///     .historical(&[0x80, 0x31, 0x80, 0x65])
///     .write(&mut out)?;
/// assert_eq!(atr, [0x3B, 0x84, 0x80, 0x01, 0x80, 0x31, 0x80, 0x65, 0x51]);
/// # Ok::<(), huiwan_apdu::atr::AtrTooLong>(())
/// ```
#[derive(Debug, Clone)]
pub struct AtrBuilder<'h> {
    convention: Convention,
    first: Interface,
    /// TS and T0 alone leave room for as many TD bytes.
    protocols: Vec<(u8, Interface), { Atr::MAX_LEN - 2 }>,
    historical: &'h [u8],
    too_long: bool,
}

/// What was asked for does not fit into an answer to reset, or not into the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtrTooLong {
    /// More than 15 historical bytes, a protocol above 15, or more than 33 bytes in all.
    Format,
    /// The caller's buffer is too small.
    Buffer(Full),
}

impl fmt::Display for AtrTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("answer to reset longer than its format allows"),
            Self::Buffer(full) => full.fmt(f),
        }
    }
}

impl core::error::Error for AtrTooLong {}

impl<'h> AtrBuilder<'h> {
    /// An answer in direct convention with these TA1, TB1 and TC1, T=0 alone and no historical bytes.
    pub const fn new(first: Interface) -> Self {
        Self {
            convention: Convention::Direct,
            first,
            protocols: Vec::new(),
            historical: &[],
            too_long: false,
        }
    }

    /// Sets the convention.
    #[must_use]
    pub fn convention(self, convention: Convention) -> Self {
        Self { convention, ..self }
    }

    /// Names a protocol (or 15 for global bytes) and the interface bytes that go with it.
    #[must_use]
    pub fn protocol(mut self, t: u8, interface: Interface) -> Self {
        self.too_long |= t > 15 || self.protocols.push((t, interface)).is_err();
        self
    }

    /// Sets the historical bytes, 15 at most.
    #[must_use]
    pub fn historical<'n>(self, historical: &'n [u8]) -> AtrBuilder<'n> {
        AtrBuilder {
            convention: self.convention,
            first: self.first,
            protocols: self.protocols,
            historical,
            too_long: self.too_long,
        }
    }

    /// Writes the answer at the start of `out`; [`Atr::MAX_LEN`] bytes are always enough.
    ///
    /// # Errors
    /// [`AtrTooLong`].
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], AtrTooLong> {
        let atr = self.build().ok_or(AtrTooLong::Format)?;
        let full = AtrTooLong::Buffer(Full { needed: atr.len() });
        let out = out.get_mut(..atr.len()).ok_or(full)?;
        out.copy_from_slice(&atr);
        Ok(out)
    }

    fn build(&self) -> Option<Vec<u8, { Atr::MAX_LEN }>> {
        let count =
            u8::try_from(self.historical.len()).ok().filter(|count| *count <= 15 && !self.too_long)?;
        let mut atr = Vec::new();
        atr.push(match self.convention {
            Convention::Direct => 0x3B,
            Convention::Inverse => 0x3F,
        })
        .ok()?;
        // T0 carries the number of historical bytes where each TD carries a protocol.
        let groups = core::iter::once((count, self.first)).chain(self.protocols.iter().copied());
        for (index, (low, group)) in groups.enumerate() {
            let td_follows = if index < self.protocols.len() { 0x80 } else { 0 };
            atr.push(low | group.presence() | td_follows).ok()?;
            // The announcing byte stands before the group's TA, TB, TC.
            for byte in [group.ta, group.tb, group.tc].into_iter().flatten() {
                atr.push(byte).ok()?;
            }
        }
        atr.extend_from_slice(self.historical).ok()?;
        if self.protocols.iter().any(|(t, _)| *t != 0) {
            let check = exclusive_or(atr.get(1..)?);
            atr.push(check).ok()?;
        }
        Some(atr)
    }
}
