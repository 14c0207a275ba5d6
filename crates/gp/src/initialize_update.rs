//! INITIALIZE UPDATE: the command's numbers and its answer, written by cards and read by hosts. [GPC D.4.1, AmdD 7.1.1]

use core::fmt;

use huiwan_tlv::At;

use crate::scp03::{self, CHALLENGE_LEN, Options, challenge::Counter};

/// Instruction byte.
pub const INS: u8 = 0x50;
/// Bytes of key diversification data at the head of the answer.
pub const KEY_DIVERSIFICATION_LEN: usize = 10;
/// Bytes of an SCP03 answer without the sequence counter.
pub const LEN: usize = 29;
/// Bytes of an SCP03 answer with the sequence counter, which a pseudo-random challenge brings.
pub const LEN_WITH_COUNTER: usize = 32;

/// The answer of a card that speaks SCP03 in S8 mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Key diversification data; its content is the card maker's.
    pub key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
    /// Version of the key set that serves this session.
    pub key_version: u8,
    /// The "i" parameter.
    pub options: Options,
    /// Card challenge.
    pub card_challenge: [u8; CHALLENGE_LEN],
    /// Card cryptogram.
    pub card_cryptogram: [u8; 8],
    /// Sequence counter, present exactly if the challenge is pseudo-random.
    pub counter: Option<Counter>,
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
        if scp != scp03::SCP {
            return Err(At::new(AnswerError::Protocol(scp), 11));
        }
        let (&[i], rest) = rest.split_first_chunk().ok_or(length)?;
        let options = Options::from_byte(i).ok_or(At::new(AnswerError::Options(i), 12))?;
        let (card_challenge, rest) = rest.split_first_chunk().ok_or(length)?;
        let (card_cryptogram, rest) = rest.split_first_chunk().ok_or(length)?;
        let counter = match (options.pseudo_random(), rest) {
            (false, []) => None,
            (true, &[a, b, c]) => Some(Counter::from_bytes([a, b, c])),
            _ => return Err(length),
        };
        Ok(Self {
            key_diversification: *key_diversification,
            key_version,
            options,
            card_challenge: *card_challenge,
            card_cryptogram: *card_cryptogram,
            counter,
        })
    }

    /// The response data: the buffer and how much of it counts.
    #[must_use]
    pub fn to_bytes(&self) -> ([u8; LEN_WITH_COUNTER], usize) {
        let mut out = [0; LEN_WITH_COUNTER];
        let counter = self.counter.map(Counter::to_bytes);
        let fixed = [self.key_version, scp03::SCP, self.options.byte()];
        let parts = self
            .key_diversification
            .iter()
            .chain(&fixed)
            .chain(&self.card_challenge)
            .chain(&self.card_cryptogram)
            .chain(counter.iter().flatten());
        let mut len = 0_usize;
        for (to, &from) in out.iter_mut().zip(parts) {
            *to = from;
            len = len.saturating_add(1);
        }
        (out, len)
    }
}
