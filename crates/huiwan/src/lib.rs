//! The payment wristband put together: secure element, TSM session, phone relay and annotated trace.
#![no_std]
#![forbid(unsafe_code)]
