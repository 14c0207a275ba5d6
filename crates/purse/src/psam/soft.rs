//! A PSAM in memory.

use core::marker::PhantomData;

use huiwan_crypto::Suite;

use super::{CreditForPurchase, InitForPurchase, Sam, SamPurchase, SamRefused};
use crate::keys::{self, Deriver, KeyValue, Path};
use crate::mac::{Mac, Message, PurchaseMac1, PurchaseMac2, TerminalNo};
use crate::profile::Profile;
use huiwan_crypto::ct_eq;

/// A purchase master key of the PSAM.
#[derive(Debug, Clone)]
pub struct SamKey {
    /// Version, as the card answers it.
    pub version: u8,
    /// Algorithm, as the card answers it.
    pub algorithm: u8,
    /// The key all levels of the path start from.
    pub value: KeyValue,
}

/// A software PSAM with `KEYS` purchase keys. Its transaction number goes up with every INIT SAM FOR PURCHASE; keep
/// [`next_seq`](Self::next_seq) over restarts.
#[derive(Debug)]
pub struct SoftSam<S: Suite, const KEYS: usize> {
    path: Path,
    terminal: TerminalNo,
    key_index: u8,
    keys: [SamKey; KEYS],
    deriver: Deriver<S::Key>,
    next_seq: u32,
    open: Option<Open>,
    suite: PhantomData<fn() -> S>,
}

/// The last purchase: its number and the MAC2 that proves it.
#[derive(Clone, Copy)]
struct Open {
    terminal_seq: u32,
    mac2: Mac,
}

impl core::fmt::Debug for Open {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Open").field("terminal_seq", &self.terminal_seq).finish_non_exhaustive()
    }
}

impl<S: Suite, const KEYS: usize> SoftSam<S, KEYS> {
    /// The PSAM of `terminal`. `key_index` names the cards' purchase key; the first transaction gets `next_seq`.
    #[must_use]
    pub const fn new(
        profile: &Profile,
        terminal: TerminalNo,
        key_index: u8,
        keys: [SamKey; KEYS],
        next_seq: u32,
    ) -> Self {
        Self {
            path: profile.path,
            terminal,
            key_index,
            keys,
            deriver: Deriver::new(),
            next_seq,
            open: None,
            suite: PhantomData,
        }
    }

    /// The same with keys at another level: `path` leads from them to a card's keys. [correction 5]
    #[must_use]
    pub fn with_path(mut self, path: Path) -> Self {
        self.path = path;
        self.deriver = Deriver::new();
        self
    }

    /// The number the next transaction gets.
    #[must_use]
    pub const fn next_seq(&self) -> u32 {
        self.next_seq
    }
}

impl<S: Suite, const KEYS: usize> Sam for SoftSam<S, KEYS> {
    fn terminal(&self) -> TerminalNo {
        self.terminal
    }

    fn key_index(&self) -> u8 {
        self.key_index
    }

    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        let InitForPurchase { card, random, offline_seq, amount, tti, stamp, key_version, algorithm } =
            *request;
        let (number, key) = self
            .keys
            .iter()
            .enumerate()
            .find(|(_, key)| key.version == key_version && key.algorithm == algorithm)
            .ok_or(SamRefused::NO_KEY)?;
        let terminal_seq = self.next_seq;
        let session: S::Key = self
            .deriver
            .derive(number, algorithm, &key.value, &card, self.path)
            .and_then(|dpk| keys::open::<S::Key>(algorithm, &dpk))
            .and_then(|dpk| keys::purchase_session(&dpk, random, offline_seq, terminal_seq))
            .map_err(|_| SamRefused::NO_KEY)?;
        let message = PurchaseMac1 { amount, tti, terminal: self.terminal, stamp };
        let mac1 = message.mac(&session).map_err(|_| SamRefused::NO_KEY)?;
        let mac2 = PurchaseMac2 { amount }.mac(&session).map_err(|_| SamRefused::NO_KEY)?;
        self.next_seq = self.next_seq.wrapping_add(1);
        self.open = Some(Open { terminal_seq, mac2 });
        Ok(SamPurchase { terminal_seq, mac1 })
    }

    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        let open =
            self.open.filter(|open| open.terminal_seq == request.terminal_seq).ok_or(SamRefused::STATE)?;
        if !ct_eq(&open.mac2, &request.mac2) {
            return Err(SamRefused::MAC_INVALID);
        }
        self.open = None;
        Ok(())
    }
}
