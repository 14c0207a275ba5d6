//! Secured commands: the MAC over header and data, and encrypted data, once for all sides. [sheet 2.5]
//!
//! The MAC covers CLA INS P1 P2 Lc ‖ data, Lc counting the four MAC bytes, data as they are sent; its IV is the card's
//! challenge of four or eight bytes, filled up with zeros. Encrypted data are length 1 ‖ data ‖ padding in ECB, under
//! the same key. Both under 3DES as published by implementations; SM4 in the same way with its own block. \[SM4 MAC: S:ETC-SM4,LIB; SM4
//! encryption by analogy\]

use core::fmt;

use huiwan_crypto::SuiteKey;

use crate::mac;

/// When `length ‖ data` is padded by `80 00…` before it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// Only when it does not fill its blocks. \[I:LUA,LOH\]
    IfNeeded,
    /// Always. \[C: other implementations\]
    Always,
}

/// Data that cannot be sealed or opened, or a key that cannot do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealed;

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sealed data, or too long to seal")
    }
}

impl core::error::Error for NotSealed {}

/// Encrypts length ‖ data ‖ padding into `out`.
///
/// # Errors
/// More than 255 bytes of data, or `out` too short.
pub fn seal<'o, K: SuiteKey>(
    key: &K,
    padding: Padding,
    data: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], NotSealed> {
    let len = u8::try_from(data.len()).map_err(|_| NotSealed)?;
    let content = data.len().saturating_add(1);
    let filled = content.saturating_add(usize::from(padding == Padding::Always));
    let out = out.get_mut(..filled.next_multiple_of(key.block_len())).ok_or(NotSealed)?;
    let (head, rest) = out.split_first_mut().ok_or(NotSealed)?;
    *head = len;
    let (body, pad) = rest.split_at_mut_checked(data.len()).ok_or(NotSealed)?;
    body.copy_from_slice(data);
    pad.fill(0);
    if let Some(first) = pad.first_mut() {
        *first = 0x80;
    }
    key.encrypt_ecb(out).map_err(|_| NotSealed)?;
    Ok(out)
}

/// Decrypts what [`seal`] made, in place.
///
/// # Errors
/// Not whole blocks, or padding that is not as `padding` says.
pub fn open<'o, K: SuiteKey>(key: &K, padding: Padding, sealed: &'o mut [u8]) -> Result<&'o [u8], NotSealed> {
    key.decrypt_ecb(sealed).map_err(|_| NotSealed)?;
    let (len, rest) = sealed.split_first().ok_or(NotSealed)?;
    let (data, pad) = rest.split_at_checked(usize::from(*len)).ok_or(NotSealed)?;
    let right = match pad {
        [] => padding == Padding::IfNeeded,
        // One block at most: otherwise the same data would have many forms.
        [0x80, zeros @ ..] => {
            let most =
                if padding == Padding::Always { key.block_len() } else { key.block_len().saturating_sub(1) };
            pad.len() <= most && zeros.iter().all(|byte| *byte == 0)
        }
        _ => false,
    };
    if right { Ok(data) } else { Err(NotSealed) }
}

/// `data ‖ MAC` of the command with this header (CLA INS P1 P2), into `out`.
///
/// # Errors
/// More than 251 bytes of data, `out` too short, or a challenge longer than a block.
pub fn protect<'o, K: SuiteKey>(
    key: &K,
    challenge: &[u8],
    header: [u8; 4],
    data: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], NotSealed> {
    let [cla, ins, p1, p2] = header;
    let len = data.len().saturating_add(4);
    let lc = u8::try_from(len).map_err(|_| NotSealed)?;
    let mac = mac::secure(key, challenge, &[&[cla, ins, p1, p2, lc], data]).map_err(|_| NotSealed)?;
    let out = out.get_mut(..len).ok_or(NotSealed)?;
    let (body, tail) = out.split_at_mut_checked(data.len()).ok_or(NotSealed)?;
    body.copy_from_slice(data);
    tail.copy_from_slice(&mac);
    Ok(out)
}
