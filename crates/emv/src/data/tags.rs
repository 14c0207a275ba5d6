//! The tag table: one row for each meaning of a tag. `[EMV-B3 A]`
//!
//! Schemes give some tags meanings of their own (9F66 is a TTQ to quickPass and Visa, PUNATC to Mastercard), so
//! a tag can have several rows; they stand together. The rows are written from `data/tags.csv`, which also names
//! where each was found; to add a tag, add a row there and run `data/write_tags.py`.

use Format::{A, An, Ans, B, Cn, N, Var};
use Length::{Any, Either, Exactly, Within};
use Scheme::{Emv, EmvContactless, Mastercard, Pboc, TerminalInternal, UnionPayTerminal, Visa};
use Source::{Acquirer, Icc, Issuer, IssuerOrTerminal, Kernel, Terminal, TerminalOrIcc};
use huiwan_tlv::{Tag, dol};

/// What one row of the table says about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagInfo {
    /// The tag.
    pub tag: Tag,
    /// Its name as the specifications print it.
    pub name: &'static str,
    /// Who gives it its value.
    pub source: Source,
    /// How its value is written.
    pub format: Format,
    /// How many bytes it has.
    pub length: Length,
    /// The templates it appears in, as tag numbers; empty when none is stated.
    pub templates: &'static [u32],
    /// Whose meaning this is.
    pub scheme: Scheme,
}

/// Who gives a data object its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Source {
    Icc,
    Terminal,
    Acquirer,
    Issuer,
    TerminalOrIcc,
    IssuerOrTerminal,
    Kernel,
}

/// How a value is written. `[EMV-B3 4.3]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Letters, one a byte.
    A,
    /// Letters and digits, one a byte.
    An,
    /// Letters, digits and special characters, one a byte.
    Ans,
    /// Binary.
    B,
    /// Digits, two a byte, left justified and padded with F.
    Cn,
    /// Digits, two a byte, right justified and padded with 0.
    N,
    /// A template or a value whose format depends on something else.
    Var,
}

impl Format {
    /// The rule by which a data object list cuts and pads a value of this format. `[EMV-B3 5.4]`
    #[must_use]
    pub const fn in_dol(self) -> dol::Format {
        match self {
            N => dol::Format::Numeric,
            Cn => dol::Format::CompressedNumeric,
            A | An | Ans | B | Var => dol::Format::Other,
        }
    }
}

/// How many bytes a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Length {
    /// Not stated.
    Any,
    /// This many.
    Exactly(u16),
    /// The first or the second.
    Either(u16, u16),
    /// From the first to the second, both included.
    Within(u16, u16),
}

impl Length {
    /// Whether a value of `len` bytes fits.
    #[must_use]
    pub const fn allows(self, len: usize) -> bool {
        match self {
            Any => true,
            Exactly(n) => len == n as usize,
            Either(a, b) => len == a as usize || len == b as usize,
            Within(least, most) => len >= least as usize && len <= most as usize,
        }
    }
}

/// Whose meaning of a tag a row gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// EMV Book 3, the same for all.
    Emv,
    /// The EMV contactless books, kernel independent.
    EmvContactless,
    /// PBOC (JR/T 0025) and UnionPay quickPass, kernel 7.
    Pboc,
    /// Mastercard, kernel 2.
    Mastercard,
    /// Visa, kernel 3.
    Visa,
    /// Parameters UnionPay acquirers download into terminals.
    UnionPayTerminal,
    /// Numbers a terminal uses between its own parts, never on a card.
    TerminalInternal,
}

/// Every row for `tag`, common meanings and scheme meanings together; empty when the table doesn't have the tag.
///
/// ```
/// use huiwan_emv::data::tags;
/// use huiwan_tlv::Tag;
/// assert_eq!(tags::rows(Tag::new(0x9F02))[0].name, "Amount, Authorised (Numeric)");
/// assert_eq!(tags::rows(Tag::new(0x9F66)).len(), 3);
/// assert!(tags::rows(Tag::new(0x9F7E7E)).is_empty());
/// ```
#[must_use]
pub fn rows(tag: Tag) -> &'static [TagInfo] {
    let first = match slot(tag.get()) {
        Some(slot) => INDEX.get(slot).map_or(usize::MAX, |first| usize::from(*first)),
        None => TAGS.partition_point(|row| row.tag.get() < tag.get()),
    };
    let rest = TAGS.get(first..).unwrap_or_default();
    rest.get(..rest.iter().take_while(|row| row.tag == tag).count()).unwrap_or_default()
}

/// The row for `tag` as `scheme` means it, else the common EMV row, else the first there is.
#[must_use]
pub fn find(tag: Tag, scheme: Scheme) -> Option<&'static TagInfo> {
    let rows = rows(tag);
    let meant = |wanted: Scheme| rows.iter().find(move |row| row.scheme == wanted);
    meant(scheme).or_else(|| meant(Emv)).or_else(|| rows.first())
}

/// The whole table, in the order of the tags.
#[must_use]
pub fn all() -> &'static [TagInfo] {
    &TAGS
}

/// Where the index has a tag: one-byte tags by their value, two-byte tags 5Fxx to DFxx after them. Longer tags and
/// two-byte tags the index has no place for are searched instead.
const fn slot(tag: u32) -> Option<usize> {
    let (high, low) = (tag >> 8, tag & 0xFF);
    let block: u32 = match high {
        0 => return Some(low as usize),
        0x5F => 0x100,
        0x7F => 0x180,
        0x9F => 0x200,
        0xBF => 0x280,
        0xDF => 0x300,
        _ => return None,
    };
    if low < 0x80 { Some((block | low) as usize) } else { None }
}

/// The position of each tag's first row, `u16::MAX` when there is none, by [`slot`].
static INDEX: [u16; 0x380] = index();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "runs in the compiler only"
)]
const fn index() -> [u16; 0x380] {
    let mut index = [u16::MAX; 0x380];
    let mut row = TAGS.len();
    while row > 0 {
        row -= 1;
        if let Some(slot) = slot(TAGS[row].tag.get()) {
            index[slot] = row as u16;
        }
    }
    index
}

const fn row(
    tag: u32,
    name: &'static str,
    source: Source,
    format: Format,
    length: Length,
    templates: &'static [u32],
    scheme: Scheme,
) -> TagInfo {
    TagInfo { tag: Tag::new(tag), name, source, format, length, templates, scheme }
}

#[rustfmt::skip]
static TAGS: [TagInfo; 298] = [
    // rows: begin
    row(0x42, "Issuer Identification Number (IIN)", Icc, N, Exactly(3), &[0xBF0C, 0x73], Emv),
    row(0x4F, "Application Dedicated File (ADF) Name", Icc, B, Within(5, 16), &[0x61], Emv),
    row(0x50, "Application Label", Icc, Ans, Within(1, 16), &[0x61, 0xA5], Emv),
    row(0x56, "Track 1 Data", Icc, Ans, Within(0, 76), &[0x70], EmvContactless),
    row(0x57, "Track 2 Equivalent Data", Icc, B, Within(0, 19), &[0x70, 0x77], Emv),
    row(0x5A, "Application Primary Account Number (PAN)", Icc, Cn, Within(0, 10), &[0x70, 0x77], Emv),
    row(0x61, "Application Template", Icc, B, Within(0, 252), &[0x70], Emv),
    row(0x6F, "File Control Information (FCI) Template", Icc, Var, Within(0, 252), &[], Emv),
    row(0x70, "READ RECORD Response Message Template", Icc, Var, Within(0, 252), &[], Emv),
    row(0x71, "Issuer Script Template 1", Issuer, B, Any, &[], Emv),
    row(0x72, "Issuer Script Template 2", Issuer, B, Any, &[], Emv),
    row(0x73, "Directory Discretionary Template", Icc, Var, Within(0, 252), &[0x61], Emv),
    row(0x77, "Response Message Template Format 2", Icc, Var, Any, &[], Emv),
    row(0x80, "Response Message Template Format 1", Icc, Var, Any, &[], Emv),
    row(0x81, "Amount, Authorised (Binary)", Terminal, B, Exactly(4), &[0xA1, 0xBF4E], Emv),
    row(0x82, "Application Interchange Profile", Icc, B, Exactly(2), &[0x77, 0x80], Emv),
    row(0x83, "Command Template", Terminal, B, Any, &[], Emv),
    row(0x84, "Dedicated File (DF) Name", Icc, B, Within(5, 16), &[0x6F], Emv),
    row(0x86, "Issuer Script Command", Issuer, B, Within(0, 261), &[0x71, 0x72], Emv),
    row(0x87, "Application Priority Indicator", Icc, B, Exactly(1), &[0x61, 0xA5], Emv),
    row(0x88, "Short File Identifier (SFI)", Icc, B, Exactly(1), &[0xA5], Emv),
    row(0x89, "Authorisation Code", Issuer, Var, Exactly(6), &[], Emv),
    row(0x8A, "Authorisation Response Code", IssuerOrTerminal, An, Exactly(2), &[], Emv),
    row(0x8B, "POI Information", Terminal, B, Any, &[], EmvContactless),
    row(0x8C, "Card Risk Management Data Object List 1 (CDOL1)", Icc, B, Within(0, 252), &[0x70, 0x77], Emv),
    row(0x8D, "Card Risk Management Data Object List 2 (CDOL2)", Icc, B, Within(0, 252), &[0x70, 0x77], Emv),
    row(0x8E, "Cardholder Verification Method (CVM) List", Icc, B, Within(10, 252), &[0x70, 0x77], Emv),
    row(0x8F, "Certification Authority Public Key Index (Card)", Icc, B, Exactly(1), &[0x70, 0x77], Emv),
    row(0x90, "Issuer Public Key Certificate", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x90, "Biometric Solution ID", TerminalOrIcc, B, Any, &[0xA1, 0xBF4E], Emv),
    row(0x91, "Issuer Authentication Data", Issuer, B, Within(8, 16), &[], Emv),
    row(0x92, "Issuer Public Key Remainder", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x93, "Signed Static Application Data", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x94, "Application File Locator (AFL)", Icc, Var, Within(0, 252), &[0x77, 0x80], Emv),
    row(0x95, "Terminal Verification Results", Terminal, B, Exactly(5), &[], Emv),
    row(0x96, "Kernel Identifier - Terminal", Terminal, B, Within(1, 8), &[], EmvContactless),
    row(0x97, "Transaction Certificate Data Object List (TDOL)", Icc, B, Within(0, 252), &[0x70, 0x77], Emv),
    row(0x98, "Transaction Certificate (TC) Hash Value", Terminal, B, Exactly(20), &[], Emv),
    row(0x99, "Transaction Personal Identification Number (PIN) Data", Terminal, B, Any, &[], Emv),
    row(0x9A, "Transaction Date", Terminal, N, Exactly(3), &[], Emv),
    row(0x9B, "Transaction Status Information", Terminal, B, Exactly(2), &[], Emv),
    row(0x9C, "Transaction Type", Terminal, N, Exactly(1), &[], Emv),
    row(0x9D, "Directory Definition File (DDF) Name", Icc, B, Within(5, 16), &[0x61], Emv),
    row(0xA1, "Biometric Header Template (BHT)", TerminalOrIcc, B, Any, &[0x7F60], Emv),
    row(0xA5, "File Control Information (FCI) Proprietary Template", Icc, Var, Any, &[0x6F], Emv),
    row(0x5F20, "Cardholder Name", Icc, Ans, Within(2, 26), &[0x70, 0x77], Emv),
    row(0x5F24, "Application Expiration Date", Icc, N, Exactly(3), &[0x70, 0x77], Emv),
    row(0x5F25, "Application Effective Date", Icc, N, Exactly(3), &[0x70, 0x77], Emv),
    row(0x5F28, "Issuer Country Code", Icc, N, Exactly(2), &[0x70, 0x77], Emv),
    row(0x5F2A, "Transaction Currency Code", Terminal, N, Exactly(2), &[], Emv),
    row(0x5F2D, "Language Preference", Icc, An, Within(2, 8), &[0xA5], Emv),
    row(0x5F30, "Service Code", Icc, N, Exactly(2), &[0x70, 0x77], Emv),
    row(0x5F34, "Application Primary Account Number (PAN) Sequence Number", Icc, N, Exactly(1), &[0x70, 0x77], Emv),
    row(0x5F36, "Transaction Currency Exponent", Terminal, N, Exactly(1), &[], Emv),
    row(0x5F50, "Issuer URL", Icc, Ans, Any, &[0xBF0C, 0x73], Emv),
    row(0x5F53, "International Bank Account Number (IBAN)", Icc, Var, Within(0, 34), &[0xBF0C, 0x73], Emv),
    row(0x5F54, "Bank Identifier Code (BIC)", Icc, Var, Either(8, 11), &[0xBF0C, 0x73], Emv),
    row(0x5F55, "Issuer Country Code (alpha2 format)", Icc, A, Exactly(2), &[0xBF0C, 0x73], Emv),
    row(0x5F56, "Issuer Country Code (alpha3 format)", Icc, A, Exactly(3), &[0xBF0C, 0x73], Emv),
    row(0x5F57, "Account Type", Terminal, N, Exactly(1), &[], Emv),
    row(0x7F60, "Biometric Information Template (BIT) (Card)", TerminalOrIcc, B, Any, &[0xBF4A, 0xBF4B], Emv),
    row(0x9F01, "Acquirer Identifier", Terminal, N, Exactly(6), &[], Emv),
    row(0x9F02, "Amount, Authorised (Numeric)", Terminal, N, Exactly(6), &[], Emv),
    row(0x9F03, "Amount, Other (Numeric)", Terminal, N, Exactly(6), &[], Emv),
    row(0x9F04, "Amount, Other (Binary)", Terminal, B, Exactly(4), &[], Emv),
    row(0x9F05, "Application Discretionary Data", Icc, B, Within(1, 32), &[0x70, 0x77], Emv),
    row(0x9F06, "Application Identifier (AID) – terminal", Terminal, B, Within(5, 16), &[], Emv),
    row(0x9F07, "Application Usage Control", Icc, B, Exactly(2), &[0x70, 0x77], Emv),
    row(0x9F08, "Application Version Number (ICC)", Icc, B, Exactly(2), &[0x70, 0x77], Emv),
    row(0x9F09, "Application Version Number (Terminal)", Terminal, B, Exactly(2), &[], Emv),
    row(0x9F0A, "Application Selection Registered Proprietary Data (ASRPD)", Icc, B, Any, &[0x73, 0xBF0C], Emv),
    row(0x9F0B, "Cardholder Name Extended", Icc, Ans, Within(27, 45), &[0x70, 0x77], Emv),
    row(0x9F0C, "Issuer Identification Number Extended (IINE)", Icc, N, Either(3, 4), &[0xBF0C, 0x73], Emv),
    row(0x9F0D, "Issuer Action Code – Default", Icc, B, Exactly(5), &[0x70, 0x77], Emv),
    row(0x9F0E, "Issuer Action Code – Denial", Icc, B, Exactly(5), &[0x70, 0x77], Emv),
    row(0x9F0F, "Issuer Action Code – Online", Icc, B, Exactly(5), &[0x70, 0x77], Emv),
    row(0x9F10, "Issuer Application Data", Icc, B, Within(0, 32), &[0x77, 0x80], Emv),
    row(0x9F11, "Issuer Code Table Index", Icc, N, Exactly(1), &[0xA5], Emv),
    row(0x9F12, "Application Preferred Name", Icc, Ans, Within(1, 16), &[0x61, 0xA5], Emv),
    row(0x9F13, "Last Online Application Transaction Counter (ATC) Register", Icc, B, Exactly(2), &[], Emv),
    row(0x9F14, "Lower Consecutive Offline Limit", Icc, B, Exactly(1), &[0x70, 0x77], Emv),
    row(0x9F15, "Merchant Category Code", Terminal, N, Exactly(2), &[], Emv),
    row(0x9F16, "Merchant Identifier", Terminal, An, Exactly(15), &[], Emv),
    row(0x9F17, "Personal Identification Number (PIN) Try Counter", Icc, B, Exactly(1), &[], Emv),
    row(0x9F18, "Issuer Script Identifier", Issuer, B, Exactly(4), &[0x71, 0x72], Emv),
    row(0x9F19, "Token Requestor ID", Icc, N, Exactly(6), &[0x70, 0x77], Emv),
    row(0x9F1A, "Terminal Country Code", Terminal, N, Exactly(2), &[], Emv),
    row(0x9F1B, "Terminal Floor Limit", Terminal, B, Exactly(4), &[], Emv),
    row(0x9F1C, "Terminal Identification", Terminal, An, Exactly(8), &[], Emv),
    row(0x9F1D, "Terminal Risk Management Data", Terminal, B, Within(1, 8), &[], Emv),
    row(0x9F1E, "Interface Device (IFD) Serial Number", Terminal, An, Exactly(8), &[], Emv),
    row(0x9F1F, "Track 1 Discretionary Data", Icc, Ans, Any, &[0x70, 0x77], Emv),
    row(0x9F20, "Track 2 Discretionary Data", Icc, Cn, Any, &[0x70, 0x77], Emv),
    row(0x9F21, "Transaction Time", Terminal, N, Exactly(3), &[], Emv),
    row(0x9F22, "Certification Authority Public Key Index (Terminal)", Terminal, B, Exactly(1), &[], Emv),
    row(0x9F23, "Upper Consecutive Offline Limit", Icc, B, Exactly(1), &[0x70, 0x77], Emv),
    row(0x9F24, "Payment Account Reference (PAR)", Icc, An, Exactly(29), &[0x70, 0x77], Emv),
    row(0x9F25, "Last 4 Digits of PAN", Icc, N, Exactly(2), &[0x70, 0x77], Emv),
    row(0x9F26, "Application Cryptogram", Icc, B, Exactly(8), &[0x77, 0x80], Emv),
    row(0x9F27, "Cryptogram Information Data", Icc, B, Exactly(1), &[0x77, 0x80], Emv),
    row(0x9F28, "Cardholder Verification method related / Amex kernel id list 4004", Icc, B, Exactly(2), &[], EmvContactless),
    row(0x9F29, "Extended Selection", Icc, Ans, Within(0, 16), &[0x61], EmvContactless),
    row(0x9F2A, "Kernel Identifier", Icc, B, Within(1, 8), &[0x61], EmvContactless),
    row(0x9F2D, "ICC PIN Encipherment Public Key Certificate", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x9F2E, "ICC PIN Encipherment Public Key Exponent", Icc, B, Either(1, 3), &[0x70, 0x77], Emv),
    row(0x9F2F, "ICC PIN Encipherment Public Key Remainder", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x9F30, "Biometric Terminal Capabilities", Terminal, B, Exactly(3), &[], Emv),
    row(0x9F31, "Card BIT Group Template", Icc, B, Any, &[0x70], Emv),
    row(0x9F32, "Issuer Public Key Exponent", Icc, B, Either(1, 3), &[0x70, 0x77], Emv),
    row(0x9F33, "Terminal Capabilities", Terminal, B, Exactly(3), &[], Emv),
    row(0x9F34, "Cardholder Verification Method (CVM) Results", Terminal, B, Exactly(3), &[], Emv),
    row(0x9F35, "Terminal Type", Terminal, N, Exactly(1), &[], Emv),
    row(0x9F36, "Application Transaction Counter (ATC)", Icc, B, Exactly(2), &[0x77, 0x80], Emv),
    row(0x9F37, "Unpredictable Number", Terminal, B, Exactly(4), &[], Emv),
    row(0x9F38, "Processing Options Data Object List (PDOL)", Icc, B, Any, &[0xA5], Emv),
    row(0x9F39, "Point-of-Service (POS) Entry Mode", Terminal, N, Exactly(1), &[], Emv),
    row(0x9F3A, "Amount, Reference Currency", Terminal, B, Exactly(4), &[], Emv),
    row(0x9F3B, "Application Reference Currency", Icc, N, Within(2, 8), &[0x70, 0x77], Emv),
    row(0x9F3C, "Transaction Reference Currency Code", Terminal, N, Exactly(2), &[], Emv),
    row(0x9F3D, "Transaction Reference Currency Exponent", Terminal, N, Exactly(1), &[], Emv),
    row(0x9F3E, "Terminal Categories Supported List", Icc, B, Any, &[0xBF0C], EmvContactless),
    row(0x9F3F, "Selection Data Object List (SDOL)", Icc, B, Within(0, 252), &[0xBF0C], EmvContactless),
    row(0x9F40, "Additional Terminal Capabilities", Terminal, B, Exactly(5), &[], Emv),
    row(0x9F41, "Transaction Sequence Counter", Terminal, N, Within(2, 4), &[], Emv),
    row(0x9F42, "Application Currency Code", Icc, N, Exactly(2), &[0x70, 0x77], Emv),
    row(0x9F43, "Application Reference Currency Exponent", Icc, N, Within(1, 4), &[0x70, 0x77], Emv),
    row(0x9F44, "Application Currency Exponent", Icc, N, Exactly(1), &[0x70, 0x77], Emv),
    row(0x9F45, "Data Authentication Code", Icc, B, Exactly(2), &[], Emv),
    row(0x9F46, "Integrated Circuit Card (ICC) Public Key Certificate", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x9F47, "Integrated Circuit Card (ICC) Public Key Exponent", Icc, B, Either(1, 3), &[0x70, 0x77], Emv),
    row(0x9F48, "Integrated Circuit Card (ICC) Public Key Remainder", Icc, B, Any, &[0x70, 0x77], Emv),
    row(0x9F49, "Dynamic Data Authentication Data Object List (DDOL)", Icc, B, Within(0, 252), &[0x70, 0x77], Emv),
    row(0x9F4A, "Static Data Authentication Tag List", Icc, Var, Any, &[0x70, 0x77], Emv),
    row(0x9F4B, "Signed Dynamic Application Data", Icc, B, Any, &[0x77, 0x80], Emv),
    row(0x9F4C, "ICC Dynamic Number", Icc, B, Within(2, 8), &[], Emv),
    row(0x9F4D, "Log Entry", Icc, B, Exactly(2), &[0xBF0C, 0x73], Emv),
    row(0x9F4E, "Merchant Name and Location", Terminal, Ans, Any, &[], Emv),
    row(0x9F4F, "Log Format", Icc, B, Any, &[], Emv),
    row(0x9F50, "Offline Accumulator Balance", Icc, N, Exactly(6), &[], Mastercard),
    row(0x9F51, "DRDOL", Icc, B, Within(0, 250), &[], Mastercard),
    row(0x9F51, "Application Currency Code (card risk management)", Icc, N, Exactly(2), &[], Pboc),
    row(0x9F52, "Application Default Action (ADA)", Icc, B, Within(2, 4), &[], Pboc),
    row(0x9F53, "Transaction Category Code", Terminal, An, Exactly(1), &[], Mastercard),
    row(0x9F53, "Consecutive Transaction Limit (International currency)", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F54, "DS ODS Card", Icc, B, Within(0, 160), &[], Mastercard),
    row(0x9F54, "Cumulative Total Transaction Amount Limit", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F55, "Geographic indicator / issuer specific", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F56, "Issuer Authentication Indicator (80 = mandatory)", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F57, "Issuer Country Code (card risk management)", Icc, N, Exactly(2), &[], Pboc),
    row(0x9F58, "Consecutive Transaction Counter Lower Limit (domestic)", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F59, "Consecutive Transaction Counter Upper Limit (domestic)", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F5A, "Issuer URL2", Icc, Ans, Within(0, 255), &[], Pboc),
    row(0x9F5A, "Application Program Identifier", Icc, B, Within(1, 16), &[], Visa),
    row(0x9F5B, "DSDOL", Icc, B, Within(0, 250), &[], Mastercard),
    row(0x9F5B, "Issuer Script Results", Terminal, B, Within(5, 20), &[], Visa),
    row(0x9F5C, "DS Requested Operator ID", Terminal, B, Exactly(8), &[], Mastercard),
    row(0x9F5C, "Cumulative Total Transaction Amount Upper Limit", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F5D, "Application Capabilities Information", Icc, B, Exactly(3), &[], Mastercard),
    row(0x9F5D, "Available Offline Spending Amount (returned in GPO when 9F68 byte 1 bit 1)", Icc, N, Exactly(6), &[0x77], Pboc),
    row(0x9F5D, "Available Offline Spending Amount (AOSA)", Icc, N, Exactly(6), &[], Visa),
    row(0x9F5E, "DS ID", Icc, N, Within(8, 11), &[], Mastercard),
    row(0x9F5F, "DS Slot Availability", Icc, B, Exactly(1), &[], Mastercard),
    row(0x9F60, "CVC3 (Track 1)", Icc, B, Exactly(2), &[], Mastercard),
    row(0x9F61, "CVC3 (Track 2)", Icc, B, Exactly(2), &[], Mastercard),
    row(0x9F61, "Cardholder ID number", Icc, Ans, Within(1, 40), &[0x70], Pboc),
    row(0x9F62, "PCVC3 (Track 1)", Icc, B, Exactly(6), &[], Mastercard),
    row(0x9F62, "Cardholder ID type", Icc, B, Exactly(1), &[0x70], Pboc),
    row(0x9F63, "PUNATC (Track 1)", Icc, B, Exactly(6), &[], Mastercard),
    row(0x9F63, "Card product identification information (quickPass GPO) / offline counter initial value", Icc, B, Exactly(16), &[0x70, 0x77], Pboc),
    row(0x9F64, "NATC (Track 1)", Icc, B, Exactly(1), &[], Mastercard),
    row(0x9F65, "PCVC3 (Track 2)", Icc, B, Exactly(2), &[], Mastercard),
    row(0x9F66, "PUNATC (Track 2)", Icc, B, Exactly(2), &[], Mastercard),
    row(0x9F66, "Terminal Transaction Qualifiers (TTQ)", Terminal, B, Exactly(4), &[0x83], Pboc),
    row(0x9F66, "Terminal Transaction Qualifiers (TTQ)", Terminal, B, Exactly(4), &[], Visa),
    row(0x9F67, "NATC (Track 2)", Icc, B, Exactly(1), &[], Mastercard),
    row(0x9F67, "MSD offset", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F68, "Mag-stripe CVM List", Icc, B, Within(10, 252), &[], Mastercard),
    row(0x9F68, "Card Additional Processes", Icc, B, Exactly(4), &[], Pboc),
    row(0x9F68, "Card Additional Processes", Icc, B, Exactly(4), &[], Visa),
    row(0x9F69, "UDOL", Icc, B, Within(3, 250), &[], Mastercard),
    row(0x9F69, "Card Authentication Related Data: fDDA version(1) || card UN(4) || CTQ(2) || RFU/DF61(1)", Icc, B, Within(5, 16), &[0x70], Pboc),
    row(0x9F69, "Card Authentication Related Data", Icc, B, Within(5, 16), &[], Visa),
    row(0x9F6A, "Unpredictable Number (Numeric)", Terminal, N, Exactly(4), &[], Mastercard),
    row(0x9F6B, "Track 2 Data", Icc, B, Within(0, 19), &[], Mastercard),
    row(0x9F6B, "Card CVM Limit", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F6C, "Card Transaction Qualifiers (CTQ)", Icc, B, Exactly(2), &[0x77], Pboc),
    row(0x9F6C, "Card Transaction Qualifiers (CTQ)", Icc, B, Exactly(2), &[], Visa),
    row(0x9F6D, "Mag-stripe Application Version Number (Reader)", Terminal, B, Exactly(2), &[], Mastercard),
    row(0x9F6D, "E-cash Reset Threshold", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F6E, "Third Party Data", Icc, B, Within(5, 32), &[], Mastercard),
    row(0x9F6E, "Form Factor Indicator", Icc, B, Exactly(4), &[], Visa),
    row(0x9F6F, "DS Slot Management Control", Icc, B, Exactly(1), &[], Mastercard),
    row(0x9F72, "Consecutive Transaction Limit (International country)", Icc, B, Exactly(1), &[], Pboc),
    row(0x9F73, "Currency Conversion Factor", Icc, N, Exactly(4), &[], Pboc),
    row(0x9F74, "E-cash Issuer Authorisation Code", Icc, An, Exactly(6), &[0x70], Pboc),
    row(0x9F75, "Cumulative Total Transaction Amount Limit (dual currency)", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F76, "Second Application Currency Code", Icc, N, Exactly(2), &[], Pboc),
    row(0x9F77, "E-cash Balance Limit", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F78, "E-cash Single Transaction Limit", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F79, "E-cash Balance", Icc, N, Exactly(6), &[], Pboc),
    row(0x9F7A, "E-cash Terminal Support Indicator (1 = e-cash transaction asked)", Terminal, N, Exactly(1), &[0x83], Pboc),
    row(0x9F7B, "E-cash Terminal Transaction Limit", Terminal, N, Exactly(6), &[], Pboc),
    row(0x9F7C, "Merchant Custom Data", Terminal, B, Exactly(20), &[], Mastercard),
    row(0x9F7C, "Customer Exclusive Data", Icc, B, Within(0, 32), &[], Visa),
    row(0x9F7D, "DS Summary 1", Icc, B, Either(8, 16), &[], Mastercard),
    row(0x9F7E, "Mobile Support Indicator", Terminal, B, Exactly(1), &[], Mastercard),
    row(0x9F7F, "DS Unpredictable Number", Icc, B, Exactly(4), &[], Mastercard),
    row(0xBF0C, "File Control Information (FCI) Issuer Discretionary Data", Icc, Var, Within(0, 222), &[0xA5], Emv),
    row(0xBF4A, "Offline BIT Group Template", Icc, B, Any, &[0x9F31], Emv),
    row(0xBF4B, "Online BIT Group Template", Icc, B, Any, &[0x9F31], Emv),
    row(0xBF4C, "Biometric Try Counters Template", Icc, B, Any, &[], Emv),
    row(0xBF4D, "Preferred Attempts Template", Icc, B, Any, &[], Emv),
    row(0xBF4E, "Biometric Verification Data Template", Terminal, B, Any, &[], Emv),
    row(0xDF01, "Application selection indicator ASI (00 exact, 01 partial)", Acquirer, B, Exactly(1), &[], UnionPayTerminal),
    row(0xDF02, "CA public key modulus", Acquirer, B, Within(1, 248), &[], UnionPayTerminal),
    row(0xDF03, "CA public key check value (SHA-1)", Acquirer, B, Exactly(20), &[], UnionPayTerminal),
    row(0xDF04, "CA public key exponent", Acquirer, B, Either(1, 3), &[], UnionPayTerminal),
    row(0xDF05, "CA public key expiry YYYYMMDD (as n or ASCII)", Acquirer, N, Either(4, 8), &[], UnionPayTerminal),
    row(0xDF06, "CA hash algorithm indicator (01 SHA-1, 07 SM3)", Acquirer, B, Exactly(1), &[], UnionPayTerminal),
    row(0xDF07, "CA public key algorithm indicator (01 RSA, 04 SM2)", Acquirer, B, Exactly(1), &[], UnionPayTerminal),
    row(0xDF11, "TAC Default", Acquirer, B, Exactly(5), &[], UnionPayTerminal),
    row(0xDF12, "TAC Online", Acquirer, B, Exactly(5), &[], UnionPayTerminal),
    row(0xDF13, "TAC Denial", Acquirer, B, Exactly(5), &[], UnionPayTerminal),
    row(0xDF14, "Default DDOL", Acquirer, B, Within(1, 252), &[], UnionPayTerminal),
    row(0xDF15, "Threshold value for biased random selection", Acquirer, B, Exactly(4), &[], UnionPayTerminal),
    row(0xDF16, "Maximum target percentage", Acquirer, Cn, Exactly(1), &[], UnionPayTerminal),
    row(0xDF17, "Target percentage", Acquirer, Cn, Exactly(1), &[], UnionPayTerminal),
    row(0xDF18, "Online PIN capability", Acquirer, B, Exactly(1), &[], UnionPayTerminal),
    row(0xDF19, "Contactless offline floor limit", Acquirer, N, Exactly(6), &[], UnionPayTerminal),
    row(0xDF20, "(A5/BF63) Visa/UnionPay application selection extension as seen in FCI (DF20 01 80)", Icc, B, Exactly(1), &[0xBF63], Pboc),
    row(0xDF20, "Contactless transaction limit", Acquirer, N, Exactly(6), &[], UnionPayTerminal),
    row(0xDF21, "Contactless CVM limit (terminal)", Acquirer, N, Exactly(6), &[], UnionPayTerminal),
    row(0xDF31, "Script result", Terminal, B, Within(0, 80), &[], Pboc),
    row(0xDF31, "Issuer script result", Acquirer, B, Within(5, 20), &[], UnionPayTerminal),
    row(0xDF4D, "Load (圈存) log entry: SFI, number of records", Icc, B, Exactly(2), &[0xBF0C], Pboc),
    row(0xDF4F, "Load log format", Icc, B, Any, &[], Pboc),
    row(0xDF50, "Enciphered Biometric Key Seed", Terminal, B, Any, &[0xBF4E], Emv),
    row(0xDF51, "Enciphered Biometric Data", Terminal, B, Any, &[0xBF4E], Emv),
    row(0xDF52, "Iris Try Counter", Icc, B, Exactly(1), &[0xBF4C], Emv),
    row(0xDF53, "Palm Try Counter", Icc, B, Exactly(1), &[0xBF4C], Emv),
    row(0xDF54, "Preferred Voice Attempts", Icc, B, Exactly(1), &[0xBF4D], Emv),
    row(0xDF60, "CAPP transaction indicator: 0 none, 1 segmented fare, 2 pre-authorisation, 3 completion", Terminal, B, Exactly(1), &[0x83], Pboc),
    row(0xDF61, "Segmented-fare (extended application) identifier / capability byte", Icc, B, Exactly(1), &[0xBF0C], Pboc),
    row(0xDF62, "Segmented-fare deduction limit / consumption amount", Icc, B, Any, &[], Pboc),
    row(0xDF63, "Segmented-fare remaining limit / offset amount", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF69, "SM algorithm support indicator (1 = terminal supports SM2/3/4)", Terminal, B, Exactly(1), &[0x83], Pboc),
    row(0xDF71, "E-cash second currency code", Icc, N, Exactly(2), &[], Pboc),
    row(0xDF72, "E-cash second currency reset threshold", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF76, "E-cash second currency card CVM limit (order of DF72..DF79 meanings by implementation)", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF77, "E-cash second currency balance limit", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF78, "E-cash second currency single transaction limit", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF79, "E-cash second currency balance", Icc, N, Exactly(6), &[], Pboc),
    row(0xDF81, "Default DDOL", Terminal, B, Within(0, 252), &[], TerminalInternal),
    row(0xDF82, "Default TDOL", Terminal, B, Within(0, 252), &[], TerminalInternal),
    row(0xDF83, "Enciphered online PIN", Terminal, B, Exactly(8), &[], TerminalInternal),
    row(0xDF84, "Online PIN support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF87, "Max target percentage", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF88, "Threshold value", Terminal, B, Exactly(4), &[], TerminalInternal),
    row(0xDF8A, "Target percentage", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF8C, "Tac-default", Terminal, B, Exactly(5), &[], TerminalInternal),
    row(0xDF8D, "Tac-denial", Terminal, B, Exactly(5), &[], TerminalInternal),
    row(0xDF8E, "Tac-online", Terminal, B, Exactly(5), &[], TerminalInternal),
    row(0xDF90, "Local language", Terminal, A, Exactly(2), &[], TerminalInternal),
    row(0xDF91, "Reader capability", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF92, "Voice referral support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF93, "Force online support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF94, "Force Accept support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF95, "Transaction log support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF96, "Blacklist support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF97, "Separate sale support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF98, "Application confirm support", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF99, "Pinpad language", Terminal, A, Within(2, 32), &[], TerminalInternal),
    row(0xDF9A, "Language to be used", Terminal, A, Exactly(2), &[], TerminalInternal),
    row(0xDF9B, "EC Terminal Support Indicator", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDF9C, "Pdol data block", Terminal, B, Within(0, 255), &[], TerminalInternal),
    row(0xDF9D, "Cdol1 data block", Terminal, B, Within(0, 255), &[], TerminalInternal),
    row(0xDF9E, "Cdol2 data block", Terminal, B, Within(0, 255), &[], TerminalInternal),
    row(0xDF9F, "ASI", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFA0, "CA public key modulus", Terminal, B, Within(32, 248), &[], TerminalInternal),
    row(0xDFA1, "CA public key exponent", Terminal, B, Within(1, 3), &[], TerminalInternal),
    row(0xDFA2, "CA public key RID", Terminal, B, Exactly(5), &[], TerminalInternal),
    row(0xDFA3, "CA public key hash algo", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFA4, "CA public key algo", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFA5, "CA public key expire date", Terminal, N, Exactly(4), &[], TerminalInternal),
    row(0xDFA6, "CA pub key hash value", Terminal, B, Exactly(20), &[], TerminalInternal),
    row(0xDFA7, "Ramdom number for biased random select", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFA8, "PIN bypass behavior", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFAA, "EC transaction flag", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFAB, "Native transaction type", Terminal, N, Exactly(2), &[], TerminalInternal),
    row(0xDFAC, "EC Balance Original", Terminal, N, Exactly(3), &[], TerminalInternal),
    row(0xDFE6, "Terminal Ctls Capabilities Mask", Terminal, B, Exactly(4), &[], TerminalInternal),
    row(0xDFE7, "Terminal Ctls Amount Limit", Terminal, N, Exactly(6), &[], TerminalInternal),
    row(0xDFE8, "Terminal Ctls Offline Amount Limit", Terminal, N, Exactly(6), &[], TerminalInternal),
    row(0xDFE9, "Terminal Ctls CVM Limit", Terminal, N, Exactly(6), &[], TerminalInternal),
    row(0xDFEA, "Transaction Route", Terminal, B, Exactly(1), &[], TerminalInternal),
    row(0xDFF1, "Issuer Script 71 Package", Issuer, B, Within(0, 255), &[], TerminalInternal),
    row(0xDFF2, "Issuer Script 72 Package", Issuer, B, Within(0, 255), &[], TerminalInternal),
    row(0xDF8101, "(Mastercard) kernel database data objects DF8101..DF8133", Kernel, B, Any, &[], EmvContactless),
    // rows: end
];
