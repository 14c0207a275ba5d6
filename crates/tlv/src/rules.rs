/// Which encodings a reader accepts. A value, because cards differ and standards do too.
///
/// | | [`Rules::ISO`] | [`Rules::EMV`] | `.strict()` |
/// |---|---|---|---|
/// | `00` and `FF` between objects | tag bytes | skipped | as before |
/// | tags such as `9F02` (second byte `00`–`1E` or `80`) | refused | accepted | as before |
/// | lengths longer than needed (`81 05`) | accepted | accepted | refused |
///
/// Indefinite lengths (`80`) are refused by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(u8);

const FILLER: u8 = 1;
const ANY_TAG: u8 = 2;
const MINIMAL_LENGTHS: u8 = 4;

impl Rules {
    /// ISO/IEC 7816-4: no filler, minimal tag numbers. [ISO7816-4 5.2.2]
    pub const ISO: Self = Self(0);

    /// EMV and PBOC: filler bytes `00` and `FF` before, between and after objects are skipped, and a two-byte tag
    /// may have any second byte. [EMV-B3 Annex B]
    pub const EMV: Self = Self(FILLER | ANY_TAG);

    /// These rules, and every length in its shortest form.
    #[inline]
    #[must_use]
    pub const fn strict(self) -> Self {
        Self(self.0 | MINIMAL_LENGTHS)
    }

    #[inline]
    pub(crate) const fn skips_filler(self) -> bool {
        self.0 & FILLER != 0
    }

    #[inline]
    pub(crate) const fn any_tag(self) -> bool {
        self.0 & ANY_TAG != 0
    }

    #[inline]
    pub(crate) const fn minimal_lengths(self) -> bool {
        self.0 & MINIMAL_LENGTHS != 0
    }
}
