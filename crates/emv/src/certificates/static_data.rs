//! The static data to be authenticated. `[EMV-B3 10.3]`

use heapless::Vec;
use huiwan_crypto::CryptoError;
use huiwan_tlv::{Rules, Tag, parse};

/// Collects the static data a card certificate or signature covers, at most `N` bytes.
///
/// The hash begins with the certificate's fields, and the certificate may arrive after the records it covers, so the records
/// cannot be hashed as they come; they are kept, bounded. A card whose data do not fit fails authentication, as it would
/// by a wrong hash. Cards for quickPass mark no records or one (under 100 bytes); contact cards stay under 2048.
///
/// ```
/// # use huiwan_emv::certificates::StaticData;
/// let mut data = StaticData::<256>::new();
/// data.push_record(2, &[0x70, 0x04, 0x5F, 0x34, 0x01, 0x01]);
/// assert_eq!(data.get(), Ok(&[0x5F, 0x34, 0x01, 0x01][..]));
/// ```
#[derive(Debug, Clone)]
pub struct StaticData<const N: usize> {
    bytes: Vec<u8, N>,
    failed: bool,
}

impl<const N: usize> Default for StaticData<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> StaticData<N> {
    /// Nothing yet; a card that marks no record authenticates exactly this.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), failed: false }
    }

    /// Adds a record the AFL marks: of files 1 to 10 the content of its template 70, which must fill the record; of 11 to 30 the whole record.
    pub fn push_record(&mut self, sfi: u8, record: &[u8]) {
        if sfi > 10 {
            return self.push(record);
        }
        let mut objects = parse(record, Rules::EMV);
        match (objects.next(), objects.next()) {
            (Some(Ok(template)), None) if template.tag() == Tag::new(0x70) => self.push(template.value()),
            _ => self.failed = true,
        }
    }

    /// Adds the value of an object 9F4A lists: the AIP.
    pub fn push(&mut self, bytes: &[u8]) {
        self.failed |= self.bytes.extend_from_slice(bytes).is_err();
    }

    /// What was collected.
    ///
    /// # Errors
    /// [`CryptoError`] when a record was no template or the data were longer than `N`.
    pub fn get(&self) -> Result<&[u8], CryptoError> {
        if self.failed { Err(CryptoError) } else { Ok(&self.bytes) }
    }
}
