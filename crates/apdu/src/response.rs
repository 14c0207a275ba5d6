use core::fmt;

use huiwan_tlv::{At, Full};

use crate::{ApduError, Sw};

/// A response: data and status word.
///
/// ```
/// use huiwan_apdu::{Response, Sw};
///
/// let response = Response::parse(&[0x12, 0x34, 0x90, 0x00])?;
/// assert_eq!((response.data(), response.sw()), (&[0x12, 0x34][..], Sw::OK));
/// # Ok::<(), huiwan_tlv::At<huiwan_apdu::ApduError>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    data: &'a [u8],
    sw: Sw,
}

impl<'a> Response<'a> {
    /// A response of this data and status word.
    #[inline]
    pub const fn new(data: &'a [u8], sw: Sw) -> Self {
        Self { data, sw }
    }

    /// Reads a response.
    ///
    /// # Errors
    /// [`ApduError::StatusWordTruncated`] if there are fewer than two bytes.
    #[inline]
    pub const fn parse(raw: &'a [u8]) -> Result<Self, At<ApduError>> {
        match raw.split_last_chunk::<2>() {
            Some((data, sw)) => Ok(Self { data, sw: Sw::new(u16::from_be_bytes(*sw)) }),
            None => Err(At::new(ApduError::StatusWordTruncated, raw.len())),
        }
    }

    /// The response data; empty if there are none.
    #[inline]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The status word.
    #[inline]
    pub const fn sw(&self) -> Sw {
        self.sw
    }

    /// How many bytes it takes on the wire.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        self.data.len().saturating_add(2)
    }

    /// Writes the response at the start of `out`.
    ///
    /// # Errors
    /// [`Full`] if `out` is shorter than [`Response::encoded_len`].
    #[inline]
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let needed = self.encoded_len();
        let out = out.get_mut(..needed).ok_or(Full { needed })?;
        let (data, sw) = out.split_last_chunk_mut::<2>().ok_or(Full { needed })?;
        data.copy_from_slice(self.data);
        *sw = self.sw.value().to_be_bytes();
        Ok(out)
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} data bytes, {})", self.data.len(), self.sw)
    }
}
