//! ISO 7816-4 commands, responses, status words, chaining and ATR, no_std and without alloc.
#![no_std]
#![forbid(unsafe_code)]
