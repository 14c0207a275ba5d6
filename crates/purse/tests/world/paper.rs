//! A card on paper: a second purse of any scheme, written from the tables alone with vectors and loops. It answers every
//! command of a session byte for byte, and lists what each command makes durable. Weak: its author knew the first one.

use std::collections::{BTreeMap, VecDeque};

use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::{MacErrors, Profile, SecondInit};
use huiwan_testkit::rng::Seeded;

use super::oracle::Family;

type Answer = Result<Vec<u8>, u16>;

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub balance: u32,
    pub online: u16,
    pub offline: u16,
    pub limit: u32,
    pub upper: u32,
}

/// A grey lock: what the session key is made of, and the answer to GET LOCK PROOF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    p2: u8,
    session: Vec<u8>,
    offline: u16,
    proof: Vec<u8>,
}

/// What survives the loss of power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// By P2: 01 ED, 02 EP.
    pub accounts: BTreeMap<u8, Account>,
    /// Newest first.
    pub log: VecDeque<Vec<u8>>,
    pub trips: VecDeque<Vec<u8>>,
    pub composite: Vec<Vec<u8>>,
    pub info: Vec<u8>,
    /// TTI, counter, MAC ‖ TAC.
    pub proof: Option<(u8, u16, Vec<u8>)>,
    pub grey: Option<Grey>,
    pub pin: Vec<u8>,
    pub tries: u8,
    /// 0 open, 1 temporarily, 2 permanently locked, 3 the card is blocked.
    pub state: u8,
    pub mac_errors: u8,
    pub maintenance_errors: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    /// INS and P1 of what completes it.
    completion: (u8, u8),
    p2: u8,
    tti: u8,
    amount: u32,
    terminal: Vec<u8>,
    random: Vec<u8>,
}

/// What a selection or the loss of power ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Volatile {
    session: Option<Session>,
    cache: Vec<(Option<usize>, Vec<u8>)>,
    challenge: Vec<u8>,
    verified: bool,
    auth_code_read: bool,
}

/// The card on paper.
#[derive(Debug, Clone)]
pub struct Paper {
    pub profile: Profile,
    pub keys: BTreeMap<u8, (Family, Vec<u8>)>,
    pub auth_code: Vec<u8>,
    pub durable: Durable,
    volatile: Volatile,
    /// What the last command made durable, step by step.
    pub commits: Vec<Durable>,
}

const AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x06, 0x32, 0x01, 0x01, 0x05];
pub const PIN: [u8; 3] = [0x12, 0x34, 0x56];

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn of_len<const N: usize>(data: &[u8]) -> Result<(), u16> {
    if data.len() == N { Ok(()) } else { Err(0x6700) }
}

fn u24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}

/// Records of the composite file: head by head of the scheme.
pub fn composite_record(profile: &Profile, id: u8, fill: u8) -> Vec<u8> {
    match profile.composite_sfi {
        0x1A => [&[0x27, id, 0x7D, 0x01, 0x01, 0x00][..], &[fill; 122]].concat(),
        0x17 => [&[id, 0x2E, 0x00][..], &[fill; 45]].concat(),
        _ => [&[id, 0x29, 0x00][..], &[fill; 40]].concat(),
    }
}

impl Paper {
    /// A card to be issued: keys, accounts and counters from the seed. Only the seed 0 has 3DES throughout.
    pub fn new(profile: Profile, seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let mut keys = BTreeMap::new();
        for code in 1..=9 {
            let sm4 = seed != 0 && random.below(2) == 1;
            keys.insert(code, (if sm4 { Family::Sm4 } else { Family::Tdes }, random.vec(16)));
        }
        let mut accounts = BTreeMap::new();
        for p2 in [1, 2] {
            if if p2 == 1 { profile.ed } else { profile.ep } {
                let own = random.below(20_000) as u32;
                let limit = if p2 == 1 || profile.ep_overdraft { random.below(3000) as u32 } else { 0 };
                accounts.insert(
                    p2,
                    Account {
                        balance: own + limit,
                        online: random.below(0xFF00) as u16,
                        offline: random.below(0xFF00) as u16,
                        limit,
                        upper: 100_000,
                    },
                );
            }
        }
        let mut info = super::bank::public_info(profile);
        let end = info.len() - 2;
        info[end..].copy_from_slice(&random.bytes::<2>());
        let ids = if profile.composite_sfi == 0x1A { [1, 2] } else { [0x09, 0x0A] };
        let durable = Durable {
            accounts,
            log: VecDeque::new(),
            trips: VecDeque::new(),
            composite: ids.map(|id| composite_record(&profile, id, 0)).to_vec(),
            info,
            proof: None,
            grey: None,
            pin: PIN.to_vec(),
            tries: profile.pin_tries,
            state: 0,
            mac_errors: 0,
            maintenance_errors: 0,
        };
        let auth_code = random.vec(9);
        Self { profile, keys, auth_code, durable, volatile: Volatile::default(), commits: Vec::new() }
    }

    /// DGI and value, in the order of issuing.
    pub fn groupings(&self) -> Vec<(u16, Vec<u8>)> {
        let mut list: Vec<(u16, Vec<u8>)> = Vec::new();
        for (code, (family, value)) in &self.keys {
            list.push((0x8000 | u16::from(*code), [&[1, 1, family.byte()], &value[..]].concat()));
        }
        list.push((0x000A, self.durable.pin.clone()));
        if self.profile.auth_code {
            list.push((0x000C, self.auth_code.clone()));
        }
        for (n, record) in self.durable.composite.iter().enumerate() {
            list.push((0x1A01 + n as u16, record.clone()));
        }
        list.push((0x0015, self.durable.info.clone()));
        for (p2, a) in &self.durable.accounts {
            let counters = [a.online.to_be_bytes(), a.offline.to_be_bytes()].concat();
            let value =
                [&a.balance.to_be_bytes()[..], &counters, &u24(a.limit), &a.upper.to_be_bytes()].concat();
            list.push((u16::from(*p2), value));
        }
        list
    }

    pub fn key(&self, kind: KeyKind) -> (Family, &[u8]) {
        let (family, value) = &self.keys[&kind.code()];
        (*family, value)
    }

    pub fn tac(&self, kind: KeyKind, message: &[u8]) -> Vec<u8> {
        let (family, key) = self.key(kind);
        family.tac(key, message)
    }

    pub fn online(&self, kind: KeyKind, random: &[u8], seq: u16, message: &[u8]) -> Vec<u8> {
        let (family, key) = self.key(kind);
        family.mac(&family.online_session(key, random, &seq.to_be_bytes()), message)
    }

    pub fn debit(&self, random: &[u8], seq: u16, terminal_seq: &[u8], message: &[u8]) -> Vec<u8> {
        let (family, dpk) = self.key(KeyKind::Purchase);
        family.mac(&family.debit_session(dpk, random, &seq.to_be_bytes(), terminal_seq), message)
    }

    /// Own money on the card, overdrawn money negative.
    pub fn money(&self) -> i64 {
        self.durable.accounts.values().map(|a| i64::from(a.balance) - i64::from(a.limit)).sum()
    }

    pub fn auth_code_read(&self) -> bool {
        self.volatile.auth_code_read
    }

    /// 0 open, 1 temporarily, 2 permanently locked, 3 the card is blocked.
    pub fn lock(&self) -> u8 {
        let d = &self.durable;
        if d.state == 3 {
            3
        } else if d.state == 2 || d.maintenance_errors >= self.profile.maintenance_error_limit {
            2
        } else {
            u8::from(d.state == 1 || d.mac_errors >= self.profile.mac_error_limit)
        }
    }

    /// Power is lost; what was durable at this moment is `durable`.
    pub fn power_cut(&mut self, durable: Durable) {
        self.durable = durable;
        self.volatile = Volatile::default();
    }

    fn commit(&mut self) {
        self.commits.push(self.durable.clone());
    }

    /// The answer to a command. Random numbers are taken from what the card really answered.
    pub fn answer(&mut self, command: &[u8], real: &[u8]) -> Vec<u8> {
        self.commits.clear();
        let [cla, ins, p1, p2] = command[..4].try_into().unwrap();
        // Lc ‖ data, Le or not; or Le alone.
        let data = match command.get(4) {
            Some(lc) if command.len() > 5 => command[5..5 + usize::from(*lc)].to_vec(),
            _ => Vec::new(),
        };
        if (cla, ins, p1) == (0x00, 0xA4, 0x04) {
            self.volatile = Volatile::default();
            return self.select();
        }
        let mut real = real.to_vec();
        real.resize(real.len().max(40), 0);
        match self.dispatch([cla, ins, p1, p2], &data, command, &real) {
            Ok(mut answer) => {
                answer.extend([0x90, 0x00]);
                answer
            }
            Err(sw) => sw.to_be_bytes().to_vec(),
        }
    }

    fn select(&self) -> Vec<u8> {
        let lock = self.lock();
        if lock >= 2 {
            return if lock == 3 { vec![0x6A, 0x81] } else { vec![0x93, 0x03] };
        }
        let len = self.durable.info.len() as u8;
        let issuer = [&[0x9F, 0x0C, len], &self.durable.info[..]].concat();
        let proprietary = [&[0xA5, issuer.len() as u8], &issuer[..]].concat();
        let body = [&[0x84, 0x08], &AID[..], &proprietary].concat();
        let sw = if lock == 1 { [0x62, 0x83] } else { [0x90, 0x00] };
        [&[0x6F, body.len() as u8], &body[..], &sw].concat()
    }

    fn dispatch(&mut self, header: [u8; 4], data: &[u8], command: &[u8], real: &[u8]) -> Answer {
        let [cla, ins, p1, p2] = header;
        let session = self.volatile.session.take();
        let challenge = core::mem::take(&mut self.volatile.challenge);
        match self.lock() {
            0 => {}
            1 => match (cla, ins) {
                (0x00, 0x84) | (0x84, 0x18 | 0x1E) => {}
                (0xE0, 0xCA) if self.profile.locked_reads && p1 == 0 => {}
                (0x00, 0xB0 | 0xB2) | (0x80, 0x5A | 0x5C) if self.profile.locked_reads => {}
                _ => return Err(self.profile.locked_answer.value()),
            },
            2 => return Err(0x9303),
            _ => return Err(0x6A81),
        }
        if (cla, ins) == (0x80, 0x50) && self.grey_locked().is_some() {
            return Err(0x9408);
        }
        match (cla, ins) {
            (0x00, 0x84) => {
                self.volatile.challenge = real[..usize::from(command[4])].to_vec();
                Ok(self.volatile.challenge.clone())
            }
            (0x00, 0xB0) => Ok(self.durable.info.clone()),
            (0x00, 0xB2) => {
                let n = usize::from(p1) - 1;
                let d = &self.durable;
                let record = match p2 >> 3 {
                    0x18 => d.log.get(n),
                    sfi if sfi == self.profile.composite_sfi => d.composite.get(n),
                    _ => d.trips.get(n),
                };
                record.cloned().ok_or(0x6A83)
            }
            (0x04, 0xD6 | 0xDC | 0xE2) => self.update(header, data, &challenge),
            (0x80, 0x50) => self.initialize(session, p1, p2, data, real),
            (0x80, 0x52 | 0x54 | 0x58) | (0xE0, 0x7C) => self.complete(session, ins, p1, data),
            (0xE0, 0x7A) if self.profile.grey_lock.is_some() => {
                self.initialize_grey(session, p1, p2, data, real)
            }
            (0xE0, 0x7E) if self.profile.grey_lock.is_some() && p1 == 0x08 => self.debit_for_unlock(p2, data),
            (0xE0, 0x7E) if self.profile.grey_lock.is_some() => self.complete(session, ins, p1, data),
            (0xE0, 0xCA) if self.profile.grey_lock.is_some() => Ok(self.get_lock_proof(p1 == 1)),
            (0x80, 0x5A) => match &self.durable.proof {
                Some((tti, seq, proof)) if (*tti, *seq) == (p2, u16_at(data, 0)) => Ok(proof.clone()),
                _ => Err(0x9406),
            },
            (0x80, 0x5C) => self.get_balance(p1, p2),
            (0x80, 0xDC) => self.update_cache(session, p1, p2, data),
            (0x80, 0xCA) if self.profile.auth_code => {
                self.volatile.session = session;
                self.volatile.auth_code_read = true;
                Ok(self.auth_code.clone())
            }
            (0x00, 0x20) => self.verify(data),
            (0x80, 0x5E) => self.new_pin(p1, data),
            (0x84, 0x24) => self.pin_unblock(header, data, &challenge),
            (0x84, 0x16 | 0x18 | 0x1E) => self.block(header, data, &challenge),
            _ => Err(0x6D00),
        }
    }

    fn account(&self, p2: u8) -> Result<Account, u16> {
        self.durable.accounts.get(&p2).copied().ok_or(0x6A86)
    }

    fn pin_for(&self, p2: u8) -> Result<(), u16> {
        if p2 == 2 || !self.profile.ed_pin || self.volatile.verified { Ok(()) } else { Err(0x6982) }
    }

    fn only_one_session(&self, session: Option<Session>) -> Result<(), u16> {
        match (self.profile.second_init, session) {
            (SecondInit::Refused, Some(_)) => Err(self.profile.out_of_order.value()),
            _ => Ok(()),
        }
    }

    fn get_balance(&self, p1: u8, p2: u8) -> Answer {
        let a = self.account(p2)?;
        self.pin_for(p2)?;
        if p1 != 0 && !(p2 == 2 && self.profile.ep_overdraft) {
            return Err(0x6A86);
        }
        let actual = a.balance.saturating_sub(a.limit);
        let overdrawn = a.limit.saturating_sub(a.balance);
        let amounts = match p1 {
            0 => vec![a.balance],
            1 => vec![a.limit],
            2 => vec![overdrawn],
            3 => vec![actual],
            4 => vec![a.upper],
            _ => vec![actual, a.upper, overdrawn, a.limit],
        };
        Ok(amounts.iter().flat_map(|amount| amount.to_be_bytes()).collect())
    }

    /// The 80 50 commands.
    fn initialize(&mut self, session: Option<Session>, p1: u8, p2: u8, data: &[u8], real: &[u8]) -> Answer {
        self.only_one_session(session)?;
        let (online, limit) = (matches!(p1, 0 | 4 | 5), p1 == 4);
        if limit {
            let account = if self.profile.ed { 1 } else { 2 };
            if (!self.profile.ed && !self.profile.ep_overdraft) || p2 != self.profile.limit_p2 {
                return Err(0x6A86);
            }
            assert_eq!(account, p2);
        }
        let a = self.account(p2)?;
        match (p1, p2) {
            (2, 2) | (3, 1) => return Err(0x6A86),
            (5, 2) if !self.profile.ep_unload => return Err(0x6A86),
            (5, _) if !self.volatile.verified => return Err(0x6982),
            _ => self.pin_for(p2)?,
        }
        if limit {
            of_len::<7>(data)?
        } else {
            of_len::<11>(data)?
        }
        let (amount, terminal) =
            if limit { (0, data[1..].to_vec()) } else { (u32_at(data, 1), data[5..].to_vec()) };
        if data[0] != 1 {
            return Err(0x9403);
        }
        if (if online { a.online } else { a.offline }) >= self.profile.counter_end {
            return Err(0x9402);
        }
        if p1 == 0 && u64::from(a.balance) + u64::from(amount) > u64::from(a.upper) {
            return Err(0x6985);
        }
        if matches!(p1, 1 | 2 | 3 | 5) && a.balance < amount {
            return Err(0x9401);
        }
        let (tti, kind, completion) = match p1 {
            0 => (p2, KeyKind::Load, (0x52, 0x00)),
            1 => (4 + p2, KeyKind::Purchase, (0x54, 0x01)),
            2 => (4, KeyKind::Purchase, (0x54, 0x01)),
            3 => (9, KeyKind::Purchase, (0x54, 0x01)),
            4 => (7, KeyKind::Update, (0x58, 0x00)),
            _ => (3, KeyKind::Unload, (0x54, 0x03)),
        };
        let mut answer = a.balance.to_be_bytes().to_vec();
        answer.extend(if online { a.online } else { a.offline }.to_be_bytes());
        if !matches!(p1, 0 | 5) {
            answer.extend(u24(a.limit));
        }
        answer.extend([1, self.key(kind).0.byte()]);
        let random = real[answer.len()..answer.len() + 4].to_vec();
        answer.extend(&random);
        if online {
            let before: &[u8] = if limit { &u24(a.limit) } else { &amount.to_be_bytes() };
            let message = [&a.balance.to_be_bytes(), before, &[tti], &terminal].concat();
            answer.extend(self.online(kind, &random, a.online, &message));
        }
        self.volatile.cache.clear();
        self.volatile.session = Some(Session { completion, p2, tti, amount, terminal, random });
        Ok(answer)
    }

    fn update_cache(&mut self, session: Option<Session>, p1: u8, p2: u8, data: &[u8]) -> Answer {
        let session = session.filter(|session| session.tti == 9).ok_or(self.profile.out_of_order.value())?;
        let sfi = p2 >> 3;
        if sfi == self.profile.composite_sfi {
            let at = usize::from(self.profile.records.match_at);
            let n = self.durable.composite.iter().position(|r| r[at] == p1).ok_or(0x6A83_u16)?;
            let mut record = data.to_vec();
            record.resize(self.durable.composite[n].len(), 0);
            self.volatile.cache.push((Some(n), record));
        } else if sfi == self.profile.process_sfi {
            self.volatile.cache.push((None, data.to_vec()));
        } else {
            return Err(0x6A82);
        }
        self.volatile.session = Some(session);
        Ok(Vec::new())
    }

    /// Checks a transaction MAC and counts wrong ones.
    fn check_mac(&mut self, counted: bool, expected: &[u8], given: &[u8]) -> Result<(), u16> {
        let before = self.profile.mac_errors == MacErrors::BeforeCheck;
        let right = expected == given;
        if counted && (before || !right) {
            self.durable.mac_errors += 1;
            self.commit();
        }
        match (right, self.lock()) {
            (true, _) => Ok(()),
            (false, 0) => Err(0x9302),
            (false, _) => Err(self.profile.locking_answer.value()),
        }
    }

    /// Everything a completion changes, in one step.
    fn book(&mut self, p2: u8, a: Account, seq: u16, logged: u32, tail: &[u8], proof: &[u8]) {
        let d = &mut self.durable;
        d.accounts.insert(p2, a);
        let row = [&seq.to_be_bytes()[..], &u24(a.limit), &logged.to_be_bytes(), tail].concat();
        d.log.push_front(row);
        d.log.truncate(self.profile.log_records.into());
        d.proof = Some((tail[0], seq, proof.to_vec()));
        d.mac_errors = 0;
    }

    /// What completes a session: 52, 54, 58, E0 7C, E0 7E 09.
    fn complete(&mut self, session: Option<Session>, ins: u8, p1: u8, data: &[u8]) -> Answer {
        if ins == 0x7C && self.profile.grey_lock.is_none() {
            return Err(0x6D00);
        }
        let Session { p2, tti, amount, terminal, random, .. } = session
            .filter(|session| session.completion == (ins, p1))
            .filter(|session| session.tti != 9 || !self.volatile.cache.is_empty())
            .ok_or(self.profile.out_of_order.value())?;
        let mut a = self.account(p2)?;
        let four = amount.to_be_bytes();
        match tti {
            // Load and unload.
            1..=3 => {
                of_len::<11>(data)?;
                let (stamp, mac2) = data.split_at(7);
                let kind = if tti == 3 { KeyKind::Unload } else { KeyKind::Load };
                let tail = [&[tti][..], &terminal, stamp].concat();
                let expected = self.online(kind, &random, a.online, &[&four[..], &tail].concat());
                self.check_mac(true, &expected, mac2)?;
                a.balance = if tti == 3 { a.balance - amount } else { a.balance + amount };
                let message = [&a.balance.to_be_bytes()[..], &a.online.to_be_bytes(), &four, &tail].concat();
                let answer = if tti == 3 {
                    self.online(kind, &random, a.online, &message)
                } else {
                    self.tac(KeyKind::Tac, &message)
                };
                a.online += 1;
                let none = [0; 4].to_vec();
                let proof = if tti == 3 { [answer.clone(), none] } else { [none, answer.clone()] };
                self.book(p2, a, a.online, amount, &tail, &proof.concat());
                self.commit();
                Ok(answer)
            }
            4..=6 | 9 => {
                of_len::<15>(data)?;
                let (terminal_seq, stamp, mac1) = (&data[..4], &data[4..11], &data[11..]);
                let tail = [&[tti][..], &terminal, stamp].concat();
                let mut message = [&four[..], &tail].concat();
                if core::mem::take(&mut self.volatile.auth_code_read) {
                    message.extend(&self.auth_code);
                }
                let expected = self.debit(&random, a.offline, terminal_seq, &message);
                let counted = tti != 9 || self.profile.composite_mac_errors;
                self.check_mac(counted, &expected, mac1)?;
                let mac2 = self.debit(&random, a.offline, terminal_seq, &four);
                let message = [&four[..], &[tti], &terminal, terminal_seq, stamp].concat();
                let tac = self.tac(KeyKind::Tac, &message);
                a.balance -= amount;
                a.offline += 1;
                self.book(p2, a, a.offline, amount, &tail, &[&mac2[..], &tac].concat());
                if tti == 9 {
                    for (n, record) in core::mem::take(&mut self.volatile.cache) {
                        match n {
                            Some(n) => self.durable.composite[n] = record,
                            None => self.durable.trips.push_front(record),
                        }
                    }
                    self.durable.trips.truncate(self.profile.process_records.into());
                }
                self.commit();
                Ok([tac, mac2].concat())
            }
            7 => {
                of_len::<14>(data)?;
                let (limit, stamp, mac2) = (&data[..3], &data[3..10], &data[10..]);
                let tail = [&[tti][..], &terminal, stamp].concat();
                let new_limit = u32_at(&[&[0], limit].concat(), 0);
                let balance = i64::from(a.balance) - i64::from(a.limit) + i64::from(new_limit);
                if balance < 0 {
                    return Err(0x9401);
                }
                if balance > i64::from(a.upper) {
                    return Err(0x6985);
                }
                let expected = self.online(KeyKind::Update, &random, a.online, &[limit, &tail].concat());
                self.check_mac(true, &expected, mac2)?;
                a.balance = balance as u32;
                a.limit = new_limit;
                let seq = a.online.to_be_bytes();
                let message = [&a.balance.to_be_bytes()[..], &seq, limit, &tail].concat();
                let tac = self.tac(KeyKind::Tac, &message);
                a.online += 1;
                self.book(p2, a, a.online, new_limit, &tail, &[&[0; 4], &tac[..]].concat());
                self.commit();
                Ok(tac)
            }
            0x91 => {
                of_len::<19>(data)?;
                let (terminal_seq, terminal_random) = (&data[..4], &data[4..8]);
                let (stamp, mac1) = (&data[8..15], &data[15..]);
                let (family, dpk) = self.key(KeyKind::Purchase);
                let seq = a.offline.to_be_bytes();
                let session = family.grey_session(dpk, &random, &seq, terminal_seq, terminal_random);
                let tail = [&[tti][..], &terminal, stamp].concat();
                self.check_mac(true, &family.mac(&session, &tail), mac1)?;
                let balance = a.balance.to_be_bytes();
                let mac2 = family.mac(&session, &balance);
                let message = [&balance[..], &seq, &[tti], &terminal, terminal_seq, stamp].concat();
                let gtac = self.tac(KeyKind::Tac, &message);
                let proof = [&[0x01, tti, p2][..], &balance, &seq, &terminal, stamp, &mac2, &gtac].concat();
                self.durable.grey = Some(Grey { p2, session, offline: a.offline, proof });
                a.offline += 1;
                self.durable.accounts.insert(p2, a);
                self.durable.proof = Some((tti, a.offline, [&mac2[..], &gtac].concat()));
                self.durable.mac_errors = 0;
                self.commit();
                Ok([gtac, mac2].concat())
            }
            _ => {
                of_len::<15>(data)?;
                let (amount, stamp, mac2) = (u32_at(data, 0), &data[4..11], &data[11..]);
                let four = amount.to_be_bytes();
                if a.balance < amount {
                    return Err(0x9401);
                }
                let tail = [&[tti][..], &terminal, stamp].concat();
                let message = [&four[..], &tail].concat();
                let expected = self.online(KeyKind::GreyUnlock, &random, a.online, &message);
                self.check_mac(true, &expected, mac2)?;
                a.balance -= amount;
                let message = [&a.balance.to_be_bytes()[..], &a.online.to_be_bytes(), &four, &tail].concat();
                let mac3 = self.online(KeyKind::GreyUnlock, &random, a.online, &message);
                a.online += 1;
                self.book(p2, a, a.online, amount, &tail, &[&mac3[..], &[0; 4]].concat());
                self.unlock_grey(0x00, a.balance, &tail, None);
                self.commit();
                Ok(mac3)
            }
        }
    }

    fn grey_locked(&self) -> Option<&Grey> {
        self.durable.grey.as_ref().filter(|grey| grey.proof[0] == 0x01)
    }

    fn unlock_grey(&mut self, status: u8, balance: u32, tail: &[u8], tac: Option<&[u8]>) {
        let grey = self.durable.grey.as_mut().unwrap();
        grey.proof[..2].copy_from_slice(&[status, tail[0]]);
        grey.proof[3..7].copy_from_slice(&balance.to_be_bytes());
        grey.proof[9..22].copy_from_slice(&tail[1..]);
        if let Some(tac) = tac {
            grey.proof[26..].copy_from_slice(tac);
        }
    }

    fn initialize_grey(
        &mut self,
        session: Option<Session>,
        p1: u8,
        p2: u8,
        data: &[u8],
        real: &[u8],
    ) -> Answer {
        self.only_one_session(session)?;
        let a = self.account(p2)?;
        let unlock = p1 == 0x09;
        if !unlock {
            self.pin_for(p2)?;
        }
        of_len::<7>(data)?;
        match (unlock, self.grey_locked()) {
            (false, Some(_)) => return Err(0x9408),
            (true, grey) if grey.is_none_or(|grey| grey.p2 != p2) => return Err(0x6985),
            _ => {}
        }
        if data[0] != 1 {
            return Err(0x9403);
        }
        if (if unlock { a.online } else { a.offline }) >= self.profile.counter_end {
            return Err(0x9402);
        }
        let terminal = data[1..].to_vec();
        let mut answer = [&a.balance.to_be_bytes()[..], &a.offline.to_be_bytes()].concat();
        let head = answer.clone();
        let kind = if unlock { KeyKind::GreyUnlock } else { KeyKind::Purchase };
        answer.extend(if unlock { a.online.to_be_bytes().to_vec() } else { u24(a.limit).to_vec() });
        answer.extend([1, self.key(kind).0.byte()]);
        let random = real[answer.len()..answer.len() + 4].to_vec();
        answer.extend(&random);
        let (tti, completion) = if unlock { (0x95, (0x7E, 0x09)) } else { (0x91, (0x7C, 0x08)) };
        if unlock {
            let message = [&head[..], &[tti], &terminal].concat();
            answer.extend(self.online(kind, &random, a.online, &message));
        }
        self.volatile.session = Some(Session { completion, p2, tti, amount: 0, terminal, random });
        Ok(answer)
    }

    fn debit_for_unlock(&mut self, p2: u8, data: &[u8]) -> Answer {
        let mut a = self.account(p2)?;
        of_len::<27>(data)?;
        let amount = u32_at(data, 0);
        let (terminal, terminal_seq) = (&data[6..12], &data[12..16]);
        let (stamp, gmac) = (&data[16..23], &data[23..]);
        let grey = self.grey_locked().filter(|grey| grey.p2 == p2).cloned().ok_or(0x6985_u16)?;
        if u16_at(data, 4) != grey.offline + 1 {
            return Err(0x9406);
        }
        if a.balance < amount {
            return Err(0x9401);
        }
        let four = amount.to_be_bytes();
        let expected = self.key(KeyKind::Purchase).0.mac(&grey.session, &four);
        self.check_mac(true, &expected, gmac)?;
        a.balance -= amount;
        let message = [&four[..], &[0x93], terminal, terminal_seq, stamp].concat();
        let tac = self.tac(KeyKind::Tac, &message);
        let tail = [&[0x93], terminal, stamp].concat();
        self.book(p2, a, a.offline, amount, &tail, &[&[0; 4], &tac[..]].concat());
        self.unlock_grey(0x10, a.balance, &tail, Some(&tac));
        self.commit();
        Ok(tac)
    }

    fn get_lock_proof(&mut self, take: bool) -> Vec<u8> {
        let Some(grey) = &mut self.durable.grey else { return vec![0; 30] };
        let answer = grey.proof.clone();
        if take && answer[0] == 0x10 {
            grey.proof[0] = 0x00;
            self.commit();
        }
        answer
    }

    fn pin_status(&self) -> u16 {
        if self.durable.tries == 0 { 0x6983 } else { 0x63C0 + u16::from(self.durable.tries) }
    }

    /// A try is spent before the comparison.
    fn try_pin(&mut self, pin: &[u8]) -> Result<(), u16> {
        if self.durable.tries == 0 {
            return Err(0x6983);
        }
        self.durable.tries -= 1;
        self.commit();
        if pin != self.durable.pin {
            return Err(0x63C0 + u16::from(self.durable.tries));
        }
        self.durable.tries = self.profile.pin_tries;
        self.commit();
        Ok(())
    }

    fn verify(&mut self, data: &[u8]) -> Answer {
        if data.is_empty() {
            return if self.volatile.verified { Ok(Vec::new()) } else { Err(self.pin_status()) };
        }
        self.volatile.verified = false;
        self.try_pin(data)?;
        self.volatile.verified = true;
        Ok(Vec::new())
    }

    fn set_pin(&mut self, pin: &[u8]) {
        self.durable.pin = pin.to_vec();
        self.durable.tries = self.profile.pin_tries;
        self.commit();
    }

    /// CHANGE PIN (P1 01) and RELOAD PIN (P1 00).
    fn new_pin(&mut self, p1: u8, data: &[u8]) -> Answer {
        if p1 == 1 {
            let at = data.iter().position(|byte| *byte == 0xFF).unwrap();
            self.volatile.verified = false;
            self.try_pin(&data[..at])?;
            self.set_pin(&data[at + 1..]);
            return Ok(Vec::new());
        }
        let (pin, mac) = data.split_at(data.len() - 4);
        if self.tac(KeyKind::PinReload, pin) != mac {
            return Err(self.count_maintenance_error());
        }
        self.volatile.verified = false;
        self.set_pin(pin);
        Ok(Vec::new())
    }

    fn count_maintenance_error(&mut self) -> u16 {
        self.durable.maintenance_errors += 1;
        self.commit();
        if self.lock() == 2 { 0x9303 } else { 0x6988 }
    }

    /// The data in front of a right MAC.
    fn secured<'d>(
        &mut self,
        kind: KeyKind,
        header: [u8; 4],
        data: &'d [u8],
        challenge: &[u8],
    ) -> Result<&'d [u8], u16> {
        if data.len() < 4 {
            return Err(if data.is_empty() { 0x6987 } else { 0x6700 });
        }
        if challenge.is_empty() {
            return Err(0x6984);
        }
        let (data, mac) = data.split_at(data.len() - 4);
        let (family, key) = self.key(kind);
        let message = [&header[..], &[data.len() as u8 + 4], data].concat();
        if family.secured(key, challenge, &message) != mac {
            return Err(self.count_maintenance_error());
        }
        Ok(data)
    }

    fn pin_unblock(&mut self, header: [u8; 4], data: &[u8], challenge: &[u8]) -> Answer {
        if self.durable.tries != 0 {
            return Err(0x6985);
        }
        let sealed = self.secured(KeyKind::PinUnblock, header, data, challenge)?;
        let (family, dpuk) = self.key(KeyKind::PinUnblock);
        if sealed != family.sealed_pin(dpuk, &self.durable.pin) {
            return Err(self.count_maintenance_error());
        }
        self.durable.maintenance_errors = 0;
        self.durable.tries = self.profile.pin_tries;
        self.commit();
        Ok(Vec::new())
    }

    /// 84 16, 84 18 and 84 1E.
    fn block(&mut self, header: [u8; 4], data: &[u8], challenge: &[u8]) -> Answer {
        let [_, ins, _, p2] = header;
        if ins == 0x18 && self.lock() != 1 {
            return Err(0x6985);
        }
        self.secured(KeyKind::Maintenance, header, data, challenge)?;
        let d = &mut self.durable;
        d.maintenance_errors = 0;
        match ins {
            0x16 => d.state = 3,
            0x18 => (d.state, d.mac_errors) = (0, 0),
            _ => d.state = 1 + p2,
        }
        self.commit();
        Ok(Vec::new())
    }

    /// UPDATE BINARY of file 0015, UPDATE RECORD and APPEND RECORD of the composite file.
    fn update(&mut self, header: [u8; 4], data: &[u8], challenge: &[u8]) -> Answer {
        let [_, ins, p1, p2] = header;
        let data = self.secured(KeyKind::Maintenance, header, data, challenge)?;
        let d = &mut self.durable;
        match ins {
            0xD6 => d.info[usize::from(p2)..usize::from(p2) + data.len()].copy_from_slice(data),
            0xDC => d.composite[usize::from(p1) - 1] = data.to_vec(),
            _ if d.composite.len() < self.profile.composite_records.into() => {
                d.composite.push(data.to_vec());
            }
            _ => return Err(0x6A84),
        }
        d.maintenance_errors = 0;
        self.commit();
        Ok(Vec::new())
    }

    /// Commands that change nothing and tell everything, and their answers, of a card that was just powered up.
    pub fn readings(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fresh = self.clone();
        fresh.power_cut(self.durable.clone());
        let composite = self.profile.composite_sfi << 3 | 4;
        let trips = self.profile.process_sfi << 3 | 4;
        let mut commands = vec![
            [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID, &[0x00]].concat(),
            vec![0x80, 0x5C, 0x00, 0x02, 0x04],
            vec![0x00, 0xB0, 0x95, 0x00, self.durable.info.len() as u8],
        ];
        if self.lock() == 0 {
            commands.push(vec![0x00, 0x20, 0x00, 0x00]);
        }
        if self.profile.ep_overdraft {
            commands.push(vec![0x80, 0x5C, 0x05, 0x02, 0x10]);
        }
        if self.profile.grey_lock.is_some() {
            commands.push(vec![0xE0, 0xCA, 0x00, 0x00, 0x1E]);
        }
        let records = |commands: &mut Vec<Vec<u8>>, p2, len, lines: usize| {
            for n in 1..=lines as u8 {
                commands.push(vec![0x00, 0xB2, n, p2, len]);
            }
        };
        let d = &self.durable;
        let log = self.profile.log_records.into();
        records(&mut commands, 0xC4, 23, (d.log.len() + 1).min(log));
        let len = d.composite[0].len() as u8;
        records(&mut commands, composite, len, d.composite.len());
        if self.profile.process_sfi != 0 {
            records(&mut commands, trips, 48, (d.trips.len() + 1).min(self.profile.process_records.into()));
        }
        let (tti, seq) = match &d.proof {
            Some((tti, seq, _)) => (*tti, *seq),
            None => (0x06, 1),
        };
        commands.push([&[0x80, 0x5A, 0x00, tti, 0x02], &seq.to_be_bytes()[..], &[0x08]].concat());
        if self.lock() >= 2 {
            commands.truncate(1);
        }
        commands
            .into_iter()
            .map(|command| (fresh.answer(&command, &[]), command))
            .map(|(a, c)| (c, a))
            .collect()
    }
}
