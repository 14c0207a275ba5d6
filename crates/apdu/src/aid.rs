use core::fmt;

/// An application identifier of 5 to 16 bytes, or a file name of 1 to 16, kept by value. [ISO7816-4 12.2.3]
///
/// ```
/// use huiwan_apdu::Aid;
///
/// const DEBIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
/// assert!(DEBIT.starts_with(&[0xA0, 0x00, 0x00, 0x03, 0x33]));
/// assert_eq!(DEBIT.to_string(), "A000000333010101");
/// assert!(Aid::new(&[0xA0, 0x00]).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aid {
    /// Zero behind `len`, so that derived comparison is that of the bytes.
    bytes: [u8; 16],
    len: u8,
}

/// An application identifier of the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AidLength;

impl fmt::Display for AidLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("application identifier length not 5 to 16 (file name: 1 to 16)")
    }
}

impl core::error::Error for AidLength {}

impl Aid {
    /// An application identifier.
    ///
    /// # Errors
    /// [`AidLength`] unless 5 to 16 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, AidLength> {
        if bytes.len() < 5 {
            return Err(AidLength);
        }
        Self::name(bytes)
    }

    /// A file name, such as `1PAY.SYS.DDF01`.
    ///
    /// # Errors
    /// [`AidLength`] unless 1 to 16 bytes.
    pub fn name(bytes: &[u8]) -> Result<Self, AidLength> {
        let mut aid = Self { bytes: [0; 16], len: 0 };
        match (u8::try_from(bytes.len()), aid.bytes.get_mut(..bytes.len())) {
            (Ok(len @ 1..=16), Some(place)) => {
                place.copy_from_slice(bytes);
                aid.len = len;
                Ok(aid)
            }
            _ => Err(AidLength),
        }
    }

    /// A file name or application identifier known at compile time; a length other than 1 to 16 does not compile.
    pub const fn from_array<const N: usize>(array: [u8; N]) -> Self {
        const { assert!(N >= 1 && N <= 16, "an application identifier has at most 16 bytes") };
        let mut bytes = [0; 16];
        if let Some((place, _)) = bytes.split_first_chunk_mut::<N>() {
            *place = array;
        }
        let [len, ..] = N.to_le_bytes();
        Self { bytes, len }
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// Whether it begins with `prefix`: partial selection by name. [ISO7816-4 11.2.2]
    #[inline]
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.as_bytes().starts_with(prefix)
    }

    /// The registered application provider identifier, its first five bytes; all of a shorter name.
    #[inline]
    pub fn rid(&self) -> &[u8] {
        let name = self.as_bytes();
        name.get(..5).unwrap_or(name)
    }
}

impl AsRef<[u8]> for Aid {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl TryFrom<&[u8]> for Aid {
    type Error = AidLength;

    fn try_from(bytes: &[u8]) -> Result<Self, AidLength> {
        Self::new(bytes)
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        huiwan_tlv::hex::Hex(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aid({self})")
    }
}
