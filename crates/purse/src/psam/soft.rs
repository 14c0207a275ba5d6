//! A PSAM in memory.

use core::marker::PhantomData;

use huiwan_apdu::Sw;
use huiwan_crypto::Suite;

use super::engine::{self, Counters, PURCHASE, Session, Store};
use super::wire::{Gmac, Holder};
use super::{
    CalculateGmac, CertifyGreyLock, CheckAuthCode, CreditForPurchase, InitForGreyLock, InitForPurchase,
    RecomputeTac, Sam, SamGreyLock, SamPurchase, SamRefused, SecureCommand,
};
use crate::keys::{CardId, Deriver, Factor, KeyValue, Path};
use crate::mac::{self, Mac, Message, TerminalNo};
use crate::profile::Profile;
use crate::status;

/// A master key of the PSAM.
#[derive(Debug, Clone)]
pub struct SamKey {
    /// Version, as the card answers it.
    pub version: u8,
    /// Algorithm, as the card answers it.
    pub algorithm: u8,
    /// The key all levels of the path start from.
    pub value: KeyValue,
}

/// A master key for something else than purchases.
#[derive(Debug, Clone)]
pub struct UsageKey {
    /// What it is for: a usage of the profile's [`SamRules`](crate::profile::SamRules), or [`UsageKey::AUTH_CODE`].
    pub usage: u8,
    /// The key.
    pub key: SamKey,
}

impl UsageKey {
    /// Usage of the key that authentication codes of 建设部 cards are checked with. The code is ours.
    pub const AUTH_CODE: u8 = engine::AUTH_CODE;
}

/// A software PSAM with `KEYS` purchase keys, and `MORE` for other usages. Its transaction number goes up as
/// [`SamRules::count`](crate::profile::SamRules::count) says; keep [`next_seq`](Self::next_seq) over restarts.
#[derive(Debug)]
pub struct SoftSam<S: Suite, const KEYS: usize, const MORE: usize = 0> {
    profile: Profile,
    store: Memory<S, KEYS, MORE>,
    path: Path,
    session: Option<Session>,
    /// The code that was checked, and of which card.
    auth_code: Option<(CardId, [u8; 9])>,
}

struct Memory<S: Suite, const KEYS: usize, const MORE: usize> {
    terminal: TerminalNo,
    key_index: u8,
    keys: [SamKey; KEYS],
    more: [UsageKey; MORE],
    deriver: Deriver<S::Key>,
    counters: Counters,
    random: Option<fn() -> [u8; 4]>,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite, const KEYS: usize, const MORE: usize> core::fmt::Debug for Memory<S, KEYS, MORE> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { terminal, key_index, counters, .. } = self;
        f.debug_struct("Memory")
            .field("terminal", terminal)
            .field("key_index", key_index)
            .field("counters", counters)
            .finish_non_exhaustive()
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
            profile: *profile,
            store: Memory {
                terminal,
                key_index,
                keys,
                more: [],
                deriver: Deriver::new(),
                counters: Counters { next_seq, errors: 0 },
                random: None,
                suite: PhantomData,
            },
            path: profile.path,
            session: None,
            auth_code: None,
        }
    }

    /// The same with keys for maintenance, TACs or authentication codes.
    #[must_use]
    pub fn with_keys<const MORE: usize>(self, more: [UsageKey; MORE]) -> SoftSam<S, KEYS, MORE> {
        let Self { profile, store, path, session, auth_code } = self;
        let Memory { terminal, key_index, keys, deriver, counters, random, suite, .. } = store;
        let store = Memory { terminal, key_index, keys, more, deriver, counters, random, suite };
        SoftSam { profile, store, path, session, auth_code }
    }
}

impl<S: Suite, const KEYS: usize, const MORE: usize> SoftSam<S, KEYS, MORE> {
    /// The same with keys at another level: `path` leads from them to a card's keys. [correction 5]
    #[must_use]
    pub fn with_path(mut self, path: Path) -> Self {
        self.path = path;
        self.store.deriver = Deriver::new();
        self
    }

    /// The same with a source of random numbers, which a grey lock wants; without one it is refused with 6F00.
    #[must_use]
    pub const fn with_random(mut self, random: fn() -> [u8; 4]) -> Self {
        self.store.random = Some(random);
        self
    }

    /// The number the next transaction gets.
    #[must_use]
    pub const fn next_seq(&self) -> u32 {
        self.store.counters.next_seq
    }

    fn holder(&self, card: &CardId) -> Result<Holder, SamRefused> {
        Holder::of(card, self.path).ok_or(SamRefused::NO_KEY)
    }

    fn session(&self, terminal_seq: u32) -> Result<Session, SamRefused> {
        let session = self.session.as_ref().filter(|session| session.terminal_seq() == terminal_seq);
        session.cloned().ok_or(SamRefused::STATE)
    }
}

impl<S: Suite, const KEYS: usize, const MORE: usize> Store for Memory<S, KEYS, MORE> {
    fn terminal(&mut self) -> Result<TerminalNo, Sw> {
        Ok(self.terminal)
    }

    fn counters(&mut self) -> Result<Counters, Sw> {
        Ok(self.counters)
    }

    fn keep(&mut self, counters: Counters) -> Result<(), Sw> {
        self.counters = counters;
        Ok(())
    }

    fn card_key(
        &mut self,
        usage: u8,
        version: u8,
        algorithm: Option<u8>,
        holder: &Holder,
    ) -> Result<(u8, KeyValue), Sw> {
        let purchase = self.keys.iter().map(|key| (PURCHASE, key));
        let more = self.more.iter().map(|more| (more.usage, &more.key));
        let fits = |(of, key): &(u8, &SamKey)| {
            *of == usage && key.version == version && algorithm.is_none_or(|wanted| wanted == key.algorithm)
        };
        let found = purchase.chain(more).enumerate().find(|(_, key)| fits(key));
        let (number, (_, key)) = found.ok_or(status::KEY_INDEX)?;
        let value = self.deriver.derive_levels(number, key.algorithm, &key.value, &holder.levels);
        Ok((key.algorithm, value.map_err(|_| status::KEY_INDEX)?))
    }

    fn random(&mut self) -> Result<[u8; 4], Sw> {
        self.random.map(|random| random()).ok_or(Sw::UNKNOWN)
    }
}

impl<S: Suite, const KEYS: usize, const MORE: usize> Sam for SoftSam<S, KEYS, MORE> {
    fn terminal(&self) -> TerminalNo {
        self.store.terminal
    }

    fn key_index(&self) -> u8 {
        self.store.key_index
    }

    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        self.session = None;
        let checked = self.auth_code.take().filter(|(card, _)| *card == request.card);
        let holder = self.holder(&request.card)?;
        let code = checked.map(|(_, code)| code);
        let made = engine::init_for_purchase::<S::Key>(
            &self.profile,
            &mut self.store,
            request.terms(),
            holder,
            code,
        );
        let (answer, session) = made.map_err(SamRefused)?;
        self.session = Some(session);
        Ok(answer)
    }

    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        let session = self.session(request.terminal_seq)?;
        engine::credit_for_purchase(&self.profile, &mut self.store, &session, request.mac2)
            .map_err(SamRefused)?;
        self.session = None;
        Ok(())
    }

    fn init_for_grey_lock(&mut self, request: &InitForGreyLock) -> Result<SamGreyLock, SamRefused> {
        self.session = None;
        self.auth_code = None;
        let holder = self.holder(&request.card)?;
        let made =
            engine::init_for_grey_lock::<S::Key>(&self.profile, &mut self.store, request.terms(), holder);
        let (answer, session) = made.map_err(SamRefused)?;
        self.session = Some(session);
        Ok(answer)
    }

    fn certify_grey_lock(&mut self, request: &CertifyGreyLock) -> Result<(), SamRefused> {
        let session = self.session(request.terminal_seq)?;
        let session = engine::certify_grey_lock(&self.profile, &mut self.store, &session, request.mac2)
            .map_err(SamRefused)?;
        self.session = Some(session);
        Ok(())
    }

    fn calculate_gmac(&mut self, request: &CalculateGmac) -> Result<Mac, SamRefused> {
        let session = self.session.clone().ok_or(SamRefused::STATE)?;
        let CalculateGmac { card, offline_seq, amount } = *request;
        let gmac = Gmac { serial: card.factor(Factor::Serial), offline_seq, amount };
        let mac = engine::calculate_gmac::<S::Key>(&self.profile, &mut self.store, &session, gmac)
            .map_err(SamRefused)?;
        self.session = None;
        Ok(mac)
    }

    fn secure_command(&mut self, request: &SecureCommand) -> Result<Mac, SamRefused> {
        let SecureCommand { card, key_version, algorithm, challenge, header } = *request;
        let holder = self.holder(&card)?;
        let usage = self.profile.sam.maintenance_usage;
        let key: S::Key =
            engine::des_key(&self.profile, &mut self.store, usage, key_version, Some(algorithm), &holder)
                .map_err(SamRefused)?;
        mac::secure(&key, &challenge, &[&header]).map_err(|_| SamRefused::NO_KEY)
    }

    fn check_auth_code(&mut self, request: &CheckAuthCode) -> Result<(), SamRefused> {
        let CheckAuthCode { card, code } = *request;
        self.auth_code = None;
        let holder = self.holder(&card)?;
        engine::check_auth_code::<S::Key>(&self.profile, &mut self.store, &holder, &code)
            .map_err(SamRefused)?;
        self.auth_code = Some((card, code));
        Ok(())
    }

    fn recompute_tac(&mut self, request: &RecomputeTac) -> Result<Mac, SamRefused> {
        let RecomputeTac { card, algorithm, message } = *request;
        let holder = self.holder(&card)?;
        let rules = self.profile.sam;
        let key: S::Key = engine::des_key(
            &self.profile,
            &mut self.store,
            rules.tac_usage,
            rules.tac_version,
            Some(algorithm),
            &holder,
        )
        .map_err(SamRefused)?;
        message.mac(&key).map_err(|_| SamRefused::NO_KEY)
    }
}
