//! Offline data authentication: recovering and checking the RSA certificates and signatures of a card. `[EMV-B2 5, 6]`
