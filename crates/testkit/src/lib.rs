//! Vector files, seeded randomness and scripted byte peers for Huiwan's own tests.
#![no_std]
#![forbid(unsafe_code)]
