//! The durable objects of an instance. Personalised groupings and records keep their DGI as number, data objects their tag;
//! what only the card writes begins with F.

use huiwan_apdu::Sw;
use huiwan_card::Context;

use crate::data::amount::Amount;

/// Version of this layout, one byte.
pub const LAYOUT: u16 = 0xF000;
/// The layout of this version.
pub const LAYOUT_VERSION: u8 = 1;
/// Cumulative total transaction amount, n12.
pub const TOTAL: u16 = 0xF001;
/// Consecutive offline transactions in other currencies, one byte.
pub const FOREIGN_COUNT: u16 = 0xF002;
/// The last transaction, [`super::session::Last`].
pub const LAST: u16 = 0xF003;
/// Present when the issuer blocked the application.
pub const BLOCKED: u16 = 0xF004;
/// Number of log records written so far, four bytes.
pub const LOG_COUNT: u16 = 0xF005;
/// First log record; record n of the cyclic log follows n numbers later, at most 255.
pub const LOG: u16 = 0xF100;

/// 9F36, application transaction counter.
pub const ATC: u16 = 0x9F36;
/// 9F13, counter of the last online transaction; 0000 for a new card.
pub const LAST_ONLINE_ATC: u16 = 0x9F13;
/// 9F17, remaining PIN tries.
pub const PIN_TRIES: u16 = 0x9F17;
/// 9F4F, log format.
pub const LOG_FORMAT: u16 = 0x9F4F;
/// 9F51, application currency.
pub const CURRENCY: u16 = 0x9F51;
/// 9F53, limit of consecutive transactions in other currencies.
pub const FOREIGN_LIMIT: u16 = 0x9F53;
/// 9F54, limit of the cumulative total.
pub const TOTAL_LIMIT: u16 = 0x9F54;
/// 9F56, issuer authentication indicator: 80 when mandatory.
pub const ISSUER_AUTHENTICATION: u16 = 0x9F56;
/// 9F5C, upper limit of the cumulative total.
pub const TOTAL_UPPER_LIMIT: u16 = 0x9F5C;
/// 9F5D, available offline amount; computed, not stored.
pub const AVAILABLE: u16 = 0x9F5D;
/// 9F68, card additional processes.
pub const PROCESSES: u16 = 0x9F68;
/// 9F6B, card CVM limit.
pub const CVM_LIMIT: u16 = 0x9F6B;
/// 9F6D, e-cash reset threshold.
pub const RESET_THRESHOLD: u16 = 0x9F6D;
/// 9F77, e-cash balance limit.
pub const BALANCE_LIMIT: u16 = 0x9F77;
/// 9F78, e-cash single transaction limit.
pub const SINGLE_LIMIT: u16 = 0x9F78;
/// 9F79, e-cash balance.
pub const BALANCE: u16 = 0x9F79;
/// 9F08, application version number.
pub const VERSION: u16 = 0x9F08;

/// An object that need not be there.
///
/// # Errors
/// 6581 when memory fails or the object has another length.
pub(super) fn optional<const N: usize>(cx: &mut Context<'_>, id: u16) -> Result<Option<[u8; N]>, Sw> {
    if cx.exists(id)? { cx.read_array(id).map(Some) } else { Ok(None) }
}

/// An amount that need not be there.
///
/// # Errors
/// 6581 when memory fails or the object is no n12 amount.
pub(super) fn amount(cx: &mut Context<'_>, id: u16) -> Result<Option<Amount>, Sw> {
    match optional::<6>(cx, id)? {
        None => Ok(None),
        Some(bcd) => Amount::from_bcd(&bcd).map(Some).ok_or(Sw::MEMORY_FAILURE),
    }
}

/// A personalised object without which the application is not usable.
///
/// # Errors
/// 6985 when it is missing, 6581 when memory fails.
pub(super) fn personalised<'o>(cx: &mut Context<'_>, id: u16, out: &'o mut [u8]) -> Result<&'o [u8], Sw> {
    if cx.exists(id)? { cx.read(id, out) } else { Err(Sw::CONDITIONS_NOT_SATISFIED) }
}
