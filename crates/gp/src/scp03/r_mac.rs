//! Response MAC: a CMAC over the command's chaining value, the response data as sent and the status word. [AmdD 6.2.5]

use huiwan_apdu::Sw;
use huiwan_crypto::{Aes, mac};

/// Whether a response with this status carries a MAC: 9000 and the warnings 62xx and 63xx do, errors come back bare.
#[must_use]
pub fn is_carried(sw: Sw) -> bool {
    sw.value() == 0x9000 || matches!(sw.sw1(), 0x62 | 0x63)
}

/// The R-MAC of a response to the command whose chaining value is given; its first 8 (S8) or all 16 bytes (S16) go with the response.
#[must_use]
pub fn compute(s_rmac: &Aes, chaining: &[u8; 16], data: &[u8], sw: Sw) -> [u8; 16] {
    mac::cmac(s_rmac, &[chaining, data, &sw.value().to_be_bytes()])
}
