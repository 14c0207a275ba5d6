#!/usr/bin/env python3
"""Make the test PKI's RSA primes from a seed: python3 crates/emv/make_fixtures.py > crates/emv/src/host/certificates/fixtures.rs

Deterministic: SHA-256(seed ‖ name ‖ counter) is stretched to a candidate, the two top bits and the lowest bit are set, and
candidates are counted upwards by two to the first prime p with gcd(p - 1, 3) = 1.
"""
import hashlib

SEED = b"huiwan test pki 1"


def is_prime(n):
    if any(n % p == 0 for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53):
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(name, bits):
    stream = b"".join(hashlib.sha256(SEED + name + bytes([i])).digest() for i in range(8))
    n = int.from_bytes(stream[: bits // 8], "big") | 3 << (bits - 2) | 1
    while not (n % 3 == 2 and is_prime(n)):
        n += 2
    return n


def rust(name, doc, n, bits):
    data = n.to_bytes(bits // 8, "big")
    lines = "".join("    " + " ".join(f"0x{b:02X}," for b in data[i : i + 16]) + "\n" for i in range(0, len(data), 16))
    return f"/// {doc}\npub const {name}: [u8; {len(data)}] = [\n{lines}];\n"


KEYS = [("CA", "the certification authority", 1984), ("ISSUER", "the issuer", 1152), ("ICC", "the card", 1024)]
print('''//! Test keys: public, so good for nothing but tests and demonstrations.
//!
//! Written by `python3 crates/emv/make_fixtures.py`, seed "huiwan test pki 1"; do not edit.
//! A certification authority of 1984 bits, an issuer of 1152, a card of 1024, all with exponent 3.
//! [`ca_key`], [`issuer_key`] and [`icc_key`] are ready to sign.

use huiwan_crypto::CryptoError;
use huiwan_crypto::rsa::RsaPrivate;

/// Public exponent of every key here.
pub const EXPONENT: [u8; 1] = [3];
/// Registered identifier under which a terminal finds the authority's key: UnionPay's, as the test card's AID begins with it.
pub const RID: [u8; 5] = [0xA0, 0x00, 0x00, 0x03, 0x33];
/// Index of the authority's key (8F); no scheme uses it.
pub const CA_INDEX: u8 = 0xF1;

/// The certification authority's key.
///
/// # Errors
/// Never, as the primes are constant.
pub fn ca_key() -> Result<RsaPrivate, CryptoError> {
    RsaPrivate::from_primes(&CA_P, &CA_Q, &EXPONENT)
}

/// The issuer's key.
///
/// # Errors
/// Never, as the primes are constant.
pub fn issuer_key() -> Result<RsaPrivate, CryptoError> {
    RsaPrivate::from_primes(&ISSUER_P, &ISSUER_Q, &EXPONENT)
}

/// The card's key.
///
/// # Errors
/// Never, as the primes are constant.
pub fn icc_key() -> Result<RsaPrivate, CryptoError> {
    RsaPrivate::from_primes(&ICC_P, &ICC_Q, &EXPONENT)
}
''')
for name, whose, bits in KEYS:
    p, q = sorted((prime(name.encode() + b" p", bits // 2), prime(name.encode() + b" q", bits // 2)), reverse=True)
    assert (p * q).bit_length() == bits
    print(rust(f"{name}_P", f"Prime p of {whose}, big-endian.", p, bits // 2))
    print(rust(f"{name}_Q", f"Prime q of {whose}, big-endian.", q, bits // 2))
    print(rust(f"{name}_MODULUS", f"Modulus of {whose}, big-endian.", p * q, bits))
