//! Card and host cryptograms: each side proves that it holds the session's S-ENC. [GPC E.4.2]

use huiwan_crypto::Tdes;
use huiwan_crypto::mac::{self, Padding};

use super::{CARD_CHALLENGE_LEN, HOST_CHALLENGE_LEN, Sequence, SessionKeys};

/// The card's proof, over host challenge ‖ counter ‖ card challenge.
#[must_use]
pub fn card(
    keys: &SessionKeys,
    host_challenge: &[u8; HOST_CHALLENGE_LEN],
    sequence: Sequence,
    card_challenge: &[u8; CARD_CHALLENGE_LEN],
) -> [u8; 8] {
    card_under(&keys.enc, host_challenge, sequence, card_challenge)
}

/// The host's proof, over counter ‖ card challenge ‖ host challenge.
#[must_use]
pub fn host(
    keys: &SessionKeys,
    host_challenge: &[u8; HOST_CHALLENGE_LEN],
    sequence: Sequence,
    card_challenge: &[u8; CARD_CHALLENGE_LEN],
) -> [u8; 8] {
    host_under(&keys.enc, host_challenge, sequence, card_challenge)
}

/// [`card`] for who has S-ENC alone.
pub(crate) fn card_under(
    s_enc: &Tdes,
    host_challenge: &[u8; HOST_CHALLENGE_LEN],
    sequence: Sequence,
    card_challenge: &[u8; CARD_CHALLENGE_LEN],
) -> [u8; 8] {
    let parts: [&[u8]; 3] = [host_challenge, &sequence.to_bytes(), card_challenge];
    mac::alg1_tdes(s_enc, &[0; 8], &parts, Padding::Method2)
}

/// [`host`] for who has S-ENC alone.
pub(crate) fn host_under(
    s_enc: &Tdes,
    host_challenge: &[u8; HOST_CHALLENGE_LEN],
    sequence: Sequence,
    card_challenge: &[u8; CARD_CHALLENGE_LEN],
) -> [u8; 8] {
    let parts: [&[u8]; 3] = [&sequence.to_bytes(), card_challenge, host_challenge];
    mac::alg1_tdes(s_enc, &[0; 8], &parts, Padding::Method2)
}
