//! Encryption and MAC of one message in one pass, as SCP03 needs it for every command and response.

use cipher::array::Array;
use cipher::consts::U16;
use cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser};

use super::chain::{Chain, End, Running};
use crate::aes::Expanded;
use crate::block::{Block16, xor};
use crate::{Aes, BlockKey, CryptoError, mac};

/// A processor that works on one instruction at a time gains nothing from two chains side by side, and saves the flash.
const FUSED: bool = cfg!(not(target_os = "none"));

/// Encrypts `data` in place (CBC from `iv`, whole blocks) and returns the CMAC over `before`, the encrypted data, and
/// `after` [GPC-D 6.2.4, 6.2.6].
///
/// The same as [`BlockKey::encrypt_cbc`] and [`mac::cmac`] one after the other, in about the time of the longer of the
/// two: the MAC runs a little behind the encryption, and a processor works on both.
///
/// # Errors
/// [`CryptoError`] when `data` is not whole blocks; it is then unchanged.
///
/// ```
/// use huiwan_crypto::{Aes, mac};
/// let (s_enc, s_mac) = (Aes::new(&[1; 16])?, Aes::new(&[2; 16])?);
/// let (chaining, header) = ([0; 16], [0x84, 0xE2, 0x00, 0x00, 0x18]);
/// let mut data = [0x80; 16];
/// let iv = s_enc.encrypt_block(&1u128.to_be_bytes());
/// let c_mac = mac::encrypt_then_cmac(&s_enc, &iv, &s_mac, &[&chaining, &header], &mut data, &[])?;
/// assert_eq!(c_mac, mac::cmac(&s_mac, &[&chaining, &header, &data]));
/// # Ok::<(), huiwan_crypto::CryptoError>(())
/// ```
pub fn encrypt_then_cmac(
    encryption: &Aes,
    iv: &[u8; 16],
    authentication: &Aes,
    before: &[&[u8]],
    data: &mut [u8],
    after: &[&[u8]],
) -> Result<[u8; 16], CryptoError> {
    let (blocks, []) = Block16::slice_as_chunks_mut(data) else { return Err(CryptoError) };
    let mut chain = Chain::new(&[]);
    let pass = Pass { iv, before, blocks, after, chain: &mut chain };
    match (&encryption.0, &authentication.0) {
        (Expanded::Aes128(enc), Expanded::Aes128(mac)) if FUSED => {
            enc.encrypt_with_backend(Outer { pass, mac })
        }
        (Expanded::Aes192(enc), Expanded::Aes192(mac)) if FUSED => {
            enc.encrypt_with_backend(Outer { pass, mac })
        }
        (Expanded::Aes256(enc), Expanded::Aes256(mac)) if FUSED => {
            enc.encrypt_with_backend(Outer { pass, mac })
        }
        // Keys of two lengths occur in no protocol: not worth a fused loop each.
        _ => {
            encryption.encrypt_cbc(iv, data)?;
            let mut mac = mac::Cmac::new(authentication);
            before.iter().for_each(|part| mac.update(part));
            mac.update(data);
            after.iter().for_each(|part| mac.update(part));
            return Ok(mac.finish());
        }
    }
    Ok(chain.into_state())
}

struct Pass<'a> {
    iv: &'a [u8; 16],
    before: &'a [&'a [u8]],
    blocks: &'a mut [Block16],
    after: &'a [&'a [u8]],
    chain: &'a mut Chain,
}

/// Receives the encryption backend and asks for the other.
struct Outer<'a, M> {
    pass: Pass<'a>,
    mac: &'a M,
}

impl<M> BlockSizeUser for Outer<'_, M> {
    type BlockSize = U16;
}

impl<M: BlockCipherEncrypt<BlockSize = U16>> BlockCipherEncClosure for Outer<'_, M> {
    #[inline(always)]
    fn call<E: BlockCipherEncBackend<BlockSize = U16>>(self, encryption: &E) {
        self.mac.encrypt_with_backend(Inner { pass: self.pass, encryption });
    }
}

/// Has both backends.
struct Inner<'a, E> {
    pass: Pass<'a>,
    encryption: &'a E,
}

impl<E> BlockSizeUser for Inner<'_, E> {
    type BlockSize = U16;
}

impl<E: BlockCipherEncBackend<BlockSize = U16>> BlockCipherEncClosure for Inner<'_, E> {
    #[inline(always)]
    fn call<M: BlockCipherEncBackend<BlockSize = U16>>(self, authentication: &M) {
        let Pass { iv, before, blocks, after, chain } = self.pass;
        let mut subkey = Block16::default();
        authentication.encrypt_block_inplace(&mut subkey);
        let mut mac = Running::load(chain);
        for part in before {
            mac.absorb(authentication, part);
        }
        let mut cipher = Array(*iv);
        let mut encrypt = |block: &mut Block16| {
            xor(&mut cipher, block);
            self.encryption.encrypt_block_inplace(&mut cipher);
            *block = cipher;
        };
        // The MAC's blocks lie across those of the encryption, from `start` on.
        let start = mac.missing();
        let mut taken = 0;
        if let [first, second, _, ..] = blocks {
            encrypt(first);
            mac.absorb(authentication, first.get(..start).unwrap_or_default());
            encrypt(second);
            mac.release(authentication);
            taken = start;
            for i in 2..blocks.len() {
                blocks.get_mut(i).map(&mut encrypt);
                let bytes = Block16::slice_as_flattened(blocks);
                let end = taken.saturating_add(16);
                if let Some(block) = bytes.get(taken..end).and_then(Block16::slice_as_array) {
                    mac.block(authentication, block);
                    taken = end;
                }
            }
        } else {
            blocks.iter_mut().for_each(encrypt);
        }
        let rest = Block16::slice_as_flattened(blocks).get(taken..).unwrap_or_default();
        mac.absorb(authentication, rest);
        for part in after {
            mac.absorb(authentication, part);
        }
        mac.end(authentication, End::Cmac, subkey);
        mac.store(chain);
    }
}
