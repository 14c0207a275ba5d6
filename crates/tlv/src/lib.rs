//! BER-TLV, DOL, DGI, COMPACT-TLV and SIMPLE-TLV over borrowed slices, no_std and without alloc.
#![no_std]
#![forbid(unsafe_code)]
