use core::fmt;

/// The greatest number of response bytes a command asks for: 1 to 65 536.
///
/// On the wire 256 is the byte `00` and 65 536 the bytes `0000`; that coding never leaves this type. [ISO7816-4 5.1]
///
/// ```
/// use huiwan_apdu::Ne;
///
/// assert_eq!(Ne::short(0x00), Ne::MAX_SHORT);
/// assert_eq!(Ne::new(65_536), Some(Ne::MAX_EXTENDED));
/// assert_eq!(Ne::new(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ne(
    /// One less than the number.
    u16,
);

impl Ne {
    /// 256, the most a short command can ask for.
    pub const MAX_SHORT: Self = Self(0xFF);

    /// 65 536, the most an extended command can ask for.
    pub const MAX_EXTENDED: Self = Self(0xFFFF);

    /// Asks for `ne` bytes; `None` unless 1 to 65 536.
    #[inline]
    pub const fn new(ne: usize) -> Option<Self> {
        match ne {
            1..=0x1_0000 => {
                let [low, high, ..] = ne.wrapping_sub(1).to_le_bytes();
                Some(Self(u16::from_le_bytes([low, high])))
            }
            _ => None,
        }
    }

    /// From the Le byte of a short command.
    #[inline]
    pub const fn short(le: u8) -> Self {
        Self(le.wrapping_sub(1) as u16)
    }

    /// From the Le bytes of an extended command.
    #[inline]
    pub const fn extended(le: u16) -> Self {
        Self(le.wrapping_sub(1))
    }

    /// How many bytes are asked for.
    #[inline]
    pub const fn get(self) -> usize {
        (self.0 as usize).wrapping_add(1)
    }

    /// Whether one Le byte can say it.
    #[inline]
    pub const fn is_short(self) -> bool {
        self.0 <= 0xFF
    }

    /// The Le bytes of an extended command; the second alone is the Le byte of a short one.
    #[inline]
    pub(crate) const fn to_wire(self) -> [u8; 2] {
        self.0.wrapping_add(1).to_be_bytes()
    }
}

impl fmt::Display for Ne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Ne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ne({self})")
    }
}
