//! Processing restrictions: expiry and the exception file. `[JR/T 0025.12; EMV-B3 10.4]`

use super::card_data::CardData;
use super::gpo::TerminalData;
use super::tags;
use crate::data::date::Date;
use crate::pan::Pan;
use crate::terminal::{Configuration, FaultKind};

/// What speaks against this card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Restrictions {
    pub(super) expired: bool,
    pub(super) on_exception_file: bool,
}

/// The account number: of track 2 equivalent data (57) and of 5A, which must agree when both are there.
pub(super) fn pan(card: &CardData<'_>) -> Result<Pan, FaultKind> {
    let track2 = card
        .get(tags::TRACK_2)
        .map(|value| Pan::from_track2(value).map_err(|_| FaultKind::Value(tags::TRACK_2)));
    let number =
        card.get(tags::PAN).map(|value| Pan::from_bytes(value).map_err(|_| FaultKind::Value(tags::PAN)));
    match (track2.transpose()?, number.transpose()?) {
        (Some(a), Some(b)) if a != b => Err(FaultKind::Value(tags::PAN)),
        (Some(pan), _) | (None, Some(pan)) => Ok(pan),
        (None, None) => Err(FaultKind::Missing(tags::TRACK_2)),
    }
}

/// For an offline approval, 5F24 is mandatory.
pub(super) fn check(
    card: &CardData<'_>,
    terminal: &TerminalData,
    configuration: &Configuration<'_>,
    pan: &Pan,
) -> Result<Restrictions, FaultKind> {
    let expiry = card.get(tags::EXPIRY).ok_or(FaultKind::Missing(tags::EXPIRY))?;
    let expiry = expiry.try_into().ok().and_then(Date::from_bcd).ok_or(FaultKind::Value(tags::EXPIRY))?;
    let sequence_number = card.array(tags::PAN_SEQUENCE_NUMBER).map(|[number]| number);
    Ok(Restrictions {
        expired: Date::from_bcd(terminal.date).is_none_or(|today| today > expiry),
        on_exception_file: configuration.exceptions.contains(pan.as_bytes(), sequence_number),
    })
}
