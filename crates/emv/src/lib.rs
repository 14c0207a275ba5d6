//! PBOC and EMV payment: qPBOC card application, terminal kernel and issuer host.
#![no_std]
#![forbid(unsafe_code)]
