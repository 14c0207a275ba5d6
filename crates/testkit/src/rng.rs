//! Randomness that is the same on every run.

use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// A seeded generator (SplitMix64) for tests, benches and examples.
///
/// It carries the `TryCryptoRng` mark so that it fits wherever a card or host draws keys and challenges; it is
/// predictable, which is its purpose, and never belongs in a product. `Rng` and `CryptoRng` of `rand_core`
/// follow from their blanket implementations.
///
/// ```
/// use huiwan_testkit::rng::Seeded;
/// assert_eq!(Seeded::new(7).bytes::<16>(), Seeded::new(7).bytes::<16>());
/// assert_ne!(Seeded::new(7).bytes::<16>(), Seeded::new(8).bytes::<16>());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    state: u64,
}

impl Seeded {
    /// A generator whose whole output follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// The next `len` bytes.
    pub fn vec(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(&mut out);
        out
    }

    /// A number below `bound` (which must not be 0); slightly uneven for large bounds, which tests don't mind.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }

    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.word() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    /// The first words of SplitMix64 seeded with 1234567, as its reference implementation prints them.
    #[test]
    fn words_are_splitmix64() {
        let mut rng = Seeded::new(1_234_567);
        let want = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for word in want {
            assert_eq!(rng.next_u64(), word);
        }
    }

    #[test]
    fn bytes_and_fill_agree() {
        let mut filled = [0; 21];
        Seeded::new(3).fill_bytes(&mut filled);
        assert_eq!(filled.as_slice(), Seeded::new(3).vec(21));
        assert_eq!(filled, Seeded::new(3).bytes::<21>());
    }
}
