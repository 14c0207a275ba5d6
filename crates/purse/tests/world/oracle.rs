//! A second implementation of keys, MACs and TACs, written from the tables alone: plain vectors and loops over the raw
//! block cipher. Weak: its author knew the first one.

use huiwan_crypto::{Des, Sm4};

fn des(key: &[u8]) -> Des {
    Des::new(key.try_into().unwrap())
}

fn e(key: &[u8], block: &[u8]) -> Vec<u8> {
    des(key).encrypt_block(block.try_into().unwrap()).to_vec()
}

fn d(key: &[u8], block: &[u8]) -> Vec<u8> {
    des(key).decrypt_block(block.try_into().unwrap()).to_vec()
}

/// Two-key 3DES: encrypt left, decrypt right, encrypt left.
pub fn tdes(key: &[u8], block: &[u8]) -> Vec<u8> {
    e(&key[..8], &d(&key[8..], &e(&key[..8], block)))
}

pub fn diversify(master: &[u8], factor: &[u8]) -> Vec<u8> {
    let inverted: Vec<u8> = factor.iter().map(|byte| !byte).collect();
    [tdes(master, factor), tdes(master, &inverted)].concat()
}

/// Issuer first, then the last eight bytes of the serial number.
pub fn card_key(master: &[u8], issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    diversify(&diversify(master, issuer), &serial[2..])
}

pub fn load_session(dlk: &[u8], random: &[u8], online_seq: &[u8]) -> Vec<u8> {
    tdes(dlk, &[random, online_seq, &[0x80, 0x00]].concat())
}

pub fn purchase_session(dpk: &[u8], random: &[u8], offline_seq: &[u8], terminal_seq: &[u8]) -> Vec<u8> {
    tdes(dpk, &[random, offline_seq, &terminal_seq[2..]].concat())
}

/// CBC with single DES, padding 80 00…, four bytes.
pub fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while !padded.len().is_multiple_of(8) {
        padded.push(0);
    }
    let mut state = vec![0; 8];
    for block in padded.chunks(8) {
        for i in 0..8 {
            state[i] ^= block[i];
        }
        state = e(key, &state);
    }
    state.truncate(4);
    state
}

pub fn tac(dtk: &[u8], message: &[u8]) -> Vec<u8> {
    let key: Vec<u8> = (0..8).map(|i| dtk[i] ^ dtk[i + 8]).collect();
    mac(&key, message)
}

/// CBC with the left half, the last block once more decrypted right and encrypted left; the challenge is the IV.
pub fn secured(key: &[u8], challenge: &[u8], message: &[u8]) -> Vec<u8> {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while !padded.len().is_multiple_of(8) {
        padded.push(0);
    }
    let mut state = challenge.to_vec();
    state.resize(8, 0);
    for block in padded.chunks(8) {
        for i in 0..8 {
            state[i] ^= block[i];
        }
        state = e(&key[..8], &state);
    }
    state = e(&key[..8], &d(&key[8..], &state));
    state.truncate(4);
    state
}

/// The session key of a grey lock: the purchase session key encrypts the terminal's random number ‖ 80 00 00 00.
pub fn grey_session(
    dpk: &[u8],
    random: &[u8],
    offline_seq: &[u8],
    terminal_seq: &[u8],
    terminal_random: &[u8],
) -> Vec<u8> {
    let first = purchase_session(dpk, random, offline_seq, terminal_seq);
    e(&first, &[terminal_random, &[0x80, 0, 0, 0]].concat())
}

pub fn sm4(key: &[u8], block: &[u8]) -> Vec<u8> {
    Sm4::new(key.try_into().unwrap()).encrypt_block(block.try_into().unwrap()).to_vec()
}

/// CBC with SM4, the challenge as IV.
pub fn sm4_secured(key: &[u8], challenge: &[u8], message: &[u8]) -> Vec<u8> {
    let mut state = challenge.to_vec();
    state.resize(16, 0);
    for block in padded(message, 16).chunks(16) {
        for i in 0..16 {
            state[i] ^= block[i];
        }
        state = sm4(key, &state);
    }
    state.truncate(4);
    state
}

/// 80, then 00 until whole blocks are full.
pub fn padded(data: &[u8], size: usize) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.push(0x80);
    while !padded.len().is_multiple_of(size) {
        padded.push(0);
    }
    padded
}

/// Length ‖ data, padded always or only when needed, block by block.
pub fn sealed(is_sm4: bool, key: &[u8], always: bool, data: &[u8]) -> Vec<u8> {
    let size = if is_sm4 { 16 } else { 8 };
    let mut plain = vec![u8::try_from(data.len()).unwrap()];
    plain.extend(data);
    if always || !plain.len().is_multiple_of(size) {
        plain = padded(&plain, size);
    }
    plain.chunks(size).flat_map(|block| if is_sm4 { sm4(key, block) } else { tdes(key, block) }).collect()
}

fn and_inverted(half: &[u8]) -> Vec<u8> {
    half.iter().copied().chain(half.iter().map(|byte| !byte)).collect()
}

/// The two algorithms of the tables, each with its own blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Tdes,
    Sm4,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::Tdes, Self::Sm4];

    /// The byte in the answers to initialisations.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Tdes => 1,
            Self::Sm4 => 4,
        }
    }

    pub fn diversify(self, master: &[u8], factor: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes => diversify(master, factor),
            Self::Sm4 => sm4(master, &and_inverted(factor)),
        }
    }

    fn session(self, key: &[u8], block: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes => tdes(key, block),
            Self::Sm4 => sm4(key, &and_inverted(block)),
        }
    }

    /// SESLK, SESULK, SESUK, and the key of an online grey unlock.
    pub fn online_session(self, key: &[u8], random: &[u8], online_seq: &[u8]) -> Vec<u8> {
        self.session(key, &[random, online_seq, &[0x80, 0x00]].concat())
    }

    /// SESPK.
    pub fn debit_session(
        self,
        dpk: &[u8],
        random: &[u8],
        offline_seq: &[u8],
        terminal_seq: &[u8],
    ) -> Vec<u8> {
        self.session(dpk, &[random, offline_seq, &terminal_seq[2..]].concat())
    }

    /// The session key of a debit once more over the terminal's random number.
    pub fn grey_session(
        self,
        dpk: &[u8],
        random: &[u8],
        offline_seq: &[u8],
        terminal_seq: &[u8],
        terminal_random: &[u8],
    ) -> Vec<u8> {
        let first = self.debit_session(dpk, random, offline_seq, terminal_seq);
        let block = [terminal_random, &[0x80, 0, 0, 0]].concat();
        match self {
            Self::Tdes => e(&first, &block),
            Self::Sm4 => sm4(&first, &and_inverted(&block)),
        }
    }

    /// A transaction MAC under a session key.
    pub fn mac(self, session: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes => mac(session, message),
            Self::Sm4 => self.secured(session, &[], message),
        }
    }

    /// A TAC, and the MAC of RELOAD PIN: the two halves of a 3DES key added together, an SM4 key whole.
    pub fn tac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes => tac(key, message),
            Self::Sm4 => self.secured(key, &[], message),
        }
    }

    /// The MAC of a secured command.
    pub fn secured(self, key: &[u8], challenge: &[u8], message: &[u8]) -> Vec<u8> {
        if self == Self::Tdes {
            return secured(key, challenge, message);
        }
        let mut state = challenge.to_vec();
        state.resize(16, 0);
        let mut padded = [message, &[0x80]].concat();
        padded.resize(padded.len().next_multiple_of(16), 0);
        for block in padded.chunks(16) {
            let mixed: Vec<u8> = state.iter().zip(block).map(|(a, b)| a ^ b).collect();
            state = sm4(key, &mixed);
        }
        state.truncate(4);
        state
    }

    /// len ‖ PIN ‖ 80 00… encrypted, as PIN UNBLOCK carries it.
    pub fn sealed_pin(self, dpuk: &[u8], pin: &[u8]) -> Vec<u8> {
        let mut block = [&[u8::try_from(pin.len()).unwrap()], pin, &[0x80]].concat();
        block.resize(if self == Self::Tdes { 8 } else { 16 }, 0);
        match self {
            Self::Tdes => tdes(dpuk, &block),
            Self::Sm4 => sm4(dpuk, &block),
        }
    }
}
