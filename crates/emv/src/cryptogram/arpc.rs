//! The authorisation response cryptogram: the issuer's answer, bound to the ARQC.

use huiwan_crypto::Tdes;
use huiwan_crypto::mac::Padding;

use super::mac_over;

/// Method 1: the key enciphers ARQC xor (ARC ‖ 0⁶). The key is the session key, or the card key where the scheme says so. `[EMV-B2 8.2.1]`
#[must_use]
pub fn method1(key: &Tdes, arqc: &[u8; 8], arc: [u8; 2]) -> [u8; 8] {
    let [a, b, rest @ ..] = *arqc;
    let [c, d, e, f, g, h] = rest;
    let [x, y] = arc;
    key.encrypt_block(&[a ^ x, b ^ y, c, d, e, f, g, h])
}

/// Method 2: the leftmost four bytes of the MAC over ARQC ‖ card status update ‖ proprietary data (at most 8 bytes). `[EMV-B2 8.2.2]`
#[must_use]
pub fn method2(key: &Tdes, arqc: &[u8; 8], csu: &[u8; 4], proprietary: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = mac_over(key, &[arqc, csu, proprietary], Padding::Method2);
    [a, b, c, d]
}
