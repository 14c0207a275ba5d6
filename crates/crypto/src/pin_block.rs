//! PIN blocks of ISO 9564-1 format 2, as cards store and compare them: 2, number of digits, digits, F to eight bytes.
//!
//! ```
//! use huiwan_crypto::pin_block;
//!
//! let block = pin_block::format2(&[0x12, 0x34, 0x5F]).unwrap();
//! assert_eq!(block, [0x25, 0x12, 0x34, 0x5F, 0xFF, 0xFF, 0xFF, 0xFF]);
//! assert_eq!(pin_block::bcd(&block), Some(&[0x12, 0x34, 0x5F][..]));
//! ```

/// Bytes of a block.
pub const LEN: usize = 8;

/// How many digits a PIN has that is given in BCD, F behind an odd last digit; `None` unless it is 4 to 12 digits.
fn digits(bcd: &[u8]) -> Option<usize> {
    let (&last, whole) = bcd.split_last()?;
    let is_digit = |nibble: u8| nibble <= 9;
    let all = whole.iter().all(|byte| is_digit(byte >> 4) && is_digit(byte & 0x0F)) && is_digit(last >> 4);
    let odd = match last & 0x0F {
        0x0F => 1,
        nibble if is_digit(nibble) => 0,
        _ => return None,
    };
    let count = bcd.len().checked_mul(2)?.checked_sub(odd)?;
    (all && (4..=12).contains(&count)).then_some(count)
}

/// The block of a PIN in BCD, F behind an odd last digit; `None` unless it is 4 to 12 digits.
#[must_use]
pub fn format2(bcd: &[u8]) -> Option<[u8; LEN]> {
    let count = u8::try_from(digits(bcd)?).ok()?;
    let mut block = [0xFF; LEN];
    let (head, rest) = block.split_first_mut()?;
    *head = 0x20 | count;
    rest.get_mut(..bcd.len())?.copy_from_slice(bcd);
    Some(block)
}

/// The PIN of a block in BCD, F behind an odd last digit; `None` for what is no format 2 block.
#[must_use]
pub fn bcd(block: &[u8; LEN]) -> Option<&[u8]> {
    let (&head, rest) = block.split_first()?;
    let count = usize::from(head & 0x0F);
    let (bcd, fill) = rest.split_at_checked(count.div_ceil(2))?;
    let right = head >> 4 == 2 && digits(bcd) == Some(count) && fill.iter().all(|byte| *byte == 0xFF);
    right.then_some(bcd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_no_other_block() {
        let all = [0x12, 0x34, 0x56, 0x78, 0x90, 0x12];
        for bytes in 2..=6 {
            let mut pin = [0; 6];
            let pin = &mut pin[..bytes];
            for odd in [false, true] {
                pin.copy_from_slice(&all[..bytes]);
                if odd {
                    pin[bytes - 1] |= 0x0F;
                }
                let count = 2 * bytes - usize::from(odd);
                let block = format2(pin);
                if count < 4 {
                    assert_eq!(block, None);
                    continue;
                }
                let block = block.unwrap();
                assert_eq!(usize::from(block[0]), 0x20 + count);
                assert_eq!(bcd(&block), Some(&*pin));
                for byte in 0..LEN {
                    let mut other = block;
                    other[byte] = if byte == 0 { other[0] ^ 0x10 } else { 0xA0 };
                    assert_eq!(bcd(&other), None, "{other:02X?}");
                }
            }
        }
        for pin in [&[][..], &[0x12], &[0x12, 0xF4], &[0xFF, 0xFF], &[0x12, 0x34, 0xFF], &[0x11; 7]] {
            assert_eq!(format2(pin), None, "{pin:02X?}");
        }
        assert_eq!(bcd(&[0x2F; LEN]), None);
        assert_eq!(bcd(&[0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
