//! Issuer script secure messaging: the MAC of a script command.
