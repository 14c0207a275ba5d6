//! Bit fields: each a type with one getter and one builder for each named bit, and as text for traces.
//!
//! A bit nobody named is ignored, never an error: later editions name more. Bytes count from 1 and bits from 8
//! (most significant) to 1, as the specifications write them.

use super::{cvm, iad};
use crate::qualifiers::{Ctq, Ttq};
use huiwan_tlv::Tag;

/// A named bit, or a named code of several bits, of a bit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bit {
    /// The byte, counted from 0.
    pub byte: u8,
    /// The bits of that byte it is about.
    pub mask: u8,
    /// What they must be.
    pub value: u8,
    /// What that means.
    pub name: &'static str,
}

impl Bit {
    pub(crate) const fn code(byte: u8, mask: u8, value: u8, name: &'static str) -> Self {
        Self { byte, mask, value, name }
    }

    /// Whether `field` says so; a field too short for it doesn't.
    #[must_use]
    pub fn is_in(self, field: &[u8]) -> bool {
        field.get(usize::from(self.byte)).is_some_and(|byte| byte & self.mask == self.value)
    }
}

/// Declares one getter, one builder and one [`Bit`] per row: `getter, builder = byte : bit, "doc"`.
macro_rules! bits {
    ($name:ident: $($get:ident, $with:ident = $byte:literal : $bit:literal, $doc:literal;)+) => {
        impl $name {
            /// Every named bit, for traces.
            pub const BITS: &'static [$crate::data::bits::Bit] =
                &[$($crate::data::bits::Bit::code($byte - 1, 1 << ($bit - 1), 1 << ($bit - 1), $doc)),+];

            $(
                #[doc = concat!($doc, " (byte ", stringify!($byte), " bit ", stringify!($bit), ").")]
                #[must_use]
                pub const fn $get(self) -> bool {
                    let value = self.0;
                    let [.., byte] = *value.split_at($byte).0 else { return false };
                    byte & (1 << ($bit - 1)) != 0
                }
                #[doc = concat!("Sets or clears: ", $doc, " (byte ", stringify!($byte), " bit ", stringify!($bit), ").")]
                #[must_use]
                pub const fn $with(mut self, on: bool) -> Self {
                    if let [.., byte] = self.0.split_at_mut($byte).0 {
                        if on { *byte |= 1 << ($bit - 1) } else { *byte &= !(1 << ($bit - 1)) }
                    }
                    self
                }
            )+
        }
    };
}
pub(crate) use bits;

/// Terminal verification results, tag 95. `[EMV-B3 C5]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tvr(pub [u8; 5]);

bits! { Tvr:
    oda_not_performed, with_oda_not_performed = 1:8, "offline data authentication was not performed";
    sda_failed, with_sda_failed = 1:7, "SDA failed";
    icc_data_missing, with_icc_data_missing = 1:6, "card data missing";
    on_exception_file, with_on_exception_file = 1:5, "card is on the terminal exception file";
    dda_failed, with_dda_failed = 1:4, "DDA failed";
    cda_failed, with_cda_failed = 1:3, "CDA failed";
    sda_selected, with_sda_selected = 1:2, "SDA selected";
    xda_selected, with_xda_selected = 1:1, "XDA selected";
    version_differs, with_version_differs = 2:8, "card and terminal have different application versions";
    expired, with_expired = 2:7, "application expired";
    not_yet_effective, with_not_yet_effective = 2:6, "application not yet effective";
    service_not_allowed, with_service_not_allowed = 2:5, "service not allowed for this card product";
    new_card, with_new_card = 2:4, "new card";
    biometric_ok, with_biometric_ok = 2:2, "biometric verification performed and successful";
    biometric_format, with_biometric_format = 2:1, "biometric template format not supported";
    cvm_failed, with_cvm_failed = 3:8, "cardholder verification was not successful";
    cvm_unrecognised, with_cvm_unrecognised = 3:7, "unrecognised CVM";
    pin_tries_exceeded, with_pin_tries_exceeded = 3:6, "PIN try limit exceeded";
    pin_pad_failed, with_pin_pad_failed = 3:5, "PIN entry required, PIN pad not present or not working";
    pin_not_entered, with_pin_not_entered = 3:4, "PIN entry required, PIN pad present, PIN not entered";
    online_cvm_captured, with_online_cvm_captured = 3:3, "online CVM captured";
    biometric_device, with_biometric_device = 3:2, "biometric required, capture device not working";
    biometric_subtype, with_biometric_subtype = 3:1, "biometric required, capture device present, subtype bypassed";
    floor_limit, with_floor_limit = 4:8, "transaction exceeds floor limit";
    lower_offline_limit, with_lower_offline_limit = 4:7, "lower consecutive offline limit exceeded";
    upper_offline_limit, with_upper_offline_limit = 4:6, "upper consecutive offline limit exceeded";
    random_online, with_random_online = 4:5, "transaction selected randomly for online processing";
    merchant_online, with_merchant_online = 4:4, "merchant forced transaction online";
    biometric_tries, with_biometric_tries = 4:3, "biometric try limit exceeded";
    biometric_type, with_biometric_type = 4:2, "selected biometric type not supported";
    xda_failed, with_xda_failed = 4:1, "XDA failed";
    default_tdol, with_default_tdol = 5:8, "default TDOL used";
    issuer_authentication_failed, with_issuer_authentication_failed = 5:7, "issuer authentication failed";
    script_failed_before, with_script_failed_before = 5:6, "script failed before final GENERATE AC";
    script_failed_after, with_script_failed_after = 5:5, "script failed after final GENERATE AC";
    ecc_key_missing, with_ecc_key_missing = 5:3, "CA ECC key missing";
    ecc_recovery_failed, with_ecc_recovery_failed = 5:2, "ECC key recovery failed";
}

/// Transaction status information, tag 9B. `[EMV-B3 C6]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tsi(pub [u8; 2]);

bits! { Tsi:
    oda, with_oda = 1:8, "offline data authentication was performed";
    cvm, with_cvm = 1:7, "cardholder verification was performed";
    card_risk, with_card_risk = 1:6, "card risk management was performed";
    issuer_authentication, with_issuer_authentication = 1:5, "issuer authentication was performed";
    terminal_risk, with_terminal_risk = 1:4, "terminal risk management was performed";
    script, with_script = 1:3, "script processing was performed";
}

/// Application interchange profile, tag 82. `[EMV-B3 C1]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aip(pub [u8; 2]);

bits! { Aip:
    xda, with_xda = 1:8, "XDA supported";
    sda, with_sda = 1:7, "SDA supported";
    dda, with_dda = 1:6, "DDA supported";
    cvm, with_cvm = 1:5, "cardholder verification supported";
    terminal_risk, with_terminal_risk = 1:4, "terminal risk management is to be performed";
    issuer_authentication, with_issuer_authentication = 1:3, "issuer authentication by EXTERNAL AUTHENTICATE supported";
    on_device_cvm, with_on_device_cvm = 1:2, "on-device cardholder verification supported";
    cda, with_cda = 1:1, "CDA supported";
    emv_mode, with_emv_mode = 2:8, "EMV mode over contactless supported";
    mobile, with_mobile = 2:7, "mobile device";
    contactless, with_contactless = 2:6, "contactless transaction";
    relay_resistance, with_relay_resistance = 2:1, "relay resistance protocol supported";
}

/// Application usage control, tag 9F07. `[EMV-B3 C2]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auc(pub [u8; 2]);

bits! { Auc:
    domestic_cash, with_domestic_cash = 1:8, "valid for domestic cash";
    international_cash, with_international_cash = 1:7, "valid for international cash";
    domestic_goods, with_domestic_goods = 1:6, "valid for domestic goods";
    international_goods, with_international_goods = 1:5, "valid for international goods";
    domestic_services, with_domestic_services = 1:4, "valid for domestic services";
    international_services, with_international_services = 1:3, "valid for international services";
    atm, with_atm = 1:2, "valid at ATMs";
    not_atm, with_not_atm = 1:1, "valid at terminals other than ATMs";
    domestic_cashback, with_domestic_cashback = 2:8, "domestic cashback allowed";
    international_cashback, with_international_cashback = 2:7, "international cashback allowed";
}

/// Terminal capabilities, tag 9F33. `[EMV-B4 A2]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalCapabilities(pub [u8; 3]);

bits! { TerminalCapabilities:
    manual_entry, with_manual_entry = 1:8, "manual key entry";
    magnetic_stripe, with_magnetic_stripe = 1:7, "magnetic stripe";
    contact, with_contact = 1:6, "contact chip";
    plain_pin, with_plain_pin = 2:8, "plaintext offline PIN";
    online_pin, with_online_pin = 2:7, "online PIN";
    signature, with_signature = 2:6, "signature";
    enciphered_pin, with_enciphered_pin = 2:5, "enciphered offline PIN";
    no_cvm, with_no_cvm = 2:4, "no CVM required";
    sda, with_sda = 3:8, "SDA";
    dda, with_dda = 3:7, "DDA";
    capture, with_capture = 3:6, "card capture";
    cda, with_cda = 3:4, "CDA";
    xda, with_xda = 3:3, "XDA";
}

/// Card additional processes, tag 9F68 as PBOC means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CardProcesses(pub [u8; 4]);

bits! { CardProcesses:
    low_value_ecash, with_low_value_ecash = 1:8, "low-value check: e-cash only";
    low_value_ecash_and_ctta, with_low_value_ecash_and_ctta = 1:7, "low-value check: e-cash and CTTA";
    low_value_ecash_or_ctta, with_low_value_ecash_or_ctta = 1:6, "low-value check: e-cash or CTTA";
    new_card_check, with_new_card_check = 1:5, "new-card check";
    pin_tries_check, with_pin_tries_check = 1:4, "PIN-tries check";
    offline_mismatched, with_offline_mismatched = 1:3, "offline allowed for mismatched currency";
    prefer_contact, with_prefer_contact = 1:2, "prefer contact when online is needed";
    return_available_amount, with_return_available_amount = 1:1, "return available offline amount (9F5D)";
    prepaid, with_prepaid = 2:8, "prepaid product";
    refuse_mismatched, with_refuse_mismatched = 2:7, "refuse mismatched currency";
    decline_new_card, with_decline_new_card = 2:6, "decline a new card at an offline-only terminal";
    log_offline, with_log_offline = 2:5, "log qPBOC offline transactions";
    online_pin_matched, with_online_pin_matched = 3:8, "online PIN for matched currency";
    online_pin_mismatched, with_online_pin_mismatched = 3:7, "online PIN for mismatched currency";
    cvm_mismatched, with_cvm_mismatched = 3:6, "mismatched currency always needs cardholder verification";
    signature, with_signature = 3:5, "signature supported";
}

/// Card verification results, the four bytes `03 ‖ CVR` in the middle of the PBOC issuer application data.
///
/// The two-bit results of the GENERATE AC commands are [`Self::first_result`] and [`Self::second_result`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cvr(pub [u8; 4]);

bits! { Cvr:
    issuer_authentication_failed, with_issuer_authentication_failed = 2:4, "issuer authentication failed";
    offline_pin_done, with_offline_pin_done = 2:3, "offline PIN verification performed";
    offline_pin_failed, with_offline_pin_failed = 2:2, "offline PIN verification failed";
    unable_online, with_unable_online = 2:1, "unable to go online";
    last_online_incomplete, with_last_online_incomplete = 3:8, "last online transaction not completed";
    pin_tries_exceeded, with_pin_tries_exceeded = 3:7, "PIN try limit exceeded";
    velocity_exceeded, with_velocity_exceeded = 3:6, "velocity checking counters exceeded";
    new_card, with_new_card = 3:5, "new card";
    last_issuer_authentication_failed, with_last_issuer_authentication_failed = 3:4, "issuer authentication failed on last online transaction";
    issuer_authentication_missed, with_issuer_authentication_missed = 3:3, "issuer authentication not performed after online authorisation";
    blocked_by_pin, with_blocked_by_pin = 3:2, "application blocked by card because PIN try limit was exceeded";
    last_sda_failed, with_last_sda_failed = 3:1, "SDA failed on last transaction";
    script_failed, with_script_failed = 4:4, "issuer script processing failed";
    last_dda_failed, with_last_dda_failed = 4:3, "DDA failed on last transaction";
    dda_done, with_dda_done = 4:2, "DDA performed";
}

/// What a card answered to a request for a cryptogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cryptogram {
    /// Application authentication cryptogram: declined.
    Aac,
    /// Transaction certificate: approved offline.
    Tc,
    /// Authorisation request cryptogram: go online.
    Arqc,
}

impl Cryptogram {
    /// From the two bits a CID (9F27) starts with. `[EMV-B3 6.5.5.4]`
    ///
    /// ```
    /// use huiwan_emv::data::bits::Cryptogram;
    /// assert_eq!(Cryptogram::from_cid(0x80), Some(Cryptogram::Arqc));
    /// assert_eq!(Cryptogram::from_cid(0xC0), None);
    /// ```
    #[must_use]
    pub const fn from_cid(cid: u8) -> Option<Self> {
        match cid & 0xC0 {
            0x00 => Some(Self::Aac),
            0x40 => Some(Self::Tc),
            0x80 => Some(Self::Arqc),
            _ => None,
        }
    }

    /// The CID (9F27) without advice bits.
    #[must_use]
    pub const fn cid(self) -> u8 {
        match self {
            Self::Aac => 0x00,
            Self::Tc => 0x40,
            Self::Arqc => 0x80,
        }
    }
}

impl Cvr {
    /// The result of the first GENERATE AC, or of a qPBOC tap (byte 1 bits 6 and 5 after the length).
    #[must_use]
    pub const fn first_result(self) -> Option<Cryptogram> {
        match self.0[1] >> 4 & 3 {
            0 => Some(Cryptogram::Aac),
            1 => Some(Cryptogram::Tc),
            2 => Some(Cryptogram::Arqc),
            _ => None,
        }
    }

    /// The result of the second GENERATE AC (bits 8 and 7); `None` when there was no second one.
    #[must_use]
    pub const fn second_result(self) -> Option<Cryptogram> {
        match self.0[1] >> 6 {
            0 => Some(Cryptogram::Aac),
            1 => Some(Cryptogram::Tc),
            _ => None,
        }
    }

    /// How many script commands the card has executed since the last online transaction.
    #[must_use]
    pub const fn script_count(self) -> u8 {
        self.0[3] >> 4
    }
}

/// Codes of more than one bit of the card verification results.
const CVR_CODES: &[Bit] = &[
    Bit::code(1, 0xC0, 0x00, "second GENERATE AC answered AAC"),
    Bit::code(1, 0xC0, 0x40, "second GENERATE AC answered TC"),
    Bit::code(1, 0xC0, 0x80, "second GENERATE AC not requested"),
    Bit::code(1, 0x30, 0x00, "first cryptogram AAC"),
    Bit::code(1, 0x30, 0x10, "first cryptogram TC"),
    Bit::code(1, 0x30, 0x20, "first cryptogram ARQC"),
];

/// Cryptogram information data, tag 9F27. `[EMV-B3 6.5.5.4]`
const CID: &[Bit] = &[
    Bit::code(0, 0xC0, 0x00, "AAC"),
    Bit::code(0, 0xC0, 0x40, "TC"),
    Bit::code(0, 0xC0, 0x80, "ARQC"),
    Bit::code(0, 0x08, 0x08, "advice required"),
    Bit::code(0, 0x07, 0x01, "service not allowed"),
    Bit::code(0, 0x07, 0x02, "PIN try limit exceeded"),
    Bit::code(0, 0x07, 0x03, "issuer authentication failed"),
];

/// Calls `f` with each thing `value`, the value of `tag`, says as a bit field; not at all for other tags.
///
/// ```
/// let mut said = String::new();
/// huiwan_emv::data::describe_bits(huiwan_tlv::Tag::new(0x95), &[0, 0x40, 0, 0, 0], &mut |text| said.push_str(text));
/// assert_eq!(said, "application expired");
/// ```
pub fn describe_bits(tag: Tag, value: &[u8], f: &mut dyn FnMut(&str)) {
    let mut bits =
        |rows: &[Bit], value: &[u8]| rows.iter().filter(|bit| bit.is_in(value)).for_each(|bit| f(bit.name));
    match tag.get() {
        0x82 => bits(Aip::BITS, value),
        0x95 => bits(Tvr::BITS, value),
        0x9B => bits(Tsi::BITS, value),
        0x9F07 => bits(Auc::BITS, value),
        0x9F27 => bits(CID, value),
        0x9F33 => bits(TerminalCapabilities::BITS, value),
        0x9F66 => bits(Ttq::BITS, value),
        0x9F68 => bits(CardProcesses::BITS, value),
        0x9F6C => bits(Ctq::BITS, value),
        0x9F69 => {
            if let Some(related) = iad::CardAuthenticationData::parse(value) {
                bits(Ctq::BITS, &related.ctq.0);
            }
        }
        0x9F10 => {
            if let Some(iad) = iad::Iad::parse(value) {
                bits(CVR_CODES, &iad.cvr.0);
                bits(Cvr::BITS, &iad.cvr.0);
            }
        }
        0x8E => cvm::describe_list(value, f),
        0x9F34 => cvm::describe_results(value, f),
        _ => {}
    }
}
