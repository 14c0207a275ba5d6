//! Sans-IO framing that carries APDUs between a phone and a wearable exactly once.
#![no_std]
#![forbid(unsafe_code)]
