//! Transactions made by hand, with MACs from the second implementation.

use huiwan_card::Memory;
use huiwan_purse::keys::KeyKind;

use super::{Band, card_keys, hex, oracle};

pub const TERMINAL: &str = "300089000340";
pub const DATE_TIME: &str = "20261122141740";

/// A DEBIT whose MAC1 is wrong.
pub const WRONG_DEBIT: &str = "805401000F00010203202611221417400000000008";

pub fn key(kind: KeyKind) -> Vec<u8> {
    card_keys().iter().find(|key| key.kind == kind).unwrap().value.expose().to_vec()
}

pub fn bytes(hex: &str) -> Vec<u8> {
    huiwan_testkit::hex(hex)
}

/// INITIALIZE FOR PURCHASE (06) or CAPP PURCHASE (09) of `amount`; the answer.
#[track_caller]
pub fn init<M: Memory>(band: &mut Band<M>, tti: u8, amount: u32) -> Vec<u8> {
    let p1 = if tti == 9 { 3 } else { 1 };
    band.ok(&format!("8050{p1:02X}020B01{amount:08X}{TERMINAL}0F"))
}

/// The DEBIT that completes it.
pub fn debit(init: &[u8], tti: u8, amount: u32) -> String {
    let seq = bytes("00010203");
    let session = oracle::purchase_session(&key(KeyKind::Purchase), &init[11..15], &init[4..6], &seq);
    let message = bytes(&format!("{amount:08X}{tti:02X}{TERMINAL}{DATE_TIME}"));
    format!("805401000F00010203{DATE_TIME}{}08", hex(&oracle::mac(&session, &message)))
}

#[track_caller]
pub fn purchase<M: Memory>(band: &mut Band<M>, amount: u32) {
    let answer = init(band, 6, amount);
    band.ok(&debit(&answer, 6, amount));
}

/// INITIALIZE FOR LOAD; the answer.
#[track_caller]
pub fn init_load<M: Memory>(band: &mut Band<M>, amount: u32) -> Vec<u8> {
    band.ok(&format!("805000020B01{amount:08X}{TERMINAL}10"))
}

/// The CREDIT that completes it.
pub fn credit(init: &[u8], amount: u32) -> String {
    let session = oracle::load_session(&key(KeyKind::Load), &init[8..12], &init[4..6]);
    let message = bytes(&format!("{amount:08X}02{TERMINAL}{DATE_TIME}"));
    format!("805200000B{DATE_TIME}{}04", hex(&oracle::mac(&session, &message)))
}

#[track_caller]
pub fn wrong_mac<M: Memory>(band: &mut Band<M>, answer: &str) {
    init(band, 6, 1);
    band.expect(WRONG_DEBIT, answer);
}

/// A secured command with a fresh challenge.
#[track_caller]
pub fn secured<M: Memory>(band: &mut Band<M>, header: &str, data: &str) -> String {
    let challenge = band.ok("0084000004");
    let lc = data.len() / 2 + 4;
    let message = bytes(&format!("{header}{lc:02X}{data}"));
    let mac = oracle::secured(&key(KeyKind::Maintenance), &challenge, &message);
    format!("{header}{lc:02X}{data}{}", hex(&mac))
}
