//! The layout of a protected command: header, data, MAC, Le.

use huiwan_apdu::{Command, Ne};

use super::SessionError;
use crate::secure_channel::class::protected_class;

/// The places of a protected command in the output buffer; header and Le are written already.
pub(super) struct Frame<'o> {
    /// Room for the data as sent.
    pub(super) data: &'o mut [u8],
    /// Room for the MAC.
    pub(super) mac: &'o mut [u8],
}

impl<'o> Frame<'o> {
    /// Lays out a command with `data_len` bytes of data as sent and `mac_len` bytes of MAC in `out`; returns the whole length too.
    pub(super) fn new(
        command: &Command<'_>,
        ne: Option<Ne>,
        data_len: usize,
        mac_len: usize,
        out: &'o mut [u8],
    ) -> Result<(Self, usize), SessionError> {
        let extended = command.is_extended();
        let (head_len, le_len) = match (extended, ne.is_some()) {
            (false, le) => (5_usize, usize::from(le)),
            (true, le) => (7, usize::from(le).saturating_mul(2)),
        };
        let lc = data_len.saturating_add(mac_len);
        let [high, low] = u16::try_from(lc).map_err(|_| SessionError::TooLong)?.to_be_bytes();
        if high != 0 && !extended {
            return Err(SessionError::TooLong);
        }
        let needed = head_len.saturating_add(lc).saturating_add(le_len);
        let full = SessionError::Full { needed };
        let out = out.get_mut(..needed).ok_or(full)?;
        let (head, rest) = out.split_at_mut_checked(head_len).ok_or(full)?;
        let (data, rest) = rest.split_at_mut_checked(data_len).ok_or(full)?;
        let (mac, le) = rest.split_at_mut_checked(mac_len).ok_or(full)?;

        let [cla, ins, p1, p2] = command.header();
        let cla = protected_class(cla);
        let short = [cla, ins, p1, p2, low];
        let long = [cla, ins, p1, p2, 0, high, low];
        head.copy_from_slice(if extended { &long } else { &short });
        if let Some(ne) = ne {
            // 256 and 65536 are written as zeros.
            let [.., high, low] = ne.get().to_be_bytes();
            match le {
                [one] => *one = low,
                [first, second] => (*first, *second) = (high, low),
                _ => {}
            }
        }
        Ok((Self { data, mac }, needed))
    }
}
