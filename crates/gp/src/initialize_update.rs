//! INITIALIZE UPDATE: the command's numbers and its answer, written by cards and read by hosts. [GPC D.4.1, AmdD 7.1.1]

use core::fmt;

use huiwan_tlv::At;

use crate::scp03::challenge::Counter;
use crate::scp03::{Octets, Options};
use crate::{scp01, scp02, scp03};

/// Instruction byte.
pub const INS: u8 = 0x50;
/// Bytes of key diversification data at the head of the answer.
pub const KEY_DIVERSIFICATION_LEN: usize = 10;
/// Bytes of an SCP01 or SCP02 answer.
pub const LEN_DES: usize = 28;
/// Bytes of the longest answer: SCP03 in S16 mode with a sequence counter.
pub const LEN_MAX: usize = 48;

/// The answer of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Key diversification data; its content is the card maker's.
    pub key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
    /// Version of the key set that serves this session.
    pub key_version: u8,
    /// What the card proves itself with, by its protocol.
    pub proof: Proof,
}

/// The part of the answer that the secure channel protocol lays down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// SCP01.
    Scp01 {
        /// Card challenge.
        card_challenge: [u8; 8],
        /// Card cryptogram.
        card_cryptogram: [u8; 8],
    },
    /// SCP02; its "i" is not told here.
    Scp02 {
        /// Sequence counter of this session.
        sequence: scp02::Sequence,
        /// Card challenge.
        card_challenge: [u8; scp02::CARD_CHALLENGE_LEN],
        /// Card cryptogram.
        card_cryptogram: [u8; 8],
    },
    /// SCP03.
    Scp03 {
        /// The "i" parameter.
        options: Options,
        /// Card challenge.
        card_challenge: Octets,
        /// Card cryptogram.
        card_cryptogram: Octets,
        /// Sequence counter, present exactly if the challenge is pseudo-random.
        counter: Option<Counter>,
    },
}

/// What is wrong with an INITIALIZE UPDATE answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The answer is not as long as its protocol says.
    Length,
    /// A secure channel protocol this crate does not speak yet (its number).
    Protocol(u8),
    /// An "i" parameter this crate does not speak yet.
    Options(u8),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("initialize update answer has the wrong length"),
            Self::Protocol(scp) => write!(f, "secure channel protocol {scp:02X} is not supported"),
            Self::Options(i) => write!(f, "secure channel options i={i:02X} are not supported"),
        }
    }
}

impl core::error::Error for AnswerError {}

impl Answer {
    /// Reads the response data of INITIALIZE UPDATE.
    ///
    /// # Errors
    /// [`AnswerError`] and the byte it was found at.
    pub fn parse(data: &[u8]) -> Result<Self, At<AnswerError>> {
        let length = At::new(AnswerError::Length, data.len());
        let (key_diversification, rest) = data.split_first_chunk().ok_or(length)?;
        let (&[key_version, scp], rest) = rest.split_first_chunk().ok_or(length)?;
        let proof = match scp {
            scp01::SCP => {
                let (card_challenge, rest) = rest.split_first_chunk().ok_or(length)?;
                let card_cryptogram = rest.try_into().map_err(|_| length)?;
                Proof::Scp01 { card_challenge: *card_challenge, card_cryptogram }
            }
            scp02::SCP => {
                let (sequence, rest) = rest.split_first_chunk().ok_or(length)?;
                let (card_challenge, rest) = rest.split_first_chunk().ok_or(length)?;
                let card_cryptogram = rest.try_into().map_err(|_| length)?;
                let sequence = scp02::Sequence::from_bytes(*sequence);
                Proof::Scp02 { sequence, card_challenge: *card_challenge, card_cryptogram }
            }
            scp03::SCP => {
                let (&[i], rest) = rest.split_first_chunk().ok_or(length)?;
                let options = Options::from_byte(i).ok_or(At::new(AnswerError::Options(i), 12))?;
                let octets = |bytes: &[u8]| Octets::new(bytes).ok_or(length);
                let (card_challenge, rest) = rest.split_at_checked(options.mode().len()).ok_or(length)?;
                let (card_cryptogram, rest) = rest.split_at_checked(options.mode().len()).ok_or(length)?;
                let counter = match (options.pseudo_random(), rest) {
                    (false, []) => None,
                    (true, &[a, b, c]) => Some(Counter::from_bytes([a, b, c])),
                    _ => return Err(length),
                };
                Proof::Scp03 {
                    options,
                    card_challenge: octets(card_challenge)?,
                    card_cryptogram: octets(card_cryptogram)?,
                    counter,
                }
            }
            _ => return Err(At::new(AnswerError::Protocol(scp), 11)),
        };
        Ok(Self { key_diversification: *key_diversification, key_version, proof })
    }

    /// The response data: the buffer and how much of it counts.
    #[must_use]
    pub fn to_bytes(&self) -> ([u8; LEN_MAX], usize) {
        let mut out = [0; LEN_MAX];
        let mut len = 0_usize;
        let mut put = |bytes: &[u8]| {
            for (to, from) in out.iter_mut().skip(len).zip(bytes) {
                *to = *from;
            }
            len = len.saturating_add(bytes.len());
        };
        put(&self.key_diversification);
        match &self.proof {
            Proof::Scp01 { card_challenge, card_cryptogram } => {
                put(&[self.key_version, scp01::SCP]);
                put(card_challenge);
                put(card_cryptogram);
            }
            Proof::Scp02 { sequence, card_challenge, card_cryptogram } => {
                put(&[self.key_version, scp02::SCP]);
                put(&sequence.to_bytes());
                put(card_challenge);
                put(card_cryptogram);
            }
            Proof::Scp03 { options, card_challenge, card_cryptogram, counter } => {
                put(&[self.key_version, scp03::SCP, options.byte()]);
                put(card_challenge.as_bytes());
                put(card_cryptogram.as_bytes());
                if let Some(counter) = counter {
                    put(&counter.to_bytes());
                }
            }
        }
        (out, len)
    }
}
