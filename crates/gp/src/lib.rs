//! GlobalPlatform secure channels and card management, card and host.
#![no_std]
#![forbid(unsafe_code)]
