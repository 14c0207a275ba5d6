//! The host's transactions: every MAC against the second implementation, every kind against the card, with answers lost at
//! every message; what a host believes and what not; what settlement finds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_crypto::{Chinese, Secret};
use huiwan_purse::account::Account;
use huiwan_purse::host::hierarchy::Hierarchy;
use huiwan_purse::host::online::{Input, KeyAnswer, KeyRequest, OnlineSession, Outcome, Policy, Step};
use huiwan_purse::host::personalise::card_keys;
use huiwan_purse::host::{KeyRefused, LoadKeys, SoftLoadKeys, TacKeyId};
use huiwan_purse::keys::{CardId, Factor, KeyKind};
use huiwan_purse::online::{OnlineApproval, OnlineInit, OnlineRequest};
use huiwan_purse::personalisation::{KeyData, Personalisation};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{Sam, SoftSam};
use huiwan_purse::terminal::online::{Errand, Online, OnlineOutcome, OnlineStep, Pin};
use huiwan_purse::terminal::{COMMAND_LEN, Fault, Input as TerminalInput, Misuse, Pending, drive};
use huiwan_purse::transaction::Transaction;
use huiwan_purse::tti::Tti;
use proptest::prelude::*;
use world::{CARD, DEVICE, RamBand, RamMemory, STAMP, Suite, TERMINAL, Tear, TearHow, fuel, oracle};

const PROFILE: Profile = Profile::FUEL;

/// The scheme's keys; the TAC key's version is its own.
fn masters() -> [KeyData; 7] {
    let [dpk, dlk, mut dtk, damk, dugk] = fuel::masters();
    dtk.version = 2;
    let more = |kind, byte| KeyData {
        kind,
        index: 1,
        version: 1,
        algorithm: 1,
        tries: 0,
        value: Secret::new([byte; 16]),
    };
    [dpk, dlk, dtk, damk, dugk, more(KeyKind::Unload, 0x3C), more(KeyKind::Update, 0x69)]
}

fn bank() -> SoftLoadKeys<Suite, 7> {
    SoftLoadKeys::new(PROFILE, masters()).with_tac_key(|_| TacKeyId { version: 2, algorithm: 1 })
}

/// A fuel card with passbook, purse and PIN 1234.
fn issued() -> RamBand {
    let mut band = RamBand::blank(RamMemory::default(), world::modules(PROFILE), world::kept_entries());
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    let keys = card_keys::<Suite, 7>(&PROFILE, masters(), &CARD).unwrap();
    Personalisation {
        passbook: Some(fuel::PURSE_DATA),
        purse: Some(fuel::PURSE_DATA),
        pin: Some(&[0x12, 0x34]),
        version: None,
        public_info: world::public_info(),
        holder: None,
        management: None,
        records: &[],
        keys: &keys,
        ..Personalisation::default()
    }
    .for_each(|dgi, value| {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, world::hex(value)));
    });
    band.trace.clear();
    band
}

/// The step after the key provider has answered, if it is asked.
fn answered(session: &mut OnlineSession, keys: &mut dyn LoadKeys, input: Input) -> Step {
    match session.step(input).unwrap() {
        Step::Key(key) => session.step(Input::Key(key.answer(keys))).unwrap(),
        step => step,
    }
}

/// The session as another process finds it.
fn restored(session: &OnlineSession) -> OnlineSession {
    OnlineSession::from_bytes(&session.to_bytes().unwrap()).unwrap()
}

fn right_pin(_: Option<u8>) -> Option<Pin> {
    Pin::new(&[0x12, 0x34])
}

const ERRANDS: [(Errand, Account, u32); 6] = [
    (Errand::load(Account::Ed, 1000), Account::Ed, 1000),
    (Errand::load(Account::Ep, 1000), Account::Ep, 1000),
    (Errand::unload(Account::Ed, 700), Account::Ed, 700),
    (Errand::unload(Account::Ep, 700), Account::Ep, 700),
    (Errand::limit(&PROFILE, 500), Account::Ed, 500),
    (Errand::grey_unlock(Account::Ep), Account::Ep, 300),
];

/// Runs an errand; the host grants `amount`.
fn run(band: &mut RamBand, errand: Errand, amount: u32, session: &mut OnlineSession) -> OnlineOutcome {
    let mut keys = bank();
    let mut host = |request: &OnlineRequest| {
        let request = OnlineRequest { amount, ..*request };
        match answered(session, &mut keys, Input::Request(request, STAMP)) {
            Step::Approved(approval) => Some(approval),
            other => panic!("{other:?}"),
        }
    };
    let mut engine = Online::new(DEVICE, errand);
    drive::online(&mut engine, band, &mut right_pin, &mut host, &mut |_| {}).unwrap()
}

/// Settles with the card in the field; `None`: torn again.
fn settle(
    band: &mut RamBand,
    account: Account,
    pending: Pending,
    session: &mut OnlineSession,
    challenge: u8,
) -> Option<Outcome> {
    let challenge = [challenge; 6];
    assert_eq!(session.step(Input::Challenge(challenge)).unwrap(), Step::Reinitialise(challenge));
    let mut engine = Online::settle(DEVICE, account, pending, challenge);
    let shown =
        drive::online(&mut engine, band, &mut right_pin, &mut |_| panic!(), &mut |_| panic!()).unwrap();
    let input = match shown {
        OnlineOutcome::Completed { proof, .. } => Input::Confirm(proof),
        OnlineOutcome::Reinitialised(request) => Input::Reinit(request),
        OnlineOutcome::Failed(Fault::CardLost { .. }) => return None,
        other => panic!("{other:?}"),
    };
    match answered(session, &mut bank(), input) {
        Step::Done(outcome) => Some(outcome),
        other => panic!("{other:?}"),
    }
}

/// Balance of the account, in the card's own words.
fn balance(band: &mut RamBand, account: Account) -> u32 {
    band.select();
    band.ok("00200000021234");
    let answer = band.ok(&format!("805C00{:02X}04", account.p2()));
    u32::from_be_bytes(answer.try_into().unwrap())
}

fn prepared(errand: Errand) -> RamBand {
    let mut band = issued();
    if errand == Errand::grey_unlock(Account::Ep) {
        band.select();
        fuel::lock(&mut band, &PROFILE, 9);
        band.retap();
    }
    band.trace.clear();
    band
}

#[test]
fn every_errand_is_completed_and_proved() {
    for (errand, account, amount) in ERRANDS {
        let (mut band, mut session) = (prepared(errand), OnlineSession::new());
        let OnlineOutcome::Completed { transaction, proof } = run(&mut band, errand, amount, &mut session)
        else {
            panic!("{errand:?}")
        };
        let commands = band.trace.len();
        let pin = account == Account::Ed || transaction.tti == Tti::UNLOAD;
        assert_eq!(commands, if pin { 5 } else { 3 }, "{errand:?}");
        let wrong = proof.map(|byte| byte ^ 1);
        let disputed = answered(&mut session, &mut bank(), Input::Confirm(wrong));
        assert_eq!(disputed, Step::Done(Outcome::Disputed(transaction)));
        let mut session = restored(&session);
        let done = Step::Done(Outcome::Completed(transaction));
        assert_eq!(answered(&mut session, &mut bank(), Input::Confirm(proof)), done, "{errand:?}");
        assert_eq!(restored(&session).step(Input::TimedOut), Ok(done));
        assert_eq!(Some(balance(&mut band, account)), transaction.balance_after(), "{errand:?}");
    }
}

#[test]
fn answers_lost_at_every_message_end_in_agreement() {
    let hows = [TearHow::Unheard, TearHow::BeforeCommit, TearHow::AfterCommit, TearHow::Unanswered];
    let mut settled = [0, 0];
    for (errand, account, amount) in ERRANDS {
        for (command, how) in (0..5).flat_map(|n| hows.map(|how| (n, how))) {
            for again in 0..6 {
                let (mut band, mut session) = (prepared(errand), OnlineSession::new());
                let before = fuel::PURSE_DATA.balance;
                band.tear = Some(Tear { command, how });
                let outcome = run(&mut band, errand, amount, &mut session);
                band.retap();
                let what = format!("{errand:?} torn at {command} {how:?}, again at {again}");
                let expected = match outcome {
                    OnlineOutcome::Completed { .. } => break,
                    OnlineOutcome::Failed(Fault::CardLost { .. }) => {
                        assert_eq!(session.request(), None, "{what}: no MAC2 was made");
                        before
                    }
                    OnlineOutcome::Uncertain(pending) => {
                        let doubtful = Step::Done(Outcome::Doubtful(pending.transaction));
                        assert_eq!(session.step(Input::TimedOut), Ok(doubtful));
                        let mut session = restored(&session);
                        let pending = Pending::from_bytes(&pending.to_bytes()).unwrap();
                        band.tear = Some(Tear { command: again, how });
                        let first = settle(&mut band, account, pending, &mut session, 0xA1);
                        band.retap();
                        let mut session = restored(&session);
                        let outcome =
                            first.or_else(|| settle(&mut band, account, pending, &mut session, 0xA2));
                        match outcome {
                            Some(Outcome::Completed(transaction)) => {
                                settled[0] += 1;
                                transaction.balance_after().unwrap()
                            }
                            Some(Outcome::Reversed(transaction)) => {
                                settled[1] += 1;
                                transaction.balance
                            }
                            other => panic!("{what}: {other:?}"),
                        }
                    }
                    other => panic!("{what}: {other:?}"),
                };
                assert_eq!(balance(&mut band, account), expected, "{what}");
            }
        }
    }
    assert!(settled.iter().all(|n| *n >= 6 * 2), "both ends are reached: {settled:?}");
}

#[test]
fn the_next_counter_tells_when_a_purchase_has_displaced_the_proof() {
    for (how, completed) in [(TearHow::AfterCommit, true), (TearHow::Unheard, false)] {
        let mut band = issued();
        let mut session = OnlineSession::new();
        band.tear = Some(Tear { command: 2, how });
        let outcome = run(&mut band, Errand::load(Account::Ep, 1000), 1000, &mut session);
        let OnlineOutcome::Uncertain(pending) = outcome else { panic!("{outcome:?}") };
        band.retap();
        band.select();
        let init = band.ok(&format!("805001020B0100000064{}0F", fuel::PUMP));
        let dpk = fuel::key(&PROFILE, KeyKind::Purchase);
        let key = oracle::purchase_session(&dpk, &init[11..15], &init[4..6], &[0, 0, 0, 1]);
        let covered = huiwan_testkit::hex(&format!("0000006406{}{}", fuel::PUMP, fuel::STAMP));
        let mac1 = world::hex(&oracle::mac(&key, &covered));
        band.ok(&format!("805401000F00000001{}{mac1}08", fuel::STAMP));
        band.retap();
        let outcome = settle(&mut band, Account::Ep, pending, &mut session, 0x77).unwrap();
        let transaction = pending.transaction;
        let expected =
            if completed { Outcome::Completed(transaction) } else { Outcome::Reversed(transaction) };
        assert_eq!(outcome, expected);
    }
}

#[test]
fn a_wrong_pin_is_asked_for_again() {
    let mut band = issued();
    let mut asked = Vec::new();
    let mut pin = |tries| {
        asked.push(tries);
        if asked.len() == 1 { Pin::new(&[0x99, 0x99]) } else { None }
    };
    let mut engine = Online::new(DEVICE, Errand::unload(Account::Ep, 1));
    let outcome = drive::online(&mut engine, &mut band, &mut pin, &mut |_| panic!(), &mut |_| panic!());
    assert_eq!(outcome, Ok(OnlineOutcome::NoPin));
    assert_eq!(asked, [None, Some(2)]);
    assert!(Pin::new(&[]).is_none() && Pin::new(&[0; 9]).is_none());
}

/// A load of the purse that the card has been initialised for, at this counter and balance; MAC1 from the second
/// implementation.
fn request(online_seq: u16, balance: u32, amount: u32, terminal: [u8; 6], random: [u8; 4]) -> OnlineRequest {
    let key = fuel::key(&PROFILE, KeyKind::Load);
    let session = oracle::load_session(&key, &random, &online_seq.to_be_bytes());
    let covered = [&balance.to_be_bytes()[..], &amount.to_be_bytes(), &[2], &terminal].concat();
    let mac1 = oracle::mac(&session, &covered).try_into().unwrap();
    let init = OnlineInit {
        balance,
        online_seq,
        overdraft: 0,
        offline_seq: 0,
        key_version: 1,
        algorithm: 1,
        random,
        mac1,
    };
    let (tti, account) = (Tti::EP_LOAD, Account::Ep);
    OnlineRequest { tti, account, card: CARD, terminal, key_index: 1, amount, init }
}

const CHALLENGE: [u8; 6] = [0xC0, 1, 2, 3, 4, 5];

/// A load of 10 yuan at counter 7 and 50 yuan whose MAC2 is out.
fn open() -> (OnlineSession, Transaction) {
    let mut session = OnlineSession::new();
    let asked = request(7, 5000, 1000, TERMINAL, [1, 2, 3, 4]);
    let step = answered(&mut session, &mut bank(), Input::Request(asked, STAMP));
    assert!(matches!(step, Step::Approved(_)), "{step:?}");
    (session, asked.transaction(STAMP))
}

#[test]
fn what_a_later_initialisation_proves() {
    let later = |seq, balance, terminal| request(seq, balance, 0, terminal, [9, 9, 9, 9]);
    let (challenged, plain) = (CHALLENGE, TERMINAL);
    type Verdict = fn(Transaction) -> Outcome;
    let cases: [(OnlineRequest, Verdict); 11] = [
        (later(7, 5000, challenged), Outcome::Reversed),
        (later(7, 4000, challenged), Outcome::Reversed),
        (later(7, 5001, challenged), Outcome::Disputed),
        // It may be an old one.
        (later(7, 5000, plain), Outcome::Doubtful),
        (later(8, 6000, plain), Outcome::Completed),
        (later(8, 100, challenged), Outcome::Completed),
        (later(8, 6001, plain), Outcome::Disputed),
        (later(6, 5000, challenged), Outcome::Doubtful),
        (later(9, 5000, plain), Outcome::Doubtful),
        // The passbook has a counter of its own; MAC1 is wrong for it too.
        (
            OnlineRequest { tti: Tti::ED_LOAD, account: Account::Ed, ..later(7, 5000, challenged) },
            Outcome::Doubtful,
        ),
        // A balance that MAC1 does not cover.
        (OnlineRequest { amount: 1, ..later(7, 5000, challenged) }, Outcome::Doubtful),
    ];
    for (evidence, verdict) in cases {
        let (mut session, transaction) = open();
        assert_eq!(session.step(Input::Challenge(CHALLENGE)), Ok(Step::Reinitialise(CHALLENGE)));
        let mut session = restored(&session);
        let step = answered(&mut session, &mut bank(), Input::Reinit(evidence));
        assert_eq!(step, Step::Done(verdict(transaction)), "{evidence:?}");
    }
    // Its own initialisation and another card's prove nothing.
    let (mut session, transaction) = open();
    let doubtful = Ok(Step::Done(Outcome::Doubtful(transaction)));
    let own = *session.request().unwrap();
    assert_eq!(session.step(Input::Reinit(own)), doubtful);
    let mut other = request(7, 5000, 0, CHALLENGE, [9; 4]);
    other.card.serial[9] ^= 1;
    assert_eq!(session.step(Input::Reinit(other)), doubtful);
}

#[test]
fn an_old_initialisation_does_not_reverse_a_load_that_happened() {
    // Initialised twice, the second approved and completed; then the first is shown.
    let (session, transaction) = open();
    let old = request(7, 5000, 1000, TERMINAL, [8, 8, 8, 8]);
    for (policy, reversed) in [
        (Policy::default(), false),
        (Policy { terminals_word: true, ..Policy::default() }, false),
        (Policy { unchallenged: true, ..Policy::default() }, true),
    ] {
        let mut session = session.with_policy(policy);
        let step = answered(&mut session, &mut bank(), Input::Reinit(old));
        let verdict: fn(Transaction) -> Outcome =
            if reversed { Outcome::Reversed } else { Outcome::Doubtful };
        assert_eq!(step, Step::Done(verdict(transaction)), "{policy:?}");
    }
    // A challenge that was replaced counts no more.
    let mut session = session;
    let _ = session.step(Input::Challenge(CHALLENGE)).unwrap();
    let _ = session.step(Input::Challenge([7; 6])).unwrap();
    let late = request(7, 5000, 0, CHALLENGE, [8, 8, 8, 8]);
    let step = answered(&mut session, &mut bank(), Input::Reinit(late));
    assert_eq!(step, Step::Done(Outcome::Doubtful(transaction)));
}

#[test]
fn the_terminals_word_counts_only_where_the_policy_says_so() {
    let (session, transaction) = open();
    let mut strict = session;
    assert_eq!(strict.step(Input::NotCompleted), Ok(Step::Done(Outcome::Doubtful(transaction))));
    let mut trusting = session.with_policy(Policy { terminals_word: true, ..Policy::default() });
    assert_eq!(trusting.step(Input::NotCompleted), Ok(Step::Done(Outcome::Reversed(transaction))));
    // A proof after that means that somebody erred; the policy does not outlive the process.
    let mut later = restored(&trusting);
    assert_eq!(later.step(Input::Confirm([0; 4])), Ok(Step::Done(Outcome::Disputed(transaction))));
    assert_eq!(later.step(Input::TimedOut), Ok(Step::Done(Outcome::Reversed(transaction))));
    let mut doubtful = restored(&session);
    assert_eq!(doubtful.step(Input::NotCompleted), Ok(Step::Done(Outcome::Doubtful(transaction))));
}

#[test]
fn one_counter_gets_one_approval() {
    let mut session = OnlineSession::new();
    let asked = request(7, 5000, 1000, TERMINAL, [1, 2, 3, 4]);
    let mut keys = bank();
    let first = answered(&mut session, &mut keys, Input::Request(asked, STAMP));
    // The same bytes again, at another time: the same MAC2, also from another process.
    let later = huiwan_purse::date::Stamp { time: [0x23, 0x59, 0x59], ..STAMP };
    let mut session = restored(&session);
    assert_eq!(answered(&mut session, &mut keys, Input::Request(asked, later)), first);
    // Other money, another initialisation: none.
    let occupied = Ok(Step::Done(Outcome::Occupied(asked.transaction(STAMP))));
    for other in [
        OnlineRequest { amount: 2000, ..asked },
        request(7, 5000, 2000, TERMINAL, [1, 2, 3, 4]),
        request(7, 5000, 1000, TERMINAL, [5, 6, 7, 8]),
        request(7, 5000, 1000, [9; 6], [1, 2, 3, 4]),
        OnlineRequest { tti: Tti::ED_LOAD, account: Account::Ed, ..asked },
    ] {
        assert_eq!(other.slot(), asked.slot());
        assert!(session.holds(&other));
        assert_eq!(session.step(Input::Request(other, later)), occupied);
    }
    assert_ne!(request(8, 5000, 1000, TERMINAL, [1, 2, 3, 4]).slot(), asked.slot());
    // Settled is settled.
    let again = request(8, 6000, 0, TERMINAL, [5; 4]);
    let done = Step::Done(Outcome::Completed(asked.transaction(STAMP)));
    assert_eq!(answered(&mut session, &mut keys, Input::Reinit(again)), done);
    assert_eq!(session.step(Input::Request(asked, later)), Ok(done));
    // A completed session goes on holding its counter against its own account; a reversed one does not.
    let session = restored(&session);
    let other = request(7, 5000, 2000, TERMINAL, [5, 6, 7, 8]);
    assert!(session.holds(&asked) && session.holds(&other));
    assert_eq!({ session }.step(Input::Request(other, later)), Ok(done));
    assert!(!session.holds(&again));
    let passbook = OnlineRequest { tti: Tti::ED_LOAD, account: Account::Ed, ..other };
    assert!(!session.holds(&passbook), "it may stand at that counter later");
    let (open, _) = open();
    let mut reversed = open.with_policy(Policy { terminals_word: true, ..Policy::default() });
    let _ = reversed.step(Input::NotCompleted).unwrap();
    assert!(open.holds(&passbook) && !reversed.holds(&asked) && !OnlineSession::new().holds(&asked));
}

/// An unload's MACs do not name the account: shown as the other's, it is the same initialisation.
#[test]
fn an_unload_is_approved_for_one_account_only() {
    let mut session = OnlineSession::new();
    let asked = unload(7, 5000, TERMINAL, [1, 2, 3, 4]);
    let mut keys = bank();
    let step = answered(&mut session, &mut keys, Input::Request(asked, STAMP));
    let Step::Approved(OnlineApproval { mac2, .. }) = step else { panic!("{step:?}") };
    let twin = OnlineRequest { account: Account::Ed, ..asked };
    assert_eq!(keys.approve(&twin, STAMP), Ok(mac2), "it could be approved");
    assert!(twin.slot() == asked.slot() && session.holds(&twin));
    let transaction = asked.transaction(STAMP);
    let occupied = Step::Done(Outcome::Occupied(transaction));
    assert_eq!(session.step(Input::Request(twin, STAMP)), Ok(occupied));
    // Nor does a later unload, which may be the other account's, prove that the counter has moved; a load does.
    let later = unload(8, 4000, TERMINAL, [9; 4]);
    let doubtful = Step::Done(Outcome::Doubtful(transaction));
    assert_eq!(answered(&mut session, &mut keys, Input::Reinit(later)), doubtful);
    let load = request(8, 4000, 0, TERMINAL, [9; 4]);
    let done = Step::Done(Outcome::Completed(transaction));
    assert_eq!(answered(&mut session, &mut keys, Input::Reinit(load)), done);
    assert!(session.holds(&twin), "completed, the same initialisation is not another transaction");
}

/// An unload of 10 yuan, as [`request`].
fn unload(online_seq: u16, balance: u32, terminal: [u8; 6], random: [u8; 4]) -> OnlineRequest {
    let load = request(online_seq, balance, 1000, terminal, random);
    let keys = card_keys::<Suite, 7>(&PROFILE, masters(), &CARD).unwrap();
    let key = keys.iter().find(|key| key.kind == KeyKind::Unload).unwrap().value.expose();
    let session = oracle::load_session(key, &random, &online_seq.to_be_bytes());
    let covered = [&balance.to_be_bytes()[..], &1000_u32.to_be_bytes(), &[3], &terminal].concat();
    let mac1 = oracle::mac(&session, &covered).try_into().unwrap();
    OnlineRequest { tti: Tti::UNLOAD, init: OnlineInit { mac1, ..load.init }, ..load }
}

#[test]
fn impossible_requests_are_declined_without_a_key() {
    let right = request(7, 5000, 1000, TERMINAL, [1, 2, 3, 4]);
    let short = OnlineInit { balance: 999, ..right.init };
    for wrong in [
        OnlineRequest { amount: u32::MAX, ..right },
        OnlineRequest { tti: Tti::ED_LOAD, ..right },
        OnlineRequest { tti: Tti::EP_PURCHASE, ..right },
        OnlineRequest { tti: Tti::UNLOAD, init: short, ..right },
        OnlineRequest { tti: Tti::GREY_UNLOCK, init: short, ..right },
        OnlineRequest { tti: Tti::LIMIT_UPDATE, amount: 0x0100_0000, ..right },
        OnlineRequest {
            tti: Tti::LIMIT_UPDATE,
            amount: 0,
            init: OnlineInit { overdraft: 1000, ..short },
            ..right
        },
    ] {
        let declined = Outcome::Declined(KeyRefused::Impossible);
        let mut session = OnlineSession::new();
        assert_eq!(session.step(Input::Request(wrong, STAMP)), Ok(Step::Done(declined)), "{wrong:?}");
        assert_eq!(bank().approve(&wrong, STAMP), Err(KeyRefused::Impossible));
        assert_eq!(session.to_bytes(), None);
    }
}

#[test]
fn a_settlement_that_finds_no_lock_survives_a_small_buffer() {
    let request = OnlineRequest { tti: Tti::GREY_UNLOCK, ..request(7, 5000, 1000, TERMINAL, [1, 2, 3, 4]) };
    let pending = Pending { transaction: request.transaction(STAMP) };
    let mut engine = Online::settle(DEVICE, Account::Ep, pending, CHALLENGE);
    let (mut out, mut small) = ([0; COMMAND_LEN], [0; 4]);
    let public_info = [world::public_info().as_bytes(), &[0x90, 0x00][..]].concat();
    let mut sent = Vec::new();
    let mut input = TerminalInput::Start;
    for answer in [&[0x90, 0x00][..], &public_info, &[0x94, 0x06], &[0x69, 0x85], &[0x69, 0x82]] {
        let refused = engine.step(input, &mut small);
        assert!(matches!(refused, Err(Misuse::BufferTooSmall { .. })), "{refused:?}");
        let Ok(OnlineStep::Send(command)) = engine.step(input, &mut out) else { panic!("{sent:?}") };
        sent.push(world::hex(command)[..8].to_owned());
        input = TerminalInput::Response(answer);
    }
    // GREY UNLOCK is not possible, so the card is not locked: the load tells the counter.
    assert_eq!(sent, ["00A40400", "00B09500", "805A0095", "E07A0902", "80500002"]);
}

#[test]
fn inputs_out_of_order_change_nothing() {
    let asked = request(7, 5000, 1000, TERMINAL, [1, 2, 3, 4]);
    let inputs = [
        Input::Request(asked, STAMP),
        Input::Key(KeyAnswer::Verified),
        Input::Key(KeyAnswer::Approved([0; 4])),
        Input::Key(KeyAnswer::Refused(KeyRefused::NoKey)),
        Input::Confirm([0; 4]),
        Input::Reinit(asked),
        Input::Challenge(CHALLENGE),
        Input::NotCompleted,
        Input::TimedOut,
    ];
    let fresh = OnlineSession::new();
    let mut asking = fresh;
    let _ = asking.step(inputs[0]).unwrap();
    let (open, _) = open();
    let mut confirming = open;
    let _ = confirming.step(Input::Confirm([0; 4])).unwrap();
    let mut declined = asking;
    let _ = declined.step(inputs[3]).unwrap();
    // Which inputs each state takes.
    for (session, taken) in [
        (fresh, &[0][..]),
        (asking, &[2, 3]),
        (open, &[0, 4, 5, 6, 7, 8]),
        (confirming, &[1, 3]),
        (declined, &[]),
    ] {
        for (n, input) in inputs.iter().enumerate() {
            let mut after = session;
            let result = after.step(*input);
            assert_eq!(result.is_ok(), taken.contains(&n), "{session:?} {input:?}");
            assert!(result.is_ok() || after == session);
        }
    }
}

#[test]
fn the_persisted_form_is_golden() {
    let (mut session, _) = open();
    let form = |state: &str, challenge: &str| {
        let asked = "02 02 01011000FFFFFFFF 31048900000012345678 300089000340 01 000003E8 00001388 0007 000000 0000 01 01 01020304";
        let mac1 = world::hex(&session.request().unwrap().init.mac1);
        huiwan_testkit::hex(&format!("03{state}{asked}{mac1}20261122141740{challenge}").replace(' ', ""))
    };
    let (plain, challenged) = (form("01", "00000000000000"), form("01", "01C00102030405"));
    let (completed, reversed) = (form("02", "00000000000000"), form("03", "00000000000000"));
    assert_eq!(session.to_bytes().unwrap()[..], plain);
    let _ = session.step(Input::Challenge(CHALLENGE)).unwrap();
    assert_eq!(session.to_bytes().unwrap()[..], challenged);
    for form in [&plain, &challenged, &completed, &reversed] {
        assert_eq!(OnlineSession::from_bytes(form).unwrap().to_bytes().unwrap()[..], form[..]);
        assert!(OnlineSession::from_bytes(&form[1..]).is_none());
        assert!(OnlineSession::from_bytes(&[&form[..], &[0]].concat()).is_none());
        let with = |at: usize, byte: u8| {
            let mut other = form.clone();
            other[at] = byte;
            OnlineSession::from_bytes(&other)
        };
        assert!((0..=255).filter(|version| *version != 3).all(|version| with(0, version).is_none()));
        assert!((0..=255).filter(|state| !(1..=3).contains(state)).all(|state| with(1, state).is_none()));
        assert!(with(3, 3).is_none(), "no such account");
        assert!(with(61, 2).is_none(), "neither with nor without a challenge");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// MAC1, MAC2 and the proof of each kind, from the tables alone.
    #[test]
    fn macs(
        kind in 0..5_usize,
        master: [u8; 16], dtk: [u8; 16], issuer: [u8; 8], serial: [u8; 10], terminal: [u8; 6], random: [u8; 4],
        online_seq: u16, offline_seq: u16, balance in 0..0x0800_0000_u32, amount in 0..0x0100_0000_u32, old in 0..0x0100_0000_u32,
        flipped in 0..32_usize,
    ) {
        let (tti, account, key_kind) = [
            (Tti::ED_LOAD, Account::Ed, KeyKind::Load),
            (Tti::EP_LOAD, Account::Ep, KeyKind::Load),
            (Tti::UNLOAD, Account::Ep, KeyKind::Unload),
            (Tti::LIMIT_UPDATE, Account::Ed, KeyKind::Update),
            (Tti::GREY_UNLOCK, Account::Ed, KeyKind::GreyUnlock),
        ][kind];
        // So that every balance is possible.
        let balance = balance + 0x0200_0000;
        let old = if kind == 3 { old } else { 0 };
        let offline_seq = if kind == 4 { offline_seq } else { 0 };
        let key = oracle::card_key(&master, &issuer, &serial);
        let session = oracle::load_session(&key, &random, &online_seq.to_be_bytes());
        let (money, sum, limit) = (balance.to_be_bytes(), amount.to_be_bytes(), &amount.to_be_bytes()[1..]);
        let (date, seq, type_) = (STAMP.to_bytes(), online_seq.to_be_bytes(), [tti.0]);
        let after = match kind { 0 | 1 => balance + amount, 3 => balance - old + amount, _ => balance - amount };
        let after = after.to_be_bytes();
        let (mac1, mac2, proof) = match kind {
            3 => (
                [&money[..], &old.to_be_bytes()[1..], &type_, &terminal].concat(),
                [limit, &type_, &terminal, &date].concat(),
                [&after[..], &seq, limit, &type_, &terminal, &date].concat(),
            ),
            4 => (
                [&money[..], &offline_seq.to_be_bytes(), &type_, &terminal].concat(),
                [&sum[..], &type_, &terminal, &date].concat(),
                [&after[..], &seq, &sum, &type_, &terminal, &date].concat(),
            ),
            _ => (
                [&money[..], &sum, &type_, &terminal].concat(),
                [&sum[..], &type_, &terminal, &date].concat(),
                [&after[..], &seq, &sum, &type_, &terminal, &date].concat(),
            ),
        };
        let mac1: [u8; 4] = oracle::mac(&session, &mac1).try_into().unwrap();
        let mac3 = kind == 2 || kind == 4;
        let proof: [u8; 4] = if mac3 {
            oracle::mac(&session, &proof)
        } else {
            oracle::tac(&oracle::card_key(&dtk, &issuer, &serial), &proof)
        }.try_into().unwrap();

        let data = |kind, version, value| KeyData { kind, index: 1, version, algorithm: 1, tries: 0, value: Secret::new(value) };
        let keys = [data(key_kind, 5, master), data(KeyKind::Tac, 6, dtk)];
        let mut keys = SoftLoadKeys::<Suite, 2>::new(Profile::JTT_978, keys)
            .with_tac_key(|_| TacKeyId { version: 6, algorithm: 1 });
        let card = CardId { issuer, serial };
        let init = OnlineInit { balance, online_seq, overdraft: old, offline_seq, key_version: 5, algorithm: 1, random, mac1 };
        let request = OnlineRequest { tti, account, card, terminal, key_index: 1, amount, init };
        prop_assert_eq!(OnlineRequest::from_bytes(&request.to_bytes()), Some(request));
        prop_assert_eq!(keys.approve(&request, STAMP).unwrap().to_vec(), oracle::mac(&session, &mac2));
        prop_assert_eq!(keys.verify_mac1(&request), Ok(()));
        let flip = |mut mac: [u8; 4]| { mac[flipped / 8] ^= 1 << (flipped % 8); mac };
        let forged = OnlineRequest { init: OnlineInit { mac1: flip(mac1), ..init }, ..request };
        prop_assert_eq!(keys.approve(&forged, STAMP), Err(KeyRefused::MacInvalid));
        prop_assert_eq!(keys.verify_mac1(&forged), Err(KeyRefused::MacInvalid));
        let unknown = OnlineRequest { init: OnlineInit { key_version: 6, ..init }, ..request };
        prop_assert_eq!(keys.approve(&unknown, STAMP), Err(KeyRefused::NoKey));

        let mut prove = |proof| {
            let (mut session, keys) = (OnlineSession::new(), &mut keys);
            let approved = answered(&mut session, keys, Input::Request(request, STAMP));
            assert!(matches!(approved, Step::Approved(_)));
            let Step::Key(question) = session.step(Input::Confirm(proof)).unwrap() else { panic!() };
            assert_eq!(matches!(question, KeyRequest::VerifyMac3 { .. }), mac3);
            session.step(Input::Key(question.answer(keys))).unwrap()
        };
        let transaction = request.transaction(STAMP);
        prop_assert_eq!(prove(proof), Step::Done(Outcome::Completed(transaction)));
        prop_assert_eq!(prove(flip(proof)), Step::Done(Outcome::Disputed(transaction)));
    }

    /// Whatever card and host answer, the relay ends, and believes nothing that was not answered.
    #[test]
    fn relay_with_any_card(
        errand in 0..6_usize,
        settling: bool,
        answers in proptest::collection::vec(
            prop_oneof![
                1 => Just(None),
                2 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Some),
                8 => (0..9_usize, any::<[u8; 19]>()).prop_map(|(kind, raw)| {
                    // 30 bytes of file 0015, the answers' lengths, and the status words that lead on.
                    let (len, sw) = [(16, 0x9000), (19, 0x9000), (18, 0x9000), (4, 0x9000), (8, 0x9000), (0, 0x6982),
                        (0, 0x63C2), (0, 0x9406), (0, 0x6985)][kind];
                    Some([&raw[..len], &u16::to_be_bytes(sw)].concat())
                }),
                3 => Just(Some([world::public_info().as_bytes(), &[0x90, 0x00][..]].concat())),
            ],
            0..12,
        ),
        pins in proptest::collection::vec(any::<bool>(), 0..4),
        grants: bool,
    ) {
        struct Any(std::vec::IntoIter<Option<Vec<u8>>>, Vec<u8>, usize);
        impl drive::Transport for Any {
            fn exchange(&mut self, _: &[u8]) -> Option<&[u8]> {
                self.2 += 1;
                self.1 = self.0.next()??;
                Some(&self.1)
            }
        }
        let (errand, account, _) = ERRANDS[errand];
        let pending = Pending { transaction: request(7, 5000, 1000, TERMINAL, [1; 4]).transaction(STAMP) };
        let mut engine = if settling {
            Online::settle(DEVICE, account, pending, CHALLENGE)
        } else {
            Online::new(DEVICE, errand)
        };
        let len = answers.len();
        let mut card = Any(answers.into_iter(), Vec::new(), 0);
        let (mut pins, mut asked, mut kept) = (pins.into_iter(), None, None);
        let outcome = drive::online(
            &mut engine,
            &mut card,
            &mut |_| pins.next().filter(|given| *given).and_then(|_| Pin::new(&[0x12])),
            &mut |request| {
                asked = Some(*request);
                let approval = OnlineApproval { amount: request.amount, stamp: STAMP, mac2: [0; 4] };
                grants.then_some(approval)
            },
            &mut |pending| kept = Some(*pending),
        ).unwrap();
        prop_assert!(card.2 <= len + 1);
        match outcome {
            OnlineOutcome::Completed { transaction, .. } if settling => {
                prop_assert_eq!(transaction, pending.transaction);
            }
            OnlineOutcome::Completed { transaction, .. } | OnlineOutcome::Uncertain(Pending { transaction }) => {
                prop_assert_eq!(kept, Some(Pending { transaction }));
                prop_assert_eq!(asked.unwrap().transaction(STAMP), transaction);
            }
            OnlineOutcome::Reinitialised(request) => {
                prop_assert!(settling && asked.is_none());
                prop_assert_eq!((request.terminal, request.amount), (CHALLENGE, 0));
            }
            OnlineOutcome::Declined => prop_assert!(!grants && asked.is_some() && kept.is_none()),
            _ => {}
        }
    }

    /// A city's PSAM computes what one with the scheme's key does, and its cards have the keys the tables say.
    #[test]
    fn hierarchy(value: [u8; 16], issuer: [u8; 8], serial: [u8; 10], other: [u8; 10]) {
        let data = |kind, algorithm| KeyData { kind, index: 3, version: 2, algorithm, tries: 0, value: Secret::new(value) };
        let card = CardId { issuer, serial };
        let neighbour = CardId { issuer, serial: other };
        let path: &[Factor] = &[Factor::City, Factor::Serial];
        let city = [issuer[2], issuer[3], 0xFF, 0, 0, 0, 0, 0];
        let root = Hierarchy::new([data(KeyKind::Purchase, 1), data(KeyKind::Tac, 1)], path);
        let branch = root.below::<Suite>(1, &neighbour).unwrap();
        prop_assert_eq!(branch.path(), &path[1..]);
        let expected = oracle::diversify(&value, &city);
        prop_assert_eq!(&branch.find(KeyKind::Purchase, 2, 1).unwrap().value.expose()[..], &expected[..]);
        let expected = oracle::diversify(&expected, &serial[2..]);
        for keys in [root.card_keys::<Suite>(&card).unwrap(), branch.card_keys::<Suite>(&card).unwrap()] {
            for key in &keys {
                prop_assert_eq!((key.index, key.version, key.algorithm), (3, 2, 1));
                prop_assert_eq!(&key.value.expose()[..], &expected[..]);
            }
        }
        // A PSAM with the city's key.
        let profile = Profile::CJT_166;
        let sam = |hierarchy: &Hierarchy<2>| {
            let keys: Vec<_> = hierarchy.sam_keys().collect();
            let [key] = keys.try_into().unwrap();
            let mut sam = SoftSam::<Suite, 1>::new(&profile, TERMINAL, 3, [key], 1).with_path(hierarchy.path());
            sam.init_for_purchase(&huiwan_purse::psam::InitForPurchase {
                random: [1, 2, 3, 4], offline_seq: 5, amount: 6, tti: Tti::EP_PURCHASE, stamp: STAMP,
                key_version: 2, algorithm: 1, card,
            }).unwrap()
        };
        prop_assert_eq!(sam(&root), sam(&branch));
        // SM4: one block, factor ‖ inverted factor.
        let sm4 = |key: &[u8], factor: &[u8]| {
            let inverted: Vec<u8> = factor.iter().map(|byte| !byte).collect();
            let block: [u8; 16] = [factor, &inverted].concat().try_into().unwrap();
            huiwan_crypto::Sm4::new(key.try_into().unwrap()).encrypt_block(&block)
        };
        let root = Hierarchy::new([data(KeyKind::Load, 4)], path);
        let [key] = root.card_keys::<Chinese>(&card).unwrap();
        prop_assert_eq!(*key.value.expose(), sm4(&sm4(&value, &city), &serial[2..]));
        prop_assert!(root.card_keys::<Suite>(&card).is_err(), "no SM4 in this suite");
    }
}
