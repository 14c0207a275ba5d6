//! The PBOC electronic purse and JT/T 978 transit card: card, terminal, PSAM and host.
#![no_std]
#![forbid(unsafe_code)]
