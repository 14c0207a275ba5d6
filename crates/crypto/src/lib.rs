//! Keys, MACs, derivation, RSA and SM2 as smart-card protocols use them, no_std and without alloc.
#![no_std]
#![forbid(unsafe_code)]
