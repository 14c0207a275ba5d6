//! What a load file consists of, its hash and its signatures. [GPC 9.2, 9.3, C.2, C.3]

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory};
use huiwan_crypto::{Aes, BlockKey, CryptoError, Tdes, ct_eq, hash, padding};
use huiwan_tlv::{Rules, Tag, find};
use zeroize::Zeroizing;

use super::stream::Stream;
use super::{Request, cap};
use crate::card::keys::KeySet;
use crate::card::load_file::LoadFile;
use crate::card::manager::{CardManager, Exchange};
use crate::card::{objects, registry};
use crate::get_status::TAG_4F_AID;
use crate::life_cycle::ApplicationState;
use crate::load::{
    KVN_CIPHERED, KVN_DAP, TAG_C3_SIGNATURE, TAG_C4_DATA_BLOCK, TAG_D3_INITIAL_VALUE,
    TAG_D4_CIPHERED_DATA_BLOCK, TAG_E2_DAP_BLOCK,
};
use crate::privileges::Privileges;
use crate::put_key::KeyType;
use crate::token::KID;

/// Bytes of a signature block at most: an AID, an RSA signature of 256 bytes, headers.
const DAP_BLOCK_MAX: usize = 18 + 260;
/// Signature blocks of one load file at most.
const DAP_BLOCKS_MAX: usize = 8;
/// Bytes of a deciphered piece: whole blocks.
const PIECE: usize = 240;

/// Where the load file data block is.
struct DataBlock {
    stream: Stream,
    len: usize,
    /// The initial value, if it is ciphered.
    ciphered: Option<[u8; 16]>,
    signed: bool,
}

impl CardManager<'_> {
    /// Checks everything that has come; what can be registered is returned.
    pub(super) fn check_load_file(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        file: InstanceId,
        request: &Request,
    ) -> Result<LoadFile, Sw> {
        let blocks = x.progress.load_block;
        let whole = Stream::new(file, objects::LOADED, blocks);
        let mut block = data_block(x.cx.memory, whole)?;
        let ciphered = block.ciphered.is_some();
        if let Some(initial) = block.ciphered {
            (block.stream, block.len) = self.decipher(x, file, request, &block, initial)?;
        }
        let digest = digest(x.cx.memory, &block, request.hash.len())?;
        if !ct_eq(&digest, &request.hash) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // Signatures are over the hash, which INSTALL then has to bring. [GPC 11.5.2.3.1]
        if block.signed && request.hash.is_empty() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        self.check_signatures(x, whole, request)?;
        let named = cap::read(x.cx.memory, block.stream, block.len)?;
        if named.package.is_some_and(|package| package != request.aid) {
            return Err(Sw::WRONG_DATA);
        }
        if ciphered {
            // The ciphered blocks have served.
            for n in 0..blocks {
                let n = u8::try_from(n).map_err(|_| Sw::UNKNOWN)?;
                let mut buffer = [0; 16];
                let mut batch = Batch::new(&mut buffer);
                batch.delete(objects::load_piece(file, objects::LOADED, n));
                x.cx.commit(&batch)?;
            }
        }
        Ok(LoadFile {
            domain: request.domain,
            version: named.version,
            aid: request.aid,
            modules: named.modules,
        })
    }

    /// Every signature block is right, and nobody who demands one is without. [GPC 9.2.1]
    fn check_signatures(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        mut stream: Stream,
        request: &Request,
    ) -> Result<(), Sw> {
        let mut signers = heapless::Vec::<InstanceId, DAP_BLOCKS_MAX>::new();
        while let Some((tag, len)) = stream.header(x.cx.memory)? {
            if tag != TAG_E2_DAP_BLOCK.get() {
                break;
            }
            let mut buffer = [0; DAP_BLOCK_MAX];
            let block = buffer.get_mut(..len).ok_or(Sw::WRONG_DATA)?;
            stream.exact(x.cx.memory, block)?;
            let value = |tag| find(block, Rules::ISO, tag).ok().flatten().map(|object| object.value());
            let aid = value(TAG_4F_AID).ok_or(Sw::WRONG_DATA)?;
            let signature = value(TAG_C3_SIGNATURE).ok_or(Sw::WRONG_DATA)?;
            let signer = registry::by_aid(x.cx.memory, aid)?
                .filter(|record| record.privileges.contains(Privileges::DAP_VERIFICATION))
                .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?
                .instance;
            self.verify(x.cx.memory, signer, KVN_DAP, &[&request.hash], signature)?;
            signers.push(signer).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        }
        let mut after = None;
        while let Some(record) = registry::next(x.cx.memory, after)? {
            after = Some(record.instance);
            let mandated = record.privileges.contains(Privileges::MANDATED_DAP)
                && record.state.unlocked() == ApplicationState::PERSONALIZED;
            let own =
                record.instance == request.domain && record.privileges.contains(Privileges::DAP_VERIFICATION);
            if (mandated || own) && !signers.contains(&record.instance) {
                return Err(Sw::CONDITIONS_NOT_SATISFIED);
            }
        }
        Ok(())
    }

    /// Deciphers the data block into pieces of its own; returns where it is then, and its length.
    fn decipher(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        file: InstanceId,
        request: &Request,
        block: &DataBlock,
        mut initial: [u8; 16],
    ) -> Result<(Stream, usize), Sw> {
        let privileged = registry::record(x.cx.memory, request.domain)?
            .is_none_or(|record| record.privileges.contains(Privileges::CIPHERED_LOAD_FILE));
        let domain = if privileged { request.domain } else { InstanceId::ISSUER };
        let set = KeySet::read(x.cx.memory, domain, KVN_CIPHERED)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let (mut stream, mut left, mut plain_len) = (block.stream, block.len, 0_usize);
        let mut pieces = 0_u8;
        while left > 0 {
            let want = left.min(PIECE);
            let mut buffer = Zeroizing::new([0; PIECE]);
            let piece = buffer.get_mut(..want).ok_or(Sw::UNKNOWN)?;
            stream.exact(x.cx.memory, piece)?;
            left = left.saturating_sub(want);
            decrypt(&set, &mut initial, piece).map_err(|_| Sw::WRONG_DATA)?;
            let plain =
                if left == 0 { padding::unpad_method2(piece).map_err(|_| Sw::WRONG_DATA)? } else { piece };
            let mut batch_buffer = Zeroizing::new([0; PIECE + 16]);
            let mut batch = Batch::new(&mut *batch_buffer);
            batch.put(objects::load_piece(file, objects::DECIPHERED, pieces), plain);
            x.cx.commit(&batch)?;
            plain_len = plain_len.saturating_add(plain.len());
            pieces = pieces.checked_add(1).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        }
        Ok((Stream::new(file, objects::DECIPHERED, u16::from(pieces)), plain_len))
    }
}

/// Goes through the objects of the load file up to the data block, behind which nothing may follow.
fn data_block(memory: &mut dyn Memory, mut stream: Stream) -> Result<DataBlock, Sw> {
    let (mut signed, mut initial) = (false, None);
    loop {
        let (tag, len) = stream.header(memory)?.ok_or(Sw::WRONG_DATA)?;
        let tag = Tag::new(tag);
        match tag {
            TAG_E2_DAP_BLOCK if initial.is_none() => {
                stream.skip(memory, len)?;
                signed = true;
            }
            TAG_D3_INITIAL_VALUE if initial.is_none() => {
                let mut value = [0; 16];
                stream.exact(memory, value.get_mut(..len).ok_or(Sw::WRONG_DATA)?)?;
                initial = Some(value);
            }
            TAG_C4_DATA_BLOCK | TAG_D4_CIPHERED_DATA_BLOCK => {
                let ciphered = tag == TAG_D4_CIPHERED_DATA_BLOCK;
                if initial.is_some() && !ciphered {
                    return Err(Sw::WRONG_DATA);
                }
                let mut behind = stream;
                behind.skip(memory, len)?;
                if !behind.is_at_end(memory)? || len == 0 {
                    return Err(Sw::WRONG_DATA);
                }
                let ciphered = ciphered.then_some(initial.unwrap_or_default());
                return Ok(DataBlock { stream, len, ciphered, signed });
            }
            _ => return Err(Sw::WRONG_DATA),
        }
    }
}

/// The hash of the data block: the function follows from the length; none for 0.
fn digest(memory: &mut dyn Memory, block: &DataBlock, hash_len: usize) -> Result<heapless::Vec<u8, 64>, Sw> {
    let mut stream = block.stream;
    macro_rules! with {
        ($hash:ty) => {{
            let mut hash = <$hash>::new();
            stream.take(memory, block.len, |part| hash.update(part))?;
            heapless::Vec::from_slice(&hash.finish()).map_err(|_| Sw::UNKNOWN)
        }};
    }
    match hash_len {
        0 => Ok(heapless::Vec::new()),
        20 => with!(hash::Sha1),
        32 => with!(hash::Sha256),
        48 => with!(hash::Sha384),
        64 => with!(hash::Sha512),
        _ => Err(Sw::WRONG_DATA),
    }
}

/// Deciphers whole blocks in place; the initial value becomes that of the next.
fn decrypt(set: &KeySet, initial: &mut [u8; 16], piece: &mut [u8]) -> Result<(), CryptoError> {
    let key = set.key(KID).ok_or(CryptoError)?;
    fn with<K: BlockKey>(key: &K, initial: &mut [u8; 16], piece: &mut [u8]) -> Result<(), CryptoError> {
        let block = key.block_len();
        let mut next = [0; 16];
        let tail = piece.len().checked_sub(block).and_then(|at| piece.get(at..)).ok_or(CryptoError)?;
        next.get_mut(..block).ok_or(CryptoError)?.copy_from_slice(tail);
        key.decrypt_cbc(initial.get(..block).ok_or(CryptoError)?, piece)?;
        *initial = next;
        Ok(())
    }
    match key.key_type {
        KeyType::Aes => with(&Aes::new(key.value)?, initial, piece),
        KeyType::Des => {
            let two = <&[u8; 16]>::try_from(key.value).map(Tdes::new2);
            let key = two.or_else(|_| <&[u8; 24]>::try_from(key.value).map(Tdes::new3));
            with(&key.map_err(|_| CryptoError)?, initial, piece)
        }
        _ => Err(CryptoError),
    }
}
