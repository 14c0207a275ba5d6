use core::fmt;

use huiwan_tlv::{At, Full};

use crate::{Class, InvalidClass, Ne};

/// What is wrong with an APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApduError {
    /// A command of fewer than four bytes. The offset is the number of bytes there are.
    HeaderTruncated,
    /// Lc says zero: in the extended form, or with data following. The offset is that of Lc.
    LcZero,
    /// The command ends inside an extended Lc. The offset is the number of bytes there are.
    LcTruncated,
    /// There are fewer data bytes than Lc says. The offset is the number of bytes there are.
    DataTruncated,
    /// What follows the data is no Le. The offset is that of the first byte behind the data.
    LeMalformed,
    /// A response without a status word. The offset is the number of bytes there are.
    StatusWordTruncated,
}

impl fmt::Display for ApduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderTruncated => "command header truncated",
            Self::LcZero => "lc is zero",
            Self::LcTruncated => "extended lc truncated",
            Self::DataTruncated => "command data shorter than lc",
            Self::LeMalformed => "le malformed",
            Self::StatusWordTruncated => "status word truncated",
        })
    }
}

impl core::error::Error for ApduError {}

/// The seven forms of a command. [ISO7816-3 12.1.3]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Case {
    /// Case 1: header alone.
    One,
    /// Case 2S: short Le.
    TwoShort,
    /// Case 2E: extended Le.
    TwoExtended,
    /// Case 3S: short Lc and data.
    ThreeShort,
    /// Case 3E: extended Lc and data.
    ThreeExtended,
    /// Case 4S: short Lc, data, short Le.
    FourShort,
    /// Case 4E: extended Lc, data, extended Le.
    FourExtended,
}

/// A command: what a parsed one says, or what one to be written shall say.
///
/// It is written in the short form if it can be, in the extended form if it must be or was asked to be by
/// [`Command::extended`]; a parsed command keeps its form.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    header: [u8; 4],
    data: &'a [u8],
    ne: Option<Ne>,
    extended: bool,
}

impl<'a> Command<'a> {
    /// A command without data and without expected response data.
    #[inline]
    pub const fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self { header: [cla, ins, p1, p2], data: &[], ne: None, extended: false }
    }

    /// Reads a command of any of the seven cases.
    ///
    /// # Errors
    /// The lengths contradict each other; see [`ApduError`].
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<ApduError>> {
        let Some((&header, body)) = raw.split_first_chunk::<4>() else {
            return Err(malformed(raw));
        };
        let (data, ne, extended) = match *body {
            [] => (&[][..], None, false),
            [le] => (&[][..], Some(Ne::short(le)), false),
            [0, high, low] => (&[][..], Some(Ne::extended(u16::from_be_bytes([high, low]))), true),
            [0, high, low, ref rest @ ..] if high | low != 0 => {
                let lc = usize::from(u16::from_be_bytes([high, low]));
                match rest.split_at_checked(lc) {
                    Some((data, [])) => (data, None, true),
                    Some((data, &[high, low])) => {
                        (data, Some(Ne::extended(u16::from_be_bytes([high, low]))), true)
                    }
                    _ => return Err(malformed(raw)),
                }
            }
            [lc, ref rest @ ..] if lc != 0 => match rest.split_at_checked(usize::from(lc)) {
                Some((data, [])) => (data, None, false),
                Some((data, &[le])) => (data, Some(Ne::short(le)), false),
                _ => return Err(malformed(raw)),
            },
            _ => return Err(malformed(raw)),
        };
        Ok(Self { header, data, ne, extended })
    }

    /// The same command with this data; an empty slice means no data.
    #[inline]
    #[must_use]
    pub const fn with_data<'d>(self, data: &'d [u8]) -> Command<'d> {
        Command { header: self.header, data, ne: self.ne, extended: self.extended }
    }

    /// The same command asking for up to `ne` bytes of response data.
    #[inline]
    #[must_use]
    pub const fn with_ne(self, ne: Ne) -> Self {
        Self { ne: Some(ne), ..self }
    }

    /// The same command asking for no response data.
    #[inline]
    #[must_use]
    pub const fn without_ne(self) -> Self {
        Self { ne: None, ..self }
    }

    /// The same command with another class byte.
    #[inline]
    #[must_use]
    pub const fn with_cla(self, cla: u8) -> Self {
        let [_, ins, p1, p2] = self.header;
        Self { header: [cla, ins, p1, p2], ..self }
    }

    /// Asks for the extended form even where the short one would do. Of no effect on case 1, which has one form.
    #[inline]
    #[must_use]
    pub const fn extended(self, extended: bool) -> Self {
        Self { extended, ..self }
    }

    /// The class byte.
    #[inline]
    pub const fn cla(&self) -> u8 {
        let [cla, ..] = self.header;
        cla
    }

    /// The class byte taken apart.
    ///
    /// # Errors
    /// [`InvalidClass`] for `FF` and the values reserved by ISO 7816-4.
    #[inline]
    pub const fn class(&self) -> Result<Class, InvalidClass> {
        Class::parse(self.cla())
    }

    /// The instruction byte.
    #[inline]
    pub const fn ins(&self) -> u8 {
        let [_, ins, ..] = self.header;
        ins
    }

    /// The first parameter byte.
    #[inline]
    pub const fn p1(&self) -> u8 {
        let [_, _, p1, _] = self.header;
        p1
    }

    /// The second parameter byte.
    #[inline]
    pub const fn p2(&self) -> u8 {
        let [_, _, _, p2] = self.header;
        p2
    }

    /// Both parameter bytes, P1 most significant.
    #[inline]
    pub const fn p1p2(&self) -> u16 {
        u16::from_be_bytes([self.p1(), self.p2()])
    }

    /// The command data; empty if there are none.
    #[inline]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How many bytes of response data are asked for at most; `None`: none.
    #[inline]
    pub const fn ne(&self) -> Option<Ne> {
        self.ne
    }

    /// CLA, INS, P1, P2.
    #[inline]
    pub const fn header(&self) -> [u8; 4] {
        self.header
    }

    /// Whether the lengths are in the extended form.
    #[inline]
    pub const fn is_extended(&self) -> bool {
        match self.ne {
            None if self.data.is_empty() => false,
            None => self.extended || self.data.len() > 0xFF,
            Some(ne) => self.extended || self.data.len() > 0xFF || !ne.is_short(),
        }
    }

    /// Which of the seven forms this is.
    pub const fn case(&self) -> Case {
        match (self.data.is_empty(), self.ne.is_some(), self.is_extended()) {
            (true, false, _) => Case::One,
            (true, true, false) => Case::TwoShort,
            (true, true, true) => Case::TwoExtended,
            (false, false, false) => Case::ThreeShort,
            (false, false, true) => Case::ThreeExtended,
            (false, true, false) => Case::FourShort,
            (false, true, true) => Case::FourExtended,
        }
    }

    /// How many bytes it takes on the wire; `usize::MAX` if it has more than the 65 535 bytes of data Lc can say.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        let lengths = match (self.data.is_empty(), self.ne.is_some(), self.is_extended()) {
            (true, false, _) => 0,
            (true, true, false) | (false, false, false) => 1,
            (false, true, false) => 2,
            (true, true, true) | (false, false, true) => 3,
            (false, true, true) => 5,
        };
        match self.data.len() {
            len @ 0..=0xFFFF => len.wrapping_add(lengths).wrapping_add(4),
            _ => usize::MAX,
        }
    }

    /// Writes the command at the start of `out`.
    ///
    /// # Errors
    /// [`Full`] if `out` is shorter than [`Command::encoded_len`].
    #[inline]
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let needed = self.encoded_len();
        let Some(out) = out.get_mut(..needed) else { return Err(full(needed)) };
        let Some((header, body)) = out.split_first_chunk_mut::<4>() else { return Err(full(needed)) };
        *header = self.header;
        if !body.is_empty() {
            self.write_body(body).ok_or(Full { needed })?;
        }
        Ok(out)
    }

    /// Writes everything behind the header; `body` has exactly the right length.
    #[inline]
    fn write_body(&self, body: &mut [u8]) -> Option<()> {
        let [high, low] = u16::try_from(self.data.len()).ok()?.to_be_bytes();
        let body = match (self.is_extended(), self.data) {
            (false, []) => body,
            (false, data) => {
                let (lc, body) = body.split_first_mut()?;
                *lc = low;
                put(body, data)?
            }
            (true, []) => {
                let (zero, body) = body.split_first_mut()?;
                *zero = 0;
                body
            }
            (true, data) => {
                let (lc, body) = body.split_first_chunk_mut::<3>()?;
                *lc = [0, high, low];
                put(body, data)?
            }
        };
        let [le_high, le_low] = self.ne.map(Ne::to_wire).unwrap_or_default();
        match body {
            [] => {}
            [le] => *le = le_low,
            [high, low] => (*high, *low) = (le_high, le_low),
            _ => return None,
        }
        Some(())
    }
}

#[inline]
fn put<'b>(body: &'b mut [u8], data: &[u8]) -> Option<&'b mut [u8]> {
    let (place, rest) = body.split_at_mut_checked(data.len())?;
    place.copy_from_slice(data);
    Some(rest)
}

#[cold]
const fn full(needed: usize) -> Full {
    Full { needed }
}

/// Says what is wrong with a command that [`Command::parse`] refused.
#[cold]
#[inline(never)]
fn malformed(raw: &[u8]) -> At<ApduError> {
    let len = raw.len();
    let (lc, before_data) = match *raw {
        [_, _, _, _, 0, high, low, _, ..] => (u16::from_be_bytes([high, low]), 7usize),
        [_, _, _, _, 0, _] => return At::new(ApduError::LcTruncated, len),
        [_, _, _, _, lc, ..] => (u16::from(lc), 5),
        _ => return At::new(ApduError::HeaderTruncated, len),
    };
    let behind_data = before_data.wrapping_add(usize::from(lc));
    if lc == 0 {
        At::new(ApduError::LcZero, 4)
    } else if len < behind_data {
        At::new(ApduError::DataTruncated, len)
    } else {
        At::new(ApduError::LeMalformed, behind_data)
    }
}

impl PartialEq for Command<'_> {
    /// Equal if they are the same on the wire.
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header
            && self.ne == other.ne
            && self.is_extended() == other.is_extended()
            && self.data == other.data
    }
}

impl Eq for Command<'_> {}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Command data may be a PIN or a key: only their number is shown.
        let [cla, ins, p1, p2] = self.header;
        write!(f, "Command({cla:02X} {ins:02X} {p1:02X} {p2:02X}, {} data bytes, ", self.data.len())?;
        match self.ne {
            Some(ne) => write!(f, "ne {ne})"),
            None => f.write_str("no ne)"),
        }
    }
}
