//! A card's static keys from a master key and the key diversification data of INITIALIZE UPDATE. [sheet 2.6]
//!
//! Every key is one ECB call or one or two CMACs, so an HSM that can encrypt and compute CMACs can do this.
//!
//! ```
//! use huiwan_crypto::Tdes;
//! use huiwan_gp::diversification::{Purpose, Scheme};
//!
//! let master = Tdes::new2(b"@ABCDEFGHIJKLMNO");
//! let enc = Scheme::Visa2.derive(&master, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], Purpose::Enc);
//! assert_eq!(enc.expose()[..4], [0x85, 0x10, 0xFC, 0x97]);
//! ```

use huiwan_crypto::{Aes, CryptoError, Secret, Tdes, kdf};

/// Key diversification data, as INITIALIZE UPDATE answers it. What stands in it is the card maker's affair.
pub type DiversificationData = [u8; 10];

/// Which key of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Encryption and authentication.
    Enc,
    /// Message authentication.
    Mac,
    /// Encryption of keys and other secrets.
    Dek,
}

impl Purpose {
    /// The three keys of a set, in the order of their key identifiers.
    pub const ALL: [Self; 3] = [Self::Enc, Self::Mac, Self::Dek];

    /// The number in the derivation input, which is also the key identifier.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Enc => 0x01,
            Self::Mac => 0x02,
            Self::Dek => 0x03,
        }
    }
}

/// Which six bytes of the diversification data a triple DES key depends on. Vendors use each other's names for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// VISA, also VISA1: bytes 0–3, 8, 9.
    Visa1,
    /// VISA2: bytes 0, 1, 4–7.
    Visa2,
    /// EMV CPS: the last six, for KENC, KMAC and KDEK from a KMC.
    Emv,
}

impl Scheme {
    /// Every scheme, for a search of the one a card was made with.
    pub const ALL: [Self; 3] = [Self::Visa1, Self::Visa2, Self::Emv];

    /// 3DES(master, X ‖ F0 ‖ n ‖ X ‖ 0F ‖ n), X as the scheme says.
    #[must_use]
    pub fn derive(self, master: &Tdes, kdd: &DiversificationData, purpose: Purpose) -> Secret<16> {
        let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9] = *kdd;
        let [a, b, c, d, e, f] = match self {
            Self::Visa1 => [k0, k1, k2, k3, k8, k9],
            Self::Visa2 => [k0, k1, k4, k5, k6, k7],
            Self::Emv => [k4, k5, k6, k7, k8, k9],
        };
        let n = purpose.number();
        let left = master.encrypt_block(&[a, b, c, d, e, f, 0xF0, n]);
        let right = master.encrypt_block(&[a, b, c, d, e, f, 0x0F, n]);
        let mut key = Secret::new([0; 16]);
        for (to, from) in key.expose_mut().iter_mut().zip(left.iter().chain(&right)) {
            *to = *from;
        }
        key
    }
}

/// KDF3, for AES keys of any length: CMAC(master, i ‖ 000000 ‖ n ‖ 00 ‖ diversification data), i from 01. The key is as long
/// as its master, so `out` has to be.
///
/// # Errors
/// If `out` is no AES key's length.
pub fn kdf3(
    master: &Aes,
    kdd: &DiversificationData,
    purpose: Purpose,
    out: &mut [u8],
) -> Result<(), CryptoError> {
    if out.len() != master.key_len() {
        return Err(CryptoError);
    }
    let label = [0, 0, 0, purpose.number(), 0];
    kdf::sp800_108_counter(master, kdf::CounterLen::One, &[], &[&label, kdd], out)
}
