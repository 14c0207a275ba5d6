//! The load file: `{ E2 { 4F domain, C3 signature } }* C4 length components`, its hash, and its blocks; or with
//! `D3 initial value D4 length ciphered components` in place of `C4`. [GPC 11.6.2; sheet 1.8, 6]

use huiwan_crypto::hash::{Sha1, Sha256, Sha384, Sha512};
use huiwan_crypto::{BlockKey, CryptoError, padding};

use super::CapFile;

/// LOAD numbers its blocks with one byte and does not wrap.
pub const MAX_BLOCKS: usize = 256;

const TAG_E2_DAP_BLOCK: u8 = 0xE2;
const TAG_4F_DOMAIN: u8 = 0x4F;
const TAG_C3_SIGNATURE: u8 = 0xC3;
const TAG_C4_LOAD_FILE_DATA: u8 = 0xC4;
const TAG_D3_INITIAL_VALUE: u8 = 0xD3;
const TAG_D4_CIPHERED_DATA: u8 = 0xD4;

/// Hash functions of load file data blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HashFunction {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    #[default]
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

/// A load file data block that only the card can read. The key is that of a domain with the privilege for it, and stays with whoever
/// made the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ciphered<'a> {
    /// One block of the cipher; empty for zeros.
    pub initial_value: &'a [u8],
    /// What [`LoadFile::encipher`] made.
    pub data: &'a [u8],
}

/// A signature over the load file data block's hash, by the keys of a domain on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dap<'a> {
    /// AID of the domain that checks it.
    pub domain: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Where a CAP archive keeps signatures made beforehand. (a convention of other tools, from a single source)
pub const DAP_MEMBERS: [&str; 4] = [
    "META-INF/dap.rsa.sha1",
    "META-INF/dap.rsa.sha256",
    "META-INF/dap.p256.sha1",
    "META-INF/dap.p256.sha256",
];

/// A load file, read piece by piece: it is never in memory as a whole.
#[derive(Debug, Clone, Copy)]
pub struct LoadFile<'a, 'c> {
    cap: &'c CapFile<'a>,
    descriptor: bool,
    daps: &'c [Dap<'a>],
    ciphered: Option<Ciphered<'c>>,
}

impl<'a, 'c> LoadFile<'a, 'c> {
    /// The load file of `cap`, without its descriptor, which no card needs to link it; hash and signatures depend on
    /// the choice.
    #[must_use]
    pub const fn new(cap: &'c CapFile<'a>) -> Self {
        Self { cap, descriptor: false, daps: &[], ciphered: None }
    }

    /// The same with the descriptor.
    #[must_use]
    pub const fn with_descriptor(self) -> Self {
        Self { descriptor: true, ..self }
    }

    /// The same with signatures in front.
    #[must_use]
    pub const fn with_daps(self, daps: &'c [Dap<'a>]) -> Self {
        Self { daps, ..self }
    }

    /// The same with the data block in cipher. Hash and signatures stay those of the plain one. [sheet 2.7]
    #[must_use]
    pub const fn with_ciphered(self, ciphered: Ciphered<'c>) -> Self {
        Self { ciphered: Some(ciphered), ..self }
    }

    /// Signatures in front.
    #[must_use]
    pub const fn daps(&self) -> &'c [Dap<'a>] {
        self.daps
    }

    /// The file it is made of.
    #[must_use]
    pub const fn cap(&self) -> &'c CapFile<'a> {
        self.cap
    }

    /// Bytes of the plain load file data block: the components alone.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.components().fold(0, |len, part| len.saturating_add(part.len()))
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut len = 0_usize;
        self.for_each_part(&mut |part| len = len.saturating_add(part.len()));
        len
    }

    /// Hash of the load file data block, which INSTALL [for load] carries and signatures cover.
    #[must_use]
    pub fn sha1(&self) -> [u8; 20] {
        let mut hash = Sha1::new();
        self.components().for_each(|part| hash.update(part));
        hash.finish()
    }

    /// The same with SHA-256.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.components().for_each(|part| hash.update(part));
        hash.finish()
    }

    /// The hash by any of the functions.
    #[must_use]
    pub fn hash(&self, function: HashFunction) -> heapless::Vec<u8, 64> {
        macro_rules! with {
            ($hash:ty) => {{
                let mut hash = <$hash>::new();
                self.components().for_each(|part| hash.update(part));
                hash.finish().into_iter().collect()
            }};
        }
        match function {
            HashFunction::Sha1 => with!(Sha1),
            HashFunction::Sha256 => with!(Sha256),
            HashFunction::Sha384 => with!(Sha384),
            HashFunction::Sha512 => with!(Sha512),
        }
    }

    /// Enciphers the load file data block into `out`, padded to whole blocks, at least one byte: for [`Self::with_ciphered`].
    ///
    /// # Errors
    /// [`CryptoError`] if `out` is too short, or `initial_value` not one block.
    pub fn encipher<'o>(
        &self,
        key: &impl BlockKey,
        initial_value: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        let mut len = 0_usize;
        for part in self.components() {
            let end = len.saturating_add(part.len());
            out.get_mut(len..end).ok_or(CryptoError)?.copy_from_slice(part);
            len = end;
        }
        let padded = padding::method2_in_place(out, len, key.block_len())?;
        let data = out.get_mut(..padded).ok_or(CryptoError)?;
        key.encrypt_cbc(initial_value, data)?;
        Ok(data)
    }

    /// The pieces of the load file data block, for any other hash.
    pub fn components(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'c> {
        self.cap.load_order(self.descriptor).map(super::Component::raw)
    }

    /// How many blocks of `len` bytes it makes; `None` if they are more than can be numbered.
    #[must_use]
    pub fn blocks(&self, len: usize) -> Option<usize> {
        if len == 0 {
            return None;
        }
        Some(self.encoded_len().div_ceil(len)).filter(|blocks| *blocks <= MAX_BLOCKS)
    }

    /// Fills `out` with block `number`, blocks being as long as `out`; the answer is how much of it. `None` past the end.
    #[must_use]
    pub fn block(&self, number: u8, out: &mut [u8]) -> Option<usize> {
        let mut skip = usize::from(number).checked_mul(out.len())?;
        let mut filled = 0_usize;
        self.for_each_part(&mut |part| {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            let room = out.get_mut(filled..).unwrap_or_default();
            room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            filled = filled.saturating_add(rest.len().min(room.len()));
        });
        (filled != 0).then_some(filled)
    }

    fn for_each_part(&self, f: &mut dyn FnMut(&[u8])) {
        for Dap { domain, signature } in self.daps {
            let domain_head = head(TAG_4F_DOMAIN, domain.len());
            let signature_head = head(TAG_C3_SIGNATURE, signature.len());
            let parts = [&domain_head, *domain, &signature_head, signature];
            f(&head(TAG_E2_DAP_BLOCK, parts.iter().fold(0, |len, part| len.saturating_add(part.len()))));
            parts.iter().for_each(|part| f(part));
        }
        match self.ciphered {
            None => {
                f(&head(TAG_C4_LOAD_FILE_DATA, self.data_len()));
                self.components().for_each(f);
            }
            Some(Ciphered { initial_value, data }) => {
                if !initial_value.is_empty() {
                    f(&head(TAG_D3_INITIAL_VALUE, initial_value.len()));
                    f(initial_value);
                }
                f(&head(TAG_D4_CIPHERED_DATA, data.len()));
                f(data);
            }
        }
    }
}

/// A one-byte tag and a BER length.
fn head(tag: u8, len: usize) -> heapless::Vec<u8, 6> {
    let bytes = len.to_be_bytes();
    let significant = bytes.iter().position(|byte| *byte != 0).and_then(|first| bytes.get(first..));
    let significant = significant.unwrap_or(&[0]);
    // Components have two-byte lengths and are thirteen: three bytes are enough.
    let long = u8::try_from(significant.len()).unwrap_or(4) | 0x80;
    let long = (len > 127).then_some(long);
    core::iter::once(tag).chain(long).chain(significant.iter().copied()).take(6).collect()
}
