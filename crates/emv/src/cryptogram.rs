//! Application cryptograms: key derivation, session keys, ARQC/TC/AAC, ARPC and the issuer application data.
