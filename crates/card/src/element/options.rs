//! What differs between elements of the same modules.

/// How the element behaves on its interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The contact interface speaks T=0: answers wait for GET RESPONSE (61xx), a wrong Le is told (6Cxx). [ISO 7816-3 12.2]
    pub t0: bool,
    /// Extended length fields are accepted; otherwise 6700.
    pub extended_length: bool,
    /// Logical channels, 1–20, the basic one included.
    pub channels: u8,
}

impl Options {
    /// T=1 or contactless, short and extended length, four channels.
    pub const DEFAULT: Self = Self { t0: false, extended_length: true, channels: 4 };

    /// The same with or without T=0 on the contact interface.
    #[must_use]
    pub const fn with_t0(self, t0: bool) -> Self {
        Self { t0, ..self }
    }

    /// The same with or without extended length.
    #[must_use]
    pub const fn with_extended_length(self, extended_length: bool) -> Self {
        Self { extended_length, ..self }
    }

    /// The same with another number of channels, 1–20.
    #[must_use]
    pub const fn with_channels(self, channels: u8) -> Self {
        Self { channels, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
